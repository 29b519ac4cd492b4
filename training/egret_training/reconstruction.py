"""Pruning at a stroke: the weights that stay make up for those that go.

A column loses its smallest weights, under the constraint of the matrix; the columns after it are then changed
so that the matrix's products with its usual inputs change as little as they can (the optimal brain surgeon of
Hassibi and Stork, 1993, column by column as in SparseGPT: Frantar and Alistarh, 2023). What usual inputs are,
the second moments of a run over a text say. A row may be more important than another: an error in the logit
of a word costs as much as the word is likely, so frequent words keep more weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from egret.matrices import DECODER, Matrix
from egret_training import data
from egret_training.execution import fast_product_type
from egret_training.model import EgruLanguageModel
from egret_training.pruning import Constraint, constraint_of, draw_mask, prunable_weights, sparsity_of
from egret_training.recipe import Pruning

BLOCK_COLUMNS = 16
"""So many columns get their masks at once."""

DAMPING = 0.01
"""What is added to the second moments, as a share of their mean."""

STEPS = 32


@torch.no_grad()
def input_moments(model: EgruLanguageModel, streams: Tensor, steps: int) -> dict[str, Tensor]:
    """Return E[x x^T] of the inputs x of every prunable matrix, float64 [I, I], by its name.

    Taken from the first `steps` steps of int64 [length, streams].
    """
    sums = {
        name: weights.new_zeros(weights.shape[2], weights.shape[2], dtype=torch.float64)
        for name, weights in prunable_weights(model).items()
    }
    state = model.initial_state(streams.shape[1])
    count = 0
    for inputs, _ in data.windows(streams[: steps + 1], STEPS):
        outputs, state = model.hidden(inputs, state, fast_product_type(inputs.device))
        below = [model.embedding_table()[inputs], *outputs]
        for name, total in sums.items():
            x = below[_input_of(Matrix.named(name))].reshape(-1, total.shape[0]).double()
            total.addmm_(x.t(), x)
        count += inputs.numel()
    return {name: total / count for name, total in sums.items()}


def _input_of(matrix: Matrix) -> int:
    """Return an index into the embedding and the outputs of the layers: what a matrix multiplies."""
    if matrix.folded:
        return 0
    return -1 if matrix.kind == DECODER else matrix.source + 1


@torch.no_grad()
def prune_and_mend(
    weights: Tensor,
    moments: Tensor,
    sparsity: float,
    constraint: Constraint,
    importance: Tensor | None = None,
) -> Tensor:
    """Prune [gates, rows, columns] in place, with the second moments [columns, columns] of its inputs.

    `importance` [rows]: weights count times its square root when the smallest are sought. Returns the mask.
    """
    gates, rows, columns = weights.shape
    scale = moments.new_ones(rows, dtype=torch.float32) if importance is None else importance.sqrt()
    # The columns that are used most first, while there are many left to make up for them.
    order = moments.diagonal().argsort(descending=True)
    work = weights[:, :, order].reshape(gates * rows, columns).float()
    damped = moments[order][:, order] + torch.eye(columns, dtype=moments.dtype, device=moments.device) * (
        DAMPING * moments.diagonal().mean()
    )
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    factor = torch.linalg.cholesky(inverse, upper=True).float()
    mask = torch.ones_like(work, dtype=torch.bool)
    for first in range(0, columns, BLOCK_COLUMNS):
        block = slice(first, min(first + BLOCK_COLUMNS, columns))
        sizes = work[:, block].reshape(gates, rows, -1) * scale[:, None]
        mask[:, block] = draw_mask(sizes, sparsity, constraint).reshape(gates * rows, -1)
        errors = work.new_empty(work.shape[0], block.stop - first)
        for column in range(first, block.stop):
            lost = torch.where(mask[:, column], 0.0, work[:, column])
            error = lost / factor[column, column]
            work[:, column : block.stop].addr_(error, factor[column, column : block.stop], alpha=-1)
            work[:, column].mul_(mask[:, column])
            errors[:, column - first] = error
        work[:, block.stop :].addmm_(errors, factor[block, block.stop :], alpha=-1)
    back = order.argsort()
    weights.copy_(work[:, back].reshape(weights.shape))
    return mask[:, back].reshape(weights.shape)


def prune_at_a_stroke(
    model: EgruLanguageModel, pruning: Pruning, streams: Tensor, frequencies: Tensor, steps: int = 700
) -> dict[str, Tensor]:
    """Prune every prunable matrix of a model in place; return the masks by name.

    `streams`: int64 [length, streams] of training text, `frequencies` [V]: how likely each word is.
    """
    moments = input_moments(model, streams, steps)
    masks: dict[str, Tensor] = {}
    for name, weights in prunable_weights(model).items():
        matrix = Matrix.named(name)
        masks[name] = prune_and_mend(
            weights.data,
            moments[name],
            sparsity_of(matrix, pruning.sparsity, pruning.of_decoder),
            constraint_of(matrix, pruning),
            frequencies**pruning.frequency_exponent if matrix.kind == DECODER else None,
        )
    return masks
