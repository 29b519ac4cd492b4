"""The live view of a run: a line for each token, on any kind of stream."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest

from egret.board.results import Counters, Run
from egret.commands.live_view import LiveView, Style
from egret.text.printable import fit, printable

WORDS = ["<eos>", "the", "\x1b[31mred", "漢字漢字漢字漢字漢字", "incomprehensibilities", "naïve"]
PLAIN = Style(width=100, colour=False, blocks=True, encoding="utf-8")
ESCAPES = re.compile(r"\x1b\[\d+m")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def run(events: list[list[int]]) -> Run:
    count = len(events)
    return Run(
        tokens=np.arange(count, dtype=np.uint32) % np.uint32(len(WORDS)),
        argmax=np.zeros(count, dtype=np.uint32),
        logit=np.zeros(count, dtype=np.int32),
        cycles=np.arange(1, count + 1, dtype=np.uint32) * np.uint32(1000),
        events=np.array(events, dtype=np.uint16),
        logits=None,
        counters=Counters.zero(),
    )


def test_each_token_gets_its_word_its_events_and_its_cycles() -> None:
    view = LiveView([300, 60], WORDS, timed=True, style=PLAIN)
    lines = list(view.lines(run([[50, 10], [0, 1]]), given=2))
    assert view.header().split() == "token word layer 0 (300) layer 1 (60) cycles".split()
    assert [part for part in lines[0].split() if "█" not in part] == ["1", "<eos>", "50", "10", "1,000"]
    assert lines[1].split()[:3] == ["2", "the", "0"]  # nothing is drawn for no event
    assert lines[1].split()[4:] == ["1", "2,000"]
    # Both layers fire to a sixth: half of a third.
    first, second = re.findall("█+[▏▎▍▌▋▊▉]?", lines[0])
    assert first == second
    full = next(view.lines(run([[100, 60]]), given=0))
    bars = re.findall("█+>?", full)
    assert len(bars[0]) == pytest.approx(2 * len(first), abs=1)
    assert len(bars[1]) == len(bars[0]) and bars[1].endswith(">")  # more than a third
    assert full.split()[0] == "3"  # the count goes on


def test_the_columns_stand_under_each_other_and_fit_the_page() -> None:
    for width in (40, 60, 80, 100, 200):
        for neurons in ([512, 384], [10] * 8, [1350, 1350, 750]):
            style = Style(width=width, colour=False, blocks=True, encoding="utf-8")
            view = LiveView(neurons, ["word"], timed=True, style=style)
            part = run([[count // 7 for count in neurons], list(neurons)])
            part.tokens[:] = 0
            lines = [view.header(), *view.lines(part, given=1)]
            assert len({len(line) for line in lines}) == 1, (width, neurons)
            if width >= 40 + 8 * len(neurons):
                assert len(lines[0]) < width, (width, neurons)


def test_without_a_clock_there_is_no_column_for_it() -> None:
    view = LiveView([10], WORDS, timed=False, style=PLAIN)
    assert "cycles" not in view.header()
    assert next(view.lines(run([[5]]), given=1)).split()[-1] == "5"


def test_words_cannot_move_the_cursor_or_the_columns() -> None:
    view = LiveView([10], WORDS, timed=True, style=PLAIN)
    lines = list(view.lines(run([[2]] * len(WORDS)), given=99))
    assert "\x1b" not in "".join(lines)
    assert "incomprehensi~" in lines[4]
    narrow = Style(width=100, colour=False, blocks=False, encoding="ascii")
    plain = list(LiveView([10], WORDS, True, narrow).lines(run([[2]] * len(WORDS)), given=99))
    assert "".join(plain).isascii() and "na?ve" in plain[5] and "#" in plain[0]


@pytest.mark.parametrize(
    ("word", "columns"), [("漢字漢字漢字漢字", 8), ("e\u0301a", 4), ("", 3), ("abcdef", 4)]
)
def test_a_word_takes_exactly_its_columns(word: str, columns: int) -> None:
    def width(text: str) -> int:
        return sum(2 if "一" <= c <= "鿿" else 0 if c == "\u0301" else 1 for c in text)

    assert width(fit(word, columns)) == columns


def test_only_what_can_be_printed_is() -> None:
    assert printable("a\x00b\x07\u202e\u2028c") == "a\ufffdb\ufffd\ufffd\ufffdc"
    assert printable("$ N naïve 漢") == "$ N naïve 漢"


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "77")
    assert Style.of(Terminal(), {"TERM": "xterm"}) == Style(77, True, True, "utf-8")
    assert not Style.of(Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}).colour
    assert not Style.of(Terminal(), {"TERM": "dumb"}).colour
    ascii_file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert Style.of(ascii_file, {"TERM": "xterm"}) == Style(100, False, False, "ascii")
    coloured = LiveView([10, 20], WORDS, True, Style(77, True, True, "utf-8"))
    plain = LiveView([10, 20], WORDS, True, Style(77, False, True, "utf-8"))
    part = run([[1, 2], [3, 4]])
    for ours, theirs in zip(coloured.lines(part, 1), plain.lines(part, 1), strict=True):
        assert ours != theirs and ESCAPES.sub("", ours) == theirs


def test_egret_run_shows_it_where_it_is_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pynq", reason="the virtual board is a pynq device")
    from egret.cli import main
    from egret.profiles import BOARDS
    from host.tests.support.small_network import small_checkpoint

    words = ["<eos>", "<unk>", *(f"w{i}" for i in range(20))]
    small_checkpoint(words, BOARDS["pynq-z2"].build, 82).save(tmp_path / "model.npz")
    command = ["run", str(tmp_path / "model.npz"), "--prompt", "w1 w2 w3", "--board", "virtual:csim"]
    command += ["--generate", "6", "--chunk", "4"]
    assert main([*command, "--watch"]) == 0
    watched = capsys.readouterr().out
    assert main(command) == 0
    plain = capsys.readouterr().out
    lines, rest = watched.split("\n\n", 1)
    assert rest == plain  # not a terminal: nothing but what was asked for
    shown = [line.split()[:2] for line in lines.splitlines()[1:]]
    assert [int(position) for position, _ in shown] == list(range(1, 4 + 5 + 1))
    generated = plain.split("generated:")[1].split("\n\n")[0].split()
    assert [word for _, word in shown[:4]] == ["<eos>", "w1", "w2", "w3"]
    # A line break stands for <eos>, and the last word was not fed back.
    fed_back = [word for _, word in shown[4:] if word != "<eos>"]
    assert fed_back == generated[: len(fed_back)] and len(generated) - len(fed_back) <= 1
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    assert main(command) == 0
    assert terminal.getvalue() == watched
    terminal.truncate(0)
    terminal.seek(0)
    assert main([*command, "--no-watch"]) == 0
    assert terminal.getvalue() == plain
