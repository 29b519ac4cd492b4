"""The self-test of a board: a kernel that is right passes it, each way of being wrong fails a check."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pynq", reason="the virtual board is a pynq device")

from egret.board import session as session_module
from egret.board.driver import EgretKernel
from egret.board.open_session import open_session
from egret.board.results import Run
from egret.board.session import Session
from egret.cli import main
from egret.image.limits import check_fit, check_limits
from egret.profiles import BOARDS
from egret.self_test.checks import Check, measure_overhead, run_checks
from egret.self_test.networks import vectors

BOARD = "virtual:csim"


@pytest.fixture
def opened() -> Iterator[tuple[Session, Any]]:
    with open_session(BOARD) as session:
        yield session, session.board


def failures(opened: tuple[Session, Any]) -> list[Check]:
    return [check for check in run_checks(*opened) if not check.passed]


@pytest.mark.parametrize("board", ["virtual:csim", "virtual:csim-ultra96-v2"])
def test_the_kernel_passes_on_every_shape_of_board(board: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--board", board]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert sum(line.startswith("ok ") for line in lines) == 35
    assert "FAIL" not in captured.out
    assert lines[-1] == f"{board}: all 35 checks passed."
    assert "egret:" not in captured.err


def test_machines_can_read_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--board", BOARD, "--json", "--chunk", "7"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] and all(check["passed"] for check in document["checks"])
    assert document["host_seconds_per_token"]["chunk"] == 7


def one_logit_more(blocks: np.ndarray, vocabulary: int) -> np.ndarray:
    logits = DEAL_BACK(blocks, vocabulary)
    logits[-1, -1] += 1
    return logits


DEAL_BACK = session_module.deal_logits_back


def test_a_single_wrong_logit_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session_module, "deal_logits_back", one_logit_more)
    assert main(["verify", "--board", BOARD]) == 1
    captured = capsys.readouterr()
    assert "FAIL  two layers: given tokens" in captured.out
    assert "differs from the reference model in its logits at step 15" in captured.out
    assert captured.err.startswith("egret: ") and "of 35 checks" in captured.err


@pytest.mark.parametrize("field", ["argmax", "logit", "events"])
def test_what_a_state_lost_between_starts_changes_is_seen(
    opened: tuple[Session, Any], monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    run = Session.run

    def wrong(session: Session, tokens: Any, logits: bool = False) -> Run:
        result = run(session, tokens, logits)
        return replace(result, **{field: getattr(result, field) + 1}) if len(result) == 1 else result

    monkeypatch.setattr(Session, "run", wrong)
    found = failures(opened)
    assert len(found) == 6 and all(check.name.endswith("again, one by one") for check in found)
    assert all(field in check.detail for check in found)


def test_a_kernel_that_refuses_nothing_fails(
    opened: tuple[Session, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = Session.execute

    def accepting(self: Session, command: int, **arguments: int) -> Any:
        try:
            return execute(self, command, **arguments)
        except session_module.KernelError:
            return None

    monkeypatch.setattr(Session, "execute", accepting)
    names = {check.name for check in failures(opened)}
    assert len(names) == 9 and all(name.startswith("error ") for name in names)


def test_memory_that_fails_is_a_failed_check_and_no_traceback(
    opened: tuple[Session, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Session.load

    def load_and_break(self: Session, image: Any) -> Any:
        self.kernel.device.model.set_faulty(None)
        counters = load(self, image)
        address = self._buffers["image"].device_address
        self.kernel.device.model.set_faulty(range(address, address + image.data.size))
        return counters

    monkeypatch.setattr(Session, "load", load_and_break)
    found = {check.name: check.detail for check in failures(opened)}
    assert "READ_ERROR" in found["two layers: given tokens"]
    assert "given tokens failed" in found["two layers: generated tokens"]


def test_a_kernel_that_hangs_ends_the_checks(
    opened: tuple[Session, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, board = opened
    wait: Callable[..., None] = EgretKernel.wait

    def hang(self: EgretKernel, timeout_s: float) -> None:
        raise session_module.RunError("The kernel did not finish.")

    monkeypatch.setattr(EgretKernel, "wait", hang)
    checks = list(run_checks(session, board))
    monkeypatch.setattr(EgretKernel, "wait", wait)
    assert [check.passed for check in checks] == [True, False]


def test_another_build_than_the_boards_fails(opened: tuple[Session, Any]) -> None:
    session, _ = opened
    found = [check.name for check in run_checks(session, BOARDS["ultra96-v2"]) if not check.passed]
    assert found == ["build"]


@pytest.mark.parametrize("name", list(BOARDS))
def test_the_vectors_reach_the_builds_limits_and_fit(name: str) -> None:
    build = BOARDS[name].build
    for vector in vectors(build, full=False):
        checkpoint = vector.draw()
        check_fit(checkpoint, build)
        tokens = vector.tokens(len(checkpoint.vocabulary))
        assert tokens.size == vector.given and tokens.max() == len(checkpoint.vocabulary) - 1
    neurons = build.neuron_depth // 2 // build.lanes * build.slots
    check_limits([neurons], 1, build)
    with pytest.raises(Exception, match="NEURON_DEPTH|ACCUMULATOR_DEPTH|POINTER_DEPTH"):
        check_limits([neurons + build.slots], 1, build)


def test_the_hosts_own_time_is_measured_and_chunks_save_most_of_it(opened: tuple[Session, Any]) -> None:
    overhead = measure_overhead(opened[0])
    assert overhead.chunk == opened[0].chunk
    # 16 tokens a start: a sixteenth where nothing is per token. Half leaves room for a busy machine.
    assert 0 < overhead.in_chunks_s < overhead.one_at_a_time_s / 2
