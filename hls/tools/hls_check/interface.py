"""Holds the top function's interface pragmas against hls/kernel.json."""

from __future__ import annotations

from typing import Any

from hls.tools.hls_check.pragmas import Report, Unit, parameters, parsed_pragmas

_TYPES = {32: ("std :: uint32_t", "ap_uint < 32 >"), 64: ("std :: uint64_t", "ap_uint < 64 >")}


def check(unit: Unit, description: dict[str, Any], engines: int, report: Report) -> bool:
    """Report where ports and registers differ from the description; return whether the top is here."""
    name = description["kernel"]["name"]
    top = next((one for one in unit.root.descendants() if one.kind == "function" and one.name == name), None)
    if top is None:
        return False

    def wrong(text: str) -> None:
        report(top.token.file, top.token.line, text)

    interfaces: dict[str, dict[str, str]] = {}
    for directive, options in parsed_pragmas(top):
        if directive == "INTERFACE" and "port" in options:
            if options["port"] in interfaces:
                wrong(f"two interface pragmas for {options['port']}")
            interfaces[options["port"]] = options
    mode = {port: _mode(options) for port, options in interfaces.items()}
    for parameter in parameters(top):
        if parameter not in interfaces:
            wrong(f"no interface pragma for {parameter}")
    if mode.get("return") != "s_axilite":
        wrong("ap_ctrl_hs must be reached over s_axilite: no interface pragma for port=return")

    registers = [one for one in description["registers"] if one["kind"] in ("input", "output")]
    scalars = [name for name in parameters(top) if mode.get(name) == "s_axilite"]
    if scalars != [register["name"] for register in registers]:
        wrong(f"the registers are {', '.join(scalars)}, not those of kernel.json in their order")
    for register in registers:
        options = interfaces.get(register["name"], {})
        try:
            offset = int(options.get("offset", ""), 0)
        except ValueError:
            offset = -1
        if offset != int(register["offset"], 16):
            wrong(f"register {register['name']} must have offset={register['offset']}")
        variable = top.variables.get(register["name"])
        if variable is not None and variable.type not in _TYPES[register["bits"]]:
            wrong(f"register {register['name']} has {register['bits']} bits, {variable.type} has not")

    bundles = {options.get("bundle") for port, options in interfaces.items() if mode[port] == "m_axi"}
    expected = {f"gmem{engine}" for engine in range(engines)}
    if bundles != expected:
        wrong(
            f"the m_axi bundles are {', '.join(sorted(map(str, bundles)))}, not {', '.join(sorted(expected))}"
        )
    for port, options in interfaces.items():
        if mode[port] == "m_axi" and options.get("offset") != "off":
            wrong(f"{port} must have offset=off: addresses are absolute, and it must add no register")
        if mode[port] == "m_axi" and not port.startswith(f"{options.get('bundle')}_"):
            wrong(f"{port} is on bundle {options.get('bundle')}")
    return True


def _mode(options: dict[str, str]) -> str:
    return options.get("mode") or next(
        (flag for flag in ("m_axi", "s_axilite", "axis") if flag in options), ""
    )
