"""docs/registers.md and docs/image.md: what hls/kernel.json says, for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from generators import hwh
from generators.description import NOTE, Description

KINDS = {
    "control": "control",
    "input": "argument, read and write",
    "output": "result, read only",
    "valid": "handshake, read only",
}
"""What each kind of register is, as Vitis HLS has them."""


def registers_page(description: Description) -> str:
    """Return the page of registers, commands, error codes and counters."""
    data = description.data
    return _page(
        "Registers, commands, counters",
        [
            "The kernel's AXI4-Lite port, laid out as Vitis HLS lays out `ap_ctrl_hs` with `s_axilite`: the",
            "same for `hls/src` and `hls/rtl`. What commands do is in [formats.md](formats.md), section 5.",
            "",
            "## Registers",
            "",
            "All registers are 32 bits; a 64-bit argument is two, low word first. Drivers see these names.",
            "",
            *_table(
                ("offset", "name", "kind", "what"),
                (
                    (f"0x{word.offset:02x}", f"`{word.name}`", KINDS[word.kind], word.about)
                    for word in description.words()
                ),
            ),
            "",
            "Fields of the control registers:",
            "",
            *_table(
                ("register", "field", "bit", "access"),
                (
                    (f"`{register}`", f"`{name}`", str(bit), access)
                    for register, fields in hwh.FIELDS.items()
                    for name, bit, access in fields
                ),
            ),
            "",
            "## Commands and flags",
            "",
            *_table(
                ("`command`", "name"),
                ((str(value), f"`{name}`") for name, value in data["commands"].items()),
            ),
            "",
            *_table(
                ("bit of `flags`", "name"),
                ((str(value.bit_length() - 1), f"`{name}`") for name, value in data["flags"].items()),
            ),
            "",
            "## Error codes",
            "",
            "In bits 7:0 of `status`, and in the counters block:",
            "",
            *_table(
                ("code", "name", "meaning"),
                ((str(error["code"]), f"`{error['name']}`", error["about"]) for error in data["errors"]),
            ),
            "",
            "## Counters block",
            "",
            f"{data['image']['counters_bytes']} bytes at the address in `counters`: 64-bit words, little",
            "endian; words that are not listed are zero.",
            "",
            *_table(
                ("word", "name", "what"),
                ((_words(counter), f"`{counter['name']}`", counter["about"]) for counter in data["counters"]),
            ),
            "",
            "## Addresses in the block designs",
            "",
            *_table(
                ("board", "kernel", "interrupt controller", "through"),
                (
                    (
                        f"`{board}`",
                        f"0x{_system(profile).kernel_base:08X}",
                        f"0x{_system(profile).controller_base:08X}",
                        f"`{_system(profile).master}`",
                    )
                    for board, profile in data["boards"].items()
                ),
            ),
        ],
    )


def image_page(description: Description) -> str:
    """Return the page of the model image's numbers, its beats for each board, and what fits a board."""
    data = description.data
    image = data["image"]
    lines = [
        "The sections of an image, and what each of their bytes is, are in [formats.md](formats.md), section",
        "4; this page has the numbers, and what they come to on each board.",
        "",
        "## Constants",
        "",
        *_table(
            ("what", "value"),
            (
                ("magic, word 0", f"`{image['magic']}` (`{_text(description.magic)}`)"),
                ("format version, word 1", str(image["format_version"])),
                ("header", f"{image['header_bytes']} bytes"),
                ("every section and buffer starts on a multiple of", f"{image['alignment']} bytes"),
                ("layers", f"1 to {image['max_layers']}"),
                ("engines", f"1 to {image['max_engines']}"),
                ("result record, per token", f"{image['result_bytes']} bytes"),
                ("counters block", f"{image['counters_bytes']} bytes"),
            ),
        ),
        "",
        "## Build parameters",
        "",
        "An image is packed for a kernel with the same ENGINES, LANES, BUS_BYTES, WEIGHT_BITS, GAP_BITS and",
        "ACCUMULATOR_BITS; its header names them and the kernel refuses another. The depths are limits.",
        "",
        *_table(
            ("parameter", "default", "range", *(f"`{board}`" for board in data["boards"]), "what"),
            (
                (
                    f"`{name}`",
                    str(entry["default"]),
                    f"{entry['minimum']} to {entry['maximum']}",
                    *(str(description.board_build(board)[name]) for board in data["boards"]),
                    entry["about"],
                )
                for name, entry in data["build_parameters"].items()
            ),
        ),
        "",
        "## A beat of a column",
        "",
        "An entry is a signed weight and the gap to the lane's next row; a beat holds one entry per lane.",
    ]
    for board in data["boards"]:
        lines += ["", f"`{board}`:", "", *_beat(description.board_build(board))]
    lines += [
        "",
        "## What fits",
        "",
        "The largest model of each build, by the limit that decides. Layers and vocabulary are padded",
        "to whole groups of ENGINES * LANES, which comes off these.",
        "",
        *_table(
            ("", *(f"`{board}`" for board in data["boards"])),
            (
                (what, *(f"{_limits(description.board_build(board))[index]:,}" for board in data["boards"]))
                for index, what in enumerate(
                    (
                        "neurons, all layers (NEURON_DEPTH)",
                        "neurons of layers 0, 2, 4, 6 together, and of 1, 3, 5, 7 (ACCUMULATOR_DEPTH)",
                        "words (LOGIT_DEPTH)",
                        "columns of all matrices, and one more for each matrix (POINTER_DEPTH)",
                    )
                )
            ),
        ),
    ]
    return _page("The model image in numbers", lines)


def _page(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"# {title}", "", f"<!-- {NOTE} -->", "", *lines, ""])


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return lines + [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


def _words(counter: dict[str, Any]) -> str:
    first, count = counter["word"], counter.get("count", 1)
    return str(first) if count == 1 else f"{first} to {first + count - 1}"


def _system(profile: dict[str, Any]) -> hwh.ProcessingSystem:
    return hwh.ZYNQ if profile["part"].startswith("xc7z") else hwh.ZYNQ_ULTRASCALE


def _text(magic: int) -> str:
    return magic.to_bytes(4, "little").decode("ascii")


def _beat(build: dict[str, int]) -> list[str]:
    """Return the table of a beat's bits."""
    entry_bits = build["WEIGHT_BITS"] + build["GAP_BITS"]
    rows = []
    for lane in range(build["LANES"]):
        low = lane * entry_bits
        middle = low + build["WEIGHT_BITS"]
        rows.append((str(lane), f"{middle - 1}:{low}", f"{low + entry_bits - 1}:{middle}"))
    used, all_bits = build["LANES"] * entry_bits, 8 * build["BUS_BYTES"]
    unused = f"Bits {all_bits - 1}:{used} are zero." if used < all_bits else "No bit is unused."
    return [*_table(("lane", "weight", "gap"), rows), "", unused]


def _limits(build: dict[str, int]) -> tuple[int, int, int, int]:
    slots = build["ENGINES"] * build["LANES"]
    return (
        build["ENGINES"] * build["NEURON_DEPTH"],
        build["ACCUMULATOR_DEPTH"] // 4 * slots,
        build["LOGIT_DEPTH"] * slots,
        build["POINTER_DEPTH"],
    )
