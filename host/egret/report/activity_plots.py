"""Pictures of who fired when: the raster of all neurons, and the share of each layer, token by token."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from egret.report.record import RunRecord
from egret.report.theme import Theme
from egret.text.printable import printable

MOST_IN_RASTER = 1000
"""Tokens: beyond that a column would be narrower than a pixel."""
MOST_WORDS = 48
"""Tokens up to which the axis shows their words."""
_MOST_IN_LINES = 2000  # tokens: beyond that a line drawn as points takes less room
_LONGEST_WORD = 14
_GAP = 0.03  # between layers, in parts of all neurons
_ROWS, _CELLS_ACROSS = 200, 250  # of the raster, about: cells should be seen, and wider than high


def draw_raster(pyplot: Any, record: RunRecord, theme: Theme) -> Any:
    """Draw every event: tokens to the right, neurons upwards, layer on layer."""
    figure, axis = pyplot.subplots(figsize=(10.0, 5.4))
    raster(axis, record, theme)
    return figure


def raster(axis: Any, record: RunRecord, theme: Theme) -> None:
    """Draw the raster on an axis; needs `fired`.

    Every neuron has a cell of its own, several side by side in the column of a token, so that as much of the
    ground is coloured as neurons fire.
    """
    assert record.fired is not None
    tokens, side_by_side = min(len(record.run), MOST_IN_RASTER), neurons_side_by_side(record)
    base, ticks, names = 0, [], []
    gap = round(_GAP * sum(record.facts.neurons) / side_by_side) + 1
    blocks: list[npt.NDArray[np.float32]] = []
    for layer, (fired, count) in enumerate(zip(record.fired, record.facts.neurons, strict=True)):
        rows = -(-count // side_by_side)
        cells = np.zeros((tokens, rows * side_by_side), dtype=np.float32)
        cells[:, :count] = fired[:tokens]
        # [rows, tokens, side by side], and where there are several, a blank between tokens.
        cells = cells.reshape(tokens, rows, side_by_side).transpose(1, 0, 2)
        cells = np.pad(cells, ((0, gap), (0, 0), (0, int(side_by_side > 1))))
        colour = np.array([int(theme.layer(layer)[i : i + 2], 16) / 255 for i in (1, 3, 5)], dtype=np.float32)
        shape = (rows + gap, -1, 4)
        alpha = cells[..., np.newaxis]
        blocks.append(np.concatenate([np.broadcast_to(colour, (*cells.shape, 3)), alpha], 3).reshape(shape))
        ticks.append(base + rows / 2)
        share = record.run.events[:tokens, layer].mean() / count
        names.append(f"layer {layer}\n{count:,} neurons\n{share:.1%} fire")
        base += rows + gap
    picture = np.concatenate(blocks)[: base - gap]
    axis.imshow(
        picture,
        origin="lower",
        aspect="auto",
        extent=(0.5, tokens + 0.5, 0, base - gap),
        interpolation="nearest" if side_by_side > 1 else "antialiased",
    )
    axis.set_yticks(ticks, names)
    axis.tick_params(axis="y", length=0)
    for layer, label in enumerate(axis.get_yticklabels()):
        label.set_color(theme.layer(layer))
    token_axis(axis, record, theme, tokens)
    for side in ("left", "bottom"):
        axis.spines[side].set_visible(False)


def neurons_side_by_side(record: RunRecord) -> int:
    """Return how many neurons of a layer stand side by side in a token's column of the raster."""
    tokens = min(len(record.run), MOST_IN_RASTER)
    return int(np.clip(sum(record.facts.neurons) // _ROWS, 1, max(_CELLS_ACROSS // tokens - 1, 1)))


def token_axis(axis: Any, record: RunRecord, theme: Theme, tokens: int) -> None:
    """Have the axis to the right be tokens: their words if they are few, those generated in bold."""
    facts = record.facts
    axis.set_xlim(0.4, tokens + 0.6)
    if tokens > MOST_WORDS:
        axis.set_xlabel("token")
        if facts.given < tokens:
            axis.axvline(facts.given + 0.5, color=theme.muted, linewidth=0.8, linestyle=":")
        return
    words = [_shorten(word) for word in facts.words[:tokens]]
    axis.set_xticks(range(1, tokens + 1), words, rotation=60, ha="right", rotation_mode="anchor")
    axis.tick_params(axis="x", length=0)
    for position, label in enumerate(axis.get_xticklabels()):
        if position >= facts.given:
            label.set(color=theme.text, fontweight="bold")


def draw_events(pyplot: Any, record: RunRecord, theme: Theme) -> Any:
    """Draw the share of each layer's neurons that fired at each token."""
    figure, axis = pyplot.subplots(figsize=(10.0, 3.4))
    tokens = len(record.run)
    positions = np.arange(1, tokens + 1, dtype=np.int64)
    few = tokens <= MOST_WORDS
    for layer, count in enumerate(record.facts.neurons):
        share = 100.0 * record.run.events[:, layer] / count
        axis.plot(
            positions,
            share,
            color=theme.layer(layer),
            linewidth=1.6 if few else 0.8,
            marker="os^DvPX*"[layer % 8] if few else None,
            markersize=4,
            rasterized=tokens > _MOST_IN_LINES,
            label=f"layer {layer}: {share.mean():.1f} % of {count:,} on average",
        )
    axis.set_ylim(bottom=0)
    axis.set_ylabel("neurons that fire [%]")
    axis.grid(True, axis="y")
    token_axis(axis, record, theme, tokens)
    _legend_above(axis)
    return figure


def draw_token_cycles(pyplot: Any, record: RunRecord, theme: Theme) -> Any:
    """Draw the cycles that each token took."""
    figure, axis = pyplot.subplots(figsize=(10.0, 3.4))
    cycles, given = record.run.cycles.astype(np.float64), record.facts.given
    tokens = cycles.size
    positions = np.arange(1, tokens + 1, dtype=np.int64)
    if tokens <= 4 * MOST_WORDS:
        for part, colour, name in (
            (slice(0, given), theme.theory, "given"),
            (slice(given, tokens), theme.accent, "generated"),
        ):
            if positions[part].size:
                axis.bar(positions[part], cycles[part], 0.8, color=colour, label=name)
    else:
        axis.plot(
            positions,
            cycles,
            color=theme.theory,
            linewidth=0.6,
            label="each token",
            rasterized=tokens > _MOST_IN_LINES,
        )
        window = max(tokens // 100, 10)
        running = np.convolve(cycles, np.full(window, 1.0 / window), mode="valid")
        axis.plot(
            positions[window - 1 :],
            running,
            color=theme.accent,
            linewidth=1.6,
            label=f"mean of the last {window}",
            rasterized=tokens > _MOST_IN_LINES,
        )
    axis.axhline(
        cycles.mean(), color=theme.text, linewidth=1.0, linestyle="--", label=f"mean: {cycles.mean():,.0f}"
    )
    axis.set_ylim(bottom=0)
    axis.set_ylabel("cycles")
    axis.yaxis.set_major_formatter("{x:,.0f}")
    axis.grid(True, axis="y")
    token_axis(axis, record, theme, tokens)
    _legend_above(axis)
    return figure


def _legend_above(axis: Any) -> None:
    axis.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, borderaxespad=0.2)


def _shorten(word: str) -> str:
    safe = printable(word)
    return safe if len(safe) <= _LONGEST_WORD else safe[: _LONGEST_WORD - 1] + "…"
