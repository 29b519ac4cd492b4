#!/usr/bin/env python3
"""Compiles the RTL kernel with slang, a strict SystemVerilog front end: errors and warnings count alike.

What slang refuses, xsim, Questa and Vivado refuse or warn of: above all, a name that is used before it is
declared.
"""

from __future__ import annotations

import argparse
import shlex

from pyslang.driver import Driver


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--top", default="egret_kernel", help="top module (default: %(default)s)")
    parser.add_argument("sources", nargs="+", help="SystemVerilog files, packages first")
    arguments = parser.parse_args()
    driver = Driver()
    driver.addStandardArgs()
    options = ["slang", "--top", arguments.top, "--std", "1800-2017", "-Werror", *arguments.sources]
    if not driver.parseCommandLine(shlex.join(options)):
        return 2
    sound = driver.processOptions() and driver.parseAllSources()
    sound = sound and driver.reportParseDiags()
    compilation = driver.createCompilation()
    return 0 if driver.reportCompilation(compilation, False) and sound else 1


if __name__ == "__main__":
    raise SystemExit(main())
