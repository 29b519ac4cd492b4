"""A picture of a run: perplexities and activity by training time, from its log."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from egret.errors import EgretError
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
    except ModuleNotFoundError as error:
        raise EgretError("Plots need matplotlib: `pip install matplotlib`.") from error
    minutes = [float(row["seconds"]) / 60 for row in rows]
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=[2, 1])
    above.plot(minutes, [float(row["train_perplexity"]) for row in rows], ".--", label="train (with dropout)")
    above.plot(minutes, [float(row["valid_perplexity"]) for row in rows], ".-", label="valid")
    above.set(yscale="log", ylabel="perplexity", title=Path(folder).name)
    activities = [[float(share) for share in row["activity"].split("/") if share] for row in rows]
    for layer in range(max(map(len, activities))):
        points = [(m, a[layer]) for m, a in zip(minutes, activities, strict=True) if layer < len(a)]
        below.plot(*zip(*points, strict=True), ".-", label=f"layer {layer}")
    below.plot(minutes, [float(row["sparsity"]) for row in rows], "k:", label="weights that are zero")
    below.set(ylim=(0, 1), ylabel="share", xlabel="minutes of training")
    for first, row in enumerate(rows):
        if first and row["phase"] != rows[first - 1]["phase"]:
            for axes in (above, below):
                axes.axvline((minutes[first - 1] + minutes[first]) / 2, color="0.8", zorder=0)
    above.legend(), below.legend(fontsize="small")
    try:
        figure.savefig(picture)
    except (OSError, ValueError) as error:
        raise EgretError(f"{picture} cannot be written: {error}.") from error
