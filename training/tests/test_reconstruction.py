"""Pruning at a stroke: the mended products are closer to the original's than those of plain pruning."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from egret.matrices import DECODER, INPUT, Matrix
from egret_training import data, reconstruction
from egret_training.execution import fast_product_type
from egret_training.model import EgruLanguageModel, Shape
from egret_training.pruning import Constraint, draw_mask, prunable_weights
from egret_training.recipe import Pruning
from egret_training.reconstruction import input_moments, prune_and_mend, prune_at_a_stroke

CONSTRAINT = Constraint(Matrix(INPUT, 1), slots=4, gap_bits=3)


def correlated_inputs(seed, count=3000, width=40):
    torch.manual_seed(seed)
    return torch.randn(count, 12) @ torch.randn(12, width) + 0.3 * torch.randn(count, width)


@pytest.mark.parametrize("seed", [1, 2])
def test_mended_products_are_closer_than_plainly_pruned_ones(seed):
    x = correlated_inputs(seed)
    weights = torch.randn(3, 80, 40)
    mended = weights.clone()
    mask = prune_and_mend(mended, (x.t() @ x).double() / len(x), 0.8, CONSTRAINT)
    plain = weights * draw_mask(weights, 0.8, CONSTRAINT)
    assert torch.equal(mended != 0, mask)
    assert (mask.sum((0, 1)) == int(mask.sum()) // 40).all()
    errors = [float(((w - weights).reshape(240, 40) @ x.t()).square().mean()) for w in (plain, mended)]
    assert errors[1] < 0.7 * errors[0], f"seed {seed}"


def test_weights_that_may_go_anywhere_leave_smaller_errors():
    x = correlated_inputs(5)
    moments = (x.t() @ x).double() / len(x)
    weights = torch.randn(3, 80, 40)
    errors = []
    for constraint in (CONSTRAINT, replace(CONSTRAINT, gap_bits=None, anywhere=True)):
        mended = weights.clone()
        mask = prune_and_mend(mended, moments, 0.8, constraint)
        assert float(mask.float().mean()) == pytest.approx(0.2, abs=0.002)
        errors.append(float(((mended - weights).reshape(240, 40) @ x.t()).square().mean()))
    assert errors[1] < errors[0]
    kept = mask.sum((0, 1))
    assert kept.min() < kept.max()  # columns need not be alike


def test_what_makes_up_for_one_column_is_the_least_squares_solution():
    """Rows 0..3 lose their weight of the column that is used most, and nothing else."""
    x = correlated_inputs(3, width=6)
    x[:, 2] *= 10
    weights = torch.randn(1, 8, 6)
    weights[0, :4, 2] *= 1e-3
    moments = (x.t() @ x).double() / len(x)
    mended = weights.clone()
    only_first = torch.ones(1, 8, 6, dtype=torch.bool)
    only_first[0, :4, 2] = False

    def chosen(sizes, _sparsity, _constraint):
        # In the order of use: column 2 comes first.
        mask = torch.ones_like(sizes, dtype=torch.bool)
        mask[0, :4, 0] = False
        return mask

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconstruction, "draw_mask", chosen)
        patch.setattr(reconstruction, "DAMPING", 0.0)
        mask = prune_and_mend(mended, moments, 0.5, CONSTRAINT)
    assert torch.equal(mask, only_first)
    others = [0, 1, 3, 4, 5]
    wanted = x.double() @ weights[0].double().t()
    expected = torch.linalg.lstsq(x[:, others].double(), wanted[:, :4]).solution.t().float()
    torch.testing.assert_close(mended[0, :4][:, others], expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(mended[0, 4:], weights[0, 4:])


def test_more_important_rows_keep_more_weights():
    x = correlated_inputs(4)
    weights = torch.randn(1, 200, 40)
    importance = torch.where(torch.arange(200) < 100, 1.0, 0.01)
    mask = prune_and_mend(
        weights, (x.t() @ x).double() / len(x), 0.8, Constraint(Matrix(DECODER), 4, None), importance
    )
    assert mask[0, :100].float().mean() > 0.35 and mask[0, 100:].float().mean() < 0.05


def test_moments_are_those_of_what_each_matrix_multiplies():
    torch.manual_seed(5)
    model = EgruLanguageModel(Shape(50, 7, [9, 8]))
    streams = torch.randint(50, (81, 3))
    moments = input_moments(model, streams, 80)
    outputs, _ = model.hidden(streams[:80], model.initial_state(3), fast_product_type(streams.device))
    x = model.embedding[streams[:80]].reshape(-1, 7).double()
    torch.testing.assert_close(moments["layer0.input_weights"], x.t() @ x / len(x))
    for names, output in (
        (("layer0.recurrent_weights", "layer1.input_weights"), outputs[0]),
        (("layer1.recurrent_weights", "decoder_weights"), outputs[1]),
    ):
        y = output.reshape(240, -1).double()
        for name in names:
            torch.testing.assert_close(moments[name], y.t() @ y / 240, rtol=1e-4, atol=1e-6)


def test_a_whole_model_is_pruned_to_what_the_recipe_says():
    torch.manual_seed(6)
    model = EgruLanguageModel(Shape(400, 16, [24, 20]))
    pruning = Pruning(0.75, decoder_sparsity=0.8, slots=4, gap_bits=4, decoder_slots=8, at_a_stroke=True)
    text = torch.randint(400, (4000,))
    masks = prune_at_a_stroke(model, pruning, data.streams(text, 8), torch.full((400,), 1 / 400), steps=64)
    for name, weights in prunable_weights(model).items():
        assert (weights == 0).float().mean() >= (0.8 if name == "decoder_weights" else 0.75)
        assert not weights[~masks[name]].any()
