"""What a mapped netlist takes of a part, in all and by unit.

LUTs are the LUTs of a slice that the cells occupy. Small LUTs are not paired into LUT6_2 as Vivado pairs
them and an inverter takes one, so the number is an upper bound.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from hls.tools.synthesis.netlist import Cell, Netlist

UNITS = {
    "core": "egret_core",
    "registers": "control_registers",
    "loader": "image_loader",
    "queue": "event_queue",
    "tokens": "token_interface",
    "counts": "counters",
    "walk": "sequencer",
    "issue_wave": "wavefront",
    "updated_wave": "wavefront",
    "engine": "engine",
    "fetcher": "column_fetcher",
    "layer_lanes": "lane_group",
    "decoder_lanes": "lane_group",
    "lane": "lane",
    "update": "neuron_update",
    "decoder": "decoder_sweep",
    "writer": "axi_writer",
}
"""Module of each instance name in the hierarchy of hls/rtl; what is instanced below counts with the unit."""

_LUT_MEMORIES = {"RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM32M16": 8, "RAM64M8": 8}
"""LUTs that a LUT memory occupies."""

TOP = "egret_kernel"


@dataclass
class Resources:
    """Numbers of LUTs (of them as memory), flip-flops, block RAMs in halves of 18 Kbit, and DSPs."""

    luts: int = 0
    lut_memories: int = 0
    flip_flops: int = 0
    block_halves: int = 0
    dsps: int = 0

    @property
    def block_memories(self) -> float:
        """Block RAMs of 36 Kbit."""
        return self.block_halves / 2

    def add(self, cell: Cell) -> None:
        """Count one cell."""
        kind = cell.kind
        if kind.startswith("RAMB36"):
            self.block_halves += 2
        elif kind.startswith("RAMB18"):
            self.block_halves += 1
        elif kind.startswith(("RAM", "SRL")):
            occupied = _LUT_MEMORIES.get(kind, 1)
            self.luts += occupied
            self.lut_memories += occupied
        elif kind.startswith("LUT") or kind == "INV":
            self.luts += 1
        elif kind.startswith("FD"):
            self.flip_flops += 1
        elif kind.startswith("DSP48"):
            self.dsps += 1

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            self.luts + other.luts,
            self.lut_memories + other.lut_memories,
            self.flip_flops + other.flip_flops,
            self.block_halves + other.block_halves,
            self.dsps + other.dsps,
        )


def unit_of(instance: str) -> str:
    """Return the instance path of the innermost unit that `instance` is or is part of; TOP if of none."""
    parts = instance.split(".")
    while parts and parts[-1] not in UNITS:
        parts.pop()
    return ".".join(parts) if parts else TOP


def by_unit(netlist: Netlist) -> dict[str, Resources]:
    """Return what each unit instance takes itself, without the units inside it, by instance path."""
    units: dict[str, Resources] = defaultdict(Resources)
    for cell in netlist.cells:
        units[unit_of(cell.unit)].add(cell)
    return dict(sorted(units.items()))


def by_module(units: dict[str, Resources]) -> dict[str, tuple[int, Resources]]:
    """Return for each module of the RTL its number of instances and what they take together."""
    modules: dict[str, tuple[int, Resources]] = {}
    for instance, taken in units.items():
        module = UNITS.get(instance.split(".")[-1], TOP)
        number, total = modules.get(module, (0, Resources()))
        modules[module] = (number + 1, total + taken)
    return modules


def memories_outside_block_memory(netlist: Netlist, expected: tuple[str, ...]) -> list[str]:
    """Return which memories of `expected` (instance paths, * for any index) are in no block RAM at all."""
    found = {cell.unit for cell in netlist.cells if cell.kind.startswith(("RAMB", "URAM"))}
    return [
        path for path in expected if not any(unit == path or unit.startswith(path + ".") for unit in found)
    ]
