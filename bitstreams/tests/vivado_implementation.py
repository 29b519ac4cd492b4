"""The commands of the stub of Vivado that turn a block design into a bitstream, or pretend to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tcl import CommandRefused

if TYPE_CHECKING:
    from vivado import Vivado


class Implementation:
    """Keeps the runs of a session, and which of them is open."""

    def __init__(self, vivado: Vivado) -> None:
        self.vivado = vivado
        self.runs: dict[str, str] = {}
        self.open = ""

    def get_property(self, name: str, run: str) -> str:
        """Return how a run ended."""
        values = {
            "PROGRESS": self.vivado.progress,
            "STATUS": self.runs[run],
            "STATS.WNS": self.vivado.setup_slack,
            "STATS.WHS": self.vivado.hold_slack,
        }
        if name not in values:
            raise CommandRefused(f"no property {name} on {run}")
        return values[name]

    def do_generate_target(self, words: list[str]) -> str:
        (what, _file) = words
        design = self.vivado.blocks.current()
        if what != "all" or not design.validated:
            raise CommandRefused("generate a validated design")
        if not self.vivado.writes_handoff:
            return ""
        handoff = self.vivado.folder / "egret.gen" / "sources_1" / "bd" / design.name / "hw_handoff"
        handoff.mkdir(parents=True)
        (handoff / f"{design.name}.hwh").write_text("a handoff\n", encoding="utf-8")
        return ""

    def do_make_wrapper(self, words: list[str]) -> str:
        self.vivado.parse(words, flags="top", values="files")
        wrapper = self.vivado.folder / f"{self.vivado.blocks.current().name}_wrapper.v"
        wrapper.write_text("a wrapper\n", encoding="utf-8")
        return str(wrapper)

    def do_launch_runs(self, words: list[str]) -> str:
        _options, (run,) = self.vivado.parse(words, values="jobs to_step")
        if run not in ("synth_1", "impl_1") or (run == "impl_1" and "synth_1" not in self.runs):
            raise CommandRefused(f"run {run} cannot be launched")
        if self.vivado.top != f"{self.vivado.blocks.current().name}_wrapper":
            raise CommandRefused(f"the top module is {self.vivado.top!r}")
        self.runs[run] = "launched"
        return ""

    def do_wait_on_run(self, words: list[str]) -> str:
        (run,) = words
        self.runs[run] = "complete"
        return ""

    def do_get_runs(self, words: list[str]) -> str:
        (run,) = words
        if run not in self.runs:
            raise CommandRefused(f"no run {run}")
        return run

    def do_open_run(self, words: list[str]) -> str:
        (self.open,) = words
        if self.runs.get(self.open) != "complete":
            raise CommandRefused(f"run {self.open} is not complete")
        return ""

    def _report(self, words: list[str], flags: str = "", values: str = "") -> str:
        options, rest = self.vivado.parse(words, flags, f"file {values}")
        if self.open != "impl_1" or rest:
            raise CommandRefused("reports are of the open run")
        Path(options["file"]).write_text("a report\n", encoding="utf-8")
        return ""

    def do_report_timing_summary(self, words: list[str]) -> str:
        return self._report(words, values="delay_type max_paths")

    def do_report_utilization(self, words: list[str]) -> str:
        return self._report(words, flags="hierarchical")

    def do_report_clocks(self, words: list[str]) -> str:
        return self._report(words)

    def do_report_power(self, words: list[str]) -> str:
        return self._report(words)

    def do_write_bitstream(self, words: list[str]) -> str:
        _options, (path,) = self.vivado.parse(words, flags="force")
        if self.open != "impl_1":
            raise CommandRefused("no implemented design is open")
        Path(path).write_text("a bitstream\n", encoding="utf-8")
        return ""
