"""The synthesis report on small netlists made by hand, whose levels and resources are known."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hls import HLS
from hls.tools.generators.description import Description
from hls.tools.synthesis.expected import block_memories
from hls.tools.synthesis.netlist import Netlist, NetlistError, plain_name, unit_of
from hls.tools.synthesis.parts import PARTS, XC7Z020, part_of
from hls.tools.synthesis.paths import longest_paths
from hls.tools.synthesis.report import Limits, Report
from hls.tools.synthesis.resources import Resources, by_module, by_unit, memories_outside_block_memory


def cell(
    kind: str, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]], **parameters: str
) -> dict[str, Any]:
    """One cell as `write_json` writes it."""
    directions = {port: "input" for port in inputs} | {port: "output" for port in outputs}
    return {
        "type": kind,
        "parameters": parameters,
        "port_directions": directions,
        "connections": inputs | outputs,
    }


def netlist(
    cells: dict[str, dict[str, Any]], names: dict[str, list[int]], inputs: dict[str, list[int]] | None = None
) -> Netlist:
    """A netlist of those cells, with names for its nets."""
    ports = {name: {"direction": "input", "bits": bits} for name, bits in (inputs or {}).items()}
    netnames = {name: {"bits": bits} for name, bits in names.items()}
    return Netlist.parse({"modules": {"top": {"ports": ports, "cells": cells, "netnames": netnames}}}, "top")


def register(data: int, output: int) -> dict[str, Any]:
    """A flip-flop."""
    return cell("FDRE", {"C": [1], "CE": ["1"], "D": [data], "R": ["0"]}, {"Q": [output]})


def test_names_lose_the_marks_of_flattening() -> None:
    """A generated cell belongs to the instance before the first generated part of its name."""
    assert plain_name("$flatten\\core.\\g_engine[0].engine.$auto$ff.cc:337:slice$7") == (
        "core.g_engine[0].engine.$auto$ff.cc:337:slice$7"
    )
    assert unit_of("$flatten\\core.\\walk.$auto$ff.cc:337:slice$7") == "core.walk"
    assert unit_of("core.loader.header.0.0") == "core.loader.header.0"
    assert unit_of("$auto$top$1") == ""


def test_levels_are_counted_between_registers() -> None:
    """A register, two LUTs, a wide multiplexer, a register: three levels, and the register's own name at both
    ends.
    """
    design = netlist(
        {
            "core.a": register(2, 3),
            "core.b": cell("LUT2", {"I0": [3], "I1": [9]}, {"O": [4]}),
            "core.c": cell("INV", {"I": [4]}, {"O": [5]}),
            "core.d": cell("MUXF7", {"I0": [5], "I1": ["0"], "S": ["1"]}, {"O": [6]}),
            "core.e": register(6, 7),
        },
        {"core.from": [3], "core.to": [7]},
        {"clk": [1], "in": [2], "other": [9]},
    )
    deepest, slowest = longest_paths(design, XC7Z020.delays, 5)
    assert (deepest[0].start, deepest[0].end, deepest[0].levels) == ("core.from", "core.to/D", 3)
    assert deepest[0].through == ("LUT2", "INV", "MUXF7")
    delays = XC7Z020.delays
    expected = delays.flip_flop + delays.net + 2 * (delays.lut + delays.net) + delays.wide_mux + delays.setup
    assert slowest[0].nanoseconds == pytest.approx(expected)
    assert [path.end for path in deepest] == ["core.to/D", "core.from/D"], "one path for each register"


def test_a_carry_block_is_a_level_and_a_quick_one() -> None:
    """An addition of eight bits runs through two carry blocks; lower sums don't see upper inputs."""
    low = cell(
        "CARRY4",
        {"CI": ["0"], "CYINIT": ["0"], "DI": [2, 3, 4, 5], "S": [12, 13, 14, 15]},
        {"O": [22, 23, 24, 25], "CO": [32, 33, 34, 35]},
    )
    high = cell(
        "CARRY4",
        {"CI": [35], "CYINIT": ["0"], "DI": [6, 7, 8, 9], "S": [16, 17, 18, 19]},
        {"O": [26, 27, 28, 29], "CO": [36, 37, 38, 39]},
    )
    inputs = {"clk": [1], "a": list(range(2, 10)), "s": list(range(12, 20))}
    design = netlist(
        {"low": low, "high": high, "f": register(22, 40), "g": register(29, 41)},
        {"first": [40], "last": [41]},
        inputs,
    )
    deepest, _ = longest_paths(design, XC7Z020.delays, 9)
    assert {path.end: path.levels for path in deepest} == {"last/D": 2, "first/D": 1}
    longer = deepest[0].nanoseconds
    two_luts = 2 * (XC7Z020.delays.lut + XC7Z020.delays.net)
    assert longer < two_luts + XC7Z020.delays.carry_out + XC7Z020.delays.net


def test_a_multiplier_without_registers_is_a_level() -> None:
    """A DSP's registers decide whether it starts and ends paths or lies on one."""

    def multiplier(**registers: int) -> Netlist:
        settings = {f"{name}REG": f"{value:032b}" for name, value in registers.items()}
        dsp = cell("DSP48E1", {"CLK": [1], "A": [2], "B": [3]}, {"P": [4]}, USE_MULT="MULTIPLY", **settings)
        return netlist(
            {"in": register(9, 2), "dsp": dsp, "out": register(4, 5)},
            {"x": [2], "p": [4], "y": [5]},
            {"clk": [1], "d": [9], "b": [3]},
        )

    through, _ = longest_paths(multiplier(A=0, B=0, C=0, D=0, M=0, P=0), XC7Z020.delays, 3)
    assert (through[0].start, through[0].end, through[0].levels) == ("x", "y/D", 1)
    registered, _ = longest_paths(multiplier(A=1, B=1, C=0, D=0, M=1, P=1), XC7Z020.delays, 9)
    assert all(path.levels == 0 for path in registered)
    assert {("x", "p/A"), ("p", "y/D")} <= {(path.start, path.end) for path in registered}


def test_a_loop_is_refused() -> None:
    """Two LUTs that feed each other have no longest path."""
    cells = {"a": cell("LUT1", {"I0": [2]}, {"O": [3]}), "b": cell("LUT1", {"I0": [3]}, {"O": [2]})}
    with pytest.raises(NetlistError, match="loop through here"):
        longest_paths(netlist(cells, {"here": [2], "there": [3]}), XC7Z020.delays, 1)


def test_unmapped_and_unknown_cells_are_refused() -> None:
    """A cell of Yosys's own, or one without a known delay, must not pass as if it were nothing."""
    with pytest.raises(NetlistError, match="not mapped"):
        netlist({"a": cell("$add", {"A": [2]}, {"Y": [3]})}, {})
    with pytest.raises(NetlistError, match="no delay is known for: GTXE2"):
        longest_paths(netlist({"a": cell("GTXE2", {"A": [2]}, {"Y": [3]})}, {}), XC7Z020.delays, 1)


def test_resources_count_by_unit() -> None:
    """Cells count where they stand; memories below a unit count with it; a RAM32M is four LUTs."""
    lut = cell("LUT6", {"I0": [2]}, {"O": [3]})
    design = netlist(
        {
            "$flatten\\core.\\g_engine[0].engine.\\fetcher.$abc$1": lut,
            "core.g_engine[0].engine.fetcher.g_pointers[1].pointers.memory.0.0": cell(
                "RAMB36E1", {}, {"DOADO": [4]}
            ),
            "core.g_engine[0].engine.fetcher.request_queue.memory.0.0": cell("RAM32M", {}, {"DOA": [5]}),
            "core.g_engine[1].engine.fetcher.g_pointers[1].pointers.memory.0.0": cell(
                "RAMB18E1", {}, {"DOADO": [6]}
            ),
            "$abc$top": lut,
        },
        {},
    )
    units = by_unit(design)
    assert units["core.g_engine[0].engine.fetcher"] == Resources(luts=5, lut_memories=4, block_halves=2)
    assert units["egret_kernel"] == Resources(luts=1)
    number, taken = by_module(units)["column_fetcher"]
    assert (number, taken.block_memories) == (2, 1.5)
    wanted = tuple(f"core.g_engine[0].engine.fetcher.g_pointers[{memory}].pointers" for memory in (1, 0))
    assert memories_outside_block_memory(design, wanted) == [wanted[1]]


def test_the_report_names_what_exceeds_a_limit() -> None:
    """Each limit has a sentence, and one that is just kept has none."""

    def report(**taken: int) -> Report:
        units = {"core": Resources(**taken)}
        return Report("pynq-z2", XC7Z020, 150.0, units, by_module(units), [], [], [], Limits())

    assert report(luts=26_600, block_halves=257, dsps=88).violations() == []
    violations = report(luts=26_601, block_halves=258, dsps=89).violations()
    assert [sentence.split(":")[0] for sentence in violations] == ["LUT", "BRAM36", "DSP"]
    assert "All limits are kept." in report(luts=1).text()
    assert violations[0] in report(luts=26_601, block_halves=258, dsps=89).text()


def test_every_board_has_a_part_and_memories_that_the_rtl_has() -> None:
    """What synthesis looks for is what hls/rtl instances, so that a renamed memory can't go unnoticed."""
    description = Description.load(HLS / "kernel.json")
    rtl = "\n".join(path.read_text(encoding="utf-8") for path in (HLS / "rtl").glob("*.sv"))
    blocks = re.findall(r"block_memory #\((?:[^;]*?)\n  +\) (\w+) \(", rtl)
    for board, entry in description.data["boards"].items():
        assert part_of(entry["part"]) in PARTS
        names = {path.split(".")[-1] for path in block_memories(description.board_build(board))}
        assert names == set(blocks) | {"sigmoid", "tanh_lookup"}
