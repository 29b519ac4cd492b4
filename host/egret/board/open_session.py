"""From a board's name to a session on its kernel, with a model loaded or without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret.board.boards import VIRTUAL, board_profile, open_board, resolve_board
from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.image.limits import DEFAULT_CHUNK, check_build, check_memory
from egret.image.model_file import image_for
from egret.image.model_image import ModelImage
from egret.installation import how_to_install

if TYPE_CHECKING:  # they need pynq, which is asked for when a board is opened
    from egret.board.driver import EgretKernel
    from egret.board.session import Session


@contextmanager
def open_session(
    board: str,
    model: Checkpoint | ModelImage | None = None,
    *,
    chunk: int | None = None,
    timeout_s: float | None = None,
    bitfile: str | Path | None = None,
    **profile: Any,
) -> Iterator[Session]:
    """Open a board by name, load its bitstream, and yield a Session on its kernel, `model` loaded if given.

    `session.board` is the profile, with the clock that the board really runs at, `session.image` the model's
    image. `chunk` (tokens per start of the kernel) and `timeout_s` are Session's, with its defaults where
    None; `bitfile` and `profile` are open_board()'s. What a virtual board cannot run is refused before its
    kernel is compiled; what a real one takes its kernel says itself. Raises EgretError where pynq is missing
    and as open_board(), image_for() and Session.load() do; RunError where no Egret kernel answers.
    """
    image = None
    board = resolve_board(board)
    if model is not None and board.startswith(VIRTUAL):
        expected = board_profile(board, **profile)
        image = image_for(model, expected.build)
        check_build(image, expected.build)
        check_memory(image, expected)
    with open_kernel(board, bitfile, **profile) as kernel:
        from egret.board.session import DEFAULT_TIMEOUT_S, Session

        with Session(
            kernel,
            chunk=DEFAULT_CHUNK if chunk is None else chunk,
            timeout_s=DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s,
        ) as session:
            if model is not None:
                session.load(image_for(model, session.build) if image is None else image)
            yield session


@contextmanager
def open_kernel(board: str, bitfile: str | Path | None = None, **profile: Any) -> Iterator[EgretKernel]:
    """As open_session(), but yield the kernel, which has not been spoken to yet."""
    try:
        import pynq  # noqa: F401
    except ImportError as error:
        raise EgretError(
            f"pynq cannot be imported ({error}); {how_to_install('board', 'simulation')}"
        ) from error
    from egret.board.clock import set_clock
    from egret.board.driver import load_overlay

    with open_board(board, bitfile=bitfile, **profile) as opened:
        overlay = load_overlay(opened.bitfile, opened.device)
        kernel = overlay.egret_kernel
        kernel.board = set_clock(opened.board, overlay)
        overlay.after_download = lambda: set_clock(opened.board, overlay)
        yield kernel
