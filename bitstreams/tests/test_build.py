"""From Vivado's reports to the files that the driver loads, and what is said where a build fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bitstreams import FOLDER, REPOSITORY, build, handoff, vivado_inputs
from bitstreams.tests import tcl
from bitstreams.tests.recorder import BOARDS, DESCRIPTION, Build
from egret.virtual_board.build import find_verilator, verilator_environment

VIRTUAL = REPOSITORY / "host" / "egret" / "virtual_board"
needs_tcl = pytest.mark.skipif(tcl.interpreter() is None, reason=tcl.MISSING)


@pytest.fixture(params=BOARDS)
def board(request: pytest.FixtureRequest) -> str:
    """Each board's name."""
    return str(request.param)


def as_vivado_writes(board: str) -> str:
    """The virtual board's .hwh with what Vivado writes otherwise: digits, more modules, another PLL."""
    text = (VIRTUAL / f"{board}.hwh").read_text(encoding="utf-8")
    text = text.replace('BASEVALUE="0x', 'BASEVALUE="0x00').replace('VALUE="0x4"', 'VALUE="4"')
    text = text.replace('DIVISOR0" VALUE="', 'DIVISOR0" VALUE="1')
    return text.replace(
        "<MODULES>",
        '<MODULES><MODULE FULLNAME="/memory_0" INSTANCE="memory_0" MODTYPE="smartconnect" '
        'VLNV="xilinx.com:ip:smartconnect:1.0" HWVERSION="1.0" />',
    )


def delivered(board: str, folder: Path, slack: str = "0.120", clock_mhz: float | None = None) -> Path:
    """Build with a worst setup slack, deliver, and return the folder of the .bit and .hwh."""
    options = vivado_inputs.Options(clock_mhz)
    made = Build(board, "rtl", folder, options)
    made.vivado.answers["STATS.WNS"] = slack
    made.vivado.hardware_handoff = as_vivado_writes(board)
    made.run()
    build.deliver(DESCRIPTION, board, made.places, options)
    return made.places.board


def divisor_by_pynq(handoff_file: Path) -> int:
    """The divisor that pynq's own parser reads for fabric clock 0."""
    pytest.importorskip("pynqmetadata")
    from pynqmetadata.frontends import Metadata
    from pynqmetadata.views.runtime import RuntimeMetadataParser

    clock = RuntimeMetadataParser(Metadata(input=handoff_file)).clock_dict[0]
    assert clock["enable"] == 1
    return int(clock["divisor0"]) * int(clock["divisor1"])


@needs_tcl
def test_a_build_is_delivered_to_where_the_driver_looks(board: str, tmp_path: Path) -> None:
    folder = delivered(board, tmp_path)
    assert {"egret.bit", "egret.hwh"} <= {path.name for path in folder.iterdir()}
    assert divisor_by_pynq(folder / "egret.hwh") == DESCRIPTION.data["boards"][board]["clock"]["divisor"]
    assert vivado_inputs.folders(board, "rtl").board == FOLDER / board


@needs_tcl
def test_another_rate_of_the_divider_is_delivered(tmp_path: Path) -> None:
    assert divisor_by_pynq(delivered("pynq-z2", tmp_path, clock_mhz=142.86) / "egret.hwh") == 7


@needs_tcl
def test_where_setup_fails_the_bitstream_has_the_clock_that_it_is_good_for(
    board: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = DESCRIPTION.clock_mhz(board)
    source = DESCRIPTION.data["boards"][board]["clock"]["source_mhz"]
    divisor = divisor_by_pynq(delivered(board, tmp_path, slack="-1.0") / "egret.hwh")
    rate = source / divisor
    good_for = 1000 / (1000 / wanted + 1.0)
    assert rate <= good_for * 1.0002 < wanted
    assert source / (divisor - 1) > good_for  # and the next faster one is too fast
    assert (
        f"Timing is not met at {wanted:g} MHz; the logic is good for {good_for:.1f}"
        in capsys.readouterr().out
    )


@needs_tcl
def test_a_hold_violation_and_an_unfinished_run_leave_no_bitstream(board: str, tmp_path: Path) -> None:
    for number, (answer, value, sentence) in enumerate(
        [
            ("STATS.WHS", "-0.004", "worst hold slack is -0.004 ns, which no slower clock cures"),
            ("STATS.WNS", "", "no timing was analysed"),
            ("PROGRESS", "40%", "Vivado's run synth_1 failed: .*runs/synth_1"),
        ]
    ):
        made = Build(board, "rtl", tmp_path / str(number))
        made.vivado.answers[answer] = value
        with pytest.raises(tcl.TclError, match=sentence):
            made.run()
        assert not made.vivado.called("write_bitstream")
    made = Build(board, "rtl", tmp_path / "handoff")
    made.vivado.hardware_handoff = ""
    with pytest.raises(tcl.TclError, match=r"wrote no egret\.hwh"):
        made.run()


@needs_tcl
@pytest.mark.parametrize(("release", "fine"), [("2023.1", False), ("2023.2", True), ("2025.1", True)])
def test_releases_before_2023_2_are_refused(release: str, fine: bool, tmp_path: Path) -> None:
    made = Build("pynq-z2", "hls", tmp_path)
    made.vivado.release = release
    if fine:
        made.run()
        return
    with pytest.raises(tcl.TclError, match=r"2023\.2 or later; this is 2023\.1"):
        made.run()


@needs_tcl
def test_the_kernel_is_synthesised_under_its_clock(board: str, tmp_path: Path) -> None:
    made = Build(board, "rtl", tmp_path)
    vivado = made.run()
    assert vivado.properties("egret.bd")["synth_checkpoint_mode"] == "None"
    constraint = vivado_inputs.out_of_context(made.places)
    assert vivado.properties(str(constraint)) == {"USED_IN": "out_of_context"}
    assert f"-period {1000 / DESCRIPTION.clock_mhz(board):.3f} " in constraint.read_text(encoding="utf-8")
    assert vivado.properties("synth_1")["STEPS.SYNTH_DESIGN.ARGS.RETIMING"] == "true"
    order = [name for name, _ in vivado.calls]
    assert order.index("launch_runs") < order.index("report_timing_summary") < order.index("write_bitstream")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("egret:hls:egret_kernel:2.0", "xilinx.com:hls:egret_kernel:2.0", "the kernel's type is xilinx.com"),
        ('NAME="token_count"', 'NAME="tokens_count"', "offset of register token_count is missing"),
        ('VALUE="0x20"', 'VALUE="0x24"', "offset of register token_count is 36, .* expects 32"),
        ("egret_kernel_0", "egret_kernel_1", "the kernel's instance is egret_kernel_1"),
        ('PORT="intr"', 'PORT="other"', "interrupt egret_kernel_0/interrupt goes to is axi_intc_0/other"),
    ],
)
def test_a_handoff_that_the_driver_would_not_understand_is_refused(
    board: str, old: str, new: str, sentence: str, tmp_path: Path
) -> None:
    text = as_vivado_writes(board)
    assert old in text
    places = vivado_inputs.Folders(tmp_path / "board", tmp_path / "build", tmp_path / "ip")
    places.board.mkdir()
    places.build.mkdir()
    (places.build / "egret.hwh").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(build.BuildError, match=sentence):
        build.deliver(DESCRIPTION, board, places, vivado_inputs.Options())
    assert list(places.board.iterdir()) == []
    assert handoff.differences(VIRTUAL / f"{board}.hwh", VIRTUAL / f"{board}.hwh") == []


def run(*arguments: str, path: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with nothing on PATH but `path`."""
    command = [sys.executable, "-m", "bitstreams.build", *arguments]
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--board", "pynq-z2"], "no vivado on PATH: install Vivado 2023.2 or later"),
        (["--board", "pynq-z2", "--clock", "130"], "cannot make 130 MHz: .* 111.111, 125, 142.857 MHz"),
    ],
)
def test_one_sentence_says_what_is_missing(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    result = run(*arguments, path=str(tmp_path))
    assert result.returncode != 0 and result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    assert re.search(sentence, result.stderr)


def test_a_failing_vivado_is_reported_with_its_log(tmp_path: Path) -> None:
    vivado = tmp_path / "vivado"
    vivado.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\nexit 3\n', encoding="utf-8")
    vivado.chmod(0o755)
    result = run("--board", "pynq-z2", path=str(tmp_path))
    assert result.returncode == 1 and "Vivado stopped with status 3; " in result.stderr
    words = (tmp_path / "words").read_text(encoding="utf-8").split()
    assert words[words.index("-mode") + 1] == "batch"
    assert Path(words[words.index("-source") + 1]).is_file()
    assert Path(words[words.index("-tclargs") + 1]).is_file()


@pytest.mark.parametrize("board", ["pynq-z2", "ultra96-v2"])  # one port of each width
def test_wrapper_elaborates_with_the_rtl(board: str, tmp_path: Path) -> None:
    """Verilator finds every port of the top module connected at its width."""
    verilator = find_verilator()
    places = vivado_inputs.Folders(tmp_path, tmp_path / "build", tmp_path / "ip")
    vivado_inputs.write_inputs(DESCRIPTION, board, "rtl", places)
    sources = [*vivado_inputs.rtl_sources(), *(places.build / "rtl").glob("*.*v")]
    flags = ["--lint-only", "-Wall", "-Wno-SYMRSVDWORD", "-Wno-fatal", "--top-module", vivado_inputs.IP_TOP]
    command, environment = [str(verilator), *flags, *map(str, sources)], verilator_environment(verilator)
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    about_wrapper = [line for line in result.stderr.splitlines() if f"{vivado_inputs.IP_TOP}.v" in line]
    assert result.returncode == 0 and about_wrapper == [], result.stderr
