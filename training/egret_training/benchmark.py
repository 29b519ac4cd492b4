"""Training speed of the EGRU beside torch's GRU and LSTM of the same size, measured in one go."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tqdm import tqdm

from egret_training.bptt import Sample, make_window
from egret_training.execution import Execution
from egret_training.model import Dropout, EgruLanguageModel, Shape


@dataclass(frozen=True)
class Size:
    """What a window and the network are."""

    embedding: int
    layers: tuple[int, ...]
    streams: int = 64
    window: int = 70
    vocabulary: int = 10000


SIZES = {"small": Size(200, (400, 400, 200)), "paper": Size(750, (1350, 1350, 750))}
"""The published network, and one that a PC trains in an hour or two."""


@dataclass(frozen=True)
class Contender:
    """A cell, the operands of its matrix products, and the words that its softmax counts."""

    name: str
    cell: str
    product_type: torch.dtype
    sample: Sample = None


PENN_TREEBANK_TOKENS = 929_589
"""Of the training text, to say how long an epoch of it would take."""

CONTENDERS = (
    Contender("torch.nn.LSTM, float32", "lstm", torch.float32),
    Contender("torch.nn.GRU, float32", "gru", torch.float32),
    Contender("torch.nn.GRU, bfloat16", "gru", torch.bfloat16),
    Contender("EGRU, float32", "egru", torch.float32),
    Contender("EGRU, bfloat16", "egru", torch.bfloat16),
    Contender("EGRU, bfloat16, softmax sampled (2000 + 1500)", "egru", torch.bfloat16, (2000, 1500)),
)
YARDSTICK = "torch.nn.GRU, float32"


def measure(size: Size, updates: int, execution: Execution) -> dict[str, float]:
    """Return tokens per second of each contender: the median over `updates` (forward, backward, AdamW).

    Decoder and loss are Egret's for all. The contenders take turns, so that whatever else the machine does
    befalls all alike; the first turn does not count. One thread is timed by what it computes, not by what
    it waits for a processor that others use.
    """
    steps = {contender.name: _update(contender, size, execution) for contender in CONTENDERS}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    alone = torch.get_num_threads() == 1 and execution.device.type == "cpu"
    clock = time.process_time if alone else time.perf_counter
    for turn in tqdm(range(updates + 1), desc="updates", dynamic_ncols=True):
        for name, step in steps.items():
            started = clock()
            step()
            execution.wait()
            if turn:
                seconds[name].append(clock() - started)
    tokens = size.streams * size.window
    return {name: tokens / statistics.median(times) for name, times in seconds.items()}


def _update(contender: Contender, size: Size, execution: Execution) -> Callable[[], None]:
    """Return a function that makes one update of a new model on random words."""
    torch.manual_seed(0)
    device = execution.device
    model = EgruLanguageModel(Shape(size.vocabulary, size.embedding, list(size.layers), cell=contender.cell))
    model.to(device)
    for layer in model.event_layers:
        layer.element_wise = execution.element_wise
    window = make_window(model, contender.product_type, size.window, execution)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    words = torch.randint(size.vocabulary, (size.window + 1, size.streams), device=device)
    state = model.initial_state(size.streams)

    def step() -> None:
        nonlocal state
        state = window(words[:-1], words[1:], state, Dropout(), contender.sample).state
        optimizer.step()

    return step


def table(found: dict[str, float]) -> str:
    """Return the figures as text, with the ratio to torch's GRU."""
    width = max(map(len, found))
    rows = [f"{'':{width}}  tokens/s  s per epoch of Penn Treebank  against {YARDSTICK}"]
    rows += [
        f"{name:{width}}  {speed:8.0f}  {PENN_TREEBANK_TOKENS / speed:28.1f}  {speed / found[YARDSTICK]:.2f}"
        for name, speed in found.items()
    ]
    return "\n".join(rows)
