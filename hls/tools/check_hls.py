#!/usr/bin/env python3
"""Checks the kernel's HLS C++ for what a C++ compiler does not see and only Vitis HLS would.

check_hls.py [FOLDER]     FOLDER: the sources, hls/src unless given

- every `#pragma HLS`: known directive, known options, in a place where it means something, and naming what
  exists there
- nothing that is not synthesised: recursion, heap, function pointers, host calls, loops without a bound or a
  trip count, arrays of unknown size
- every pipelined loop argued to reach II = 1
- dataflow regions in canonical form, each memory, port and end of a stream with one process
- registers and ports as in hls/kernel.json

The sources are read as the synthesiser reads them (preprocessed, __SYNTHESIS__ defined), for each board and
for the most engines. Prints a line for each fault; exit status 1 if there is one.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from hls import HLS
from hls.tools.hls_check import dataflow, interface, language, pragmas
from hls.tools.hls_check.source import SourceError, parse, preprocess, tokens_and_pragmas

_DEFINED = re.compile(r"^\s*#\s*define\s+(\w+)", re.MULTILINE)

Finding = tuple[str, int, str]


def check_folder(folder: Path, description: dict[str, Any], top: bool = True) -> list[Finding]:
    """Return the faults of all sources in a folder: file, line, what is wrong.

    `top`: whether the kernel's top function must be there. Raises SourceError for what cannot be read.
    """
    files = sorted(folder.glob("*.cpp"))
    if not files:
        raise SourceError(f"{folder} holds no C++ sources.")
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.hpp"))]
    macros = frozenset(name for text in texts for name in _DEFINED.findall(text))
    findings: list[Finding] = []

    def report(file: str, line: int, text: str) -> None:
        findings.append((file, line, text))

    for defines, engines in _builds(description):
        tokens = tokens_and_pragmas(preprocess(files, defines, [folder]), folder)
        unit = pragmas.Unit(parse(tokens), macros)
        pragmas.check(unit, report)
        dataflow.check(unit, report)
        language.check(unit, report)
        found_top = interface.check(unit, description, engines, report)
        if top and not found_top:
            report(str(folder), 0, f"no source defines {description['kernel']['name']}")
    return pragmas.unique(findings)


def _builds(description: dict[str, Any]) -> list[tuple[list[str], int]]:
    """Return the macros to define, and the engines, of each build to look at."""
    parameters = description["build_parameters"]
    builds = []
    for name, board in description["boards"].items():
        engines = board["build"].get("ENGINES", parameters["ENGINES"]["default"])
        builds.append(([f"EGRET_BOARD_{name.upper().replace('-', '_')}"], engines))
    most = parameters["ENGINES"]["maximum"]
    return [*builds, ([f"EGRET_ENGINES={most}"], most)]


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=HLS / "src", metavar="FOLDER")
    arguments = parser.parse_args()
    description = json.loads((HLS / "kernel.json").read_text(encoding="utf-8"))
    try:
        findings = check_folder(arguments.folder.resolve(), description)
    except SourceError as error:
        print(f"check_hls: {error}", file=sys.stderr)
        return 2
    for file, line, text in findings:
        print(f"{Path(file).name}:{line}: {text}")
    if not findings:
        print(f"{arguments.folder}: nothing that Vitis HLS would refuse")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
