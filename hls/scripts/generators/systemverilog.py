"""hls/rtl/egret_pkg.sv and hls/rtl/gate_tables.sv."""

from __future__ import annotations

import math

from generators.description import NOTE, Description, commented

DIGITS_PER_LINE = 100


def package(description: Description) -> str:
    """Return the package of constants that the RTL imports."""
    data = description.data
    lines = [
        f"// {NOTE}",
        "/* verilator lint_off UNUSEDPARAM */  // no module uses them all",
        "package egret_pkg;",
        "",
    ]

    def section(title: str) -> None:
        lines.append(f"  // -- {title}")

    def constant(declaration: str, about: str = "") -> None:
        lines.extend(commented(f"  localparam {declaration};", about, "//"))

    def unsigned(name: str, value: int, about: str = "") -> None:
        constant(f"int unsigned {name} = {value}", about)

    section("defaults of the build parameters")
    for name, entry in data["build_parameters"].items():
        unsigned(f"DEFAULT_{name}", entry["default"], entry["about"])
    lines.append("")
    section("model image and result buffers")
    constant(f"logic [31:0] IMAGE_MAGIC = 32'h{description.magic:08x}")
    for name, value in description.image_numbers().items():
        unsigned(f"IMAGE_{name}", value)
    lines.append("")
    section("the kernel")
    constant(f"logic [31:0] KERNEL_VERSION = 32'd{data['kernel']['version_number']}")
    lines.append("")
    section("numbers")
    for name, value in description.numbers().items():
        unsigned(name, value)
    lines.append("")
    section("registers: byte offsets")
    for word in description.words():
        constant(f"logic [6:0] REG_{word.name.upper()} = 7'h{word.offset:02x}", word.about)
    lines.append("")
    section("values of the command register")
    for name, value in data["commands"].items():
        constant(f"logic [31:0] COMMAND_{name} = 32'd{value}")
    lines.append("")
    section("bit numbers in the flags register")
    for name, value in data["flags"].items():
        unsigned(f"FLAG_{name}", value.bit_length() - 1)
    lines.append("")
    section("error codes")
    for error in data["errors"]:
        constant(f"logic [7:0] ERROR_{error['name']} = 8'd{error['code']}", error["about"])
    lines.append("")
    section("counters: index of the first 64-bit word in the block")
    for counter in data["counters"]:
        unsigned(f"COUNTER_{counter['name'].upper()}", counter["word"], counter["about"])
    lines += ["", "endpackage", "/* verilator lint_on UNUSEDPARAM */", ""]
    return "\n".join(lines)


def gate_tables(description: Description) -> str:
    """Return the modules of the two gate tables (docs/formats.md, section 1)."""
    numbers = description.data["numbers"]
    index_bits = numbers["gate_input_bits"]
    width = numbers["gate_output_fraction_bits"]
    sigmoid, tanh = gate_table_values(description)
    return _GATE_TABLES.format(
        note=NOTE,
        index_bits=index_bits,
        index_top=index_bits - 1,
        entries=1 << index_bits,
        sigmoid_width=width,
        sigmoid_top=width - 1,
        sigmoid_bits=width << index_bits,
        sigmoid_values=_literal(sigmoid, width),
        tanh_width=width + 1,
        tanh_top=width,
        tanh_bits=(width + 1) << index_bits,
        tanh_values=_literal(tanh, width + 1),
    )


def gate_table_values(description: Description) -> tuple[list[int], list[int]]:
    """Return the sigmoid and the tanh table in the order of the index's two's complement: 0 and up first."""
    numbers = description.data["numbers"]
    one = 1 << numbers["gate_output_fraction_bits"]
    half = 1 << (numbers["gate_input_bits"] - 1)
    unit = 1 << numbers["gate_input_fraction_bits"]
    inputs = [index / unit for index in (*range(half), *range(-half, 0))]
    sigmoid = [_rounded(one / (1.0 + math.exp(-x)), 0, one - 1) for x in inputs]
    tanh = [_rounded(one * math.tanh(x), 1 - one, one - 1) for x in inputs]
    return sigmoid, tanh


def _rounded(value: float, minimum: int, maximum: int) -> int:
    return min(max(math.floor(value + 0.5), minimum), maximum)


def _literal(values: list[int], width: int) -> str:
    """Return a concatenation of hexadecimal literals with value i at bits [width * i +: width]."""
    word = 0
    for position, value in enumerate(values):
        word |= (value & ((1 << width) - 1)) << (width * position)
    digits = f"{word:0{len(values) * width // 4}x}"
    chunks = [digits[start : start + DIGITS_PER_LINE] for start in range(0, len(digits), DIGITS_PER_LINE)]
    return ",\n".join(f"    {4 * len(chunk)}'h{chunk}" for chunk in chunks)


_GATE_TABLES = """\
// {note}
//
// The gate tables of docs/formats.md, section 1, as read-only memories: the value comes one cycle after its
// index, a signed number of {index_bits} bits that serves as the address as it stands (two's complement).

/* verilator lint_off DECLFILENAME */
module sigmoid_table (
    input  logic clk,
    input  logic [{index_top}:0] index_a,
    input  logic [{index_top}:0] index_b,
    output logic [{sigmoid_top}:0] value_a,
    output logic [{sigmoid_top}:0] value_b
);

  // Entry i at bits [{sigmoid_width} * i +: {sigmoid_width}].
  localparam logic [{sigmoid_bits}-1:0] VALUES = {{
{sigmoid_values}
  }};

  (* rom_style = "block" *)
  logic [{sigmoid_top}:0] rom[{entries}];
  initial for (int i = 0; i < {entries}; i++) rom[i] = VALUES[{sigmoid_width}*i+:{sigmoid_width}];

  always_ff @(posedge clk) begin
    value_a <= rom[index_a];
    value_b <= rom[index_b];
  end

endmodule

module tanh_table (
    input  logic clk,
    input  logic [{index_top}:0] index,
    output logic signed [{tanh_top}:0] value
);

  // Entry i at bits [{tanh_width} * i +: {tanh_width}].
  localparam logic [{tanh_bits}-1:0] VALUES = {{
{tanh_values}
  }};

  (* rom_style = "block" *)
  logic [{tanh_top}:0] rom[{entries}];
  initial for (int i = 0; i < {entries}; i++) rom[i] = VALUES[{tanh_width}*i+:{tanh_width}];

  always_ff @(posedge clk) value <= rom[index];

endmodule
/* verilator lint_on DECLFILENAME */
"""
