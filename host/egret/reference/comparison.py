"""Compares a run with the reference model, chunk by chunk, so that a long run needs little memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from egret.board.results import Run
from egret.checkpoint import Checkpoint
from egret.errors import EgretError, RunError
from egret.image.model_image import ModelImage
from egret.reference.model import ReferenceModel, Trace


class ReferenceCheck:
    """Runs the reference model beside a run: first the tokens `given`, uint32 [T], then generating.

    A token that was drawn on the host is expected as the input of the step after it.
    """

    def __init__(self, checkpoint: Checkpoint, given: npt.NDArray[np.uint32]) -> None:
        self._model = ReferenceModel(checkpoint)
        self._given = given
        self._next = 0  # the input of the first step beyond the given ones
        self.steps = 0
        """Steps compared so far."""

    @classmethod
    def of(cls, model: Checkpoint | ModelImage, given: npt.NDArray[np.uint32]) -> ReferenceCheck:
        """Return the check that --check asks for; raise EgretError for a packed image."""
        if not isinstance(model, Checkpoint):
            raise EgretError("--check needs a checkpoint (.npz): the reference model runs no packed image.")
        return cls(model, given)

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
        self._next = int(part.next[-1])  # a drawn token, or the argmax, which is the same by now
        return trace
