"""The list of the kernel's sources is whole, and in an order that any front end can read."""

from __future__ import annotations

from pathlib import Path

from egret.virtual_board.rtl_files import rtl_files

RTL = Path(__file__).resolve().parent.parent / "rtl"


def test_every_source_is_listed_once() -> None:
    listed = rtl_files(RTL)
    assert sorted(listed) == sorted(RTL.glob("*.sv"))


def test_packages_come_first() -> None:
    kinds = [path.stem.endswith("_pkg") for path in rtl_files(RTL)]
    assert kinds == sorted(kinds, reverse=True) and kinds[0]
