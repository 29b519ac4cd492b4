"""Proof, model by model, that no sum in the kernel can wrap.

An accumulator starts at 0 and has weight * value added for each event that reaches it: from any neuron one
event at most, of value 0 to 255. Whatever events there are, in whatever order, its size never exceeds

    255 * (sum of abs(weight) of its row)

over all columns that feed it: those of the layer below and the layer's own for z and r, either of them for gx
and gr (docs/formats.md, section 1). Where that is below 2^(ACCUMULATOR_BITS - 1), no partial sum wraps.

What is made of an accumulator afterwards needs no proof for each model, with one exception. In
hls/rtl/neuron_update.sv a sum has two bits more than an accumulator, of 20 bits or more: room for the
accumulator, rounded, and two numbers of 16 bits (a bias or an entry of the token table; r * sum_gr). A logit,
though, has LOGIT_BITS like the widest accumulator, and a bias is added to it: it gets a bound of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egret.checkpoint import EVENT_MAXIMUM, FRACTION_BITS_MINIMUM, Checkpoint
from egret.contract import LOGIT_BITS
from egret.errors import EgretError
from egret.image.row_sums import row_weight_sums
from egret.image.sections import ImageSections
from egret.matrices import Matrix, network_matrices

Sums = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class AccumulatorReach:
    """How far a model's sums can go from zero, in either direction."""

    layers: tuple[dict[str, Sums], ...]
    """For each layer, int64 [H] by accumulator (gx, z, r, gr; no gx in layer 0, where it stays 0)."""
    words: Sums
    """int64 [V]: the decoder's accumulators."""
    logits: Sums
    """int64 [V]: the logits made of them."""

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint) -> AccumulatorReach:
        """Work it out from the weights of a valid checkpoint."""
        sums = {
            # The input weights of layer 0 are folded into a table: no lane adds them up.
            name: np.abs(matrix, dtype=np.int64).sum(axis=1, dtype=np.int64)
            for name, matrix in checkpoint.matrices().items()
            if not Matrix.named(name).folded
        }
        shifts = checkpoint.decoder_fraction_bits.astype(np.int64) - FRACTION_BITS_MINIMUM
        return cls._of_sums(sums, len(checkpoint.layers), shifts, checkpoint.decoder_bias.astype(np.int64))

    @classmethod
    def of_image(cls, image: ImageSections) -> AccumulatorReach:
        """Work it out from the beats of an image whose pointers and records are sound.

        Raises EgretError as egret.image.row_sums.row_weight_sums() does.
        """
        sums: dict[str, Sums] = {}
        for matrix in image.matrices():  # the decoder's tiles one after the other
            own = row_weight_sums(image, matrix)[matrix.matrix.gate_order()].reshape(-1)
            sums[matrix.name] = np.concatenate([sums.get(matrix.name, own[:0]), own])
        bias, shifts = image.word_records()
        return cls._of_sums(sums, len(image.neurons), shifts.astype(np.int64), bias.astype(np.int64))

    @classmethod
    def _of_sums(cls, sums: dict[str, Sums], layers: int, shifts: Sums, bias: Sums) -> AccumulatorReach:
        """`sums` has the row sums of each matrix: gates z, r, g one after the other, or words."""
        parts: tuple[dict[str, Sums], ...] = tuple({} for _ in range(layers))
        words = np.zeros_like(bias)
        for matrix in network_matrices(layers):
            if matrix.folded:
                continue
            reach = EVENT_MAXIMUM * sums[matrix.name]
            if matrix.layer is None:
                words = reach
                continue
            part = parts[matrix.layer]
            for accumulator, rows in zip(matrix.accumulators, reach.reshape(3, -1), strict=True):
                part[accumulator] = part.get(accumulator, 0) + rows
        return cls(parts, words, (words >> shifts) + 1 + np.abs(bias))


def check_accumulators(reach: AccumulatorReach, accumulator_bits: int) -> None:
    """Raise EgretError, naming layer, accumulator and neuron, or the word, where a sum could wrap."""
    for index, accumulators in enumerate(reach.layers):
        for name, sizes in accumulators.items():
            _check(sizes, f"layer{index}, accumulator {name}, neuron", accumulator_bits)
    _check(reach.words, "decoder_weights, word", accumulator_bits)
    word = int(reach.logits.argmax())
    if reach.logits[word] >= 1 << (LOGIT_BITS - 1):
        raise EgretError(
            f"decoder_weights, word {word}: its logit can reach {int(reach.logits[word])}; it must stay "
            f"below 2^{LOGIT_BITS - 1}."
        )


def _check(sizes: Sums, what: str, accumulator_bits: int) -> None:
    row = int(sizes.argmax())
    if sizes[row] >= 1 << (accumulator_bits - 1):
        raise EgretError(
            f"{what} {row}: {EVENT_MAXIMUM} times the sum of its absolute weights is {int(sizes[row])}, "
            f"which an accumulator of {accumulator_bits} bits does not hold; it must stay below "
            f"2^{accumulator_bits - 1}."
        )
