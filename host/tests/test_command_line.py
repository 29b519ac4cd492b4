"""How a command line ends: one sentence and a status, whatever stops it, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from egret import command_line
from egret.board.boards import board_names, board_profile
from egret.cli import main
from egret.errors import EgretError
from egret.installation import CHECKOUT
from egret.synthetic.calibrated import random_checkpoint
from egret.text.outline import outline
from egret.text.printable import printable
from egret.text.vocabulary import Vocabulary
from egret.text.word_stream import WordStream

HOST = CHECKOUT / "host"
ESCAPE = "\x1b]0;owned\x07\x1b[31m"


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(HOST), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "program",
    [
        "import egret; egret.EgretError; egret.open",
        "from egret.cli import main; main(['--help'])",
        "from egret.cli import main; main(['boards'])",
    ],
)
def test_what_needs_no_arrays_starts_without_numpy(program: str) -> None:
    loaded = f"{program}; import sys; sys.exit('numpy' in sys.modules)"
    process = start("-c", loaded)
    assert process.communicate()[1] == "" and process.returncode == 0


def test_ctrl_c_during_the_imports_is_a_sentence() -> None:
    program = (
        "import sys\n"
        "class Slow:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'numpy': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Slow())\n"
        "sys.argv = ['egret', 'inspect', 'x']\n"
        "from egret.cli import entry_point\n"
        "entry_point()\n"
    )
    process = start("-c", program)
    assert process.communicate() == ("", "egret: interrupted.\n")
    assert process.returncode == command_line.INTERRUPTED


def test_a_closed_standard_output_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", None)
        assert main(["boards"]) == command_line.WRONG_INPUT
    assert capsys.readouterr().err.startswith("egret: the standard output is closed")


def test_a_sentence_is_one_line_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> int:
        raise EgretError(f"The file says {ESCAPE}\nand more.")

    assert command_line.status_of("egret", fails) == 2
    error = capsys.readouterr().err
    assert error.endswith("and more.\n") and error.count("\n") == 1 and "\x1b" not in error


def test_nothing_of_a_file_controls_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = random_checkpoint([6, 5], 4, 7, seed=2, name=f"name{ESCAPE}", decoder_weight_bits=4)
    checkpoint.metadata = {f"key{ESCAPE}": f"value{ESCAPE}", "deep": [{f"k{ESCAPE}": [f"v{ESCAPE}"]}]}
    model, image = tmp_path / "model.npz", tmp_path / "model.image"
    checkpoint.save(model)
    assert main(["inspect", str(model)]) == 0
    assert main(["pack", str(model), "-o", str(image)]) == 0
    assert main(["inspect", str(image)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("name\N{REPLACEMENT CHARACTER}") == 3
    assert "\x1b" not in printed and "\x07" not in printed


def test_sigterm_leaves_no_folder_that_was_compiling(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    program = (
        "from egret.command_line import process\n"
        "from egret.profiles import Build\n"
        "from egret.virtual_board.build import library_path\n"
        "process(lambda _: print(library_path(Build())))\n"
    )
    process = start("-c", program, XDG_CACHE_HOME=str(cache))
    compiling: list[Path] = []
    deadline = time.monotonic() + 120
    while not compiling and process.poll() is None and time.monotonic() < deadline:
        compiling = list(cache.glob("egret/virtual_board/compiling-*/model"))
        time.sleep(0.05)
    assert compiling, process.communicate()
    process.send_signal(signal.SIGTERM)
    output, error = process.communicate(timeout=60)
    assert process.returncode == command_line.TERMINATED, error
    assert "Traceback" not in error
    assert [path.name for path in cache.glob("egret/virtual_board/*") if path.suffix != ".lock"] == []


@pytest.mark.parametrize("name", board_names())
def test_a_boards_name_is_known_in_any_case(name: str) -> None:
    assert board_profile(name.upper()) == board_profile(name)
    assert board_profile(name.title()) == board_profile(name)


def test_words_come_as_the_tokens_do_and_break_at_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["<eos>", *(f"word{i}" for i in range(30)), f"odd{ESCAPE}"]
    vocabulary = Vocabulary(words)
    tokens = [*range(1, 25), 0, 3, 0, 31, 4]
    whole, parts = WordStream("generated:", vocabulary.decode), WordStream("generated:", vocabulary.decode)
    whole.add(tokens)
    whole.end()
    at_once = capsys.readouterr().out
    for token in tokens:
        parts.add([token])
        printed = capsys.readouterr().out
        assert printed == at_once[: len(printed)] and (
            token == 0 or printed.endswith(printable(words[token]))
        )
        at_once = at_once[len(printed) :]
    parts.end()
    assert capsys.readouterr().out == at_once == "\n"
    whole = WordStream("prompt:", vocabulary.decode)
    whole.add(tokens)
    whole.end()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("prompt:     word0 word1 ") and max(map(len, lines)) <= 100
    assert [line.split() for line in lines[-2:]] == [["word2"], [printable(words[31]), "word3"]]
    assert all(line.startswith(" " * 12) for line in lines[1:]) and "\x1b" not in "".join(lines)


def test_an_object_is_laid_out_a_line_a_value() -> None:
    value = {
        "name": "a",
        "steps": [1000, 2.5],
        "phases": [{"epochs": 3, "pruned": False}, {"epochs": 12345, "pruned": None}],
        "figures": {"valid": {"perplexity": 110.7334567, "macs": 5658624.0}},
        "about": "long " * 40,
    }
    lines = list(outline(value))
    assert [line.split() for line in lines[:9]] == [
        ["name", "a"],
        ["steps", "1,000,", "2.5"],
        ["phases", "1"],
        ["epochs", "3"],
        ["pruned", "no"],
        ["phases", "2"],
        ["epochs", "12,345"],
        ["pruned", "-"],
        ["figures"],
    ]
    assert [line.split() for line in lines[9:12]] == [
        ["valid"],
        ["perplexity", "110.733"],
        ["macs", "5,658,624"],
    ]
    values = [line for line in lines if len(line.split()) > 1 and "phases" not in line]
    assert all(line[34] == " " != line[35] for line in values)
    assert max(map(len, lines)) <= 100 and "{" not in "".join(lines)
