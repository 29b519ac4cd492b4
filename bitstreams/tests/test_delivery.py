"""What Vivado made reaches the place where the driver looks, and only if the driver will understand it."""

from __future__ import annotations

from pathlib import Path

import build
import handoff_check
import pytest
import vivado_inputs
from board_builds import BOARDS

VIRTUAL = vivado_inputs.REPOSITORY / "host" / "egret" / "virtual_board"


@pytest.fixture(params=BOARDS)
def board(request: pytest.FixtureRequest) -> str:
    """Each board's name."""
    return str(request.param)


def finished(board: str, handoff: str, folder: Path) -> vivado_inputs.Folders:
    """Folders as a build leaves them, with this text as Vivado's .hwh."""
    places = vivado_inputs.Folders(folder / "board", folder / "build", folder / "ip")
    places.board.mkdir()
    places.build.mkdir()
    (places.build / "egret.bit").write_text("a bitstream", encoding="utf-8")
    (places.build / "egret.hwh").write_text(handoff, encoding="utf-8")
    return places


def as_vivado_writes(board: str) -> str:
    """The virtual board's .hwh with what Vivado writes otherwise: digits, more modules, more attributes."""
    text = (VIRTUAL / f"{board}.hwh").read_text(encoding="utf-8")
    text = text.replace('BASEVALUE="0x', 'BASEVALUE="0x00').replace('VALUE="0x4"', 'VALUE="4"')
    return text.replace(
        "<MODULES>",
        '<MODULES><MODULE FULLNAME="/memory_0" INSTANCE="memory_0" MODTYPE="smartconnect" '
        'VLNV="xilinx.com:ip:smartconnect:1.0" HWVERSION="1.0" />',
    )


def test_a_build_is_delivered_to_where_the_driver_looks(board: str, tmp_path: Path) -> None:
    places = finished(board, as_vivado_writes(board), tmp_path)
    build.deliver(board, places)
    assert {path.name for path in places.board.iterdir()} == {"egret.bit", "egret.hwh"}
    assert (places.board / "egret.hwh").read_bytes() == (places.build / "egret.hwh").read_bytes()
    boards = vivado_inputs.REPOSITORY / "host" / "egret" / "real_board.py"
    assert '"bitstreams" / board.name / "egret.bit"' in boards.read_text(encoding="utf-8")
    own = vivado_inputs.folders(board, "rtl").board
    assert own == vivado_inputs.REPOSITORY / "bitstreams" / board


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("egret:hls:egret_kernel:2.0", "xilinx.com:hls:egret_kernel:2.0", "the kernel's type is xilinx.com"),
        ('NAME="token_count"', 'NAME="tokens_count"', "offset of register token_count is missing"),
        ('VALUE="0x20"', 'VALUE="0x24"', "offset of register token_count is 36, .* expects 32"),
        ("egret_kernel_0", "egret_kernel_1", "the kernel's instance is egret_kernel_1"),
        ('PORT="intr"', 'PORT="other"', "interrupt egret_kernel_0/interrupt goes to is axi_intc_0/other"),
        ('DIVISOR0" VALUE="', 'DIVISOR0" VALUE="1', "the fabric clock's divisor is 1"),
    ],
)
def test_a_handoff_that_the_driver_would_not_understand_is_refused(
    board: str, old: str, new: str, sentence: str, tmp_path: Path
) -> None:
    text = as_vivado_writes(board)
    assert old in text
    places = finished(board, text.replace(old, new), tmp_path)
    with pytest.raises(build.BuildError, match=sentence):
        build.deliver(board, places)
    assert list(places.board.iterdir()) == []


def test_a_handoff_equals_itself(board: str) -> None:
    handoff = VIRTUAL / f"{board}.hwh"
    assert handoff_check.differences(handoff, handoff) == []
    assert (
        len(handoff_check.differences(handoff, VIRTUAL / f"{next(b for b in BOARDS if b != board)}.hwh")) > 0
    )
