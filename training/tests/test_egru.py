"""The fused layer and loss compute the same values and gradients as plain autograd."""

from __future__ import annotations

import pytest
import torch

from egret_training.egru import SURROGATE_HEIGHT, SURROGATE_SLOPE, EgruLayer
from egret_training.loss import BLOCK_ROWS, decoder_cross_entropy


class Event(torch.autograd.Function):
    """The event indicator with EvNN's triangular surrogate."""

    @staticmethod
    def forward(ctx, distance):
        ctx.save_for_backward(distance)
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, grad):
        (distance,) = ctx.saved_tensors
        return grad * SURROGATE_HEIGHT * (1 - SURROGATE_SLOPE * distance.abs()).clamp(min=0)


def plain_run(layer, x, output, cell):
    """The cell's equations, one step at a time, differentiated by autograd."""
    outputs = []
    for step in x:
        wz, wr, wg = (step @ weights.t() for weights in layer.input_weights)
        rz, rr, rg = (output @ weights.t() for weights in layer.recurrent_weights)
        bz, br, bgx, bgr = layer.bias
        z, r = torch.sigmoid(wz + rz + bz), torch.sigmoid(wr + rr + br)
        g = torch.tanh(wg + bgx + r * (rg + bgr))
        c = z * cell + (1 - z) * g
        o = Event.apply(c - layer.threshold)
        output = o * c
        cell = c - o * layer.threshold
        outputs.append(output)
    return torch.stack(outputs), cell


@pytest.mark.parametrize("seed", range(3))
def test_fused_layer_has_the_gradients_of_plain_autograd(seed):
    torch.manual_seed(seed)
    layer = EgruLayer(7, 11).double()
    with torch.no_grad():
        layer.bias.add_(torch.randn(4, 11) * 0.3)
        layer.threshold.uniform_(0.02, 0.3)
    x = torch.randn(9, 5, 7, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.rand(5, 11, dtype=torch.float64) for _ in range(2))
    weight = torch.randn(9, 5, 11, dtype=torch.float64)
    variables = [x, *layer.parameters()]

    fused, (_, fused_cell) = layer(x, state, torch.float64)
    plain, plain_cell = plain_run(layer, x, *state)
    assert 0.05 < (fused != 0).double().mean() < 0.95, f"seed {seed}: the test needs events and silence"
    torch.testing.assert_close(fused, plain, rtol=1e-12, atol=1e-12, msg=lambda m: f"seed {seed}: {m}")
    torch.testing.assert_close(fused_cell, plain_cell, rtol=1e-12, atol=1e-12)
    expected = torch.autograd.grad((plain * weight).sum(), variables)
    found = torch.autograd.grad((fused * weight).sum(), variables)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11, msg=lambda m: f"seed {seed}: {m}")


def test_half_precision_products_stay_close_to_the_exact_gradient():
    torch.manual_seed(5)
    layer = EgruLayer(40, 60)
    x = torch.randn(12, 8, 40)
    weight = torch.randn(12, 8, 60)
    gradients = []
    for product_type in (torch.float32, torch.bfloat16):
        layer.zero_grad()
        outputs, _ = layer(x, layer.initial_state(8), product_type)
        (outputs * weight).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in layer.parameters()]))
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.98


def test_fused_cross_entropy_has_the_value_and_gradients_of_torch():
    torch.manual_seed(7)
    rows = 2 * BLOCK_ROWS + 3
    hidden = torch.randn(rows, 1, 6, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(23, 6, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(23, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(23, (rows, 1))
    found = decoder_cross_entropy(hidden, weights, bias, targets, torch.float64)
    logits = (hidden @ weights.t() + bias).reshape(rows, 23)
    expected = torch.nn.functional.cross_entropy(logits, targets.reshape(rows))
    torch.testing.assert_close(found, expected)
    for a, b in zip(
        torch.autograd.grad(found * 3, (hidden, weights, bias)),
        torch.autograd.grad(expected * 3, (hidden, weights, bias)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)
