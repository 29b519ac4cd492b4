"""Colours of the report, on light and on dark ground, and matplotlib to draw with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from egret.account.matrices import SECTIONS
from egret.errors import EgretError
from egret.installation import how_to_install


@dataclass(frozen=True)
class Theme:
    """One set of colours; text has a contrast of at least 4.5 to 1 to the ground (WCAG 2, level AA)."""

    name: str
    ground: str
    text: str
    muted: str
    grid: str
    accent: str
    """What was measured."""
    theory: str
    """What stands on paper."""
    layers: tuple[str, ...]
    sections: tuple[str, str, str, str]
    lost: dict[str, str]
    """By part of egret.account.cycles."""

    def layer(self, index: int) -> str:
        """Return the colour of a layer."""
        return self.layers[index % len(self.layers)]

    def section(self, name: str) -> str:
        """Return the colour of one of SECTIONS."""
        return self.sections[SECTIONS.index(name)]


LIGHT = Theme(
    name="light",
    ground="#ffffff",
    text="#1c2127",
    muted="#5c6670",
    grid="#e6e9ed",
    accent="#0b6e8a",
    theory="#a9b2bc",
    layers=("#0b6e8a", "#b54f0a", "#6741d9", "#26803a", "#a61e4d", "#1864ab", "#806600", "#495057"),
    sections=("#7a8591", "#74c0dd", "#2b8fb3", "#0a4f66"),
    lost={
        "beats": "#0b6e8a",
        "bandwidth": "#c9d0d7",
        "latency": "#e8590c",
        "update": "#f2b134",
        "write": "#9c36b5",
        "control": "#c92a2a",
    },
)
DARK = Theme(
    name="dark",
    ground="#171b20",
    text="#e8ebee",
    muted="#a2adb8",
    grid="#2d343b",
    accent="#4cc3e0",
    theory="#66717d",
    layers=("#4cc3e0", "#ffa559", "#b197fc", "#69db7c", "#faa2c1", "#74c0fc", "#e8c547", "#ced4da"),
    sections=("#8d99a5", "#b5e3f2", "#4cc3e0", "#2188a5"),
    lost={
        "beats": "#4cc3e0",
        "bandwidth": "#4a545e",
        "latency": "#ff8a4c",
        "update": "#f5c55c",
        "write": "#d27be8",
        "control": "#ff6b6b",
    },
)


def load_pyplot() -> Any:
    """Return matplotlib.pyplot, drawing to files only; raises EgretError where matplotlib is missing."""
    try:
        import matplotlib
    except ImportError as error:
        raise EgretError(
            f"A report needs matplotlib, which is missing here; {how_to_install('plots')} (or take the saved "
            "run to a PC that has it)."
        ) from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    return pyplot


def short_numbers(axis: Any) -> None:
    """Have an axis of matplotlib, x or y, say 10 k and 1 M."""
    from matplotlib.ticker import EngFormatter, NullFormatter

    axis.set_major_formatter(EngFormatter(sep=" "))
    axis.set_minor_formatter(NullFormatter())


def settings(theme: Theme) -> dict[str, Any]:
    """Return the matplotlib settings of a theme."""
    return {
        "figure.facecolor": theme.ground,
        "figure.constrained_layout.use": True,
        "savefig.facecolor": theme.ground,
        "axes.facecolor": theme.ground,
        "axes.edgecolor": theme.grid,
        "axes.labelcolor": theme.muted,
        "axes.titlecolor": theme.text,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.labelsize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": False,
        "grid.color": theme.grid,
        "xtick.color": theme.grid,
        "ytick.color": theme.grid,
        "xtick.labelcolor": theme.muted,
        "ytick.labelcolor": theme.muted,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "text.color": theme.text,
        "text.parse_math": False,  # words may hold dollar signs
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "svg.fonttype": "path",  # the same everywhere, and words stay drawings
        "svg.hashsalt": "egret",
        "path.simplify_threshold": 0.5,
    }
