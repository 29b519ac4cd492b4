"""Input folding: the product of every token's embedding with the first layer's input weights, as a table.

Source of the formula: docs/formats.md, section 1. The table takes the place of the embedding and of the
first layer's input weights, so that a token costs one row fetched from DDR.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from egret.arithmetic import exact_float_type
from egret.checkpoint import Checkpoint
from egret.contract import SUM_BITS, SUM_FRACTION_BITS

_CHUNK_WORDS = 1024  # words folded at once: bounds the memory beside the table itself to a few dozen MB

_MINIMUM, _MAXIMUM = -(1 << (SUM_BITS - 1)), (1 << (SUM_BITS - 1)) - 1


def fold_table(checkpoint: Checkpoint) -> npt.NDArray[np.int16]:
    """Return the folded table, int16 [V, 3, H of layer 0], gates z, r, g, in units of 2^-11.

    Entry [t, q, j] = clip(round_shift(sum_k W_q[j, k] * embedding[t, k], f_q[j] + f_embedding - 11)
    + bias_q[j], -32768, 32767). The checkpoint must be valid (see Checkpoint.validate).
    """
    layer = checkpoint.layers[0]
    rows = 3 * layer.neurons
    weights = layer.input_weights.reshape(rows, layer.inputs)
    bias = layer.bias[:3].reshape(rows)
    shifts = layer.input_fraction_bits.reshape(rows).astype(np.int64) + np.int64(
        checkpoint.embedding_fraction_bits - SUM_FRACTION_BITS
    )

    # Rows are scaled by 2^-shift beforehand, so that the product and the half that rounds are multiples of
    # 2^-unit; adding them, and the bias after rounding, is exact in the float type chosen for this bound.
    unit = np.maximum(shifts, 1)
    largest = np.int64(max(-int(checkpoint.embedding.min()), int(checkpoint.embedding.max())))
    products = largest * np.abs(weights, dtype=np.int64).sum(axis=1, dtype=np.int64)
    in_units = (products << (unit - shifts)) + (np.int64(1) << (unit - 1))
    float_type = exact_float_type(int(in_units.max()) + (1 << SUM_BITS))

    scaled = np.ascontiguousarray(
        np.ldexp(weights.T.astype(float_type), -shifts.astype(np.int32)), dtype=float_type
    )
    table = np.empty((len(checkpoint.vocabulary), rows), dtype=np.int16)
    for start in range(0, table.shape[0], _CHUNK_WORDS):
        words = slice(start, start + _CHUNK_WORDS)
        sums: npt.NDArray[Any] = checkpoint.embedding[words].astype(float_type) @ scaled
        sums += float_type(0.5)
        np.floor(sums, out=sums)
        sums += bias.astype(float_type)
        np.clip(sums, _MINIMUM, _MAXIMUM, out=sums)
        table[words] = sums.astype(np.int16)
    return table.reshape(table.shape[0], 3, layer.neurons)
