"""hls/src/egret_kernel_config.hpp and hls/src/gate_tables.hpp."""

from __future__ import annotations

import textwrap

from .description import LINE_LENGTH, NOTE, Description, commented
from .systemverilog import gate_table_values


def header(description: Description) -> str:
    """Return the C++ header of constants for the HLS kernel."""
    data = description.data
    lines = [f"// {NOTE}", "#pragma once", "", "#include <cstdint>", "", *_build_macros(description)]
    lines += ["", "namespace egret {"]

    def section(title: str) -> None:
        lines.extend(["", f"// -- {title}"])

    def constant(declaration: str, about: str = "") -> None:
        lines.extend(commented(f"constexpr {declaration};", about, "//"))

    section("defaults of the build parameters")
    for name, entry in data["build_parameters"].items():
        constant(f"unsigned DEFAULT_{name} = {entry['default']}", entry["about"])
    section("build parameters")
    for name in data["build_parameters"]:
        constant(f"unsigned {name} = EGRET_{name}")
    for name, entry in data["build_parameters"].items():
        low, high = entry["minimum"], entry["maximum"]
        # that an unsigned number is at least 0 is nothing to check: compilers warn of it
        least = f"{name} >= {low} && " if low else ""
        lines.append(f'static_assert({least}{name} <= {high}, "{name} must be {low} to {high}");')
    section("model image and result buffers")
    constant(f"std::uint32_t IMAGE_MAGIC = 0x{description.magic:08x}")
    for name, value in description.image_numbers().items():
        constant(f"unsigned IMAGE_{name} = {value}")
    section("the kernel")
    constant(f"std::uint32_t KERNEL_VERSION = {data['kernel']['version_number']}")
    section("numbers")
    for name, value in description.numbers().items():
        constant(f"unsigned {name} = {value}")
    section("registers: byte offsets")
    for word in description.words():
        constant(f"unsigned REG_{word.name.upper()} = 0x{word.offset:02x}", word.about)
    section("values of the command register")
    for name, value in data["commands"].items():
        constant(f"std::uint32_t COMMAND_{name} = {value}")
    section("bit numbers in the flags register")
    for name, value in data["flags"].items():
        constant(f"unsigned FLAG_{name} = {value.bit_length() - 1}")
    section("error codes")
    for error in data["errors"]:
        constant(f"std::uint8_t ERROR_{error['name']} = {error['code']}", error["about"])
    section("counters: index of the first 64-bit word in the block")
    for counter in data["counters"]:
        constant(f"unsigned COUNTER_{counter['name'].upper()} = {counter['word']}", counter["about"])
    lines += ["", "}  // namespace egret", ""]
    return "\n".join(lines)


def _build_macros(description: Description) -> list[str]:
    """Return the build parameters as macros: what -D sets, else the board's, else the default."""
    lines = ["// -- build parameters: EGRET_BOARD_NAME chooses a board's, EGRET_PARAMETER one of them"]
    boards = description.data["boards"]
    keyword = "#if"
    for board in boards:
        lines.append(f"{keyword} defined(EGRET_BOARD_{board.upper().replace('-', '_')})")
        for name, value in boards[board]["build"].items():
            lines += [f"#ifndef EGRET_{name}", f"#define EGRET_{name} {value}", "#endif"]
        keyword = "#elif"
    lines.append("#endif")
    for name, entry in description.data["build_parameters"].items():
        lines += [f"#ifndef EGRET_{name}", f"#define EGRET_{name} {entry['default']}", "#endif"]
    # (A macro, since pragmas take it.)
    lines.append(f"#define EGRET_WRITES_IN_FLIGHT {description.data['axi']['writes_in_flight']}")
    return lines


def gate_tables(description: Description) -> str:
    """Return the header with the two gate tables (docs/formats.md, section 1)."""
    sigmoid, tanh = gate_table_values(description)
    lines = [
        f"// {NOTE}",
        "//",
        "// The gate tables of docs/formats.md, section 1, in address order: a gate input's two's complement",
        "// is its address, so entries 0 and up come first, those of negative inputs after them.",
        "#pragma once",
        "",
        '#include "kernel_types.hpp"',
        "",
        "namespace egret {",
    ]
    for name, kind, values in (
        ("SIGMOID", "gate_entry_t", sigmoid),
        ("TANH", "candidate_entry_t", tanh),
    ):
        text = textwrap.wrap(", ".join(map(str, values)), LINE_LENGTH - 4)
        lines += ["", f"constexpr unsigned {name}_ENTRIES = {len(values)};"]
        lines.append(f"static const {kind} {name}[{name}_ENTRIES] = {{")
        lines += [f"    {line}" for line in text]
        lines.append("};")
    lines += ["", "}  // namespace egret", ""]
    return "\n".join(lines)
