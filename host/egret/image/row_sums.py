"""The sums of absolute weights of each row, from the beats of an image, as a lane adds them up.

What is walked is what hls/rtl/lane.sv walks, not what pack() would have written: every entry steps `gap` + 1
rows, one of weight 0 too. So the sums hold for any image, and an entry that a lane would add to a row of
another matrix is found.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from egret.errors import EgretError
from egret.image.columns import Columns, beat_place, column_of_beats, split_entries
from egret.image.packed_matrices import PackedMatrix
from egret.image.sections import ImageSections


def row_weight_sums(image: ImageSections, matrix: PackedMatrix) -> npt.NDArray[np.int64]:
    """Return, int64 [gates, rows], the sums of absolute weights of a matrix, gates as the image orders them.

    The pointers must have been checked. Raises EgretError, naming the engine, the column and the beat, where
    a weight is for a row outside its lane, a column has more beats than its lanes have rows, or a beat has
    bits set above its last entry. Weights in rows that are padding are not in the sums: they reach no result.
    """
    layout, groups = matrix.layout, matrix.layout.groups(matrix.rows)
    sums = np.zeros((layout.engines, layout.lanes, matrix.gates * groups), dtype=np.int64)
    for engine in range(layout.engines):
        try:
            for columns in image.matrix_parts(engine, matrix):
                _add(sums[engine], columns, matrix)
        except EgretError as error:
            raise EgretError(f"{matrix.name}: engine {engine}, {error}") from error
    by_position = sums.reshape(layout.engines, layout.lanes, matrix.gates, groups).transpose(0, 3, 1, 2)
    rows = layout.gather(
        by_position.reshape(layout.engines, groups * layout.lanes, matrix.gates), matrix.rows
    )
    return np.ascontiguousarray(rows.T)


def _add(sums: npt.NDArray[np.int64], columns: Columns, matrix: PackedMatrix) -> None:
    """Add what `columns` hold to int64 [lanes, rows of a lane]."""
    weights, gaps = split_entries(columns, matrix.layout)
    if not weights.size:
        return
    rows = np.cumsum(gaps + 1, axis=0, dtype=np.int64)
    start = columns.pointers[:-1][column_of_beats(columns)]
    rows -= np.where(start[:, np.newaxis] > 0, rows[start - 1], 0) + 1
    outside = (weights != 0) & (rows >= sums.shape[1])
    if outside.any():
        beat, lane = (int(position[0]) for position in np.nonzero(outside))
        raise EgretError(
            f"{beat_place(columns, beat)}, lane {lane} leads outside the {sums.shape[1]} rows of its lane."
        )
    beat_, lane_ = np.nonzero(weights)
    place = lane_ * sums.shape[1] + rows[beat_, lane_]
    size = np.abs(weights[beat_, lane_], dtype=np.int64)
    # bincount() takes the machine's own integers and adds in float64: exact, as sums stay below 2^53.
    added = np.bincount(place.astype(np.intp), weights=size, minlength=sums.size)
    sums += added.astype(np.int64).reshape(sums.shape)
