"""The bridge between a Tcl interpreter and Python, which the other tests stand on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tcl


@pytest.fixture(params=["tclsh", "tkinter"])
def interpreter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each kind of interpreter that this machine has."""
    if request.param == "tkinter":
        monkeypatch.setattr(shutil, "which", lambda name: None)
    program = tcl.interpreter()
    if program is None or (request.param == "tkinter") != ("-c" in program):
        pytest.skip(f"this machine has no {request.param}")
    return str(request.param)


def execute(text: str, folder: Path) -> tuple[list[list[str]], str]:
    """Run Tcl text; return the commands that reached Python, and the output."""
    calls = []

    def answer(name: str, words: list[str]) -> str:
        calls.append([name, *words])
        if name == "refuse":
            raise tcl.CommandRefused("not today")
        return f"<{name}>"

    script = folder / "script.tcl"
    script.write_text(text, encoding="utf-8")
    return calls, tcl.run(script, ["one", "two words"], answer).output


def test_commands_cross_with_their_words_whatever_is_in_them(interpreter: str, tmp_path: Path) -> None:
    calls, output = execute('puts [ask {a {b c} d} "" "line\nbreak" $argv]\nputs [ns::ask \u00e9]', tmp_path)
    assert calls == [
        ["ask", "a {b c} d", "", "line\nbreak", "one {two words}"],
        ["ns::ask", "\u00e9"],
    ]
    assert output == "<ask>\n<ns::ask>\n"


def test_a_refused_command_is_an_error_that_tcl_can_catch(interpreter: str, tmp_path: Path) -> None:
    _calls, output = execute("catch {refuse} message\nputs $message", tmp_path)
    assert output == "not today\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("proc deep {} {refuse}\ndeep", 'not today(.|\n)*procedure "deep" line 1'),
        ("set x $nothing", "no such variable"),
        ("if {1} {", "missing close-brace"),
        ("error {a sentence}", "a sentence"),
    ],
)
def test_an_error_ends_the_script(interpreter: str, text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(tcl.TclError, match=complaint):
        execute(text, tmp_path)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", []),
        ("a  b\nc", ["a", "b", "c"]),
        ("CONFIG.X {MIO 1 .. 6} CONFIG.Y {}", ["CONFIG.X", "MIO 1 .. 6", "CONFIG.Y", ""]),
        ("{a {b c}} d\\ e", ["a {b c}", "d e"]),
    ],
)
def test_lists_are_split_as_tcl_splits_them(text: str, items: list[str]) -> None:
    assert tcl.split_list(text) == items
