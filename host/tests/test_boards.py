"""Boards by name, real or virtual."""

from __future__ import annotations

from pathlib import Path

import pytest

from egret.board import boards
from egret.board import real as real_board
from egret.board.boards import board_names, board_profile, open_board
from egret.errors import EgretError
from egret.installation import CHECKOUT
from egret.profiles import BOARDS, Build


def test_every_board_can_be_virtual_too() -> None:
    csim = {"virtual:csim": "pynq-z2"}
    csim |= {f"virtual:csim-{name}": name for name in ("ultra96-v2", "aup-zu3")}
    assert set(board_names()) == {*BOARDS, *(f"virtual:{name}" for name in BOARDS), *csim}
    for name in BOARDS:
        assert board_profile(name) == board_profile(f"virtual:{name}") == BOARDS[name]
    for name, board in csim.items():
        assert board_profile(name) == BOARDS[board]


@pytest.mark.parametrize("name", ["pynq-z3", "virtual:", "virtual:virtual:pynq-z2", ""])
def test_an_unknown_board_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(EgretError, match="virtual:pynq-z2"):
        board_profile(name)


def test_a_profile_takes_another_memory_and_build() -> None:
    build = Build(engines=1, lanes=3)
    board = board_profile("virtual:pynq-z2", build=build, latency_cycles=99, bandwidth_bytes_per_second=10**9)
    assert board.build == build
    assert board.memory.latency_cycles == 99
    assert board.memory.bandwidth_bytes_per_second == 10**9
    assert board.memory.burst_beats == BOARDS["pynq-z2"].memory.burst_beats
    assert board.clock_mhz == BOARDS["pynq-z2"].clock_mhz


def test_bytes_per_cycle_follow_from_bandwidth_and_clock() -> None:
    # 525 MHz, two words of 16 bits a cycle, of which reads get 0.92; 125 MHz.
    assert board_profile("pynq-z2").bytes_per_cycle == pytest.approx(525 * 2 * 2 * 0.92 / 125)
    assert board_profile("pynq-z2", clock_mhz=150.0).bytes_per_cycle == pytest.approx(2100 * 0.92 / 150)
    # 533 MHz, two words of 32 bits a cycle; a seventh of 1500 MHz.
    assert board_profile("ultra96-v2").bytes_per_cycle == pytest.approx(4264 * 0.92 / 214.2855)
    given = board_profile("pynq-z2", bandwidth_bytes_per_second=10**9).memory
    assert given.bandwidth_bytes_per_second == 10**9


def test_this_machine_is_not_mistaken_for_a_board() -> None:
    pytest.importorskip("pynq")
    if Path("/sys/class/fpga_manager/fpga0").exists():
        pytest.skip("this machine is a board")
    with pytest.raises(EgretError, match="virtual:pynq-z2"), open_board("pynq-z2"):
        pass


def test_a_real_board_has_the_memory_it_has() -> None:
    pytest.importorskip("pynq")
    with pytest.raises(EgretError, match="real board"), open_board("pynq-z2", latency_cycles=1):
        pass


@pytest.mark.parametrize(
    ("said", "board"),
    [
        ("Pynq-Z2\0", "pynq-z2"),
        ("Pynq-Z1", "pynq-z2"),
        ("Ultra96\0", "ultra96-v2"),
        ("Ultra96-V2\n", "ultra96-v2"),
        ("AUP-ZU3", "aup-zu3"),
    ],
)
def test_auto_is_the_board_that_the_image_names(
    said: str, board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pynq_board"
    file.write_text(said, encoding="utf-8")
    monkeypatch.setattr(real_board, "PYNQ_BOARD_FILE", file)
    monkeypatch.delenv("BOARD", raising=False)
    assert boards.resolve_board("auto") == board
    assert boards.resolve_board("virtual:csim") == "virtual:csim"


def test_auto_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_board, "PYNQ_BOARD_FILE", tmp_path / "missing")
    monkeypatch.delenv("BOARD", raising=False)
    monkeypatch.delenv("PYNQ_REMOTE_DEVICES", raising=False)
    assert boards.resolve_board("auto") == "virtual:pynq-z2"
    monkeypatch.setenv("BOARD", "Pynq-Z2")
    assert boards.resolve_board("auto") == "pynq-z2"
    monkeypatch.setenv("BOARD", "virtual:csim")
    assert boards.resolve_board("auto") == "virtual:csim"
    monkeypatch.setenv("BOARD", "ZCU104")
    with pytest.raises(EgretError, match="'ZCU104'"):
        boards.resolve_board("auto")


class FakeDevice:
    """Stands for the device that pynq finds on a board."""

    def has_capability(self, capability: str) -> bool:
        return False


@pytest.fixture
def on_a_pynq_z2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    """Have the program find itself on a PYNQ-Z2, as root."""
    pynq = pytest.importorskip("pynq")
    file = tmp_path / "pynq_board"
    file.write_text("Pynq-Z2\0", encoding="utf-8")
    monkeypatch.setattr(real_board, "PYNQ_BOARD_FILE", file)
    monkeypatch.delenv("BOARD", raising=False)
    monkeypatch.delenv("PYNQ_REMOTE_DEVICES", raising=False)
    device = FakeDevice()
    monkeypatch.setattr(pynq.Device, "_devices", [device], raising=False)
    monkeypatch.setattr(pynq.Device, "_active_device", None, raising=False)
    monkeypatch.setattr(real_board.os, "geteuid", lambda: 0)
    return device


def test_auto_opens_the_bitstream_of_the_board_it_is_on(on_a_pynq_z2: FakeDevice, tmp_path: Path) -> None:
    for name in ("egret.bit", "egret.hwh"):
        (tmp_path / name).write_bytes(b"")
    with open_board("auto", bitfile=tmp_path / "egret.bit") as opened:
        assert opened.board == BOARDS["pynq-z2"]
        assert opened.device is on_a_pynq_z2
        assert opened.bitfile == tmp_path / "egret.bit"


@pytest.mark.parametrize(
    ("missing", "said"), [("egret.bit", "The bitstream .*egret.bit"), ("egret.hwh", "handoff .*egret.hwh")]
)
def test_a_missing_bitstream_is_named_with_the_command_that_builds_it(
    on_a_pynq_z2: FakeDevice, tmp_path: Path, missing: str, said: str
) -> None:
    for name in {"egret.bit", "egret.hwh"} - {missing}:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(EgretError, match=f"{said} is missing: build it with 'make bitstream BOARD=pynq-z2'"):
        with open_board("auto", bitfile=tmp_path / "egret.bit"):
            pass


def test_the_bitstream_is_looked_for_in_the_checkout(on_a_pynq_z2: FakeDevice) -> None:
    expected = CHECKOUT / "bitstreams" / "pynq-z2" / "egret.bit"
    if expected.is_file():
        pytest.skip("there is one")
    with pytest.raises(EgretError, match=str(expected)), open_board("auto"):
        pass


def test_a_folder_of_bitstreams_may_be_named(
    on_a_pynq_z2: FakeDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGRET_BITSTREAMS", str(tmp_path))
    expected = tmp_path / "pynq-z2" / "egret.bit"
    with pytest.raises(EgretError, match=str(expected)), open_board("auto"):
        pass
    expected.parent.mkdir()
    for file in (expected, expected.with_suffix(".hwh")):
        file.touch()
    with open_board("auto") as opened:
        assert opened.bitfile == expected


def test_another_board_than_this_is_refused(on_a_pynq_z2: FakeDevice) -> None:
    with pytest.raises(EgretError, match="This board is Pynq-Z2, not ultra96-v2"), open_board("ultra96-v2"):
        pass


def test_without_root_there_is_a_sentence(on_a_pynq_z2: FakeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_board.os, "geteuid", lambda: 1000)
    with pytest.raises(EgretError, match="start this as root"), open_board("auto"):
        pass


def test_an_older_pynq_that_knows_no_remote_boards_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pynq = pytest.importorskip("pynq")
    monkeypatch.setenv("PYNQ_REMOTE_DEVICES", "192.0.2.1")
    monkeypatch.setattr(pynq.Device, "_devices", [], raising=False)
    with pytest.raises(EgretError, match="pynq finds no remote board: that takes pynq 3.1 or later"):
        boards.resolve_board("auto")


def test_what_pynq_cannot_load_is_a_sentence(on_a_pynq_z2: FakeDevice, tmp_path: Path) -> None:
    pytest.importorskip("pynq")
    from egret.board.driver import load_overlay
    from egret.errors import RunError

    with pytest.raises(RunError, match="pynq cannot load .*egret.bit .*does not exist"):
        load_overlay(tmp_path / "egret.bit", on_a_pynq_z2)
