"""The fabric clock of a board: set as near to the kernel's as its divider allows, and never above it."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from typing import Any

import pynq

from egret.hwh import clock_built_for
from egret.profiles import Board

TOLERANCE = 1e-3
"""A clock that is this share too fast is taken for the right one: PLLs are given to a few digits."""

LARGEST_DIVISOR = 63
"""Two dividers of six bits stand in a row."""


def set_clock(board: Board, overlay: Any) -> Board:
    """Set the clock of an overlay that was just loaded, and return the profile with the rate it really has.

    The wanted rate is the one that the bitstream was built for, as its .hwh says (the profile's if it does
    not). pynq sets the .hwh's divisors, which give another rate if the board's boot loader left another PLL
    in front of them. A rate other than the profile's is reported on standard error.
    """
    wanted = clock_built_for(overlay.ip_dict) or float(board.clock_mhz)
    try:
        rate = _set(wanted)
    except (RuntimeError, ValueError) as error:  # pynq's, for a processing system that it cannot read
        _say(f"The fabric clock cannot be read ({error}); figures per second are for {board.clock_mhz} MHz.")
        return board
    if abs(rate - board.clock_mhz) <= TOLERANCE * board.clock_mhz:
        return board
    _say(
        f"The fabric clock is {rate:g} MHz, not the {board.clock_mhz:g} MHz of {board.name}; "
        "figures per second are for the rate it has."
    )
    return replace(board, clock_mhz=rate)


def divisors(source_mhz: float, wanted_mhz: float) -> tuple[int, int]:
    """Return the two divisors that bring a source nearest to the wanted rate from below.

    If no two of them divide it far enough, return the largest ones.
    """
    least = max(math.ceil(source_mhz / (wanted_mhz * (1 + TOLERANCE))), 1)
    pairs = [
        (math.ceil(least / second), second)
        for second in range(1, LARGEST_DIVISOR + 1)
        if math.ceil(least / second) <= LARGEST_DIVISOR
    ]
    pairs = pairs or [(LARGEST_DIVISOR, LARGEST_DIVISOR)]
    return min(pairs, key=lambda pair: (pair[0] * pair[1], pair[1]))


def _set(wanted_mhz: float) -> float:
    clocks = pynq.Clocks
    rate = float(clocks.fclk0_mhz)
    if abs(rate - wanted_mhz) <= TOLERANCE * wanted_mhz:
        return rate
    # pynq tells the rate and not its source. At the slowest the two follow from each other, and from there
    # no order in which the divisors are written makes the clock faster than it will be.
    clocks.set_pl_clk(0, LARGEST_DIVISOR, LARGEST_DIVISOR)
    source = float(clocks.fclk0_mhz) * LARGEST_DIVISOR**2
    clocks.set_pl_clk(0, *divisors(source, wanted_mhz))
    return float(clocks.fclk0_mhz)


def _say(sentence: str) -> None:
    print(f"egret: {sentence}", file=sys.stderr)
