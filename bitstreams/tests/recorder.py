"""Vivado's place in the tests: takes down every Tcl command of a build, and answers what the scripts ask.

It knows nothing of Vivado's rules. What was asked of it is held against facts elsewhere.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from bitstreams import vivado_inputs
from bitstreams.tests import tcl
from hls.tools.generators.description import Description
from hls.tools.generators.hwh import processing_system

DESCRIPTION = vivado_inputs.load_description()
BOARDS = list(DESCRIPTION.data["boards"])
BUILD = vivado_inputs.FOLDER / "tcl" / "build.tcl"


class Recorder:
    """The commands of one build, as (name, words). `answers` holds what get_property finds, by its name."""

    def __init__(self) -> None:
        self.release = "2023.2"
        self.calls: list[tuple[str, list[str]]] = []
        self.answers = {"PROGRESS": "100%", "STATS.WNS": "0.120", "STATS.WHS": "0.031", "STATUS": "done"}
        self.hardware_handoff = "<EDKSYSTEM/>"
        self._project = Path()

    def __call__(self, name: str, words: list[str]) -> str:
        """Take down a command; return the name of what it makes or finds."""
        name = name.removeprefix("::")
        self.calls.append((name, words))
        if name == "version":
            return self.release
        if name == "create_project":
            self._project = Path(words[2])
        elif name == "get_property":
            return self.answers.get(words[0], "")
        elif name == "write_bitstream":
            Path(words[-1]).write_text("a bitstream", encoding="utf-8")
        elif name == "generate_target" and self.hardware_handoff:
            folder = self._project / "egret.gen" / "sources_1" / "bd" / "egret" / "hw_handoff"
            folder.mkdir(parents=True)
            (folder / "egret.hwh").write_text(self.hardware_handoff, encoding="utf-8")
        if name.startswith("ipx::add_"):
            return f"{words[1]}/{words[0]}"
        if name == "ipx::get_bus_interfaces":
            return f"{words[2]}/{words[0]}"
        if name == "ipx::current_core":
            return "core"
        return words[-1] if name.startswith(("get_", "create_bd_cell")) and words else ""

    def called(self, name: str) -> list[list[str]]:
        """Return the words of every call of a command."""
        return [words for command, words in self.calls if command == name]

    def properties(self, target: str) -> dict[str, str]:
        """Return what set_property gave an object, by name."""
        found: dict[str, str] = {}
        for words in self.called("set_property"):
            if words[-1] == target:
                pairs = tcl.split_list(words[1]) if words[0] == "-dict" else words[:2]
                found.update(zip(pairs[::2], pairs[1::2], strict=True))
        return found

    def drivers(self) -> dict[str, str]:
        """Return the driver of every pin, and the other end of every interface, that was connected."""
        found: dict[str, str] = {}
        for driver, sink in self.called("connect_bd_net") + self.called("connect_bd_intf_net"):
            assert sink not in found, f"{sink} is driven by {found[sink]} and by {driver}"
            found[sink] = driver
        return found


class Build:
    """A build of one board in folders of its own, on a recorder."""

    def __init__(
        self,
        board: str,
        kernel: str,
        folder: Path,
        options: vivado_inputs.Options | None = None,
        description: Description = DESCRIPTION,
    ) -> None:
        self.board, self.kernel = board, kernel
        self.places = vivado_inputs.Folders(folder / "board", folder / "build", folder / "ip")
        shutil.copytree(vivado_inputs.folders(board, kernel).board, self.places.board)
        self.inputs = vivado_inputs.write_inputs(description, board, kernel, self.places, options)
        self.vivado = Recorder()
        divisor = vivado_inputs.divisor_of(description, board, options or vivado_inputs.Options())
        actual = processing_system(description, board).actual_parameter.format(clock=0)
        self.vivado.answers[f"CONFIG.{actual}"] = str(description.clock_mhz(board, divisor))

    def run(self) -> Recorder:
        """Run the build; return what it asked of Vivado."""
        tcl.run(BUILD, [str(self.inputs)], self.vivado)
        return self.vivado
