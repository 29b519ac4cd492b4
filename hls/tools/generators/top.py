"""egret_kernel.sv: the top module with the flat, upper-case ports that Vitis HLS gives a kernel.

The number of m_axi bundles is part of a module's port list, so there is a top per number of engines; it only
renames and slices the ports of egret_core.
"""

from __future__ import annotations

from .description import NOTE, Description

CONTROL_PORTS = [  # direction, width, name
    ("input", 7, "AWADDR"),
    ("input", 1, "AWVALID"),
    ("output", 1, "AWREADY"),
    ("input", 32, "WDATA"),
    ("input", 4, "WSTRB"),
    ("input", 1, "WVALID"),
    ("output", 1, "WREADY"),
    ("output", 2, "BRESP"),
    ("output", 1, "BVALID"),
    ("input", 1, "BREADY"),
    ("input", 7, "ARADDR"),
    ("input", 1, "ARVALID"),
    ("output", 1, "ARREADY"),
    ("output", 32, "RDATA"),
    ("output", 2, "RRESP"),
    ("output", 1, "RVALID"),
    ("input", 1, "RREADY"),
]

MASTER_PORTS: list[tuple[str, int | str, str]] = [
    ("output", 1, "ARVALID"),
    ("input", 1, "ARREADY"),
    ("output", 64, "ARADDR"),
    ("output", 8, "ARLEN"),
    ("input", 1, "RVALID"),
    ("output", 1, "RREADY"),
    ("input", "8*BUS_BYTES", "RDATA"),
    ("input", 2, "RRESP"),
    ("input", 1, "RLAST"),
    ("output", 1, "AWVALID"),
    ("input", 1, "AWREADY"),
    ("output", 64, "AWADDR"),
    ("output", 8, "AWLEN"),
    ("output", 1, "WVALID"),
    ("input", 1, "WREADY"),
    ("output", "8*BUS_BYTES", "WDATA"),
    ("output", "BUS_BYTES", "WSTRB"),
    ("output", 1, "WLAST"),
    ("input", 1, "BVALID"),
    ("output", 1, "BREADY"),
    ("input", 2, "BRESP"),
]
"""The ports that egret_core has an array of."""

CONSTANT_PORTS = [  # width, name (AR and AW), value: one identifier, incrementing, modifiable and bufferable
    (1, "ID", "1'b0"),
    (3, "SIZE", "3'($clog2(BUS_BYTES))"),
    (2, "BURST", "2'b01"),
    (2, "LOCK", "2'b00"),
    (4, "CACHE", "4'b0011"),
    (3, "PROT", "3'b000"),
    (4, "QOS", "4'b0000"),
    (4, "REGION", "4'b0000"),
]

IGNORED_PORTS = [("input", 1, "RID"), ("input", 1, "BID")]


def top(description: Description, engines: int) -> str:
    """Return the source of module egret_kernel for a kernel of `engines` engines."""
    parameters = description.data["build_parameters"]
    limits = parameters["ENGINES"]
    if not limits["minimum"] <= engines <= limits["maximum"]:
        raise SystemExit(f"A kernel has {limits['minimum']} to {limits['maximum']} engines, not {engines}.")

    ports = [("input", 1, "ap_clk"), ("input", 1, "ap_rst_n"), ("output", 1, "interrupt")]
    ports += [(direction, width, f"s_axi_control_{name}") for direction, width, name in CONTROL_PORTS]
    port_lines = [_port(*port) for port in ports]
    for engine in range(engines):
        master = [*MASTER_PORTS, *IGNORED_PORTS]
        for channel in ("AR", "AW"):
            master += [("output", width, f"{channel}{name}") for width, name, _ in CONSTANT_PORTS]
        port_lines += [_port(side, width, f"m_axi_gmem{engine}_{name}") for side, width, name in master]

    names = [name for name in parameters if name != "ENGINES"]
    lines = [
        f"// {NOTE}",
        "//",
        f"// The kernel with an m_axi port for each engine ({engines}), named as Vitis HLS names them;",
        "// docs/formats.md, section 5, says what it does.",
        "module egret_kernel #(",
        ",\n".join(f"    parameter int unsigned {name} = egret_pkg::DEFAULT_{name}" for name in names),
        ") (",
        ",\n".join(port_lines),
        ");",
        "",
        "  egret_core #(",
        f"      .ENGINES({engines}),",
        ",\n".join(f"      .{name}({name})" for name in names),
        "  ) core (",
        *(f"      .{name}({name})," for name in ("ap_clk", "ap_rst_n", "interrupt")),
        *(f"      .s_axi_control_{name.lower()}(s_axi_control_{name})," for _, _, name in CONTROL_PORTS),
        ",\n".join(f"      .m_axi_{name.lower()}({_slices(name, engines)})" for _, _, name in MASTER_PORTS),
        "  );",
        "",
    ]
    for engine in range(engines):
        for channel in ("AR", "AW"):
            lines += [
                f"  assign m_axi_gmem{engine}_{channel}{name} = {value};" for _, name, value in CONSTANT_PORTS
            ]
    unused = [f"m_axi_gmem{engine}_{name}" for engine in range(engines) for _, _, name in IGNORED_PORTS]
    lines += [
        "",
        "  // With one identifier for all, responses come in order and what they are named says nothing.",
        f"  wire _unused_identifiers = &{{1'b0, {', '.join(unused)}}};",
        "",
        "endmodule",
        "",
    ]
    return "\n".join(lines)


def _port(direction: str, width: int | str, name: str) -> str:
    span = "" if width == 1 else f"[{width - 1 if isinstance(width, int) else f'{width}-1'}:0] "
    return f"    {direction:6} logic {span}{name}"


def _slices(name: str, engines: int) -> str:
    """Return the concatenation of a port over the engines, engine 0 in the lowest slice."""
    return "{" + ", ".join(f"m_axi_gmem{engine}_{name}" for engine in reversed(range(engines))) + "}"
