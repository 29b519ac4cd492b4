"""The objects that the stub of Vivado keeps: cells and connections of a block design, and a packaged IP."""

from __future__ import annotations

from dataclasses import dataclass, field

from ip_catalog import Shape

AXI_SIGNALS = {
    "AR": "ID ADDR LEN SIZE BURST LOCK CACHE PROT QOS REGION VALID READY".split(),
    "AW": "ID ADDR LEN SIZE BURST LOCK CACHE PROT QOS REGION VALID READY".split(),
    "W": "DATA STRB LAST VALID READY".split(),
    "R": "ID DATA RESP LAST VALID READY".split(),
    "B": "ID RESP VALID READY".split(),
}
"""Signals of AXI4, by channel (AMBA AXI specification IHI 0022)."""


def axi_directions() -> dict[str, str]:
    """Return each AXI signal's direction at a master, `output` or `input`."""
    directions = {}
    for channel, signals in AXI_SIGNALS.items():
        from_master = channel in ("AR", "AW", "W")
        for signal in signals:
            out = from_master != (signal == "READY")
            directions[channel + signal] = "output" if out else "input"
    return directions


INTERFACE_SIGNALS = {
    "xilinx.com:interface:aximm": axi_directions(),
    "xilinx.com:signal:clock": {"CLK": "output"},
    "xilinx.com:signal:reset": {"RST": "output"},
    "xilinx.com:signal:interrupt": {"INTERRUPT": "output"},
}
"""Signals of each interface type and their direction at a master."""


@dataclass
class Cell:
    """An instance in the block design."""

    name: str
    vlnv: str
    parameters: dict[str, str] = field(default_factory=dict)
    shape: Shape = field(default_factory=Shape)


@dataclass
class Assignment:
    """A segment mapped into an address space."""

    space: str
    segment: str
    offset: int
    bytes: int


@dataclass
class Design:
    """A block design as it was built."""

    name: str
    part: str
    cells: dict[str, Cell] = field(default_factory=dict)
    ports: dict[str, str] = field(default_factory=dict)
    """External interface to its type."""
    driver: dict[str, str] = field(default_factory=dict)
    """Input pin to the output pin that drives it, both `cell/pin`."""
    bus: dict[str, str] = field(default_factory=dict)
    """Slave interface (or external one) to its master, both `cell/interface`."""
    assignments: list[Assignment] = field(default_factory=list)
    validated: bool = False
    saved: bool = False

    def open_inputs(self) -> list[str]:
        """Return the input pins that nothing drives, but for those that may stay open."""
        return [
            f"{cell.name}/{pin}"
            for cell in self.cells.values()
            for pin, direction in cell.shape.pins.items()
            if direction == "I" and pin not in cell.shape.optional and f"{cell.name}/{pin}" not in self.driver
        ]

    def open_interfaces(self) -> list[str]:
        """Return the interfaces that are connected to nothing."""
        connected = set(self.bus) | set(self.bus.values())
        return [
            f"{cell.name}/{interface}"
            for cell in self.cells.values()
            for interface in cell.shape.interfaces
            if f"{cell.name}/{interface}" not in connected
        ]

    def reaches(self, master: str) -> set[str]:
        """Return the slave interfaces behind a master interface, through SmartConnects."""
        slaves = {slave for slave, driver in self.bus.items() if driver == master}
        for slave in list(slaves):
            cell = self.cells.get(slave.split("/")[0])
            if cell is not None and cell.vlnv.endswith(":smartconnect"):
                slaves.discard(slave)
                for interface, (_, mode) in cell.shape.interfaces.items():
                    if mode == "master":
                        slaves |= self.reaches(f"{cell.name}/{interface}")
        return slaves


@dataclass
class Interface:
    """A bus interface of a packaged IP."""

    name: str
    properties: dict[str, str] = field(default_factory=dict)
    maps: dict[str, str] = field(default_factory=dict)
    """Logical signal to port."""
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """Interface type without its version."""
        return self.properties.get("bus_type_vlnv", "").rpartition(":")[0]


@dataclass
class Register:
    """A register of a packaged IP with its fields, each a dictionary of properties."""

    properties: dict[str, str] = field(default_factory=dict)
    fields: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class Core:
    """An IP being packaged."""

    folder: str
    top: str
    ports: dict[str, str]
    """Port of the top module to direction, `input` or `output`."""
    properties: dict[str, str] = field(default_factory=dict)
    interfaces: dict[str, Interface] = field(default_factory=dict)
    spaces: dict[str, dict[str, str]] = field(default_factory=dict)
    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    blocks: dict[str, dict[str, str]] = field(default_factory=dict)
    registers: dict[str, Register] = field(default_factory=dict)
    saved: bool = False

    @property
    def vlnv(self) -> str:
        """Vendor, library, name and version."""
        return ":".join(self.properties[key] for key in ("vendor", "library", "name", "version"))

    def shape(self) -> Shape:
        """Return what a block design sees of the IP."""
        shape = Shape()
        covered: set[str] = set()
        for interface in self.interfaces.values():
            mode = interface.properties["interface_mode"]
            ports = set(interface.maps.values())
            if interface.type == "xilinx.com:interface:aximm":
                shape.interfaces[interface.name] = ("aximm", mode)
                covered |= ports
                if mode == "master":
                    shape.address_spaces.add(interface.properties["master_address_space_ref"])
                elif "slave_memory_map_ref" in interface.properties:
                    for block, properties in self.blocks.items():
                        shape.segments[f"{interface.properties['slave_memory_map_ref']}/{block}"] = (
                            interface.name,
                            int(properties["range"]),
                        )
            elif interface.type == "xilinx.com:signal:clock":
                shape.clocks |= ports
            elif interface.type == "xilinx.com:signal:reset":
                shape.resets |= ports
        for port, direction in self.ports.items():
            if port not in covered:
                shape.pins[port] = "I" if direction == "input" else "O"
        return shape
