"""Cross-entropy over a large vocabulary, fused with the decoder and computed a few rows at a time.

The logits of a window (35 x 32 rows of 10 000 words) are 45 MB: as one tensor they leave the caches at
every pass. Here a block of rows goes through product, softmax and both gradient products before the next.
"""

from __future__ import annotations

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
        grad_hidden, grad_weights, grad_bias = ctx.saved_tensors
        return grad_hidden * scale, grad_weights * scale, grad_bias * scale, None, None


def decoder_cross_entropy(
    hidden: Tensor, weights: Tensor, bias: Tensor, targets: Tensor, product_type: torch.dtype
) -> Tensor:
    """Apply DecoderCrossEntropy to hidden [T, S, H] and targets int64 [T, S]."""
    return DecoderCrossEntropy.apply(
        hidden.reshape(-1, hidden.shape[-1]), weights, bias, targets.reshape(-1), product_type
    )
