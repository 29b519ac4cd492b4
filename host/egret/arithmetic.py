"""The rounding rule and the gate tables that every implementation of the network shares.

Source of the formulas: docs/formats.md, section 1.
"""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import numpy.typing as npt

from egret.contract import GATE_INPUT_BITS, GATE_INPUT_FRACTION_BITS, GATE_OUTPUT_FRACTION_BITS

GATE_INDEX_OFFSET = 1 << (GATE_INPUT_BITS - 1)
"""Gate tables hold index i at position i + GATE_INDEX_OFFSET."""

GATE_INDEX_MINIMUM = -GATE_INDEX_OFFSET
GATE_INDEX_MAXIMUM = GATE_INDEX_OFFSET - 1

GATE_OUTPUT_ONE = 1 << GATE_OUTPUT_FRACTION_BITS
"""The integer that stands for 1.0 at a gate's output (the gates themselves stop one short of it)."""


@overload
def round_shift(a: int, s: int) -> int: ...
@overload
def round_shift(a: npt.NDArray[Any], s: int | npt.NDArray[Any]) -> npt.NDArray[np.int64]: ...


def round_shift(a: Any, s: Any) -> Any:
    """Return floor(a / 2^s + 1/2): the shift by `s` bits that rounds half up.

    `a` is a Python int or an integer array, `s` (not negative) an int or an integer array that
    broadcasts against it. Ints give an int of any size; arrays are computed and returned as int64, which
    is exact while abs(a) + 2^(s-1) < 2^63.
    """
    if isinstance(a, int) and isinstance(s, int):
        return (a + ((1 << s) >> 1)) >> s
    shifts = np.asarray(s, dtype=np.int64)
    # (1 << s) >> 1 is 2^(s-1), and 0 for s = 0, where nothing is to be rounded.
    half = np.left_shift(np.int64(1), shifts) >> np.int64(1)
    return (np.asarray(a, dtype=np.int64) + half) >> shifts


def exact_float_type(bound: int) -> type[np.floating[Any]]:
    """Return the narrowest float type in which integers up to `bound` in size add up without rounding.

    A sum of integers whose absolute values add up to at most `bound` is exact in this type in any order
    of summation, and so is the same sum scaled by a power of two: that is what lets integer matrix
    products run in the floating-point BLAS. Raises ValueError beyond 2^53.
    """
    if bound < 1 << 24:
        return np.float32
    if bound < 1 << 53:
        return np.float64
    raise ValueError(f"no float type adds integers up to {bound} exactly")


def _gate_table(function: Any, minimum: int) -> npt.NDArray[np.int16]:
    # No value of either table lies nearer than 1e-5 to a rounding boundary (except the exact ones at 0),
    # so every libm gives the same table; host/tests/test_arithmetic.py proves it in decimal arithmetic.
    index = np.arange(GATE_INDEX_MINIMUM, GATE_INDEX_MAXIMUM + 1, dtype=np.float64)
    value = function(index / np.float64(1 << GATE_INPUT_FRACTION_BITS))
    rounded = np.floor(np.float64(GATE_OUTPUT_ONE) * value + np.float64(0.5))
    table: npt.NDArray[np.int16] = np.clip(rounded, minimum, GATE_OUTPUT_ONE - 1).astype(np.int16)
    table.setflags(write=False)
    return table


SIGMOID: npt.NDArray[np.int16] = _gate_table(lambda x: 1.0 / (1.0 + np.exp(-x)), 0)
"""Update and reset gate, int16 [4096]: entry i + 2048 is sigmoid(i / 256) in units of 2^-10, 0..1023."""

TANH: npt.NDArray[np.int16] = _gate_table(np.tanh, -(GATE_OUTPUT_ONE - 1))
"""Candidate, int16 [4096]: entry i + 2048 is tanh(i / 256) in units of 2^-10, -1023..1023."""
