"""What weights and thresholds must be after each update of a phase: pruned, in range, kept by the kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from egret.checkpoint import THRESHOLD_MAXIMUM
from egret.contract import STATE_FRACTION_BITS, THRESHOLD_MINIMUM
from egret_training import data
from egret_training.data import Corpus
from egret_training.model import EgruLanguageModel
from egret_training.pruning import apply_masks, draw_masks, sparsity_at
from egret_training.quantizers import WEIGHT_BITS, decoder_weight_limit
from egret_training.recipe import Phase, Pruning
from egret_training.reconstruction import prune_at_a_stroke

THRESHOLD_RANGE = (
    THRESHOLD_MINIMUM / (1 << STATE_FRACTION_BITS),
    THRESHOLD_MAXIMUM / (1 << STATE_FRACTION_BITS),
)
"""Thresholds that the kernel can hold."""

MOMENT_STREAMS = 64
"""Streams of training text whose inputs pruning at a stroke looks at."""


class Constraints:
    """The masks of a run, and how a phase draws and applies them."""

    def __init__(self) -> None:
        """Start with every weight kept."""
        self.masks: dict[str, Tensor] = {}
        """By the names of the matrices; empty until something is pruned."""
        self.complete = False
        """Whether they remove all that the present phase removes."""

    def begin(self, model: EgruLanguageModel, phase: Phase, corpus: Corpus) -> None:
        """Do what a phase does before its first update."""
        self.complete = False
        if phase.pruning is not None and phase.pruning.at_a_stroke:
            self.masks = prune_at_a_stroke(
                model,
                phase.pruning,
                data.streams(corpus.train, MOMENT_STREAMS).to(model.embedding.device),
                corpus.log_frequencies().exp().to(model.embedding.device),
            )
        _limit_decoder(model, phase)

    @torch.no_grad()
    def apply(self, model: EgruLanguageModel, phase: Phase, done: float, update: int) -> None:
        """Do what a phase does after an update, the share `done` (0..1) of it being behind."""
        for layer in model.event_layers:
            layer.threshold.clamp_(*THRESHOLD_RANGE)
        if phase.pruning is not None and not phase.pruning.at_a_stroke:
            self._draw(model, phase.pruning, done, update)
        apply_masks(model, self.masks)
        _limit_decoder(model, phase)

    def sparsity(self) -> float:
        """Return the share of prunable weights that the masks remove."""
        total = sum(mask.numel() for mask in self.masks.values())
        return 1.0 - sum(int(mask.sum()) for mask in self.masks.values()) / total if total else 0.0

    def _draw(self, model: EgruLanguageModel, pruning: Pruning, done: float, update: int) -> None:
        rising = done <= pruning.ramp
        if (rising and update % pruning.redraw == 0) or not (rising or self.complete):
            part = done / pruning.ramp if rising and pruning.ramp else 1.0
            self.complete = part == 1.0
            layers, decoder = pruning.sparsity, pruning.of_decoder
            self.masks = draw_masks(
                model,
                pruning,
                sparsity_at(pruning.start, layers, part),
                sparsity_at(min(pruning.start, decoder), decoder, part),
            )


@torch.no_grad()
def _limit_decoder(model: EgruLanguageModel, phase: Phase) -> None:
    """Keep decoder weights within what fewer than 8 bits hold."""
    if phase.decoder_weight_bits < WEIGHT_BITS:
        limit = decoder_weight_limit(phase.decoder_weight_bits)
        assert model.own_decoder_weights is not None
        model.own_decoder_weights.clamp_(-limit, limit)
