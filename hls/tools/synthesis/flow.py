"""Runs Yosys (from the package pyosys, which brings ABC) on the RTL of one build.

The units keep their boundaries, so that each can be reported and identical ones are synthesised once;
memories, queues and tables are dissolved into the unit that they serve. Only after mapping is the netlist
flattened: paths run across units.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from hls.tools.synthesis.netlist import NetlistError
from hls.tools.synthesis.parts import Part
from hls.tools.synthesis.resources import TOP, UNITS

_RUN_SCRIPT = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in open(sys.argv[1], encoding="utf-8"):
    if line.strip():
        design.run_pass(line.strip())
"""


def script(sources: list[Path], parameters: dict[str, int], part: Part, netlist: Path) -> str:
    """Return the Yosys commands, one a line: read, set the parameters, map, flatten, write `netlist`."""
    files = " ".join(f'"{source}"' for source in sources)
    settings = " ".join(f"-set {name} {value}" for name, value in parameters.items())
    lines = [
        f"read_verilog -sv -defer {files}",
        f"hierarchy -top {TOP} -chparam {' -chparam '.join(f'{n} {v}' for n, v in parameters.items())}"
        if settings
        else f"hierarchy -top {TOP}",
    ]
    lines += [
        f"setattr -mod -set keep_hierarchy 1 A:hdlname=\\{module}" for module in sorted(set(UNITS.values()))
    ]
    lines += [
        f"synth_xilinx -family {part.family} -top {TOP} -flatten -noiopad -noclkbuf",
        "setattr -mod -unset keep_hierarchy *",
        "flatten",
        "opt_clean -purge",
        "delete t:$scopeinfo",
        f"select -module {TOP}",
        f'write_json -selected "{netlist}"',
    ]
    return "\n".join(lines) + "\n"


def synthesise(
    sources: list[Path], parameters: dict[str, int], part: Part, folder: Path
) -> tuple[Path, float]:
    """Run Yosys in `folder`; return the netlist's path and the seconds it took.

    Raises NetlistError with Yosys's own error if it fails; its whole log is folder/yosys.log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    netlist, commands, log = folder / "netlist.json", folder / "synth.ys", folder / "yosys.log"
    netlist.unlink(missing_ok=True)
    commands.write_text(script(sources, parameters, part, netlist), encoding="utf-8")
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as output:
        status = subprocess.run(
            [sys.executable, "-c", _RUN_SCRIPT, str(commands)],
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if status or not netlist.is_file():
        raise NetlistError(f"Yosys failed: {_error_in(log)} (its log is {log}).")
    return netlist, time.monotonic() - began


def _error_in(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if "ERROR" in line or "ModuleNotFoundError" in line]
    return errors[-1].strip() if errors else (lines[-1].strip() if lines else "it printed nothing")
