"""The command line for Vitis HLS: what it hands over, and what it says where the tool is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bitstreams import REPOSITORY, vivado_inputs
from bitstreams.tests import tcl
from bitstreams.tests.recorder import BOARDS, DESCRIPTION
from hls.tools.vitis import build_hls, hls_job

BUILD_HLS = "hls.tools.vitis.build_hls"

CONFIG_KEYS = frozenset(
    """flow_target clock clock_uncertainty syn.top syn.file syn.cflags syn.interface.m_axi_addr64
    package.output.format package.output.syn package.ip.vendor package.ip.library package.ip.name
    package.ip.version package.ip.display_name tb.file tb.cflags""".split()
)
"""Keys of the [hls] section that UG1399 documents, as far as they are used here."""

HLS_COMMANDS = {  # flags and valued options of vitis_hls's commands (UG1399, HLS Tcl commands)
    "open_project": ("reset", ""),
    "set_top": ("", ""),
    "add_files": ("tb", "cflags csimflags blackbox"),
    "open_solution": ("reset", "flow_target"),
    "set_part": ("", ""),
    "create_clock": ("", "period name"),
    "set_clock_uncertainty": ("", ""),
    "config_interface": ("m_axi_addr64=true m_axi_addr64=false", ""),
    "csynth_design": ("", ""),
    "csim_design": ("", "argv"),
    "cosim_design": ("", "argv"),
    "export_design": ("", "format rtl vendor library ipname version display_name description output"),
}


def run(module: str, *arguments: str, path: str) -> subprocess.CompletedProcess[str]:
    """Run one of the command lines with nothing on PATH but `path`."""
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def install(folder: Path, name: str, body: str) -> None:
    """Put a shell script on the PATH that is `folder`."""
    program = folder / name
    program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{body}\n", encoding="utf-8")
    program.chmod(0o755)


def settings(text: str) -> dict[str, list[str]]:
    """Return the keys of a configuration with their values in order."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("board", BOARDS)
def test_config_has_documented_keys_and_the_boards_facts(board: str) -> None:
    job = hls_job.Job.of_board(board)
    general, _, hls = hls_job.config(job).partition("[hls]\n")
    assert settings(general) == {"part": [DESCRIPTION.data["boards"][board]["part"]]}
    found = settings(hls)
    assert set(found) <= CONFIG_KEYS
    assert found["clock"] == [f"{DESCRIPTION.clock_mhz(board)}MHz"]
    assert found["syn.top"] == ["egret_kernel"]
    vlnv = ":".join(found[f"package.ip.{key}"][0] for key in ("vendor", "library", "name", "version"))
    assert vlnv == DESCRIPTION.vlnv
    assert all(Path(name).is_file() for name in found["syn.file"])


@pytest.mark.parametrize("board", BOARDS)
def test_vivado_looks_for_the_ip_where_vitis_leaves_it(board: str) -> None:
    assert vivado_inputs.folders(board, "hls").ip == hls_job.Job.of_board(board).ip


@pytest.mark.parametrize("board", BOARDS)
def test_every_build_parameter_reaches_the_sources(board: str) -> None:
    (flags,) = settings(hls_job.config(hls_job.Job.of_board(board)))["syn.cflags"]
    given = dict(re.findall(r"-DEGRET_(\w+)=(\d+)", flags))
    assert given == {name: str(value) for name, value in DESCRIPTION.board_build(board).items()}
    header = REPOSITORY / "hls" / "src" / "egret_kernel_config.hpp"
    taken = set(re.findall(r"^#ifndef EGRET_(\w+)$", header.read_text(encoding="utf-8"), re.MULTILINE))
    assert set(given) <= taken


def hls_calls(job: hls_job.Job, goal: str, folder: Path) -> list[tuple[str, dict[str, str], list[str]]]:
    """Run the job's Tcl; return its commands, each with options and the rest, all of them documented."""
    script = folder / "run_hls.tcl"
    script.write_text(hls_job.script(job, goal), encoding="utf-8")
    calls: list[tuple[str, dict[str, str], list[str]]] = []

    def command(name: str, words: list[str]) -> str:
        if name not in HLS_COMMANDS:
            raise tcl.CommandRefused(f"no command {name}")
        flags, values = HLS_COMMANDS[name]
        options: dict[str, str] = {}
        rest: list[str] = []
        words = list(words)
        while words:
            word = words.pop(0)
            if word.startswith("-") and word[1:] in values.split():
                options[word[1:]] = words.pop(0)
            elif word.startswith("-"):
                if word[1:] not in flags.split():
                    raise tcl.CommandRefused(f"{name} has no option {word}")
                options[word[1:]] = ""
            else:
                rest.append(word)
        calls.append((name, options, rest))
        return ""

    tcl.run(script, [], command)
    return calls


@pytest.mark.skipif(tcl.interpreter() is None, reason=tcl.MISSING)
@pytest.mark.parametrize("board", BOARDS)
def test_older_vitis_is_told_the_same(board: str, tmp_path: Path) -> None:
    job = hls_job.Job.of_board(board)
    calls = hls_calls(job, hls_job.EXPORT, tmp_path)
    expected = settings(hls_job.config(job))
    added = [(options["cflags"], rest[0]) for name, options, rest in calls if name == "add_files"]
    assert added == [(expected["syn.cflags"][0], name) for name in expected["syn.file"]]
    single = {name: (options, rest) for name, options, rest in calls if name != "add_files"}
    assert single["set_part"][1] == expected["part"]
    assert single["set_top"][1] == expected["syn.top"]
    assert single["create_clock"][0]["period"] == expected["clock"][0]
    export = single["export_design"][0]
    assert [export[key] for key in ("vendor", "library", "ipname", "version")] == [
        expected[f"package.ip.{key}"][0] for key in ("vendor", "library", "name", "version")
    ]


@pytest.mark.skipif(tcl.interpreter() is None, reason=tcl.MISSING)
@pytest.mark.parametrize(
    ("goal", "steps"),
    [
        (hls_job.CSIM, ["csim_design"]),
        (hls_job.COSIM, ["csynth_design", "cosim_design"]),
    ],
)
def test_simulations_get_the_test_bench_and_its_vectors(goal: str, steps: list[str], tmp_path: Path) -> None:
    job = hls_job.Job.of_case("pynq-z2", "two_layers")
    config = settings(hls_job.config(job))
    assert config["tb.file"] == [str(hls_job.BENCH), str(job.vectors)]
    assert hls_job.BENCH.is_file()
    assert config["tb.cflags"] == config["syn.cflags"]
    assert "-DEGRET_NEURON_DEPTH=256" in config["syn.cflags"][0]  # the build of the case, not of the board
    calls = hls_calls(job, goal, tmp_path)
    assert [name for name, _, _ in calls if name.endswith("_design")] == steps
    benches = [rest[0] for name, options, rest in calls if name == "add_files" and "tb" in options]
    assert benches == config["tb.file"]


@pytest.mark.parametrize(
    ("module", "words", "sentence"),
    [
        (
            BUILD_HLS,
            ["--board", "pynq-z2"],
            r"neither v\+\+ with vitis-run .*2023\.2 or later.* nor vitis_hls",
        ),
        (BUILD_HLS, ["--check"], r"neither v\+\+ with vitis-run .*2023\.2 or later.* nor vitis_hls"),
        (BUILD_HLS, ["--set", "LANE=3"], r"no build parameter LANE; there are ENGINES, LANES,"),
        (BUILD_HLS, ["--set", "LANES"], r"--set takes NAME=VALUE"),
    ],
)
def test_one_sentence_says_what_is_missing(
    module: str, words: list[str], sentence: str, tmp_path: Path
) -> None:
    result = run(module, *words, path=str(tmp_path))
    assert result.returncode == 1
    assert re.search(sentence, result.stderr)
    assert len(result.stderr.strip().splitlines()) == 1 and result.stdout == ""


_EXPORT = """\
mkdir -p work/hls/impl/ip/hdl/verilog
touch work/hls/impl/ip/component.xml work/hls/impl/ip/hdl/verilog/egret_kernel.v
"""


@pytest.mark.parametrize(
    ("tools", "called"),
    [
        ({"v++": "", "vitis-run": _EXPORT, "vitis_hls": ""}, ["v++", "vitis-run"]),
        ({"vitis_hls": _EXPORT}, ["vitis_hls"]),
    ],
    ids=["2023.2", "older"],
)
def test_exported_ip_and_verilog_are_collected(
    tools: dict[str, str], called: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in tools.items():
        install(programs, name, f"echo {name} >> {tmp_path}/called\n{body}")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(hls_job.Job, "folder", property(lambda self: tmp_path / "job"))
    job = hls_job.Job.of_board("pynq-z2")
    build_hls.build(job)
    assert (tmp_path / "called").read_text(encoding="utf-8").split() == called
    assert (job.ip / "component.xml").is_file()
    assert build_hls.exported_verilog(job) == [job.verilog / "egret_kernel.v"]


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        (hls_job.CSIM, [["vitis-run", "--csim"]]),
        (hls_job.COSIM, [["v++", "-c"], ["vitis-run", "--cosim"]]),
        (hls_job.EXPORT, [["v++", "-c"], ["vitis-run", "--package"]]),
    ],
)
def test_each_goal_runs_its_commands(
    goal: str, expected: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("v++", "vitis-run"):
        install(tmp_path, name, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    common = {"--mode", "hls", "--config", "hls_config.cfg", "--work_dir", "work"}
    assert [[word for word in words if word not in common] for words in build_hls.commands(goal)] == expected


def test_vectors_are_made_for_a_simulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hls_job.Job, "folder", property(lambda self: tmp_path))
    job = hls_job.Job.of_case("pynq-z2", "one_lane")
    build_hls.write_inputs(job, hls_job.CSIM)
    assert job.vectors.stat().st_size > 1000


def test_an_export_without_an_ip_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "vitis_hls", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(hls_job.Job, "folder", property(lambda self: tmp_path / "job"))
    with pytest.raises(hls_job.BuildError, match="holds 0 exported IPs"):
        build_hls.build(hls_job.Job.of_board("pynq-z2"))
