"""Egret: sparse event-based recurrent networks on an FPGA, one token at a time.

with egret.open("models/ptb-egru.npz") as net:
    for step in net.stream(net.encode("the company said")):
        print(step.argmax, step.events, step.cycles)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from egret.errors import EgretError, RunError

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from egret.checkpoint import Checkpoint
    from egret.image.model_image import ModelImage
    from egret.network import Network, Step

__all__ = ["Checkpoint", "EgretError", "Network", "RunError", "Step", "open"]

_LATER = {"Checkpoint": "egret.checkpoint", "Network": "egret.network", "Step": "egret.network"}
"""Names whose modules are imported when they are first used: they take NumPy, which takes a while."""


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def open(
    model: str | os.PathLike[str] | Checkpoint | ModelImage,
    board: str = "auto",
    *,
    chunk: int | None = None,
    bitfile: str | Path | None = None,
    **profile: Any,
) -> Network:
    """Open a board, load a model on it and return the Network: a context manager, whose end frees both.

    model: a quantised checkpoint or a packed image, or the path of one. board: a name of `egret boards`;
    "auto" is the board that the program runs on, and on a PC the virtual PYNQ-Z2. chunk: tokens per start of
    the kernel (default 16; 1 for tokens that come one by one). bitfile and profile: those of
    egret.board.boards.open_board(). Raises EgretError for a model, a board or a bitstream that is not there
    or does not fit the other, and RunError for a board that does not work.
    """
    from egret.network import open_network

    return open_network(model, board, chunk=chunk, bitfile=bitfile, **profile)
