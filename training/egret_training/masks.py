"""Which weights of a matrix to keep, as the kernel's lanes and gap fields want it.

Row j of a layer or of the decoder belongs to slot j mod slots, slots = engines * lanes (docs/formats.md,
section 3). A *strip* is what one slot holds of one column: the gates after one another, as the columns of an
image have them. A column takes as many bus beats as its fullest strip has entries, so weights that are spread
evenly cost the fewest cycles; and an entry can skip at most 2^gap_bits - 1 rows, so a longer run of zeros
takes an entry without a weight.
"""

from __future__ import annotations

import torch
from torch import Tensor

BISECTIONS = 9
PADDING_SIZE = -1e9
"""Stands for rows that a strip has room for but the matrix has not: no mask ever keeps them."""


def kept_per_strip(gates: int, rows: int, sparsity: float, slots: int) -> int:
    """Return the largest number with which at least `sparsity` of the weights go.

    Where `rows` is no multiple of `slots`, it is at most what the smallest strip has.
    """
    return min(int((1.0 - sparsity) * gates * rows / slots + 1e-9), gates * (rows // slots))


def largest_mask(weights: Tensor, sparsity: float) -> Tensor:
    """Return which weights of a tensor of any shape to keep, bool: the largest, wherever they are."""
    sizes = weights.detach().abs()
    removed = round(sparsity * sizes.numel())
    if not removed:
        return torch.ones_like(sizes, dtype=torch.bool)
    return sizes > sizes.flatten().kthvalue(removed).values


def lane_balanced_mask(weights: Tensor, sparsity: float, slots: int) -> Tensor:
    """Return which weights to keep, bool of the shape of `weights` [gates, rows, columns].

    Each strip keeps the same number of its largest weights.
    """
    if sparsity <= 0.0:
        return torch.ones_like(weights, dtype=torch.bool)
    keep = kept_per_strip(weights.shape[0], weights.shape[1], sparsity, slots)
    sizes = _to_strips(weights.detach().abs(), slots)
    chosen = torch.zeros_like(sizes, dtype=torch.bool)
    chosen.scatter_(1, sizes.topk(keep, dim=1).indices, True)
    return _from_strips(chosen, weights.shape, slots)


def gap_aware_mask(weights: Tensor, sparsity: float, slots: int, gap_bits: int) -> Tensor:
    """As `lane_balanced_mask`, but such that every entry of a column holds a weight.

    The gates must stand in the order in which a column has them. Of all ways to keep a strip's number of
    weights with no run of zeros ahead of a weight longer than the gap field spans, this takes one with nearly
    the largest sum of magnitudes: in a run that is too long the largest weights that serve stay, at the cost
    of the smallest elsewhere. Where too few stay to reach the end, strips end early.
    """
    if sparsity <= 0.0:
        return torch.ones_like(weights, dtype=torch.bool)
    keep = kept_per_strip(weights.shape[0], weights.shape[1], sparsity, slots)
    sizes = _to_strips(weights.detach().abs().float(), slots)
    chosen = _best_within_gaps(sizes, keep, 1 << gap_bits)
    return _from_strips(chosen, weights.shape, slots)


def _best_within_gaps(sizes: Tensor, keep: int, span: int) -> Tensor:
    """Return a bool mask of sizes [strips, R]: `keep` a strip, each at most `span` rows after the last."""
    ranked = sizes.sort(1, descending=True)
    chosen = torch.zeros_like(sizes, dtype=torch.bool).scatter_(1, ranked.indices[:, :keep], True)
    # Many strips need nothing more, as long as few weights go.
    wrong = _longest_step(chosen) > span
    if wrong.any():
        chosen[wrong] = _relaxed_within_gaps(sizes[wrong], ranked.values[wrong], keep, span)
    return chosen


def _longest_step(mask: Tensor) -> Tensor:
    """Return the most rows from one True to the next, int64 [strips]; the first counts from row -1."""
    row = torch.arange(mask.shape[1], device=mask.device)
    last = torch.where(mask, row, -1).cummax(1).values
    before = torch.nn.functional.pad(last[:, :-1], (1, 0), value=-1)
    return torch.where(mask, row - before, 0).amax(1)


def _relaxed_within_gaps(sizes: Tensor, ranked: Tensor, keep: int, span: int) -> Tensor:
    """As `_best_within_gaps`; `ranked` is sizes with the largest first.

    A Lagrange multiplier for the number of kept rows, found by bisection for each strip, makes the wanted
    number a trade-off that dynamic programming solves exactly. The best trade-off may stop short of the
    number; what is missing then goes to the largest that are left.
    """
    # Without the span, the multiplier would be the size that is just kept; with it, more are kept.
    low = ranked[:, keep - 1] if keep else ranked[:, 0]
    high = ranked[:, keep // 2].clone()
    best = torch.zeros_like(sizes, dtype=torch.bool)
    multiplier = high
    found = torch.zeros_like(multiplier, dtype=torch.bool)
    for _ in range(BISECTIONS):
        mask = _best_at_multiplier(sizes, multiplier, span)
        fits = mask.sum(1) <= keep
        best = torch.where(fits[:, None], mask, best)
        found |= fits
        high, low = torch.where(fits, multiplier, high), torch.where(fits, low, multiplier)
        # Until a multiplier is high enough, look above it.
        multiplier = torch.where(found, (low + high) / 2, 2 * high - low + 1e-6)
        high = torch.where(found, high, multiplier)
    missing = keep - best.sum(1)
    # Before the last kept row any row may be added; behind it, one after the other.
    row = torch.arange(sizes.shape[1], device=sizes.device)[None]
    last = torch.where(best, row, -1).amax(1, keepdim=True)
    left = torch.where(row > last, torch.where(sizes < 0, sizes, -1.0 - row), sizes)
    order = left.masked_fill_(best, 2 * PADDING_SIZE).argsort(1, descending=True)
    added = torch.zeros_like(best).scatter_(1, order, row < missing[:, None])
    return best | added


def _best_at_multiplier(sizes: Tensor, multiplier: Tensor, span: int) -> Tensor:
    """Return the mask with the largest sum of (size - multiplier) of kept rows, steps at most `span`."""
    strips, rows = sizes.shape
    gain = (sizes - multiplier[:, None]).t().contiguous()
    # total[span + i]: the best sum of a choice that ends with row i; total[span - 1]: of none yet.
    total = sizes.new_full((span + rows, strips), -torch.inf)
    total[span - 1] = 0.0
    for i in range(rows):
        torch.add(gain[i], total[i : i + span].amax(0), out=total[span + i])
    at = total[span - 1 :].argmax(0) - 1
    by_strip = total.t().contiguous()
    mask = torch.zeros_like(sizes, dtype=torch.bool)
    alive = (at >= 0).nonzero()[:, 0]
    window = torch.arange(span, device=sizes.device)
    while alive.numel():
        row = at[alive]
        mask[alive, row] = True
        # The row before is the best of the `span` rows ahead of this one.
        before = row - span + by_strip[alive[:, None], row[:, None] + window].argmax(1)
        at[alive] = before
        alive = alive[before >= 0]
    return mask


def _to_strips(sizes: Tensor, slots: int) -> Tensor:
    """Deal [gates, rows, columns] to strips: [slots * columns, gates * groups], PADDING_SIZE beyond rows."""
    gates, rows, columns = sizes.shape
    groups = -(-rows // slots)
    padded = sizes.new_full((gates, groups * slots, columns), PADDING_SIZE)
    padded[:, :rows] = sizes
    return (
        padded.reshape(gates, groups, slots, columns)
        .permute(2, 3, 0, 1)
        .reshape(slots * columns, gates * groups)
    )


def _from_strips(strips: Tensor, shape: tuple[int, ...], slots: int) -> Tensor:
    """Undo _to_strips."""
    gates, rows, columns = shape
    groups = -(-rows // slots)
    dealt = strips.reshape(slots, columns, gates, groups).permute(2, 3, 0, 1)
    return dealt.reshape(gates, groups * slots, columns)[:, :rows].contiguous()
