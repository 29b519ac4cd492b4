"""Masks keep the same number of weights in every lane of a column, and leave no gap too long for an entry."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from egret.image.columns import count_slots, encode_columns
from egret.image.layout import Layout
from egret_training.masks import gap_aware_mask, kept_per_strip, lane_balanced_mask


def per_lane(mask, slots):
    """Count kept weights by slot and column, over gates."""
    return torch.stack([mask[:, slot::slots].sum(dim=(0, 1)) for slot in range(slots)])


@pytest.mark.parametrize(
    "gates, rows, columns, slots, sparsity",
    [
        (3, 480, 17, 10, 0.85),
        (1, 1003, 9, 10, 0.85),
        (3, 25, 6, 10, 0.5),
        (3, 8, 5, 2, 0.99),
        (1, 40, 3, 7, 1.0),
    ],
)
def test_every_lane_of_a_column_keeps_the_same_number(gates, rows, columns, slots, sparsity):
    torch.manual_seed(rows)
    weights = torch.randn(gates, rows, columns)
    mask = lane_balanced_mask(weights, sparsity, slots)
    counts = per_lane(mask, slots)
    assert (counts == counts[0, 0]).all()
    assert 1 - mask.float().mean() >= sparsity - 1e-6
    # One more in each lane would leave less than the sparsity asked for.
    assert (int(counts[0, 0]) + 1) * slots > (1 - sparsity) * gates * rows - 1e-6


def test_a_lane_keeps_its_largest_weights():
    torch.manual_seed(3)
    weights = torch.randn(3, 40, 8)
    mask = lane_balanced_mask(weights, 0.7, 10)
    for slot in range(10):
        for column in range(8):
            sizes, kept = weights[:, slot::10, column].abs(), mask[:, slot::10, column]
            assert sizes[kept].min() > sizes[~kept].max()


def test_no_sparsity_keeps_everything():
    assert lane_balanced_mask(torch.zeros(3, 7, 5), 0.0, 10).all()


def slots_of(mask, lanes, gap_bits):
    """What the entries of a mask are used for, with two engines and all weights kept being 1."""
    layout = Layout(
        engines=2, lanes=lanes, bus_bytes=8, weight_bits=4, gap_bits=gap_bits, accumulator_bits=28
    )
    counts = [count_slots(part, layout) for part in encode_columns(mask.numpy().astype(np.int8), layout)]
    return [sum(getattr(count, kind) for count in counts) for kind in ("weights", "escapes", "padding")]


@pytest.mark.parametrize(
    "gates, rows, columns, lanes, gap_bits, sparsity",
    [
        (3, 480, 7, 5, 4, 0.85),
        (3, 101, 9, 5, 4, 0.85),  # the last group of rows is not full
        (1, 1000, 9, 8, 4, 0.85),
        (1, 1000, 9, 8, 3, 0.8),
        (1, 1000, 9, 8, 3, 0.3),
        (3, 200, 5, 5, 2, 0.7),
        (1, 640, 5, 8, 3, 0.97),  # too few to reach the end
    ],
)
def test_every_entry_of_a_gap_aware_column_holds_a_weight(gates, rows, columns, lanes, gap_bits, sparsity):
    torch.manual_seed(rows)
    weights = torch.randn(gates, rows, columns)
    mask = gap_aware_mask(weights, sparsity, 2 * lanes, gap_bits)
    kept = kept_per_strip(gates, rows, sparsity, 2 * lanes)
    assert (per_lane(mask, 2 * lanes) == kept).all()
    assert slots_of(mask, lanes, gap_bits) == [int(mask.sum()), 0, 0]
    plain = lane_balanced_mask(weights, sparsity, 2 * lanes)
    if sparsity > 0.5:
        assert slots_of(plain, lanes, gap_bits)[1] > 0


def test_gap_aware_pruning_keeps_nearly_as_much_as_any_choice_could():
    torch.manual_seed(12)
    shortfalls = []
    for _ in range(20):
        weights = torch.randn(1, 12, 1)
        mask = gap_aware_mask(weights, 1 - 5 / 12, 1, 2)  # 5 of 12, steps of at most 4
        best = max(
            float(weights[0, list(rows), 0].abs().sum())
            for rows in itertools.combinations(range(12), 5)
            if all(b - a <= 4 for a, b in zip((-1, *rows), rows, strict=False))
        )
        found = float(weights[mask].abs().sum())
        assert found <= best * (1 + 1e-6)
        shortfalls.append(1 - found / best)
    assert np.mean(shortfalls) < 0.03 and np.median(shortfalls) < 1e-6


def test_gap_aware_pruning_costs_little_magnitude_at_85_percent():
    torch.manual_seed(13)
    weights = torch.randn(3, 480, 12)
    masks = [lane_balanced_mask(weights, 0.85, 10), gap_aware_mask(weights, 0.85, 10, 4)]
    plain, aware = (float((weights * mask).abs().sum()) for mask in masks)
    assert 0.98 * plain < aware < plain
