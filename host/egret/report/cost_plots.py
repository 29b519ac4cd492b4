"""Pictures of what a run cost: savings, roofline, where the cycles went, bytes by section."""

from __future__ import annotations

from typing import Any

import numpy as np

from egret.account.account import Account
from egret.account.cycles import split_cycles
from egret.account.matrices import SECTIONS
from egret.report.activity_plots import raster
from egret.report.record import RunRecord
from egret.report.theme import Theme, short_numbers

_MOST_POINTS = 2000  # beyond that they take less room as one image

LOST_NAMES = {
    "beats": "beats",
    "bandwidth": "DDR slower than the ports",
    "latency": "waiting for data",
    "update": "update that hides behind no fetch",
    "write": "waiting to write logits",
    "control": "start, end, other engine",
}


def draw_overview(pyplot: Any, record: RunRecord, theme: Theme) -> Any:
    """Draw the raster (where it is known) and the savings side by side: the run in one picture."""
    if record.fired is None:
        return draw_savings(pyplot, record, theme)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12.5, 5.2), width_ratios=(1.75, 1))
    raster(left, record, theme)
    left.set_title("Every neuron at every word: coloured is what fired, the rest is silent", pad=8)
    savings(right, record.account, theme)
    right.set_title("A token, against a dense network", pad=8)
    return figure


def draw_savings(pyplot: Any, record: RunRecord, theme: Theme) -> Any:
    """Draw MACs and cycles as shares of the dense ones."""
    figure, axis = pyplot.subplots(figsize=(8.0, 3.2))
    savings(axis, record.account, theme)
    return figure


def savings(axis: Any, account: Account, theme: Theme) -> None:
    """Draw, from above: MACs dense, sparse in theory and done; cycles of a dense machine, and measured."""
    tokens = account.tokens
    bars = [
        (0.0, "MACs, dense", account.dense_macs / tokens, 1.0, theme.theory),
        (1.0, "sparse, in theory", account.sparse_macs / tokens, account.saved_on_paper, theme.theory),
        (2.0, "done", account.macs / tokens, account.saved_by_done, theme.accent),
    ]
    if account.timed:
        bars += [
            (3.6, "cycles, ideal dense", account.dense_machine_cycles / tokens, 1.0, theme.theory),
            (4.6, "measured", account.cycles / tokens, account.saved_in_cycles, theme.accent),
        ]
    for place, _, amount, factor, colour in bars:
        share = 100.0 / factor
        axis.barh(place, share, 0.72, color=colour)
        note = f"{amount:,.0f}" + ("" if factor == 1.0 else f"   1 / {factor:.1f}")
        inside = share > 60.0
        axis.text(
            share - 2.0 if inside else share + 2.0,
            place,
            note,
            ha="right" if inside else "left",
            va="center",
            color=theme.text,
            fontweight="bold" if colour == theme.accent else "normal",
        )
    axis.set_yticks([bar[0] for bar in bars], [bar[1] for bar in bars])
    for label, bar in zip(axis.get_yticklabels(), bars, strict=True):
        label.set_color(theme.text if bar[4] == theme.accent else theme.muted)
    axis.tick_params(axis="y", length=0)
    axis.invert_yaxis()
    axis.set_xlim(0, 100)
    axis.set_xlabel("share of dense [%]")
    axis.spines["left"].set_visible(False)


def draw_roofline(pyplot: Any, record: RunRecord, theme: Theme) -> Any:
    """Draw cycles against bytes and against MACs, per token: each start of the kernel, all, and dense."""
    account = record.account
    tokens, layout = account.tokens, account.layout
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10.0, 4.4), sharey=True)
    ports = float(layout.engines * layout.bus_bytes)
    ddr = account.board.bytes_per_cycle
    slots = float(account.decoder_layout.slots)
    dense_cycles = account.dense_machine_cycles / tokens
    dense_bytes = dense_cycles * min(ports, ddr)
    starts = [(count, counters) for count, counters in record.starts if counters.macs]
    cycles = [counters.cycles / count for count, counters in starts]
    fetched = [sum(counters.beats) * layout.bus_bytes / count for count, counters in starts]
    panels = (
        (
            left,
            fetched,
            account.fetched_bytes / tokens,
            dense_bytes,
            [
                (ddr, f"DDR: {ddr:.1f} bytes a cycle", "-"),
                (ports, f"ports: {ports:.0f} bytes a cycle", "--"),
            ],
            "bytes fetched, per token",
        ),
        (
            right,
            [counters.macs / count for count, counters in starts],
            account.macs / tokens,
            account.dense_macs / tokens,
            [(slots, f"lanes: {slots:.0f} MACs a cycle at most", ":")],
            "MACs, per token",
        ),
    )
    for axis, amounts, mean, dense, limits, label in panels:
        low, high = 0.4 * min([mean, *amounts]), 2.5 * dense
        for rate, name, style in limits:
            ends = np.array([low, high], dtype=np.float64)
            axis.plot(ends, ends / rate, color=theme.muted, linewidth=1.3, linestyle=style, label=name)
        axis.scatter(
            [dense],
            [dense_cycles],
            s=60,
            marker="D",
            color=theme.theory,
            zorder=3,
            label="ideal dense machine",
        )
        axis.scatter(
            amounts,
            cycles,
            s=16,
            color=theme.accent,
            alpha=0.7,
            linewidths=0,
            zorder=3,
            label="a start of the kernel",
            rasterized=len(amounts) > _MOST_POINTS,
        )
        axis.scatter(
            [mean],
            [account.cycles / tokens],
            s=85,
            marker="o",
            facecolors="none",
            edgecolors=theme.layers[1],
            linewidths=2.0,
            zorder=4,
            label="this run",
        )
        axis.set(xscale="log", yscale="log", xlim=(low, high))
        axis.set_xlabel(label)
        short_numbers(axis.xaxis)
        axis.grid(True, which="major")
        axis.legend(loc="upper left")
    left.set_ylabel("cycles, per token")
    short_numbers(left.yaxis)
    return figure


def cycle_parts(record: RunRecord) -> dict[str, float]:
    """Return where the cycles of the busiest engine went, per token, largest section first and then losses.

    Beats are split by section where it is known which neurons fired.
    """
    account, engine = record.account, record.busiest
    parts = split_cycles(
        cycles=account.cycles,
        beats=account.beats[engine],
        waited=account.wait_cycles[engine],
        roofline=account.roofline_cycles,
        update=account.update_cycles,
        write=account.write_cycles,
    )
    beats = parts.pop("beats")
    if record.section_beats is None:
        result = {"columns and table rows": beats}
    else:
        by_section = record.section_beats[:, engine].sum(axis=0)
        scale = beats / max(int(by_section.sum()), 1)  # 1, but for counters that contradict each other
        result = {
            name: float(count) * scale for name, count in zip(SECTIONS, by_section, strict=True) if count
        }
    result.update({LOST_NAMES[name]: part for name, part in parts.items() if part})
    return {name: part / account.tokens for name, part in result.items()}


def draw_where(pyplot: Any, record: RunRecord, theme: Theme) -> Any:
    """Draw one bar of all cycles of a token, by what the busiest engine did in them."""
    parts = cycle_parts(record)
    total = sum(parts.values())
    figure, axis = pyplot.subplots(figsize=(10.0, 2.5))
    start = 0.0
    for name, size in parts.items():
        share = size / total
        axis.barh(
            0,
            size,
            0.7,
            left=start,
            color=_part_colour(name, theme),
            edgecolor=theme.ground,
            linewidth=0.8,
            label=f"{name}: {size:,.0f} ({share:.1%})",
        )
        start += size
    axis.set_yticks([])
    axis.set_xlim(0, total)
    axis.set_xlabel("cycles, per token")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.spines["left"].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _part_colour(name: str, theme: Theme) -> str:
    if name in SECTIONS:
        return theme.section(name)
    return next((theme.lost[key] for key, label in LOST_NAMES.items() if label == name), theme.lost["beats"])


def fetched_by_section(record: RunRecord) -> dict[str, tuple[float, float]]:
    """Return, for each of SECTIONS, bytes per token: fetched, and those of an ideal dense machine.

    Fetched are those of the neurons that fired; where they are not known, a mean column for each event.
    """
    account = record.account
    if record.section_beats is None:
        fetched = account.bytes_per_token
    else:
        beats = record.section_beats.sum(axis=(0, 1)) * account.layout.bus_bytes / account.tokens
        fetched = dict(zip(SECTIONS, beats.tolist(), strict=True))
    dense = dict.fromkeys(SECTIONS, 0.0)
    for matrix in account.matrices:
        dense[matrix.section] += matrix.weights * matrix.layout.weight_bits / 8
    return {name: (fetched[name], dense[name]) for name in SECTIONS if dense[name] or fetched[name]}


def draw_bytes(pyplot: Any, record: RunRecord, theme: Theme) -> Any:
    """Draw the bytes of each section that a token fetches, beside those of a dense machine."""
    sections = fetched_by_section(record)
    figure, axis = pyplot.subplots(figsize=(10.0, 0.75 + 0.75 * len(sections)))
    most = max(max(sizes) for sizes in sections.values())
    for place, (fetched, dense) in enumerate(sections.values()):
        for size, offset, colour, weight in (
            (dense, -0.2, theme.theory, "normal"),
            (fetched, 0.2, theme.accent, "bold"),
        ):
            axis.barh(place + offset, size, 0.36, color=colour)
            axis.text(
                size + 0.008 * most,
                place + offset,
                f"{size:,.0f}",
                va="center",
                fontsize=8.5,
                fontweight=weight,
            )
    axis.set_yticks(range(len(sections)), list(sections))
    axis.tick_params(axis="y", length=0)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.12 * most)
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.set_xlabel("bytes, per token")
    axis.spines["left"].set_visible(False)
    handles = [
        pyplot.Rectangle((0, 0), 1, 1, color=theme.theory, label="every weight: an ideal dense machine"),
        pyplot.Rectangle((0, 0), 1, 1, color=theme.accent, label="fetched in this run"),
    ]
    axis.legend(handles=handles, loc="lower right")
    return figure
