"""Arguments that several commands take, and types of arguments.

argparse prints the usage and a type's sentence for a value out of range.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from egret.board.boards import AUTO, CSIM_BOARD, VIRTUAL
from egret.image.limits import DEFAULT_CHUNK

DEFAULT_VIRTUAL_BOARD = f"{VIRTUAL}{CSIM_BOARD}"
"""What "auto" is on a PC, and whose kernel a model is packed for where no board is named."""


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


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a model file of either kind."""
    parser.add_argument(
        "model", metavar="MODEL", type=Path, help="quantised checkpoint (.npz) or packed image"
    )


def add_board(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say where to run: the board, its bitstream, tokens per start of the kernel."""
    parser.add_argument(
        "--board",
        default=AUTO,
        help=f"board, one of 'egret boards' (default: {AUTO}, this board; on a PC, {DEFAULT_VIRTUAL_BOARD})",
    )
    parser.add_argument(
        "--bitfile",
        metavar="FILE",
        help="bitstream of a real board, with its .hwh beside it (default: BOARD/egret.bit in "
        "$EGRET_BITSTREAMS or in this checkout's bitstreams)",
    )
    parser.add_argument(
        "--chunk",
        metavar="N",
        type=positive,
        help=f"tokens per start of the kernel (default: {DEFAULT_CHUNK}): more for speed, fewer for "
        "a livelier display",
    )


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
