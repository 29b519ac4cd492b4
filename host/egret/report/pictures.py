"""The pictures of a report: which there are, what each shows in words, and their files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from egret.report import activity_plots, cost_plots
from egret.report.activity_plots import MOST_WORDS
from egret.report.record import RunRecord
from egret.report.theme import DARK, LIGHT, Theme, load_pyplot, settings

_PNG_DOTS_PER_INCH = 110
_RASTERIZED_DOTS_PER_INCH = 160


@dataclass(frozen=True)
class Picture:
    """One picture of a run, drawn."""

    name: str
    """A word, for the file."""
    alternative: str
    """What it shows, for readers who cannot see it."""
    light: bytes
    """SVG."""
    dark: bytes
    """SVG."""
    png: bytes
    """On light ground."""


def draw_pictures(record: RunRecord) -> list[Picture]:
    """Draw what the run has the figures for; raises EgretError where matplotlib is missing.

    Without the neurons that fired there is no raster, without a clock nothing about cycles. Of few tokens
    the overview's raster is large enough.
    """
    pyplot = load_pyplot()
    choices: list[tuple[str, bool, Callable[[Any, RunRecord, Theme], Any], Callable[[RunRecord], str]]] = [
        ("overview", True, cost_plots.draw_overview, _overview),
        (
            "raster",
            record.fired is not None and len(record.run) > MOST_WORDS,
            activity_plots.draw_raster,
            _raster,
        ),
        ("events", True, activity_plots.draw_events, _events),
        ("cycles", record.account.timed, activity_plots.draw_token_cycles, _token_cycles),
        ("roofline", record.account.timed, cost_plots.draw_roofline, _roofline),
        ("where", record.account.timed, cost_plots.draw_where, _where),
        ("bytes", True, cost_plots.draw_bytes, _bytes),
    ]
    pictures = []
    for name, there, draw, describe in choices:
        if there:
            light, png = _render(pyplot, draw, record, LIGHT, ("svg", "png"))
            (dark,) = _render(pyplot, draw, record, DARK, ("svg",))
            pictures.append(Picture(name, describe(record), light, dark, png))
    return pictures


def _render(
    pyplot: Any,
    draw: Callable[[Any, RunRecord, Theme], Any],
    record: RunRecord,
    theme: Theme,
    formats: tuple[str, ...],
) -> list[bytes]:
    with pyplot.rc_context(settings(theme)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a word in a script the font has not
        figure = draw(pyplot, record, theme)
        try:
            files = []
            for format_ in formats:
                stream = io.BytesIO()
                # Without date and version the same run gives the same file.
                nothing = {"Date": None, "Creator": None} if format_ == "svg" else {"Software": None}
                dots = _RASTERIZED_DOTS_PER_INCH if format_ == "svg" else _PNG_DOTS_PER_INCH
                figure.savefig(stream, format=format_, dpi=dots, metadata=nothing)
                files.append(stream.getvalue())
                figure.set_layout_engine("none")  # what it has laid out stays
        finally:
            pyplot.close(figure)
    return files


def _shares(record: RunRecord) -> str:
    return ", ".join(
        f"layer {layer} {share:.1%} of {count:,}"
        for layer, (share, count) in enumerate(
            zip(record.account.layer_activity, record.facts.neurons, strict=True)
        )
    )


def _overview(record: RunRecord) -> str:
    account = record.account
    timed = (
        f"; cycles are 1 in {account.saved_in_cycles:.1f} of an ideal dense machine's"
        if account.timed
        else ""
    )
    raster = f"Left: {_raster(record)} Right: bars. " if record.fired is not None else "Bars: "
    return (
        f"{raster}Of the dense network's MACs, 1 in {account.saved_on_paper:.1f} is left in theory and 1 in "
        f"{account.saved_by_done:.1f} was done{timed}."
    )


def _raster(record: RunRecord) -> str:
    shown = min(len(record.run), activity_plots.MOST_IN_RASTER)
    return (
        f"A raster of {shown:,} tokens by {sum(record.facts.neurons):,} neurons with a mark for each event, "
        f"mostly empty: per token, {_shares(record)} neurons fire."
    )


def _events(record: RunRecord) -> str:
    ends = "; ".join(
        f"layer {layer} between {record.run.events[:, layer].min() / count:.1%} and "
        f"{record.run.events[:, layer].max() / count:.1%}"
        for layer, count in enumerate(record.facts.neurons)
    )
    return f"A line for each layer: the share of its neurons that fire, token by token: {ends}."


def _token_cycles(record: RunRecord) -> str:
    cycles = record.run.cycles
    return (
        f"Cycles of each token: from {cycles.min():,} to {cycles.max():,}, {cycles.mean():,.0f} on average."
    )


def _roofline(record: RunRecord) -> str:
    account = record.account
    return (
        "Cycles against bytes and against MACs, per token, on logarithmic axes. The run stands at "
        f"{account.cycles / account.tokens:,.0f} cycles, {account.utilisation:.1%} of what its bytes allow, "
        f"and at {account.macs_per_cycle:.2f} MACs a cycle of {account.decoder_layout.slots} possible; the "
        f"ideal dense machine at {account.dense_machine_cycles / account.tokens:,.0f} cycles."
    )


def _where(record: RunRecord) -> str:
    parts = cost_plots.cycle_parts(record)
    total = sum(parts.values())
    said = ", ".join(f"{name} {size / total:.1%}" for name, size in parts.items())
    return f"A bar of the {total:,.0f} cycles of a token on the busiest engine: {said}."


def _bytes(record: RunRecord) -> str:
    said = "; ".join(
        f"{name} {fetched:,.0f} instead of {dense:,.0f}"
        for name, (fetched, dense) in cost_plots.fetched_by_section(record).items()
    )
    return f"Bytes per token, fetched and of an ideal dense machine: {said}."
