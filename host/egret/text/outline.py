"""What JSON holds, laid out for people: a line for each value, indented under its name."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from egret.text.printable import printable

_WIDTH, _NAME = 100, 34


def outline(value: Mapping[str, Any], indent: int = 2) -> Iterator[str]:
    """Yield the lines of an object: plain values beside their names, objects and lists of them below.

    Control characters are replaced: they would reach the terminal.
    """
    for key, item in value.items():
        name = " " * indent + printable(str(key))
        if isinstance(item, Mapping) and item:
            yield name
            yield from outline(item, indent + 2)
        elif isinstance(item, (list, tuple)) and any(
            isinstance(each, (Mapping, list, tuple)) for each in item
        ):
            for number, each in enumerate(item, 1):
                yield f"{name} {number}"
                yield from outline(each if isinstance(each, Mapping) else {"": each}, indent + 2)
        else:
            label = f"{name:<{_NAME}} "
            lines = textwrap.wrap(_plain(item), max(_WIDTH - len(label), 20)) or ["-"]
            yield label + lines[0]
            yield from (" " * len(label) + line for line in lines[1:])


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.6g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_plain, value))
    if value is None or value == {}:
        return ""
    return printable(" ".join(str(value).split()))
