"""The report of a synthesis: what is taken of the part, the longest paths, and what exceeds a limit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from hls.tools.synthesis.parts import Part
from hls.tools.synthesis.paths import Path
from hls.tools.synthesis.resources import Resources


@dataclass(frozen=True)
class Limits:
    """Shares of the part that may be taken, and the logic levels that a path may have."""

    luts: float = 0.50
    block_memories: float = 0.92
    dsps: float = 0.40
    levels: int = 12


@dataclass(frozen=True)
class Report:
    """All that was found out about one build."""

    board: str
    part: Part
    clock_mhz: float
    units: dict[str, Resources]
    modules: dict[str, tuple[int, Resources]]
    deepest: list[Path]
    slowest: list[Path]
    outside_block_memory: list[str]
    limits: Limits

    @property
    def total(self) -> Resources:
        """What the whole kernel takes."""
        return sum(self.units.values(), Resources())

    def shares(self) -> dict[str, tuple[float, int, float | None]]:
        """Return for each resource how much is taken, of how much, and the share that may be."""
        total, part, limits = self.total, self.part, self.limits
        return {
            "LUT": (total.luts, part.luts, limits.luts),
            "FF": (total.flip_flops, part.flip_flops, None),
            "BRAM36": (total.block_memories, part.block_memories, limits.block_memories),
            "DSP": (total.dsps, part.dsps, limits.dsps),
        }

    def violations(self) -> list[str]:
        """Return a sentence for each limit that is exceeded."""
        sentences = [
            f"{name}: {taken:g} of {available} is {taken / available:.1%}, more than {share:.0%}."
            for name, (taken, available, share) in self.shares().items()
            if share is not None and taken > share * available
        ]
        sentences += [
            f"{path.start} to {path.end}: {path.levels} logic levels, more than {self.limits.levels}."
            for path in self.deepest
            if path.levels > self.limits.levels
        ]
        sentences += [f"{name} is not in block RAM." for name in self.outside_block_memory]
        return sentences

    def text(self) -> str:
        """Return the report for people."""
        lines = [f"Egret kernel for {self.board} on {self.part.name}, synthesised by Yosys", ""]
        lines.append(f"{'':20}{'taken':>9}{'of':>9}{'share':>8}{'limit':>8}")
        for name, (taken, available, share) in self.shares().items():
            limit = "" if share is None else f"{share:.0%}"
            lines.append(f"{name:20}{taken:9g}{available:9}{taken / available:8.1%}{limit:>8}")
        lines += ["", f"{'unit':20}{'number':>7}{'LUT':>8}{'as RAM':>8}{'FF':>8}{'BRAM36':>8}{'DSP':>6}"]
        for module, (number, of_unit) in sorted(self.modules.items(), key=lambda item: -item[1][1].luts):
            lines.append(
                f"{module:20}{number:7}{of_unit.luts:8}{of_unit.lut_memories:8}{of_unit.flip_flops:8}"
                f"{of_unit.block_memories:8g}{of_unit.dsps:6}"
            )
        lines += ["", f"Deepest paths (logic levels, limit {self.limits.levels}; estimated ns)"]
        lines += [_path(path) for path in self.deepest]
        lines += [
            "",
            f"Slowest paths by estimated delay (the clock's period is {1000 / self.clock_mhz:.2f} ns)",
        ]
        lines += [_path(path) for path in self.slowest]
        lines.append("")
        lines += self.violations() or ["All limits are kept."]
        return "\n".join(lines) + "\n"

    def json(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "board": self.board,
            "part": self.part.name,
            "clock_mhz": self.clock_mhz,
            "limits": asdict(self.limits),
            "taken": {name: taken for name, (taken, _, _) in self.shares().items()},
            "available": {name: available for name, (_, available, _) in self.shares().items()},
            "units": {unit: _numbers(taken) for unit, taken in self.units.items()},
            "modules": {
                module: {"instances": number, **_numbers(taken)}
                for module, (number, taken) in self.modules.items()
            },
            "deepest": [asdict(path) for path in self.deepest],
            "slowest": [asdict(path) for path in self.slowest],
            "violations": self.violations(),
        }


def _numbers(taken: Resources) -> dict[str, float]:
    return {
        "LUT": taken.luts,
        "LUT as RAM": taken.lut_memories,
        "FF": taken.flip_flops,
        "BRAM36": taken.block_memories,
        "DSP": taken.dsps,
    }


def _path(path: Path) -> str:
    runs = [(kind, len(list(group))) for kind, group in groupby(path.through)]
    through = " ".join(kind if number == 1 else f"{number} x {kind}" for kind, number in runs)
    return (
        f"{path.levels:4} {path.nanoseconds:6.2f}  {path.start} -> {path.end}\n{'':13}{through or 'a wire'}"
    )
