"""hls/rtl/egret_pkg.sv and hls/rtl/gate_tables.sv."""

from __future__ import annotations

import math

from .description import NOTE, Description, commented

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
    section("memory ports")
    unsigned("AXI_WRITES_IN_FLIGHT", data["axi"]["writes_in_flight"], "bursts without a response, per port")
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
    stored = width - 1
    half = 1 << stored
    # What is not stored: a sigmoid's highest bit, and the sign and the bit below it of a tanh.
    negative = len(tanh) // 2
    tanh_bits = [bool(value & half) for value in tanh]
    rises = [tanh_bits.index(True), tanh_bits.index(True, negative)]
    expected = [rises[0] <= index < negative or index >= rises[1] for index in range(len(tanh))]
    assert tanh_bits == expected and all((value < 0) == (i >= negative) for i, value in enumerate(tanh))
    assert all((value >= half) == (i < negative) for i, value in enumerate(sigmoid))
    return _GATE_TABLES.format(
        note=NOTE,
        index_bits=index_bits,
        index_top=index_bits - 1,
        entries=1 << index_bits,
        sigmoid_top=width - 1,
        tanh_top=width,
        stored=stored,
        stored_top=stored - 1,
        bits=stored << index_bits,
        sigmoid_values=_literal(sigmoid, stored),
        tanh_values=_literal(tanh, stored),
        upper_from=rises[0],
        upper_from_negative=rises[1],
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
//
// A block RAM of {entries} entries has {stored} bits. What a value has above them follows from its index,
// since both functions rise: a sigmoid is at least a half from index 0 on, and the sign of a tanh is that of
// its index.

/* verilator lint_off DECLFILENAME */
module sigmoid_table (
    input  logic clk,
    input  logic [{index_top}:0] index_a,
    input  logic [{index_top}:0] index_b,
    output logic [{sigmoid_top}:0] value_a,
    output logic [{sigmoid_top}:0] value_b
);

  // The low bits of entry i at bits [{stored} * i +: {stored}].
  localparam logic [{bits}-1:0] VALUES = {{
{sigmoid_values}
  }};

  (* rom_style = "block" *)
  logic [{stored_top}:0] rom[{entries}];
  initial for (int i = 0; i < {entries}; i++) rom[i] = VALUES[{stored}*i+:{stored}];

  logic [{stored_top}:0] low_a, low_b;
  logic high_a, high_b;
  always_ff @(posedge clk) begin
    low_a  <= rom[index_a];
    low_b  <= rom[index_b];
    high_a <= !index_a[{index_top}];
    high_b <= !index_b[{index_top}];
  end
  assign value_a = {{high_a, low_a}};
  assign value_b = {{high_b, low_b}};

endmodule

module tanh_table (
    input  logic clk,
    input  logic [{index_top}:0] index,
    output logic signed [{tanh_top}:0] value
);

  // The low bits of entry i at bits [{stored} * i +: {stored}].
  localparam logic [{bits}-1:0] VALUES = {{
{tanh_values}
  }};
  // From these indices on, of those that are not negative and of those that are, the bit above is set.
  localparam logic [{index_top}:0] UPPER_FROM          = {index_bits}'d{upper_from};
  localparam logic [{index_top}:0] UPPER_FROM_NEGATIVE = {index_bits}'d{upper_from_negative};

  (* rom_style = "block" *)
  logic [{stored_top}:0] rom[{entries}];
  initial for (int i = 0; i < {entries}; i++) rom[i] = VALUES[{stored}*i+:{stored}];

  logic [{stored_top}:0] low;
  logic sign, upper;
  always_ff @(posedge clk) begin
    low   <= rom[index];
    sign  <= index[{index_top}];
    upper <= index >= (index[{index_top}] ? UPPER_FROM_NEGATIVE : UPPER_FROM);
  end
  assign value = $signed({{sign, upper, low}});

endmodule
/* verilator lint_on DECLFILENAME */
"""
