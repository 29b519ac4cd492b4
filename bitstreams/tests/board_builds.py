"""Builds of the boards against the stub of Vivado, and what their designs must agree with."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

import tcl
import vivado_inputs
from ip_catalog import Shape
from vivado import Vivado
from vivado_objects import Design

from generators.description import Description

DESCRIPTION = vivado_inputs.load_description()
BOARDS = list(DESCRIPTION.data["boards"])
BUILD = vivado_inputs.REPOSITORY / "bitstreams" / "tcl" / "build.tcl"


class Build:
    """A build of one board in folders of its own, and the stub that it runs against."""

    def __init__(self, board: str, kernel: str, folder: Path, description: Description = DESCRIPTION) -> None:
        self.board, self.kernel = board, kernel
        self.places = vivado_inputs.Folders(folder / "board", folder / "build", folder / "ip")
        shutil.copytree(vivado_inputs.folders(board, kernel).board, self.places.board)
        self.inputs = vivado_inputs.write_inputs(description, board, kernel, self.places)
        self.vivado = Vivado()
        if kernel == "hls":
            self.vivado.exported[DESCRIPTION.vlnv] = (str(self.places.ip), exported_by_hls(board))

    def run(self) -> Design:
        """Run the build; return the block design it made."""
        tcl.run(BUILD, [str(self.inputs)], self.vivado)
        assert self.vivado.design is not None
        return self.vivado.design

    def replace_input(self, old: str, new: str) -> None:
        """Change the generated inputs, to see that the scripts notice."""
        text = self.inputs.read_text(encoding="utf-8")
        assert old in text
        self.inputs.write_text(text.replace(old, new), encoding="utf-8")


def exported_by_hls(board: str) -> Shape:
    """What a block design sees of the IP that Vitis HLS exports: s_axilite and a bundle per engine."""
    shape = Shape(
        pins={"ap_clk": "I", "ap_rst_n": "I", "interrupt": "O"},
        clocks={"ap_clk"},
        resets={"ap_rst_n"},
        interfaces={"s_axi_control": ("aximm", "slave")},
        segments={"s_axi_control/Reg": ("s_axi_control", 1 << 16)},
    )
    for engine in range(DESCRIPTION.board_build(board)["ENGINES"]):
        shape.interfaces[f"m_axi_gmem{engine}"] = ("aximm", "master")
        shape.address_spaces.add(f"Data_m_axi_gmem{engine}")
    return shape


def handoff(board: str) -> ElementTree.Element:
    """The .hwh that the virtual board gives to pynq."""
    folder = vivado_inputs.REPOSITORY / "host" / "egret" / "virtual_board"
    return ElementTree.parse(folder / f"{board}.hwh").getroot()


def part_of(root: ElementTree.Element) -> str | None:
    """The part that a .hwh names."""
    information = root.find("SYSTEMINFO")
    return None if information is None else information.get("PART")


def address(entry: ElementTree.Element, attribute: str) -> int:
    """A hexadecimal attribute of a .hwh."""
    return int(entry.get(attribute, ""), 16)
