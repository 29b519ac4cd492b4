"""MACs by matrix add up to what the reference counts, and the paper's counts to the paper's figures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from egret_training.evaluation import evaluate_reference
from egret_training.export import to_checkpoint
from egret_training.macs import InputEvents, mac_table, section_macs
from egret_training.model import EgruLanguageModel, Shape
from egret_training.pruning import apply_masks, draw_masks
from egret_training.quantized_model import QuantizedEgruLanguageModel
from egret_training.recipe import Pruning


def checkpoint_of(seed, sparsity):
    torch.manual_seed(seed)
    model = QuantizedEgruLanguageModel.of(EgruLanguageModel(Shape(97, 19, [30, 21])))
    apply_masks(model, draw_masks(model, Pruning(sparsity, slots=2), sparsity, sparsity))
    return to_checkpoint(model, [f"w{i}" for i in range(97)], "test", {})


def test_counted_macs_are_those_of_the_reference_exactly():
    checkpoint = checkpoint_of(1, 0.6)
    tokens = torch.from_numpy(np.random.default_rng(1).integers(97, size=400))
    figures = evaluate_reference(checkpoint, tokens)
    assert figures.events is not None
    sections = section_macs(checkpoint.matrices(), figures.events)
    counted = sum(macs["both_sparse"] for name, macs in sections.items() if name != "layer0.input_weights")
    assert counted == pytest.approx(figures.macs_per_token, rel=1e-12)
    table = mac_table(checkpoint.matrices(), figures.events)
    assert table["egret"]["both_sparse"] == pytest.approx(counted, abs=0.05)
    assert table["egret"]["dense"] == 3 * 30 * 30 + 3 * 21 * (30 + 21) + 97 * 21
    assert table["paper"]["dense"] == 3 * 30 * (19 + 30) + 3 * 21 * (30 + 21)
    for count in table.values():
        assert count["both_sparse"] < min(count["weight_sparse"], count["activity_sparse"]) < count["dense"]


def test_ways_are_products_where_activity_and_weights_are_uniform():
    """Every neuron fires in every second step, and half of the weights of each column are zero."""
    checkpoint = checkpoint_of(2, 0.5)
    half = [np.full(size, 50, dtype=np.int64) for size in (30, 21)]
    for macs in section_macs(checkpoint.matrices(), InputEvents(100, half, half)).values():
        assert macs["both_sparse"] == pytest.approx(macs["both_predicted"])
        assert macs["activity_sparse"] in (macs["dense"] / 2, macs["dense"])
