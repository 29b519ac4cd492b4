"""Cross-entropy over a large vocabulary, fused with the decoder and computed a few rows at a time.

The logits of a window (35 x 32 rows of 10 000 words) are 45 MB: as one tensor they leave the caches at
every pass. Here a block of rows goes through product, softmax and both gradient products before the next.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLOCK_ROWS = 140


class DecoderCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy, in nats, of the targets under softmax(hidden weights^T + bias)."""

    @staticmethod
    def forward(ctx, hidden, weights, bias, targets, product_type):
        """hidden [rows, H], weights [V, H], bias [V], targets int64 [rows] -> scalar.

        The gradients are made here, as the logits are at hand; backward only scales them.
        """
        rows = hidden.shape[0]
        operand, columns = hidden.detach().to(product_type), weights.detach().to(product_type)
        grad_hidden = torch.empty_like(hidden)
        grad_weights = torch.zeros_like(weights)
        grad_bias = torch.zeros_like(bias)
        loss = torch.zeros((), dtype=torch.float64)
        for first in range(0, rows, BLOCK_ROWS):
            block = slice(first, min(first + BLOCK_ROWS, rows))
            logits = (operand[block] @ columns.t()).to(hidden.dtype).add_(bias)
            wanted = targets[block, None]
            chosen = logits.gather(1, wanted)
            peak = logits.amax(1, keepdim=True)
            share = logits.sub_(peak).exp_()
            total = share.sum(1, keepdim=True)
            loss += (total.log() + peak - chosen).sum(dtype=torch.float64)
            share.div_(total * rows)
            share.scatter_add_(1, wanted, torch.full_like(chosen, -1.0 / rows))
            grad_bias += share.sum(0)
            grad = share.to(product_type)
            grad_hidden[block] = (grad @ columns).to(hidden.dtype)
            grad_weights += (grad.t() @ operand[block]).to(hidden.dtype)
        ctx.save_for_backward(grad_hidden, grad_weights, grad_bias)
        return (loss / rows).to(hidden.dtype)

    @staticmethod
    def backward(ctx, scale):
        return *_scaled(ctx.saved_tensors, scale), None, None


def decoder_cross_entropy(
    hidden: Tensor, weights: Tensor, bias: Tensor, targets: Tensor, product_type: torch.dtype
) -> Tensor:
    """Apply DecoderCrossEntropy to hidden [T, S, H] and targets int64 [T, S]."""
    return DecoderCrossEntropy.apply(
        hidden.reshape(-1, hidden.shape[-1]), weights, bias, targets.reshape(-1), product_type
    )


def _scaled(gradients: tuple[Tensor, ...], scale: Tensor) -> tuple[Tensor, ...]:
    """Return gradients times a scalar; nothing is copied where that is 1, as it is for the loss itself."""
    return gradients if float(scale) == 1.0 else tuple(gradient * scale for gradient in gradients)


class SampledCrossEntropy(torch.autograd.Function):
    """As DecoderCrossEntropy, with the sum over the vocabulary estimated from a part of it.

    Words below `head` (the most frequent) and each row's own target always count in full; of the others only
    the sample `tail` does, each for as many words as it stands for. So the sum is right on average.
    """

    @staticmethod
    def forward(ctx, hidden, weights, bias, targets, head, tail, product_type):
        """As DecoderCrossEntropy; head: a count, tail: int64 [k], different words in head..V-1."""
        rows, words = hidden.shape[0], head + tail.numel()
        weights, hidden = weights.detach(), hidden.detach()
        operand = hidden.to(product_type)
        columns = torch.cat((weights[:head].to(product_type), weights[tail].to(product_type)))
        stands_for = math.log((weights.shape[0] - head) / tail.numel())
        column_bias = torch.cat((bias[:head], bias[tail] + stands_for))
        column_of = torch.full((weights.shape[0],), -1, dtype=torch.int64)
        column_of[:head] = torch.arange(head)
        column_of[tail] = torch.arange(head, words)
        target_column, target_weights = column_of[targets], weights[targets]
        target_logit = (hidden * target_weights).sum(1).add_(bias[targets])
        grad_target = torch.empty_like(target_logit)
        grad_hidden = torch.empty_like(hidden)
        grad_columns = torch.zeros(words, hidden.shape[1], dtype=hidden.dtype)
        grad_column_bias = torch.zeros_like(column_bias)
        loss = torch.zeros((), dtype=torch.float64)
        for first in range(0, rows, BLOCK_ROWS):
            block = slice(first, min(first + BLOCK_ROWS, rows))
            logits = (operand[block] @ columns.t()).to(hidden.dtype).add_(column_bias)
            present = (target_column[block] >= 0).nonzero()[:, 0]
            logits[present, target_column[block][present]] = -math.inf
            own = target_logit[block]
            peak = torch.maximum(logits.amax(1), own)
            share = logits.sub_(peak[:, None]).exp_()
            own_share = (own - peak).exp_()
            total = share.sum(1).add_(own_share)
            loss += (total.log() + peak - own).sum(dtype=torch.float64)
            share.div_((total * rows)[:, None])
            grad_target[block] = (own_share / total - 1) / rows
            grad_column_bias += share.sum(0)
            grad = share.to(product_type)
            grad_hidden[block] = (grad @ columns).to(hidden.dtype)
            grad_columns += (grad.t() @ operand[block]).to(hidden.dtype)
        grad_hidden += grad_target[:, None] * target_weights
        grad_weights = torch.zeros_like(weights)
        grad_weights[:head], grad_weights[tail] = grad_columns[:head], grad_columns[head:]
        grad_weights.index_add_(0, targets, grad_target[:, None] * hidden)
        grad_bias = torch.zeros_like(bias)
        grad_bias[:head], grad_bias[tail] = grad_column_bias[:head], grad_column_bias[head:]
        grad_bias.index_add_(0, targets, grad_target)
        ctx.save_for_backward(grad_hidden, grad_weights, grad_bias)
        return (loss / rows).to(hidden.dtype)

    @staticmethod
    def backward(ctx, scale):
        return *_scaled(ctx.saved_tensors, scale), None, None, None, None


def sampled_cross_entropy(
    hidden: Tensor,
    weights: Tensor,
    bias: Tensor,
    targets: Tensor,
    sample: tuple[int, int],
    product_type: torch.dtype,
) -> Tensor:
    """Apply SampledCrossEntropy to hidden [T, S, H] and targets int64 [T, S].

    `sample` is (head, tail): how many of the most frequent words always count, and how many of the others.
    """
    head, count = sample
    tail = torch.randperm(weights.shape[0] - head)[:count].add_(head)
    return SampledCrossEntropy.apply(
        hidden.reshape(-1, hidden.shape[-1]), weights, bias, targets.reshape(-1), head, tail, product_type
    )
