"""The results as text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from egret.bench.measurement import BEATS, CATEGORIES, LOST, where_cycles_go
from egret.bench.points import Machine, format_shares
from egret.bench.presets import PEER_ACTIVITY, PEER_SOURCE, PEERS, REALISED
from egret.bench.sweep import Result, tag_machines

_WIDTH = 110
_NAMES = ("active", "zeros", "mode")  # heads of columns after the first, which names the network
_SHORT = {
    "weights": "weights",
    "table": "table",
    "unused": "unused",
    "escapes": "gaps",
    "padding": "padding",
    "bandwidth": "DDR",
    "latency": "data",
    "update": "update",
    "write": "write",
    "control": "control",
}
"""Heads of columns, by the names of CATEGORIES."""


def report(results: Sequence[Result]) -> str:
    """Return everything there is to say, a part for each machine."""
    tags = tag_machines(results)
    parts: list[str] = []
    for machine, tag in tags.items():
        own = [result for result in results if result.task.point.machine == machine]
        parts += [f"{tag} {machine.describe()}", _costs(own), _where(own), _speed_ups(own)]
    parts.append(_legend())
    parts += [part for part in (_targets(results, tags), _peers(results, tags)) if part]
    checked = sum(result.measurement.checked_steps for result in results)
    parts.append(
        f"checked: argmax and its logit, events and MACs of all {checked:,} steps equal the reference model's"
    )
    return "\n\n".join(parts)


def _costs(results: Sequence[Result]) -> str:
    heads = ("events", "MACs", "beats", "cycles", "roofline", "utilisation")
    rows: list[tuple[str, ...]] = [("per step", *_NAMES, *heads)]
    for result in results:
        measured = result.measurement
        per_step = [sum(measured.events), measured.macs, sum(measured.beats), measured.cycles]
        rows.append(
            (
                *_names(result),
                *(f"{total / measured.steps:,.0f}" for total in per_step),
                f"{measured.roofline_cycles / measured.steps:,.0f}",
                f"{measured.utilisation:.1%}",
            )
        )
    return _align(rows)


def _where(results: Sequence[Result]) -> str:
    rows: list[tuple[str, ...]] = [("% of the cycles go to", *_NAMES, *(_SHORT[name] for name in CATEGORIES))]
    for result in results:
        parts = where_cycles_go(result.measurement)
        shares = (f"{100 * parts[name] / result.measurement.cycles:.1f}" for name in CATEGORIES)
        rows.append((*_names(result), *shares))
    return _align(rows)


def _legend() -> str:
    meanings = "; ".join(f"{_SHORT[name]}: {CATEGORIES[name][0]}" for name in CATEGORIES)
    beats, lost = (", ".join(_SHORT[name] for name in names) for names in (BEATS, LOST))
    said = (
        f"(Cycles are those of the busiest engine. {meanings}. Beats: {beats}. Lost: {lost}. "
        "cycles/bytes: the part of the byte reduction that arrives in the cycles.)"
    )
    return "\n".join(textwrap.wrap(said, _WIDTH))


def _speed_ups(results: Sequence[Result]) -> str:
    heads = ("MACs on paper", "bytes", "cycles", "cycles/bytes")
    rows: list[tuple[str, ...]] = [("over the dense network", *_NAMES, *heads)]
    for result in results:
        factors = result.speed_up
        times = (f"{factor:.2f} x" for factor in (factors.paper, factors.fetched, factors.cycles))
        rows.append((*_names(result), *times, f"{factors.realised:.3f}"))
    return _align(rows)


def _targets(results: Sequence[Result], tags: Mapping[Machine, str]) -> str:
    rows = [("to reach", *_NAMES, "utilisation", "is", "", "cycles/bytes", "is", "", "on")]
    for result in results:
        wanted = result.task.utilisation
        if wanted is None:
            continue
        realised = result.speed_up.realised
        rows.append(
            (
                *_names(result),
                f">= {wanted:.1%}",
                f"{result.measurement.utilisation:.1%}",
                _verdict(result.measurement.utilisation >= wanted),
                f">= {REALISED}",
                f"{realised:.3f}",
                _verdict(realised >= REALISED),
                tags[result.task.point.machine],
            )
        )
    return _align(rows) if len(rows) > 1 else ""


def _verdict(met: bool) -> str:
    return "met" if met else "NOT MET"


def _peers(results: Sequence[Result], tags: Mapping[Machine, str]) -> str:
    rows = [("utilisation", *_NAMES, "Egret", "EdgeDRNN", "at 32 cycles latency", "on")]
    for result in results:
        point = result.task.point
        peer = PEERS.get(point.network.layers)
        if peer is None or set(point.activity) != {PEER_ACTIVITY}:
            continue
        rows.append(
            (
                *_names(result),
                f"{result.measurement.utilisation:.1%}",
                f"{peer.at_once:.1%}",
                f"{peer.late:.1%}",
                tags[point.machine],
            )
        )
    return "\n".join([_align(rows), *textwrap.wrap(f"({PEER_SOURCE})", _WIDTH)]) if len(rows) > 1 else ""


def _names(result: Result) -> tuple[str, str, str, str]:
    point = result.task.point
    return point.network.name, format_shares(point.activity), f"{100 * point.sparsity:g} %", point.mode


def _align(rows: Sequence[Sequence[str]]) -> str:
    """Set rows as a table: names to the left, numbers to the right."""
    columns = range(len(rows[0]))
    widths = [max(len(row[column]) for row in rows) for column in columns]
    left = {column for column in columns if column == 0 or rows[0][column] in ("mode", "on")}
    return "\n".join(
        "  ".join(
            row[column].ljust(widths[column]) if column in left else row[column].rjust(widths[column])
            for column in columns
        ).rstrip()
        for row in rows
    )
