"""host/egret/kernel.py."""

from __future__ import annotations

import textwrap
from typing import Any

from .description import LINE_LENGTH, NOTE, Description, commented


def module(description: Description) -> str:
    """Return the Python module of the kernel's constants."""
    data = description.data
    kernel = data["kernel"]
    lines = [
        f'"""The kernel\'s constants, build parameters and boards.\n\n{NOTE}\n"""',
        "",
        "from __future__ import annotations",
        "",
        "from dataclasses import dataclass",
        "",
        "from egret.errors import EgretError",
        "",
        f'KERNEL_NAME = "{kernel["name"]}"',
        f'KERNEL_VENDOR = "{kernel["vendor"]}"',
        f'KERNEL_LIBRARY = "{kernel["library"]}"',
        f"KERNEL_VERSION = {kernel['version_number']}",
        f'VLNV = "{description.vlnv}"',
        "",
        "# Model image and result buffers",
        f"MAGIC = 0x{description.magic:08X}",
        *(f"{name} = {value}" for name, value in description.image_numbers().items()),
        "",
        "# Numbers",
        *(f"{name.upper()} = {value}" for name, value in data["numbers"].items()),
        "",
        "REGISTERS: dict[str, tuple[int, int, str]] = {",
        *(line for register in data["registers"] for line in _register(register)),
        "}",
        '"""Byte offset, bits and kind (control, input, output, valid) of each register."""',
        "",
        *(f"COMMAND_{name} = {value}" for name, value in data["commands"].items()),
        "",
        *(f"FLAG_{name} = 0x{value:X}" for name, value in data["flags"].items()),
        "",
        *(f"ERROR_{error['name']} = {error['code']}" for error in data["errors"]),
        "",
        "ERRORS: dict[int, tuple[str, str]] = {",
        *(_error(error) for error in data["errors"]),
        "}",
        '"""Name and meaning of each error code."""',
        "",
        "COUNTERS: dict[str, tuple[int, int]] = {",
        *(line for counter in data["counters"] for line in _counter(counter)),
        "}",
        '"""First 64-bit word in the counters block, and number of words, of each counter."""',
        "",
        _build(description),
        _BOARD_CLASSES,
        _boards(description),
    ]
    return "\n".join(lines)


def _error(error: dict[str, Any]) -> str:
    line = f'    {error["code"]}: ("{error["name"]}", "{error["about"]}"),'
    if len(line) <= LINE_LENGTH:
        return line
    return f'    {error["code"]}: (\n        "{error["name"]}",\n        "{error["about"]}",\n    ),'


def _register(register: dict[str, Any]) -> list[str]:
    offset, bits, kind = int(register["offset"], 16), register.get("bits", 32), register["kind"]
    return commented(f'    "{register["name"]}": (0x{offset:02X}, {bits}, "{kind}"),', register["about"], "#")


def _counter(counter: dict[str, Any]) -> list[str]:
    word, count = counter["word"], counter.get("count", 1)
    return commented(f'    "{counter["name"]}": ({word}, {count}),', counter["about"], "#")


def _build(description: Description) -> str:
    parameters = description.data["build_parameters"]
    lines = [
        "BUILD_LIMITS: dict[str, tuple[int, int]] = {",
        *(
            f'    "{name.lower()}": ({entry["minimum"]}, {entry["maximum"]}),'
            for name, entry in parameters.items()
        ),
        "}",
        '"""Smallest and largest value of each build parameter."""',
        "",
        "",
        "@dataclass(frozen=True)",
        "class Build:",
        '    """Build parameters of a kernel. Raises EgretError for a combination that no kernel has."""',
        "",
    ]
    for name, entry in parameters.items():
        about = entry["about"][0].upper() + entry["about"][1:]
        lines += [f"    {name.lower()}: int = {entry['default']}", *_docstring(about), ""]
    lines.append(_BUILD_METHODS)
    return "\n".join(lines)


def _docstring(about: str) -> list[str]:
    """Return a field's docstring: one line, or the text wrapped between its quotes."""
    line = f'    """{about}."""'
    if len(line) <= LINE_LENGTH:
        return [line]
    wrapped = textwrap.wrap(f'"""{about}.', LINE_LENGTH, initial_indent="    ", subsequent_indent="    ")
    return [*wrapped, '    """']


def _boards(description: Description) -> str:
    lines = ["BOARDS: dict[str, Board] = {"]
    for name, board in description.data["boards"].items():
        memory = board["memory"]
        lines += [
            f'    "{name}": Board(',
            f'        name="{name}",',
            f'        about="{board["about"]}",',
            f'        part="{board["part"]}",',
            f'        clock_source="{board["clock"]["source"]}",',
            f"        clock_source_mhz={float(board['clock']['source_mhz'])},",
            f"        clock_mhz={description.clock_mhz(name)},",
            f"        first_port={board['first_port']},",
            "        build=Build(",
            *(f"            {key.lower()}={value}," for key, value in description.board_build(name).items()),
            "        ),",
            "        memory=Memory(",
            *(f"            {key}={value}," for key, value in memory.items()),
            "        ),",
            "    ),",
        ]
    lines += ["}", '"""The boards that Egret knows, by name."""', ""]
    return "\n".join(lines)


_BUILD_METHODS = '''\
    def __post_init__(self) -> None:
        for name, (minimum, maximum) in BUILD_LIMITS.items():
            value = getattr(self, name)
            if not minimum <= value <= maximum:
                raise EgretError(f"{name} is {value}, but a kernel takes {minimum} to {maximum}.")
        if self.bus_bytes not in (8, 16):
            raise EgretError(f"bus_bytes is {self.bus_bytes}, but a kernel takes 8 or 16.")
        entries = 8 * self.bus_bytes // (self.weight_bits + self.gap_bits)
        if self.lanes > entries:
            raise EgretError(
                f"lanes is {self.lanes}, but a beat of {self.bus_bytes} bytes holds {entries} entries of "
                f"{self.weight_bits} + {self.gap_bits} bits."
            )
        entries = 8 * self.bus_bytes // (self.decoder_weight_bits + self.decoder_gap_bits)
        if self.decoder_lanes > entries:
            raise EgretError(
                f"decoder_lanes is {self.decoder_lanes}, but a beat of {self.bus_bytes} bytes holds "
                f"{entries} decoder entries of {self.decoder_weight_bits} + {self.decoder_gap_bits} bits."
            )
        if self.max_burst_beats * self.bus_bytes > 4096:
            raise EgretError(
                f"max_burst_beats is {self.max_burst_beats}, but a burst may not exceed 4096 bytes, "
                f"{4096 // self.bus_bytes} beats of {self.bus_bytes} bytes."
            )

    @property
    def slots(self) -> int:
        """Lanes of all engines together."""
        return self.engines * self.lanes

    @property
    def decoder_slots(self) -> int:
        """Decoder lanes of all engines together."""
        return self.engines * self.decoder_lanes

'''

_BOARD_CLASSES = '''\
@dataclass(frozen=True)
class Memory:
    """A board's DDR as the kernel's ports see it."""

    latency_cycles: int
    """Fabric cycles from a read's address to its first data beat, unloaded."""

    peak_bytes_per_second: int
    """What the DDR's pins carry at most: rate times width."""

    efficiency: float
    """Share of the peak that reads of columns all over the memory get."""

    burst_beats: int
    """Longest burst a port takes."""

    reads_in_flight: int
    """Bursts a port accepts before the first of them is complete."""

    bytes: int
    """Contiguous memory that buffers can be allocated from."""

    @property
    def bandwidth_bytes_per_second(self) -> int:
        """What all ports together get of the peak."""
        return round(self.peak_bytes_per_second * self.efficiency)


@dataclass(frozen=True)
class Board:
    """A board: its part, the kernel's clock and build, and its memory."""

    name: str
    about: str
    part: str
    clock_source: str
    """PLL of the processing system that the fabric clock comes from, as Vivado calls it."""

    clock_source_mhz: float
    clock_mhz: float
    """The PLL's rate by an integer: the processing system has nothing else to make a clock with."""

    first_port: int
    """HP port of the processing system that engine 0 uses; the others take the next ones."""

    build: Build
    memory: Memory

    @property
    def bytes_per_cycle(self) -> float:
        """DDR bytes per fabric cycle, of all ports together."""
        return self.memory.bandwidth_bytes_per_second / (self.clock_mhz * 1_000_000)

'''
