"""Unpacks a model image into dense arrays, accepting nothing but what packing writes.

The product never needs the weights back; the tests hold packing and the loader's checks against them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from egret.checkpoint import FRACTION_BITS_MINIMUM
from egret.errors import EgretError
from egret.image.columns import Columns, beat_place, column_of_beats, find_padding, split_entries
from egret.image.layout import Layout
from egret.image.model_image import ModelImage
from egret.matrices import INPUT, Matrix

MOST_WEIGHTS = 1 << 27
"""Of an image that unpack() takes, zeros included, unless told otherwise.

A small file can stand for gigabytes: an empty column costs 8 bytes and has up to 196 608 rows. The paper's
network with the vocabulary of WikiText-2 has 46 million weights. unpack() needs some five bytes for each.
"""


@dataclass(frozen=True, eq=False)
class UnpackedLayer:
    """One layer as an image holds it."""

    input_weights: npt.NDArray[np.int8] | None
    """int8 [3, H, I], gates z, r, g; None in layer 0, where the table stands for them."""
    recurrent_weights: npt.NDArray[np.int8]
    """int8 [3, H, H], gates z, r, g."""
    bias: npt.NDArray[np.int16]
    """int16 [4, H]: z, r, gx, gr; only gr is not zero in layer 0."""
    fraction_bits: npt.NDArray[np.int8]
    """int8 [4, H]: of the accumulators of z, r, gx, gr; in layer 0 that of gx is 3 and stands for nothing."""
    threshold: npt.NDArray[np.uint16]
    """uint16 [H]."""


@dataclass(frozen=True, eq=False)
class UnpackedModel:
    """What a model image holds, as dense arrays."""

    vocabulary: list[str]
    description: dict[str, Any]
    """See ModelImage.description."""
    table: npt.NDArray[np.int16]
    """int16 [V, 3, H of layer 0], as fold_table() gives it."""
    layers: list[UnpackedLayer]
    decoder_weights: npt.NDArray[np.int8]
    """int8 [V, H of the last layer]."""
    decoder_fraction_bits: npt.NDArray[np.int8]
    """int8 [V]."""
    decoder_bias: npt.NDArray[np.int16]
    """int16 [V]."""

    def weights(self, matrix: Matrix) -> npt.NDArray[np.int8]:
        """Return the weights of a matrix that is not folded, int8 [gates, rows, columns]."""
        if matrix.layer is None:
            return self.decoder_weights[np.newaxis]
        layer = self.layers[matrix.layer]
        found = layer.input_weights if matrix.kind == INPUT else layer.recurrent_weights
        assert found is not None
        return found


def unpack(image: ModelImage, most_weights: int = MOST_WEIGHTS) -> UnpackedModel:
    """Return everything that `image` holds as dense arrays.

    Raises EgretError where the matrices would have more than `most_weights` weights, of a byte each, before
    any is allocated; and, naming the matrix, the engine, the column and the beat, where columns are not as
    pack() writes them: a row outside its lane, a weight in padding, an entry after padding, an escape to no
    weight.
    """
    dense = sum(matrix.weights for matrix in image.matrices())
    if dense > most_weights:
        raise EgretError(
            f"The image's matrices would take {dense} bytes with their zeros written out; {most_weights} are "
            "allowed (unpack()'s most_weights)."
        )
    layout, words = image.layout, image.header.words
    engines = range(layout.engines)
    weights: dict[str, npt.NDArray[np.int8]] = {}
    for matrix in image.matrices():
        try:
            decoded = decode_columns(
                [image.matrix_parts(engine, matrix) for engine in engines],
                matrix.gates,
                matrix.rows,
                matrix.columns,
                matrix.layout,
            )
        except EgretError as error:
            raise EgretError(f"{matrix.name}: {error}") from error
        decoded = decoded[matrix.matrix.gate_order()]
        before = weights.get(matrix.name, decoded[:, :0])  # the decoder's tiles one after the other
        weights[matrix.name] = np.concatenate([before, decoded], axis=1)

    layers = [_unpack_layer(image, index, weights) for index in range(len(image.neurons))]
    records = image.decoder_layout.gather(
        np.stack([image.decoder_records(engine) for engine in engines]), words
    )
    positions = layout.positions(image.neurons[0])
    table = np.empty((words, 3, image.neurons[0]), dtype=np.int16)
    for engine in engines:
        part = table[:, :, engine :: layout.engines]
        part[...] = image.table(engine)[:, :, :positions][:, :, : part.shape[2]]
    return UnpackedModel(
        vocabulary=image.vocabulary,
        description=image.description,
        table=table,
        layers=layers,
        decoder_weights=weights["decoder_weights"][0],
        decoder_fraction_bits=(records[:, 1] + np.uint16(FRACTION_BITS_MINIMUM)).astype(np.int8),
        decoder_bias=np.ascontiguousarray(records[:, 0]).view(np.int16),
    )


def _unpack_layer(image: ModelImage, index: int, weights: dict[str, npt.NDArray[np.int8]]) -> UnpackedLayer:
    layout = image.layout
    records = layout.gather(
        np.stack([image.neuron_records(engine, index) for engine in range(layout.engines)]),
        image.neurons[index],
    )
    shifts = np.stack(
        [records["shifts"] >> np.uint16(first_bit) & np.uint16(15) for first_bit in (0, 4, 8, 12)]
    )
    return UnpackedLayer(
        input_weights=weights.get(f"layer{index}.input_weights"),
        recurrent_weights=weights[f"layer{index}.recurrent_weights"],
        bias=np.ascontiguousarray(records["bias"].T).astype(np.int16),
        fraction_bits=(shifts + np.uint16(FRACTION_BITS_MINIMUM)).astype(np.int8),
        threshold=records["threshold"].astype(np.uint16),
    )


def decode_columns(
    engines: Iterable[Iterable[Columns]], gates: int, rows: int, columns: int, layout: Layout
) -> npt.NDArray[np.int8]:
    """Return the weights, int8 [gates, rows, columns], that encode_columns() packs.

    `engines` has each engine's columns, in parts: each has all columns, those that are in others empty.
    Accepts only what encode_columns() writes, so that equal weights mean equal bytes. Raises EgretError
    naming the engine, the column and the beat (within the column) where a row is outside its lane or padding,
    a lane goes on after padding, an escape leads nowhere, a weight is -128, or a beat holds nothing.
    """
    groups = layout.groups(rows)
    stored = np.zeros((layout.engines, columns, layout.lanes, gates, groups), dtype=np.int8)
    is_row = layout.is_row(rows).reshape(layout.engines, groups, layout.lanes).transpose(0, 2, 1)
    for engine, parts in enumerate(engines):
        try:
            for part in parts:
                _decode_part(
                    part,
                    stored[engine].reshape(columns, layout.lanes, gates * groups),
                    np.tile(is_row[engine], (1, gates)),
                    layout,
                )
        except EgretError as error:
            raise EgretError(f"engine {engine}, {error}") from error
    dealt = stored.transpose(0, 4, 2, 3, 1).reshape(layout.engines, groups * layout.lanes, gates, columns)
    return np.ascontiguousarray(layout.gather(dealt, rows).transpose(1, 0, 2))


def _decode_part(
    part: Columns, stored: npt.NDArray[np.int8], is_row: npt.NDArray[np.bool_], layout: Layout
) -> None:
    """Fill int8 [columns, lanes, rows of a lane]; `is_row` is bool [lanes, rows of a lane]."""
    weights, gaps = split_entries(part, layout)
    beats = weights.shape[0]
    if beats == 0:
        return
    column = column_of_beats(part)
    padding = find_padding(weights, gaps, part, layout)
    escape = (weights == 0) & ~padding
    last = np.ones((beats, 1), dtype=np.bool_)  # beats that end their column
    last[:-1, 0] = column[1:] != column[:-1]
    ends_lane = last | np.concatenate([padding[1:], np.ones((1, layout.lanes), dtype=np.bool_)])
    goes_on = np.zeros_like(padding)
    goes_on[1:] = padding[:-1] & ~padding[1:] & ~last[:-1]
    _refuse(part, weights == -128, "has the weight -128, outside -127..127")
    _refuse(part, goes_on, "has an entry after the padding that ends its lane")
    _refuse(part, escape & (gaps != layout.largest_gap), "steps over a gap with less than the largest gap")
    _refuse(part, escape & ends_lane, "steps over a gap to no weight")
    empty = np.flatnonzero(padding.all(axis=1))
    if empty.size:
        raise EgretError(f"{beat_place(part, int(empty[0]))} holds no entry.")

    # Rows: entries step gap + 1 rows each from row -1 at the start of the column.
    rows = np.cumsum(np.where(padding, 0, gaps + 1), axis=0, dtype=np.int64)
    start = part.pointers[:-1][column]
    before = np.concatenate([np.zeros((1, layout.lanes), dtype=np.int64), rows])[start]
    rows -= before + 1
    _refuse(
        part, ~padding & (rows >= stored.shape[2]), f"leads outside the {stored.shape[2]} rows of its lane"
    )
    beat, lane = np.nonzero(weights)
    row = rows[beat, lane]
    in_padding = np.zeros_like(padding)
    in_padding[beat, lane] = ~is_row[lane, row]
    _refuse(part, in_padding, "has a weight in a row that is padding")
    stored[column[beat], lane, row] = weights[beat, lane]


def _refuse(columns: Columns, wrong: npt.NDArray[np.bool_], sentence: str) -> None:
    """Raise EgretError with `sentence` where an entry, bool [beats, lanes], is wrong."""
    if wrong.any():
        beat, lane = (int(position[0]) for position in np.nonzero(wrong))
        raise EgretError(f"{beat_place(columns, beat)}, lane {lane} {sentence}.")
