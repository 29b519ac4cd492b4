"""Multiply-accumulates per token, counted as the paper counts them and as Egret does.

The paper (Mukherji and others, 2023) counts the recurrent layers only, the dense embedding among their
inputs. Egret folds the product with the embedding into a table, and counts the decoder. Each way for a dense
machine, for one that skips zero weights, one that skips silent neurons, one that skips both, and with the
product rule's prediction of the last: dense MACs times the share of weights times the share of active inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from egret.matrices import DECODER, FOLDED, RECURRENT, Matrix

Matrices = Mapping[str, npt.NDArray[Any]]
"""Weights by name, [..., columns] each, of any number type; the names are those of egret.matrices."""

WAYS = ("dense", "weight_sparse", "activity_sparse", "both_sparse", "both_predicted")


@dataclass(frozen=True, eq=False)
class InputEvents:
    """How often each neuron's column was wanted in a run of T tokens."""

    tokens: int
    recurrent: list[npt.NDArray[np.int64]]
    """For each layer, int64 [H]: steps but the last in which the neuron fired."""
    upward: list[npt.NDArray[np.int64]]
    """The same with the last step: what the layer above or the decoder fetched."""

    def wanted(self, matrix: Matrix) -> npt.NDArray[np.int64]:
        """Return how often each column of a matrix was wanted, int64 [columns].

        Of the folded one, which the embedding always wants, one number stands for all.
        """
        if matrix.folded:
            return np.array(self.tokens, dtype=np.int64)
        return (self.recurrent if matrix.kind == RECURRENT else self.upward)[matrix.source]


def section_macs(matrices: Matrices, events: InputEvents) -> dict[str, dict[str, float]]:
    """Return MACs per token of each matrix, by its name, in each of WAYS; all counted but the last.

    The embedding always is active, so its product has only weights to skip.
    """
    result: dict[str, dict[str, float]] = {}
    for name, matrix in matrices.items():
        nonzeros = np.count_nonzero(matrix.reshape(-1, matrix.shape[-1]), axis=0).astype(np.int64)
        wanted = np.broadcast_to(events.wanted(Matrix.named(name)), nonzeros.shape)
        rows = matrix.size // nonzeros.size
        share = float(wanted.sum()) / events.tokens / nonzeros.size
        result[name] = {
            "dense": float(matrix.size),
            "weight_sparse": float(nonzeros.sum()),
            "activity_sparse": float(wanted.sum()) * rows / events.tokens,
            "both_sparse": float(wanted @ nonzeros) / events.tokens,
            "both_predicted": float(nonzeros.sum()) * share,
        }
    return result


def mac_table(matrices: Matrices, events: InputEvents) -> dict[str, dict[str, float]]:
    """Return the sums of `section_macs` as the paper counts, and as Egret does, rounded to a tenth."""
    sections = section_macs(matrices, events)
    left_out = {"paper": Matrix(DECODER).name, "egret": FOLDED.name}
    return {
        count: {
            way: round(sum(macs[way] for name, macs in sections.items() if name != other), 1) for way in WAYS
        }
        for count, other in left_out.items()
    }
