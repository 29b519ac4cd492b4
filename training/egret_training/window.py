"""What an update computes ahead of the optimiser: a window forward and backward, at once or recorded.

Step by step a window is thousands of small kernels, which a GPU finishes faster than Python launches them.
There a window is recorded once as a CUDA graph and replayed for all others; what it reads and writes then has
one place, and nothing in it may wait for the GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from egret_training.execution import Execution, Record, random_state, set_random_state
from egret_training.model import Dropout, EgruLanguageModel, State

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
        self, inputs: Tensor, targets: Tensor, state: State, dropout: Dropout, sample: Sample
    ) -> Result:
        """Run int64 [T, S] from `state`; each parameter's `grad` is this window's afterwards."""
        ...


class PlainWindow:
    """Each window as it comes."""

    def __init__(self, model: nn.Module, product_type: torch.dtype) -> None:
        """`model` is an EgruLanguageModel or what DistributedDataParallel makes of one."""
        self.model, self.product_type = model, product_type

    def __call__(
        self, inputs: Tensor, targets: Tensor, state: State, dropout: Dropout, sample: Sample
    ) -> Result:
        loss, state, outputs = self.model(inputs, targets, state, self.product_type, dropout, sample)
        self.model.zero_grad()
        loss.backward()
        return Result(loss.detach(), state, [output.detach() for output in outputs])


class RecordedWindow:
    """Windows of one length recorded, others (the last of a text) as they come."""

    def __init__(self, plain: PlainWindow, steps: int, record: Record) -> None:
        """`steps` is the length, `record` how to record."""
        self.plain, self.steps, self.record = plain, steps, record
        self.parameters = [parameter for parameter in plain.model.parameters() if parameter.requires_grad]
        self.recorded_for: tuple[Any, ...] | None = None
        self.inputs = self.targets = torch.empty(0)
        self.state: State = []
        self.results: list[Tensor] = []
        self.replay: Callable[[], None] = lambda: None

    def __call__(
        self, inputs: Tensor, targets: Tensor, state: State, dropout: Dropout, sample: Sample
    ) -> Result:
        if inputs.shape[0] != self.steps:
            return self.plain(inputs, targets, state, dropout, sample)
        # What is no tensor becomes part of the recording.
        wanted = (inputs.shape, astuple(dropout), sample)
        if self.recorded_for != wanted:
            self._record(inputs, targets, state, dropout, sample)
            self.recorded_for = wanted
        self.inputs.copy_(inputs)
        self.targets.copy_(targets)
        for own, given in zip(self.state, state, strict=True):
            for mine, theirs in zip(own, given, strict=True):
                mine.copy_(theirs)
        self.replay()
        layers = len(state)
        gradients = self.results[-len(self.parameters) :]
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        return Result(
            self.results[0],
            [(self.results[1 + 2 * i], self.results[2 + 2 * i]) for i in range(layers)],
            self.results[1 + 2 * layers : 1 + 3 * layers],
        )

    def _record(
        self, inputs: Tensor, targets: Tensor, state: State, dropout: Dropout, sample: Sample
    ) -> None:
        self.inputs, self.targets = inputs.clone(), targets.clone()
        self.state = [(output.clone(), cell.clone()) for output, cell in state]

        def compute() -> list[Tensor]:
            result = self.plain(self.inputs, self.targets, self.state, dropout, sample)
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

        # Runs ahead of the recording must not change what the run draws: it is to equal one taken up later.
        before = random_state(inputs.device)
        self.results, self.replay = [], lambda: None  # their memory goes first
        self.results, self.replay = self.record(compute)
        set_random_state(inputs.device, before)


def make_window(model: nn.Module, product_type: torch.dtype, steps: int, execution: Execution) -> Window:
    """Return windows of `model` (see PlainWindow), those of `steps` steps recorded where `execution` records.

    torch's own layers (one launch each) are not recorded, nor what shares gradients with other processes.
    """
    plain = PlainWindow(model, product_type)
    events = isinstance(model, EgruLanguageModel) and bool(model.event_layers)
    return RecordedWindow(plain, steps, execution.record) if execution.record and events else plain
