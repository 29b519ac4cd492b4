#!/usr/bin/env python3
"""Synthesises the RTL kernel of a board with Yosys and says whether it fits.

Reads hls/rtl, makes the top module for the board's number of engines (hls/kernel.json), maps it to the
primitives of the board's part (Yosys's synth_xilinx), and reports LUTs, flip-flops, block RAMs and DSPs by
unit beside the part's totals, and the longest paths by logic levels and by estimated delay. Writes
report.txt, report.json and Yosys's log to build/synth/BOARD. Takes two to four minutes of one core.

Ends with exit status 1 if a limit is exceeded: 50 % of the part's LUTs, 92 % of its block RAMs, 40 % of
its DSPs, 12 logic levels (each LUT, wide multiplexer, carry block and unregistered multiplication on a
path counts as one), or if a memory that belongs in block RAM is not there.

This is no place and route: net delays are averages, and Vivado will do better on most paths. It tells
early, and with open tools, whether a change of the RTL costs area or breaks timing.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from egret.virtual_board.rtl_files import rtl_files
from hls import REPOSITORY
from hls.tools.generators.description import Description
from hls.tools.generators.top import top
from hls.tools.synthesis.expected import block_memories
from hls.tools.synthesis.flow import synthesise
from hls.tools.synthesis.netlist import Netlist, NetlistError
from hls.tools.synthesis.parts import part_of
from hls.tools.synthesis.paths import longest_paths
from hls.tools.synthesis.report import Limits, Report
from hls.tools.synthesis.resources import TOP, by_module, by_unit, memories_outside_block_memory


def make_report(description: Description, board: str, netlist: Path, paths: int) -> Report:
    """Return the report on a mapped netlist of the board's build, with so many paths of each kind."""
    entry = description.data["boards"][board]
    part = part_of(entry["part"])
    loaded = Netlist.load(netlist, TOP)
    units = by_unit(loaded)
    deepest, slowest = longest_paths(loaded, part.delays, paths)
    outside = memories_outside_block_memory(loaded, block_memories(description.board_build(board)))
    clock_mhz = description.clock_mhz(board)
    return Report(board, part, clock_mhz, units, by_module(units), deepest, slowest, outside, Limits())


def main() -> int:
    """Run the command line; return the exit status."""
    description = Description.load(REPOSITORY / "hls" / "kernel.json")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("board", choices=sorted(description.data["boards"]), help="whose build and part")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder to write to (default: build/synth/BOARD)"
    )
    parser.add_argument(
        "--netlist",
        type=Path,
        metavar="FILE",
        help="report on this mapped netlist of an earlier run instead of running Yosys",
    )
    parser.add_argument(
        "--paths", type=int, default=10, metavar="N", help="paths to list of each kind (default: 10)"
    )
    arguments = parser.parse_args()
    if arguments.paths < 1:
        parser.error("--paths must be at least 1")

    folder = (arguments.output or REPOSITORY / "build" / "synth" / arguments.board).resolve()
    build = description.board_build(arguments.board)
    part = part_of(description.data["boards"][arguments.board]["part"])
    try:
        netlist = arguments.netlist
        seconds = None
        if netlist is None:
            folder.mkdir(parents=True, exist_ok=True)
            source = folder / f"{TOP}.sv"
            source.write_text(top(description, build["ENGINES"]), encoding="utf-8")
            parameters = {name: value for name, value in build.items() if name != "ENGINES"}
            netlist, seconds = synthesise(
                [*rtl_files(REPOSITORY / "hls" / "rtl"), source], parameters, part, folder
            )
        report = make_report(description, arguments.board, netlist, arguments.paths)
    except (NetlistError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    text = report.text()
    if seconds is not None:
        text += f"Yosys took {seconds:.0f} s.\n"
    (folder / "report.txt").write_text(text, encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(report.json(), indent=2) + "\n", encoding="utf-8")
    print(text, end="")
    return 1 if report.violations() else 0


if __name__ == "__main__":
    sys.exit(main())
