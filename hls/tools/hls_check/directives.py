"""The directives that the kernel's sources may use, and their options, as Vitis HLS 2023.2 documents them.

Source: AMD UG1399 (2023.2), "HLS Pragmas". Only what a pragma in a source file may say is here, and only
directives that a kernel of this kind has a use for: another one is refused until somebody has looked it up
and added it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

INTEGER = "an integer"
CONSTANT = "an integer constant"
VARIABLE = "a variable in scope"
PORT = "a parameter of the function, or return"
FUNCTION = "a function that is called here"
NAME = "a name"


@dataclass(frozen=True)
class Directive:
    """What may follow `#pragma HLS NAME`. Values are a kind (the constants above) or the words allowed."""

    place: str
    """`function`, `loop`, `function or loop`, or `scope` (anywhere in a function)."""
    options: dict[str, str | frozenset[str]] = field(default_factory=dict)
    """Options written `option=value`."""
    flags: frozenset[str] = frozenset()
    """Options written alone."""
    required: frozenset[str] = frozenset()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DIRECTIVES: dict[str, Directive] = {
    "AGGREGATE": Directive(
        "scope", {"variable": VARIABLE, "compact": _words("bit byte none auto")}, required=_words("variable")
    ),
    "ALLOCATION": Directive(
        "function or loop",
        {"instances": FUNCTION, "limit": CONSTANT},
        flags=_words("function operation"),
        required=_words("instances limit"),
    ),
    "ARRAY_PARTITION": Directive(
        "scope",
        {
            "variable": VARIABLE,
            "type": _words("cyclic block complete"),
            "factor": CONSTANT,
            "dim": INTEGER,
            "off": _words("true false"),
        },
        flags=_words("cyclic block complete"),
        required=_words("variable"),
    ),
    "BIND_STORAGE": Directive(
        "scope",
        {
            "variable": VARIABLE,
            "type": _words("fifo ram_1p ram_1wnr ram_2p ram_s2p ram_t2p rom_1p rom_2p rom_np"),
            "impl": _words("bram bram_ecc lutram uram uram_ecc srl memory auto"),
            "latency": INTEGER,
        },
        required=_words("variable type"),
    ),
    "DATAFLOW": Directive("function or loop", flags=_words("disable_start_propagation")),
    "DEPENDENCE": Directive(
        "function or loop",
        {
            "variable": VARIABLE,
            "class": _words("array pointer"),
            "type": _words("intra inter"),
            "direction": _words("RAW WAR WAW"),
            "distance": CONSTANT,
            "dependent": _words("true false"),
        },
        flags=_words("intra inter RAW WAR WAW true false array pointer"),
    ),
    "INLINE": Directive("function", flags=_words("off recursive")),
    "INTERFACE": Directive(
        "function",
        {
            "mode": _words(
                "ap_none ap_stable ap_vld ap_ack ap_hs ap_ovld ap_fifo ap_memory bram axis s_axilite m_axi "
                "ap_ctrl_none ap_ctrl_hs ap_ctrl_chain"
            ),
            "port": PORT,
            "bundle": NAME,
            "register_mode": _words("both forward reverse off"),
            "depth": CONSTANT,
            "offset": "off, direct, slave, or an address",
            "clock": NAME,
            "name": NAME,
            "num_read_outstanding": CONSTANT,
            "num_write_outstanding": CONSTANT,
            "max_read_burst_length": CONSTANT,
            "max_write_burst_length": CONSTANT,
            "latency": CONSTANT,
            "max_widen_bitwidth": CONSTANT,
            "channel": NAME,
            "storage_impl": _words("auto bram uram"),
            "storage_type": _words("ram_1p ram_1wnr ram_2p ram_s2p ram_t2p rom_1p rom_2p rom_np"),
        },
        flags=_words("register s_axilite m_axi axis ap_none ap_ctrl_hs ap_ctrl_none ap_ctrl_chain"),
        required=_words("port"),
    ),
    "LATENCY": Directive("scope", {"min": CONSTANT, "max": CONSTANT}),
    "LOOP_FLATTEN": Directive("loop", flags=_words("off")),
    "LOOP_MERGE": Directive("scope", flags=_words("force")),
    "LOOP_TRIPCOUNT": Directive("loop", {"min": CONSTANT, "max": CONSTANT, "avg": CONSTANT}),
    "PIPELINE": Directive(
        "function or loop", {"II": CONSTANT, "style": _words("stp frp flp")}, flags=_words("off rewind")
    ),
    "RESET": Directive("scope", {"variable": VARIABLE}, flags=_words("off"), required=_words("variable")),
    "STABLE": Directive("function", {"variable": VARIABLE}, required=_words("variable")),
    "STREAM": Directive(
        "scope",
        {"variable": VARIABLE, "type": _words("fifo pipo shared unsync"), "depth": CONSTANT},
        flags=_words("off"),
        required=_words("variable"),
    ),
    "UNROLL": Directive(
        "loop",
        {"factor": CONSTANT, "off": _words("true false")},
        flags=_words("skip_exit_check"),
    ),
}


def parse(text: str, report: Callable[[str], None]) -> tuple[str, dict[str, str]] | None:
    """Take `NAME option=value flag ...` apart; report what no such pragma may say.

    Returns the directive's name in capitals and its options, a flag with the value ""; None if the directive
    is unknown.
    """
    words = text.replace(" = ", "=").split()
    if not words or words[0].upper() not in DIRECTIVES:
        report(f"unknown directive {words[0] if words else '(none)'}")
        return None
    name = words[0].upper()
    directive = DIRECTIVES[name]
    found: dict[str, str] = {}
    for word in words[1:]:
        option, has_value, value = word.partition("=")
        known = directive.options.get(option) if has_value else None
        if (has_value and known is None) or (not has_value and option not in directive.flags):
            report(f"{name} has no option {word}")
            continue
        if option in found:
            report(f"{name} says {option} twice")
        if isinstance(known, frozenset) and value not in known:
            report(f"{name}: {option} is one of {', '.join(sorted(known))}, not {value}")
        found[option] = value
    for option in sorted(directive.required - set(found)):
        report(f"{name} needs {option}=")
    return name, found
