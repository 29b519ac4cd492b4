"""First contact with a board, in stages: each needs one thing more than the one before it.

The stage that fails names what is dead: the fabric clock, the register port, the kernel itself, its write
port or a read port. A dead clock freezes the processor at the first register access and a dead memory port
looks like a time-out, so each stage says what it is about to do before it does it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from egret import contract
from egret.board.driver import EgretKernel, KernelError
from egret.board.session import Session
from egret.errors import EgretError, RunError
from egret.image.limits import DEFAULT_CHUNK
from egret.image.model_image import ModelImage
from egret.image.packer import pack
from egret.profiles import Board
from egret.self_test.checks import Check
from egret.self_test.networks import vectors

TIMEOUT_S = 10.0
"""What a stage's command may take; on a board it takes microseconds."""

PATTERNS = (0x0000_0000, 0xFFFF_FFFF, 0x5555_5555, 0xAAAA_AAAA, 0x0123_4567)

RECORD = Path(__file__).with_name("virtual_pace.json")
"""The Pace of each virtual board; host/scripts/record_pace.py writes it."""

_IDLE = 1 << 2


@dataclass(frozen=True)
class Pace:
    """What the self-test's first network costs: bytes that a LOAD reads, cycles of it and of a RUN."""

    load_bytes: int
    load_cycles: int
    tokens: int
    run_cycles: int

    @property
    def load_bytes_per_cycle(self) -> float:
        """How fast the image came, over all ports."""
        return self.load_bytes / self.load_cycles


@dataclass(frozen=True)
class Stage:
    """One step of first contact."""

    name: str
    about: str
    """What it is about to do, and what it means where nothing follows."""
    advice: str
    """What to check where it fails, one sentence."""
    attempt: Callable[[], str]
    """Does it and returns what was seen; raises EgretError."""

    def check(self) -> Check:
        """Take the step; what is wrong is followed by what to check."""
        try:
            return Check(self.name, True, self.attempt())
        except EgretError as error:
            return Check(self.name, False, f"{error} {self.advice}")


class FirstContact:
    """The stages of a kernel whose bitstream was just loaded; a context manager that closes the session."""

    def __init__(self, kernel: EgretKernel, board: Board, chunk: int | None = None) -> None:
        """`chunk` is the session's tokens per start, its default where None."""
        self._kernel, self._board, self._chunk = kernel, board, chunk or DEFAULT_CHUNK
        self._session: Session | None = None
        self._load: tuple[int, int] | None = None
        self.pace: Pace | None = None
        """What the last two stages cost, after they passed."""

    def __enter__(self) -> FirstContact:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            self._session.close()

    @property
    def session(self) -> Session:
        """The session that the write stage opened; raises RunError before it passed."""
        if self._session is None:
            raise RunError("No session was opened: the kernel has not written to memory yet.")
        return self._session

    def stages(self) -> list[Stage]:
        """Return the stages in their order. The first that fails is the last to take."""
        first = self._board.first_port
        ports = f"{first} to {first + self._board.build.engines - 1}"
        bits = 8 * self._board.build.bus_bytes
        wires = f"enabled, clocked and {bits} bits wide in the .hwh and on the board"
        return [
            Stage(
                "clock",
                "read CTRL. If nothing follows, the fabric clock stands still: check that the .hwh enables "
                "clock 0 of the processing system, and that .bit and .hwh are of one build",
                "Check that .bit and .hwh are of one build, and that the design's reset is released.",
                self._clock,
            ),
            Stage(
                "register port",
                "write the argument registers and read them back",
                "Check the kernel's address in the .hwh, and the SmartConnect control_0 that leads to it.",
                self._registers,
            ),
            Stage(
                "kernel",
                "start QUERY without counters: the kernel runs and touches no memory",
                "Check the kernel's own clock and reset (ap_clk, ap_rst_n): its registers answer.",
                self._query,
            ),
            Stage(
                "write port",
                "start QUERY with counters: the kernel writes them to DDR, through its port 0",
                f"Check HP port {first}: {wires}, and its DDR segment assigned to m_axi_gmem0.",
                self._write,
            ),
            Stage(
                "read port",
                "start LOAD: the kernel reads a small model through its port 0",
                f"Check the read channels of HP port {first}: {wires}.",
                self._read,
            ),
            Stage(
                "all ports",
                "start RUN: every engine reads columns through its own port",
                f"Check HP ports {ports}, for each engine one: {wires}; the first has been seen to read.",
                self._run,
            ),
        ]

    def _clock(self) -> str:
        state = int(self._kernel.mmio.read(contract.REGISTERS["CTRL"][0]))
        if not state & _IDLE or state >> 10:
            raise RunError(f"CTRL reads {state:#x}; an idle kernel has bit 2 set and nothing above bit 9.")
        return f"CTRL reads {state:#x}: clocked, out of reset, idle"

    def _registers(self) -> str:
        inputs = [(name, *rest) for name, rest in contract.REGISTERS.items() if rest[2] == "input"]
        words = [(name, offset + at) for name, offset, bits, _ in inputs for at in range(0, bits // 8, 4)]
        for number, pattern in enumerate(PATTERNS):
            # Another value in each, so that two that share an address show.
            expected = {word: pattern ^ (index if number else 0) for index, word in enumerate(words)}
            for (_, offset), value in expected.items():
                self._kernel.mmio.write(offset, value)
            for (name, offset), value in expected.items():
                found = int(self._kernel.mmio.read(offset))
                if found != value:
                    raise RunError(f"Register {name} at {offset:#x} reads {found:#x} after {value:#x}.")
        for _, offset in words:
            self._kernel.mmio.write(offset, 0)
        return f"{len(words)} registers hold {len(PATTERNS)} patterns each"

    def _query(self) -> str:
        self._kernel.start(contract.COMMAND_QUERY, counters=0)
        self._kernel.wait(TIMEOUT_S)
        status = self._kernel.read_status()
        if status:
            raise KernelError(contract.COMMAND_QUERY, status)
        return "done, without an error"

    def _write(self) -> str:
        self._session = Session(self._kernel, chunk=self._chunk, timeout_s=TIMEOUT_S)
        return "the counters arrived, with the kernel's identity"

    def _read(self) -> str:
        vector = vectors(self.session.build, full=False)[0]
        image = pack(vector.draw(), self.session.build)
        counters = self.session.load(image)
        self._load = _loaded_bytes(image), counters.cycles
        return f"{self._load[0]:,} bytes, taken for an image"

    def _run(self) -> str:
        vector = vectors(self.session.build, full=False)[0]
        tokens = vector.tokens(len(vector.draw().vocabulary))
        run = self.session.run(tokens)
        assert self._load is not None
        self.pace = Pace(*self._load, len(tokens), run.counters.cycles)
        return f"{len(tokens)} tokens, {sum(run.counters.beats):,} beats"


def _loaded_bytes(image: ModelImage) -> int:
    """Return the bytes that LOAD reads: header, pointers and records; columns and table rows come later."""
    size = contract.HEADER_BYTES
    for engine in range(image.layout.engines):
        size += image.pointers(engine).nbytes + image.decoder_records(engine).nbytes
        size += sum(image.neuron_records(engine, layer).nbytes for layer in range(len(image.neurons)))
    return size


def compare_pace(pace: Pace, board: Board) -> list[str]:
    """Return sentences that compare a board's pace with the recorded virtual board of its profile.

    There are none if the kernel counts no cycles, as natively compiled C++ does not.
    """
    if not pace.load_cycles or not pace.run_cycles:
        return []
    lines = [
        f"LOAD: {pace.load_bytes:,} bytes in {pace.load_cycles:,} cycles, "
        f"{pace.load_bytes_per_cycle:.2f} bytes a cycle",
        f"RUN: {pace.tokens} tokens in {pace.run_cycles:,} cycles",
    ]
    recorded = read_record().get(board.name)
    if recorded is None or (recorded.load_bytes, recorded.tokens) != (pace.load_bytes, pace.tokens):
        return lines
    return [
        f"{lines[0]} (virtual:{board.name}: {recorded.load_bytes_per_cycle:.2f})",
        f"{lines[1]} (virtual:{board.name}: {recorded.run_cycles:,}, "
        f"{pace.run_cycles / recorded.run_cycles - 1:+.1%})",
    ]


def read_record() -> dict[str, Pace]:
    """Return the recorded Pace of each virtual board, by the board's name."""
    found: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return {name: Pace(**values) for name, values in found.items()}
