"""The faults of faults.toml, and the RTL with all of them in it, of which a simulation switches one on.

So one compilation serves all faults: in place of an expression stands a choice between it and the faulty one,
made by the number that the simulation is given (+fault=7; 0: none, the RTL as it is).
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from egret.virtual_board.rtl_files import LIST as FILES

RTL = Path(__file__).resolve().parent.parent / "hls" / "rtl"
LIST = Path(__file__).with_name("faults.toml")

SELECT = """\
// Which fault is on: +fault=NUMBER.
package egret_faults;
  int active = 0;
endpackage
"""
READ_SELECTION = '  initial void\'($value$plusargs("fault=%d", egret_faults::active));\n'


@dataclass(frozen=True)
class Fault:
    """One fault of one unit."""

    number: int
    """From 1, in the order of the list."""
    unit: str
    name: str
    text: str
    """What stands in the unit once, with the expression between « and »."""
    becomes: str

    def find(self, source: str) -> tuple[int, int]:
        """Return where in the unit's source the expression begins and ends.

        Raises ValueError, naming the fault, where the text does not stand in it exactly once.
        """
        if not re.fullmatch("[^«»]*«[^«»]+»[^«»]*", self.text):
            raise ValueError(f"{self}: its text needs one expression between « and ».")
        before, inside, after = (_pattern(part) for part in re.split("[«»]", self.text))
        found = list(re.finditer(f"{before}({inside}){after}", source))
        if len(found) != 1:
            raise ValueError(f"{self}: its text stands {len(found)} times in {self.unit}.sv, not once.")
        return found[0].span(1)

    def __str__(self) -> str:
        return f"{self.unit}: {self.name}"


def _pattern(text: str) -> str:
    """A regular expression for the text, with any spaces and line ends for its spaces, and at its ends."""
    words = [re.escape(word) for word in text.split()]
    head = r"\s*" if text[:1].isspace() else ""
    tail = r"\s*" if text[-1:].isspace() else ""
    return head + r"\s+".join(words) + tail


def read_faults() -> list[Fault]:
    """Return the faults of the list."""
    listed = tomllib.loads(LIST.read_text(encoding="utf-8"))["fault"]
    return [Fault(number, **entry) for number, entry in enumerate(listed, start=1)]


def write_faulty_rtl(faults: list[Fault], folder: Path) -> None:
    """Copy the RTL to `folder` with all of the faults in it, none of them on.

    Raises ValueError where a fault does not apply, or two are about the same text.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(RTL, folder)
    package = folder / "egret_faults_pkg.sv"
    package.write_text(SELECT)
    (folder / FILES).write_text(f"{package.name}\n{(RTL / FILES).read_text()}")
    for unit in sorted({fault.unit for fault in faults} | {"egret_core"}):
        source = (RTL / f"{unit}.sv").read_text()
        places = sorted((*fault.find(source), fault) for fault in faults if fault.unit == unit)
        for begin, end, fault in reversed(places):
            if any(begin < other_begin < end for other_begin, _, _ in places):
                raise ValueError(f"{fault}: another fault is inside its text.")
            choice = f"(egret_faults::active == {fault.number} ? ({fault.becomes}) : ({source[begin:end]}))"
            source = source[:begin] + choice + source[end:]
        if unit == "egret_core":
            body, end_of_module = source.rsplit("endmodule", 1)
            source = f"{body}{READ_SELECTION}endmodule{end_of_module}"
        (folder / f"{unit}.sv").write_text(source)
