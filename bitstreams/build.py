#!/usr/bin/env python3
"""Builds a board's bitstream with Vivado: kernel, block design, synthesis, implementation, .bit and .hwh.

  bitstreams/build.py --board pynq-z2                  the kernel of hls/rtl
  bitstreams/build.py --board ultra96-v2 --kernel hls  the kernel of hls/src, through Vitis HLS
  bitstreams/build.py --board pynq-z2 --inputs-only    no Vivado: just write what it would read

Ends with bitstreams/<board>/egret.bit and egret.hwh, where `egret run --board <board>` looks for them.
Reports on timing and utilisation are in bitstreams/build/<board>/<kernel>/reports; where timing is not met,
the reports are written and the bitstream is not. Needs Vivado 2023.2 or later on PATH (source its
settings64.sh).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import handoff_check
import vivado_inputs

BUILD_SCRIPT = Path(__file__).resolve().parent / "tcl" / "build.tcl"


class BuildError(Exception):
    """A build cannot go on; the text is one sentence for the user."""


def build(board: str, kernel: str, inputs_only: bool) -> None:
    """Build the bitstream of `board` with the kernel `rtl` or `hls`; raises BuildError if that fails."""
    if not inputs_only and shutil.which("vivado") is None:
        raise BuildError(
            "A bitstream is made by Vivado, and there is no vivado on PATH: install Vivado 2023.2 or later "
            "(the free Standard edition knows both boards' parts) and source its settings64.sh."
        )
    description = vivado_inputs.load_description()
    places = vivado_inputs.folders(board, kernel)
    if kernel == "hls" and not inputs_only:
        _hls_kernel(board)
    inputs = vivado_inputs.write_inputs(description, board, kernel, places)
    if inputs_only:
        print(
            f"Wrote {inputs}; Vivado would run: vivado -mode batch -source {BUILD_SCRIPT} -tclargs {inputs}"
        )
        return
    log = places.build / "vivado.log"
    status = subprocess.run(
        [
            "vivado",
            "-mode",
            "batch",
            "-nojournal",
            "-log",
            str(log),
            "-source",
            str(BUILD_SCRIPT),
            "-tclargs",
            str(inputs),
        ],
        cwd=places.build,
        check=False,
    ).returncode
    if status:
        raise BuildError(f"Vivado stopped with status {status}; the reason is at the end of {log}.")
    deliver(board, places)


def deliver(board: str, places: vivado_inputs.Folders) -> None:
    """Copy .bit and .hwh to where the driver looks; raises BuildError if the .hwh is not what it expects."""
    virtual = vivado_inputs.REPOSITORY / "host" / "egret" / "virtual_board" / f"{board}.hwh"
    handoff = places.build / "egret.hwh"
    found = handoff_check.differences(virtual, handoff)
    if found:
        raise BuildError(
            f"{handoff} differs from {virtual}, which the driver is tested with: {' '.join(found)}"
        )
    for name in ("egret.bit", "egret.hwh"):
        shutil.copyfile(places.build / name, places.board / name)
    print(f"Bitstream: {places.board / 'egret.bit'} (reports: {places.build / 'reports'})")


def _hls_kernel(board: str) -> None:
    """Have Vitis HLS export the kernel, as `make hls` does."""
    script = vivado_inputs.REPOSITORY / "hls" / "scripts" / "vitis" / "build_hls.py"
    if subprocess.run([sys.executable, str(script), "--board", board], check=False).returncode:
        raise BuildError(f"There is no HLS kernel for {board} (see above); --kernel rtl needs no Vitis HLS.")


def main() -> int:
    """Run the command line; return the exit status."""
    boards = list(vivado_inputs.load_description().data["boards"])
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--board", required=True, choices=boards, help="the board to build for")
    parser.add_argument(
        "--kernel",
        default="rtl",
        choices=vivado_inputs.KERNELS,
        help="which implementation of the kernel: rtl is hls/rtl, hls is hls/src (default: rtl)",
    )
    parser.add_argument("--inputs-only", action="store_true", help="write what Vivado would read, and stop")
    arguments = parser.parse_args()
    try:
        build(arguments.board, arguments.kernel, arguments.inputs_only)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
