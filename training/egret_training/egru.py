"""The EGRU layer: one step of the cell, and its fused run over a window of steps.

The cell (docs/formats.md has it in integers; the surrogate gradient is EvNN's triangle):

    z = sigmoid(Wz x + Rz y + bz)                 r = sigmoid(Wr x + Rr y + br)
    g = tanh(Wg x + bgx + r * (Rg y + bgr))       c~ = z * c + (1 - z) * g
    o = 1 where c~ > threshold, else 0            y' = o * c~        c' = c~ - o * threshold

What does not depend on the step before is taken out of the loop: the product with the inputs of a whole
window is one matrix product ahead of it, the weight gradients are one each after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Surrogate:
    """What stands for the derivative of the event indicator: EvNN's triangle around the threshold."""

    height: float = 0.7
    """At the threshold (EvNN's dampening factor)."""
    slope: float = 1.0
    """It is zero from 1 / slope off the threshold (EvNN's pseudo-derivative support is this width)."""
    jump: float | None = 0.5
    """What an event's coming is taken to add to an output; None: the cell itself, as in EvNN.

    That is true at the threshold only. Elsewhere it is too small, and for a negative cell of the wrong sign:
    the gradient then pushes away from firing a neuron whose output is wanted.
    """


class StepArithmetic(Protocol):
    """The element-wise part of a step: how sums become gates, states and events."""

    def step(
        self, inputs: Tensor, recurrent: Tensor, reset_bias: Tensor, threshold: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return z, r, g, gr, c~, o, y' (each [streams, H]).

        `inputs`: [streams, 3H], products with the inputs plus bz, br, bgx; `recurrent`: [streams, 3H],
        products with the last outputs (gates z, r, g); gr is the sum the reset gate multiplies.
        """
        ...


class FloatArithmetic:
    """The cell in plain floating point."""

    def step(
        self, inputs: Tensor, recurrent: Tensor, reset_bias: Tensor, threshold: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        neurons = cell.shape[-1]
        gates = (inputs[:, : 2 * neurons] + recurrent[:, : 2 * neurons]).sigmoid_()
        z, r = gates[:, :neurons], gates[:, neurons:]
        gr = recurrent[:, 2 * neurons :] + reset_bias
        g = torch.addcmul(inputs[:, 2 * neurons :], r, gr).tanh_()
        c = torch.lerp(g, cell, z)
        o = (c > threshold).to(c.dtype)
        return z, r, g, gr, c, o, o * c


FLOAT = FloatArithmetic()


class EgruRun(torch.autograd.Function):
    """A layer over a window, from the products with its inputs to its outputs."""

    @staticmethod
    def forward(
        ctx,
        inputs,
        recurrent_weights,
        reset_bias,
        threshold,
        output,
        cell,
        arithmetic,
        product_type,
        surrogate,
        activity_target=None,
        activity_weight=0.0,
    ):
        """Run T steps for S streams.

        inputs [T, S, 3H]: products with the layer's inputs, biases included; recurrent_weights [3H, H];
        reset_bias, threshold [H]; output, cell [S, H]: the state. `arithmetic` is a StepArithmetic,
        `product_type` the dtype of the operands of matrix products, `surrogate` a Surrogate. Returns outputs
        [T, S, H] and the new cell [S, H], which carries no gradient (windows are truncated).

        Where `activity_target` is given, the gradients are those of the loss plus
        activity_weight * max(0, a - activity_target)^2, a being the share of events among outputs.
        """
        steps, streams, neurons = inputs.shape[0], output.shape[0], output.shape[1]
        outputs = inputs.new_empty(steps + 1, streams, neurons)
        outputs[0] = output
        transposed = recurrent_weights.to(product_type).t()
        saved = inputs.new_empty(7, steps, streams, neurons)
        for t in range(steps):
            recurrent = (outputs[t].to(product_type) @ transposed).to(inputs.dtype)
            z, r, g, gr, c, o, y = arithmetic.step(inputs[t], recurrent, reset_bias, threshold, cell)
            outputs[t + 1] = y
            for slot, value in enumerate((z, r, g, gr, c, o, cell)):
                saved[slot, t] = value
            cell = torch.addcmul(c, o, threshold, value=-1)
        ctx.save_for_backward(saved, outputs, recurrent_weights, threshold)
        ctx.product_type, ctx.surrogate = product_type, surrogate
        ctx.event_cost = 0.0
        if activity_target is not None:
            excess = float(saved[5].mean()) - activity_target
            ctx.event_cost = 2.0 * activity_weight * max(0.0, excess) / saved[5].numel()
        ctx.mark_non_differentiable(cell)
        return outputs[1:], cell

    @staticmethod
    def backward(ctx, grad_outputs, _grad_cell):
        saved, outputs, recurrent_weights, threshold = ctx.saved_tensors
        weights = recurrent_weights.to(ctx.product_type)
        z, r, g, gr, c, o, before = saved.unbind(0)
        steps, streams, neurons = z.shape
        slope, jump = ctx.surrogate.slope, ctx.surrogate.jump
        # Everything that does not depend on the gradients that flow back in time, for all steps at once.
        surrogate = (c - threshold).abs_().mul_(-slope).add_(1.0).clamp_(min=0.0).mul_(ctx.surrogate.height)
        to_z = (before - g).mul_(z).mul_(1 - z)
        to_g = (1 - z).mul_(1 - g * g)
        to_r = gr.mul(r).mul_(1 - r)
        grad_sums = saved.new_empty(steps, streams, 4 * neurons)  # z, r, gr, g
        grad_threshold = torch.zeros_like(threshold)
        grad_y = grad_outputs[steps - 1]
        grad_cell = torch.zeros_like(grad_y)
        for t in range(steps - 1, -1, -1):
            to_event = grad_y * (c[t] if jump is None else jump)
            through = torch.addcmul(to_event, grad_cell, threshold, value=-1)
            through.add_(ctx.event_cost).mul_(surrogate[t])
            grad_threshold.sub_(torch.addcmul(through, grad_cell, o[t]).sum(0))
            grad_c = torch.addcmul(grad_cell, grad_y, o[t]).add_(through)
            sums = grad_sums[t]
            candidate = sums[:, 3 * neurons :]
            torch.mul(grad_c, to_g[t], out=candidate)
            torch.mul(grad_c, to_z[t], out=sums[:, :neurons])
            torch.mul(candidate, to_r[t], out=sums[:, neurons : 2 * neurons])
            torch.mul(candidate, r[t], out=sums[:, 2 * neurons : 3 * neurons])
            grad_cell = grad_c.mul_(z[t])
            # Also at t = 0: its result, the gradient of the state, is not wanted, so it is skipped there.
            if t:
                grad_y = torch.add(
                    grad_outputs[t - 1],
                    (sums[:, : 3 * neurons].to(ctx.product_type) @ weights).to(sums.dtype),
                )
        recurrent_sums = grad_sums[..., : 3 * neurons].reshape(steps * streams, 3 * neurons)
        last_outputs = outputs[:-1].reshape(steps * streams, neurons)
        grad_weights = (recurrent_sums.to(ctx.product_type).t() @ last_outputs.to(ctx.product_type)).to(
            saved.dtype
        )
        grad_inputs = torch.cat((grad_sums[..., : 2 * neurons], grad_sums[..., 3 * neurons :]), dim=-1)
        grad_bias = recurrent_sums[:, 2 * neurons :].sum(0)
        return grad_inputs, grad_weights, grad_bias, grad_threshold, *(None,) * 7


class MixedLinear(torch.autograd.Function):
    """x W^T + b, with the operands of every product in `product_type` and the rest as given."""

    @staticmethod
    def forward(ctx, x, weights, bias, product_type):
        """x [..., I], weights [O, I], bias [O] -> [..., O]."""
        flat = x.reshape(-1, x.shape[-1]).to(product_type)
        ctx.save_for_backward(flat, weights)
        ctx.product_type, ctx.shape = product_type, x.shape
        product = (flat @ weights.to(product_type).t()).to(weights.dtype)
        return product.add_(bias).reshape(*x.shape[:-1], weights.shape[0])

    @staticmethod
    def backward(ctx, grad):
        flat, weights = ctx.saved_tensors
        grad_flat = grad.reshape(-1, grad.shape[-1])
        operand = grad_flat.to(ctx.product_type)
        grad_x = (operand @ weights.to(ctx.product_type)).to(grad.dtype).reshape(ctx.shape)
        return grad_x, (operand.t() @ flat).to(grad.dtype), grad_flat.sum(0), None


class EgruLayer(nn.Module):
    """One EGRU layer of H neurons with I inputs; gates stand in the order z (keep), r (reset), g."""

    def __init__(self, inputs: int, neurons: int, gain: float = 1.5, threshold: float = 0.05) -> None:
        """Draw Glorot-uniform weights with this gain per gate; the state follows the candidate at first."""
        super().__init__()
        self.inputs, self.neurons = inputs, neurons
        self.input_weights = nn.Parameter(torch.empty(3, neurons, inputs))
        self.recurrent_weights = nn.Parameter(torch.empty(3, neurons, neurons))
        for weights in (self.input_weights, self.recurrent_weights):
            for gate in weights.data:
                nn.init.xavier_uniform_(gate, gain=gain)
        bias = torch.zeros(4, neurons)
        bias[0] = -1.0
        self.bias = nn.Parameter(bias)
        """[4, H]: z, r, gx (outside the reset gate), gr (inside it)."""
        self.threshold = nn.Parameter(torch.full((neurons,), threshold))
        self.activity_target: float | None = None
        """The share of neurons that training lets fire for free; None: any."""
        self.activity_weight = 0.0
        self.surrogate = Surrogate()

    def initial_state(self, streams: int) -> tuple[Tensor, Tensor]:
        """Return (outputs, cells) of `streams` streams at rest, [streams, H] each."""
        zeros = torch.zeros(streams, self.neurons, dtype=self.bias.dtype)
        return zeros, zeros.clone()

    def forward(
        self,
        x: Tensor,
        state: tuple[Tensor, Tensor],
        product_type: torch.dtype,
        recurrent_dropout: float = 0.0,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run a window: x [T, S, I] -> outputs [T, S, H] and the state after it (cut from the graph).

        `recurrent_dropout` is the share of recurrent weights to drop for the window.
        """
        inputs = MixedLinear.apply(
            x, self.input_weights.reshape(-1, self.inputs), self.bias[:3].reshape(-1), product_type
        )
        outputs, cell = EgruRun.apply(
            inputs,
            drop_weights(self.recurrent_weights, recurrent_dropout).reshape(-1, self.neurons),
            self.bias[3],
            self.threshold,
            *state,
            FLOAT,
            product_type,
            self.surrogate,
            self.activity_target,
            self.activity_weight,
        )
        return outputs, (outputs[-1].detach(), cell)


def drop_weights(weights: Tensor, share: float) -> Tensor:
    """Set this share of weights to zero and scale up the others (DropConnect: Wan and others, 2013)."""
    return nn.functional.dropout(weights, share) if share else weights
