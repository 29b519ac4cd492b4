"""The optimiser, its learning rate and dropout, and the average of the weights it passes through."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from egret_training.model import Dropout, EgruLanguageModel
from egret_training.recipe import Phase, Recipe


def schedule(phase: Phase, done: float) -> float:
    """Return the learning rate when the share `done` (0..1) of a phase is behind."""
    if done < phase.warmup:
        return phase.learning_rate * max(done / phase.warmup, 1e-3)
    begin = max(phase.warmup, phase.hold)
    part = max(done - begin, 0.0) / (1 - begin)
    return phase.final_learning_rate + (phase.learning_rate - phase.final_learning_rate) * 0.5 * (
        1 + math.cos(math.pi * part)
    )


def hardness(phase: Phase, done: float) -> float:
    """Return the cell's hardness (egru.advance) when the share `done` (0..1) of a phase is behind."""
    part = min(done / phase.anneal_until, 1.0) if phase.anneal_until else 1.0
    return phase.anneal_from + (phase.anneal_to - phase.anneal_from) * part


def activity_weight(phase: Phase, done: float) -> float:
    """Return the weight of what activities exceed their targets, likewise."""
    rise = phase.activity_until - phase.activity_from
    part = (done - phase.activity_from) / rise if rise else float(done >= phase.activity_from)
    return phase.activity_weight * min(max(part, 0.0), 1.0)


def dropout_in(phase: Phase, epoch: int) -> Dropout:
    """Return the shares to drop in an epoch (0 is the first) of a phase."""
    grown = epoch / (phase.epochs - 1) if phase.epochs > 1 else 1.0
    part = phase.dropout_at_start + (1.0 - phase.dropout_at_start) * grown
    return Dropout(
        part * phase.dropout_words,
        part * phase.dropout_embedding,
        part * phase.dropout_between,
        part * phase.dropout_output,
        phase.dropout_recurrent,
        phase.dropout_each_step,
    )


def make_optimizer(model: nn.Module, phase: Phase) -> torch.optim.Optimizer:
    """Return AdamW; thresholds do not decay, and biases do where the phase says so."""
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        kind = name.rpartition(".")[2]
        decays = phase.decay_biases if "bias" in kind else kind != "threshold"
        (decaying if decays else others).append(parameter)
    first, second = phase.betas
    return torch.optim.AdamW(
        [{"params": decaying, "weight_decay": phase.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=phase.learning_rate,
        betas=(first, second),
        fused=True,
    )


def clip_gradients(model: EgruLanguageModel, recipe: Recipe) -> None:
    """Scale down gradients of a norm above recipe.clip: each layer's where the recipe says so, then all."""
    if recipe.clip_layers:
        for layer in model.layers:
            nn.utils.clip_grad_norm_(layer.parameters(), recipe.clip)
    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)


class WeightAverage:
    """The mean of a model's parameters over the last part of a phase (Polyak and Juditsky, 1992).

    A mean of weights with the same mask has that mask.
    """

    def __init__(self, model: nn.Module, saved: dict[str, Any] | None = None) -> None:
        """Start with no parameters, or with what `saved` returned."""
        self.names = [name for name, _ in model.named_parameters()]
        self.count = 0 if saved is None else int(saved["count"])
        self.mean: list[Tensor] = (
            []
            if saved is None
            else [saved["mean"][name].to(parameter.device) for name, parameter in model.named_parameters()]
        )

    @torch.no_grad()
    def add(self, model: nn.Module) -> None:
        """Take the present parameters into the mean."""
        present = [parameter.detach() for parameter in model.parameters()]
        self.count += 1
        if self.count == 1:
            self.mean = [parameter.clone() for parameter in present]
        else:
            torch._foreach_lerp_(self.mean, present, 1.0 / self.count)

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the model's parameters and the mean (twice: nothing has changed)."""
        if self.count:
            for parameter, mean in zip(model.parameters(), self.mean, strict=True):
                kept = parameter.clone()
                parameter.copy_(mean)
                mean.copy_(kept)

    def saved(self) -> dict[str, Any]:
        """Return all there is to it, for the run's state."""
        return {"count": self.count, "mean": dict(zip(self.names, self.mean, strict=False))}
