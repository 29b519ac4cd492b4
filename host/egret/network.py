"""The network on a board as a Python programmer wants it: tokens in, a Step for each out."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from egret.board.open_session import open_session
from egret.board.results import Counters, Run
from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.image.model_file import load_model, vocabulary_of
from egret.image.model_image import ModelImage
from egret.sampling import Sampler
from egret.text.vocabulary import Vocabulary

if TYPE_CHECKING:  # a session needs pynq, which is asked for when a board is opened
    from egret.board.session import Session
    from egret.profiles import Board


@dataclass(frozen=True, eq=False)
class Step:
    """The result of one token."""

    token: int
    """The input."""
    argmax: int
    """The likeliest next token."""
    logit: int
    """Its logit, in units of 2^-11."""
    logits: npt.NDArray[np.int32] | None
    """All logits, int32 [V] in units of 2^-11, where they were asked for."""
    events: tuple[int, ...]
    """How many neurons of each layer fired."""
    cycles: int
    """Kernel cycles of this step."""
    counters: Counters
    """Of the start of the kernel that this step was part of: the kernel counts by start, not by token."""
    next: int
    """The token that follows in generate(): the argmax, or the one that was drawn."""


@dataclass(frozen=True, eq=False)
class SavedState:
    """A network's state, as the tokens that lead to it from a reset; see Network.save()."""

    tokens: npt.NDArray[np.uint32]
    """uint32 [T]"""
    checksum: int
    """The model image's; tokens lead another model to another state."""


class Network:
    """A model on a board. Made by egret.open(); a context manager, whose end frees buffers and board.

    The state persists from call to call. Tokens go to the kernel in chunks, so a stream that is left early
    has run to the end of its chunk: open with chunk=1 where each token depends on the answer to the last.
    """

    def __init__(self, session: Session, board: Board, resources: ExitStack) -> None:
        """Take over a session with a model loaded, and what is to be closed with it."""
        self._session, self._resources = session, resources
        self._closed = False
        self._history: list[npt.NDArray[np.uint32]] = []
        self.board = board
        """The board's profile: its clock, its memory, its kernel's build."""
        self.image: ModelImage = session.image
        """The model, as it lies in the board's memory."""
        self.words: list[str] = list(self.image.vocabulary)
        """The vocabulary: token t is words[t]."""
        self.counters = Counters.zero()
        """The sums over all starts since the last reset()."""
        self.drawing_s = 0.0
        """Seconds that drawn tokens took beside the kernel's own time: the start, the logits, the drawing."""

    def __enter__(self) -> Network:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the buffers and the board; nothing can be run afterwards."""
        self._closed = True
        self._resources.close()

    @property
    def logit_bytes(self) -> int:
        """Bytes that the logits of a token take in the board's memory, padding among them."""
        return self._session.logit_bytes

    def encode(self, text: str) -> npt.NDArray[np.uint32]:
        """Return the tokens, uint32 [T], of the beginning of a line: <eos> (the line before), and its words.

        Raises EgretError where the vocabulary has no <eos>, or no <unk> for a word that it lacks.
        """
        return self._vocabulary.encode_prompt(text)

    def encode_text(self, text: str) -> npt.NDArray[np.uint32]:
        """Return the tokens, uint32 [T], of whole lines, cut as the model's training text was.

        Raises EgretError as encode() does.
        """
        return self._vocabulary.encode_text(text)

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the words of tokens, spaces between (but not characters), a line break for each <eos>."""
        return self._vocabulary.decode(tokens)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return vocabulary_of(self.image)

    def stream(self, tokens: npt.ArrayLike | Iterable[int], logits: bool = False) -> Iterator[Step]:
        """Run tokens teacher forced, and yield a Step for each, a chunk of them at a time.

        tokens: integers [T], or anything that yields integers, from which a chunk at a time is taken. Raises
        EgretError where a token is not in the vocabulary (of an array: before anything runs; of an iterator:
        before its chunk runs) and KernelError where the kernel stops; then reset() or restore() goes on.
        """
        return _steps(self.stream_runs(tokens, logits))

    def stream_runs(self, tokens: npt.ArrayLike | Iterable[int], logits: bool = False) -> Iterator[Run]:
        """As stream(), but yield a Run, whose arrays hold all steps, for each chunk."""
        self._check_state()
        if isinstance(tokens, (Sequence, np.ndarray)):
            return self._noted(self._session.stream(np.asarray(tokens), logits))
        pieces = _pieces(iter(tokens), self._session.chunk)  # type: ignore[arg-type]
        return self._noted(run for piece in pieces for run in self._session.stream(piece, logits))

    def run(self, tokens: npt.ArrayLike, logits: bool = False) -> Run:
        """As stream(), but return arrays over all steps: the fastest way, and the one for long texts."""
        return Run.join(list(self.stream_runs(np.asarray(tokens), logits)))

    def generate(
        self,
        first_token: int,
        count: int,
        logits: bool = False,
        temperature: float | None = None,
        top_k: int | None = None,
        seed: int = 0,
    ) -> Iterator[Step]:
        """Run `count` steps, the first on `first_token`, each next one on the `next` of the step before.

        Without temperature and top_k the kernel goes on by itself with the argmax, a chunk at a time. With
        either, each next token is drawn on the host (egret.sampling.Sampler): a start of the kernel and all
        logits for each. Raises as stream() does.
        """
        sampler = None
        if temperature is not None or top_k is not None:
            sampler = Sampler(1.0 if temperature is None else temperature, top_k, seed)
        runs = self.generate_runs(first_token, count, logits, sampler)
        return _steps(run if logits else replace(run, logits=None) for run in runs)

    def generate_runs(
        self, first_token: int, count: int, logits: bool = False, sampler: Sampler | None = None
    ) -> Iterator[Run]:
        """As generate(), but yield a Run for each start of the kernel; drawn tokens come with all logits."""
        self._check_state()
        if sampler is None:
            return self._noted(self._session.stream_generate(first_token, count, logits))
        if count < 1:
            raise EgretError(f"At least one word can be generated; {count} were asked for.")
        return self._noted(self._drawn(first_token, count, sampler))

    async def astream(
        self, tokens: npt.ArrayLike | Iterable[int] | AsyncIterable[int], logits: bool = False
    ) -> AsyncIterator[Step]:
        """As stream(), for asyncio: other tasks run while the kernel works.

        It wakes by the kernel's interrupt where the board has one, else by polling. Tokens may also come from
        an async iterator, a chunk at a time. One stream at a time: a second one, begun while a chunk is under
        way, gets a RunError and harms nothing. A task that is cancelled loses the state; reset() goes on.
        """
        self._check_state()
        async for piece in _async_pieces(tokens, self._session.chunk):
            async for run in self._session.astream(piece, logits):
                for step in _steps(self._noted([run])):
                    yield step

    async def agenerate(self, first_token: int, count: int, logits: bool = False) -> AsyncIterator[Step]:
        """As generate() without drawing, for asyncio; see astream()."""
        self._check_state()
        async for run in self._session.astream_generate(first_token, count, logits):
            for step in _steps(self._noted([run])):
                yield step

    def reset(self) -> None:
        """Return to the state after opening; after an error, a time-out or Ctrl-C, load the model again."""
        self._check_open()
        self._session.settle()
        if self._session.loaded:
            self._session.reset()
        else:
            self._session.load(self.image)
        self._history, self.counters, self.drawing_s = [], Counters.zero(), 0.0

    def save(self) -> SavedState:
        """Return the state, for restore() on this or another board.

        The kernel does not hand out its state, so the tokens since the last reset are saved, 4 bytes each;
        the state follows from them exactly. Raises EgretError where an error has lost the state.
        """
        self._check_state()
        tokens = np.concatenate(self._history) if self._history else np.empty(0, dtype=np.uint32)
        self._history = [tokens]
        return SavedState(tokens, self.image.checksum)

    def restore(self, state: SavedState) -> None:
        """Return to a saved state: reset, then run its tokens again, which takes as long as they took.

        Raises EgretError where it was saved from another model image.
        """
        if state.checksum != self.image.checksum:
            raise EgretError("The saved state is of another model image than the one on this board.")
        self.reset()
        if state.tokens.size:
            self.run(state.tokens)

    def _check_open(self) -> None:
        if self._closed:
            raise EgretError("The network is closed; open it again.")

    def _check_state(self) -> None:
        self._check_open()
        if not self._session.loaded:
            raise EgretError("An error has lost the network's state; reset() or restore() goes on.")

    def _drawn(self, token: int, count: int, sampler: Sampler) -> Iterator[Run]:
        kernel = self._session.kernel
        for _ in range(count):
            begin, busy_s = time.monotonic(), kernel.busy_s
            run = self._session.run([token], logits=True)
            assert run.logits is not None
            token = sampler.choose(run.logits[0])
            self.drawing_s += time.monotonic() - begin - (kernel.busy_s - busy_s)
            yield replace(run, drawn=np.array([token], dtype=np.uint32))

    def _noted(self, runs: Iterable[Run]) -> Iterator[Run]:
        """Pass the runs on, noting what leads to the state."""
        for run in runs:
            self._history.append(run.tokens)
            self.counters += run.counters
            yield run


def _steps(runs: Iterable[Run]) -> Iterator[Step]:
    for run in runs:
        following = run.next
        for index in range(len(run)):
            yield Step(
                token=int(run.tokens[index]),
                argmax=int(run.argmax[index]),
                logit=int(run.logit[index]),
                logits=None if run.logits is None else run.logits[index],
                events=tuple(run.events[index].tolist()),
                cycles=int(run.cycles[index]),
                counters=run.counters,
                next=int(following[index]),
            )


def _pieces(tokens: Iterator[int], size: int) -> Iterator[npt.ArrayLike]:
    while piece := list(islice(tokens, size)):
        yield piece


async def _async_pieces(
    tokens: npt.ArrayLike | Iterable[int] | AsyncIterable[int], size: int
) -> AsyncIterator[npt.ArrayLike]:
    """Yield tokens as they are if they are all there, and from an iterator `size` at a time."""
    if isinstance(tokens, AsyncIterable):
        piece: list[int] = []
        async for token in tokens:
            piece.append(token)
            if len(piece) == size:
                yield piece
                piece = []
        if piece:
            yield piece
    elif isinstance(tokens, (Sequence, np.ndarray)):
        yield np.asarray(tokens)
    else:
        for taken in _pieces(iter(tokens), size):  # type: ignore[arg-type]
            yield taken


def open_network(
    model: str | os.PathLike[str] | Checkpoint | ModelImage,
    board: str,
    *,
    chunk: int | None = None,
    bitfile: str | Path | None = None,
    **profile: Any,
) -> Network:
    """Do what egret.open() says."""
    if not isinstance(model, (Checkpoint, ModelImage)):
        model = load_model(Path(model))
    with ExitStack() as resources:
        session = resources.enter_context(open_session(board, model, chunk=chunk, bitfile=bitfile, **profile))
        return Network(session, session.board, resources.pop_all())
