"""Magnitude pruning of a whole model, each matrix for the lanes and the gap field that will read it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egret.image.layout import best_tile_rows
from egret.matrices import DECODER, Matrix
from egret_training.masks import gap_aware_mask, lane_balanced_mask, largest_mask
from egret_training.model import EgruLanguageModel
from egret_training.recipe import KERNEL, Pruning


@dataclass(frozen=True)
class Constraint:
    """What the kernel wants of a matrix."""

    matrix: Matrix
    slots: int
    """Engines times lanes."""
    gap_bits: int | None
    """None: runs of zeros may have any length."""
    anywhere: bool = False
    """The smallest weights go wherever they are: slots and gaps do not count."""


def prunable_weights(model: EgruLanguageModel) -> dict[str, Tensor]:
    """Return the weights of every layer and of the decoder by name, as [gates, rows, columns] views."""
    if model.own_decoder_weights is None:
        raise ValueError("a tied decoder cannot be pruned without the embedding: untie it first")
    return model.matrices()


def constraint_of(matrix: Matrix, pruning: Pruning) -> Constraint:
    """Return the constraint on a matrix."""
    slots, gap_bits = pruning.slots, pruning.gap_bits
    if matrix.kind == DECODER:
        slots = slots if pruning.decoder_slots is None else pruning.decoder_slots
        gap_bits = gap_bits if pruning.decoder_gap_bits is None else pruning.decoder_gap_bits
    # No column holds the folded matrix.
    return Constraint(matrix, slots, None if matrix.folded else gap_bits, pruning.unstructured)


def sparsity_of(matrix: Matrix, layers: float, decoder: float) -> float:
    """Return the share of a matrix to remove, from those of the layers and of the decoder."""
    return decoder if matrix.kind == DECODER else layers


def draw_mask(weights: Tensor, sparsity: float, constraint: Constraint) -> Tensor:
    """Return which of [gates, rows, columns] to keep under a constraint, bool of the same shape."""
    if constraint.anywhere:
        return largest_mask(weights, sparsity)
    if constraint.matrix.kind == DECODER:  # packed in tiles, whose columns are apart
        step = best_tile_rows(-(-weights.shape[1] // constraint.slots), KERNEL.logit_depth) * constraint.slots
        return torch.cat([_draw(tile, sparsity, constraint) for tile in weights.split(step, dim=1)], dim=1)
    return _draw(weights, sparsity, constraint)


def _draw(weights: Tensor, sparsity: float, constraint: Constraint) -> Tensor:
    if constraint.gap_bits is None:
        return lane_balanced_mask(weights, sparsity, constraint.slots)
    order = torch.tensor(constraint.matrix.column_order(weights.shape[0]), device=weights.device)
    ordered = gap_aware_mask(weights[order], sparsity, constraint.slots, constraint.gap_bits)
    return ordered[order.argsort()]


def draw_masks(
    model: EgruLanguageModel, pruning: Pruning, sparsity: float, decoder_sparsity: float
) -> dict[str, Tensor]:
    """Return masks for every prunable weight, bool, under the names of `prunable_weights`.

    `sparsity` and `decoder_sparsity` are the shares to remove now, which may be less than those of `pruning`.
    """
    if pruning.unstructured:
        return _largest_of_all(model, sparsity, decoder_sparsity)
    return {
        name: draw_mask(
            weights.detach(),
            sparsity_of(Matrix.named(name), sparsity, decoder_sparsity),
            constraint_of(Matrix.named(name), pruning),
        )
        for name, weights in prunable_weights(model).items()
    }


def _largest_of_all(model: EgruLanguageModel, sparsity: float, decoder_sparsity: float) -> dict[str, Tensor]:
    """Return masks that keep the largest weights of the layers, whichever matrix they are in."""
    weights = {name: values.detach().abs() for name, values in prunable_weights(model).items()}
    masks: dict[str, Tensor] = {}
    decoder = Matrix(DECODER).name
    layers = [name for name in weights if name != decoder]
    for names, share in ((layers, sparsity), ([decoder], decoder_sparsity)):
        every = torch.cat([weights[name].flatten() for name in names])
        sizes = [weights[name].numel() for name in names]
        parts = largest_mask(every, share).split(sizes)
        masks.update(
            {name: part.reshape(weights[name].shape) for name, part in zip(names, parts, strict=True)}
        )
    return masks


@torch.no_grad()
def apply_masks(model: EgruLanguageModel, masks: dict[str, Tensor]) -> None:
    """Set the weights that the masks do not keep to zero."""
    if masks:
        for name, weights in prunable_weights(model).items():
            weights.mul_(masks[name])


def sparsity_at(start: float, end: float, part: float) -> float:
    """Return the sparsity after `part` (0..1) of a ramp from `start` to `end`: a cubic, fast at first.

    (Zhu and Gupta, "To prune, or not to prune", 2017.)
    """
    return end + (start - end) * (1.0 - min(max(part, 0.0), 1.0)) ** 3
