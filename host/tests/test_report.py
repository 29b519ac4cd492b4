"""A run saved by `egret run --save`, and the page that `egret report` makes of it."""

from __future__ import annotations

import builtins
import io
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pynq", reason="the virtual board is a pynq device")

from egret.account.cycles import split_cycles
from egret.board.results import Run
from egret.checkpoint import Checkpoint
from egret.cli import main
from egret.errors import EgretError, RunError
from egret.image.packer import pack
from egret.profiles import BOARDS
from egret.reference.model import ReferenceModel
from egret.report.cost_plots import cycle_parts, fetched_by_section
from egret.report.page import make_page
from egret.report.pictures import draw_pictures
from egret.report.record import RunRecord, make_record
from egret.report.run_file import load_record, save_record
from egret.report.theme import DARK, LIGHT, Theme
from egret.text.printable import printable
from host.tests.support.small_network import small_checkpoint

SEED = 81
BOARD = BOARDS["pynq-z2"]
# Words as a stranger's model may have them: markup, mathematics, a terminal's control sequences.
HOSTILE = [
    "<script>alert(1)</script>",
    "$x^{2$",
    "\x1b[2J",
    '"><img src=//e.org>',
    "&lt;",
    "漢字",
    "\\frac",
    "$",
]
WORDS = ["<eos>", "<unk>", *HOSTILE, *(f"w{i}" for i in range(30))]
PROMPT = " ".join(["$x^{2$", "&lt;", "w3", "$", "w5", "w1", "w9"])


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return replace(small_checkpoint(WORDS, BOARD.build, SEED), name="<b>bold</b>")


@pytest.fixture(scope="module")
def folder(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model, and run.npz: a prompt and generated words on the simulated kernel."""
    folder = tmp_path_factory.mktemp("report")
    checkpoint.save(folder / "model.npz")
    arguments = [
        "--prompt",
        PROMPT,
        "--generate",
        "20",
        "--board",
        "virtual:pynq-z2",
        "--chunk",
        "6",
        "--no-watch",
    ]
    assert main(["run", str(folder / "model.npz"), *arguments, "--save", str(folder / "run.npz")]) == 0
    return folder


@pytest.fixture(scope="module")
def record(folder: Path) -> RunRecord:
    return load_record(folder / "run.npz")


class Page(HTMLParser):
    """What the browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


def saved(tmp_path: Path, folder: Path, *changes: tuple[str, Callable[[Any], Any]]) -> Path:
    """Save the run with some of its arrays changed (of None: left out); facts are changed as a dictionary."""
    with np.load(folder / "run.npz") as archive:
        arrays = dict(archive)
    for name, change in changes:
        if name == "facts":
            facts = json.loads(str(arrays["facts"]))
            arrays["facts"] = np.array(json.dumps(change(facts)))
        else:
            value = change(arrays.pop(name))
            if value is not None:
                arrays[name] = value
    path = tmp_path / "changed.npz"
    np.savez(path, **arrays)
    return path


def test_a_saved_run_is_the_reference_models(checkpoint: Checkpoint, record: RunRecord) -> None:
    tokens = [WORDS.index(word) for word in ("<eos>", *PROMPT.split())]
    reference = ReferenceModel(checkpoint)
    given = reference.run(tokens)
    trace = reference.generate(int(given.argmax[-1]), 19)
    assert record.facts.words == tuple(WORDS[token] for token in [*tokens, *trace.tokens])
    assert record.facts.last_word == WORDS[trace.argmax[-1]]
    assert (record.facts.given, len(record.run), record.facts.steps_checked) == (8, 27, 27)
    assert record.fired is not None
    for layer, fired in enumerate(record.fired):
        expected = [indices for indices, _ in given.events[layer] + trace.events[layer]]
        assert [np.flatnonzero(row).tolist() for row in fired] == [list(map(int, row)) for row in expected]
    assert [count for count, _ in record.starts] == [6, 2, 6, 6, 6, 1]
    assert record.run.counters.macs == given.macs.sum() + trace.macs.sum()


def test_what_is_saved_comes_back(folder: Path, record: RunRecord, tmp_path: Path) -> None:
    save_record(tmp_path / "again.npz", record)
    again = load_record(tmp_path / "again.npz")
    assert again.facts == record.facts and again.starts == record.starts
    assert asdict(again.account) == asdict(record.account)
    for name in ("tokens", "argmax", "logit", "cycles", "events"):
        np.testing.assert_array_equal(getattr(again.run, name), getattr(record.run, name))
    assert record.fired is not None and again.fired is not None
    for ours, theirs in zip(record.fired, again.fired, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_cycles_and_bytes_add_up_to_what_was_counted(record: RunRecord) -> None:
    account = record.account
    assert sum(cycle_parts(record).values()) == pytest.approx(account.cycles / account.tokens)
    fetched = sum(fetched for fetched, _ in fetched_by_section(record).values())
    assert fetched == pytest.approx(account.fetched_bytes / account.tokens)


@pytest.mark.parametrize("seed", range(20))
def test_no_part_of_the_cycles_is_negative_whatever_was_counted(seed: int) -> None:
    values: list[int] = np.random.default_rng(seed).integers(-5, 200, size=6, dtype=np.int64).tolist()
    cycles, beats, waited, roofline, update, write = values
    cycles, beats = abs(cycles), abs(beats)
    parts = split_cycles(
        cycles=cycles, beats=beats, waited=waited, roofline=roofline, update=update, write=write
    )
    assert min(parts.values()) >= 0, (seed, parts)
    assert sum(parts.values()) == pytest.approx(cycles), (seed, parts)


def test_beats_that_the_events_do_not_explain_are_an_error(checkpoint: Checkpoint, record: RunRecord) -> None:
    image = pack(checkpoint, BOARD.build)
    trace = ReferenceModel(checkpoint).run(record.run.tokens)
    counters = record.run.counters
    wrong = replace(counters, beats=(counters.beats[0] + 1, *counters.beats[1:]))

    def make(part: Run) -> RunRecord:
        return make_record(
            model="model.npz",
            board_name="virtual:pynq-z2",
            image=image,
            account=record.account,
            words=record.facts.words,
            given=record.facts.given,
            last_word="",
            parts=[part],
            traces=[trace],
            steps_checked=len(part),
            logits=False,
            perplexity=None,
        )

    assert make(record.run).section_beats is not None
    with pytest.raises(RunError, match="beats"):
        make(replace(record.run, counters=wrong))


def test_the_page_needs_no_other_file_and_shows_words_as_words(
    folder: Path, tmp_path: Path, record: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    # Every word that could be taken for markup or a command, and names that could.
    words = [*HOSTILE, *record.facts.words[len(HOSTILE) :]]
    run = saved(tmp_path, folder, ("facts", lambda facts: {**facts, "words": words, "model": "<i>x</i>"}))
    path = tmp_path / "page.html"
    assert main(["report", str(run), "-o", str(path)]) == 0
    names = ["overview", "events", "cycles", "roofline", "where", "bytes"]
    pictures = [tmp_path / f"page-{name}.png" for name in names]
    assert sorted(tmp_path.iterdir()) == sorted([path, run, *pictures])
    assert capsys.readouterr().out.split("written: ")[1:] == [f"{file}\n" for file in (path, *pictures)]
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")

    page = Page(path.read_text(encoding="utf-8"))
    allowed = (
        "html head meta title style body header main footer h1 h2 p span div section figure picture source"
    )
    allowed += " img figcaption table caption thead tbody tr th td details summary code ins br"
    assert {tag for tag, _ in page.tags} <= set(allowed.split())
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "srcset", "href"):
            assert str(attributes.get(name) or "data:").startswith("data:"), (tag, name)
        if tag == "img":
            assert len(str(attributes["alt"])) > 40
    assert "\x1b" not in page.text
    for word in (record.facts.name, *words):
        assert word == "<eos>" or printable(word) in page.text
    account = record.account
    for number in (account.dense_macs, account.macs, account.cycles):
        assert f"{number:,}" in page.text
    assert "cycle by cycle in Verilator" in page.text
    assert "27 of 27 steps were compared" in page.text


def test_without_a_clock_nothing_is_said_about_cycles(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run.npz"
    arguments = [
        "--prompt",
        "w1",
        "--generate",
        "4",
        "--board",
        "virtual:csim",
        "--no-watch",
        "--save",
        str(run),
    ]
    assert main(["run", str(folder / "model.npz"), *arguments]) == 0
    record = load_record(run)
    pictures = draw_pictures(record)
    assert [picture.name for picture in pictures] == ["overview", "events", "bytes"]
    page = Page(make_page(record, pictures))
    assert "This kernel has no clock" in page.text and "compiled natively" in page.text


def test_a_packed_image_is_not_compared_and_its_neurons_are_not_known(
    tmp_path: Path, checkpoint: Checkpoint
) -> None:
    image, run = tmp_path / "model.image", tmp_path / "run.npz"
    pack(checkpoint, BOARD.build).save(image)
    arguments = [
        "--prompt",
        "w1",
        "--generate",
        "4",
        "--board",
        "virtual:csim",
        "--no-watch",
        "--save",
        str(run),
    ]
    assert main(["run", str(image), *arguments]) == 0
    record = load_record(run)
    assert record.fired is None and record.section_beats is None and record.facts.steps_checked == 0
    page = Page(make_page(record, draw_pictures(record)))
    assert "the run was of a packed image" in page.text and "were compared" not in page.text


def test_a_long_text_has_a_raster_and_a_perplexity(folder: Path, tmp_path: Path) -> None:
    run, text = tmp_path / "run.npz", tmp_path / "text"
    text.write_text("w1 w2 w3 w4 w5 w6 w7\n" * 30, encoding="utf-8")
    arguments = ["--text", str(text), "--logits", "--board", "virtual:pynq-z2", "--save", str(run)]
    assert main(["run", str(folder / "model.npz"), *arguments]) == 0
    record = load_record(run)
    pictures = draw_pictures(record)
    assert "raster" in [picture.name for picture in pictures]
    page = Page(make_page(record, pictures))
    assert "wrote all logits" in page.text and f"{record.facts.perplexity:.1f}perplexity" in page.text
    assert "and 40 more" in page.text


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("cycles", lambda array: None),
        ("tokens", lambda array: array[:-1]),
        ("logit", lambda array: array.astype(np.int64)),
        ("events", lambda array: array + np.uint16(1)),
        ("events", lambda array: array + np.uint16(1000)),
        ("fired1", lambda array: array[:, :-1]),
        ("fired0", lambda array: array ^ np.uint8(255)),
        ("section_beats", lambda array: array + 1),
        ("start_tokens", lambda array: -array),
        ("start_counters", lambda array: array * np.uint64(2)),
        ("facts", lambda facts: {}),
        ("facts", lambda facts: [facts]),
        ("facts", lambda facts: {**facts, "more": 1}),
        ("facts", lambda facts: {**facts, "words": facts["words"][1:]}),
        ("facts", lambda facts: {**facts, "words": "many"}),
        ("facts", lambda facts: {**facts, "given": True}),
        ("facts", lambda facts: {**facts, "given": 99}),
        ("facts", lambda facts: {**facts, "perplexity": float("nan")}),
        ("facts", lambda facts: {**facts, "neurons": [0, 14]}),
        ("facts", lambda facts: {**facts, "matrices": facts["matrices"][1:]}),
        ("facts", lambda facts: {**facts, "layout": {**facts["layout"], "engines": 0}}),
        ("facts", lambda facts: {**facts, "board": {**facts["board"], "clock_mhz": 0}}),
        ("facts", lambda facts: {**facts, "board": {**facts["board"], "build": {"lanes": 5}}}),
        ("format", lambda array: np.array("egret-run-99")),
    ],
)
def test_a_run_that_contradicts_itself_gets_a_sentence(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    change: Callable[[Any], Any],
) -> None:
    path = saved(tmp_path, folder, (name, change))
    assert main(["report", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("egret: ") and captured.err.count("\n") == 1 and str(path) in captured.err
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no saved run"),
        (b"PK\x03\x04", "no saved run"),
        (b'{"format": 1}', "no saved run"),
        (None, "read"),
    ],
)
def test_what_is_no_run_gets_a_sentence(
    tmp_path: Path, content: bytes | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.npz"
    if content is not None:
        path.write_bytes(content)
    assert main(["report", str(path)]) == 2
    assert said in capsys.readouterr().err
    stream = io.BytesIO()
    np.save(stream, np.zeros(3, dtype=np.uint8))
    path.write_bytes(stream.getvalue())
    with pytest.raises(EgretError, match="no saved run"):
        load_record(path)


def test_wrong_wishes_get_a_sentence_before_anything_runs(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, run = str(folder / "model.npz"), str(folder / "run.npz")
    before = (folder / "run.npz").read_bytes()
    for said, arguments in {
        "no such folder": ["run", model, "--save", str(tmp_path / "missing" / "run.npz")],
        "--watch": ["run", model, "--watch", "--json"],
        "the run itself": ["report", run, "-o", run],
        "cannot be written": ["report", run, "-o", str(tmp_path / "missing" / "page.html")],
    }.items():
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert (folder / "run.npz").read_bytes() == before and not list(tmp_path.iterdir())

    import_ = builtins.__import__

    def without_matplotlib(name: str, *rest: Any, **keywords: Any) -> Any:
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return import_(name, *rest, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    assert main(["report", run, "-o", str(tmp_path / "page.html")]) == 2
    assert "pip install" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_text_stands_out_from_the_ground(theme: Theme) -> None:
    def luminance(colour: str) -> float:  # as WCAG 2 defines it
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for colour in (theme.text, theme.muted, theme.accent, *theme.layers):
        low, high = sorted((luminance(colour), luminance(theme.ground)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, colour
