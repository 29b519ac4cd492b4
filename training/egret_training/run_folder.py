"""What a run leaves in its folder: its latest state, a file per phase, and a log."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import torch

from egret.errors import EgretError

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
        unfinished = self.path / f"{name}.tmp"
        torch.save(state, unfinished)
        os.replace(unfinished, self.path / name)

    def read_state(self) -> dict[str, Any] | None:
        """Return the latest state, or None where the run has none yet."""
        path = self.path / STATE
        if not path.exists():
            return None
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return state

    def log(self, **row: str | int) -> None:
        """Add a row with LOG_COLUMNS."""
        path = self.path / LOG
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, LOG_COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(row)
