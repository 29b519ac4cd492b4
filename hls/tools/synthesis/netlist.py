"""The mapped, flattened netlist that Yosys writes as JSON, as cells and nets by number.

Yosys numbers every wire bit; a cell's port is connected to a list of such numbers, or of the constants
"0", "1", "x", "z". Flattening keeps the place of a cell in the hierarchy in its name, which is how
resources are told apart by unit after the fact.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Bit = int | str
"""The number of a net, or a constant: "0", "1", "x" or "z"."""

_FLATTENED = re.compile(r"\$flatten|\\")
_PRIVATE = re.compile(r"(?:^|\.)\$")


class NetlistError(Exception):
    """The netlist is not what synthesis was to make of it; the message is one sentence."""


@dataclass(frozen=True)
class Cell:
    """One primitive of the part.

    `unit` is the hierarchical name of the module instance that it stands in, "" for the top. `ports` has
    the bits of each port, least significant first; `inputs` and `outputs` name the ports of each direction.
    """

    name: str
    kind: str
    unit: str
    parameters: dict[str, Any]
    ports: dict[str, list[Bit]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def parameter(self, name: str, default: int = 0) -> int:
        """Return a number parameter (Yosys writes it as a string of binary digits); `default` if it is not
        set.
        """
        value = self.parameters.get(name, default)
        if isinstance(value, int):
            return value
        return int(value.strip().replace("x", "0") or "0", 2)


@dataclass
class Netlist:
    """Cells, and for each net the name of the signal it carries."""

    cells: list[Cell]
    names: dict[int, str] = field(default_factory=dict)
    top_inputs: dict[int, str] = field(default_factory=dict)
    top_outputs: dict[int, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, top: str) -> Netlist:
        """Read module `top` of a file of `write_json`; raises NetlistError if it isn't there."""
        return cls.parse(json.loads(path.read_text(encoding="utf-8")), top)

    @classmethod
    def parse(cls, document: dict[str, Any], top: str) -> Netlist:
        """Read module `top` of the parsed JSON document."""
        modules = document.get("modules", {})
        if top not in modules:
            raise NetlistError(f"The netlist has no module {top}.")
        module = modules[top]
        names = _signal_names(module["netnames"])
        # An instance is a scope that a signal or cell name begins with; the generated part of a name is none.
        cells = []
        for name, cell in module["cells"].items():
            if cell["type"].startswith("$"):
                raise NetlistError(
                    f"Cell {name} of type {cell['type']} was not mapped to a primitive of the part."
                )
            directions = cell["port_directions"]
            cells.append(
                Cell(
                    name=plain_name(name),
                    kind=cell["type"],
                    unit=unit_of(name),
                    parameters=cell.get("parameters", {}),
                    ports=cell["connections"],
                    inputs=tuple(port for port, side in directions.items() if side == "input"),
                    outputs=tuple(port for port, side in directions.items() if side == "output"),
                )
            )
        netlist = cls(cells, names)
        for port, entry in module["ports"].items():
            bits = netlist.top_inputs if entry["direction"] == "input" else netlist.top_outputs
            for position, bit in enumerate(entry["bits"]):
                if isinstance(bit, int):
                    bits[bit] = _indexed(port, position, len(entry["bits"]))
        return netlist


def plain_name(name: str) -> str:
    r"""Return a flattened name without Yosys's marks: `core.walk.$1` for `$flatten\core.\walk.$1`."""
    return _FLATTENED.sub("", name)


def unit_of(name: str) -> str:
    """Return the instance path of a flattened cell name: all up to its own (possibly generated) last part."""
    name = plain_name(name)
    private = _PRIVATE.search(name)
    if private:
        return name[: private.start()]
    return name.rpartition(".")[0]


def _signal_names(netnames: dict[str, Any]) -> dict[int, str]:
    """Return a name for each net that has a public one: the one declared deepest in the hierarchy."""
    best: dict[int, tuple[int, int, str]] = {}
    for raw, entry in netnames.items():
        name = plain_name(raw)
        bits = entry["bits"]
        # public before generated, deep before shallow
        rank = (0 if "$" in name else 1, name.count("."))
        for position, bit in enumerate(bits):
            if isinstance(bit, int) and (bit not in best or rank > best[bit][:2]):
                best[bit] = (*rank, _indexed(name, position + entry.get("offset", 0), len(bits)))
    return {bit: entry[2] for bit, entry in best.items()}


def _indexed(name: str, position: int, width: int) -> str:
    return name if width == 1 else f"{name}[{position}]"
