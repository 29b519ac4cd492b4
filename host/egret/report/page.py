"""The page of a report: one HTML file that needs no other.

Words and names come from a model that anyone may have made, so that all text is escaped; the page asks its
reader's browser to fetch nothing and to run nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

from egret.board.boards import VIRTUAL, is_csim
from egret.report import tables
from egret.report.activity_plots import MOST_IN_RASTER, neurons_side_by_side
from egret.report.cost_plots import LOST_NAMES
from egret.report.pictures import Picture
from egret.report.record import RunRecord
from egret.report.tables import Table
from egret.report.theme import DARK, LIGHT, Theme
from egret.text.printable import printable
from egret.text.vocabulary import END

_FOLDER = Path(__file__).parent


def make_page(record: RunRecord, pictures: Sequence[Picture]) -> str:
    """Return the page: the pictures inline, everything that the report says as text and tables."""
    facts = record.facts
    template = Template((_FOLDER / "page.html").read_text(encoding="utf-8"))
    by_name = {picture.name: picture for picture in pictures}
    return template.substitute(
        title=_text(f"{facts.name} on {facts.board_name}"),
        style=_style(),
        name=_text(facts.name),
        board=_text(facts.board_name),
        subtitle=_text(_subtitle(record)),
        measured_on=_text(measured_on(record)),
        cards="".join(_card(*card) for card in tables.cards(record)),
        headline=_table(tables.headline(record)),
        overview=_figure(by_name, "overview", _overview_caption(record)),
        words=_words(record),
        sections="\n".join(_sections(record, by_name)),
        sources=_table(tables.sources(record, measured_on(record))),
        counters=_table(tables.counters(record)),
        matrices=_table(tables.matrices(record)),
        memory=_table(tables.memory(record)),
        saved_at=_text(facts.saved_at),
    )


def measured_on(record: RunRecord) -> str:
    """Return on what the kernel's numbers were counted."""
    facts, memory = record.facts, record.facts.board.memory
    about, burst = facts.board.about, min(memory.burst_beats, facts.board.build.max_burst_beats)
    if is_csim(facts.board_name):
        return (
            f"the kernel's C++, compiled natively, with the build of a {about}: the same bits as the "
            "SystemVerilog's, but no clock"
        )
    if facts.board_name.startswith(VIRTUAL):
        return (
            f"a simulated {about}: the kernel's SystemVerilog, cycle by cycle in Verilator, with a model of "
            f"the board's memory ({memory.bandwidth_bytes_per_second / 1e9:g} GB/s, {memory.latency_cycles} "
            f"cycles of latency, bursts of {burst} beats, "
            f"{memory.reads_in_flight} reads in flight)"
        )
    return f"a real board: {about}"


def _subtitle(record: RunRecord) -> str:
    facts, generated = record.facts, len(record.run) - record.facts.given
    layers = "-".join(f"{count}" for count in facts.neurons)
    weights = sum(matrix.weights for matrix in facts.matrices)
    kept = sum(matrix.nonzeros for matrix in facts.matrices) / weights
    went = f"{facts.given:,} tokens given" + (f", {generated:,} generated ones fed back" if generated else "")
    return (
        f"{len(facts.neurons)} layers of {layers} neurons, {facts.vocabulary:,} words, {weights:,} weights "
        f"of which {kept:.1%} are kept. {went}."
    )


def _overview_caption(record: RunRecord) -> str:
    dense = "An ideal dense machine streams every weight through the same ports and memory at the roofline."
    if record.fired is None:
        return dense
    return (
        f"A column is a word, a cell in it a neuron, {_side_by_side(record)}; a coloured one fired, and "
        "only for those the kernel fetched weights. Which neurons fired is from the reference model, run on "
        "the same tokens; how many is what the kernel counted, and the two agree at every token and layer. "
        + dense
    )


def _side_by_side(record: RunRecord) -> str:
    count = neurons_side_by_side(record)
    return "one above the other" if count == 1 else f"{count} of a layer to a row"


def _sections(record: RunRecord, pictures: dict[str, Picture]) -> Iterable[str]:
    facts, account = record.facts, record.account
    shown = min(len(record.run), MOST_IN_RASTER)
    yield _section(
        "Activity",
        _figure(
            pictures,
            "raster",
            "Which neurons fired, by the reference model"
            + (f": the first {shown:,} of {len(record.run):,} tokens." if shown < len(record.run) else "."),
        )
        + (
            ""
            if record.fired is not None
            else _note(
                "Which neurons fired is not known, since the run was of a packed image: the kernel only "
                "counts them. Save a run of the checkpoint to see them."
            )
        )
        + _figure(pictures, "events", "Events per token, as the kernel counted them."),
    )
    if not account.timed:
        yield _section("Cycles", _note("This kernel has no clock, so that nothing is said about cycles."))
    else:
        logits = _note(
            "The kernel wrote all logits too. They share the memory with what is fetched, and the roofline "
            "does not count them."
        )
        yield _section(
            "Cycles",
            (logits if facts.logits else "")
            + _figure(
                pictures,
                "cycles",
                "Cycles between one token's result and the next, from the kernel's result records. Where "
                "tokens are given, several are under way at once.",
            )
            + _figure(
                pictures,
                "where",
                f"What the busiest engine (number {record.busiest}) did in each cycle, from the counters. "
                f"{_lost_words(record)}",
            )
            + _figure(
                pictures,
                "roofline",
                f"Measured: each of the {len(record.starts):,} starts of the kernel, and the whole run. "
                "Theoretical: the lines and the ideal dense machine. A point on a line is at that limit; "
                "the kernel cannot come below it. (The ideal dense machine has as many lanes as it can use.)",
            ),
        )
    exact = (
        "Fetched: the columns of the neurons that fired; together they are the beats that were counted."
        if record.section_beats is not None
        else "Fetched: a mean column for each event that was counted."
    )
    yield _section(
        "Bytes",
        _figure(
            pictures,
            "bytes",
            f"{exact} The token table stands for the product of the word's embedding with the first layer's "
            "weights, which the dense machine does.",
        ),
    )
    if facts.steps_checked:
        yield _note(
            f"{facts.steps_checked:,} of {len(record.run):,} steps were compared with the integer reference "
            "model: argmax, its logit, events and MACs are the same."
        )


def _lost_words(record: RunRecord) -> str:
    account = record.account
    return (
        f"The beats and “{LOST_NAMES['bandwidth']}” together are the roofline, "
        f"{account.roofline_cycles / account.tokens:,.0f} cycles a token: {account.utilisation:.1%} of all."
    )


def _words(record: RunRecord) -> str:
    """Return what went in and what came out, generated words marked, a line for each <eos>."""
    facts = record.facts
    words = [*facts.words, *([facts.last_word] if facts.last_word else [])]
    most = 200
    pieces = []
    for position, word in enumerate(words[:most]):
        shown = "<br>" if word == END and position else _text(word)
        pieces.append(f"<ins>{shown}</ins>" if position >= facts.given and shown != "<br>" else shown)
    more = f" … and {len(words) - most:,} more" if len(words) > most else ""
    return " ".join(pieces) + _text(more)


def _card(value: str, label: str, kind: str) -> str:
    return (
        f'<div class="card"><div class="value">{_text(value)}</div><div class="label">{_text(label)}</div>'
        f'<div class="kind {escape(kind)}">{_text(kind)}</div></div>'
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{content}</section>"


def _note(text: str) -> str:
    return f'<p class="note">{_text(text)}</p>'


def _figure(pictures: dict[str, Picture], name: str, caption: str) -> str:
    if name not in pictures:
        return ""
    picture = pictures[name]
    return (
        "<figure><picture>"
        f'<source media="screen and (prefers-color-scheme: dark)" srcset="{_inline(picture.dark)}">'
        f'<img src="{_inline(picture.light)}" alt="{_text(picture.alternative)}"></picture>'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )


def _inline(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{_text(title)}</th>' for title in table.head)
    rows = "".join(
        f'<tr{_class(row.kind)}><th scope="row">{_text(row.cells[0])}</th>'
        + "".join(f"<td>{_text(cell)}</td>" for cell in row.cells[1:])
        + "</tr>"
        for row in table.rows
    )
    kind = ' class="prose"' if table.prose else ""
    return (
        f'<div class="scroll"><table{kind}><caption>{_text(table.caption)}</caption><thead><tr>{head}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _class(kind: str) -> str:
    return f' class="{escape(kind)}"' if kind else ""


def _text(text: str) -> str:
    return escape(printable(text), quote=True)


def _style() -> str:
    return Template((_FOLDER / "page.css").read_text(encoding="utf-8")).substitute(
        light=_variables(LIGHT), dark=_variables(DARK)
    )


def _variables(theme: Theme) -> str:
    return (
        f"--ground: {theme.ground}; --text: {theme.text}; --muted: {theme.muted}; --grid: {theme.grid}; "
        f"--accent: {theme.accent};"
    )
