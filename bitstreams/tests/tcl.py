"""Runs Tcl scripts in a real interpreter whose unknown commands are answered by Python.

The interpreter is a child process: tclsh, or the Tcl inside Python's tkinter where there is no tclsh. Any
command that Tcl itself does not know goes to a Python function, with its arguments, over the child's standard
input and output, and the answer (or an error, which Tcl can catch) goes back. So a script for Vivado runs as
it stands.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

MISSING = (
    "the Tcl scripts are run in a Tcl interpreter and this machine has none: install the package tcl "
    "(on Debian or Ubuntu: apt install tcl)"
)

_TKINTER = "import sys, tkinter; tkinter.Tcl().eval('source {' + sys.argv[1] + '}')"

_MARK = "\x01"

# Arguments and answers cross as hexadecimal UTF-8, so that no character of theirs is special.
_HARNESS = """\
proc bridge_encode {text} {
    if {$text eq ""} { return - }
    binary scan [encoding convertto utf-8 $text] H* hexadecimal
    return $hexadecimal
}
proc bridge_decode {hexadecimal} {
    if {$hexadecimal eq "-"} { return "" }
    return [encoding convertfrom utf-8 [binary format H* $hexadecimal]]
}
proc unknown {args} {
    set line \\x01
    foreach word $args { append line " " [bridge_encode $word] }
    puts stdout $line
    flush stdout
    gets stdin answer
    lassign $answer kind value
    if {$kind eq "error"} { return -code error [bridge_decode $value] }
    return [bridge_decode $value]
}
# What a script would do to the machine is not part of a design, and what it would stop is this process.
foreach command {exec exit socket open} { catch {rename $command {}} }
fconfigure stdout -encoding utf-8
fconfigure stdin -encoding utf-8
"""


class TclError(Exception):
    """A script ended with an error; the text is Tcl's message, followed by where it happened."""


class CommandRefused(Exception):
    """Raised by a command's Python function: the text becomes the Tcl error message."""


@dataclass(frozen=True)
class Ended:
    """A script that ran to its end."""

    output: str
    """What it wrote with puts."""


def interpreter() -> list[str] | None:
    """Return the command line that runs the Tcl script named after it, or None without an interpreter."""
    tclsh = next((path for name in ("tclsh", "tclsh8.6", "tclsh9.0") if (path := shutil.which(name))), None)
    if tclsh is not None:
        return [tclsh]
    if importlib.util.find_spec("_tkinter") is not None:
        return [sys.executable, "-c", _TKINTER]
    return None


def run(script: Path, arguments: Sequence[str], command: Callable[[str, list[str]], str]) -> Ended:
    """Run `script` with `arguments` in argv; `command(name, words)` answers each command unknown to Tcl.

    Raises TclError if the script ends with an error; CommandRefused from `command` becomes a Tcl error.
    """
    program = interpreter()
    if program is None:
        raise RuntimeError(MISSING)
    with tempfile.TemporaryDirectory() as folder:
        harness = Path(folder) / "harness.tcl"
        words = " ".join("{" + argument + "}" for argument in arguments)
        harness.write_text(
            f"{_HARNESS}set argv [list {words}]\nset argc [llength $argv]\n"
            f"if {{[catch {{source {{{script}}}}} message options]}} {{\n"
            '    puts stdout "\\x01FAILED [bridge_encode [dict get $options -errorinfo]]"\n'
            '} else { puts stdout "\\x01ENDED" }\nflush stdout\n',
            encoding="utf-8",
        )
        child = subprocess.Popen(
            [*program, str(harness)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert child.stdin is not None and child.stdout is not None
        output = []
        try:
            for line in child.stdout:
                if not line.startswith(_MARK):
                    output.append(line)
                    continue
                words_sent = line[1:].split()
                if words_sent == ["ENDED"]:
                    return Ended("".join(output))
                if words_sent[0] == "FAILED":
                    raise TclError(_decode(words_sent[1]))
                name, *rest = [_decode(word) for word in words_sent]
                try:
                    answer = f"ok {_encode(command(name, rest))}"
                except CommandRefused as refusal:
                    answer = f"error {_encode(str(refusal))}"
                child.stdin.write(answer + "\n")
                child.stdin.flush()
            raise TclError("the interpreter ended before the script did:\n" + "".join(output))
        finally:
            child.stdin.close()
            child.stdout.close()
            child.kill()
            child.wait()


def _encode(text: str) -> str:
    return text.encode("utf-8").hex() or "-"


def _decode(word: str) -> str:
    return "" if word == "-" else bytes.fromhex(word).decode("utf-8")


def split_list(text: str) -> list[str]:
    """Return the elements of a Tcl list (braces, quotes and backslashes as in a list, no substitution)."""
    items: list[str] = []
    at, end = 0, len(text)
    while True:
        while at < end and text[at].isspace():
            at += 1
        if at >= end:
            return items
        if text[at] == "{":
            depth, start = 1, at + 1
            while depth:
                at += 1
                if at >= end:
                    raise ValueError(f"unbalanced braces in the Tcl list {text!r}")
                depth += {"{": 1, "}": -1}.get(text[at], 0)
            items.append(text[start:at])
            at += 1
        else:
            start = at
            while at < end and not text[at].isspace():
                at += 2 if text[at] == "\\" else 1
            word = text[start:at]
            items.append("".join(word[i] for i in range(len(word)) if word[i] != "\\" or word[i - 1] == "\\"))
