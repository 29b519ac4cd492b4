"""The board that a program runs on, or reaches through PYNQ.remote: which one it is, and its pynq device."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from egret.errors import EgretError, RunError
from egret.installation import CHECKOUT
from egret.profiles import BOARDS, Board

PYNQ_BOARD_FILE = Path("/proc/device-tree/chosen/pynq_board")
"""Where a PYNQ image says which board it is on (and in the variable BOARD, which sudo drops)."""

BITSTREAMS_VARIABLE = "EGRET_BITSTREAMS"
"""Names a folder that holds BOARD/egret.bit and egret.hwh; where Egret was installed from a wheel there is no
checkout to look in."""

REMOTE_VARIABLE = "PYNQ_REMOTE_DEVICES"
"""Holds the addresses of boards to be reached through PYNQ.remote; pynq reads it when it is imported."""


def own_name() -> str:
    """Return what the board that pynq would find calls itself ("Pynq-Z2"); "" on a PC without one."""
    if os.environ.get(REMOTE_VARIABLE):
        return str(_remote_device().name)
    try:
        return PYNQ_BOARD_FILE.read_text(encoding="utf-8").strip("\0 \n")
    except OSError:
        return os.environ.get("BOARD", "")


ALIASES = {"pynq-z1": "pynq-z2"}
"""Boards with the part, the clocks and the memory of another, whose profile and bitstream are theirs."""


def known_as(own: str) -> str | None:
    """Return the name in BOARDS of a board that calls itself `own`, or None where it is none of them."""
    own = ALIASES.get(own.lower(), own)
    for known in BOARDS:  # a PYNQ image says "Ultra96" for both versions of that board
        if known == own.lower() or known.startswith(f"{own.lower()}-v"):
            return known
    return None


def find_device(board: Board) -> Any:
    """Return the pynq device of the real board `board`.

    Raises EgretError where there is none, where it is another board, or where pynq may not use it; and
    RunError where a remote board does not answer.
    """
    own = own_name()
    known = known_as(own) if own else None
    if known is not None and known != board.name:
        raise EgretError(f"This board is {own}, not {board.name}: name {known}, or --board auto.")
    if os.environ.get(REMOTE_VARIABLE):
        return _remote_device()
    found = _devices()
    if not found:
        raise EgretError(
            f"This machine is no {board.name}: pynq finds no programmable logic. To simulate one, name "
            f"virtual:{board.name}."
        )
    if os.geteuid() != 0:
        raise EgretError(
            "A board's logic and registers take root: start this as root, in pynq's own environment."
        )
    return found[0]


def bitstream_of(board: Board, given: str | Path | None) -> Path:
    """Return the bitstream `given`, or else NAME/egret.bit in $EGRET_BITSTREAMS or this checkout.

    Raises EgretError, saying how to get one, where it or its hardware handoff (.hwh) is missing.
    """
    folder = os.environ.get(BITSTREAMS_VARIABLE) or CHECKOUT / "bitstreams"
    path = Path(given) if given is not None else Path(folder) / board.name / "egret.bit"
    for what, file in (("bitstream", path), ("bitstream's hardware handoff", path.with_suffix(".hwh"))):
        if not file.is_file():
            raise EgretError(
                f"The {what} {file} is missing: build it with 'make bitstream BOARD={board.name}' on a PC "
                f"with Vivado, or name one with --bitfile or its folder with {BITSTREAMS_VARIABLE}."
            )
    return path


def _remote_device() -> Any:
    for device in _devices():
        if device.has_capability("REMOTE"):
            return device
    raise EgretError(
        f"{REMOTE_VARIABLE} is set, but pynq finds no remote board: that takes pynq 3.1 or later, and the "
        "variable set before pynq is imported."
    )


def _devices() -> list[Any]:
    from pynq import Device

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pynq's words for a machine without a device; ours follow
            return list(Device.devices)
    except RuntimeError as error:  # pynq's, for a remote board that does not answer in five seconds
        if hasattr(Device, "_devices"):
            del Device._devices  # or pynq takes an empty list for its last word
        raise RunError(
            f"The board at {os.environ.get(REMOTE_VARIABLE, 'this machine')} does not answer ({error})."
        ) from error
