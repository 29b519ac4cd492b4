"""The GRU and LSTM layers train in the same pipeline as the EGRU: same interface, pruning included."""

from __future__ import annotations

import pytest
import torch

from egret_training.cells import TorchLayer
from egret_training.egru import FLOAT, EgruLayer, EgruRun, Surrogate
from egret_training.execution import fast_product_type
from egret_training.model import EgruLanguageModel, Shape
from egret_training.pruning import apply_masks, draw_masks
from egret_training.recipe import Pruning


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_windows_follow_one_another_as_one_long_window(cell):
    torch.manual_seed(1)
    layer = TorchLayer(cell, 6, 9)
    x = torch.randn(10, 3, 6)
    whole, (output, after) = layer(x, layer.initial_state(3), torch.float32)
    first, state = layer(x[:4], layer.initial_state(3), torch.float32)
    second, (output_again, after_again) = layer(x[4:], state, torch.float32)
    torch.testing.assert_close(torch.cat((first, second)), whole)
    torch.testing.assert_close((output_again, after_again), (output, after))
    expected, _ = layer.network(x)
    torch.testing.assert_close(whole, expected)


@pytest.mark.parametrize("cell, gates", [("gru", 3), ("lstm", 4)])
def test_a_baseline_model_learns_and_is_pruned(cell, gates):
    torch.manual_seed(2)
    model = EgruLanguageModel(Shape(30, 12, [16, 12], cell=cell))
    assert model.stack[0].input_weights.shape == (gates, 16, 12)
    masks = draw_masks(model, Pruning(0.5, slots=2), 0.5, 0.5)
    apply_masks(model, masks)
    assert (model.stack[1].recurrent_weights == 0).float().mean() >= 0.5
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    tokens = torch.arange(20)[:, None].repeat(1, 4)
    # (bfloat16 where the processor has it, as a run of training would)
    product_type, losses = fast_product_type(torch.device("cpu")), []
    for _ in range(60):
        loss, _, _ = model(tokens, tokens + 1, model.initial_state(4), product_type)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        apply_masks(model, masks)
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0]
    assert (model.stack[1].recurrent_weights == 0).float().mean() >= 0.5


def test_an_egru_that_always_fires_without_threshold_is_a_gru():
    """With thresholds of minus infinity every cell is an output: the GRU of cuDNN, as torch has it."""
    torch.manual_seed(3)
    egru, gru = EgruLayer(5, 8), torch.nn.GRU(5, 8)
    with torch.no_grad():
        egru.bias.normal_()
        egru.threshold.zero_()
        # torch has the gates r, z, n.
        theirs = dict(gru.named_parameters())
        theirs["weight_ih_l0"].copy_(egru.input_weights[[1, 0, 2]].reshape(24, -1))
        theirs["weight_hh_l0"].copy_(egru.recurrent_weights[[1, 0, 2]].reshape(24, -1))
        theirs["bias_ih_l0"].copy_(egru.bias[[1, 0, 2]].flatten())
        theirs["bias_hh_l0"].copy_(torch.cat((torch.zeros(16), egru.bias[3])))
    x = torch.randn(7, 2, 5)

    class AlwaysFires:
        """The float cell, with every neuron firing."""

        def step(self, *arguments):
            z, r, g, gr, c, o, _ = FLOAT.step(*arguments)
            return z, r, g, gr, c, torch.ones_like(o), c

    inputs = x @ egru.input_weights.reshape(24, 5).t() + egru.bias[:3].flatten()
    outputs, _ = EgruRun.apply(
        inputs,
        egru.recurrent_weights.reshape(24, 8),
        egru.bias[3],
        egru.threshold,
        *egru.initial_state(2),
        AlwaysFires(),
        torch.float32,
        Surrogate(),
    )
    torch.testing.assert_close(outputs, gru(x)[0])
