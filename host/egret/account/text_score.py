"""The score of a model on a text: perplexity, and how often its first guess is right."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from egret.board.results import Run
from egret.contract import SUM_FRACTION_BITS


def token_losses(
    logits: npt.NDArray[np.integer[Any]], targets: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.float64]:
    """Return -log softmax(logits)[target] in nats, float64 [T], from logits [T, V] in units of 2^-11."""
    losses = np.empty(len(targets))
    # (Row by row: a sum's last digit must not depend on how many rows come at once.)
    for step, (row, target) in enumerate(zip(logits, targets, strict=True)):
        values = row.astype(np.float64) / (1 << SUM_FRACTION_BITS)
        top = values.max()
        losses[step] = top + np.log(np.exp(values - top).sum()) - values[target]
    return losses


def perplexity_of(losses: Iterable[float]) -> float:
    """Return exp of the mean of losses in nats, summed exactly: whatever the chunks, to the last digit."""
    every = list(losses)
    return math.exp(math.fsum(every) / len(every))


class TextScore:
    """How well a model foresees a text, tokens uint32 [T]: each step predicts the token after it."""

    def __init__(self, text: npt.NDArray[np.uint32]) -> None:
        self._text = text
        self._steps = 0
        self._losses: list[float] | None = []
        self.predicted = 0
        """Words that had a prediction so far."""
        self.right = 0
        """Of these, those that were the argmax."""

    def take(self, part: Run) -> None:
        """Take the next chunk; steps beyond the text are ignored."""
        following = self._text[self._steps + 1 : self._steps + 1 + len(part)]
        self._steps += len(part)
        self.predicted += int(following.size)
        self.right += int(np.count_nonzero(part.argmax[: following.size] == following))
        if part.logits is None or self._losses is None:
            self._losses = None
            return
        self._losses += token_losses(part.logits[: following.size], following).tolist()

    @property
    def perplexity(self) -> float | None:
        """Of the words predicted so far; None without logits or words."""
        return perplexity_of(self._losses) if self._losses else None
