"""The fabric clock: what pynq makes of the .hwh, what Egret makes of that, and what it says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pynq", reason="pynq sets the clock")

import pynq

from egret.boards import open_board
from egret.clock import LARGEST_DIVISOR, built_for, divisors, set_clock
from egret.driver import EgretOverlay
from egret.kernel import BOARDS
from egret.virtual_board.registers import StoredRegisters

SLCR, FCLK0 = (0xF800_0000, 0x1000), 0x170
DDR_PLL = 0x104
CRL, PL0 = (0xFF5E_0000, 0x1000), 0xC0
BUILT_FOR = "PCW_FPGA0_PERIPHERAL_FREQMHZ"


@contextmanager
def overlay_on(
    name: str, window: tuple[int, int], bitfile: Path | None = None, **registers: int
) -> Iterator[Any]:
    """Yield an overlay on a virtual board whose boot loader left these values in clock registers."""
    with open_board(f"virtual:{name}") as opened:
        block = opened.device._bus[window]
        assert isinstance(block, StoredRegisters)
        for offset, value in registers.items():
            block.write(int(offset[1:], 16), value)
        overlay = EgretOverlay(str(bitfile or opened.bitfile), device=opened.device)
        overlay.board = opened.board
        yield overlay


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here needs a kernel behind the registers."""
    monkeypatch.setattr("egret.virtual_board.model.KernelModel", lambda *_, **__: NoKernel())


class NoKernel:
    interrupt = False

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("name", "window"), [("pynq-z2", SLCR), ("ultra96-v2", CRL)])
def test_a_board_with_the_right_clock_is_left_alone(
    name: str, window: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    with overlay_on(name, window) as overlay:
        before = overlay.device._bus[window]._values.copy()
        assert set_clock(overlay.board, overlay) == BOARDS[name]
        assert overlay.device._bus[window]._values == before
    assert capsys.readouterr().err == ""


def test_another_pll_gives_the_nearest_slower_clock_and_a_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The I/O PLL's 1000 MHz where the .hwh means the DDR PLL's 1050.
    with overlay_on("pynq-z2", SLCR, _170=10 << 8 | 1 << 20) as overlay:
        board = set_clock(overlay.board, overlay)
    assert board.clock_mhz == pytest.approx(1000 / 7)
    assert replace(board, clock_mhz=150) == BOARDS["pynq-z2"]
    assert capsys.readouterr().err == (
        "egret: The fabric clock is 142.857 MHz, not the 150 MHz of pynq-z2; cycle counts do not depend on "
        "it.\n"
    )


def test_a_pll_that_makes_the_divisors_of_the_hwh_too_fast_is_divided_further(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # 24 x 50 = 1200 MHz: a seventh of it is 171 MHz, for which no bitstream was built.
    with overlay_on("pynq-z2", SLCR, _104=24 << 12) as overlay:
        assert pynq.Clocks.fclk0_mhz == pytest.approx(1200 / 7)
        board = set_clock(overlay.board, overlay)
        assert pynq.Clocks.fclk0_mhz == board.clock_mhz == pytest.approx(150)
    assert capsys.readouterr().err == ""  # 1200 / 8


def test_a_bitstream_built_for_less_is_run_at_less(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with overlay_on("pynq-z2", SLCR) as overlay:
        assert built_for(overlay) is None
        ours = Path(overlay.bitfile_name)
    slower = tmp_path / "slower.bit"
    slower.write_bytes(ours.read_bytes())
    # As Vivado writes it beside the divisors.
    enable = '<PARAMETER NAME="PCW_FPGA_FCLK0_ENABLE" VALUE="1" />'
    handoff = ours.with_suffix(".hwh").read_text(encoding="utf-8")
    assert enable in handoff
    slower.with_suffix(".hwh").write_text(
        handoff.replace(enable, f'{enable}<PARAMETER NAME="{BUILT_FOR}" VALUE="125" />'), encoding="utf-8"
    )
    with overlay_on("pynq-z2", SLCR, slower) as overlay:
        assert built_for(overlay) == 125.0
        board = set_clock(overlay.board, overlay)
    assert board.clock_mhz == pytest.approx(1050 / 9)  # the nearest that is not above 125
    assert "116.667 MHz, not the 150 MHz" in capsys.readouterr().err


def test_a_clock_that_cannot_be_read_is_said_and_the_profile_stays(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Unreadable:
        @property
        def fclk0_mhz(self) -> float:
            raise ValueError("Invalid PLL Source")

    with overlay_on("pynq-z2", SLCR) as overlay:
        monkeypatch.setattr(pynq, "Clocks", Unreadable())
        assert set_clock(overlay.board, overlay) == BOARDS["pynq-z2"]
    assert "cannot be read (Invalid PLL Source)" in capsys.readouterr().err


@pytest.mark.parametrize("source", [999.99, 1000.0, 1050.0, 1066.667, 1200.0, 1499.985, 1500.0])
@pytest.mark.parametrize("wanted", [1.0, 33.0, 100.0, 125.0, 142.0, 150.0, 250.0, 2000.0])
def test_no_divisors_make_a_clock_too_fast_and_none_comes_nearer(source: float, wanted: float) -> None:
    first, second = divisors(source, wanted)
    assert 1 <= first <= LARGEST_DIVISOR and 1 <= second <= LARGEST_DIVISOR
    rate = source / (first * second)
    assert rate <= wanted * 1.001
    products = {a * b for a in range(1, 64) for b in range(1, 64)}
    assert rate == max(source / product for product in products if source / product <= wanted * 1.001)


def test_what_cannot_be_divided_down_is_divided_as_far_as_it_goes() -> None:
    assert divisors(1500.0, 0.1) == (LARGEST_DIVISOR, LARGEST_DIVISOR)


def test_a_bitstream_that_is_loaded_anew_gets_the_same_clock(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # As when a session recovers from a time-out: pynq then sets the divisors of the .hwh again.
    with overlay_on("pynq-z2", SLCR, _104=24 << 12) as overlay:
        overlay.after_download = lambda: set_clock(overlay.board, overlay)
        for _ in range(2):
            overlay.download()
            assert pynq.Clocks.fclk0_mhz == pytest.approx(150)
