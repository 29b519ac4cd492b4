"""What watches a run as its chunks come in: the comparison with the reference model, and the score on a text.

Both take each chunk once and keep only sums, so that a long run with all its logits needs little memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from egret.checkpoint import Checkpoint
from egret.errors import EgretError, RunError
from egret.image import ModelImage
from egret.kernel import SUM_FRACTION_BITS
from egret.measurement import Run
from egret.reference import ReferenceModel, Trace


class ReferenceCheck:
    """Runs the reference model beside a run: first the tokens `given`, uint32 [T], then generating."""

    def __init__(self, checkpoint: Checkpoint, given: npt.NDArray[np.uint32]) -> None:
        self._model = ReferenceModel(checkpoint)
        self._given = given
        self._next = 0  # what the reference model would generate next
        self.steps = 0
        """Steps compared so far."""

    @classmethod
    def of(cls, model: Checkpoint | ModelImage, given: npt.NDArray[np.uint32]) -> ReferenceCheck:
        """Return the check that --check asks for; raise EgretError for a packed image."""
        if not isinstance(model, Checkpoint):
            raise EgretError("--check needs a checkpoint (.npz): the reference model runs no packed image.")
        return cls(model, given)

    def extend(self, token: int) -> None:
        """Expect `token`, drawn on the host, as the next input after the given ones."""
        self._given = np.append(self._given, np.uint32(token))

    def take(self, part: Run) -> Trace:
        """Compare the next chunk, which must not reach from the given tokens into the generated ones.

        Return what the reference model did in its steps. Raises RunError, naming the first step that differs,
        unless input token, argmax, logit and event counts of each step and the MACs of the chunk are the
        same, and all logits where the run has them.
        """
        with_logits = part.logits is not None
        if self.steps < self._given.size:
            expected = self._given[self.steps : self.steps + len(part)]
            trace = self._model.run(expected, with_logits)
        else:
            trace = self._model.generate(self._next, len(part), with_logits)
        self._next = int(trace.argmax[-1])
        same = {
            "input token": part.tokens == trace.tokens,
            "argmax": part.argmax == trace.argmax,
            "logit": part.logit == trace.logit,
            "number of events": (part.events == trace.event_counts().T).all(axis=1),
        }
        if part.logits is not None and trace.logits is not None:
            same["logits"] = (part.logits == trace.logits).all(axis=1)
        for name, equal in same.items():
            if not equal.all():
                step = self.steps + int(np.flatnonzero(~equal)[0])
                raise RunError(f"The kernel differs from the reference model in its {name} at step {step}.")
        macs = int(trace.macs.sum())
        if part.counters.macs != macs:
            raise RunError(
                f"The kernel counted {part.counters.macs} MACs in {len(part)} steps from {self.steps} on; "
                f"the reference model did {macs}."
            )
        self.steps += len(part)
        return trace


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
