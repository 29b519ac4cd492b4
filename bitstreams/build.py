"""Builds a board's bitstream with Vivado: kernel, block design, synthesis, implementation, .bit and .hwh.

  python -m bitstreams.build --board pynq-z2                  the kernel of hls/rtl
  python -m bitstreams.build --board ultra96-v2 --kernel hls  the kernel of hls/src, through Vitis HLS
  python -m bitstreams.build --board pynq-z2 --clock 142.86   for another rate that the board's divider makes
  python -m bitstreams.build --board pynq-z2 --debug          with a logic analyser on the memory ports
  python -m bitstreams.build --board pynq-z2 --inputs-only    no Vivado: just write what it would read

Ends with bitstreams/<board>/egret.bit and egret.hwh, where `egret run --board <board>` looks for them.
Reports on timing and utilisation are in bitstreams/build/<board>/<kernel>/reports. Where only setup fails,
the .hwh says for which slower clock the bitstream is good, and the driver sets that one. Needs Vivado 2023.2
or later on PATH (source its settings64.sh).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys

from bitstreams import FOLDER, REPOSITORY, handoff, vivado_inputs
from hls.tools.generators.description import Description, two_divisors

BUILD_SCRIPT = FOLDER / "tcl" / "build.tcl"


class BuildError(Exception):
    """A build cannot go on; the text is one sentence for the user."""


def build(board: str, kernel: str, options: vivado_inputs.Options, inputs_only: bool) -> None:
    """Build the bitstream of `board` with the kernel `rtl` or `hls`; raises BuildError if that fails."""
    description = vivado_inputs.load_description()
    try:
        vivado_inputs.divisor_of(description, board, options)
    except ValueError as error:
        raise BuildError(str(error)) from error
    if not inputs_only and shutil.which("vivado") is None:
        raise BuildError(
            "A bitstream is made by Vivado, and there is no vivado on PATH: install Vivado 2023.2 or later "
            "(the free Standard edition knows the parts of all boards) and source its settings64.sh."
        )
    places = vivado_inputs.folders(board, kernel)
    if kernel == "hls" and not inputs_only:
        _hls_kernel(board)
    inputs = vivado_inputs.write_inputs(description, board, kernel, places, options)
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
    deliver(description, board, places, options)


def deliver(
    description: Description, board: str, places: vivado_inputs.Folders, options: vivado_inputs.Options
) -> None:
    """Copy .bit and .hwh to where the driver looks, the .hwh with the clock that the logic is good for.

    Raises BuildError if the .hwh is not what the driver expects.
    """
    virtual = REPOSITORY / "host" / "egret" / "virtual_board" / f"{board}.hwh"
    written = places.build / "egret.hwh"
    found = handoff.differences(virtual, written)
    if found:
        raise BuildError(
            f"{written} differs from {virtual}, which the driver is tested with: {' '.join(found)}"
        )
    divisor = vivado_inputs.divisor_of(description, board, options)
    wanted = description.clock_mhz(board, divisor)
    reached = float((places.build / "clock_mhz.txt").read_text(encoding="utf-8"))
    divisor = slower(description, board, divisor, reached)
    clock_mhz = description.clock_mhz(board, divisor)
    text = handoff.with_clock(written, divisor, clock_mhz)
    shutil.copyfile(places.build / "egret.bit", places.board / "egret.bit")
    (places.board / "egret.hwh").write_text(text, encoding="utf-8")
    if clock_mhz < wanted:
        print(
            f"Timing is not met at {wanted:g} MHz; the logic is good for {reached:.1f} MHz. The .hwh says "
            f"{clock_mhz:g} MHz, the next rate below that the board makes, and the driver sets it."
        )
    print(f"Bitstream: {places.board / 'egret.bit'} (reports: {places.build / 'reports'})")


def slower(description: Description, board: str, divisor: int, limit_mhz: float) -> int:
    """Return the smallest divisor from `divisor` on that makes a rate up to the limit (to 0.01 %)."""
    while description.clock_mhz(board, divisor) > limit_mhz * 1.0001 or not _is_made(divisor):
        divisor += 1
    return divisor


def _is_made(divisor: int) -> bool:
    try:
        two_divisors(divisor)
    except ValueError:
        return False
    return True


def _hls_kernel(board: str) -> None:
    """Have Vitis HLS export the kernel, as `make hls` does."""
    command = [sys.executable, "-m", "hls.tools.vitis.build_hls", "--board", board]
    if subprocess.run(command, check=False, cwd=REPOSITORY).returncode:
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
    parser.add_argument(
        "--clock", type=float, metavar="MHZ", help="fabric clock (default: the profile's in hls/kernel.json)"
    )
    parser.add_argument("--debug", action="store_true", help="add a logic analyser on the memory ports")
    parser.add_argument("--inputs-only", action="store_true", help="write what Vivado would read, and stop")
    arguments = parser.parse_args()
    try:
        options = vivado_inputs.Options(arguments.clock, arguments.debug)
        build(arguments.board, arguments.kernel, options, arguments.inputs_only)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
