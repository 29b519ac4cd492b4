"""Types of command-line arguments: argparse prints the usage and these sentences for a value out of range."""

from __future__ import annotations

import argparse


def count(text: str) -> int:
    """Return the integer of 0 or more that `text` says."""
    value = _integer(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is less than 0")
    return value


def positive(text: str) -> int:
    """Return the integer of 1 or more that `text` says."""
    value = _integer(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value


def add_bitfile(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a real board's bitstream."""
    parser.add_argument(
        "--bitfile",
        metavar="FILE",
        help="bitstream of a real board, its .hwh beside it (default: BOARD/egret.bit in $EGRET_BITSTREAMS, "
        "or in bitstreams of this checkout)",
    )


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
