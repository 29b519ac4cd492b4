#!/usr/bin/env python3
"""Makes from hls/kernel.json every file that repeats what it says.

python -m hls.tools.generate    writes the committed files
    --check                     fails if one of them differs from what would be written
    --top ENGINES --output DIR  writes DIR/egret_kernel.sv, the top module for so many engines
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from hls import REPOSITORY
from hls.tools.generators import cpp, docs, hwh, python, systemverilog, top
from hls.tools.generators.description import Description

BITSTREAM_PLACEHOLDER = "No bitstream: pynq wants a file of this name, the virtual board runs hls/rtl.\n"


def committed_files(description: Description) -> Iterator[tuple[str, str]]:
    """Yield the path in the repository, and the text, of every committed file that is generated.

    The last, what fits a board, is computed by egret.image.limits, which reads host/egret/contract.py: that
    must have been written by then.
    """
    yield "hls/rtl/egret_pkg.sv", systemverilog.package(description)
    yield "hls/rtl/gate_tables.sv", systemverilog.gate_tables(description)
    yield "hls/src/egret_kernel_config.hpp", cpp.header(description)
    yield "hls/src/gate_tables.hpp", cpp.gate_tables(description)
    yield "host/egret/contract.py", python.module(description)
    yield "docs/registers.md", docs.registers_page(description)
    for board in description.data["boards"]:
        yield f"host/egret/virtual_board/{board}.hwh", hwh.handoff(description, board)
        yield f"host/egret/virtual_board/{board}.bit", BITSTREAM_PLACEHOLDER
    yield "docs/image.md", docs.image_page(description)


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--top", type=int, metavar="ENGINES", help="write the top module for ENGINES engines")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for --top (default: here)")
    arguments = parser.parse_args()
    if arguments.check and arguments.top is not None:
        parser.error("--check and --top exclude each other")
    if arguments.output is not None and arguments.top is None:
        parser.error("--output goes with --top")

    description = Description.load(REPOSITORY / "hls" / "kernel.json")
    if arguments.top is not None:
        folder = arguments.output or Path.cwd()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "egret_kernel.sv").write_text(top.top(description, arguments.top), encoding="utf-8")
        return 0

    stale = []
    for name, text in committed_files(description):
        path = REPOSITORY / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if arguments.check:
            stale.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {name}")
    for name in stale:
        print(f"{name} differs from what hls/kernel.json says: run 'make generate'.", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
