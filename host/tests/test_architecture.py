"""The rooms of the host package: who may import whom. Arrows point one way, and none is there for nothing."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from egret.installation import CHECKOUT

HOST = CHECKOUT / "host"

ROOMS: dict[str, str] = {
    "core": "",
    "text": "core",
    "command_line": "core text",
    "image": "core text",
    "virtual_board": "core",
    "board": "core image virtual_board",
    "reference": "core image board",
    "synthetic": "core reference image",
    "account": "core image board reference",
    "self_test": "core image board reference synthetic",
    "report": "core text image board reference account",
    "bench": "core image virtual_board board reference synthetic account",
    "network": "core text image board",
    "face": "core image network",
    "commands": "core text command_line image board reference synthetic account self_test report bench "
    "network",
    "cli": "command_line commands",
}
"""What each room imports. Rooms are the folders of host/egret, and of its own modules those that stand above
the folders; the others are the core."""

MODULES_ABOVE = {
    "": "face",
    "network": "network",
    "command_line": "command_line",
    "cli": "cli",
    "__main__": "cli",
}


def room_of(module: str) -> str:
    name = module.partition(".")[2].split(".")[0]
    return name if name in ROOMS else MODULES_ABOVE.get(name, "core")


def modules(package: str, root: Path) -> dict[str, set[str]]:
    """Return what each module of a package imports from it or any other here, wherever the import stands."""
    found = {}
    for path in sorted((root / package).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0 and node.module is not None, f"{path} imports by a relative name"
                names |= {_module(root, node.module, alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
        found[name] = names - {name}
    return found


def _module(root: Path, base: str, name: str) -> str:
    """Return `base.name` if that is a module, else `base`, which defines the name."""
    path = root.joinpath(*base.split("."), name)
    return f"{base}.{name}" if path.with_suffix(".py").is_file() or path.is_dir() else base


IMPORTS = {
    name: {other for other in others if other.split(".")[0] == "egret"}
    for name, others in modules("egret", HOST).items()
}


def test_every_folder_is_a_room() -> None:
    folders = {path.parent.name for path in (HOST / "egret").glob("*/__init__.py")}
    assert folders == set(ROOMS) - {"core", *MODULES_ABOVE.values()}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_the_table_says(room: str) -> None:
    arrows: dict[str, list[str]] = {}
    for name, others in IMPORTS.items():
        for other in others:
            if room_of(name) == room != room_of(other):
                arrows.setdefault(room_of(other), []).append(f"{name} imports {other}")
    allowed = set(ROOMS[room].split())
    assert {other: arrows[other] for other in arrows.keys() - allowed} == {}, "the table has no such arrow"
    assert allowed <= arrows.keys(), "the table has an arrow that nothing needs"


def test_arrows_point_one_way() -> None:
    # Each raises CycleError, which names the circle.
    list(TopologicalSorter({room: others.split() for room, others in ROOMS.items()}).static_order())
    list(TopologicalSorter(IMPORTS).static_order())


@pytest.mark.parametrize(
    ("package", "root", "allowed"),
    [("egret", HOST, set()), ("egret_training", CHECKOUT / "training", {"egret"})],
    ids=["egret", "egret_training"],
)
def test_what_is_installed_needs_nothing_of_the_checkout(package: str, root: Path, allowed: set[str]) -> None:
    ours = {"egret", "egret_training", "bitstreams", "hls", "host", "tb", "training"} - {package}
    for name, others in modules(package, root).items():
        outside = {other for other in others if other.split(".")[0] in ours - allowed}
        assert outside == set(), f"{name} imports {sorted(outside)}"
