"""Whether a GPU trains as a processor does, and how fast: to be run first on a machine that has one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from egret_training.benchmark import PENN_TREEBANK_TOKENS, Size
from egret_training.bptt import PlainWindow, Result, make_window
from egret_training.evaluation import Perplexity
from egret_training.execution import Execution
from egret_training.model import Dropout, EgruLanguageModel, Shape
from egret_training.model_file import write_state
from egret_training.quantized_model import QuantizedEgruLanguageModel
from egret_training.train import SAVE_SECONDS

VALID_TOKENS, VALID_STREAMS = 73_760, 20
TOLERANCE = 1e-3
"""What gradients may differ by, relative to their norm: some sums of a GPU have no fixed order."""


@dataclass(frozen=True)
class Check:
    """What was found."""

    what: str
    value: str
    passed: bool = True


def check_training(size: Size, execution: Execution, updates: int = 20) -> Iterator[Check]:
    """Yield what is found about a new network of a size on random words; times are means of `updates`."""
    torch.manual_seed(0)
    model = EgruLanguageModel(Shape(size.vocabulary, size.embedding, list(size.layers)))
    quantized = QuantizedEgruLanguageModel.of(model)
    words = torch.randint(size.vocabulary, (size.window + 1, size.streams), device=execution.device)
    for name, network in (("integers", quantized), ("floating point", model)):
        network.to(execution.device)
        for layer in network.event_layers:
            layer.element_wise = execution.element_wise
            layer.hardness = None if network is quantized else torch.ones((), device=execution.device)
        yield _recorded_against_plain(name, network, words, execution)
        if network is quantized:
            network.to("cpu")
    yield from _replays(model, words, execution)
    yield from _times(model, words, size, execution, updates)
    if execution.device.type == "cuda":
        yield Check("memory at most", f"{torch.cuda.max_memory_allocated(execution.device) / 2**30:.1f} GiB")


def _recorded_against_plain(
    name: str, model: EgruLanguageModel, words: Tensor, execution: Execution
) -> Check:
    """Compare the loss and the gradients of one window."""
    plain = PlainWindow(model, execution.product_type)
    recorded = make_window(model, execution.product_type, len(words) - 1, execution)
    found = []
    for window in (plain, recorded):
        result = window(words[:-1], words[1:], model.initial_state(words.shape[1]), Dropout(), None)
        gradients = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        found.append((float(result.loss), gradients.clone()))
    (loss, expected), (other, gradients) = found
    difference = float((gradients - expected).norm() / expected.norm())
    return Check(
        f"recorded windows against plain ones, {name}",
        f"loss {other:.5f} for {loss:.5f}, gradients {difference:.1e} apart",
        difference < TOLERANCE and abs(other - loss) < TOLERANCE * loss,
    )


def _replays(model: EgruLanguageModel, words: Tensor, execution: Execution) -> Iterator[Check]:
    window = make_window(model, execution.product_type, len(words) - 1, execution)

    def loss(dropout: Dropout, hardness: float) -> float:
        for layer in model.event_layers:
            assert layer.hardness is not None
            layer.hardness.fill_(hardness)
        state = model.initial_state(words.shape[1])
        return float(window(words[:-1], words[1:], state, dropout, None).loss)

    dropped = [loss(Dropout(embedding=0.5, recurrent=0.5), 1.0) for _ in range(3)]
    yield Check("replays draw their dropout anew", _list(dropped), len(set(dropped)) == 3)
    hard, soft, again = (loss(Dropout(), hardness) for hardness in (1.0, 0.0, 1.0))
    yield Check(
        "replays follow the scheduled hardness",
        _list([hard, soft, again]),
        abs(hard - again) < TOLERANCE * hard and hard != soft,
    )


def _list(values: list[float]) -> str:
    return "losses " + ", ".join(f"{value:.5f}" for value in values)


def _times(
    model: EgruLanguageModel, words: Tensor, size: Size, execution: Execution, updates: int
) -> Iterator[Check]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    state = model.initial_state(size.streams)
    dropout = Dropout(0.1, 0.4, 0.3, 0.4, 0.4)
    seconds = {}
    for name, window in (
        ("plain", PlainWindow(model, execution.product_type)),
        ("recorded", make_window(model, execution.product_type, size.window, execution)),
    ):

        def update(window: Callable[..., Result] = window) -> None:
            window(words[:-1], words[1:], state, dropout, None)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

        seconds[name] = _mean_seconds(update, execution, updates)
        yield Check(f"a window with its update, {name}", f"{seconds[name] * 1e3:.1f} ms")
    rows = -(-VALID_TOKENS // VALID_STREAMS)
    valid = torch.randint(size.vocabulary, (rows, VALID_STREAMS), device=execution.device)
    measure = Perplexity(model, execution.product_type, execution.record)
    validation = _mean_seconds(lambda: measure(valid), execution, 1)
    yield Check("validation", f"{validation:.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.pt"
        saving = _mean_seconds(
            lambda: write_state({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path),
            execution,
            1,
        )
        yield Check(
            "saving", f"{saving:.2f} s, {path.stat().st_size / 1e6:.0f} MB, every {SAVE_SECONDS:.0f} s"
        )
    windows = PENN_TREEBANK_TOKENS / (size.streams * size.window)
    training = windows * seconds["recorded"] + validation
    epoch = training * (1.0 + saving / SAVE_SECONDS)
    yield Check("an epoch of the Penn Treebank", f"{epoch:.1f} s, all counted")


def _mean_seconds(compute: Callable[[], object], execution: Execution, times: int) -> float:
    """Return the mean over `times` runs; one ahead of them does not count."""
    compute()
    execution.wait()
    started = time.perf_counter()
    for _ in range(times):
        compute()
    execution.wait()
    return (time.perf_counter() - started) / times
