"""The networks of the self-test: random ones, always the same, in shapes that fit a given build.

The shapes are made of the build's lanes, so that each has rows that fill no whole group of lanes, which is
where a kernel and its packer can disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egret.checkpoint import Checkpoint
from egret.contract import MAX_LAYERS
from egret.profiles import Build
from egret.synthetic.calibrated import extreme_checkpoint, random_checkpoint

SEED = 1
GIVEN_TOKENS = 40  # no multiple of the default chunk: the last start is a short one
GENERATED_TOKENS = 24


@dataclass(frozen=True)
class Vector:
    """A network to run, and on what."""

    name: str
    draw: Callable[[], Checkpoint]
    """Makes the network; a big one takes seconds."""
    given: int = GIVEN_TOKENS
    """Tokens to run teacher forced."""
    generated: int = GENERATED_TOKENS
    """Tokens to generate after them."""

    def tokens(self, vocabulary: int) -> npt.NDArray[np.uint32]:
        """Return the given tokens, uint32 [given], the first and last word of the vocabulary among them."""
        drawn = np.random.default_rng(SEED).integers(0, vocabulary, size=self.given, dtype=np.int64)
        drawn[:2] = vocabulary - 1, 0
        return drawn.astype(np.uint32)


def vectors(build: Build, full: bool) -> list[Vector]:
    """Return the vectors for a build; `full` adds those that reach its depths (minutes to simulate)."""
    slots, words = build.slots, 3 * build.decoder_slots + 1

    def drawn(
        layers: list[int], vocabulary: int = words, sparsity: float = 0.6, activity: float = 0.3
    ) -> Callable[[], Checkpoint]:
        return lambda: random_checkpoint(
            layers,
            embedding=16,
            vocabulary=vocabulary,
            sparsity=sparsity,
            activity=activity,
            balanced_slots=build.slots,
            weight_bits=build.weight_bits,
            decoder_slots=build.decoder_slots,
            logit_depth=build.logit_depth,
            compact=build.compact(vocabulary),
            decoder_weight_bits=build.decoder_weight_bits,
            seed=SEED,
        )

    two = [2 * slots + 3, slots + 1]
    quick = [
        Vector("two layers", drawn(two)),
        Vector("one neuron, two words", drawn([1], vocabulary=2, sparsity=0.0, activity=1.0)),
        Vector(f"{MAX_LAYERS} layers", drawn([slots + 1] * MAX_LAYERS)),
        Vector("all neurons silent", drawn(two, activity=0.0)),
        Vector("all neurons fire", drawn(two, sparsity=0.0, activity=1.0)),
        Vector(
            "numbers at their limits",
            lambda: extreme_checkpoint(
                two,
                embedding=16,
                vocabulary=words,
                weight_bits=min(build.weight_bits, build.decoder_weight_bits),
                seed=SEED,
            ),
        ),
    ]
    if not full:
        return quick
    most_neurons = min(
        build.neuron_depth // 2 // build.lanes * slots,
        build.accumulator_depth // 4 * slots,
        (build.pointer_depth - 1) // 2,
    )
    most_words = build.most_decoder_rows * build.decoder_slots
    return [
        *quick,
        Vector("as many neurons as fit", drawn([most_neurons], sparsity=0.9, activity=0.1), 17, 5),
        Vector("as many words as fit", drawn([2 * slots + 3], vocabulary=most_words), 17, 5),
    ]
