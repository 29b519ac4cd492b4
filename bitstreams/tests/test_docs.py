"""What the documents point at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import vivado_inputs

ROOT = vivado_inputs.REPOSITORY
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "bitstreams" / "README.md"])


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name} points at {target}, which is not there"
        if anchor:
            assert anchor in anchors(path), (
                f"{page.name} points at {target}, but {path.name} has no such heading"
            )


def test_units_of_the_architecture_page_are_those_of_the_rtl() -> None:
    """The table of units lists every module that is not a building block or generated."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    modules = {path.stem for path in (ROOT / "hls" / "rtl").glob("*.sv") if not path.stem.endswith("_pkg")}
    assert modules - listed == {"block_memory", "sync_fifo", "gate_tables"}
    assert listed <= modules
