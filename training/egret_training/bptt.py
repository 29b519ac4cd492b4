"""What an update computes ahead of the optimiser: a window forward and backward, at once or recorded.

Step by step a window is thousands of small kernels, which a GPU finishes faster than Python launches them.
There a window is recorded once as a CUDA graph and replayed for all others; what it reads and writes then has
one place, and nothing in it may wait for the GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from egret_training.execution import Execution, Record, random_state, set_random_state
from egret_training.loss import SoftTargets
from egret_training.model import Dropout, EgruLanguageModel, State
from egret_training.recipe import Recipe

Sample = tuple[int, int] | None


@dataclass(frozen=True)
class Result:
    """What a window left, besides the gradients of the parameters."""

    loss: Tensor
    """Mean cross-entropy in nats, a scalar."""
    state: State
    outputs: list[Tensor]
    """Of each layer, [T, S, H]. Until the next window only: recorded ones have one place for all."""


class Window(Protocol):
    """A window, from words to gradients."""

    def __call__(
        self,
        inputs: Tensor,
        targets: Tensor,
        state: State,
        dropout: Dropout,
        sample: Sample,
        soft: SoftTargets = None,
    ) -> Result:
        """Run int64 [T, S] from `state`; each parameter's `grad` is this window's afterwards."""
        ...


class PlainWindow:
    """Each window as it comes."""

    def __init__(self, model: nn.Module, product_type: torch.dtype) -> None:
        """`model` is an EgruLanguageModel or what DistributedDataParallel makes of one."""
        self.model, self.product_type = model, product_type

    def __call__(
        self,
        inputs: Tensor,
        targets: Tensor,
        state: State,
        dropout: Dropout,
        sample: Sample,
        soft: SoftTargets = None,
    ) -> Result:
        loss, state, outputs = self.model(inputs, targets, state, self.product_type, dropout, sample, soft)
        self.model.zero_grad()
        loss.backward()
        return Result(loss.detach(), state, [output.detach() for output in outputs])


class Recorded:
    """A function of tensors, recorded once for all calls with tensors of the same shapes.

    Its results have one place for all these calls; the next call overwrites them.
    """

    def __init__(self, compute: Callable[[list[Tensor], Any], list[Tensor]], record: Record) -> None:
        """`compute(tensors, values)` is recorded with `values` as they are, and anew when they change."""
        self.compute, self.record = compute, record
        self.values: Any = None
        self.recordings: dict[tuple[torch.Size, ...], _Recording] = {}

    def __call__(self, tensors: list[Tensor], values: Any = None) -> list[Tensor]:
        """Return the results of `compute`."""
        if values != self.values:
            self.recordings.clear()  # their memory goes first
            self.values = values
        shapes = tuple(tensor.shape for tensor in tensors)
        if shapes not in self.recordings:
            self.recordings[shapes] = self._record(tensors, values)
        recording = self.recordings[shapes]
        for place, tensor in zip(recording.places, tensors, strict=True):
            place.copy_(tensor)
        recording.replay()
        return recording.results

    def _record(self, tensors: list[Tensor], values: Any) -> _Recording:
        places = [tensor.clone() for tensor in tensors]
        # Runs ahead of the recording must not change what the run draws: it must equal one taken up later.
        before = random_state(places[0].device)
        results, replay = self.record(lambda: self.compute(places, values))
        set_random_state(places[0].device, before)
        return _Recording(places, results, replay)


@dataclass(frozen=True)
class _Recording:
    places: list[Tensor]
    results: list[Tensor]
    replay: Callable[[], None]


class RecordedWindow:
    """Windows that are recorded: those of one length (the last of a text comes as it is), or of any."""

    def __init__(self, plain: PlainWindow, steps: int | None, record: Record) -> None:
        """`steps` is the length, or None for any; `record` is how to record."""
        self.plain, self.steps = plain, steps
        self.recorded = Recorded(self._compute, record)
        self.parameters = [parameter for parameter in plain.model.parameters() if parameter.requires_grad]

    def __call__(
        self,
        inputs: Tensor,
        targets: Tensor,
        state: State,
        dropout: Dropout,
        sample: Sample,
        soft: SoftTargets = None,
    ) -> Result:
        if self.steps not in (None, inputs.shape[0]):
            return self.plain(inputs, targets, state, dropout, sample, soft)
        tensors = [inputs, targets, *(soft or ()), *(tensor for pair in state for tensor in pair)]
        loss, *results = self.recorded(tensors, (dropout, sample, soft is not None))
        layers = len(state)
        after, outputs = results[: 2 * layers], results[2 * layers : 3 * layers]
        for parameter, gradient in zip(self.parameters, results[3 * layers :], strict=True):
            parameter.grad = gradient
        return Result(loss, _pairs(after), outputs)

    def _compute(self, tensors: list[Tensor], values: tuple[Dropout, Sample, bool]) -> list[Tensor]:
        inputs, targets, *rest = tensors
        dropout, sample, softened = values
        soft, state = ((rest[0], rest[1]), rest[2:]) if softened else (None, rest)
        result = self.plain(inputs, targets, _pairs(state), dropout, sample, soft)
        gradients = []
        for parameter in self.parameters:
            assert parameter.grad is not None
            gradients.append(parameter.grad)
            parameter.grad = None  # a replay sets none either
        return [
            result.loss,
            *(tensor for pair in result.state for tensor in pair),
            *result.outputs,
            *gradients,
        ]


def _pairs(flat: list[Tensor]) -> State:
    return list(zip(flat[::2], flat[1::2], strict=True))


def cut(length: int, recipe: Recipe, start: int) -> list[tuple[int, int, float]]:
    """Return an epoch's windows over streams of `length` words: first row, steps, part of the learning rate.

    `start` is the row that they begin at; where a recipe draws their lengths, it is the seed of these.
    """
    last = length - 1
    if not recipe.random_windows:
        return [(row, min(recipe.window, last - row), 1.0) for row in range(start, last, recipe.window)]
    random = torch.Generator().manual_seed(start)
    found, row = [], 0
    while row < last:
        usual = recipe.window / (1 if torch.rand((), generator=random) < 0.95 else 2)
        steps = max(5, int(usual + 5.0 * torch.randn((), generator=random)))
        found.append((row, min(steps, last - row), steps / usual))
        row += steps
    return found


def reset_cells(state: State) -> State:
    """Return a state with the same outputs and cells of zero."""
    return [(output, torch.zeros_like(cell)) for output, cell in state]


def make_window(
    model: nn.Module, product_type: torch.dtype, steps: int | None, execution: Execution
) -> Window:
    """Return windows of `model` (see PlainWindow), recorded where `execution` records.

    Those of `steps` steps are, or all where it is None.
    Windows of torch's own layers (one launch each) are not, nor what shares gradients with other processes.
    """
    plain = PlainWindow(model, product_type)
    events = isinstance(model, EgruLanguageModel) and bool(model.event_layers)
    return RecordedWindow(plain, steps, execution.record) if execution.record and events else plain
