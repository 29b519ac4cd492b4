"""The block-design commands of the stub of Vivado."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ip_catalog import CATALOG, Shape, value_allowed
from tcl import CommandRefused
from vivado_objects import Assignment, Cell, Design

if TYPE_CHECKING:
    from vivado import Vivado

_SIZES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size(text: str) -> int:
    """Return a number of bytes written as 65536, 0x10000, 64K, 512M or 2G."""
    return int(text[:-1]) * _SIZES[text[-1]] if text[-1] in _SIZES else int(text, 0)


class BlockDesigner:
    """Keeps the one block design of a session."""

    def __init__(self, vivado: Vivado) -> None:
        self.vivado = vivado
        self.design: Design | None = None

    def set_parameter(self, name: str, value: str, cell: Cell) -> None:
        """Set a parameter of a cell, which may change its pins; refuse one that its IP does not have."""
        known = CATALOG[cell.vlnv].parameters if cell.vlnv in CATALOG else frozenset()
        if name.removeprefix("CONFIG.") not in known:
            raise CommandRefused(f"{cell.vlnv} has no parameter {name}")
        if not value_allowed(name.removeprefix("CONFIG."), value):
            raise CommandRefused(f"{name} cannot be {value!r}")
        cell.parameters[name.removeprefix("CONFIG.")] = value
        cell.shape = CATALOG[cell.vlnv].shape(cell.parameters)

    def get_parameter(self, name: str, cell: Cell) -> str:
        """Return what Vivado derives: the rate that the fabric clock really gets."""
        if name == "CONFIG.PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ":
            return self._divided("PCW_FCLK0_PERIPHERAL_CLKSRC", "PCW_FPGA0_PERIPHERAL_FREQMHZ", cell)
        if name == "CONFIG.PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ":
            prefix = "PSU__CRL_APB__PL0_REF_CTRL__"
            return self._divided(f"{prefix}SRCSEL", f"{prefix}FREQMHZ", cell)
        raise CommandRefused(f"no property {name} on {cell.name}")

    def _divided(self, source: str, wanted: str, cell: Cell) -> str:
        pll = self.vivado.pll_mhz[cell.parameters[source]]
        return f"{pll / max(round(pll / float(cell.parameters[wanted])), 1):.6f}"

    def current(self) -> Design:
        """Return the open design."""
        if self.design is None:
            raise CommandRefused("no block design is open")
        return self.design

    def do_create_bd_design(self, words: list[str]) -> str:
        (name,) = words
        if re.fullmatch(r"\w+", name) is None:
            raise CommandRefused(f"'{name}' is no name for a block design")
        self.design = Design(name, self.vivado.part)
        return name

    def do_create_bd_cell(self, words: list[str]) -> str:
        options, (name,) = self.vivado.parse(words, values="type vlnv")
        vlnv = options["vlnv"]
        if options["type"] != "ip" or name in self.current().cells:
            raise CommandRefused(f"cannot create cell {name}")
        if vlnv in CATALOG:
            shape = CATALOG[vlnv].shape({})
        else:
            if not self.vivado.catalog_updated or self._repository_ips().get(vlnv) is None:
                raise CommandRefused(f"the IP catalog has no {vlnv}")
            shape = self._repository_ips()[vlnv]
        self.current().cells[name] = Cell(name, vlnv, {}, shape)
        return name

    def _repository_ips(self) -> dict[str, Shape]:
        found = {
            vlnv: shape
            for vlnv, (folder, shape) in self.vivado.exported.items()
            if folder == self.vivado.repository
        }
        core = self.vivado.packager.core
        if core is not None and core.saved and core.folder == self.vivado.repository:
            found[core.vlnv] = core.shape()
        return found

    def do_get_bd_pins(self, words: list[str]) -> str:
        (path,) = words
        cell, _, pin = path.rpartition("/")
        if cell not in self.current().cells or pin not in self.current().cells[cell].shape.pins:
            raise CommandRefused(f"no pin {path}")
        return path

    def do_get_bd_intf_pins(self, words: list[str]) -> str:
        (path,) = words
        cell, _, pin = path.rpartition("/")
        if cell not in self.current().cells or pin not in self.current().cells[cell].shape.interfaces:
            raise CommandRefused(f"no interface pin {path}")
        return path

    def do_create_bd_intf_port(self, words: list[str]) -> str:
        options, (name,) = self.vivado.parse(words, values="mode vlnv")
        if options["mode"] not in ("Master", "Slave"):
            raise CommandRefused(f"no mode {options['mode']}")
        self.current().ports[name] = options["vlnv"]
        return f"/{name}"

    def do_get_bd_intf_ports(self, words: list[str]) -> str:
        (name,) = words
        if name not in self.current().ports:
            raise CommandRefused(f"no interface port {name}")
        return f"/{name}"

    def do_connect_bd_net(self, words: list[str]) -> str:
        _options, pins = self.vivado.parse(words)
        design = self.current()
        directions = {}
        for path in pins:
            cell, _, pin = path.rpartition("/")
            directions[path] = design.cells[cell].shape.pins[pin]
        drivers = [path for path, direction in directions.items() if direction == "O"]
        if len(drivers) != 1:
            raise CommandRefused(f"a net needs one driver; {pins} has {len(drivers)}")
        for path, direction in directions.items():
            if direction == "I" and design.driver.setdefault(path, drivers[0]) != drivers[0]:
                raise CommandRefused(f"{path} is driven by {design.driver[path]} already")
        return ""

    def do_connect_bd_intf_net(self, words: list[str]) -> str:
        _options, (first, second) = self.vivado.parse(words)
        design = self.current()
        if first.startswith("/"):  # an external interface takes what the cell gives
            name = first[1:]
            cell, _, pin = second.rpartition("/")
            kind, _mode = design.cells[cell].shape.interfaces[pin]
            if f":{kind}_rtl:" not in design.ports[name]:
                raise CommandRefused(f"{second} is no {design.ports[name]}")
            design.bus[first] = second
            return ""
        kinds = {}
        for path in (first, second):
            cell, _, pin = path.rpartition("/")
            kinds[path] = design.cells[cell].shape.interfaces[pin]
        if kinds[first][1] != "master" or kinds[second][1] != "slave" or kinds[first][0] != kinds[second][0]:
            raise CommandRefused(f"{first} {kinds[first]} cannot be connected to {second} {kinds[second]}")
        if second in design.bus or first in design.bus.values():
            raise CommandRefused(f"{first} or {second} is connected already")
        design.bus[second] = first
        return ""

    def do_get_bd_addr_spaces(self, words: list[str]) -> str:
        (path,) = words
        cell, _, space = path.partition("/")
        if cell not in self.current().cells or space not in self.current().cells[cell].shape.address_spaces:
            raise CommandRefused(f"no address space {path}")
        return path

    def do_get_bd_addr_segs(self, words: list[str]) -> str:
        (path,) = words
        cell, _, segment = path.partition("/")
        if cell not in self.current().cells or segment not in self.current().cells[cell].shape.segments:
            raise CommandRefused(f"no address segment {path}")
        return path

    def do_assign_bd_address(self, words: list[str]) -> str:
        options, (segment,) = self.vivado.parse(
            words, flags="force", values="offset range target_address_space"
        )
        design, space = self.current(), options["target_address_space"]
        cell, _, below = segment.partition("/")
        interface, limit = design.cells[cell].shape.segments[below]
        owner, _, space_name = space.partition("/")
        masters = [
            f"{owner}/{name}"
            for name, (kind, mode) in design.cells[owner].shape.interfaces.items()
            if (kind, mode) == ("aximm", "master") and space_name in ("Data", f"Data_{name}")
        ]
        if not any(f"{cell}/{interface}" in design.reaches(master) for master in masters):
            raise CommandRefused(f"{space} does not reach {segment}")
        assignment = Assignment(space, segment, int(options["offset"], 0), size(options["range"]))
        if assignment.bytes > limit or assignment.offset % assignment.bytes:
            raise CommandRefused(f"{segment} has {limit} bytes and must lie on a multiple of its range")
        for other in design.assignments:
            if other.space == space and assignment.offset < other.offset + other.bytes:
                if other.offset < assignment.offset + assignment.bytes:
                    raise CommandRefused(f"{segment} overlaps {other.segment}")
        design.assignments.append(assignment)
        return ""

    def do_validate_bd_design(self, words: list[str]) -> str:
        design = self.current()
        if design.open_inputs() or design.open_interfaces():
            raise CommandRefused(f"not connected: {design.open_inputs() + design.open_interfaces()}")
        design.validated = True
        return ""

    def do_save_bd_design(self, words: list[str]) -> str:
        self.current().saved = True
        return ""
