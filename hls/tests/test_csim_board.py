"""The fast virtual board: the natively compiled kernel behind the registers, and behind the PYNQ driver."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest

from egret import contract
from egret.board.boards import board_names, board_profile, is_csim, open_board
from egret.board.driver import EgretOverlay
from egret.board.session import Session
from egret.errors import EgretError
from egret.image.packer import pack
from egret.profiles import BOARDS, Board
from egret.reference.model import ReferenceModel
from egret.synthetic.calibrated import random_checkpoint
from egret.virtual_board import csim_build
from egret.virtual_board.csim_model import CsimModel
from hls.csim.vectors import ENGINE_WORDS, HEADER_WORDS_PER_ENGINE
from tb.kernel_cases import CASES, Case, make_checkpoint
from tb.loose_image import loosen

SEED = int(os.environ.get("EGRET_SEED", random.SystemRandom().randrange(1 << 31)))
BASE = 0x1000_0000
SIZE = 1 << 20
TOKENS, RESULTS, LOGITS, COUNTERS = BASE + 0xA0000, BASE + 0xA1000, BASE + 0xB0000, BASE + 0xF0000

AP_START, AP_DONE, AP_IDLE, AP_READY, AUTO_RESTART, INTERRUPT = 1, 2, 4, 8, 1 << 7, 1 << 9


class Bench:
    """A kernel, its memory with a model image at the start, and registers by name."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.checkpoint = make_checkpoint(case, SEED)
        self.image = case.pack(self.checkpoint)
        self.memory = np.zeros(SIZE, dtype=np.uint8)
        self.memory[: self.image.data.size] = self.image.data
        self.model = CsimModel(replace(BOARDS["pynq-z2"], build=case.build), self.memory, BASE)

    def write(self, name: str, value: int) -> None:
        offset, bits, _ = contract.REGISTERS[name]
        for word in range(bits // 32):
            self.model.write_register(offset + 4 * word, value >> 32 * word)

    def read(self, name: str) -> int:
        return self.model.read_register(contract.REGISTERS[name][0])

    def execute(self, command: int, **arguments: int) -> str:
        """Run a command to its end; return the name of its error."""
        for name, value in {"command": command, "counters": COUNTERS, **arguments}.items():
            self.write(name, value)
        self.write("CTRL", AP_START)
        return str(contract.ERRORS[self.read("status") & 0xFF][0])

    def load(self) -> str:
        return self.execute(contract.COMMAND_LOAD, image=BASE)

    def run(self, tokens: npt.NDArray[np.uint32], **arguments: int) -> str:
        self.memory[TOKENS - BASE :][: tokens.nbytes] = tokens.view(np.uint8)
        return self.execute(
            contract.COMMAND_RUN,
            token_count=tokens.size,
            **{"tokens": TOKENS, "results": RESULTS, **arguments},
        )

    def works(self) -> None:
        """After an error: load again, and every argmax is right."""
        self.model.set_faulty(None)
        assert self.load() == "OK"
        tokens = np.arange(4, dtype=np.uint32)
        assert self.run(tokens) == "OK"
        records = self.memory[RESULTS - BASE :][: 4 * contract.RESULT_BYTES].view(np.uint32).reshape(4, -1)
        np.testing.assert_array_equal(records[:, 0], ReferenceModel(self.checkpoint).run(tokens).argmax)


@pytest.fixture(params=["two_layers", "ultra96_shape"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(next(case for case in CASES if case.name == request.param))


# -- registers, as Vitis HLS makes them


def test_block_control(bench: Bench) -> None:
    """AP_DONE and AP_READY clear on read, AP_IDLE stays; status_ctrl clears on read."""
    assert bench.read("CTRL") == AP_IDLE
    assert bench.read("status_ctrl") == 0
    bench.execute(contract.COMMAND_QUERY)
    assert bench.read("CTRL") == AP_DONE | AP_IDLE | AP_READY
    assert bench.read("CTRL") == AP_IDLE
    assert bench.read("status_ctrl") == 1
    assert bench.read("status_ctrl") == 0


def interrupt(bench: Bench) -> bool:
    return bench.model.interrupt


def test_interrupt(bench: Bench) -> None:
    """Enabled globally and by IP_IER, latched in IP_ISR, toggled away."""
    bench.execute(contract.COMMAND_QUERY)
    assert not interrupt(bench)
    bench.write("GIER", 1)
    bench.write("IP_IER", 1)
    bench.execute(contract.COMMAND_QUERY)
    assert interrupt(bench) and bench.model.run(100)
    assert bench.read("IP_ISR") == 1
    assert bench.read("CTRL") & INTERRUPT
    bench.write("IP_ISR", 1)
    assert not interrupt(bench) and bench.read("IP_ISR") == 0
    bench.write("GIER", 0)
    bench.execute(contract.COMMAND_QUERY)
    assert bench.read("IP_ISR") == 1 and not interrupt(bench)


def test_auto_restart(bench: Bench) -> None:
    """The command runs again until the bit is cleared."""
    bench.write("command", contract.COMMAND_QUERY)
    bench.write("counters", COUNTERS)
    bench.write("CTRL", AP_START | AUTO_RESTART)
    for _ in range(2):
        bench.memory[COUNTERS - BASE :] = 0
        assert bench.read("CTRL") & (AP_DONE | AUTO_RESTART) == AP_DONE | AUTO_RESTART
        assert bench.memory[COUNTERS - BASE :].any()
    bench.write("CTRL", 0)
    bench.read("CTRL")
    assert bench.read("CTRL") == AP_IDLE


def test_argument_registers_read_back(bench: Bench) -> None:
    for number, (name, (_, bits, kind)) in enumerate(contract.REGISTERS.items()):
        if kind == "input":
            value = (0x0123_4567_89AB_CDEF >> number) & ((1 << bits) - 1)
            bench.write(name, value)
            offset = contract.REGISTERS[name][0]
            words = [bench.model.read_register(offset + 4 * word) for word in range(bits // 32)]
            assert sum(word << 32 * place for place, word in enumerate(words)) == value


def test_two_kernels_are_apart(bench: Bench) -> None:
    """Each has its own memories: what one loads, the other does not have."""
    other = Bench(bench.case)
    assert bench.load() == "OK"
    assert other.run(np.zeros(1, dtype=np.uint32)) == "NOT_LOADED"
    assert bench.run(np.zeros(1, dtype=np.uint32)) == "OK"


# -- transfers that fail, which only the native kernel and the RTL can see


def test_read_errors(bench: Bench) -> None:
    """READ_ERROR from the header, from every section that LOAD reads, from tokens and from the table."""
    words = bench.image.data[: contract.HEADER_BYTES].view(np.uint32)
    first = [ENGINE_WORDS + HEADER_WORDS_PER_ENGINE * engine for engine in range(bench.case.build.engines)]
    sections = [0, *(int(words[start + field]) for start in first for field in (0, 2, 3))]
    for offset in sections:
        bench.model.set_faulty(range(BASE + offset, BASE + offset + 8))
        assert bench.load() == "READ_ERROR", f"offset {offset:#x}"
        assert bench.execute(contract.COMMAND_RESET) == "NOT_LOADED"
    bench.works()
    assert bench.execute(contract.COMMAND_LOAD, image=BASE + SIZE - 128) == "READ_ERROR"
    bench.works()
    bench.model.set_faulty(range(TOKENS, TOKENS + 4))
    assert bench.run(np.zeros(1, dtype=np.uint32)) == "READ_ERROR"
    bench.works()
    row_bytes = bench.image.table_row_beats() * bench.case.build.bus_bytes
    for start in first:
        row = BASE + int(words[start + 4]) + 3 * row_bytes
        bench.model.set_faulty(range(row, row + row_bytes))
        assert bench.run(np.arange(5, dtype=np.uint32)) == "READ_ERROR"
        # Row 3 is fetched while layer 0 is at token 2, and the decoder, above the last layer, so far behind.
        assert bench.read("status") >> 8 == max(0, 3 - len(bench.case.layers))
        bench.works()


def test_write_errors(bench: Bench) -> None:
    """WRITE_ERROR from results, logits and counters; its position is a token; no model is left."""
    for target, count, at in ((RESULTS, 1, 0), (RESULTS, 3, 1), (LOGITS, 3, 1)):
        assert bench.load() == "OK"
        tokens = np.arange(count, dtype=np.uint32)
        bench.model.set_faulty(range(target, target + 32))
        assert bench.run(tokens, flags=contract.FLAG_WRITE_LOGITS, logits=LOGITS) == "WRITE_ERROR"
        assert bench.read("status") >> 8 == at
        bench.write("flags", 0)
        bench.model.set_faulty(None)
        assert bench.run(tokens) == "NOT_LOADED"
    for command in (contract.COMMAND_QUERY, contract.COMMAND_RUN):
        assert bench.load() == "OK"
        bench.model.set_faulty(range(COUNTERS, COUNTERS + 8))
        assert bench.execute(command) == "WRITE_ERROR"
        assert bench.read("status") >> 8 == 0
        bench.model.set_faulty(None)
        assert bench.run(tokens) == "NOT_LOADED"


def test_columns_may_be_longer_than_they_need(bench: Bench) -> None:
    """Entries of weight 0 that lead out of their lane change nothing but the beats."""
    words, beats = [], []
    tokens = np.arange(6, dtype=np.uint32)
    for image in (bench.image, loosen(bench.image)):
        bench.memory[: image.data.size] = image.data
        assert bench.load() == "OK" and bench.run(tokens) == "OK"
        words.append(bench.memory[RESULTS - BASE :][: 6 * contract.RESULT_BYTES].copy())
        first, count = contract.COUNTERS["beats"]
        beats.append(bench.memory[COUNTERS - BASE + 8 * first :][: 8 * count].view(np.uint64).sum())
    np.testing.assert_array_equal(words[0], words[1], f"seed {SEED}")
    assert beats[0] < beats[1]


def test_nothing_outside_is_touched(bench: Bench) -> None:
    """LOAD reads the image alone; a run reads tokens, 64 bytes at a time; each writes what it must."""
    assert bench.load() == "OK"
    read, written = bench.model.take_accesses()
    assert read.start == BASE and read.stop <= BASE + bench.image.data.size
    assert (written.start, written.stop) == (COUNTERS, COUNTERS + contract.COUNTERS_BYTES)
    before = bench.memory[: bench.image.data.size].copy()
    assert bench.run(np.arange(7, dtype=np.uint32)) == "OK"
    read, written = bench.model.take_accesses()
    assert BASE <= read.start and read.stop == TOKENS + 64
    assert written.start == RESULTS and written.stop == COUNTERS + contract.COUNTERS_BYTES
    np.testing.assert_array_equal(bench.memory[: before.size], before)
    assert bench.run(np.zeros(17, dtype=np.uint32)) == "OK"
    assert bench.model.take_accesses()[0].stop == TOKENS + 128
    assert bench.execute(contract.COMMAND_GENERATE, token_count=17) == "OK"
    assert bench.model.take_accesses()[0].stop == TOKENS + 64


# -- behind the driver


@pytest.fixture(scope="module", params=["virtual:csim", "virtual:csim-ultra96-v2"])
def opened(request: pytest.FixtureRequest) -> Iterator[SimpleNamespace]:
    with open_board(request.param) as board:
        overlay = EgretOverlay(str(board.bitfile), device=board.device)
        with Session(overlay.egret_kernel) as session:
            yield SimpleNamespace(board=board.board, session=session, overlay=overlay)


def test_driver_runs_it(opened: SimpleNamespace) -> None:
    """Load, run and generate through pynq, logits and counters included, equal the reference."""
    session, board = opened.session, opened.board
    assert replace(session.build, max_burst_beats=1, reads_in_flight=1) == replace(
        board.build, max_burst_beats=1, reads_in_flight=1
    )
    checkpoint = random_checkpoint(
        [120, 90], 40, 700, 0.85, 0.1, board.build.slots, 8, SEED, decoder_weight_bits=4
    )
    reference = ReferenceModel(checkpoint)
    session.load(pack(checkpoint, session.build))
    tokens = np.random.default_rng(SEED).integers(0, 700, 60, dtype=np.uint32)
    for run, trace in (
        (session.run(tokens, logits=True), reference.run(tokens, logits=True)),
        (session.generate(5, 40), reference.generate(5, 40)),
    ):
        np.testing.assert_array_equal(run.argmax, trace.argmax, f"seed {SEED}")
        np.testing.assert_array_equal(run.logit, trace.logit)
        np.testing.assert_array_equal(run.events, trace.event_counts().T)
        assert run.counters.macs == trace.macs.sum()
        assert run.counters.cycles == 0, "the C++ knows no time"
        if run.logits is not None:
            assert trace.logits is not None
            np.testing.assert_array_equal(run.logits, trace.logits)


def test_names_of_boards() -> None:
    assert {"virtual:csim", "virtual:csim-ultra96-v2"} <= set(board_names())
    assert is_csim("virtual:csim") and not is_csim("virtual:pynq-z2")
    assert board_profile("virtual:csim") == board_profile("virtual:csim-pynq-z2") == BOARDS["pynq-z2"]
    assert board_profile("virtual:csim-ultra96-v2") == BOARDS["ultra96-v2"]
    for wrong in ("csim", "virtual:csim-", "virtual:csim-z3", "virtual:csimpynq-z2"):
        with pytest.raises(EgretError, match="There is no board"):
            board_profile(wrong)


# -- what a user can do wrong


def small_board() -> Board:
    return replace(BOARDS["pynq-z2"], build=CASES[0].build)


@pytest.mark.parametrize("size, base", [(0, BASE), (4095, BASE), (4096, 1), (4096, -4096)])
def test_memory_must_be_whole_pages(size: int, base: int) -> None:
    with pytest.raises(EgretError, match="whole pages"):
        CsimModel(small_board(), np.zeros(size, dtype=np.uint8), base)


def test_closed_model(bench: Bench) -> None:
    bench.model.close()
    bench.model.close()
    with pytest.raises(EgretError, match="closed"):
        bench.read("CTRL")


def test_missing_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence that says what to install."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EgretError, match="no-such-compiler is missing"):
        csim_build.csim_library_path(small_board().build, compiler="no-such-compiler")
    monkeypatch.setattr(csim_build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EgretError, match="pip install --no-deps hls4ml"):
        csim_build.csim_library_path(small_board().build)
