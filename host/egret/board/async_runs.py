"""A session's runs for programs that use asyncio: what Session.stream() does, with the event loop free."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy.typing as npt

from egret import contract
from egret.board.results import Run
from egret.board.session import Session
from egret.errors import EgretError


async def stream(session: Session, tokens: npt.ArrayLike, logits: bool = False) -> AsyncIterator[Run]:
    """Run tokens, integers [T], teacher forced, and yield a Run for each chunk, as Session.stream() does."""
    given = session.checked(tokens)
    for start in range(0, int(given.size), session.chunk):
        part = given[start : start + session.chunk]
        steps = int(part.size)
        arguments = session.prepare_chunk(part, steps, logits)
        counters = await session.execute_async(contract.COMMAND_RUN, **arguments)
        yield session.collect_chunk(steps, logits, counters)


async def stream_generate(
    session: Session, first_token: int, count: int, logits: bool = False
) -> AsyncIterator[Run]:
    """Run `count` steps, each but the first on the argmax before it; as Session.stream_generate()."""
    if count < 1:
        raise EgretError(f"At least one word can be generated; {count} were asked for.")
    token = session.checked([first_token])
    for start in range(0, count, session.chunk):
        steps = min(session.chunk, count - start)
        arguments = session.prepare_chunk(token, steps, logits)
        counters = await session.execute_async(contract.COMMAND_GENERATE, **arguments)
        run = session.collect_chunk(steps, logits, counters)
        token = run.argmax[-1:]
        yield run
