"""The design that the Tcl asks of Vivado, against kernel.json, our .hwh and vendors' presets."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bitstreams import REPOSITORY, vivado_inputs
from bitstreams.tests import tcl
from bitstreams.tests.recorder import BOARDS, DESCRIPTION, Build, Recorder
from hls.tools.generators.hwh import processing_system

pytestmark = pytest.mark.skipif(tcl.interpreter() is None, reason=tcl.MISSING)

PRESETS = json.loads((Path(__file__).parent / "presets.json").read_text(encoding="utf-8"))
"""Parameters of the processing system, as designs that run on the boards set them; each names its source."""

KERNEL = "egret_kernel_0"


@pytest.fixture(
    scope="module",
    params=[(board, kernel) for board in BOARDS for kernel in vivado_inputs.KERNELS],
    ids="-".join,
)
def build(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """A build of each board with each kernel, run to its end."""
    board, kernel = request.param
    made = Build(board, kernel, tmp_path_factory.mktemp("build"))
    made.run()
    return made


def handoff(board: str) -> ElementTree.Element:
    """The .hwh that the virtual board gives to pynq."""
    return ElementTree.parse(REPOSITORY / "host" / "egret" / "virtual_board" / f"{board}.hwh").getroot()


def system_parameters(vivado: Recorder) -> dict[str, str]:
    """What the processing system is set to, without Vivado's `CONFIG.`."""
    cells = [words[-1] for words in vivado.called("create_bd_cell")]
    (cell,) = set(cells) & {"processing_system7_0", "zynq_ultra_ps_e_0"}
    return {name.removeprefix("CONFIG."): value for name, value in vivado.properties(cell).items()}


def test_every_pin_belongs_to_a_cell_that_was_made(build: Build) -> None:
    vivado = build.vivado
    cells = {words[-1] for words in vivado.called("create_bd_cell")}
    for command in ("get_bd_pins", "get_bd_intf_pins", "get_bd_addr_spaces", "get_bd_addr_segs"):
        for words in vivado.called(command):
            assert words[-1].split("/")[0] in cells, words
    assert vivado.called("validate_bd_design") and vivado.called("save_bd_design")


def test_every_port_of_the_kernel_is_connected(build: Build) -> None:
    drivers = build.vivado.drivers()
    ends = {*drivers, *drivers.values()}
    ports = {port.name for port in vivado_inputs.kernel_ports(DESCRIPTION, build.board)}
    for port in ports:
        interface = re.sub(r"^((?:s_axi_control|m_axi_gmem\d+))_\w+$", r"\1", port)
        assert f"{KERNEL}/{interface}" in ends, port


def test_one_clock_and_one_reset_drive_everything(build: Build) -> None:
    drivers = build.vivado.drivers()
    clocks = {drivers[pin] for pin in drivers if re.search(r"(clk|aclk|ACLK)$", pin)}
    assert len(clocks) == 1 and clocks.pop().endswith(("/FCLK_CLK0", "/pl_clk0"))
    assert {drivers[pin] for pin in drivers if re.search(r"(aresetn|ap_rst_n)$", pin)} == {
        "reset_0/peripheral_aresetn"
    }


def test_part_and_clock_are_the_boards(build: Build) -> None:
    vivado, profile = build.vivado, DESCRIPTION.data["boards"][build.board]
    assert {words[words.index("-part") + 1] for words in vivado.called("create_project")} == {profile["part"]}
    parameters = system_parameters(vivado)
    told = {entry.get("NAME", ""): entry.get("VALUE", "") for entry in handoff(build.board).iter("PARAMETER")}
    system = processing_system(DESCRIPTION, build.board)
    for name in (system.source_parameter, system.asked_parameter, system.enable_parameter):
        assert parameters[name.format(clock=0)] == told[name.format(clock=0)]
    assert told[system.asked_parameter.format(clock=0)] == str(DESCRIPTION.clock_mhz(build.board))


@pytest.mark.parametrize("board", BOARDS)
def test_what_the_tcl_sets_is_what_running_designs_set(board: str, tmp_path: Path) -> None:
    parameters = system_parameters(Build(board, "rtl", tmp_path).run())
    recorded = PRESETS[board]["parameters"]
    ours = {name for name in parameters if name in recorded}
    assert len(ours) >= 5, "too little of this board's preset is recorded to mean anything"
    for name in ours:
        assert _equal(parameters[name], recorded[name]), (name, parameters[name], PRESETS[board]["source"])


def _equal(one: str, other: str) -> bool:
    try:
        return float(one) == pytest.approx(float(other), rel=1e-4)
    except ValueError:
        return one == other


@pytest.mark.parametrize("board", BOARDS)
def test_the_profiles_clock_and_memory_follow_from_the_presets(board: str) -> None:
    preset, profile = PRESETS[board]["parameters"], DESCRIPTION.data["boards"][board]

    def value(name: str) -> float:
        return float(preset[name])

    clock, memory = profile["clock"], profile["memory"]
    if profile["part"].startswith("xc7z"):
        assert preset["PCW_FCLK0_PERIPHERAL_CLKSRC"] == clock["source"]
        assert value("PCW_IO_IO_PLL_FREQMHZ") == clock["source_mhz"]
        assert value("PCW_CRYSTAL_PERIPHERAL_FREQMHZ") * value("PCW_IOPLL_CTRL_FBDIV") == clock["source_mhz"]
        # 7 makes of it what that design calls 142.86 MHz.
        made = DESCRIPTION.clock_mhz(board, int(preset["PCW_FCLK1_PERIPHERAL_DIVISOR0"]))
        assert made == pytest.approx(value("PCW_ACT_FPGA1_PERIPHERAL_FREQMHZ"), rel=1e-6)
        assert DESCRIPTION.clock_divisor(board, value("PCW_FPGA1_PERIPHERAL_FREQMHZ")) == 7
        ddr_mhz, bits = value("PCW_DDR_DDR_PLL_FREQMHZ") / value("PCW_DDR_PERIPHERAL_DIVISOR0"), 16
    else:
        assert preset["PSU__CRL_APB__PL0_REF_CTRL__SRCSEL"] == clock["source"]
        rate = value("PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ")
        assert rate * round(clock["source_mhz"] / rate) == pytest.approx(clock["source_mhz"], rel=1e-6)
        if "PSU__CRL_APB__IOPLL_CTRL__FBDIV" in preset:
            pll = value("PSU__PSS_REF_CLK__FREQMHZ") * value("PSU__CRL_APB__IOPLL_CTRL__FBDIV")
            pll /= 2 if preset["PSU__CRL_APB__IOPLL_CTRL__DIV2"] == "1" else 1
            assert pll == pytest.approx(clock["source_mhz"], rel=1e-6)
        # The controller runs at half the memory's clock.
        ddr_mhz = 2 * value("PSU__DDR__INTERFACE__FREQMHZ")
        bits = int(preset["PSU__DDRC__BUS_WIDTH"].split()[0])
    assert memory["peak_bytes_per_second"] == 2 * ddr_mhz * 1e6 * bits / 8


def test_addresses_are_those_of_the_handoff(build: Build) -> None:
    expected = {
        (entry.get("INSTANCE", ""), int(entry.get("BASEVALUE", ""), 16), int(entry.get("HIGHVALUE", ""), 16))
        for entry in handoff(build.board).iter("MEMRANGE")
    }
    found = set()
    for words in build.vivado.called("assign_bd_address"):
        given = dict(zip(words[:-2:2], words[1:-2:2], strict=True))
        if given["-target_address_space"].endswith("/Data"):
            offset = int(given["-offset"], 0)
            found.add((words[-2].split("/")[0], offset, offset + int(given["-range"], 0) - 1))
    assert found == expected


def test_each_engine_has_a_port_of_its_own_and_sees_the_memory_alone(build: Build) -> None:
    vivado, profile = build.vivado, DESCRIPTION.data["boards"][build.board]
    engines = DESCRIPTION.board_build(build.board)["ENGINES"]
    ports = [profile["first_port"] + engine for engine in range(engines)]
    drivers, assigned = vivado.drivers(), vivado.called("assign_bd_address")
    for engine, port in enumerate(ports):
        assert drivers[f"memory_{engine}/S00_AXI"] == f"{KERNEL}/m_axi_gmem{engine}"
        (sink,) = [sink for sink, driver in drivers.items() if driver == f"memory_{engine}/M00_AXI"]
        assert re.search(rf"/S_AXI_HP{port}(_FPD)?$", sink)
        space = f"{KERNEL}/Data_m_axi_gmem{engine}"
        (words,) = [words for words in assigned if space in words]
        segment, size = words[-2], words[words.index("-range") + 1]
        assert re.search(rf"HP{port}_DDR_LOW(OCM)?$", segment)
        assert int(size[:-1]) << {"M": 20, "G": 30}[size[-1]] >= profile["memory"]["bytes"]
        excluded = [words[-1] for words in vivado.called("exclude_bd_addr_seg") if space in words]
        assert segment not in excluded
        if not profile["part"].startswith("xc7z"):
            assert {name.split(f"HP{port}_")[1] for name in excluded} >= {"DDR_HIGH", "LPS_OCM", "QSPI"}
    bits = str(8 * DESCRIPTION.board_build(build.board)["BUS_BYTES"])
    widths = {name: bits for name in system_parameters(vivado) if re.search(r"HP\d_DATA|SAXIGP\d__D", name)}
    assert len(widths) == engines and widths.items() <= system_parameters(vivado).items()


def test_more_engines_than_ports_are_refused(tmp_path: Path) -> None:
    description = copy.deepcopy(DESCRIPTION)
    description.data["boards"]["ultra96-v2"]["build"]["ENGINES"] = 4
    with pytest.raises(
        ValueError, match="has 4 HP ports, of which the kernel takes those from 1 on, but .* 4 engines"
    ):
        Build("ultra96-v2", "rtl", tmp_path, description=description)


def test_interrupt_goes_through_the_controller_as_in_the_handoff(build: Build) -> None:
    drivers = build.vivado.drivers()
    wires = {
        (f"{other.get('INSTANCE')}/{other.get('PORT')}", f"{module.get('INSTANCE')}/{port.get('NAME')}")
        for module in handoff(build.board).iter("MODULE")
        for port in module.findall("./PORTS/PORT[@DIR='O']")
        for other in port.iter("CONNECTION")
    }
    assert len(wires) == 2 and wires <= set(drivers.items())


def test_a_logic_analyser_watches_the_memory_ports_where_it_is_asked_for(
    build: Build, tmp_path: Path
) -> None:
    asked = Build(build.board, build.kernel, tmp_path / "again", vivado_inputs.Options(debug=True)).run()
    watched = set(asked.drivers().items()) - set(build.vivado.drivers().items())
    engines = range(DESCRIPTION.board_build(build.board)["ENGINES"])
    slots = {(f"debug_0/SLOT_{engine}_AXI", f"{KERNEL}/m_axi_gmem{engine}") for engine in engines}
    assert slots < watched and all(sink.startswith("debug_0/") for sink, _ in watched)


@pytest.mark.parametrize("board", BOARDS)
def test_a_clock_that_vivado_cannot_make_is_refused(board: str, tmp_path: Path) -> None:
    made = Build(board, "rtl", tmp_path)
    for name in [name for name in made.vivado.answers if "FREQMHZ" in name]:
        made.vivado.answers[name] = "120.0"
    with pytest.raises(tcl.TclError, match="The fabric clock is 120.0 MHz, but the kernel of"):
        made.run()


def test_the_packaged_kernel_has_the_ports_and_registers_of_the_description(tmp_path: Path) -> None:
    for board in BOARDS:
        vivado = Build(board, "rtl", tmp_path / board).run()
        physical = [words[1] for words in vivado.called("set_property") if words[0] == "physical_name"]
        assert sorted(physical) == sorted(
            port.name for port in vivado_inputs.kernel_ports(DESCRIPTION, board)
        )
        added = {name: f"{block}/{name}" for name, block in vivado.called("ipx::add_register")}
        offsets = {name: vivado.properties(path)["address_offset"] for name, path in added.items()}
        assert offsets == {word.name: f"0x{word.offset:02x}" for word in DESCRIPTION.words()}
        build = DESCRIPTION.board_build(board)
        for name, value in (
            ("NUM_READ_OUTSTANDING", build["READS_IN_FLIGHT"]),
            ("MAX_BURST_LENGTH", build["MAX_BURST_BEATS"]),
            ("DATA_WIDTH", 8 * build["BUS_BYTES"]),
            ("NUM_WRITE_OUTSTANDING", DESCRIPTION.data["axi"]["writes_in_flight"]),
        ):
            assert vivado.properties(f"core/m_axi_gmem0/{name}")["value"] == str(value)
