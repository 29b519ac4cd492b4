"""What is simulated: the kernel in a top module that makes it quick to evaluate, and the same in every cycle.

Verilator works out everything behind a signal whenever the signal changes, and looks at all clocks in each of
its evaluations. So the model differs from the RTL as it is written in three ways, none of which changes a
value in any cycle (a test compares the two):

- A register stands before each input. The memory of a board drives its signals from registers anyway. The
  values of the next cycle are set before the clock edge, and all that follows from them is worked out once,
  with the edge.
- Registers take their inputs at every *change* of their clock, not when it rises: a cycle is one evaluation.
- The clocks of units that have nothing to do stand still. What each clock_gate says of its unit comes out of
  the model, and the harness changes the clocks of those units only that run (unit_clocks.hpp, made here).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from egret.errors import EgretError
from egret.profiles import Build

TOP = "egret_board"

NEXT = "next_"
"""Before the name of a port that sets a register: what the kernel's port of that name is after the edge."""

CLOCK_GATE = "clock_gate"
"""The module through which a unit gets its clock."""

_CORE_GATES = ("registers_gate", "loader_gate", "tokens_gate", "queue.count_gate", "counts.events_gate")
_ENGINE_GATES = ("update_gate", "sweep_gate", "writer_gate", "layer_lanes.gate", "decoder_lanes.gate")

_PORT = re.compile(r"^ +(input|output) +logic (\[[^\]]+\] )?(\w+),?$", re.MULTILINE)
_RISING = re.compile(r"@\(posedge (\w+)\)")


@dataclass(frozen=True)
class SimulatedTop:
    """Sources to compile the kernel with."""

    module: str
    """SystemVerilog of module egret_board."""
    unit_clocks: str
    """C++ of unit_clocks.hpp: what changes the clocks of a model between two evaluations."""


def simulated_top(kernel: str, build: Build, clock_gates: bool) -> SimulatedTop:
    """Return the top around an egret_kernel of these build parameters.

    `kernel` is the source of egret_kernel, as hls/tools/generate.py makes it. Its ports are repeated, with
    NEXT before the names of inputs. With `clock_gates` the sources of the kernel must have gone through
    simulated_source(); without, the model runs the RTL as it is written, two evaluations a cycle. Raises
    EgretError if the kernel has no m_axi ports.
    """
    ports = _PORT.findall(kernel)
    registered = {name: width for side, width, name in ports if side == "input" and "_axi_" in name}
    if not any(name.startswith("m_axi_") for name in registered):
        raise EgretError("The kernel's top module has no m_axi ports that a memory could drive.")
    gates = _gates(build.engines) if clock_gates else []
    port_lines = [
        f"    {side} logic {width}{NEXT if name in registered else ''}{name}" for side, width, name in ports
    ]
    for number in range(len(gates)):
        port_lines += [f"    output logic runs_{number}", f"    input logic clock_{number}"]
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
        *(
            f"  assign runs_{number} = {path}.run;\n  assign {path}.gated = clock_{number};"
            for number, path in enumerate(gates)
        ),
        "endmodule",
        "",
    ]
    module = "\n".join(lines)
    return SimulatedTop(simulated_source(module) if clock_gates else module, _unit_clocks(len(gates)))


def simulated_source(source: str) -> str:
    """Return a SystemVerilog source with registers that take their inputs at every change of their clock.

    In module clock_gate the clock that it passes on is left to the top module. Raises EgretError where a
    register waits for an edge in another way than `@(posedge NAME)`.
    """
    source = _RISING.sub(r"@(edge \1)", source)
    if "posedge" in source or "negedge" in source:
        raise EgretError("The kernel's sources wait for clock edges in another way than by @(posedge NAME).")
    if f"module {CLOCK_GATE} " in source:
        source = source.replace("  assign gated = clk;\n", "")
    return source


def _gates(engines: int) -> list[str]:
    """Return the paths of all instances of clock_gate."""
    core = "kernel.core"
    engine_paths = [f"{core}.g_engine[{engine}].engine" for engine in range(engines)]
    return [f"{core}.{gate}" for gate in _CORE_GATES] + [
        f"{path}.{gate}" for path in engine_paths for gate in _ENGINE_GATES
    ]


def _unit_clocks(gates: int) -> str:
    lines = [
        "// Written by simulated_top.py.",
        "#pragma once",
        "template <typename Model>",
        "void change_unit_clocks([[maybe_unused]] Model& model) {",
        *(f"    model.clock_{number} ^= model.runs_{number};" for number in range(gates)),
        "}",
        "",
    ]
    return "\n".join(lines)
