"""Draws the next word from the logits, on the host: the kernel itself only knows the likeliest one.

Each word drawn here costs a start of the kernel of its own and the reading of all logits: 4 bytes per word of
the vocabulary (and padding) cross the DDR twice. Greedy generation needs neither.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from egret.contract import SUM_FRACTION_BITS
from egret.errors import EgretError


class Sampler:
    """Draws tokens with the probabilities softmax(logits / temperature), of the `top_k` likeliest ones alone.

    The same seed and logits give the same tokens.
    """

    def __init__(self, temperature: float = 1.0, top_k: int | None = None, seed: int = 0) -> None:
        """Prepare to draw. Temperature 0, and top_k 1, always give the likeliest token.

        top_k: None for no limit. Raises EgretError for a temperature below 0 (or none), a top_k below 1 and a
        negative seed.
        """
        if not (math.isfinite(temperature) and temperature >= 0.0):
            raise EgretError(f"A temperature is a number of 0 or more; {temperature} was given.")
        if top_k is not None and top_k < 1:
            raise EgretError(f"top_k is at least 1; {top_k} was given.")
        if seed < 0:
            raise EgretError(f"A seed is not negative; {seed} was given.")
        self.temperature, self.top_k, self.seed = temperature, top_k, seed
        self._generator = np.random.default_rng(seed)

    def choose(self, logits: npt.NDArray[np.int32]) -> int:
        """Return the token drawn for `logits`, int32 [V] in units of 2^-11.

        Among equal logits at the edge of the top_k, the smallest tokens are in, as in the kernel's argmax.
        """
        if self.temperature == 0.0 or self.top_k == 1:
            return int(logits.argmax())
        candidates = self._candidates(logits)
        units = logits[candidates].astype(np.float64)  # exact, and their difference as well
        with np.errstate(over="ignore"):  # a temperature near 0 may make -inf, whose probability is 0
            scores = (units - units.max()) / (self.temperature * (1 << SUM_FRACTION_BITS))
        cumulative = np.cumsum(np.exp(scores))
        drawn = self._generator.random() * cumulative[-1]
        return int(candidates[min(np.searchsorted(cumulative, drawn, side="right"), candidates.size - 1)])

    def _candidates(self, logits: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
        """Return the tokens that can be drawn, ascending."""
        count = logits.size if self.top_k is None else min(self.top_k, logits.size)
        if count == logits.size:
            return np.arange(count, dtype=np.intp)
        edge = np.partition(logits, logits.size - count)[logits.size - count]
        above = np.flatnonzero(logits > edge)
        return np.sort(np.concatenate([above, np.flatnonzero(logits == edge)[: count - above.size]]))
