"""The Tcl of the bitstream builds, run in a Tcl interpreter against the stub of Vivado."""

from __future__ import annotations

import copy
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import tcl
import vivado_inputs
from board_builds import BOARDS, BUILD, DESCRIPTION, Build, address, handoff, part_of

pytestmark = pytest.mark.skipif(tcl.interpreter() is None, reason=tcl.MISSING)


@pytest.fixture(
    params=[(board, kernel) for board in BOARDS for kernel in vivado_inputs.KERNELS], ids="-".join
)
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Build]:
    """A build of each board with each kernel."""
    board, kernel = request.param
    yield Build(board, kernel, tmp_path)


def test_everything_is_connected(build: Build) -> None:
    design = build.run()
    assert design.validated and design.saved
    assert design.open_inputs() == [] and design.open_interfaces() == []
    kernel = design.cells["egret_kernel_0"]
    assert kernel.vlnv == DESCRIPTION.vlnv
    ports = {port.name for port in vivado_inputs.kernel_ports(DESCRIPTION, build.board)}
    prefixes = tuple(f"{interface}_" for interface in kernel.shape.interfaces)
    assert ports == set(kernel.shape.pins) | {port for port in ports if port.startswith(prefixes)}


def test_part_is_the_boards(build: Build) -> None:
    part = DESCRIPTION.data["boards"][build.board]["part"]
    assert build.run().part == part == part_of(handoff(build.board))
    assert [words[words.index("-part") + 1] for words in build.vivado.called("create_project")] == [part] * (
        2 if build.kernel == "rtl" else 1
    )


def test_one_clock_of_the_boards_rate_drives_everything(build: Build) -> None:
    design = build.run()
    clocks = {f"{cell.name}/{pin}" for cell in design.cells.values() for pin in cell.shape.clocks}
    (source,) = {design.driver[clock] for clock in clocks}
    system = design.cells[source.split("/")[0]]
    rate = DESCRIPTION.data["boards"][build.board]["clock_mhz"]
    assert source.endswith(("/FCLK_CLK0", "/pl_clk0"))
    asked = {
        value
        for name, value in system.parameters.items()
        if re.fullmatch(r"PCW_FPGA0_PERIPHERAL_FREQMHZ|PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ", name)
    }
    assert asked == {str(rate)}
    assert {
        design.driver[f"{cell.name}/{pin}"] for cell in design.cells.values() for pin in cell.shape.resets
    } == {"reset_0/peripheral_aresetn"}


def test_clock_source_and_divisor_are_those_of_the_handoff(build: Build) -> None:
    design = build.run()
    (system,) = [cell for cell in design.cells.values() if cell.vlnv.endswith(("system7", "ps_e"))]
    values = {
        parameter.get("NAME", ""): parameter.get("VALUE", "")
        for parameter in handoff(build.board).iter("PARAMETER")
    }
    source = system.parameters.get(
        "PCW_FCLK0_PERIPHERAL_CLKSRC", system.parameters.get("PSU__CRL_APB__PL0_REF_CTRL__SRCSEL")
    )
    names = {
        "processing_system7_0": "PCW_FCLK0_PERIPHERAL_",
        "zynq_ultra_ps_e_0": "PSU__CRL_APB__PL0_REF_CTRL__",
    }
    prefix = names[system.name]
    assert source is not None
    assert source in (values.get(f"{prefix}CLKSRC"), values.get(f"{prefix}SRCSEL"))
    rate = build.vivado.pll_mhz[source] / int(values[f"{prefix}DIVISOR0"]) / int(values[f"{prefix}DIVISOR1"])
    assert rate == pytest.approx(DESCRIPTION.data["boards"][build.board]["clock_mhz"], rel=1e-3)


def test_addresses_are_those_of_the_handoff(build: Build) -> None:
    design = build.run()
    expected = {
        (entry.get("INSTANCE"), address(entry, "BASEVALUE"), address(entry, "HIGHVALUE"))
        for entry in handoff(build.board).iter("MEMRANGE")
    }
    found = {
        (entry.segment.split("/")[0], entry.offset, entry.offset + entry.bytes - 1)
        for entry in design.assignments
        if entry.space.endswith("/Data")
    }
    assert found == expected


def test_each_engine_has_a_port_of_its_own_to_all_of_the_memory(build: Build) -> None:
    design = build.run()
    kernel = DESCRIPTION.board_build(build.board)
    ports = set()
    for engine in range(kernel["ENGINES"]):
        (port,) = design.reaches(f"egret_kernel_0/m_axi_gmem{engine}")
        ports.add(port)
        (memory,) = [
            entry for entry in design.assignments if entry.space == f"egret_kernel_0/Data_m_axi_gmem{engine}"
        ]
        assert memory.offset == 0
        assert memory.bytes >= DESCRIPTION.data["boards"][build.board]["memory"]["bytes"]
    assert len(ports) == kernel["ENGINES"]
    (system,) = [cell for cell in design.cells.values() if cell.vlnv.endswith(("system7", "ps_e"))]
    widths = {
        value
        for name, value in system.parameters.items()
        if re.fullmatch(r"PCW_S_AXI_HP\d_DATA_WIDTH|PSU__SAXIGP\d__DATA_WIDTH", name)
    }
    assert widths == {str(8 * kernel["BUS_BYTES"])}


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("engines", [1, 2, 3, 4])
def test_any_number_of_engines_that_the_chip_has_ports_for(board: str, engines: int, tmp_path: Path) -> None:
    description = copy.deepcopy(DESCRIPTION)
    description.data["boards"][board]["build"]["ENGINES"] = engines
    design = Build(board, "rtl", tmp_path, description).run()
    ports = [design.reaches(f"egret_kernel_0/m_axi_gmem{engine}") for engine in range(engines)]
    assert len(set().union(*ports)) == engines


def test_more_engines_than_ports_are_refused(tmp_path: Path) -> None:
    description = copy.deepcopy(DESCRIPTION)
    description.data["boards"]["pynq-z2"]["build"]["ENGINES"] = 5
    with pytest.raises(tcl.TclError, match="has 4 HP ports, but this build has 5 engines"):
        Build("pynq-z2", "rtl", tmp_path, description).run()


def test_interrupt_goes_through_the_controller_as_in_the_handoff(build: Build) -> None:
    design = build.run()
    wires = set()
    for module in handoff(build.board).iter("MODULE"):
        for port in module.iter("PORT"):
            if port.get("DIR") == "O":
                for other in port.iter("CONNECTION"):
                    wires.add(
                        (
                            f"{module.get('INSTANCE')}/{port.get('NAME')}",
                            f"{other.get('INSTANCE')}/{other.get('PORT')}",
                        )
                    )
    assert wires == {(driver, sink) for sink, driver in design.driver.items() if (driver, sink) in wires}
    assert len(wires) == 2


def test_reports_bitstream_and_handoff_are_written(build: Build) -> None:
    build.run()
    assert (build.places.build / "egret.bit").is_file()
    assert (build.places.build / "egret.hwh").is_file()
    reports = {path.name for path in (build.places.build / "reports").iterdir()}
    assert {"timing.rpt", "utilization.rpt", "utilization_by_unit.rpt"} <= reports
    assert any(words[-1].endswith("egret.xdc") for words in build.vivado.called("add_files"))


@pytest.mark.parametrize("slack", ["setup_slack", "hold_slack"])
def test_no_bitstream_where_timing_is_not_met(build: Build, slack: str) -> None:
    setattr(build.vivado, slack, "-0.004")
    with pytest.raises(tcl.TclError, match="Timing is not met.*-0.004 ns"):
        build.run()
    assert (build.places.build / "reports" / "timing.rpt").is_file()
    assert not (build.places.build / "egret.bit").exists()
    assert build.vivado.called("write_bitstream") == []


def test_a_run_that_does_not_finish_is_named(build: Build) -> None:
    build.vivado.progress = "40%"
    with pytest.raises(tcl.TclError, match=r"Vivado's run synth_1 failed: .*runs/synth_1"):
        build.run()


def test_a_bitstream_without_its_handoff_is_an_error(build: Build) -> None:
    build.vivado.writes_handoff = False
    with pytest.raises(tcl.TclError, match="wrote no egret.hwh"):
        build.run()


def test_a_clock_that_cannot_be_divided_is_refused(build: Build) -> None:
    rate = DESCRIPTION.data["boards"][build.board]["clock_mhz"]
    build.replace_input(f"clock_mhz {{{rate}}}", "clock_mhz {191}")
    with pytest.raises(tcl.TclError, match="wants 191 MHz"):
        build.run()


@pytest.mark.parametrize(("release", "fine"), [("2023.1", False), ("2023.2", True), ("2025.1", True)])
def test_releases_before_2023_2_are_refused(build: Build, release: str, fine: bool) -> None:
    build.vivado.release = release
    if fine:
        build.run()
        return
    with pytest.raises(tcl.TclError, match="2023.2 or later; this is 2023.1"):
        build.run()


@pytest.mark.parametrize(
    ("script", "old", "new", "complaint"),
    [
        ("block_design.tcl", "$kernel_cell/ap_clk", "$kernel_cell/aclk", "no pin egret_kernel_0/aclk"),
        ("block_design.tcl", "s_axi_control/Reg]", "s_axi_control/reg0]", "no address segment"),
        ("block_design.tcl", "NUM_MI 2", "NUM_MI 1", "no interface pin control_0/M01_AXI"),
        (
            "block_design.tcl",
            "CONFIG.NUM_SI 1 CONFIG.NUM_MI 2",
            "CONFIG.NUM_SL 1",
            "no parameter CONFIG.NUM_SL",
        ),
        ("block_design.tcl", "{CONFIG.C_IRQ_CONNECTION 1}", "{}", "no pin axi_intc_0/irq"),
        (
            "block_design.tcl",
            "    wire $resetn memory_$engine/aresetn\n",
            "",
            "not connected: .*memory_0/aresetn",
        ),
        ("block_design.tcl", "-offset $controller_base", "-offset $kernel_base", "overlaps"),
        ("implement.tcl", "-delay_type min_max", "-delays min_max", "unknown option '-delays'"),
        (
            "processing_system.tcl",
            "PERIPHERAL_CLKSRC $clock_source",
            "PERIPHERAL_CLKSRC IOPLL",
            "cannot be 'IOPLL'",
        ),
        ("implement.tcl", "launch_runs", "launch_run", 'invalid command name "launch_run"'),
    ],
)
def test_the_stub_refuses_mistakes(tmp_path: Path, script: str, old: str, new: str, complaint: str) -> None:
    """A stub that takes anything would prove nothing: each of these edits of a script must be refused."""
    build = Build("pynq-z2", "rtl", tmp_path)
    scripts = tmp_path / "tcl"
    shutil.copytree(BUILD.parent, scripts)
    text = (scripts / script).read_text(encoding="utf-8")
    assert old in text
    (scripts / script).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(tcl.TclError, match=complaint):
        tcl.run(scripts / BUILD.name, [str(build.inputs)], build.vivado)
