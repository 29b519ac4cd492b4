"""Matrix products over events, exact in floating point.

The reference model's accumulators are integers, but NumPy multiplies integer matrices slowly. A float product
gives the same integers where every partial sum is exact (egret.arithmetic.exact_float_type). Weights are
scaled by powers of two beforehand, which changes no bit, so that each rounding of the contract is one floor:

    round_shift(a, s) + b                 = floor(a / 2^s + 1/2 + b)
    round_shift(round_shift(a, s) + b, 3) = floor((a / 2^s + 1/2 + b) / 8 + 1/2)
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from egret.contract import EVENT_BITS

# Quoted: NumPy 1.21 cannot subscript np.floating when this runs.
FloatArray: TypeAlias = "npt.NDArray[np.floating[Any]]"
Events = tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]
"""The events of one layer at one step: indices (uint16, rising) and values (uint8, in units of 2^-8)."""


class ChunkEvents:
    """The events of one layer over T steps, dense for products and sparse for lists and counts."""

    def __init__(self, dense: FloatArray, counts: list[int]) -> None:
        self.dense = dense
        """[T, H]: event values, 0 where a neuron was silent."""
        self.steps, self.indices = np.nonzero(dense)
        self.counts = counts
        """Events of each step."""

    def split(self) -> list[Events]:
        """Return the events step by step."""
        indices = self.indices.astype(np.uint16)
        values = self.dense[self.steps, self.indices].astype(np.uint8)
        result: list[Events] = []
        start = 0
        for count in self.counts:
            result.append((indices[start : start + count], values[start : start + count]))
            start += count
        return result

    def macs(self, column_nonzeros: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return, int64 [T], the non-zero weights in the columns of each step's events."""
        # bincount adds in float64: exact, as the counts stay far below 2^53.
        return np.bincount(
            self.steps, weights=column_nonzeros[self.indices], minlength=self.dense.shape[0]
        ).astype(np.int64)

    def previous_macs(
        self, before: npt.NDArray[np.intp], column_nonzeros: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """The same for events that are fed back at the next step; `before` fired ahead of the first."""
        own = self.macs(column_nonzeros)
        own[1:] = own[:-1]
        own[0] = column_nonzeros[before].sum()
        return own


class EventProduct:
    """Sums over events of weight columns: weights as [columns, rows], scaled, in an exact float type."""

    def __init__(
        self,
        weights: npt.NDArray[np.int8],
        exponents: npt.NDArray[np.int64],
        float_type: type[np.floating[Any]],
    ) -> None:
        self.columns = np.ascontiguousarray(
            np.ldexp(weights.T.astype(float_type), exponents.astype(np.int32)), dtype=float_type
        )
        # Beyond this many events, gathering columns takes longer than multiplying by all of them.
        self.gather_limit = self.columns.shape[0] // 4

    def of_step(self, indices: npt.NDArray[np.intp], dense: FloatArray) -> FloatArray:
        """The sum for one step, [rows], from its event indices and its values as [columns]."""
        if indices.size > self.gather_limit:
            result: FloatArray = dense @ self.columns
            return result
        gathered: FloatArray = dense[indices] @ self.columns[indices]
        return gathered

    def of_chunk(self, events: ChunkEvents) -> FloatArray:
        """The sums for every step, [T, rows]."""
        dense: FloatArray = events.dense.astype(self.columns.dtype, copy=False)
        if dense.shape[0] == 1:
            return self.of_step(events.indices, dense[0])[np.newaxis]
        result: FloatArray = dense @ self.columns
        return result


def column_nonzeros(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Return, int64 [columns], the MACs that an event of each column costs, for int8 [rows, columns]."""
    return np.count_nonzero(weights, axis=0).astype(np.int64)


def product_bound(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """The most, int64 [rows], that the size of a row's accumulator can reach with any events."""
    sums: npt.NDArray[np.int64] = np.abs(weights, dtype=np.int64).sum(axis=1, dtype=np.int64)
    return sums * np.int64((1 << EVENT_BITS) - 1)


def rounded_bound(
    products: npt.NDArray[np.int64], shifts: npt.NDArray[np.int64], addends: npt.NDArray[np.int64]
) -> int:
    """The most that a / 2^s + 1/2 + addend can reach, in units small enough for all its parts to be whole."""
    unit = np.maximum(shifts, 1)
    return int(((products << (unit - shifts)) + (np.int64(1) << (unit - 1)) + (addends << unit)).max())
