"""A stub of Vivado: answers the commands that the build scripts use and records the design that they make.

It refuses what Vivado would refuse (commands, options, parameters, pins and interfaces that do not exist, a
pin driven twice, an interface connected to one that does not fit) and some that Vivado only warns of. Every
command is recorded in `log`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ip_catalog import Shape
from tcl import CommandRefused, split_list
from vivado_block_design import BlockDesigner
from vivado_implementation import Implementation
from vivado_objects import Core, Design
from vivado_packager import Packager


class Vivado:
    """One session of the stub. Call it with a command's name and words, as tcl.run() does."""

    def __init__(
        self, release: str = "2023.2", setup_slack: str = "0.120", hold_slack: str = "0.031"
    ) -> None:
        self.release = release
        self.setup_slack = setup_slack
        self.hold_slack = hold_slack
        self.progress = "100%"
        self.writes_handoff = True
        self.pll_mhz: dict[str, float] = {"DDR PLL": 1050.0, "IO PLL": 1000.0, "IOPLL": 1499.985}
        self.log: list[tuple[str, list[str]]] = []
        self.exported: dict[str, tuple[str, Shape]] = {}
        """IPs that exist without having been packaged here: repository folder and shape, by VLNV."""
        self.blocks = BlockDesigner(self)
        self.packager = Packager(self)
        self.implementation = Implementation(self)
        self.repository = ""
        self.part = ""
        self.folder = Path()
        self.files: list[str] = []
        self.top = ""
        self.catalog_updated = False

    def __call__(self, name: str, words: list[str]) -> str:
        """Answer one command; raise CommandRefused for what Vivado has not, or would not do."""
        self.log.append((name, words))
        name = name.removeprefix("::")
        if name.startswith("ipx::"):
            return self.packager.command(name, words)
        for part in (self, self.blocks, self.implementation):
            method: Callable[[list[str]], str] | None = getattr(part, f"do_{name}", None)
            if method is not None:
                return method(words)
        raise CommandRefused(f'invalid command name "{name}"')

    def called(self, name: str) -> list[list[str]]:
        """Return the words of every call of a command."""
        return [words for command, words in self.log if command.removeprefix("::") == name]

    @staticmethod
    def parse(words: list[str], flags: str = "", values: str = "") -> tuple[dict[str, str], list[str]]:
        """Split words into options and the rest; refuse an option that is not in `flags` or `values`."""
        options: dict[str, str] = {}
        rest: list[str] = []
        at = 0
        while at < len(words):
            word = words[at]
            if re.fullmatch(r"-[a-z_]+", word):
                if word[1:] in flags.split():
                    options[word[1:]] = "1"
                elif word[1:] in values.split() and at + 1 < len(words):
                    at += 1
                    options[word[1:]] = words[at]
                else:
                    raise CommandRefused(f"unknown option '{word}'")
            else:
                rest.append(word)
            at += 1
        return options, rest

    # -- projects and files

    def do_version(self, words: list[str]) -> str:
        self.parse(words, flags="short")
        return self.release

    def do_create_project(self, words: list[str]) -> str:
        options, (_name, folder) = self.parse(words, flags="force", values="part")
        self.part, self.folder, self.files, self.top = options["part"], Path(folder), [], ""
        self.catalog_updated = False
        self.folder.mkdir(parents=True, exist_ok=True)
        return "project"

    def do_close_project(self, words: list[str]) -> str:
        self.part = ""
        return ""

    def do_current_project(self, words: list[str]) -> str:
        return "project"

    def do_current_fileset(self, words: list[str]) -> str:
        return "sources_1"

    def do_add_files(self, words: list[str]) -> str:
        _options, (files,) = self.parse(words, flags="norecurse", values="fileset")
        for name in split_list(files):
            if not Path(name).is_file():
                raise CommandRefused(f"file '{name}' does not exist")
            self.files.append(name)
        return files

    def do_update_compile_order(self, words: list[str]) -> str:
        self.parse(words, values="fileset")
        return ""

    def do_update_ip_catalog(self, words: list[str]) -> str:
        self.catalog_updated = True
        return ""

    def do_get_files(self, words: list[str]) -> str:
        _options, (name,) = self.parse(words)
        if self.design is None or name != f"{self.design.name}.bd":
            raise CommandRefused(f"no file {name}")
        return name

    def do_set_property(self, words: list[str]) -> str:
        if words[0] == "-dict":
            pairs, target = split_list(words[1]), words[2]
            if len(pairs) % 2:
                raise CommandRefused("-dict takes name value pairs")
        else:
            pairs, target = words[:2], words[2]
        for name, value in zip(pairs[::2], pairs[1::2], strict=True):
            self._set(name, value, target)
        return ""

    def _set(self, name: str, value: str, target: str) -> None:
        if target.startswith("ipx:"):
            self.packager.set_property(name, value, target)
        elif target == "project" and name == "ip_repo_paths":
            self.repository = value
        elif target == "sources_1" and name == "top":
            self.top = value
        elif self.design is not None and target in self.design.cells and name.startswith("CONFIG."):
            self.blocks.set_parameter(name, value, self.design.cells[target])
        else:
            raise CommandRefused(f"no property {name} on {target}")

    def do_get_property(self, words: list[str]) -> str:
        name, target = words
        if target.startswith("ipx:"):
            return self.packager.get_property(name, target)
        if target in self.implementation.runs:
            return self.implementation.get_property(name, target)
        if self.design is not None and target in self.design.cells:
            return self.blocks.get_parameter(name, self.design.cells[target])
        raise CommandRefused(f"no property {name} on {target}")

    @property
    def design(self) -> Design | None:
        """The block design, if one was created."""
        return self.blocks.design

    @property
    def core(self) -> Core:
        """The IP that was packaged."""
        assert self.packager.core is not None
        return self.packager.core
