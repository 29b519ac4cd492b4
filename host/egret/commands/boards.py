"""`egret boards`: which boards there are, which one "auto" is, and whose bitstreams are there."""

from __future__ import annotations

import argparse
import json

from egret.board.boards import AUTO, board_names, resolve_board
from egret.board.real import bitstream_of
from egret.errors import EgretError
from egret.profiles import BOARDS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's description and arguments to its parser."""
    parser.description = (
        "List the boards: a real one by its name, its cycle-accurate simulation as virtual:NAME, and as "
        "virtual:csim a simulation with the same bits and no clock that is many times faster. A "
        "simulation is compiled at its first use. 'auto' is the board that this program runs on, or the "
        "one that PYNQ_REMOTE_DEVICES names."
    )
    parser.epilog = "Example: egret run models/ptb-egru.npz --board virtual:ultra96-v2"
    parser.set_defaults(function=boards)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def boards(arguments: argparse.Namespace) -> int:
    """Run the command; return 0."""
    try:
        here = resolve_board(AUTO)
    except EgretError as error:  # it is a list: what can be chosen stands in it all the same
        here = f"none ({error})"
    bitstreams = {name: _bitstream(name) for name in BOARDS}
    if arguments.json:
        document = {
            "auto": here,
            "names": board_names(),
            "boards": {
                name: {
                    "about": board.about,
                    "part": board.part,
                    "clock_mhz": board.clock_mhz,
                    "engines": board.build.engines,
                    "lanes": board.build.lanes,
                    "decoder_lanes": board.build.decoder_lanes,
                    "bus_bytes": board.build.bus_bytes,
                    "memory_bytes": board.memory.bytes,
                    "bitstream": bitstreams[name],
                }
                for name, board in BOARDS.items()
            },
        }
        print(json.dumps(document, indent=2))
        return 0
    for board in BOARDS.values():
        build = board.build
        print(
            f"{board.name:<12} {board.about}: {build.engines} x {build.lanes} lanes "
            f"({build.decoder_lanes} for the decoder), {8 * build.bus_bytes}-bit ports, "
            f"{board.clock_mhz:g} MHz, {board.memory.bytes >> 20} MB for buffers"
        )
        missing = f"none; 'make bitstream BOARD={board.name}' builds it with Vivado"
        print(f"{'':<12} bitstream: {bitstreams[board.name] or missing}")
    print(f"--board takes: {AUTO}, {', '.join(board_names())}")
    print(f"'virtual:' stands before what is simulated on this machine. '{AUTO}' is {here} here.")
    return 0


def _bitstream(name: str) -> str | None:
    try:
        return str(bitstream_of(BOARDS[name], None))
    except EgretError:
        return None
