"""Reading back what a training run saved."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from egret.checkpoint import validate_words
from egret.errors import EgretError
from egret_training.model import EgruLanguageModel, Shape


def read_saved(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what Trainer saved at `path`; raises EgretError where there is no such file."""
    if not Path(path).is_file():
        raise EgretError(f"There is no saved run at {path}; `python -m egret_training train` makes one.")
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not {"shape", "model", "vocabulary", "recipe"} <= set(saved):
            raise EgretError(f"{path} is not a saved run of egret_training.")
        return saved
    except EgretError:
        raise
    # What torch raises for a file that is not its own depends on how it is broken.
    except Exception as error:
        raise EgretError(f"{path} is not a saved run of egret_training: {error}") from error


def saved_masks(saved: dict[str, Any]) -> dict[str, Tensor]:
    """Return the pruning masks of what Trainer saved, bool [gates, rows, columns], by the matrices' names.

    Runs that were saved before matrices had one name each call them as the model's parameters.
    """
    return {
        name.replace("layers.", "layer").replace("own_decoder", "decoder"): mask
        for name, mask in saved["masks"].items()
    }


def write_state(state: dict[str, Any], path: Path) -> None:
    """Write a state; whoever reads the file sees the old one or the new one, never half of it."""
    unfinished = path.with_name(f"{path.name}.tmp")
    try:
        torch.save(state, unfinished)
        os.replace(unfinished, path)
    except (OSError, RuntimeError) as error:  # (torch raises RuntimeError where the disk is full)
        unfinished.unlink(missing_ok=True)
        raise EgretError(f"{path} cannot be written: {error}.") from error


def load_model(path: str | os.PathLike[str]) -> tuple[EgruLanguageModel, dict[str, Any]]:
    """Return the model that was saved at `path`, in floating point (float32), and all else that was saved."""
    saved = read_saved(path)
    try:
        model = EgruLanguageModel(Shape(**saved["shape"]))
        model.load_state_dict(saved["model"])
        validate_words(saved["vocabulary"])
        if len(saved["vocabulary"]) != model.shape.vocabulary:
            raise EgretError(f"it has {len(saved['vocabulary'])} words for {model.shape.vocabulary}.")
    # What a damaged file does not let be made: shapes that are none, tensors of others.
    except (EgretError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError) as error:
        raise EgretError(f"{path} is a damaged run: {error}") from error
    return model, saved


OF_A_RUN = (
    "optimizer",
    "average",
    "best",
    "position",
    "random",
    "device_random",
    "phase",
    "epoch",
    "spent",
    "epochs",
    "masks_complete",
)
"""What only a run that goes on needs."""


def write_model(saved: dict[str, Any], path: str | os.PathLike[str], half: bool = True) -> int:
    """Write what `read_saved` returned as a model to keep, with weights in half precision; return its bytes.

    `train --start-from`, `export` and `compare` read it as they read a file of a run. Raises EgretError where
    a weight is too large for half precision or the file cannot be written.
    """
    kept = {name: value for name, value in saved.items() if name not in OF_A_RUN}
    if half:
        kept["model"] = {name: value.half() for name, value in saved["model"].items()}
        for name, value in kept["model"].items():
            if not value.isfinite().all():
                raise EgretError(f"{name} has a value that half precision does not hold (65504 at most).")
    write_state(kept, Path(path))
    return Path(path).stat().st_size
