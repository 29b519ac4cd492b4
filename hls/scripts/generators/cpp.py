"""hls/src/egret_kernel_config.hpp."""

from __future__ import annotations

from generators.description import NOTE, Description, commented


def header(description: Description) -> str:
    """Return the C++ header of constants for the HLS kernel."""
    data = description.data
    lines = [f"// {NOTE}", "#pragma once", "", "#include <cstdint>", "", "namespace egret {"]

    def section(title: str) -> None:
        lines.extend(["", f"// -- {title}"])

    def constant(declaration: str, about: str = "") -> None:
        lines.extend(commented(f"constexpr {declaration};", about, "//"))

    section("defaults of the build parameters")
    for name, entry in data["build_parameters"].items():
        constant(f"unsigned DEFAULT_{name} = {entry['default']}", entry["about"])
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
