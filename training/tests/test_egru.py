"""The fused layer computes the same values and gradients as plain autograd."""

from __future__ import annotations

import pytest
import torch

from egret_training.egru import EgruLayer, Surrogate


class Event(torch.autograd.Function):
    """The event indicator with EvNN's triangular surrogate."""

    @staticmethod
    def forward(ctx, distance, surrogate):
        ctx.save_for_backward(distance)
        ctx.surrogate = surrogate
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, grad):
        (distance,) = ctx.saved_tensors
        height, slope = ctx.surrogate.height, ctx.surrogate.slope
        return grad * height * (1 - slope * distance.abs()).clamp(min=0), None


class Scaled(torch.autograd.Function):
    """o * c, of which an event's coming is taken to add the surrogate's jump."""

    @staticmethod
    def forward(ctx, event, cell, jump):
        ctx.save_for_backward(event, cell)
        ctx.jump = jump
        return event * cell

    @staticmethod
    def backward(ctx, grad):
        event, cell = ctx.saved_tensors
        return grad * (cell if ctx.jump is None else ctx.jump), grad * event, None


def plain_run(layer, x, output, cell):
    """The cell's equations, one step at a time, differentiated by autograd."""
    hardness = 1.0 if layer.hardness is None else layer.hardness
    outputs, events = [], []
    for step in x:
        wz, wr, wg = (step @ weights.t() for weights in layer.input_weights)
        rz, rr, rg = (output @ weights.t() for weights in layer.recurrent_weights)
        bz, br, bgx, bgr = layer.bias
        z, r = torch.sigmoid(wz + rz + bz), torch.sigmoid(wr + rr + br)
        g = torch.tanh(wg + bgx + r * (rg + bgr))
        c = z * cell + (1 - z) * g
        o = Event.apply(c - layer.threshold, layer.surrogate)
        output = hardness * Scaled.apply(o, c, layer.surrogate.jump) + (1 - hardness) * c
        events.append(o)
        cell = c - hardness * o * layer.threshold
        outputs.append(output)
    return torch.stack(outputs), cell, torch.stack(events)


@pytest.mark.parametrize("hardness", [None, 0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("seed, surrogate", [(0, Surrogate()), (2, Surrogate(0.5, 2.0, None))])
def test_fused_layer_has_the_gradients_of_plain_autograd(seed, surrogate, hardness):
    torch.manual_seed(seed)
    layer = EgruLayer(7, 11).double()
    layer.surrogate = surrogate
    layer.hardness = None if hardness is None else torch.tensor(hardness, dtype=torch.float64)
    with torch.no_grad():
        layer.bias.add_(torch.randn(4, 11) * 0.3)
        layer.threshold.uniform_(0.02, 0.3)
    x = torch.randn(9, 5, 7, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.rand(5, 11, dtype=torch.float64) for _ in range(2))
    weight = torch.randn(9, 5, 11, dtype=torch.float64)
    variables = [x, *layer.parameters()]

    fused, (_, fused_cell) = layer(x, state, torch.float64)
    plain, plain_cell, _ = plain_run(layer, x, *state)
    share = (fused > layer.threshold).double().mean()
    assert 0.05 < share < 0.95, f"seed {seed}: the test needs events and silence"
    torch.testing.assert_close(fused, plain, rtol=1e-12, atol=1e-12, msg=lambda m: f"seed {seed}: {m}")
    torch.testing.assert_close(fused_cell, plain_cell, rtol=1e-12, atol=1e-12)
    expected = torch.autograd.grad((plain * weight).sum(), variables)
    found = torch.autograd.grad((fused * weight).sum(), variables)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11, msg=lambda m: f"seed {seed}: {m}")


def test_a_layer_of_hardness_0_is_torchs_gru():
    torch.manual_seed(3)
    layer = EgruLayer(7, 11).double()
    layer.hardness = torch.zeros((), dtype=torch.float64)
    torch.nn.init.normal_(layer.bias)
    gru = torch.nn.GRU(7, 11).double()
    theirs = dict(gru.named_parameters())
    order = [1, 0, 2]  # torch has r, z, n
    with torch.no_grad():
        theirs["weight_ih_l0"].copy_(layer.input_weights[order].reshape(33, 7))
        theirs["weight_hh_l0"].copy_(layer.recurrent_weights[order].reshape(33, 11))
        theirs["bias_ih_l0"].copy_(layer.bias[order].reshape(33))
        theirs["bias_hh_l0"].zero_()[22:] = layer.bias[3]
    x = torch.randn(9, 5, 7, dtype=torch.float64)
    start = torch.rand(5, 11, dtype=torch.float64)
    found, (_, cell) = layer(x, (start, start), torch.float64)
    expected, after = gru(x, start[None])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(cell, after[0], rtol=1e-12, atol=1e-12)


def test_a_layer_of_hardness_1_is_the_egru_bit_for_bit():
    torch.manual_seed(4)
    layer = EgruLayer(7, 11)
    x, weight = torch.randn(9, 5, 7), torch.randn(9, 5, 11)
    found = []
    for hardness in (None, torch.ones(())):
        layer.hardness = hardness
        outputs, (_, cell) = layer(x, layer.initial_state(5), torch.float32)
        found.append(
            [outputs, cell, *torch.autograd.grad((outputs * weight).sum(), list(layer.parameters()))]
        )
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize("seed", range(2))
def test_the_activity_regulariser_has_the_gradient_of_its_formula(seed):
    torch.manual_seed(seed)
    layer = EgruLayer(5, 12).double()
    x = torch.randn(7, 4, 5, dtype=torch.float64)
    state = tuple(torch.rand(4, 12, dtype=torch.float64) for _ in range(2))
    weight = torch.randn(7, 4, 12, dtype=torch.float64)
    plain, _, events = plain_run(layer, x, *state)
    for target in (0.1, 0.9):
        layer.activity_target, layer.activity_weight = target, 3.0
        fused, _ = layer(x, state, torch.float64)
        penalty = 3.0 * (events.mean() - target).clamp(min=0) ** 2
        expected = torch.autograd.grad(
            (plain * weight).sum() + penalty, list(layer.parameters()), retain_graph=True
        )
        found = torch.autograd.grad((fused * weight).sum(), list(layer.parameters()))
        assert (float(penalty.detach()) > 0) == (target < 0.5), (
            f"seed {seed}: the test needs activity between"
        )
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12, msg=lambda m: f"seed {seed}: {m}")


def test_half_precision_products_stay_close_to_the_exact_gradient():
    torch.manual_seed(5)
    layer = EgruLayer(40, 60)
    x = torch.randn(12, 8, 40)
    weight = torch.randn(12, 8, 60)
    gradients = []
    for product_type in (torch.float32, torch.bfloat16):
        outputs, _ = layer(x, layer.initial_state(8), product_type)
        found = torch.autograd.grad((outputs * weight).sum(), list(layer.parameters()))
        gradients.append(torch.cat([gradient.flatten() for gradient in found]))
    exact, close = gradients
    assert torch.nn.functional.cosine_similarity(exact, close, dim=0) > 0.98
