"""Lane-balanced pruning keeps the same number of the largest weights in every lane of every column."""

from __future__ import annotations

import pytest
import torch

from egret_training.model import EgruLanguageModel, Shape
from egret_training.pruning import DECODER, apply_masks, draw_masks, lane_balanced_mask, sparsity_at


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


@pytest.mark.parametrize("decoder, expected", [(None, 0.8), (0.5, 0.5), (0.0, 0.0)])
def test_the_decoder_can_keep_another_share_than_the_layers(decoder, expected):
    torch.manual_seed(4)
    model = EgruLanguageModel(Shape(100, 10, [20, 30]))
    masks = draw_masks(model, 0.8, 10, decoder)
    apply_masks(model, masks)
    assert (model.own_decoder_weights == 0).float().mean().item() == pytest.approx(expected, abs=1e-6)
    for layer in model.stack:
        assert (layer.recurrent_weights == 0).float().mean() >= 0.8
        assert (layer.input_weights == 0).float().mean() >= 0.8
    assert set(masks) == {
        DECODER,
        *(f"layers.{i}.{kind}_weights" for i in (0, 1) for kind in ("input", "recurrent")),
    }


def test_a_tied_decoder_is_not_pruned():
    with pytest.raises(ValueError, match="untie"):
        draw_masks(EgruLanguageModel(Shape(50, 10, [10], tied=True)), 0.8, 10)


def test_sparsity_rises_from_start_to_end_and_stays():
    values = [sparsity_at(0.2, 0.85, part / 10) for part in range(14)]
    assert values[0] == pytest.approx(0.2) and values[10] == values[13] == 0.85
    assert values[:11] == sorted(values[:11])
