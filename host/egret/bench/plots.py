"""The results as pictures. Needs matplotlib, which nothing else in the package does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from egret.bench.measurement import CATEGORIES, where_cycles_go
from egret.bench.points import Machine, format_shares
from egret.bench.presets import PEER_ACTIVITY, PEERS
from egret.bench.sweep import Result, tag_machines
from egret.errors import EgretError
from egret.installation import how_to_install

_DOTS_PER_INCH = 110
_LEGEND_INCHES = 1.9
_MARKERS = "osD^vP*X"
_MOST_BARS = 30  # in one panel


def draw_plots(results: Sequence[Result], stem: Path) -> list[Path]:
    """Write the pictures that the results are enough for; return their paths, `stem` and a word each.

    STEM-utilisation.png: utilisation against activity (two activities at least); STEM-speedup.png: speed-up
    over the dense network in cycles against that on paper; STEM-cycles.png: where the cycles go.
    Raises EgretError where matplotlib is missing or a file cannot be written.
    """
    pyplot = _pyplot()
    figures = {"utilisation": _utilisation, "speedup": _speed_up, "cycles": _where}
    written: list[Path] = []
    for name, draw in figures.items():
        figure = draw(pyplot, results)
        if figure is None:
            continue
        path = stem.with_name(f"{stem.name}-{name}.png")
        try:
            figure.savefig(path, dpi=_DOTS_PER_INCH)
        except OSError as error:
            raise EgretError(f"{path} cannot be written: {error.strerror or error}.") from error
        finally:
            pyplot.close(figure)
        written.append(path)
    return written


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise EgretError(f"matplotlib is missing, so nothing is drawn; {how_to_install('plots')}") from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    return pyplot


def _setting(result: Result) -> tuple[Machine, float, str]:
    """Return what a panel's results have in common."""
    point = result.task.point
    return point.machine, point.sparsity, point.mode


def _name_machines(figure: Any, results: Sequence[Result]) -> dict[Machine, str]:
    """Put the machines over the figure; return what a panel calls its own: nothing if there is but one."""
    tags = tag_machines(results)
    if len(tags) == 1:
        tags = dict.fromkeys(tags, "")
    lines = [f"{tag} {machine.describe()}".strip() for machine, tag in tags.items()]
    figure.suptitle("\n".join(lines), fontsize=9)
    return {machine: f" {tag}" if tag else "" for machine, tag in tags.items()}


def _grouped(results: Sequence[Result], key: Any) -> dict[Any, list[Result]]:
    groups: dict[Any, list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return groups


def _network(result: Result) -> str:
    return result.task.point.network.name


def _mean_activity(result: Result) -> float:
    """Return the share of all neurons that fire."""
    measured, point = result.measurement, result.task.point
    return sum(measured.events) / measured.steps / sum(point.network.layers)


def _colours(pyplot: Any, results: Sequence[Result]) -> dict[str, Any]:
    names = list(dict.fromkeys(_network(result) for result in results))
    return {
        name: pyplot.get_cmap("plasma")(0.85 * i / max(len(names) - 1, 1)) for i, name in enumerate(names)
    }


def _utilisation(pyplot: Any, results: Sequence[Result]) -> Any:
    panels = {
        setting: own
        for setting, own in _grouped(results, _setting).items()
        if len({format_shares(result.task.point.activity) for result in own}) > 1
    }
    if not panels:
        return None
    colours = _colours(pyplot, results)
    figure, axes = _grid(pyplot, len(panels), 4.3, 3.7)
    tags = _name_machines(figure, results)
    for axis, ((machine, sparsity, mode), own) in zip(axes, panels.items(), strict=True):
        for name, line in _grouped(own, _network).items():
            line.sort(key=_mean_activity)
            shares = [100 * _mean_activity(result) for result in line]
            reached = [100 * result.measurement.utilisation for result in line]
            axis.plot(shares, reached, marker="o", markersize=4, color=colours[name], label=name)
            peer = PEERS.get(line[0].task.point.network.layers)
            if peer is not None:
                axis.scatter(100 * PEER_ACTIVITY, 100 * peer.late, marker="x", s=40, color=[colours[name]])
        axis.scatter([], [], marker="x", s=40, color="0.3", label="EdgeDRNN at that size")
        ticks = sorted({100 * share for result in own for share in result.task.point.activity if share})
        axis.set_xscale("log")
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
        axis.set_ylim(0, 102)
        axis.grid(True, color="0.9")
        axis.set_title(f"{100 * sparsity:g} % zeros, {mode}{tags[machine]}", fontsize=8)
        axis.set_xlabel("neurons that fire [%]")
        axis.set_ylabel("utilisation: roofline / cycles [%]")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8)
    return figure


def _speed_up(pyplot: Any, results: Sequence[Result]) -> Any:
    colours = _colours(pyplot, results)
    panels = _grouped(results, lambda result: (result.task.point.machine, result.task.point.mode))
    figure, axes = _grid(pyplot, len(panels), 4.4, 4.3)
    tags = _name_machines(figure, results)
    sparsities = sorted({result.task.point.sparsity for result in results})
    markers = {sparsity: _MARKERS[i % len(_MARKERS)] for i, sparsity in enumerate(sparsities)}
    for axis, ((machine, mode), own) in zip(axes, panels.items(), strict=True):
        factors = [result.speed_up for result in own]
        ends = [
            value for factor in factors for value in (factor.paper, factor.cycles) if value != float("inf")
        ]
        low, high = min([*ends, 1.0]) / 1.3, max([*ends, 2.0]) * 1.3
        axis.plot([low, high], [low, high], color="0.6", linewidth=1, zorder=0)
        for result, factor in zip(own, factors, strict=True):
            axis.scatter(
                factor.paper,
                factor.cycles,
                s=30,
                marker=markers[result.task.point.sparsity],
                color=[colours[_network(result)]],
                edgecolors="white",
                linewidths=0.4,
            )
        axis.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_formatter("{x:g}")
        axis.grid(True, color="0.9")
        axis.set_axisbelow(True)
        axis.set_title(f"{mode}{tags[machine]}", fontsize=8)
        axis.set_xlabel("speed-up on paper: dense MACs / sparse MACs")
        axis.set_ylabel("measured: dense cycles / sparse cycles")
    handles = [
        pyplot.Line2D([], [], color=colour, marker="o", ls="", label=name) for name, colour in colours.items()
    ]
    handles += [
        pyplot.Line2D([], [], color="0.4", marker=markers[share], ls="", label=f"{100 * share:g} % zeros")
        for share in sparsities
    ]
    figure.legend(handles=handles, loc="outside right center", fontsize=8)
    return figure


def _where(pyplot: Any, results: Sequence[Result]) -> Any:
    if len(results) <= _MOST_BARS:
        return _where_in_one(pyplot, results)
    rows, names = (list(dict.fromkeys(map(key, results))) for key in (_setting, _network))
    panels = _grouped(results, lambda result: (_setting(result), _network(result)))
    panels = dict(sorted(panels.items(), key=lambda item: (rows.index(item[0][0]), names.index(item[0][1]))))
    figure, axes = _grid(pyplot, len(panels), 2.4, 2.4, columns=min(len(names), 6), share_y=True)
    tags = _name_machines(figure, results)
    for axis, (((machine, sparsity, mode), network), own) in zip(axes, panels.items(), strict=True):
        _stack(axis.bar, own, "bottom")
        shares = [format_shares(result.task.point.activity).removesuffix(" %") for result in own]
        axis.set_xticks(range(len(own)), shares, fontsize=8)
        axis.set_ylim(0, 100)
        axis.set_title(f"{network}, {100 * sparsity:g} % zeros\n{mode}{tags[machine]}", fontsize=7.5)
        axis.set_xlabel("neurons that fire [%]", fontsize=8)
        if axis.get_subplotspec().is_first_col():
            axis.set_ylabel("cycles [%]", fontsize=8)
    _legend(figure, axes[0])
    return figure


def _where_in_one(pyplot: Any, results: Sequence[Result]) -> Any:
    """Draw one bar for each result, with its description."""
    figure, (axis,) = _grid(pyplot, 1, 8.0, 1.3 + 0.3 * len(results))
    tags = _name_machines(figure, results)
    _stack(axis.barh, results, "left")
    names = [result.task.point.describe() + tags[result.task.point.machine] for result in results]
    axis.set_yticks(range(len(results)), names, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0, 100)
    axis.set_xlabel("cycles of the busiest engine [%]")
    _legend(figure, axis)
    return figure


def _stack(bar: Any, results: Sequence[Result], start: str) -> None:
    """Draw a bar of parts for each result; `start` names the argument of where a part begins."""
    parts = [where_cycles_go(result.measurement) for result in results]
    ends = [0.0] * len(results)
    for name, (label, colour) in CATEGORIES.items():
        sizes = [
            100 * part[name] / result.measurement.cycles for part, result in zip(parts, results, strict=True)
        ]
        bar(range(len(results)), sizes, 0.85, color=colour, label=label, **{start: ends})
        ends = [end + size for end, size in zip(ends, sizes, strict=True)]


def _legend(figure: Any, axis: Any) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right center", fontsize=8)


def _grid(
    pyplot: Any, count: int, width: float, height: float, columns: int | None = None, share_y: bool = False
) -> tuple[Any, list[Any]]:
    """Return a figure and `count` axes of this size in inches, in rows."""
    columns = columns or min(count, 4)
    rows = -(-count // columns)
    figure, axes = pyplot.subplots(
        rows,
        columns,
        figsize=(columns * width + _LEGEND_INCHES, rows * height),
        squeeze=False,
        sharey=share_y,
        layout="constrained",
    )
    flat = list(axes.flat)
    for axis in flat[count:]:
        axis.remove()
    return figure, flat[:count]
