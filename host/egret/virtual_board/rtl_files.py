"""The one list of the kernel's SystemVerilog sources, hls/rtl/files.f, which every tool reads."""

from __future__ import annotations

from pathlib import Path

LIST = "files.f"
"""The list beside the sources: a name a line, packages first, `//` before a comment (Verilator's `-F`)."""


def rtl_files(rtl: Path) -> list[Path]:
    """Return the sources in a folder in the order of its list; raises OSError where it has none."""
    lines = (rtl / LIST).read_text(encoding="utf-8").splitlines()
    return [rtl / name for name in lines if name and not name.startswith("//")]
