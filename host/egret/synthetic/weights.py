"""Random pruned weights: unstructured, lane-balanced, or lane-balanced with no gap that an entry cannot span.

Lanes are those of docs/formats.md, section 3: row j of a gate belongs to slot j mod slots, and a lane's rows
of a matrix are numbered gate by gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egret.image.limits import COMPACT_BIAS_STEP, COMPACT_MOST_FRACTION_BITS
from egret.matrices import DECODER, Matrix

DEFAULT_SPARSITY = 0.85

_REDISTRIBUTIONS = 50  # far more than it takes where a lane has room to spare


@dataclass(frozen=True)
class Pruning:
    """Where the non-zero weights of a matrix may lie, and how large they may be."""

    slots: int | None = None
    """Engines * lanes that share each column's weights equally; None: anywhere (unstructured)."""
    largest_gap: int | None = None
    """Zeros that one entry of a lane steps over; None: gaps may be of any length. Needs slots."""
    tile_rows: int | None = None
    """Rows of a lane that are a tile (of the decoder): each is balanced by itself; None: all are one."""
    weight_bits: int = 8
    """Weights lie in -(2^(bits-1) - 1)..2^(bits-1) - 1."""


def compact_records(
    bias: npt.NDArray[np.int16], fraction_bits: npt.NDArray[np.int8]
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int8]]:
    """Return biases and fraction bits of words, both [V], as a kernel's compact records hold them."""
    step, most = np.int16(COMPACT_BIAS_STEP), np.int8(COMPACT_MOST_FRACTION_BITS)
    return bias // step * step, np.minimum(fraction_bits, most)


@dataclass
class RandomWeights:
    """Draws the matrices of one network."""

    generator: np.random.Generator
    sparsity: float | Mapping[str, float]
    """Share of zeros, for all matrices or by a matrix's key in the checkpoint (others: DEFAULT_SPARSITY)."""
    layers: Pruning
    decoder: Pruning

    def draw(self, matrix: Matrix, shape: tuple[int, int, int]) -> npt.NDArray[np.int8]:
        """Return the pruned weights of `matrix`, int8 [gates, rows, columns]."""
        if isinstance(self.sparsity, Mapping):
            sparsity = self.sparsity.get(matrix.name, DEFAULT_SPARSITY)
        else:
            sparsity = float(self.sparsity)
        pruning = self.decoder if matrix.kind == DECODER else self.layers
        largest = (1 << (pruning.weight_bits - 1)) - 1
        size = self.generator.integers(1, largest + 1, size=shape, dtype=np.int16)
        sign = 1 - 2 * self.generator.integers(0, 2, size=shape, dtype=np.int16)
        step = shape[1] if pruning.tile_rows is None else pruning.tile_rows * (pruning.slots or 1)
        tiles = [(shape[0], min(step, shape[1] - first), shape[2]) for first in range(0, shape[1], step)]
        kept = np.concatenate([self._kept(tile, sparsity, pruning) for tile in tiles], axis=1)
        if pruning.largest_gap is not None:  # drawn as the columns have them
            kept = kept[matrix.gate_order()]
        return np.where(kept, size * sign, 0).astype(np.int8)

    def _kept(self, shape: tuple[int, int, int], sparsity: float, pruning: Pruning) -> npt.NDArray[np.bool_]:
        if pruning.slots is not None and pruning.largest_gap is not None:
            return _spread(self.generator, shape, sparsity, pruning.slots, pruning.largest_gap)
        order = self.generator.random(size=shape, dtype=np.float32)
        if pruning.slots is not None:
            return _balanced(order, sparsity, pruning.slots)
        flat = order.reshape(-1)
        kept = np.zeros(flat.size, dtype=np.bool_)
        kept[_smallest(flat, round((1.0 - sparsity) * flat.size))] = True
        return kept.reshape(shape)


def _balanced(order: npt.NDArray[np.float32], sparsity: float, slots: int) -> npt.NDArray[np.bool_]:
    """Keep, of float32 [gates, rows, columns], the same number of smallest in each slot and column."""
    gates, rows, columns = order.shape
    groups = -(-rows // slots)
    padded = np.full((gates, groups * slots, columns), np.inf, dtype=np.float32)
    padded[:, :rows] = order
    by_slot = padded.reshape(gates, groups, slots, columns).transpose(0, 1, 3, 2)
    by_slot = by_slot.reshape(gates * groups, columns, slots)
    chosen = np.zeros(by_slot.shape, dtype=np.bool_)
    few = _smallest(by_slot, round((1.0 - sparsity) * gates * groups))
    np.put_along_axis(chosen, few, True, axis=0)
    chosen = chosen.reshape(gates, groups, columns, slots).transpose(0, 1, 3, 2)
    return np.ascontiguousarray(chosen).reshape(padded.shape)[:, :rows]


def _smallest(values: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.intp]:
    """Return where the `count` smallest values along the first axis are."""
    if count in (0, values.shape[0]):  # argpartition needs a place between the two parts
        return np.argsort(values, axis=0)[:count]
    return np.argpartition(values, count, axis=0)[:count]


def _spread(
    generator: np.random.Generator,
    shape: tuple[int, int, int],
    sparsity: float,
    slots: int,
    largest_gap: int,
) -> npt.NDArray[np.bool_]:
    """Keep, of [gates, rows, columns], as many as _balanced() does, no gap longer than `largest_gap`.

    Where a lane keeps too few weights to span its rows so, its last rows stay empty.
    """
    gates, rows, columns = shape
    groups = -(-rows // slots)
    count = round((1.0 - sparsity) * gates * groups)
    kept = np.zeros((gates, groups, slots, columns), dtype=np.bool_)
    full = rows - (groups - 1) * slots  # slots that have a row in the last group
    for own_slots, own_groups in ((slice(0, full), groups), (slice(full, slots), groups - 1)):
        strips = len(range(slots)[own_slots]) * columns
        if not strips or not own_groups:
            continue
        # In a lane without a row in the last group, a gap may reach over that padding, once for each gate.
        limit = largest_gap if own_groups == groups else largest_gap - (gates - 1)
        drawn = _spread_strips(generator, strips, gates * own_groups, count, max(limit, 0))
        drawn = drawn.reshape(columns, -1, gates, own_groups)
        kept[:, :own_groups, own_slots] = drawn.transpose(2, 3, 1, 0)
    return kept.reshape(gates, groups * slots, columns)[:, :rows]


def _spread_strips(
    generator: np.random.Generator, strips: int, rows: int, count: int, largest_gap: int
) -> npt.NDArray[np.bool_]:
    """Return bool [strips, rows] with `count` True (all, if there are fewer rows) in each strip."""
    count = min(count, rows)
    kept = np.zeros((strips, rows), dtype=np.bool_)
    if count == 0:
        return kept
    places = np.sort(_smallest(generator.random(size=(rows, strips), dtype=np.float32), count), axis=0).T
    # Zeros before each weight, and behind the last, where they cost nothing.
    gaps = np.diff(places, axis=1, prepend=-1, append=rows) - 1
    for _ in range(_REDISTRIBUTIONS):
        excess = np.maximum(gaps[:, :count] - largest_gap, 0)
        gaps[:, :count] -= excess
        strip = np.repeat(np.arange(strips, dtype=np.int64), excess.sum(axis=1))
        if strip.size == 0:
            break
        np.add.at(gaps, (strip, generator.integers(0, count + 1, size=strip.size, dtype=np.int64)), 1)
    places = np.cumsum(np.minimum(gaps[:, :count], largest_gap) + 1, axis=1) - 1
    np.put_along_axis(kept, places, True, axis=1)
    return kept
