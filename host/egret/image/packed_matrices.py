"""Where in an image a weight matrix lies: which pointers lead to its columns (docs/formats.md, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from egret.image.layout import Layout
from egret.matrices import DECODER, RECURRENT, Matrix, network_matrices


@dataclass(frozen=True)
class PackedMatrix:
    """A weight matrix of an image, packed by columns.

    The columns of the two matrices that a layer's events feed alternate, so that every second pointer is one
    of its own: column c is the beats pointers[begins][c] up to pointers[ends][c].
    """

    matrix: Matrix
    source: int
    """The layer whose events select its columns."""
    gates: int
    """Gates that share a column: 3, or 1 for the decoder."""
    rows: int
    """Rows of one gate: neurons of the layer, or words."""
    columns: int
    """Neurons of that layer."""
    layout: Layout
    """Who owns its rows, and what an entry of its columns is."""
    pointer_base: int
    """Which pointer of the pointers section is the beginning of column 0."""

    @property
    def name(self) -> str:
        """Its key in the checkpoint."""
        return self.matrix.name

    @property
    def weights(self) -> int:
        """All weights, zero or not."""
        return self.gates * self.rows * self.columns

    @property
    def begins(self) -> slice:
        """The pointers to where its columns begin."""
        return slice(self.pointer_base, self.pointer_base + 2 * self.columns, 2)

    @property
    def ends(self) -> slice:
        """The pointers to where its columns end."""
        return slice(self.pointer_base + 1, self.pointer_base + 2 * self.columns + 1, 2)


def packed_matrices(
    neurons: Sequence[int], words: int, layout: Layout, decoder_layout: Layout
) -> list[PackedMatrix]:
    """Return R_0, W_1, R_1, W_2, R_2, ..., D for layers of these sizes: the order of the network."""
    bases = [pointers.start for pointers in layer_pointers(neurons)]
    return [
        PackedMatrix(
            matrix,
            source=matrix.source % len(neurons),
            gates=len(matrix.accumulators),
            rows=words if matrix.layer is None else neurons[matrix.layer],
            columns=neurons[matrix.source],
            layout=decoder_layout if matrix.kind == DECODER else layout,
            # Of a neuron's two columns the forward one comes first.
            pointer_base=bases[matrix.source] + (matrix.kind == RECURRENT),
        )
        for matrix in network_matrices(len(neurons))
        if not matrix.folded
    ]


def layer_pointers(neurons: Sequence[int]) -> list[slice]:
    """Return which part of the pointers section is each layer's: 2 H + 1 pointers."""
    result: list[slice] = []
    start = 0
    for count in neurons:
        result.append(slice(start, start + 2 * count + 1))
        start = result[-1].stop
    return result


def count_pointers(neurons: Sequence[int]) -> int:
    """Return the pointers in an engine's pointers section."""
    return int(layer_pointers(neurons)[-1].stop)
