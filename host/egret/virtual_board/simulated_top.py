"""The top module that is simulated: the kernel with a register before each input that the memory drives.

The memory of a board drives its signals from registers. With those registers in the model, the values of the
next cycle are set before the clock edge, and all that follows from them is worked out once, with the edge. A
memory that changed the kernel's inputs after the edge would have all logic behind them worked out twice.
"""

from __future__ import annotations

import re
from dataclasses import fields

from egret.errors import EgretError
from egret.kernel import Build

TOP = "egret_board"

NEXT = "next_"
"""Before the name of a port that sets a register: what the kernel's port of that name is after the edge."""

_PORT = re.compile(r"^ +(input|output) +logic (\[[^\]]+\] )?(\w+),?$", re.MULTILINE)


def simulated_top(kernel: str, build: Build) -> str:
    """Return the source of module egret_board around an egret_kernel of these build parameters.

    `kernel` is the source of egret_kernel, as hls/scripts/generate.py makes it. Its ports are repeated, with
    NEXT before the names of inputs of m_axi ports. Raises EgretError if there are none.
    """
    ports = _PORT.findall(kernel)
    registered = {name: width for side, width, name in ports if side == "input" and name.startswith("m_axi_")}
    if not registered:
        raise EgretError("The kernel's top module has no m_axi ports that a memory could drive.")
    port_lines = [
        f"    {side} logic {width}{NEXT if name in registered else ''}{name}" for side, width, name in ports
    ]
    parameters = [
        f"      .{field.name.upper()}({getattr(build, field.name)})"
        for field in fields(build)
        if field.name != "engines"  # the number of ports: egret_kernel is made for it
    ]
    lines = [
        f"module {TOP} #(",
        f"    localparam int unsigned BUS_BYTES = {build.bus_bytes}",
        ") (",
        ",\n".join(port_lines),
        ");",
        *(f"  logic {width}{name};" for name, width in registered.items()),
        "  always_ff @(posedge ap_clk) begin",
        *(f"    {name} <= {NEXT}{name};" for name in registered),
        "  end",
        "  egret_kernel #(",
        ",\n".join(parameters),
        "  ) kernel (.*);",
        "endmodule",
        "",
    ]
    return "\n".join(lines)
