"""Runs Tcl scripts in tclsh, with every command that Tcl itself does not know answered by a Python function.

The commands cross over the interpreter's standard input and output, so a script for Vivado runs as it stands.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

MISSING = (
    "the Tcl scripts are run in a Tcl interpreter and this machine has none: install the package tcl "
    "(on Debian or Ubuntu: apt install tcl)"
)

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
foreach command {exec exit socket} { catch {rename $command {}} }
"""


class TclError(Exception):
    """A script ended with an error; the text is Tcl's message, followed by where it happened."""


class CommandRefused(Exception):
    """Raised by a command's Python function: the text becomes the Tcl error message."""


def interpreter() -> str | None:
    """Return the path of a Tcl interpreter, or None where there is none."""
    return next((path for name in ("tclsh", "tclsh8.6", "tclsh9.0") if (path := shutil.which(name))), None)


def run(script: Path, arguments: Sequence[str], command: Callable[[str, list[str]], str]) -> None:
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
        pipe = subprocess.PIPE
        with subprocess.Popen([program, str(harness)], stdin=pipe, stdout=pipe, text=True) as child:
            assert child.stdin is not None and child.stdout is not None
            for line in child.stdout:
                if not line.startswith(_MARK):
                    continue
                sent = line[1:].split()
                if sent == ["ENDED"]:
                    return
                if sent[0] == "FAILED":
                    raise TclError(_decode(sent[1]))
                name, *rest = [_decode(word) for word in sent]
                try:
                    answer = f"ok {_encode(command(name, rest))}"
                except CommandRefused as refusal:
                    answer = f"error {_encode(str(refusal))}"
                child.stdin.write(answer + "\n")
                child.stdin.flush()
    raise TclError("the interpreter ended before the script did")


def _encode(text: str) -> str:
    return text.encode("utf-8").hex() or "-"


def _decode(word: str) -> str:
    return "" if word == "-" else bytes.fromhex(word).decode("utf-8")


def split_list(text: str) -> list[str]:
    """Return the elements of a Tcl list of plain and braced words (no quotes, no backslashes)."""
    items, depth, word, braced = [], 0, "", False
    for character in text + " ":
        if character.isspace() and not depth:
            if word or braced:
                items.append(word)
            word, braced = "", False
            continue
        depth += {"{": 1, "}": -1}.get(character, 0)
        if (character == "{" and depth == 1 and not word) or (character == "}" and not depth):
            braced = True
            continue
        word += character
    return items
