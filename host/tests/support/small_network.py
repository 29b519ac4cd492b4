"""A small random network for tests that run one on a board, with the words that they want to speak to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from egret.checkpoint import Checkpoint
from egret.profiles import Build
from egret.synthetic.calibrated import random_checkpoint


def small_checkpoint(words: Sequence[str], build: Build, seed: int) -> Checkpoint:
    """Return a checkpoint of layers 27-14 whose vocabulary is `words`, pruned for the lanes of `build`."""
    drawn = random_checkpoint(
        [27, 14],
        embedding=16,
        vocabulary=len(words),
        sparsity=0.6,
        activity=0.3,
        balanced_slots=build.slots,
        decoder_slots=build.decoder_slots,
        logit_depth=build.logit_depth,
        decoder_weight_bits=build.decoder_weight_bits,
        seed=seed,
    )
    return replace(drawn, vocabulary=list(words))
