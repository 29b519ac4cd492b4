#!/usr/bin/env python3
"""Synthesises the kernel of hls/src with Vitis HLS and exports it as a Vivado IP and as Verilog.

  hls/tools/vitis/build_hls.py --board pynq-z2
  hls/tools/vitis/build_hls.py --set ENGINES=1 --set LANES=4   another build, on the PYNQ-Z2's part
  hls/tools/vitis/build_hls.py --board pynq-z2 --inputs-only   no Vitis: just write what it would read
  hls/tools/vitis/build_hls.py --check                         just say whether Vitis is on PATH
  hls/tools/vitis/build_hls.py --csim two_layers               C simulation of a case of tb/kernel_cases.py
  hls/tools/vitis/build_hls.py --cosim two_layers              C synthesis and co-simulation of it

Everything is below build/hls/<board>: the configuration, `ip` (the packaged IP, for bitstreams/build.py),
`verilog` (its sources, for `make sim KERNEL=hls`) and `work` (Vitis's own folder, with its reports). Uses v++
and vitis-run of Vitis 2023.2 or later, or vitis_hls of an older one, whichever is on PATH (source its
settings64.sh).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from hls.tools.vitis.hls_job import (
    COSIM,
    CSIM,
    DEFAULT_BOARD,
    EXPORT,
    REPOSITORY,
    BuildError,
    Job,
    config,
    known_boards,
    script,
)


def write_inputs(job: Job, goal: str = EXPORT) -> None:
    """Write both configurations, and vectors to simulate; raises BuildError if there is nothing to read."""
    if job.description.data["kernel"]["name"] not in [path.stem for path in job.sources]:
        raise BuildError(f"{REPOSITORY / 'hls' / 'src'} holds no egret_kernel.cpp to synthesise.")
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / "hls_config.cfg").write_text(config(job), encoding="utf-8")
    (job.folder / "run_hls.tcl").write_text(script(job, goal), encoding="utf-8")
    if job.case is not None:
        make = [sys.executable, "-m", "hls.csim.vectors", job.case, str(job.vectors)]
        if subprocess.run(make, check=False, cwd=REPOSITORY).returncode:
            raise BuildError(f"hls.csim.vectors made no vectors for {job.case} (see above).")


def commands(goal: str = EXPORT) -> list[list[str]]:
    """Return the commands that reach a goal with the Vitis on PATH; raises BuildError where there is none."""
    if shutil.which("v++") is not None and shutil.which("vitis-run") is not None:
        common = ["--mode", "hls", "--config", "hls_config.cfg", "--work_dir", "work"]
        synthesis = ["v++", "-c", *common]
        return {
            EXPORT: [synthesis, ["vitis-run", *common, "--package"]],
            CSIM: [["vitis-run", *common, "--csim"]],
            COSIM: [synthesis, ["vitis-run", *common, "--cosim"]],
        }[goal]
    if shutil.which("vitis_hls") is not None:
        return [["vitis_hls", "-f", "run_hls.tcl"]]
    raise BuildError(
        "The HLS kernel is synthesised by Vitis HLS, and neither v++ with vitis-run (Vitis 2023.2 or later) "
        "nor vitis_hls (older) is on PATH: install Vitis and source its settings64.sh."
    )


def run(job: Job, goal: str) -> None:
    """Have Vitis reach a goal; raises BuildError with the reason if that fails."""
    steps = commands(goal)
    write_inputs(job, goal)
    shutil.rmtree(job.folder / "work", ignore_errors=True)
    for command in steps:
        status = subprocess.run(command, cwd=job.folder, check=False).returncode
        if status:
            raise BuildError(f"{command[0]} stopped with status {status}; its words are above.")


def build(job: Job) -> None:
    """Synthesise and export; raises BuildError with the reason if that fails."""
    for old in (job.ip, job.verilog):
        shutil.rmtree(old, ignore_errors=True)
    run(job, EXPORT)
    collect(job)
    print(f"IP: {job.ip}\nVerilog: {job.verilog}")


def collect(job: Job) -> None:
    """Copy the exported IP and its Verilog out of Vitis's folder; raises BuildError if there is none."""
    exported = [path.parent for path in (job.folder / "work").rglob("impl/ip/component.xml")]
    if len(exported) != 1:
        raise BuildError(
            f"Vitis ended well, but {job.folder / 'work'} holds {len(exported)} exported IPs, not one."
        )
    name = job.description.data["kernel"]["name"]
    shutil.copytree(exported[0], job.ip)
    shutil.copytree(job.ip / "hdl" / "verilog", job.verilog)
    if not (job.verilog / f"{name}.v").is_file():
        raise BuildError(f"The exported IP holds no {name}.v.")


def exported_verilog(job: Job) -> list[Path]:
    """Return the exported Verilog sources of a job; raises BuildError if it has not been built.

    Its read-only memories load *.dat files that lie beside the sources, by a path relative to where the
    simulation runs.
    """
    sources = sorted(job.verilog.glob("*.v"))
    if not sources:
        raise BuildError(
            f"There is no Verilog of the HLS kernel in {job.verilog}: build it with {Path(__file__).name}."
        )
    return sources


def main() -> int:
    """Run the command line; return the exit status."""
    boards = known_boards()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--board",
        default=DEFAULT_BOARD,
        choices=boards,
        help=f"part, clock and build parameters (default: {DEFAULT_BOARD})",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a build parameter of hls/kernel.json; may be given several times",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--inputs-only", action="store_true", help="write what Vitis would read, and stop")
    what.add_argument("--check", action="store_true", help="fail, with a sentence, where there is no Vitis")
    what.add_argument("--csim", metavar="CASE", help="C simulation of a case; its build replaces the board's")
    what.add_argument("--cosim", metavar="CASE", help="C synthesis and C/RTL co-simulation of a case")
    arguments = parser.parse_args()
    try:
        job = Job.of_board(arguments.board, _changes(arguments.set))
        if arguments.check:
            commands()
        elif arguments.csim is not None:
            run(Job.of_case(arguments.board, arguments.csim), CSIM)
        elif arguments.cosim is not None:
            run(Job.of_case(arguments.board, arguments.cosim), COSIM)
        elif arguments.inputs_only:
            write_inputs(job)
            print(f"Wrote {job.folder / 'hls_config.cfg'} and run_hls.tcl beside it.")
        else:
            build(job)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _changes(texts: list[str]) -> dict[str, int]:
    changes = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not value.isdecimal():
            raise BuildError(f"--set takes NAME=VALUE with a whole number, not {text}.")
        changes[name] = int(value)
    return changes


if __name__ == "__main__":
    sys.exit(main())
