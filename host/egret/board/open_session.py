"""From a board's name to a session on its kernel, and to a model on it, for all who use one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.image.limits import DEFAULT_CHUNK, check_build, check_memory
from egret.image.model_file import image_for
from egret.image.model_image import ModelImage
from egret.installation import how_to_install
from egret.profiles import Board


@contextmanager
def open_kernel(board: str, bitfile: str | Path | None = None, **profile: Any) -> Iterator[tuple[Any, Board]]:
    """Open a board by name, load its bitstream, set the fabric clock, and yield the kernel and the profile.

    The kernel has not been spoken to yet. The profile has the rate that the board really runs at. Raises as
    open_session() does.
    """
    try:
        import pynq  # noqa: F401
    except ImportError as error:
        raise EgretError(
            f"pynq cannot be imported ({error}); {how_to_install('board', 'simulation')}"
        ) from error
    from egret.board.boards import open_board
    from egret.board.clock import set_clock
    from egret.board.driver import load_overlay

    with open_board(board, bitfile=bitfile, **profile) as opened:
        overlay = load_overlay(opened.bitfile, opened.device)
        profile_here = set_clock(opened.board, overlay)
        overlay.after_download = lambda: set_clock(opened.board, overlay)
        yield overlay.egret_kernel, profile_here


@contextmanager
def open_session(
    board: str,
    chunk: int | None = None,
    bitfile: str | Path | None = None,
    timeout_s: float | None = None,
    **profile: Any,
) -> Iterator[tuple[Any, Board]]:
    """Open a board by name, load its bitstream and yield a Session on its kernel, and the board's profile.

    The fabric clock is set (egret.board.clock), and the profile has the rate that the board really runs at.

    `chunk` (tokens per start of the kernel) and `timeout_s` are Session's, with its defaults where None;
    `bitfile` and `profile` are open_board()'s. Raises EgretError where pynq is missing or open_board() does,
    and RunError where no Egret kernel answers.
    """
    with open_kernel(board, bitfile, **profile) as (kernel, profile_here):
        from egret.board.session import DEFAULT_TIMEOUT_S, Session

        with Session(
            kernel,
            chunk=DEFAULT_CHUNK if chunk is None else chunk,
            timeout_s=DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s,
        ) as session:
            yield session, profile_here


@contextmanager
def open_model(
    model: Checkpoint | ModelImage,
    board: str,
    chunk: int | None = None,
    bitfile: str | Path | None = None,
    **profile: Any,
) -> Iterator[tuple[Any, Board, ModelImage]]:
    """Open a board as open_session() does, load a model, and yield session, profile and the model's image.

    Raises what open_session(), image_for() and Session.load() do. What a virtual board cannot run is refused
    before its kernel is compiled; what a real one takes its kernel says itself.
    """
    from egret.board.boards import VIRTUAL, board_profile, resolve_board

    image = None
    board = resolve_board(board)
    if board.startswith(VIRTUAL):
        expected = board_profile(board, **profile)
        image = image_for(model, expected.build)
        check_build(image, expected.build)
        check_memory(image, expected)
    with open_session(board, chunk, bitfile, **profile) as (session, opened):
        if image is None:
            image = image_for(model, session.build)
        session.load(image)
        yield session, opened, image
