"""Cross-entropy over a large vocabulary, fused with the decoder and computed a few rows at a time.

The logits of a window (35 x 32 rows of 10 000 words) are 45 MB: as one tensor they leave the caches at
every pass. Here a block of rows goes through product, softmax and both gradient products before the next.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SoftTargets = tuple[Tensor, Tensor] | None
"""What a teacher expects: words, int64 [..., k], and their shares of the target, [..., k]."""

CPU_BLOCK_ROWS = 140
"""What the second-level cache of a processor holds."""

GPU_BLOCK_LOGITS = 1 << 26
"""A GPU wants large products: so many logits (256 MB) at once, a whole window of 10 000 words."""


def _block_rows(hidden: Tensor, words: int) -> int:
    return CPU_BLOCK_ROWS if hidden.device.type == "cpu" else max(1, GPU_BLOCK_LOGITS // words)


class DecoderCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy, in nats, of the targets under softmax(hidden weights^T + bias)."""

    @staticmethod
    def forward(ctx, hidden, weights, bias, targets, product_type, soft=None):
        """hidden [rows, H], weights [V, H], bias [V], targets int64 [rows] -> scalar.

        The gradients are made here, as the logits are at hand; backward only scales them. With `soft`, words
        int64 [rows, k] and shares [rows, k], they are those of the cross-entropy with these shares of these
        words and the rest of the target; the value stays that of the target.
        """
        rows = hidden.shape[0]
        operand, columns = hidden.detach().to(product_type), weights.detach().to(product_type)
        grad_hidden = torch.empty_like(hidden)
        grad_weights = torch.zeros_like(weights)
        grad_bias = torch.zeros_like(bias)
        loss = hidden.new_zeros((), dtype=torch.float64)
        block_rows = _block_rows(hidden, weights.shape[0])
        for first in range(0, rows, block_rows):
            block = slice(first, min(first + block_rows, rows))
            logits = (operand[block] @ columns.t()).to(hidden.dtype).add_(bias)
            wanted = targets[block, None]
            chosen = logits.gather(1, wanted)
            peak = logits.amax(1, keepdim=True)
            share = logits.sub_(peak).exp_()
            total = share.sum(1, keepdim=True)
            loss += (total.log() + peak - chosen).sum(dtype=torch.float64)
            share.div_(total * rows)
            rest = torch.full_like(chosen, 1.0)
            if soft is not None:
                words, shares = soft[0][block], soft[1][block]
                share.scatter_add_(1, words, shares / -rows)
                rest -= shares.sum(1, keepdim=True)
            share.scatter_add_(1, wanted, rest.div_(-rows))
            grad_bias += share.sum(0)
            grad = share.to(product_type)
            grad_hidden[block] = (grad @ columns).to(hidden.dtype)
            grad_weights += (grad.t() @ operand[block]).to(hidden.dtype)
        ctx.save_for_backward(grad_hidden, grad_weights, grad_bias)
        return (loss / rows).to(hidden.dtype)

    @staticmethod
    def backward(ctx, scale):
        return *_scaled(ctx.saved_tensors, scale), None, None, None


def decoder_cross_entropy(
    hidden: Tensor,
    weights: Tensor,
    bias: Tensor,
    targets: Tensor,
    product_type: torch.dtype,
    soft: SoftTargets = None,
) -> Tensor:
    """Apply DecoderCrossEntropy to hidden [T, S, H], targets int64 [T, S] and soft targets [T, S, k]."""
    return DecoderCrossEntropy.apply(
        hidden.reshape(-1, hidden.shape[-1]), weights, bias, targets.reshape(-1), product_type, _rows(soft)
    )


def _rows(soft: SoftTargets) -> SoftTargets:
    return None if soft is None else (soft[0].flatten(0, 1), soft[1].flatten(0, 1))


def _scaled(gradients: tuple[Tensor, ...], scale: Tensor) -> tuple[Tensor, ...]:
    """Return gradients times a scalar; nothing is copied where that is 1, as it is for the loss itself."""
    # (On a GPU to look at it would be to wait for it.)
    if scale.device.type == "cpu" and float(scale) == 1.0:
        return gradients
    return tuple(gradient * scale for gradient in gradients)


@torch.no_grad()
def total_cross_entropy(
    hidden: Tensor, weights: Tensor, bias: Tensor, targets: Tensor, product_type: torch.dtype
) -> Tensor:
    """Return the sum of cross-entropies, float64, in nats; hidden [T, S, H], targets int64 [T, S]."""
    operand, columns = hidden.reshape(-1, hidden.shape[-1]).to(product_type), weights.to(product_type).t()
    rows = _block_rows(hidden, weights.shape[0])
    total = hidden.new_zeros((), dtype=torch.float64)
    for some, wanted in zip(operand.split(rows), targets.reshape(-1).split(rows), strict=True):
        logits = (some @ columns).to(hidden.dtype).add_(bias)
        total += torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
    return total


class SampledCrossEntropy(torch.autograd.Function):
    """As DecoderCrossEntropy, with the sum over the vocabulary estimated from a part of it.

    Words below `head` (the most frequent) and each row's own target always count in full; of the others only
    the sample `tail` does, each for as many words as it stands for. So the sum is right on average.
    """

    @staticmethod
    def forward(ctx, hidden, weights, bias, targets, head, tail, product_type, soft=None):
        """As DecoderCrossEntropy; head: a count, tail: int64 [k], different words in head..V-1.

        The shares of soft words that do not count in the sum are left to the target.
        """
        rows, words = hidden.shape[0], head + tail.numel()
        weights, hidden = weights.detach(), hidden.detach()
        operand = hidden.to(product_type)
        columns = torch.cat((weights[:head].to(product_type), weights[tail].to(product_type)))
        stands_for = math.log((weights.shape[0] - head) / tail.numel())
        column_bias = torch.cat((bias[:head], bias[tail] + stands_for))
        column_of = tail.new_full((weights.shape[0],), -1)
        column_of[:head] = torch.arange(head, device=tail.device)
        column_of[tail] = torch.arange(head, words, device=tail.device)
        target_column, target_weights = column_of[targets], weights[targets]
        target_logit = (hidden * target_weights).sum(1).add_(bias[targets])
        grad_target = torch.empty_like(target_logit)
        grad_hidden = torch.empty_like(hidden)
        grad_columns = hidden.new_zeros(words, hidden.shape[1])
        grad_column_bias = torch.zeros_like(column_bias)
        loss = hidden.new_zeros((), dtype=torch.float64)
        block_rows = _block_rows(hidden, words)
        for first in range(0, rows, block_rows):
            block = slice(first, min(first + block_rows, rows))
            logits = (operand[block] @ columns.t()).to(hidden.dtype).add_(column_bias)
            # A target that is among the columns counts as itself, and not there.
            column = target_column[block, None]
            there = column.clamp(min=0)
            logits.scatter_(1, there, logits.gather(1, there).masked_fill_(column >= 0, -math.inf))
            own = target_logit[block]
            peak = torch.maximum(logits.amax(1), own)
            share = logits.sub_(peak[:, None]).exp_()
            own_share = (own - peak).exp_()
            total = share.sum(1).add_(own_share)
            loss += (total.log() + peak - own).sum(dtype=torch.float64)
            share.div_((total * rows)[:, None])
            rest = torch.ones_like(own)
            if soft is not None:
                columns_of = column_of[soft[0][block]]
                counts = (columns_of >= 0) & (columns_of != column)
                shares = soft[1][block] * counts
                share.scatter_add_(1, columns_of.clamp(min=0), shares / -rows)
                rest -= shares.sum(1)
            grad_target[block] = (own_share / total - rest) / rows
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
        return *_scaled(ctx.saved_tensors, scale), None, None, None, None, None


def sampled_cross_entropy(
    hidden: Tensor,
    weights: Tensor,
    bias: Tensor,
    targets: Tensor,
    sample: tuple[int, int],
    product_type: torch.dtype,
    soft: SoftTargets = None,
) -> Tensor:
    """Apply SampledCrossEntropy to hidden [T, S, H], targets int64 [T, S] and soft targets [T, S, k].

    `sample` is (head, tail): how many of the most frequent words always count, and how many of the others.
    """
    head, count = sample
    others = weights.shape[0] - head
    if weights.device.type == "cpu":
        tail = torch.randperm(others)[:count]
    else:
        # (A permutation that can be part of a recorded graph.)
        tail = torch.rand(others, device=weights.device).argsort()[:count]
    tail = tail + head
    return SampledCrossEntropy.apply(
        hidden.reshape(-1, hidden.shape[-1]),
        weights,
        bias,
        targets.reshape(-1),
        head,
        tail,
        product_type,
        _rows(soft),
    )
