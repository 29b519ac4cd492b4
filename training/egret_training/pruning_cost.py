"""What the kernel's constraints on pruning cost: perplexity, and what is fetched, in several ways."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from egret.image.columns import Columns, count_slots, encode_columns
from egret.image.layout import Layout
from egret.matrices import DECODER, Matrix
from egret_training.evaluation import perplexity
from egret_training.execution import fast_product_type
from egret_training.model import EgruLanguageModel
from egret_training.pruning import apply_masks, constraint_of, draw_masks, prunable_weights
from egret_training.recipe import KERNEL, Pruning
from egret_training.reconstruction import prune_at_a_stroke


@dataclass(frozen=True)
class PruningCost:
    """What one way to prune does, before any training."""

    way: str
    perplexity: float
    magnitude: float
    """Sum of sizes kept, as a share of all (of the weights as they were)."""
    weights: int
    escapes: int
    padding: int
    """What the entries of streamed columns are used for."""
    bytes_per_token: float
    """Of columns, with the activity of the text that the perplexity is of."""


def ways(sparsity: float, lanes: int, decoder_lanes: int) -> dict[str, Pruning]:
    """Return the ways to prune that are compared."""
    plain = Pruning(sparsity, slots=KERNEL.engines * lanes, decoder_slots=KERNEL.engines * decoder_lanes)
    found = {
        "unstructured": dataclasses.replace(plain, unstructured=True),
        "lane-balanced": plain,
        "gap-aware": dataclasses.replace(plain, gap_bits=KERNEL.gap_bits),
    }
    return found | {
        f"{way}, at a stroke": dataclasses.replace(pruning, at_a_stroke=True)
        for way, pruning in found.items()
    }


def measure_cost(
    model: EgruLanguageModel,
    way: str,
    pruning: Pruning,
    train: Tensor,
    valid: Tensor,
    frequencies: Tensor,
    decoder_weight_bits: int,
) -> PruningCost:
    """Prune a copy of `model` (with a decoder of its own), and measure it on int64 [length, streams]."""
    pruned = copy.deepcopy(model)
    before = {name: weights.detach().abs() for name, weights in prunable_weights(model).items()}
    if pruning.at_a_stroke:
        masks = prune_at_a_stroke(pruned, pruning, train, frequencies)
    else:
        masks = draw_masks(pruned, pruning, pruning.sparsity, pruning.of_decoder)
        apply_masks(pruned, masks)
    kept = sum(float((before[name] * mask).sum()) for name, mask in masks.items())
    total = sum(float(sizes.sum()) for sizes in before.values())
    activity = _activity(pruned, valid)
    weights = escapes = padding = 0
    fetched = 0.0
    for matrix, layout, part in streamed_columns(masks, pruning, decoder_weight_bits):
        counts = count_slots(part, layout)
        weights, escapes, padding = (
            weights + counts.weights,
            escapes + counts.escapes,
            padding + counts.padding,
        )
        fetched += float(np.diff(part.pointers) @ activity[matrix.source].numpy()) * layout.bus_bytes
    return PruningCost(
        way,
        perplexity(pruned, valid, fast_product_type(valid.device)),
        kept / total,
        weights,
        escapes,
        padding,
        fetched,
    )


def streamed_columns(
    masks: dict[str, Tensor], pruning: Pruning, decoder_weight_bits: int
) -> Iterator[tuple[Matrix, Layout, Columns]]:
    """Yield each engine's columns, and their format, for each matrix but the first layer's input weights.

    Those are folded into the token table. masks: which weights are not zero, bool [gates, rows, columns], by
    the matrices' names.
    """
    for name, mask in masks.items():
        matrix = Matrix.named(name)
        if matrix.folded:
            continue
        layout = dataclasses.replace(
            Layout.of(KERNEL),
            lanes=constraint_of(matrix, pruning).slots // KERNEL.engines,
            weight_bits=decoder_weight_bits if matrix.kind == DECODER else KERNEL.weight_bits,
        )
        gates = mask[matrix.column_order(mask.shape[0])].numpy().astype(np.int8)
        for part in encode_columns(gates, layout):
            yield matrix, layout, part


@torch.no_grad()
def _activity(model: EgruLanguageModel, valid: Tensor) -> list[Tensor]:
    """Return for each layer the share of steps in which each neuron fires, float64 [H]."""
    outputs, _ = model.hidden(valid, model.initial_state(valid.shape[1]), fast_product_type(valid.device))
    return [(output != 0).double().mean((0, 1)) for output in outputs]


def table(costs: list[PruningCost]) -> str:
    """Return the figures as a Markdown table."""
    rows = [
        "| pruning | perplexity | magnitude kept | entries without a weight | bytes per token |",
        "|---|---|---|---|---|",
    ]
    for found in costs:
        entries = found.weights + found.escapes + found.padding
        rows.append(
            f"| {found.way} | {found.perplexity:.1f} | {found.magnitude:.1%} "
            f"| {(entries - found.weights) / entries:.1%} | {found.bytes_per_token:,.0f} |"
        )
    return "\n".join(rows)
