"""host/egret/contract.py."""

from __future__ import annotations

from typing import Any

from .description import LINE_LENGTH, NOTE, Description, commented


def module(description: Description) -> str:
    """Return the Python module of the kernel's constants."""
    data = description.data
    kernel = data["kernel"]
    lines = [
        f'"""The kernel\'s constants, build parameters and boards: data alone.\n\n{NOTE}\n"""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Any",
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
        *_build(description),
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


def _build(description: Description) -> list[str]:
    return [
        "BUILD_PARAMETERS: dict[str, tuple[int, int, int]] = {",
        *(
            f'    "{name.lower()}": ({entry["default"]}, {entry["minimum"]}, {entry["maximum"]}),'
            for name, entry in description.data["build_parameters"].items()
        ),
        "}",
        '"""Default, smallest and largest value of each build parameter."""',
        "",
    ]


def _boards(description: Description) -> str:
    lines = ["BOARD_PROFILES: dict[str, dict[str, Any]] = {"]
    for name, board in description.data["boards"].items():
        memory = board["memory"]
        lines += [
            f'    "{name}": {{',
            f'        "about": "{board["about"]}",',
            f'        "part": "{board["part"]}",',
            f'        "clock_source": "{board["clock"]["source"]}",',
            f'        "clock_source_mhz": {float(board["clock"]["source_mhz"])},',
            f'        "clock_mhz": {description.clock_mhz(name)},',
            f'        "first_port": {board["first_port"]},',
            '        "build": {',
            *(
                f'            "{key.lower()}": {value},'
                for key, value in description.board_build(name).items()
            ),
            "        },",
            '        "memory": {',
            *(f'            "{key}": {value},' for key, value in memory.items()),
            "        },",
            "    },",
        ]
    lines += ["}", '"""What egret.profiles makes the boards of, by name."""', ""]
    return "\n".join(lines)
