"""The ipx:: commands of the stub of Vivado: packages an IP and refuses what does not fit its top module."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tcl import CommandRefused
from vivado_objects import INTERFACE_SIGNALS, Core, Interface, Register

if TYPE_CHECKING:
    from vivado import Vivado

_VERILOG_PORT = re.compile(r"^\s*(input|output)\s+wire\s+(?:\[\d+:0\]\s+)?(\w+),?$", re.MULTILINE)

_PROPERTIES = {
    "core": "vendor library name version display_name description supported_families",
    "bus": "abstraction_type_vlnv bus_type_vlnv interface_mode master_address_space_ref slave_memory_map_ref",
    "map": "physical_name",
    "parameter": "value",
    "space": "range width name",
    "memory": "name",
    "block": "range width usage access",
    "register": "description address_offset size access",
    "field": "bit_offset bit_width access",
}


class Packager:
    """Keeps the one core of a session. Objects are named ipx:<kind>:<path>."""

    def __init__(self, vivado: Vivado) -> None:
        self.vivado = vivado
        self.core: Core | None = None

    def command(self, name: str, words: list[str]) -> str:
        """Answer an ipx:: command."""
        method: Callable[[list[str]], str] | None = getattr(self, f"do_{name.removeprefix('ipx::')}", None)
        if method is None:
            raise CommandRefused(f'invalid command name "{name}"')
        return method(words)

    def _the_core(self, handle: str | None = None) -> Core:
        if self.core is None or (handle is not None and handle != "ipx:core:"):
            raise CommandRefused(f"{handle} is no core")
        return self.core

    def do_package_project(self, words: list[str]) -> str:
        options, rest = self.vivado.parse(
            words, flags="import_files", values="root_dir vendor library taxonomy set_current"
        )
        if rest:
            raise CommandRefused(f"unexpected {rest}")
        top = self.vivado.top
        source = next((Path(name) for name in self.vivado.files if Path(name).stem == top), None)
        if source is None:
            raise CommandRefused(f"no file holds the top module {top}")
        text = source.read_text(encoding="utf-8")
        ports = {name: direction for direction, name in _VERILOG_PORT.findall(text)}
        if f"module {top} " not in text or not ports:
            raise CommandRefused(f"{source} holds no module {top} with ports")
        self.core = Core(options["root_dir"], top, ports)
        self.core.properties.update(vendor=options["vendor"], library=options["library"], name=top)
        # What the packager guesses by itself, to be thrown away.
        self.core.interfaces["guess"] = Interface("guess")
        self.core.maps["guess"] = {}
        self.core.spaces["guess"] = {}
        return "ipx:core:"

    def do_current_core(self, words: list[str]) -> str:
        self._the_core()
        return "ipx:core:"

    def do_remove_all_bus_interface(self, words: list[str]) -> str:
        self._the_core(words[0]).interfaces.clear()
        return ""

    def do_get_memory_maps(self, words: list[str]) -> str:
        options, _rest = self.vivado.parse(words, values="of_objects")
        return " ".join(f"ipx:memory:{name}" for name in self._the_core(options["of_objects"]).maps)

    def do_remove_memory_map(self, words: list[str]) -> str:
        del self._the_core(words[1]).maps[words[0]]
        return ""

    def do_get_address_spaces(self, words: list[str]) -> str:
        options, _rest = self.vivado.parse(words, values="of_objects")
        return " ".join(f"ipx:space:{name}" for name in self._the_core(options["of_objects"]).spaces)

    def do_remove_address_space(self, words: list[str]) -> str:
        del self._the_core(words[1]).spaces[words[0]]
        return ""

    def do_add_bus_interface(self, words: list[str]) -> str:
        name, core = words
        if name in self._the_core(core).interfaces:
            raise CommandRefused(f"there is an interface {name} already")
        self._the_core().interfaces[name] = Interface(name)
        return f"ipx:bus:{name}"

    def do_get_bus_interfaces(self, words: list[str]) -> str:
        options, (name,) = self.vivado.parse(words, values="of_objects")
        if name not in self._the_core(options["of_objects"]).interfaces:
            raise CommandRefused(f"no interface {name}")
        return f"ipx:bus:{name}"

    def _interface(self, handle: str) -> Interface:
        return self._the_core().interfaces[handle.removeprefix("ipx:bus:")]

    def do_add_port_map(self, words: list[str]) -> str:
        logical, bus = words
        interface = self._interface(bus)
        if logical not in INTERFACE_SIGNALS.get(interface.type, {}):
            raise CommandRefused(f"{interface.type or 'an interface without a type'} has no signal {logical}")
        return f"ipx:map:{interface.name}/{logical}"

    def do_add_bus_parameter(self, words: list[str]) -> str:
        name, bus = words
        return f"ipx:parameter:{self._interface(bus).name}/{name}"

    def do_add_address_space(self, words: list[str]) -> str:
        self._the_core(words[1]).spaces[words[0]] = {}
        return f"ipx:space:{words[0]}"

    def do_add_memory_map(self, words: list[str]) -> str:
        self._the_core(words[1]).maps[words[0]] = {}
        return f"ipx:memory:{words[0]}"

    def do_add_address_block(self, words: list[str]) -> str:
        name, memory = words
        if memory.removeprefix("ipx:memory:") not in self._the_core().maps:
            raise CommandRefused(f"no memory map {memory}")
        self._the_core().blocks[name] = {}
        return f"ipx:block:{name}"

    def do_add_register(self, words: list[str]) -> str:
        name, block = words
        core = self._the_core()
        if block.removeprefix("ipx:block:") not in core.blocks or name in core.registers:
            raise CommandRefused(f"cannot add register {name} to {block}")
        core.registers[name] = Register()
        return f"ipx:register:{name}"

    def do_add_field(self, words: list[str]) -> str:
        name, register = words
        register = register.removeprefix("ipx:register:")
        self._the_core().registers[register].fields[name] = {}
        return f"ipx:field:{register}/{name}"

    def do_create_xgui_files(self, words: list[str]) -> str:
        self._the_core(words[0])
        return ""

    do_update_checksums = do_create_xgui_files

    def do_check_integrity(self, words: list[str]) -> str:
        """Refuse a core with a port in no interface, or in two."""
        core = self._the_core(words[0])
        mapped = [port for interface in core.interfaces.values() for port in interface.maps.values()]
        if sorted(mapped) != sorted(core.ports):
            raise CommandRefused(f"ports in no or several interfaces: {set(mapped) ^ set(core.ports)}")
        return ""

    def do_save_core(self, words: list[str]) -> str:
        self._the_core(words[0]).saved = True
        return ""

    # -- properties

    def set_property(self, name: str, value: str, handle: str) -> None:
        """Set a property of an ipx object; refuse one that its kind does not have."""
        core = self._the_core()
        _ipx, kind, path = handle.split(":", 2)
        if name not in _PROPERTIES[kind].split():
            raise CommandRefused(f"no property {name} on a {kind}")
        owner, _, item = path.partition("/")
        if kind == "core":
            core.properties[name] = value
        elif kind == "bus":
            core.interfaces[path].properties[name] = value
        elif kind == "map":
            self._map(core.interfaces[owner], item, value)
        elif kind == "parameter":
            core.interfaces[owner].parameters[item] = value
        elif kind == "space":
            core.spaces[path][name] = value
        elif kind == "block":
            core.blocks[path][name] = value
        elif kind == "register":
            core.registers[path].properties[name] = value
        else:
            core.registers[owner].fields[item][name] = value

    def _map(self, interface: Interface, logical: str, port: str) -> None:
        direction = self._the_core().ports.get(port)
        if direction is None:
            raise CommandRefused(f"the top module has no port {port}")
        at_master = INTERFACE_SIGNALS[interface.type][logical]
        wanted = at_master if interface.properties["interface_mode"] == "master" else _OPPOSITE[at_master]
        if direction != wanted:
            raise CommandRefused(
                f"port {port} is an {direction}, but {logical} of {interface.name} is an {wanted}"
            )
        interface.maps[logical] = port

    def get_property(self, name: str, handle: str) -> str:
        """Return the name of an ipx object; other properties are not read by the scripts."""
        if name != "name":
            raise CommandRefused(f"no property {name} on {handle}")
        return handle.split(":", 2)[2]


_OPPOSITE = {"input": "output", "output": "input"}
