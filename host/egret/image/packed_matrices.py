"""Where in an image a weight matrix lies: which pointers lead to its columns (docs/formats.md, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from egret.image.layout import Layout
from egret.matrices import DECODER, RECURRENT, Matrix, network_matrices


@dataclass(frozen=True)
class PackedMatrix:
    """A weight matrix of an image, packed by columns.

    Column c is the beats pointers[begins][c] up to pointers[ends][c]. The columns of the two matrices that a
    layer's events feed alternate, so that every second pointer is one of its own. A decoder in tiles is a
    matrix for each, of the tile's words; the columns of tiles behind the first stand alone.
    """

    matrix: Matrix
    source: int
    """The layer whose events select its columns."""
    gates: int
    """Gates that share a column: 3, or 1 for the decoder."""
    rows: int
    """Rows of one gate: neurons of the layer, or words (of the tile)."""
    columns: int
    """Neurons of that layer."""
    layout: Layout
    """Who owns its rows, and what an entry of its columns is."""
    pointer_base: int
    """Which pointer of the pointers section is the beginning of column 0."""
    pointer_step: int = 2
    """From there to the pointer of column 1."""
    first_row: int = 0
    """Of the matrix: a tile's first word."""

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
        return self._pointers(0)

    @property
    def ends(self) -> slice:
        """The pointers to where its columns end."""
        return self._pointers(1)

    @property
    def of_rows(self) -> slice:
        """Which rows of each gate of the network's matrix are its own."""
        return slice(self.first_row, self.first_row + self.rows)

    def _pointers(self, behind: int) -> slice:
        start, step = self.pointer_base + behind, self.pointer_step
        return slice(start, start + step * self.columns, step)


def packed_matrices(
    neurons: Sequence[int], words: int, tile_rows: int, layout: Layout, decoder_layout: Layout
) -> list[PackedMatrix]:
    """Return R_0, W_1, R_1, W_2, R_2, ..., D for layers of these sizes: the order of the network.

    D is there once for each tile, of `tile_rows` rows of a lane.
    """
    tiles = decoder_layout.tiles(words, tile_rows)
    bases = [pointers.start for pointers in pointer_parts(neurons, len(tiles))]
    matrices = []
    for matrix in network_matrices(len(neurons)):
        if matrix.folded:
            continue
        source = matrix.source % len(neurons)
        for tile, rows in enumerate(tiles if matrix.layer is None else [range(neurons[matrix.layer])]):
            matrices.append(
                PackedMatrix(
                    matrix,
                    source=source,
                    gates=len(matrix.accumulators),
                    rows=len(rows),
                    columns=neurons[source],
                    layout=decoder_layout if matrix.kind == DECODER else layout,
                    # Of a neuron's two columns the forward one comes first.
                    pointer_base=bases[len(neurons) - 1 + tile if tile else source]
                    + (matrix.kind == RECURRENT),
                    pointer_step=1 if tile else 2,
                    first_row=rows.start,
                )
            )
    return matrices


def pointer_parts(neurons: Sequence[int], tiles: int) -> list[slice]:
    """Return which part of the pointers section is each layer's, and each tile's behind the first.

    2 H + 1 pointers for a layer of H neurons; H + 1 of the last layer for a tile.
    """
    result: list[slice] = []
    start = 0
    for count in (*(2 * count for count in neurons), *[neurons[-1]] * (tiles - 1)):
        result.append(slice(start, start + count + 1))
        start = result[-1].stop
    return result


def count_pointers(neurons: Sequence[int], tiles: int) -> int:
    """Return the pointers in an engine's pointers section."""
    return int(pointer_parts(neurons, tiles)[-1].stop)
