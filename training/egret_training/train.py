"""The training loop: phases of a recipe, checkpoints every few minutes, exact resumption."""

from __future__ import annotations

import csv
import math
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from egret.errors import EgretError
from egret_training import data
from egret_training.data import Corpus
from egret_training.evaluation import perplexity
from egret_training.model import Dropout, EgruLanguageModel, Shape
from egret_training.pruning import DECODER, apply_masks, draw_masks, sparsity_at
from egret_training.quantization import QuantizedEgruLanguageModel
from egret_training.quantizers import WEIGHT_BITS, decoder_weight_limit
from egret_training.recipe import Phase, Pruning, Recipe

THRESHOLD_RANGE = (64 / 32768, 32767 / 32768)
"""Thresholds that the kernel can hold."""

SAVE_SECONDS = 150.0

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


class Trainer:
    """A run of a recipe in a folder: `state.pt` (the latest state), `log.csv`, PHASE.pt after each phase."""

    def __init__(self, recipe: Recipe, corpus: Corpus, folder: str | os.PathLike[str]) -> None:
        """Start a run in `folder`, or take up the one there; EgretError where that is of another network."""
        self.recipe, self.corpus, self.folder = recipe, corpus, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(recipe.seed)
        sizes = recipe.model
        self.model = EgruLanguageModel(
            Shape(len(corpus.vocabulary), sizes.embedding, sizes.layers, sizes.tied), corpus.log_frequencies()
        )
        self.train_streams = data.streams(corpus.train, recipe.streams)
        self.valid_streams = data.streams(corpus.valid, recipe.evaluation_streams)
        self.phase, self.epoch, self.seconds = 0, 0, 0.0
        self.position: dict[str, Any] | None = None
        self.optimizer_state: dict[str, Any] | None = None
        self.masks: dict[str, Tensor] = {}
        if (self.folder / "state.pt").exists():
            self._resume(self.folder / "state.pt")

    def run(self, until: str | None = None) -> EgruLanguageModel:
        """Run the phases that are left, up to and with the phase named `until` (all where None)."""
        names = [phase.name for phase in self.recipe.phases]
        if until is not None and until not in names:
            raise EgretError(f"The recipe has no phase {until!r}; its phases are {', '.join(names)}.")
        last = len(names) if until is None else names.index(until) + 1
        while self.phase < last:
            self._run_phase(self.recipe.phases[self.phase])
        return self.model

    def _run_phase(self, phase: Phase) -> None:
        if phase.untie:
            self.model.untie()
        self.model.shape.decoder_weight_bits = phase.decoder_weight_bits
        if phase.quantized and not isinstance(self.model, QuantizedEgruLanguageModel):
            if self.epoch == 0 and self.position is None:
                self.model.center_decoder_bias()
            self.model = QuantizedEgruLanguageModel.of(self.model)
        optimizer = _optimizer(self.model, phase)
        if self.optimizer_state is not None:
            optimizer.load_state_dict(self.optimizer_state)
            self.optimizer_state = None
        for index, layer in enumerate(self.model.stack):
            layer.activity_target = phase.activity_targets[index] if phase.activity_targets else None
            layer.activity_weight = phase.activity_weight
        while self.epoch < phase.epochs:
            self._run_epoch(phase, optimizer)
            self.epoch += 1
            self._save(optimizer)
        self.phase, self.epoch = self.phase + 1, 0
        self._save(None)
        os.replace(self._write("phase.tmp", None), self.folder / f"{phase.name}.pt")

    def _run_epoch(self, phase: Phase, optimizer: torch.optim.Optimizer) -> None:
        recipe, model = self.recipe, self.model
        dropout = Dropout(
            phase.dropout_words, phase.dropout_embedding, phase.dropout_between, phase.dropout_output
        )
        sample = (phase.softmax_head, phase.softmax_tail) if phase.softmax_head else None
        if self.position is None:
            # A different cut into windows each epoch.
            self.position = {
                "start": int(torch.randint(recipe.window, ())),
                "window": 0,
                "loss": 0.0,
                "tokens": 0,
                "state": model.initial_state(recipe.streams),
            }
        position = self.position
        cuts = list(data.windows(self.train_streams, recipe.window, position["start"]))
        started = saved = time.monotonic()
        learning_rate = 0.0
        activity: list[float] = []
        bar = tqdm(
            range(position["window"], len(cuts)),
            initial=position["window"],
            total=len(cuts),
            mininterval=1.0,
            desc=f"{phase.name} {self.epoch + 1}/{phase.epochs}",
            dynamic_ncols=True,
        )
        for index in bar:
            done = (self.epoch + index / len(cuts)) / phase.epochs
            learning_rate = schedule(phase, done)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            inputs, targets = cuts[index]
            loss, state, outputs = model.loss(
                inputs, targets, position["state"], torch.bfloat16, dropout, sample
            )
            optimizer.zero_grad()
            loss.backward()
            nats = float(loss.detach())
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimizer.step()
            with torch.no_grad():
                for layer in model.stack:
                    layer.threshold.clamp_(*THRESHOLD_RANGE)
            self._prune(phase, done, index)
            count = targets.numel()
            position.update(
                window=index + 1,
                state=state,
                loss=position["loss"] + nats * count,
                tokens=position["tokens"] + count,
            )
            if index % 20 == 0 or not activity:
                activity = [float((y != 0).float().mean()) for y in outputs]
                bar.set_postfix(
                    ppl=f"{math.exp(position['loss'] / position['tokens']):.1f}",
                    now=f"{math.exp(nats):.1f}",
                    active="/".join(f"{a:.3f}" for a in activity),
                )
            if time.monotonic() - saved > SAVE_SECONDS:
                saved = time.monotonic()
                self.seconds, started = self.seconds + saved - started, saved
                self._save(optimizer)
        bar.close()
        train = math.exp(position["loss"] / max(position["tokens"], 1))
        valid = perplexity(model, self.valid_streams)
        now = time.monotonic()
        self.seconds += now - started
        self.position = None
        self._log(phase, learning_rate, train, valid, activity)

    def _prune(self, phase: Phase, done: float, update: int) -> None:
        pruning = phase.pruning
        if pruning is not None:
            rising = done <= pruning.ramp
            if (rising and update % pruning.redraw == 0) or not (rising or self._pruned(pruning)):
                part = done / pruning.ramp if rising and pruning.ramp else 1.0
                layers, decoder = pruning.sparsity, pruning.of_decoder
                self.masks = draw_masks(
                    self.model,
                    pruning,
                    sparsity_at(pruning.start, layers, part),
                    sparsity_at(min(pruning.start, decoder), decoder, part),
                )
        apply_masks(self.model, self.masks)
        if phase.decoder_weight_bits < WEIGHT_BITS:
            assert self.model.own_decoder_weights is not None
            limit = decoder_weight_limit(phase.decoder_weight_bits)
            with torch.no_grad():
                self.model.own_decoder_weights.clamp_(-limit, limit)

    def _log(
        self, phase: Phase, learning_rate: float, train: float, valid: float, activity: list[float]
    ) -> None:
        path = self.folder / "log.csv"
        new = not path.exists()
        row = (
            phase.name,
            self.epoch + 1,
            f"{learning_rate:.6f}",
            f"{train:.3f}",
            f"{valid:.3f}",
            f"{self._sparsity():.4f}",
            "/".join(f"{a:.4f}" for a in activity),
            f"{self.seconds:.0f}",
        )
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(LOG_COLUMNS)
            writer.writerow(row)
        tqdm.write(
            f"{phase.name} epoch {self.epoch + 1}: train {train:.2f}, valid {valid:.2f} "
            f"({self.seconds:.0f} s in all)"
        )

    def _pruned(self, pruning: Pruning) -> bool:
        """Return whether the masks remove all that they shall."""
        return bool(self.masks) and all(
            1.0 - float(mask.float().mean()) >= (pruning.of_decoder if name == DECODER else pruning.sparsity)
            for name, mask in self.masks.items()
        )

    def _sparsity(self) -> float:
        total = sum(mask.numel() for mask in self.masks.values())
        return 1.0 - sum(int(mask.sum()) for mask in self.masks.values()) / total if total else 0.0

    def _write(self, name: str, optimizer: torch.optim.Optimizer | None) -> Path:
        path = self.folder / name
        torch.save(
            {
                "recipe": asdict(self.recipe),
                "shape": asdict(self.model.shape),
                "vocabulary": self.corpus.vocabulary,
                "model": self.model.state_dict(),
                "masks": self.masks,
                "phase": self.phase,
                "epoch": self.epoch,
                "seconds": self.seconds,
                "position": self.position,
                "random": torch.get_rng_state(),
                "optimizer": None if optimizer is None else optimizer.state_dict(),
            },
            path,
        )
        return path

    def _save(self, optimizer: torch.optim.Optimizer | None) -> None:
        os.replace(self._write("state.tmp", optimizer), self.folder / "state.pt")

    def _resume(self, path: Path) -> None:
        saved = torch.load(path, weights_only=True)
        if (
            saved["recipe"]["model"] != asdict(self.recipe.model)
            or saved["vocabulary"] != self.corpus.vocabulary
        ):
            raise EgretError(f"{self.folder} holds a run of another network or corpus; name another folder.")
        if not saved["shape"]["tied"]:
            self.model.untie()
        self.model.load_state_dict(saved["model"])
        self.masks = saved["masks"]
        self.phase, self.epoch, self.seconds = saved["phase"], saved["epoch"], saved["seconds"]
        self.position, self.optimizer_state = saved["position"], saved["optimizer"]
        torch.set_rng_state(saved["random"])


def schedule(phase: Phase, done: float) -> float:
    """Return the learning rate when the share `done` (0..1) of a phase is behind."""
    if done < phase.warmup:
        return phase.learning_rate * max(done / phase.warmup, 1e-3)
    part = (done - phase.warmup) / (1 - phase.warmup)
    return phase.final_learning_rate + (phase.learning_rate - phase.final_learning_rate) * 0.5 * (
        1 + math.cos(math.pi * part)
    )


def _optimizer(model: EgruLanguageModel, phase: Phase) -> torch.optim.Optimizer:
    weights = [p for p in model.parameters() if p.dim() > 1 and p.shape[0] != 4]
    others = [p for p in model.parameters() if p.dim() == 1 or p.shape[0] == 4]
    return torch.optim.AdamW(
        [{"params": weights, "weight_decay": phase.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=phase.learning_rate,
        fused=True,
    )
