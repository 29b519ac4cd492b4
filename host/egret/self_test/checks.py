"""The self-test of a board: what the kernel computes, and how it refuses, against the contract.

Every number is compared with the reference model's, bit for bit. READ_ERROR and WRITE_ERROR are not
provoked: that takes addresses at which a board has nothing, and may hang it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from egret import contract
from egret.board.driver import KernelError
from egret.board.results import RESULT_WORDS, Run
from egret.board.session import Session
from egret.checkpoint import Checkpoint
from egret.errors import EgretError, RunError
from egret.image.model_image import ModelImage
from egret.image.packer import pack
from egret.profiles import Board, Build
from egret.reference.comparison import ReferenceCheck
from egret.reference.model import ReferenceModel
from egret.self_test.networks import Vector, vectors

_OVERHEAD_STARTS = 32


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    name: str
    passed: bool
    detail: str
    """What was compared, or what is wrong."""


@dataclass(frozen=True)
class Overhead:
    """What the host adds to the kernel's time, in seconds a token: Python, pynq, copies to and from DDR."""

    one_at_a_time_s: float
    in_chunks_s: float
    chunk: int


def run_checks(session: Session, board: Board, full: bool = False) -> Iterator[Check]:
    """Run all checks on a session, yielding each as it is done.

    They end early where the kernel does not come back from a command, as nothing more can be started then.
    """
    for name, check in _checks(session, board, full):
        try:
            result = Check(name, True, check())
        except EgretError as error:
            result = Check(name, False, str(error))
        yield result
        if session.kernel.running:
            return


def measure_overhead(session: Session, starts: int = _OVERHEAD_STARTS) -> Overhead:
    """Start the kernel `starts` times with one token of a small network, and as often with a chunk of them.

    The seconds are those around the kernel's work: from its start to its end as polling sees it they are
    not counted. No logits are read.
    """
    vector = vectors(session.build, full=False)[0]
    checkpoint = vector.draw()
    session.load(pack(checkpoint, session.build))

    def seconds(tokens: int) -> float:
        # Not the two that a vector begins with: its first and last word.
        given = replace(vector, given=tokens + 2).tokens(len(checkpoint.vocabulary))[2:]
        taken = []
        for _ in range(starts):
            begin, busy = time.monotonic(), session.kernel.busy_s
            session.run(given)
            taken.append(time.monotonic() - begin - (session.kernel.busy_s - busy))
        # The median: what else the machine does now and then should not count.
        return float(np.median(np.array(taken, dtype=np.float64))) / tokens

    return Overhead(seconds(1), seconds(session.chunk), session.chunk)


def _checks(session: Session, board: Board, full: bool) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "build", lambda: _build(session.build, board)
    for vector in vectors(session.build, full):
        test = _VectorTest(session, vector)
        yield f"{vector.name}: given tokens", test.given
        yield f"{vector.name}: generated tokens", test.generated
        yield f"{vector.name}: again, one by one", test.again
    yield from _ErrorTests(session, vectors(session.build, full=False)[0]).checks()


def _build(build: Build, board: Board) -> str:
    # Burst length and reads in flight: the kernel does not tell them.
    expected = replace(
        board.build, max_burst_beats=build.max_burst_beats, reads_in_flight=build.reads_in_flight
    )
    if build != expected:
        raise RunError(f"The kernel says it is {build}; on {board.name} it should be {expected}.")
    return (
        f"{build.engines} engines of {build.lanes} lanes ({build.decoder_lanes} for the decoder), "
        f"{8 * build.bus_bytes}-bit ports, as {board.name} should have"
    )


class _VectorTest:
    """The checks of one network; each goes on from the state in which the one before it left the kernel."""

    def __init__(self, session: Session, vector: Vector) -> None:
        self._session, self._vector = session, vector
        self._check: ReferenceCheck | None = None

    def given(self) -> str:
        checkpoint = self._vector.draw()
        self._session.load(pack(checkpoint, self._session.build))
        self._tokens = self._vector.tokens(len(checkpoint.vocabulary))
        check = ReferenceCheck(checkpoint, self._tokens)
        parts = []
        for part in self._session.stream(self._tokens, logits=True):
            check.take(part)
            parts.append(replace(part, logits=None))
        self._run, self._check = Run.join(parts), check
        return f"every logit, argmax, event count and MAC of {check.steps} tokens"

    def generated(self) -> str:
        check = self._after_given()
        count = self._vector.generated
        for part in self._session.stream_generate(int(self._run.argmax[-1]), count, logits=True):
            check.take(part)
        return f"every logit, argmax, event count and MAC of {count} tokens"

    def again(self) -> str:
        self._after_given()
        self._session.reset()
        again = Run.join([self._session.run([token]) for token in self._tokens])
        for name in ("argmax", "logit", "events"):
            if not np.array_equal(getattr(again, name), getattr(self._run, name)):
                raise RunError(f"After RESET, and with one token a start, the tokens' {name} differ.")
        counted, recorded = sum(again.counters.events), int(again.events.sum(dtype=np.int64))
        if counted != recorded:
            raise RunError(f"The counters say {counted} events, the result records {recorded}.")
        return "RESET, state kept from start to start, no logits, counters of events"

    def _after_given(self) -> ReferenceCheck:
        if self._check is None:
            raise RunError("Not run, as the given tokens failed.")
        return self._check


class _ErrorTests:
    """How the kernel refuses, and that it works again afterwards."""

    def __init__(self, session: Session, vector: Vector) -> None:
        self._session, self._vector = session, vector
        self._checkpoint: Checkpoint = vector.draw()
        self._image: ModelImage = pack(self._checkpoint, session.build)

    def checks(self) -> Iterator[tuple[str, Callable[[], str]]]:
        words = self._session.build.most_decoder_rows * self._session.build.decoder_slots
        yield "error BAD_COMMAND", lambda: self._harmless(contract.ERROR_BAD_COMMAND, 99)
        yield (
            "error BAD_ADDRESS",
            lambda: self._harmless(contract.ERROR_BAD_ADDRESS, contract.COMMAND_RUN, tokens=4),
        )
        yield "error BAD_TOKEN", self._bad_token
        yield "error BAD_IMAGE: magic", lambda: self._bad_header(contract.ERROR_BAD_IMAGE, 0, 0)
        yield "error BAD_IMAGE: version", lambda: self._bad_header(contract.ERROR_BAD_IMAGE, 1, 0xFFFF)
        yield "error WRONG_BUILD: lanes", lambda: self._bad_header(contract.ERROR_WRONG_BUILD, 4, 0)
        yield "error WRONG_BUILD: ports", lambda: self._bad_header(contract.ERROR_WRONG_BUILD, 5, 0)
        yield "error LIMIT", lambda: self._bad_header(contract.ERROR_LIMIT, 7, words + 1)
        yield "error BAD_COLUMN", self._bad_column
        yield "two layers, after all errors", self._works

    def _works(self) -> str:
        test = _VectorTest(self._session, self._vector)
        return test.given()

    def _harmless(self, code: int, command: int, **offsets: int) -> str:
        """Provoke an error after which everything is as before: the next tokens go on from the same state."""
        tokens = self._vector.tokens(len(self._checkpoint.vocabulary))
        session, reference = self._session, ReferenceModel(self._checkpoint)
        session.load(self._image)
        half = tokens.size // 2
        session.run(tokens[:half])
        reference.run(tokens[:half])
        arguments = self._arguments(tokens[:1])
        for name, offset in offsets.items():
            arguments[name] += offset
        self._expect(code, command, **arguments)
        # By hand again: the session takes its model for gone, as it does not know what such a command did.
        session.execute(contract.COMMAND_RUN, **self._arguments(tokens[half:]))
        results = self._buffer("results")
        results.invalidate()
        expected = reference.run(tokens[half:])
        records = np.asarray(results)[: RESULT_WORDS * expected.logit.size].reshape(-1, RESULT_WORDS)
        if not np.array_equal(records[:, 1].view(np.int32), expected.logit):
            raise RunError(f"After {contract.ERRORS[code][0]} the state is not what it was before.")
        return "refused; the model and its state are as before"

    def _bad_token(self) -> str:
        words = len(self._checkpoint.vocabulary)
        self._session.load(self._image)
        arguments = self._arguments(np.array([0, 1, words, 0], dtype=np.uint32))
        error = self._expect(contract.ERROR_BAD_TOKEN, contract.COMMAND_RUN, **arguments)
        if error.token != 2:
            raise RunError(f"BAD_TOKEN was reported at token {error.token}; the bad one is token 2.")
        self._expect(contract.ERROR_NOT_LOADED, contract.COMMAND_RUN, **arguments)
        return "refused with the token's position; then NOT_LOADED"

    def _bad_header(self, code: int, word: int, value: int) -> str:
        """Have the kernel load an image of which one header word is wrong."""
        data = self._image.data.copy()
        data[4 * word : 4 * word + 4].view("<u4")[0] = value
        self._expect(code, contract.COMMAND_LOAD, image=self._image_buffer(data).device_address)
        self._expect(contract.ERROR_NOT_LOADED, contract.COMMAND_RESET)
        return "refused; then NOT_LOADED"

    def _bad_column(self) -> str:
        """Have every column of engine 0 begin far outside its section, and run until a neuron fires."""
        data, sections = self._image.data.copy(), self._image.header.engines[0]
        stride = self._session.build.bus_bytes
        begin, count = sections.pointers, sections.pointer_count
        data[begin : begin + count * stride].view("<u4")[:: stride // 4] = np.uint32(0xFFFF0000)
        address = self._image_buffer(data).device_address
        self._session.execute(contract.COMMAND_LOAD, image=address)
        tokens = self._vector.tokens(len(self._checkpoint.vocabulary))
        self._expect(contract.ERROR_BAD_COLUMN, contract.COMMAND_RUN, **self._arguments(tokens))
        self._expect(contract.ERROR_NOT_LOADED, contract.COMMAND_RESET)
        return "refused; then NOT_LOADED"

    def _expect(self, code: int, command: int, **arguments: int) -> KernelError:
        name = contract.ERRORS[code][0]
        try:
            self._session.execute(command, **arguments)
        except KernelError as error:
            if error.code == code:
                return error
            raise RunError(f"The kernel answered {error.name}; {name} was due.") from error
        raise RunError(f"The kernel did what it should have refused with {name}.")

    def _arguments(self, tokens: npt.NDArray[np.uint32]) -> dict[str, int]:
        """Put tokens where the kernel reads them, and return a run's arguments."""
        buffer = self._buffer("tokens")
        buffer[: tokens.size] = tokens
        buffer.flush()
        return {
            "token_count": int(tokens.size),
            "tokens": int(buffer.device_address),
            "results": int(self._buffer("results").device_address),
            "flags": 0,
        }

    def _buffer(self, name: str) -> Any:
        words = self._vector.given * RESULT_WORDS
        return self._session.buffer(f"self-test {name}", (words,), np.uint32)

    def _image_buffer(self, data: npt.NDArray[np.uint8]) -> Any:
        buffer = self._session.buffer("self-test image", (data.size,), np.uint8)
        buffer[:] = data
        buffer.flush()
        return buffer
