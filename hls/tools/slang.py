#!/usr/bin/env python3
"""Compiles SystemVerilog with slang, a strict front end: a warning counts as an error.

What slang refuses, xsim, Questa and Vivado refuse or warn of: above all, a name that is used before it is
declared.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence

from pyslang.driver import Driver


def count_faults(sources: Sequence[str], top: str) -> int:
    """Print slang's errors and warnings on the files, packages first; return how many there are."""
    driver = Driver()
    driver.addStandardArgs()
    options = ["slang", "--top", top, "--std", "1800-2017", *sources]
    if not (
        driver.parseCommandLine(shlex.join(options)) and driver.processOptions() and driver.parseAllSources()
    ):
        return 1
    driver.reportParseDiags()
    driver.reportCompilation(driver.createCompilation(), quiet=True)
    return int(driver.diagEngine.numErrors + driver.diagEngine.numWarnings)


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--top", default="egret_kernel", help="top module (default: %(default)s)")
    parser.add_argument("sources", nargs="+", help="SystemVerilog files, packages first")
    arguments = parser.parse_args()
    return int(count_faults(arguments.sources, arguments.top) > 0)


if __name__ == "__main__":
    raise SystemExit(main())
