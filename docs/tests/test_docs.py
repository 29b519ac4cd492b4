"""What the documents point at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bitstreams import REPOSITORY as ROOT

PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", *ROOT.glob("*/README.md")])
MADE = ("build", "egret.bit", "egret.hwh", "UNIT")
"""Parts of paths that a build makes, or that stand for several."""


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page: Path) -> None:
    folders = "|".join(("bitstreams", "docs", "hls", "host", "models", "tb", "training"))
    for name in re.findall(rf"`((?:{folders})/[\w./*-]+)`", page.read_text(encoding="utf-8")):
        if not any(part in name for part in MADE):
            assert list(ROOT.glob(name.rstrip("/"))), f"{page.name} names {name}, which is not there"


def units() -> dict[str, tuple[str, str]]:
    """The architecture page's table of units: what it says of each in hls/src and in host/egret."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|([^|]*)\|$", text, re.MULTILINE)
    return {unit: (cpp, python) for unit, cpp, python in rows}


def test_every_module_of_the_rtl_is_a_unit() -> None:
    modules = {path.stem for path in (ROOT / "hls" / "rtl").glob("*.sv") if not path.stem.endswith("_pkg")}
    assert set(units()) == modules


@pytest.mark.parametrize("unit", units())
def test_a_unit_is_where_the_page_says(unit: str) -> None:
    cpp, python = units()[unit]
    for file, names in re.findall(r"`(\w+\.[ch]pp)`: ([^;]+)", cpp):
        source = (ROOT / "hls" / "src" / file).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"\b{name}\b", source), f"{file} has no {name}"
    for module, name in re.findall(r"`([\w.]+)\.(\w+)`", python):
        source = (ROOT / "host" / "egret" / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert re.search(rf"^(def|class) {name}\b|^{name}\b.* = ", source, re.MULTILINE), f"{module}: {name}"


def test_every_source_of_the_hls_kernel_belongs_to_a_unit() -> None:
    named = {file for cpp, _ in units().values() for file in re.findall(r"`(\w+\.[ch]pp)`", cpp)}
    assert {path.name for path in (ROOT / "hls" / "src").glob("*.cpp")} <= named


def test_units_with_a_proof_are_named() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"^`hls/formal`: ([^.]+)\.$", text, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", sentence))
    proofs = {path.stem for path in (ROOT / "hls" / "formal").glob("*_properties.sv")}
    assert named == {unit for unit in units() if any(proof.startswith(f"{unit}_") for proof in proofs)}
