"""The rounding rule and the gate tables, against exact arithmetic."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal, localcontext
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret.arithmetic import SIGMOID, TANH, exact_float_type, round_shift


def half_up(a: int, s: int) -> int:
    return floor(Fraction(a, 2**s) + Fraction(1, 2))


@given(a=st.integers(-(2**80), 2**80), s=st.integers(0, 90))
def test_round_shift_of_ints_rounds_half_up(a: int, s: int) -> None:
    assert round_shift(a, s) == (a if s == 0 else half_up(a, s))


@given(
    st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(0, 31)), min_size=1, max_size=50),
    st.sampled_from([np.int32, np.int64]),
    st.sampled_from([np.int8, np.uint8, np.int32, np.int64]),
)
def test_round_shift_of_arrays_is_that_of_each_element(
    pairs: list[tuple[int, int]], dtype: type[np.generic], shift_dtype: type[np.generic]
) -> None:
    a = np.array([pair[0] for pair in pairs], dtype=dtype)
    s = np.array([pair[1] for pair in pairs], dtype=shift_dtype)
    result = round_shift(a, s)
    assert result.dtype == np.int64
    assert result.tolist() == [round_shift(value, shift) for value, shift in pairs]


def test_round_shift_broadcasts_one_shift() -> None:
    values = np.array([-3, -2, -1, 0, 1, 2, 3], dtype=np.int16)
    assert round_shift(values, 1).tolist() == [-1, -1, 0, 0, 1, 1, 2]


def exact_tables() -> tuple[list[int], list[int], Decimal]:
    """Both tables in 40-digit arithmetic, and how near any value but those at 0 comes to a boundary."""
    sigmoid: list[int] = []
    tanh: list[int] = []
    nearest = Decimal(1)
    with localcontext() as context:
        context.prec = 40
        for index in range(-2048, 2048):
            x = Decimal(index) / 256
            grow = x.exp()
            for table, value, low in (
                (sigmoid, grow / (grow + 1), 0),
                (tanh, (grow * grow - 1) / (grow * grow + 1), -1023),
            ):
                shifted = 1024 * value + Decimal("0.5")
                whole = shifted.to_integral_value(ROUND_FLOOR)
                table.append(min(max(int(whole), low), 1023))
                if index != 0:
                    nearest = min(nearest, shifted - whole, whole + 1 - shifted)
    return sigmoid, tanh, nearest


def test_gate_tables_are_the_exactly_rounded_functions_and_no_entry_is_near_a_tie() -> None:
    sigmoid, tanh, nearest = exact_tables()
    assert SIGMOID.tolist() == sigmoid
    assert TANH.tolist() == tanh
    # float64 is right to about 1e-13 here: any libm rounds every entry the same way.
    assert nearest > Decimal("1e-5")


def test_gate_tables_are_int16_and_cannot_be_changed() -> None:
    for table in (SIGMOID, TANH):
        assert table.dtype == np.int16 and table.shape == (4096,)
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 1


def test_gate_tables_keep_their_symmetry_and_ends() -> None:
    assert (SIGMOID[2048], TANH[2048]) == (512, 0)
    assert (SIGMOID[0], SIGMOID[-1], TANH[0], TANH[-1]) == (0, 1023, -1023, 1023)
    assert np.all(np.diff(SIGMOID) >= 0) and np.all(np.diff(TANH) >= 0)
    assert TANH[1:2048].tolist() == (-TANH[:2048:-1]).tolist()


@pytest.mark.parametrize(
    ("bound", "expected"),
    [(0, np.float32), (2**24 - 1, np.float32), (2**24, np.float64), (2**53 - 1, np.float64)],
)
def test_exact_float_type_changes_where_whole_numbers_stop_being_exact(
    bound: int, expected: type[np.generic]
) -> None:
    assert exact_float_type(bound) is expected
    assert int(expected(bound)) == bound


def test_no_float_type_is_offered_beyond_float64() -> None:
    with pytest.raises(ValueError, match="exactly"):
        exact_float_type(2**53)
