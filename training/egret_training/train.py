"""The training loop: phases of a recipe, checkpoints every few minutes, exact resumption."""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from egret.errors import EgretError
from egret.text.vocabulary import METADATA_KEY
from egret_training import data
from egret_training.bptt import Window, cut, make_window, reset_cells
from egret_training.constraints import THRESHOLD_RANGE, Constraints
from egret_training.data import Corpus
from egret_training.distributed import Group
from egret_training.egru import Surrogate
from egret_training.evaluation import Perplexity
from egret_training.execution import Execution, random_state, set_random_state
from egret_training.model import EgruLanguageModel, Shape
from egret_training.model_file import read_saved, saved_masks
from egret_training.optimization import (
    WeightAverage,
    activity_weight,
    clip_gradients,
    dropout_in,
    hardness,
    make_optimizer,
    schedule,
)
from egret_training.quantized_model import QuantizedEgruLanguageModel
from egret_training.recipe import Distillation, Phase, Recipe
from egret_training.run_folder import STATE, RunFolder
from egret_training.teacher import Teacher

SAVE_SECONDS = 150.0

MEASURED_WINDOWS = 5
"""So many are timed to cut a phase to a budget."""
QUANTIZED_COST = 2.0
"""What an epoch in integers is taken to cost, in epochs in floating point, before either was timed."""
OF_OPTIMIZER = 1.15
"""What a window with its update is taken to cost, in windows."""


class Trainer:
    """A run of a recipe in a folder (see RunFolder), by one process or by several that torchrun started."""

    def __init__(
        self,
        recipe: Recipe,
        corpus: Corpus,
        folder: str | os.PathLike[str],
        execution: Execution | None = None,
        start_from: str | os.PathLike[str] | None = None,
        seconds: float | None = None,
    ) -> None:
        """Start a run in `folder`, or take up the one there; EgretError where that is of another network.

        `execution`: None is the processor. Where several processes train, windows are not recorded. A new run
        begins with the model, masks and random numbers that `start_from` holds, a file of another run. With
        `seconds`, each phase is cut to the epochs that fit its share of that time, what was spent before an
        interruption counted in.
        """
        self.budget, self.began = seconds, time.monotonic()
        self.recipe, self.corpus, self.folder, self.group = recipe, corpus, RunFolder(folder), Group()
        self.execution = Execution() if execution is None else execution
        self.device = self.execution.device
        torch.manual_seed(recipe.seed)
        sizes = recipe.model
        shape = Shape(
            len(corpus.vocabulary), sizes.embedding, list(sizes.layers), sizes.tied, cell=sizes.cell
        )
        self.model = EgruLanguageModel(shape, corpus.log_frequencies())
        if sizes.published_start:
            self.model.start_as_published()
        for layer in self.model.event_layers:
            nn.init.constant_(layer.threshold, sizes.threshold)
            if sizes.threshold_beta:
                first, second = sizes.threshold_beta
                drawn = torch.distributions.Beta(first, second).sample(layer.threshold.shape)
                layer.threshold.data.copy_(drawn.clamp_(*THRESHOLD_RANGE))
        # (Drawn on the processor, a seed gives the same network everywhere.)
        self.model.to(self.device)
        # From here on each process draws its own dropout.
        torch.manual_seed(recipe.seed + self.group.rank)
        self.train_streams = self.group.share(data.streams(corpus.train, recipe.streams)).to(self.device)
        self.valid_streams = data.streams(corpus.valid, recipe.evaluation_streams).to(self.device)
        self.phase, self.epoch, self.seconds = 0, 0, 0.0
        self.position: dict[str, Any] | None = None
        self.optimizer_state: dict[str, Any] | None = None
        self.average_state: dict[str, Any] | None = None
        self.average: WeightAverage | None = None
        self.best: dict[str, Any] | None = None
        """Where a phase keeps its best weights: their validation perplexity and the parameters."""
        self.saved_at = time.monotonic()
        self.spent = 0.0
        """Seconds of the processes before this one, all that they did counted in."""
        self.epochs: dict[str, int] = {}
        """Epochs of the phases that were cut to a budget."""
        self.constraints = Constraints()
        saved = self.folder.read_state()
        if saved is not None:
            self._resume(saved, self.folder.path)
        elif start_from is not None:
            afresh: dict[str, Any] = {"phase": 0, "epoch": 0, "position": None}
            afresh |= {"optimizer": None, "average": None, "best": None, "spent": 0.0, "epochs": {}}
            self._resume({"random": None, **read_saved(start_from), **afresh}, start_from)

    def run(self, until: str | None = None) -> EgruLanguageModel:
        """Run the phases that are left, up to and with the phase named `until` (all where None)."""
        names = [phase.name for phase in self.recipe.phases]
        if until is not None and until not in names:
            raise EgretError(f"The recipe has no phase {until!r}; its phases are {', '.join(names)}.")
        last = len(names) if until is None else names.index(until) + 1
        while self.phase < last:
            self._run_phase(self.recipe.phases[self.phase])
        return self.model

    def teacher(self, distill: Distillation) -> Teacher:
        """Return what the teacher of a phase expects of this process's streams."""
        path = Path(distill.targets)
        path = path if path.is_absolute() else self.folder.path / path
        own = self.train_streams.shape[1]
        return Teacher(
            path, self.corpus, self.recipe.streams, self.group.rank * own, own, distill.weight, self.device
        )

    def _run_phase(self, phase: Phase) -> None:
        if phase.untie:
            self.model.untie()
        self.model.shape.weight_bits = phase.weight_bits
        self.model.shape.decoder_weight_bits = phase.decoder_weight_bits
        if phase.quantized and not isinstance(self.model, QuantizedEgruLanguageModel):
            if not self._began():
                self.model.center_decoder_bias()
            self.model = QuantizedEgruLanguageModel.of(self.model).to(self.device)
        for index, layer in enumerate(self.model.event_layers):
            layer.activity_target = phase.activity_targets[index] if phase.activity_targets else None
            # (Tensors, so that a recorded window reads what is set between its replays.)
            layer.activity_weight = torch.zeros((), device=self.device)
            anneals = phase.anneal_from != 1 or phase.anneal_to != 1
            layer.hardness = torch.ones((), device=self.device) if anneals else None
            layer.surrogate = Surrogate(
                self.recipe.model.surrogate_height,
                self.recipe.model.surrogate_slope,
                self.recipe.model.surrogate_jump or None,
            )
            layer.threshold.requires_grad_(phase.learn_thresholds)
            layer.element_wise = self.execution.element_wise
        if not self._began():
            self.constraints.begin(self.model, phase, self.corpus)
        optimizer = make_optimizer(self.model, phase)
        if self.optimizer_state is not None:
            optimizer.load_state_dict(self.optimizer_state)
            self.optimizer_state = None
        self.average = WeightAverage(self.model, self.average_state)
        self.average_state = None
        stepped: nn.Module = self.model
        if self.group.size > 1:
            stepped = nn.parallel.DistributedDataParallel(self.model)
        product_type = self.execution.product_type
        steps = None if self.recipe.random_windows else self.recipe.window
        window = make_window(stepped, product_type, steps, self.execution)
        record = self.execution.record if self.model.event_layers else None
        validate = Perplexity(self.model, product_type, record)
        phase = replace(phase, epochs=self._epochs(phase, window, validate))
        while self.epoch < phase.epochs:
            self._run_epoch(phase, window, validate, optimizer)
            self.epoch += 1
            self._save_when_due(optimizer)
        self.average.swap(self.model)
        self.average = None
        if self.best is not None:
            self._exchange(self.best["parameters"])
            self.best = None
        self.phase, self.epoch = self.phase + 1, 0
        self._save(f"{phase.name}.pt")
        self._save(STATE)

    def _sample(self, phase: Phase) -> tuple[int, int] | None:
        """Return how many words count in the softmax, where the vocabulary has more than these."""
        fewer = 0 < phase.softmax_head + phase.softmax_tail < self.model.shape.vocabulary
        return (phase.softmax_head, phase.softmax_tail) if fewer else None

    def _epochs(self, phase: Phase, window: Window, validate: Perplexity) -> int:
        """Return the epochs of a phase: the recipe's, or as many as fit its share of what is left."""
        if self.budget is not None and phase.name not in self.epochs and not self._began():
            left = self.budget - self.spent - (time.monotonic() - self.began)
            costs = [
                other.epochs * (QUANTIZED_COST if other.quantized else 1.0)
                for other in self.recipe.phases[self.phase :]
            ]
            fitting = left * costs[0] / sum(costs) / self._seconds_per_epoch(phase, window, validate)
            # (All processes train as long as the first does.)
            agreed = self.group.sum(max(1, min(phase.epochs, int(fitting))) if self.group.first else 0)
            self.epochs[phase.name] = int(agreed[0])
            if self.group.first:
                tqdm.write(f"{phase.name}: {self.epochs[phase.name]} of {phase.epochs} epochs fit the time")
        return self.epochs.get(phase.name, phase.epochs)

    def _seconds_per_epoch(self, phase: Phase, window: Window, validate: Perplexity) -> float:
        """Measure some windows and the validation; nothing is changed, and no random number drawn."""
        before = random_state(self.device)
        dropout = dropout_in(phase, 0)
        sample = self._sample(phase)
        steps = min(self.recipe.window, len(self.train_streams) - 1)
        inputs, targets = self.train_streams[:steps], self.train_streams[1 : steps + 1]
        soft = None if phase.distill is None else self.teacher(phase.distill).window(0, steps)
        state = self.model.initial_state(self.train_streams.shape[1])
        started = 0.0
        for turn in range(1 + MEASURED_WINDOWS):
            if turn == 1:  # (the first compiles and records)
                self.execution.wait()
                started = time.monotonic()
            window(inputs, targets, state, dropout, sample, soft)
            clip_gradients(self.model, self.recipe)
        self.execution.wait()
        seconds = (time.monotonic() - started) / MEASURED_WINDOWS * len(self.train_streams) / steps
        for _ in range(2):  # (the first records)
            started = time.monotonic()
            validate(self.valid_streams)
        set_random_state(self.device, before)
        return seconds * OF_OPTIMIZER + time.monotonic() - started

    def _run_epoch(
        self, phase: Phase, window: Window, validate: Perplexity, optimizer: torch.optim.Optimizer
    ) -> None:
        recipe, model = self.recipe, self.model
        assert self.average is not None
        dropout = dropout_in(phase, self.epoch)
        sampled = self._sample(phase)
        if self.position is None:
            # A different cut into windows each epoch, the same in all processes.
            drawn = torch.randint(1 << 31 if recipe.random_windows else recipe.window, ()).item()
            start = self.group.sum(drawn if self.group.first else 0)
            self.position = {
                "start": int(start[0]),
                "window": 0,
                "loss": torch.zeros((), dtype=torch.float64, device=self.device),
                "tokens": 0,
                "state": model.initial_state(self.train_streams.shape[1]),
            }
        position = self.position
        cuts = cut(len(self.train_streams), recipe, position["start"])
        teacher = None if phase.distill is None else self.teacher(phase.distill)
        started = time.monotonic()
        learning_rate = 0.0
        activity: list[float] = []
        bar = tqdm(
            range(position["window"], len(cuts)),
            initial=position["window"],
            total=len(cuts),
            mininterval=1.0,
            desc=f"{phase.name} {self.epoch + 1}/{phase.epochs}",
            dynamic_ncols=True,
            disable=None if self.group.first else True,  # None: where nobody watches, in a pipe or a file
        )
        for index in bar:
            done = (self.epoch + index / len(cuts)) / phase.epochs
            learning_rate = schedule(phase, done)
            row, steps, part = cuts[index]
            inputs = self.train_streams[row : row + steps]
            targets = self.train_streams[row + 1 : row + 1 + steps]
            soft = None if teacher is None else teacher.window(row, steps)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * part
            self._schedule_events(phase, done)
            sample = sampled if done < phase.softmax_full_from else None
            found = window(inputs, targets, position["state"], dropout, sample, soft)
            clip_gradients(model, recipe)
            optimizer.step()
            self.constraints.apply(model, phase, done, index)
            if done >= phase.average_from:
                self.average.add(model)
            count = targets.numel()
            position.update(
                window=index + 1,
                state=reset_cells(found.state) if recipe.reset_cells else found.state,
                loss=position["loss"] + found.loss.double() * count,
                tokens=position["tokens"] + count,
            )
            if index % 20 == 0 or not activity:
                activity = [float(share) for share in model.activity(found.outputs)]
                bar.set_postfix(
                    ppl=f"{math.exp(float(position['loss']) / position['tokens']):.1f}",
                    now=f"{math.exp(float(found.loss)):.1f}",
                    active="/".join(f"{a:.3f}" for a in activity),
                )
            now = time.monotonic()
            self.seconds, started = self.seconds + now - started, now
            self._save_when_due(optimizer)
        bar.close()
        nats, tokens = self.group.sum(float(position["loss"]), position["tokens"])
        train = math.exp(nats / max(tokens, 1))
        self._schedule_events(phase, (self.epoch + 1) / phase.epochs)
        self.average.swap(model)
        valid = validate(self.valid_streams)
        if phase.keep_best and self._settled(phase):
            self._keep_if_best(valid)
        self.average.swap(model)
        now = time.monotonic()
        self.seconds += now - started
        self.position = None
        if self.group.first:
            self._log(phase, learning_rate, train, valid, activity)

    def _settled(self, phase: Phase) -> bool:
        """Return whether annealing and pruning were complete before the present epoch."""
        pruning = phase.pruning
        ramp = pruning.ramp if pruning is not None else 0.0
        annealing = phase.anneal_until if phase.anneal_from != phase.anneal_to else 0.0
        return self.epoch / phase.epochs >= max(ramp, annealing)

    def _keep_if_best(self, perplexity: float) -> None:
        best = math.inf if self.best is None else self.best["perplexity"]
        if self.group.agree(perplexity < best):
            parameters = {name: p.detach().clone() for name, p in self.model.named_parameters()}
            self.best = {"perplexity": perplexity, "parameters": parameters}

    @torch.no_grad()
    def _exchange(self, parameters: dict[str, torch.Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            parameter.copy_(parameters[name])

    def _schedule_events(self, phase: Phase, done: float) -> None:
        """Set how hard events are, and what too many of them cost, when the share `done` is behind."""
        for layer in self.model.event_layers:
            assert isinstance(layer.activity_weight, torch.Tensor)
            layer.activity_weight.fill_(activity_weight(phase, done))
            if layer.hardness is not None:
                layer.hardness.fill_(hardness(phase, done))

    def _began(self) -> bool:
        """Return whether the present phase has made an update."""
        return self.epoch > 0 or self.position is not None

    def _log(
        self, phase: Phase, learning_rate: float, train: float, valid: float, activity: list[float]
    ) -> None:
        self.folder.log(
            phase=phase.name,
            epoch=self.epoch + 1,
            learning_rate=f"{learning_rate:.6f}",
            train_perplexity=f"{train:.3f}",
            valid_perplexity=f"{valid:.3f}",
            sparsity=f"{self.constraints.sparsity():.4f}",
            activity="/".join(f"{a:.4f}" for a in activity),
            seconds=f"{self.seconds:.0f}",
        )
        tqdm.write(
            f"{phase.name} epoch {self.epoch + 1}: train {train:.2f}, valid {valid:.2f} "
            f"({self.seconds:.0f} s in all)"
        )

    def _save_when_due(self, optimizer: torch.optim.Optimizer) -> None:
        """Save the state where that was last done SAVE_SECONDS ago."""
        if self.group.agree(time.monotonic() - self.saved_at > SAVE_SECONDS):
            self._save(STATE, optimizer)
            self.saved_at = time.monotonic()

    def _save(self, name: str, optimizer: torch.optim.Optimizer | None = None) -> None:
        position = self.position
        if position is not None:
            state = [
                (self.group.gather(output), self.group.gather(cell)) for output, cell in position["state"]
            ]
            nats, tokens = self.group.sum(float(position["loss"]), position["tokens"])
            position = {**position, "state": state, "loss": nats, "tokens": round(tokens)}
        random, *device_random = (self.group.gather(own[None]) for own in random_state(self.device))
        if not self.group.first:
            return
        averaged = self.average is not None and self.average.count > 0
        self.folder.write(
            name,
            {
                "recipe": asdict(self.recipe),
                "corpus": self.corpus.name,
                "shape": asdict(self.model.shape),
                "vocabulary": self.corpus.vocabulary,
                METADATA_KEY: self.corpus.convention.as_metadata(),
                "model": self.model.state_dict(),
                "masks": self.constraints.masks,
                "masks_complete": self.constraints.complete,
                "phase": self.phase,
                "epoch": self.epoch,
                "seconds": self.seconds,
                "position": position,
                "random": random,
                "device_random": device_random,
                "optimizer": None if optimizer is None else optimizer.state_dict(),
                "average": self.average.saved() if averaged and self.average is not None else None,
                "best": self.best,
                "spent": self.spent + time.monotonic() - self.began,
                "epochs": self.epochs,
            },
        )

    def _resume(self, saved: dict[str, Any], source: str | os.PathLike[str]) -> None:
        sizes, given = self.recipe.model, saved["recipe"]["model"]
        same = all(given[name] == getattr(sizes, name) for name in ("embedding", "layers", "tied", "cell"))
        if not same or saved["vocabulary"] != self.corpus.vocabulary:
            raise EgretError(
                f"{source} is of another network or corpus than the recipe and the data; name another."
            )
        self.model.shape.tied_scale = saved["shape"].get("tied_scale", self.model.shape.tied_scale)
        if not saved["shape"]["tied"]:
            self.model.untie()
        self.model.load_state_dict(saved["model"])
        self.constraints.masks = {name: mask.to(self.device) for name, mask in saved_masks(saved).items()}
        self.phase, self.epoch, self.seconds = saved["phase"], saved["epoch"], saved["seconds"]
        self.position, self.optimizer_state = saved["position"], saved["optimizer"]
        self.average_state = saved.get("average")
        self.constraints.complete = saved.get("masks_complete", False)
        self.best = saved.get("best")
        self.spent, self.epochs = saved.get("spent", 0.0), saved.get("epochs", {})
        if self.position is not None:
            self.position["state"] = [
                (self.group.scatter(output).to(self.device), self.group.scatter(cell).to(self.device))
                for output, cell in self.position["state"]
            ]
            # The sums so far count once.
            nats, tokens = self.position["loss"], self.position["tokens"]
            self.position["loss"] = torch.tensor(
                nats if self.group.first else 0.0, dtype=torch.float64, device=self.device
            )
            self.position["tokens"] = tokens if self.group.first else 0
        if saved["random"] is None:  # (a model alone, of no run)
            return
        # (A run that one process began before there were several has one state of the generator.)
        random = saved["random"].reshape(-1, torch.get_rng_state().numel())
        if self.group.rank < random.shape[0]:
            of_device = [own[self.group.rank] for own in saved.get("device_random", [])]
            set_random_state(self.device, [random[self.group.rank], *of_device])
