"""Given tokens, then generated ones: greedy in the kernel, or each drawn on the host from the logits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from egret.board.results import Run
from egret.sampling import Sampler

if TYPE_CHECKING:  # a session needs pynq, which a PC may lack where no board is opened
    from egret.board.session import Session


def ignore(token: int) -> None:
    """Do nothing about a token."""


class Generation:
    """Runs `given`, uint32 [T >= 1], and generates `count` tokens after it; iterate over the Runs once.

    The last token generated is not fed back: there are T + max(count - 1, 0) steps. `logits`: keep those of
    all steps (with a sampler, those of steps whose next token is drawn are there in any case). `on_choice` is
    told each token drawn that is about to be fed back.
    """

    def __init__(
        self,
        session: Session,
        given: npt.NDArray[np.uint32],
        count: int,
        logits: bool = False,
        sampler: Sampler | None = None,
        on_choice: Callable[[int], None] = ignore,
    ) -> None:
        self._session, self._given, self._count, self._logits = session, given, count, logits
        self._sampler, self._on_choice = sampler, on_choice
        self.tokens: list[int] = []
        """The tokens generated so far."""
        self.host_s = 0.0
        """Seconds that drawn tokens took beside the kernel's own time: the start, the logits, the drawing."""

    def __iter__(self) -> Iterator[Run]:
        return self._greedy() if self._sampler is None or not self._count else self._drawn(self._sampler)

    def _greedy(self) -> Iterator[Run]:
        last = None
        for last in self._session.stream(self._given, self._logits):
            yield last
        assert last is not None  # a stream has a token, or has raised
        if self._count:
            self.tokens.append(int(last.argmax[-1]))
        if self._count > 1:
            for part in self._session.stream_generate(self.tokens[0], self._count - 1, self._logits):
                self.tokens += part.argmax.tolist()
                yield part

    def _drawn(self, sampler: Sampler) -> Iterator[Run]:
        if self._given.size > 1:
            yield from self._session.stream(self._given[:-1], self._logits)
        token = int(self._given[-1])
        for _ in range(self._count):
            begin, busy = time.monotonic(), self._session.kernel.busy_s
            part = self._session.run([token], logits=True)
            assert part.logits is not None
            token = sampler.choose(part.logits[0])
            self.host_s += time.monotonic() - begin - (self._session.kernel.busy_s - busy)
            self.tokens.append(token)
            yield part
            if len(self.tokens) < self._count:
                self._on_choice(token)
