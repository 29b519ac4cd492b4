"""A picture of a run: perplexities and activity by training time, from its log."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from egret.errors import EgretError
from egret.installation import how_to_install
from egret_training.run_folder import LOG


def read_log(folder: str | os.PathLike[str]) -> list[dict[str, str]]:
    """Return the rows of a run's log; EgretError where there is none."""
    path = Path(folder) / LOG
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise EgretError(f"{path} cannot be read: {error.strerror}.") from error
    if not rows:
        raise EgretError(f"{path} holds no epoch yet.")
    return rows


def plot_run(folder: str | os.PathLike[str], picture: Path) -> None:
    """Draw the log of a run; the picture's ending says its format (png, svg, pdf).

    Raises EgretError without matplotlib, without a log, or where the picture cannot be written.
    """
    rows = read_log(folder)
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, ScalarFormatter
    except ModuleNotFoundError as error:
        raise EgretError(f"Plots need matplotlib; {how_to_install('plots')}") from error
    minutes = [float(row["seconds"]) / 60 for row in rows]
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=[2, 1])
    above.plot(minutes, [float(row["train_perplexity"]) for row in rows], ".--", label="train (with dropout)")
    above.plot(minutes, [float(row["valid_perplexity"]) for row in rows], ".-", label="valid")
    above.set(yscale="log", ylabel="perplexity", title=Path(folder).name)
    above.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    above.yaxis.set_major_formatter(ScalarFormatter())
    above.yaxis.minorticks_off()
    above.grid(axis="y", color="0.9")
    activities = [[float(share) for share in row["activity"].split("/") if share] for row in rows]
    for layer in range(max(map(len, activities))):
        points = [(m, a[layer]) for m, a in zip(minutes, activities, strict=True) if layer < len(a)]
        below.plot(*zip(*points, strict=True), ".-", label=f"layer {layer}")
    below.plot(minutes, [float(row["sparsity"]) for row in rows], "k:", label="weights that are zero")
    below.set(ylim=(0, 1), ylabel="share", xlabel="minutes of training")
    for first, row in enumerate(rows):
        if first and row["phase"] != rows[first - 1]["phase"]:
            change = (minutes[first - 1] + minutes[first]) / 2
            for axes in (above, below):
                axes.axvline(change, color="0.7", zorder=0)
            top = above.get_xaxis_transform()
            above.text(change, 0.02, f" {row['phase']}", transform=top, color="0.4", fontsize="small")
    above.legend(), below.legend(fontsize="small")
    try:
        figure.savefig(picture)
    except (OSError, ValueError) as error:
        raise EgretError(f"{picture} cannot be written: {error}.") from error
