"""Which weight matrices an image holds, and which pointers lead to their columns (docs/formats.md, 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from egret.layout import Layout


@dataclass(frozen=True)
class Matrix:
    """A weight matrix of an image, packed by columns.

    The columns of the two matrices that a layer's events feed alternate, so that every second pointer is one
    of its own: column c is the beats pointers[begins][c] up to pointers[ends][c].
    """

    name: str
    """Its key in the checkpoint."""
    gates: int
    """Gates that share a column: 3, or 1 for the decoder."""
    rows: int
    """Rows of one gate: neurons of the layer, or words."""
    columns: int
    layout: Layout
    """Who owns its rows, and what an entry of its columns is."""
    layer: int
    """The layer whose events select its columns."""
    pointer_base: int
    """Which pointer of the pointers section is the beginning of column 0."""

    @property
    def begins(self) -> slice:
        """The pointers to where its columns begin."""
        return slice(self.pointer_base, self.pointer_base + 2 * self.columns, 2)

    @property
    def ends(self) -> slice:
        """The pointers to where its columns end."""
        return slice(self.pointer_base + 1, self.pointer_base + 2 * self.columns + 1, 2)


def list_matrices(neurons: Sequence[int], words: int, layout: Layout, decoder_layout: Layout) -> list[Matrix]:
    """Return R_0, W_1, R_1, W_2, R_2, ..., D for layers of these sizes: the order of the network."""
    bases = [pointers.start for pointers in layer_pointers(neurons)]
    result: list[Matrix] = []

    def add(name: str, gates: int, rows: int, layer: int, matrix_layout: Layout, first_pointer: int) -> None:
        base = bases[layer] + first_pointer
        result.append(Matrix(name, gates, rows, neurons[layer], matrix_layout, layer, base))

    # Of a neuron's two columns the forward one comes first.
    for index, count in enumerate(neurons):
        if index > 0:
            add(f"layer{index}.input_weights", 3, count, index - 1, layout, 0)
        add(f"layer{index}.recurrent_weights", 3, count, index, layout, 1)
    add("decoder_weights", 1, words, len(neurons) - 1, decoder_layout, 0)
    return result


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
