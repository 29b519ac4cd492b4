"""Pruning a model: every matrix for the lanes that read it, the decoder apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from egret.image.columns import count_slots, encode_columns
from egret.image.layout import Layout
from egret_training.masks import kept_per_strip
from egret_training.model import EgruLanguageModel, Shape
from egret_training.pruning import apply_masks, draw_masks, prunable_weights, sparsity_at
from egret_training.recipe import Pruning


@pytest.mark.parametrize("decoder, expected", [(None, 0.8), (0.5, 0.5), (0.0, 0.0)])
def test_the_decoder_can_keep_another_share_than_the_layers(decoder, expected):
    torch.manual_seed(4)
    model = EgruLanguageModel(Shape(100, 10, [20, 30]))
    pruning = Pruning(0.8, decoder)
    masks = draw_masks(model, pruning, 0.8, pruning.of_decoder)
    apply_masks(model, masks)
    assert model.own_decoder_weights is not None
    assert model.own_decoder_weights.eq(0).float().mean().item() == pytest.approx(expected, abs=1e-6)
    for layer in model.stack:
        assert (layer.recurrent_weights == 0).float().mean() >= 0.8
        assert (layer.input_weights == 0).float().mean() >= 0.8
    assert set(masks) == {
        "decoder_weights",
        *(f"layer{i}.{kind}_weights" for i in (0, 1) for kind in ("input", "recurrent")),
    }


def test_streamed_matrices_have_no_wasted_entries():
    """In the order of rows that columns have, with the decoder on lanes of its own."""
    torch.manual_seed(6)
    model = EgruLanguageModel(Shape(800, 16, [60, 50]))
    pruning = Pruning(0.85, slots=4, gap_bits=4, decoder_slots=16, decoder_gap_bits=3, decoder_sparsity=0.8)
    masks = draw_masks(model, pruning, 0.85, pruning.of_decoder)
    for name, mask in masks.items():
        if name == "layer0.input_weights":
            continue  # folded: not in columns
        gates = mask.numpy().astype(np.int8)
        if name.endswith("input_weights"):
            gates = gates[[2, 0, 1]]
        lanes, gap_bits = (8, 3) if name == "decoder_weights" else (2, 4)
        layout = Layout(2, lanes, 8, 4, gap_bits, 28)
        for part in encode_columns(gates, layout):
            counts = count_slots(part, layout)
            assert counts.weights and not counts.escapes and not counts.padding, name


@pytest.mark.parametrize("cell, gates", [("gru", 3), ("lstm", 4)])
def test_other_cells_are_pruned_under_the_same_constraints(cell, gates):
    torch.manual_seed(8)
    model = EgruLanguageModel(Shape(60, 16, [40, 30], cell=cell))
    pruning = Pruning(0.8, slots=5, gap_bits=4)
    masks = draw_masks(model, pruning, 0.8, pruning.of_decoder)
    for name, weights in prunable_weights(model).items():
        assert masks[name].shape == weights.shape
        if name != "decoder_weights":
            assert weights.shape[0] == gates
            # Every gate keeps weights, the last one too, and every strip as many as it may.
            assert masks[name].any(dim=2).any(dim=1).all(), name
            kept = kept_per_strip(gates, weights.shape[1], 0.8, 5) * 5 * weights.shape[2]
            assert int(masks[name].sum()) == kept, name


def test_unstructured_pruning_keeps_the_largest_of_all_layers():
    torch.manual_seed(7)
    model = EgruLanguageModel(Shape(60, 10, [20, 15]))
    with torch.no_grad():
        model.stack[0].recurrent_weights.mul_(10)
    masks = draw_masks(model, Pruning(0.6, 0.5, unstructured=True), 0.6, 0.5)
    layers = [name for name in masks if name != "decoder_weights"]
    weights = {name: values.detach().abs() for name, values in prunable_weights(model).items()}
    kept = torch.cat([weights[name][masks[name]] for name in layers])
    removed = torch.cat([weights[name][~masks[name]] for name in layers])
    assert kept.min() > removed.max()
    assert removed.numel() / (kept.numel() + removed.numel()) == pytest.approx(0.6, abs=1e-3)
    assert masks["layer0.recurrent_weights"].float().mean() > 0.9
    assert masks["decoder_weights"].float().mean() == pytest.approx(0.5, abs=1e-3)


def test_a_tied_decoder_is_not_pruned():
    with pytest.raises(ValueError, match="untie"):
        draw_masks(EgruLanguageModel(Shape(50, 10, [10], tied=True)), Pruning(0.8), 0.8, 0.8)


def test_sparsity_rises_from_start_to_end_and_stays():
    values = [sparsity_at(0.2, 0.85, part / 10) for part in range(14)]
    assert values[0] == pytest.approx(0.2) and values[10] == values[13] == 0.85
    assert values[:11] == sorted(values[:11])
