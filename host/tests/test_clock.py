"""The fabric clock: what pynq makes of the .hwh, what Egret makes of that, and what it says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from egret.installation import CHECKOUT

pytest.importorskip("pynq", reason="pynq sets the clock")

import pynq

from egret.board.boards import open_board
from egret.board.clock import LARGEST_DIVISOR, divisors, set_clock
from egret.board.driver import EgretOverlay
from egret.profiles import BOARDS, Board
from egret.virtual_board.registers import StoredRegisters
from hls.tools.generators.description import Description
from hls.tools.generators.hwh import handoff

SLCR = (0xF800_0000, 0x1000)
CRL = (0xFF5E_0000, 0x1000)

SLOWEST_MHZ = 10
"""Slower rates than this are tried in no test: nobody builds for them, and there are a thousand."""

DESCRIPTION = Description.load(CHECKOUT / "hls" / "kernel.json")


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
    # The DDR PLL's 1050 MHz where the .hwh means the IO PLL's 1000: an eighth of it is 131 MHz.
    with overlay_on("pynq-z2", SLCR, _170=10 << 8 | 1 << 20 | 3 << 4) as overlay:
        board = set_clock(overlay.board, overlay)
    assert board.clock_mhz == pytest.approx(1050 / 9)
    assert replace(board, clock_mhz=125.0) == BOARDS["pynq-z2"]
    assert capsys.readouterr().err == (
        "egret: The fabric clock is 116.667 MHz, not the 125 MHz of pynq-z2; figures per second are for the "
        "rate it has.\n"
    )


def test_a_pll_that_makes_the_divisors_of_the_hwh_too_fast_is_divided_further(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # 25 x 50 = 1250 MHz: an eighth of it is 156 MHz, for which no bitstream was built.
    with overlay_on("pynq-z2", SLCR, _108=25 << 12) as overlay:
        assert pynq.Clocks.fclk0_mhz == pytest.approx(1250 / 8)
        board = set_clock(overlay.board, overlay)
        assert pynq.Clocks.fclk0_mhz == board.clock_mhz == pytest.approx(125)
    assert capsys.readouterr().err == ""  # 1250 / 10


@pytest.mark.parametrize("name", list(BOARDS))
def test_every_rate_that_a_boards_dividers_make_works(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the .hwh through pynq's parser and clock registers to the profile and the memory's model."""
    ours, rates = BOARDS[name], 0
    with open_board(f"virtual:{name}") as opened:
        models: list[Board] = []

        def make_model(board: Board, *_: object) -> NoKernel:
            models.append(board)
            return NoKernel()

        opened.device._make_model = make_model
        for divisor in sorted({a * b for a in range(1, 64) for b in range(1, 64)}):
            if ours.clock_source_mhz / divisor < SLOWEST_MHZ:
                break
            bitfile = tmp_path / f"{divisor}.bit"
            bitfile.touch()
            bitfile.with_suffix(".hwh").write_text(handoff(DESCRIPTION, name, divisor), encoding="utf-8")
            overlay = EgretOverlay(str(bitfile), device=opened.device)
            registers = opened.device._bus[SLCR if ours.part.startswith("xc7z") else CRL]._values.copy()
            board = set_clock(opened.board, overlay)
            assert opened.device._bus[SLCR if ours.part.startswith("xc7z") else CRL]._values == registers
            rate = ours.clock_source_mhz / divisor
            assert pynq.Clocks.fclk0_mhz == pytest.approx(rate, rel=1e-4)
            assert board.clock_mhz == pytest.approx(rate, rel=1e-4)
            assert models.pop().clock_mhz == pytest.approx(rate, rel=1e-6)
            assert DESCRIPTION.clock_divisor(name, rate) == divisor
            said = capsys.readouterr().err
            assert (said == "") == (divisor == round(ours.clock_source_mhz / ours.clock_mhz)), said
            rates += 1
    assert rates > 80


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
    with overlay_on("pynq-z2", SLCR, _108=25 << 12) as overlay:
        overlay.after_download = lambda: set_clock(overlay.board, overlay)
        for _ in range(2):
            overlay.download()
            assert pynq.Clocks.fclk0_mhz == pytest.approx(125)
