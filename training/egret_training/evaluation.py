"""Perplexity, activity and multiply-accumulates of a model, in floating point and in integers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.reference import ReferenceModel
from egret_training import data
from egret_training.export import from_checkpoint
from egret_training.macs import InputEvents
from egret_training.model import EgruLanguageModel
from egret_training.quantization import ExactEvaluation

STEPS = 256
LOGIT_UNIT = 2.0**-11


@torch.no_grad()
def perplexity(model: EgruLanguageModel, parallel: Tensor, product_type: torch.dtype) -> float:
    """Return exp of the mean cross-entropy over streams int64 [length, streams], one state throughout."""
    state = model.initial_state(parallel.shape[1])
    weights, bias = model.decoder()
    columns = weights.to(product_type).t()
    total, count = 0.0, 0
    windows = list(data.windows(parallel, max(1, STEPS // parallel.shape[1])))
    # (Only a terminal sees it: a text of a hundred thousand words takes minutes.)
    for inputs, targets in tqdm(windows, desc="perplexity", leave=False, disable=None):
        outputs, state = model.hidden(inputs, state, product_type)
        hidden = outputs[-1].reshape(-1, outputs[-1].shape[-1])
        logits = (hidden.to(product_type) @ columns).float() + bias
        total += float(torch.nn.functional.cross_entropy(logits, targets.reshape(-1), reduction="sum"))
        count += targets.numel()
    return math.exp(total / count)


def token_losses(
    logits: npt.NDArray[np.integer], targets: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """Return -log softmax(logits)[target] in nats, float64 [T], from logits [T, V] in units of 2^-11."""
    values = logits.astype(np.float64)
    values *= LOGIT_UNIT
    peak = values.max(axis=1, keepdims=True)
    chosen = values[np.arange(len(targets)), targets] - peak[:, 0]
    values -= peak
    np.exp(values, out=values)
    result: npt.NDArray[np.float64] = np.log(values.sum(axis=1)) - chosen
    return result


@dataclass
class IntegerFigures:
    """What an integer model did on one stream of tokens."""

    perplexity: float
    tokens: int
    """Tokens predicted: one less than the text has."""
    activity: list[float]
    """Per layer, the share of neurons that fired, averaged over tokens."""
    macs_per_token: float | None = None
    """Non-zero weights times events, as counted; None where the model does not count them."""
    events: InputEvents | None = None
    """Which neurons they were; None as above."""


def _chunks(tokens: Tensor, about: str) -> Iterator[tuple[Tensor, Tensor]]:
    count = tokens.numel() - 1
    for first in tqdm(range(0, count, STEPS), desc=about, dynamic_ncols=True):
        last = min(first + STEPS, count)
        yield tokens[first:last], tokens[first + 1 : last + 1]


def evaluate_reference(checkpoint: Checkpoint, tokens: Tensor, about: str = "reference") -> IntegerFigures:
    """Run int64 [T] tokens as one stream through egret.reference; `about` labels the progress bar."""
    model = ReferenceModel(checkpoint)
    losses: list[npt.NDArray[np.float64]] = []
    every = [np.zeros(layer.neurons, dtype=np.int64) for layer in checkpoint.layers]
    last = [np.zeros_like(layer) for layer in every]
    macs = 0
    for inputs, targets in _chunks(tokens, about):
        trace = model.run(inputs.numpy().astype(np.uint32), logits=True)
        assert trace.logits is not None
        losses.append(token_losses(trace.logits, targets.numpy()))
        for layer, steps in enumerate(trace.events):
            indices = np.concatenate([indices for indices, _ in steps])
            every[layer] += np.bincount(indices, minlength=every[layer].size)
            last[layer] = np.bincount(steps[-1][0], minlength=every[layer].size)
        macs += int(trace.macs.sum())
    counts = np.array([layer.sum() for layer in every], dtype=np.int64)
    figures = _figures(losses, counts, [layer.neurons for layer in checkpoint.layers], macs)
    before_last = [layer - final for layer, final in zip(every, last, strict=True)]
    return dataclasses.replace(figures, events=InputEvents(figures.tokens, before_last, every))


def evaluate_brevitas(checkpoint: Checkpoint, tokens: Tensor, about: str = "Brevitas") -> IntegerFigures:
    """Run int64 [T] tokens as one stream through the Brevitas model of a checkpoint, in evaluation."""
    model = ExactEvaluation(from_checkpoint(checkpoint))
    losses: list[npt.NDArray[np.float64]] = []
    counts = np.zeros(len(checkpoint.layers), dtype=np.int64)
    for inputs, targets in _chunks(tokens, about):
        events, logits = model.run(inputs)
        losses.append(token_losses(logits.numpy(), targets.numpy()))
        counts += np.array([int((layer != 0).sum()) for layer in events], dtype=np.int64)
    return _figures(losses, counts, [layer.neurons for layer in checkpoint.layers], None)


def _figures(
    losses: list[npt.NDArray[np.float64]], events: npt.NDArray[np.int64], neurons: list[int], macs: int | None
) -> IntegerFigures:
    every = np.concatenate(losses)
    # fsum: the exact sum, rounded once, so that equal losses give equal perplexities.
    return IntegerFigures(
        math.exp(math.fsum(every) / every.size),
        int(every.size),
        [float(count) / every.size / size for count, size in zip(events, neurons, strict=True)],
        None if macs is None else macs / every.size,
    )


def renumber(corpus: data.Corpus, vocabulary: list[str], split: str) -> Tensor:
    """Return a split, int64 [T], in the numbers of a model's vocabulary; EgretError where it lacks a word."""
    numbers = {word: number for number, word in enumerate(vocabulary)}
    missing = [word for word in corpus.vocabulary if word not in numbers]
    if missing:
        raise EgretError(f"The model's vocabulary lacks {missing[0]!r}, so it is not of this corpus.")
    table = torch.tensor([numbers[word] for word in corpus.vocabulary], dtype=torch.int64)
    tokens: Tensor = table[getattr(corpus, split)]
    return tokens
