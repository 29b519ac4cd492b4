"""What a run leaves in its folder: its latest state, a file per phase, and a log."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

from egret.errors import EgretError
from egret_training.model_file import read_saved, write_state

STATE = "state.pt"
LOG = "log.csv"
LOG_COLUMNS = (
    "phase",
    "epoch",
    "learning_rate",
    "train_perplexity",
    "valid_perplexity",
    "sparsity",
    "activity",
    "seconds",
)


class RunFolder:
    """The folder of a run: `state.pt`, `log.csv`, PHASE.pt after each phase."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Make the folder where there is none; EgretError where that cannot be."""
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EgretError(f"The run's folder {path} cannot be made: {error.strerror}.") from error

    def write(self, name: str, state: dict[str, Any]) -> None:
        """Write a state under a name; whoever reads it sees the old one or the new one, never half of it."""
        write_state(state, self.path / name)

    def read_state(self) -> dict[str, Any] | None:
        """Return the latest state, or None where the run has none yet."""
        path = self.path / STATE
        return read_saved(path) if path.exists() else None

    def log(self, **row: str | int) -> None:
        """Add a row with LOG_COLUMNS, in place of what a run that was taken up again logged from there on."""
        path = self.path / LOG
        unfinished = path.with_suffix(".tmp")
        try:
            rows: list[dict[str, Any]] = []
            if path.exists():
                with path.open(newline="") as file:
                    rows = list(csv.DictReader(file))
            same = [(r["phase"], r["epoch"]) == (row["phase"], str(row["epoch"])) for r in rows]
            rows = [*rows[: same.index(True) if True in same else None], row]
            with unfinished.open("w", newline="") as file:
                writer = csv.DictWriter(file, LOG_COLUMNS)
                writer.writeheader()
                writer.writerows(rows)
            os.replace(unfinished, path)
        except OSError as error:
            raise EgretError(f"{path} cannot be written: {error.strerror}.") from error
