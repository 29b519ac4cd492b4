"""The page of what goes wrong quotes Egret: each sentence must be in the sources, in the same words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from egret import contract
from egret.board.driver import KernelError
from egret.installation import CHECKOUT as ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
QUOTED = re.findall(r"^\*\*`(.+)`\*\*$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
ANYTHING = "\0"


def strings(tree: ast.AST) -> Iterator[str]:
    """Yield the strings of a Python source as the interpreter joins them, ANYTHING for what is filled in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else ANYTHING for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def pattern(text: str) -> str:
    return "".join(".*" if part == ANYTHING else re.escape(part) for part in re.split(f"({ANYTHING})", text))


@pytest.fixture(scope="module")
def patterns() -> list[re.Pattern[str]]:
    """What Egret can say, as regular expressions."""
    found = []
    for folder in ("host/egret", "training/egret_training"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            # Shorter ones would match where they are not what is meant.
            found += [pattern(text) for text in strings(tree) if len(text.replace(ANYTHING, "")) >= 20]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found += [re.escape(text) for text in re.findall(r'echo "(Egret needs [^"]+)"', makefile)]
    return [re.compile(each) for each in found]


def test_the_page_quotes_something() -> None:
    assert len(QUOTED) > 30
    assert len(QUOTED) == len(set(QUOTED))


@pytest.mark.parametrize("quoted", QUOTED)
def test_every_sentence_is_one_that_egret_prints(quoted: str, patterns: list[re.Pattern[str]]) -> None:
    if quoted == "No devices found, is the XRT environment sourced?":
        pynq = pytest.importorskip("pynq", reason="it is pynq's")
        source = Path(pynq.__file__).parent / "pl_server" / "device.py"
        assert quoted in source.read_text(encoding="utf-8")
        return
    stopped = re.fullmatch(r"The kernel stopped … with (\w+) \(code (\d+)\): …", quoted)
    if stopped is not None:
        said = str(KernelError(contract.COMMAND_LOAD, int(stopped[2])))
        assert said.startswith(f"The kernel stopped LOAD with {stopped[1]} (code {stopped[2]}): ")
        return
    # A sentence may go on where the page ends with an ellipsis, and … may stand for several parts.
    wanted = re.compile(pattern(quoted.replace("…", ANYTHING)))
    assert any(each.fullmatch(quoted) for each in patterns) or any(
        wanted.match(_as_said(each)) for each in patterns
    ), f"nothing in the sources says: {quoted}"


def _as_said(each: re.Pattern[str]) -> str:
    return re.sub(r"\\(.)", r"\1", each.pattern.replace(".*", "…"))


def test_an_invented_sentence_would_be_noticed(patterns: list[re.Pattern[str]]) -> None:
    with pytest.raises(AssertionError, match="nothing in the sources"):
        test_every_sentence_is_one_that_egret_prints(
            "The board has … wheels, and one of them is flat.", patterns
        )
    with pytest.raises(AssertionError, match="nothing in the sources"):
        test_every_sentence_is_one_that_egret_prints("The image was packed for another board: …", patterns)
