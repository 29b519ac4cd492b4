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

from egret.account.text_score import perplexity_of, token_losses
from egret.checkpoint import Checkpoint
from egret.reference.model import ReferenceModel
from egret.text.vocabulary import TextConvention, Vocabulary
from egret_training import data
from egret_training.bptt import Recorded
from egret_training.execution import Record
from egret_training.export import from_checkpoint
from egret_training.loss import total_cross_entropy
from egret_training.macs import InputEvents
from egret_training.model import EgruLanguageModel
from egret_training.quantized_model import ExactEvaluation

STEPS = 256
WINDOW = 70
"""A window of several streams has this many steps, one of a single stream STEPS."""


class Perplexity:
    """The perplexity of a model in floating point, over and over: windows are recorded once."""

    def __init__(
        self, model: EgruLanguageModel, product_type: torch.dtype, record: Record | None = None
    ) -> None:
        """`record`: how to record windows; None: they run as they come."""
        self.model, self.product_type = model, product_type
        self.window = self._window if record is None else Recorded(self._window, record)

    def __call__(self, parallel: Tensor) -> float:
        """Return exp of the mean cross-entropy over streams int64 [length, streams], one state throughout."""
        streams = parallel.shape[1]
        state = [tensor for pair in self.model.initial_state(streams) for tensor in pair]
        total, count = torch.zeros((), dtype=torch.float64, device=parallel.device), 0
        windows = list(data.windows(parallel, max(WINDOW, STEPS // streams)))
        # (Only a terminal sees it: a text of a hundred thousand words takes minutes.)
        for inputs, targets in tqdm(windows, desc="perplexity", leave=False, disable=None):
            loss, *state = self.window([inputs, targets, *state])
            total = total + loss
            count += targets.numel()
        return math.exp(float(total) / count)

    @torch.no_grad()
    def _window(self, tensors: list[Tensor], _: object = None) -> list[Tensor]:
        inputs, targets, *state = tensors
        pairs = list(zip(state[::2], state[1::2], strict=True))
        outputs, after = self.model.hidden(inputs, pairs, self.product_type)
        loss = total_cross_entropy(outputs[-1], *self.model.decoder(), targets, self.product_type)
        return [loss, *(tensor for pair in after for tensor in pair)]


def perplexity(model: EgruLanguageModel, parallel: Tensor, product_type: torch.dtype) -> float:
    """Return the perplexity of a model over streams int64 [length, streams] (see Perplexity)."""
    return Perplexity(model, product_type)(parallel)


@dataclass
class IntegerMetrics:
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


def evaluate_reference(checkpoint: Checkpoint, tokens: Tensor, about: str = "reference") -> IntegerMetrics:
    """Run int64 [T] tokens as one stream through egret.reference.model; `about` labels the progress bar."""
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


def evaluate_brevitas(checkpoint: Checkpoint, tokens: Tensor, about: str = "Brevitas") -> IntegerMetrics:
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
) -> IntegerMetrics:
    every = np.concatenate(losses)
    return IntegerMetrics(
        perplexity_of(every.tolist()),
        int(every.size),
        [float(count) / every.size / size for count, size in zip(events, neurons, strict=True)],
        None if macs is None else macs / every.size,
    )


def renumber(
    corpus: data.Corpus, vocabulary: list[str], split: str, convention: TextConvention | None = None
) -> Tensor:
    """Return a split, int64 [T], cut by a model's own convention, in the numbers of its vocabulary.

    These are the tokens that `egret eval` runs. Raises EgretError where it lacks a word and <unk>.
    """
    own = Vocabulary(vocabulary, corpus.convention if convention is None else convention)
    return torch.from_numpy(own.encode_text(corpus.texts[split]).astype(np.int64))
