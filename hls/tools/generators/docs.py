"""docs/registers.md and docs/image.md: what hls/kernel.json says, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from . import hwh
from .description import NOTE, Description

KINDS = {
    "control": "control",
    "input": "argument, read and write",
    "output": "result, read only",
    "valid": "handshake, read only",
}
"""What each kind of register is, as Vitis HLS has them."""

WIDTHS, SPARSITY = (512, 1020, 2040), 0.85
"""Of the networks for which the page says how many words a board's memory holds."""


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
        "An image is packed for a kernel with the same ENGINES, LANES, BUS_BYTES, WEIGHT_BITS, GAP_BITS,",
        "DECODER_LANES, DECODER_WEIGHT_BITS, DECODER_GAP_BITS and ACCUMULATOR_BITS; its header names them",
        "and the kernel refuses another. The depths are limits.",
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
        "Columns of the layers and of the decoder have entries, and numbers of lanes, of their own.",
    ]
    for board in data["boards"]:
        build = description.board_build(board)
        lines += ["", f"`{board}`, layers:", "", *_beat(build, "")]
        lines += ["", f"`{board}`, decoder:", "", *_beat(build, "DECODER_")]
    lines += [
        "",
        "## What fits",
        "",
        "All of these hold at once; a name in parentheses is the build parameter that sets the limit. Where",
        "it is said, a layer counts as its neurons rounded up to a multiple of ENGINES * LANES.",
        "",
        *_table(("most", *(f"`{board}`" for board in data["boards"])), _limits(description)),
        "",
        "The folded table is most of an image: for each word and neuron of layer 0, 6 bytes, in whole beats.",
        "Beside it there are the columns, one beat for each weight of a lane that is not zero, and",
        "the buffers of a run.",
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


def _beat(build: dict[str, int], of: str) -> list[str]:
    """Return the table of a beat's bits; `of` begins the names of the parameters."""
    weight_bits, lanes = build[f"{of}WEIGHT_BITS"], build[f"{of}LANES"]
    entry_bits = weight_bits + build[f"{of}GAP_BITS"]
    rows = []
    for lane in range(lanes):
        low = lane * entry_bits
        middle, end = low + weight_bits, low + entry_bits
        rows.append((str(lane), f"{middle - 1}:{low}", f"{end - 1}:{middle}" if end > middle else "none"))
    used, all_bits = lanes * entry_bits, 8 * build["BUS_BYTES"]
    unused = f"Bits {all_bits - 1}:{used} are zero." if used < all_bits else "No bit is unused."
    return [*_table(("lane", "weight", "gap"), rows), "", unused]


def _limits(description: Description) -> Iterator[tuple[str, ...]]:
    """Yield a row for each limit: what it counts, and the most that fit each board."""
    from egret.image.limits import most_words, size_limits
    from egret.profiles import BOARDS

    boards = [BOARDS[name] for name in description.data["boards"]]
    for limits in zip(*(size_limits([1, 1], 1, board.build) for board in boards), strict=True):
        # The rounding differs from board to board, and its rule is said above the table.
        what, _, rounded = limits[0].what.partition(", each")
        about = f"{what}{', each rounded up' if rounded else ''} ({limits[0].parameter})"
        yield about, *(f"{limit.most:,}" for limit in limits)
    for neurons in WIDTHS:
        words = (most_words([neurons, neurons], board, SPARSITY) for board in boards)
        yield (
            f"words of two layers of {neurons:,} neurons, {SPARSITY:.0%} zeros (memory)",
            *(f"{count:,}" for count in words),
        )
