"""Lane-balanced magnitude pruning: every lane of the kernel gets the same number of weights of a column.

Row j of a layer or of the decoder belongs to slot j mod slots, slots = engines * lanes (docs/formats.md,
section 3). A column takes as many bus beats as its fullest lane has entries, so weights that are spread
evenly cost the fewest cycles.
"""

from __future__ import annotations

import torch
from torch import Tensor

from egret_training.model import EgruLanguageModel

DECODER = "own_decoder_weights"


def lane_balanced_mask(weights: Tensor, sparsity: float, slots: int) -> Tensor:
    """Return which weights to keep, bool of the shape of `weights` [gates, rows, columns].

    In each column, each slot keeps the same number of its largest weights: the gates of a slot's rows count
    together, as they share the slot's memory. The number is the largest with which at least `sparsity` of
    the weights go; where `rows` is no multiple of `slots`, at most what the smallest slot has.
    """
    gates, rows, columns = weights.shape
    groups = -(-rows // slots)
    keep = min(int((1.0 - sparsity) * gates * rows / slots + 1e-9), gates * (rows // slots))
    if sparsity <= 0.0:
        return torch.ones_like(weights, dtype=torch.bool)
    # Padding has size -1 and is never kept.
    sizes = weights.new_full((gates, groups * slots, columns), -1.0)
    sizes[:, :rows] = weights.detach().abs()
    by_slot = (
        sizes.reshape(gates, groups, slots, columns)
        .permute(2, 3, 0, 1)
        .reshape(slots, columns, gates * groups)
    )
    chosen = torch.zeros_like(by_slot, dtype=torch.bool)
    chosen.scatter_(2, by_slot.topk(keep, dim=2).indices, True)
    mask = (
        chosen.reshape(slots, columns, gates, groups)
        .permute(2, 3, 0, 1)
        .reshape(gates, groups * slots, columns)
    )
    return mask[:, :rows].contiguous()


def prunable_weights(model: EgruLanguageModel) -> dict[str, Tensor]:
    """Return the weights of every layer and of the decoder by name, as [gates, rows, columns] views."""
    found: dict[str, Tensor] = {}
    for index, layer in enumerate(model.stack):
        found[f"layers.{index}.input_weights"] = layer.input_weights
        found[f"layers.{index}.recurrent_weights"] = layer.recurrent_weights
    if model.own_decoder_weights is None:
        raise ValueError("a tied decoder cannot be pruned without the embedding: untie it first")
    found[DECODER] = model.own_decoder_weights.unsqueeze(0)
    return found


def draw_masks(
    model: EgruLanguageModel, sparsity: float, slots: int, decoder_sparsity: float | None = None
) -> dict[str, Tensor]:
    """Return lane-balanced masks for every prunable weight, bool, under the names of `prunable_weights`.

    `decoder_sparsity` is the decoder's own share, `sparsity` where None.
    """
    own = {DECODER: sparsity if decoder_sparsity is None else decoder_sparsity}
    return {
        name: lane_balanced_mask(weights.detach(), own.get(name, sparsity), slots)
        for name, weights in prunable_weights(model).items()
    }


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
