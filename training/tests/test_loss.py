"""The fused cross-entropy has torch's value and gradients; the sampled one has them on average."""

from __future__ import annotations

import pytest
import torch

from egret_training.loss import (
    CPU_BLOCK_ROWS,
    SampledCrossEntropy,
    decoder_cross_entropy,
    sampled_cross_entropy,
)


def problem(rows, words, seed):
    """Hidden [rows, 1, 6], weights, bias, targets [rows, 1] and torch's loss of them."""
    torch.manual_seed(seed)
    hidden = torch.randn(rows, 1, 6, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(words, 6, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(words, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(words, (rows, 1))
    logits = (hidden @ weights.t() + bias).reshape(rows, words)
    return hidden, weights, bias, targets, torch.nn.functional.cross_entropy(logits, targets.reshape(rows))


def test_fused_cross_entropy_has_the_value_and_gradients_of_torch():
    hidden, weights, bias, targets, expected = problem(2 * CPU_BLOCK_ROWS + 3, 23, 7)
    found = decoder_cross_entropy(hidden, weights, bias, targets, torch.float64)
    torch.testing.assert_close(found, expected)
    for a, b in zip(
        torch.autograd.grad(found * 3, (hidden, weights, bias)),
        torch.autograd.grad(expected * 3, (hidden, weights, bias)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_a_sample_of_all_words_is_the_whole_cross_entropy():
    hidden, weights, bias, targets, expected = problem(CPU_BLOCK_ROWS + 9, 23, 8)
    found = sampled_cross_entropy(hidden, weights, bias, targets, (5, 18), torch.float64)
    torch.testing.assert_close(found, expected)
    for a, b in zip(
        torch.autograd.grad(found * 3, (hidden, weights, bias)),
        torch.autograd.grad(expected * 3, (hidden, weights, bias)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_the_sampled_sum_over_words_is_right_on_average():
    """exp(loss) times the target's exp(logit) is the sum; its mean over samples is the sum over all words."""
    hidden, weights, bias, targets, expected = problem(1, 40, 9)
    target = int(targets)
    sums = []
    with torch.no_grad():
        for seed in range(1500):
            torch.manual_seed(seed)
            loss = sampled_cross_entropy(hidden, weights, bias, targets, (10, 8), torch.float64)
            sums.append(float(torch.exp(loss)))
    found = torch.tensor(sums, dtype=torch.float64)
    error = float(found.std()) / len(sums) ** 0.5
    assert abs(float(found.mean()) - float(expected.detach().exp())) < 4 * error, f"target {target}"


@pytest.mark.parametrize("target", [2, 30])
def test_the_sampled_gradient_is_that_of_its_own_value(target):
    """Against finite differences, with the target among the frequent words and beyond the sample."""
    hidden, weights, bias, _, _ = problem(3, 40, 10)
    targets = torch.tensor([target, 1, 17])
    tail = torch.tensor([12, 17, 25, 39])

    def loss(*variables):
        return SampledCrossEntropy.apply(variables[0][:, 0], *variables[1:], targets, 10, tail, torch.float64)

    found = torch.autograd.grad(loss(hidden, weights, bias), (hidden, weights, bias))
    for index, variable in enumerate((hidden, weights, bias)):
        direction = torch.randn_like(variable)
        ends = []
        for sign in (1, -1):
            moved = [v.detach() for v in (hidden, weights, bias)]
            moved[index] = moved[index] + sign * 1e-5 * direction
            ends.append(float(loss(*moved)))
        assert float((found[index] * direction).sum()) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)
