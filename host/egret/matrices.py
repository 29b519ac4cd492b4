"""A weight matrix of a network: its name, what it multiplies, and in which order its columns hold the gates.

A network of L layers has an input and a recurrent matrix for each layer, and a decoder. The name of a matrix
is its key in the checkpoint (docs/formats.md, section 2), in masks, in sparsities and in reports. Its weights
are [gates, rows, columns], gates in the order z, r, g (the decoder has one); its columns in an image hold
them in the order in which the accumulators stand (section 3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from egret.errors import EgretError

INPUT, RECURRENT, DECODER = "input", "recurrent", "decoder"
"""The kinds of matrices."""

ACCUMULATORS = ("gx", "z", "r", "gr")
"""The sums of a neuron, in the order in which a lane holds them."""

_FEEDS = {INPUT: ("z", "r", "gx"), RECURRENT: ("z", "r", "gr"), DECODER: ("logit",)}
_NAME = re.compile(r"layer(0|[1-9][0-9]{0,2})\.(input|recurrent)_weights|decoder_weights")


@dataclass(frozen=True)
class Matrix:
    """A weight matrix of a network; its name says which."""

    kind: str
    """INPUT, RECURRENT or DECODER."""
    layer: int | None = None
    """The layer whose sums it adds to; None for the decoder."""

    @classmethod
    def named(cls, name: str) -> Matrix:
        """Return the matrix of this name; raise EgretError where no network has it."""
        match = _NAME.fullmatch(name)
        if not match:
            raise EgretError(f"No network has a weight matrix {name!r}.")
        return cls(DECODER) if match[1] is None else cls(match[2], int(match[1]))

    @property
    def name(self) -> str:
        """Its key in a checkpoint."""
        return "decoder_weights" if self.layer is None else f"layer{self.layer}.{self.kind}_weights"

    @property
    def folded(self) -> bool:
        """Whether the token table stands for it: no image has its columns."""
        return self.kind == INPUT and self.layer == 0

    @property
    def source(self) -> int:
        """The layer whose events it multiplies, as an index: -1, the last one, for the decoder.

        The folded matrix multiplies the embedding, and has no such layer: raises EgretError.
        """
        if self.folded:
            raise EgretError(f"{self.name} multiplies the embedding, not the events of a layer.")
        return -1 if self.layer is None else self.layer - (self.kind == INPUT)

    @property
    def accumulators(self) -> tuple[str, ...]:
        """The accumulator that each of its gates adds to; "logit" for the decoder."""
        return _FEEDS[self.kind]

    def column_order(self, gates: int = 3) -> list[int]:
        """Return which gate stands where in its columns: `weights[order]` is as an image has it.

        Gates beyond g (an LSTM has four) come last. The decoder has one gate, whatever `gates` says.
        """
        if self.kind == DECODER:
            return [0]
        feeds = self.accumulators
        return [*sorted(range(3), key=lambda gate: ACCUMULATORS.index(feeds[gate])), *range(3, gates)]

    def gate_order(self) -> list[int]:
        """Return the inverse of column_order(): `columns[order]` is as a checkpoint has it."""
        order = self.column_order()
        return sorted(range(len(order)), key=order.__getitem__)

    def activity(self, layers: Sequence[float]) -> float:
        """Return the share of its columns that a token wants, from the share of active neurons of each layer.

        Theoretical sparse MACs of a token are this share of the non-zero weights. The embedding is dense, so
        of the folded matrix every column is wanted.
        """
        return 1.0 if self.folded else layers[self.source]


def network_matrices(layers: int) -> list[Matrix]:
    """Return the matrices of a network of so many layers, in their order: W_0, R_0, W_1, R_1, ..., D."""
    return [*(Matrix(kind, index) for index in range(layers) for kind in (INPUT, RECURRENT)), Matrix(DECODER)]


FOLDED = Matrix(INPUT, 0)
"""The matrix that the token table stands for."""
