"""The EGRU layer: one step of the cell, and its fused run over a window of steps.

The cell (docs/formats.md has it in integers; the surrogate gradient is EvNN's triangle):

    z = sigmoid(Wz x + Rz y + bz)                 r = sigmoid(Wr x + Rr y + br)
    g = tanh(Wg x + bgx + r * (Rg y + bgr))       c~ = z * c + (1 - z) * g
    o = 1 where c~ > threshold, else 0            y' = o * c~        c' = c~ - o * threshold

What does not depend on the step before is taken out of the loop: the product with the inputs of a whole
window is one matrix product ahead of it, the weight gradients are one each after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
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


def advance(
    arithmetic: StepArithmetic,
    inputs: Tensor,
    product: Tensor,
    reset_bias: Tensor,
    threshold: Tensor,
    cell: Tensor,
    hardness: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Return what a step makes of the product with the last outputs, [streams, 3H].

    That is z, r, g, gr, c~, o, y' (see StepArithmetic), the new cell, and y' in the product's dtype. With
    `hardness`, a scalar l in 0..1, they are those of a cell between the GRU and the EGRU:

        y' = (l * o + 1 - l) * c~        c' = c~ - l * o * threshold

    At 0 that is the GRU, at 1 (which None stands for) the EGRU.
    """
    z, r, g, gr, c, o, y = arithmetic.step(inputs, product.to(inputs.dtype), reset_bias, threshold, cell)
    reset = o
    if hardness is not None:
        y, reset = torch.lerp(c, y, hardness), o * hardness
    return z, r, g, gr, c, o, y, torch.addcmul(c, reset, threshold, value=-1), y.to(product.dtype)


def retreat(
    grad_output: Tensor,
    product: Tensor,
    grad_cell: Tensor,
    grad_threshold: Tensor,
    kept: tuple[Tensor, ...],
    threshold: Tensor,
    surrogate: Surrogate,
    event_cost: Tensor | float,
    hardness: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Return what a step back makes of the gradients of its output and new cell, [streams, H] each.

    `product` is the part of the output's gradient that came by the recurrent weights, `kept` the step's z, r,
    g, gr, c~, o and the cell before it. Returns the gradients of the sums of z, r, gr and g, the first three
    once more side by side in the product's dtype, and the gradients of the cell and (summed up) threshold.
    """
    z, r, g, gr, c, o, before = kept
    to_event = (c - threshold).abs_().mul_(-surrogate.slope).add_(1.0).clamp_(min=0.0).mul_(surrogate.height)
    to_z = (before - g).mul_(z).mul_(1 - z)
    to_g = (1 - z).mul_(1 - g * g)
    to_r = gr.mul(r).mul_(1 - r)
    grad_y = grad_output + product.to(grad_output.dtype)
    through = grad_y * (c if surrogate.jump is None else surrogate.jump)
    through.addcmul_(grad_cell, threshold, value=-1)
    reset, slope = o, o
    if hardness is not None:
        through.mul_(hardness)
        reset = o * hardness
        slope = reset + (1 - hardness)
    through.add_(event_cost).mul_(to_event)
    grad_threshold = grad_threshold - torch.addcmul(through, grad_cell, reset).sum(0)
    grad_c = torch.addcmul(grad_cell, grad_y, slope).add_(through)
    of_g = to_g.mul_(grad_c)
    of_z, of_r, of_gr = to_z.mul_(grad_c), to_r.mul_(of_g), of_g * r
    operand = torch.cat([of_sum.to(product.dtype) for of_sum in (of_z, of_r, of_gr)], dim=1)
    return of_z, of_r, of_gr, of_g, operand, grad_c.mul_(z), grad_threshold


@dataclass(frozen=True)
class ElementWise:
    """The two functions above, as they are or compiled: what a run does between its matrix products."""

    advance: Callable[..., tuple[Tensor, ...]] = advance
    retreat: Callable[..., tuple[Tensor, ...]] = retreat


EAGER = ElementWise()


COMPILATIONS = 64
"""The most that torch keeps of a function: one for each size of layer, number of streams and arithmetic.
(Its own limit, 8, is met in a run that trains, prunes and quantises; it then goes on without compiling.)"""


@lru_cache
def fused(backend: str = "inductor") -> ElementWise:
    """Return the functions compiled by torch, each to a kernel or two: on a GPU launches are what costs."""
    torch._dynamo.config.cache_size_limit = max(torch._dynamo.config.cache_size_limit, COMPILATIONS)
    return ElementWise(*(torch.compile(part, dynamic=False, backend=backend) for part in (advance, retreat)))


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
        element_wise=EAGER,
        hardness=None,
    ):
        """Run T steps for S streams.

        inputs [T, S, 3H]: products with the layer's inputs, biases included; recurrent_weights [3H, H];
        reset_bias, threshold [H]; output, cell [S, H]: the state. `arithmetic` is a StepArithmetic,
        `product_type` the dtype of the operands of matrix products, `surrogate` a Surrogate, `element_wise`
        an ElementWise, `hardness` as in `advance`. Returns outputs [T, S, H] and the new cell [S, H], which
        carries no gradient (windows are truncated).

        Where `activity_target` is given, the gradients are those of the loss plus
        activity_weight * max(0, a - activity_target)^2, a being the share of events among outputs.
        """
        transposed = recurrent_weights.to(product_type).t()
        operand = output.to(product_type)
        every, outputs, operands = [], [], []
        for t in range(inputs.shape[0]):
            operands.append(operand)
            *kept, y, after, operand = element_wise.advance(
                arithmetic, inputs[t], operand @ transposed, reset_bias, threshold, cell, hardness
            )
            every.append((*kept, cell))
            outputs.append(y)
            cell = after
        ctx.save_for_backward(torch.cat(operands), recurrent_weights, threshold)
        ctx.every = every  # (made here, so nothing that autograd would have to know of)
        ctx.product_type, ctx.surrogate, ctx.element_wise = product_type, surrogate, element_wise
        ctx.hardness = hardness
        ctx.event_cost = 0.0
        if activity_target is not None:
            # (A tensor, as a GPU is not waited for.)
            events = torch.stack([kept[5] for kept in every])
            excess = events.mean().double() - activity_target
            ctx.event_cost = excess.clamp_(min=0.0).mul_(activity_weight).mul_(2.0 / events.numel())
        ctx.mark_non_differentiable(cell)
        return torch.stack(outputs), cell

    @staticmethod
    def backward(ctx, grad_outputs, _grad_cell):
        last_outputs, recurrent_weights, threshold = ctx.saved_tensors
        weights = recurrent_weights.to(ctx.product_type)
        grad_threshold = torch.zeros_like(threshold)
        grad_cell = torch.zeros_like(grad_outputs[0])
        product = grad_cell.to(ctx.product_type)
        grad_inputs = grad_outputs.new_empty(*grad_outputs.shape[:2], weights.shape[0])
        inside, operands = [], []
        for t in range(len(ctx.every) - 1, -1, -1):
            of_z, of_r, of_gr, of_g, operand, grad_cell, grad_threshold = ctx.element_wise.retreat(
                grad_outputs[t],
                product,
                grad_cell,
                grad_threshold,
                ctx.every[t],
                threshold,
                ctx.surrogate,
                ctx.event_cost,
                ctx.hardness,
            )
            torch.cat((of_z, of_r, of_g), dim=1, out=grad_inputs[t])
            inside.append(of_gr)
            operands.append(operand)
            # Also at t = 0: its result, the gradient of the state, is not wanted, so it is skipped there.
            if t:
                product = operand @ weights
        grad_weights = (torch.cat(operands[::-1]).t() @ last_outputs).to(grad_outputs.dtype)
        grad_bias = torch.cat(inside[::-1]).sum(0)
        return grad_inputs, grad_weights, grad_bias, grad_threshold, *(None,) * 9


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
        self.activity_weight: Tensor | float = 0.0
        self.hardness: Tensor | None = None
        """A scalar in 0..1 between the GRU and the EGRU, which None stands for too (see `advance`)."""
        self.surrogate = Surrogate()
        self.element_wise = EAGER

    def initial_state(self, streams: int) -> tuple[Tensor, Tensor]:
        """Return (outputs, cells) of `streams` streams at rest, [streams, H] each."""
        zeros = self.bias.new_zeros(streams, self.neurons)
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
            self.element_wise,
            self.hardness,
        )
        return outputs, (outputs[-1].detach(), cell)


def drop_weights(weights: Tensor, share: float) -> Tensor:
    """Set this share of weights to zero and scale up the others (DropConnect: Wan and others, 2013)."""
    return nn.functional.dropout(weights, share) if share else weights
