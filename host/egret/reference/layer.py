"""One recurrent layer and the decoder of the reference model, over chunks of tokens.

What a layer gets from outside is a product over the whole chunk; its recurrent part runs step by step. Sums
are floats that hold whole numbers or, before their floor, multiples of a power of two: see
egret.reference.event_products.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from egret.arithmetic import (
    GATE_INDEX_MAXIMUM,
    GATE_INDEX_MINIMUM,
    GATE_INDEX_OFFSET,
    SIGMOID,
    TANH,
    exact_float_type,
)
from egret.checkpoint import EVENT_MAXIMUM, FRACTION_BITS_MINIMUM, Checkpoint, Layer
from egret.contract import (
    EVENT_BITS,
    GATE_INPUT_FRACTION_BITS,
    GATE_OUTPUT_FRACTION_BITS,
    STATE_FRACTION_BITS,
    SUM_BITS,
    SUM_FRACTION_BITS,
)
from egret.reference.event_products import (
    ChunkEvents,
    EventProduct,
    Events,
    FloatArray,
    column_nonzeros,
    product_bound,
    rounded_bound,
)

_GATE_SHIFT = SUM_FRACTION_BITS - GATE_INPUT_FRACTION_BITS
_CANDIDATE_SHIFT = STATE_FRACTION_BITS - GATE_OUTPUT_FRACTION_BITS
_VALUE_SHIFT = STATE_FRACTION_BITS - EVENT_BITS
_OUTPUT_HALF = 1 << (GATE_OUTPUT_FRACTION_BITS - 1)
_SUM_MINIMUM, _SUM_MAXIMUM = -(1 << (SUM_BITS - 1)), (1 << (SUM_BITS - 1)) - 1

# Rolled so that a negative gate index, taken as an index from the table's end, finds its entry.
_SIGMOID = np.roll(SIGMOID, -GATE_INDEX_OFFSET).astype(np.int32)
_CANDIDATE = np.roll(TANH, -GATE_INDEX_OFFSET).astype(np.int32) << np.int32(_CANDIDATE_SHIFT)


class ReferenceLayer:
    """One layer: constants in the scaled form of the module's docstring, and the state.

    A step's three sums of H neurons stand in one vector in the order z, r, gr: z and r as gate indices,
    gr as a sum.
    """

    def __init__(self, layer: Layer, table: npt.NDArray[np.int16] | None) -> None:
        self.neurons = neurons = layer.neurons
        self._first = table is not None
        recurrent = layer.recurrent_weights.reshape(3 * neurons, neurons)
        recurrent_shifts = (
            layer.recurrent_fraction_bits.reshape(3 * neurons).astype(np.int64) - FRACTION_BITS_MINIMUM
        )
        products = product_bound(recurrent)
        bias = layer.bias.astype(np.int64)
        if table is not None:
            addends = np.maximum(table.max(axis=0), -table.min(axis=0).astype(np.int64)).astype(np.int64)
            addends[2] = np.abs(bias[3])
        else:
            addends = np.abs(bias[[0, 1, 3]])
            input_weights = layer.input_weights.reshape(3 * neurons, layer.inputs)
            input_shifts = (
                layer.input_fraction_bits.reshape(3 * neurons).astype(np.int64) - FRACTION_BITS_MINIMUM
            )
            input_products = product_bound(input_weights)
            products[: 2 * neurons] += input_products[: 2 * neurons]
        addends[:2] += 1 << (_GATE_SHIFT - 1)  # the half that rounds to a gate index
        bound = rounded_bound(products, recurrent_shifts, addends.reshape(3 * neurons))
        if table is None:
            candidate = slice(2 * neurons, 3 * neurons)
            bound = max(
                bound, rounded_bound(input_products[candidate], input_shifts[candidate], np.abs(bias[2]))
            )
        self.float_type = exact_float_type(bound)

        to_index = np.zeros(3 * neurons, dtype=np.int64)
        to_index[: 2 * neurons] = _GATE_SHIFT
        self._recurrent = EventProduct(recurrent, -recurrent_shifts - to_index, self.float_type)
        self.recurrent_nonzeros = column_nonzeros(recurrent)
        if table is None:
            self._input = EventProduct(input_weights, -input_shifts - to_index, self.float_type)
            self.input_nonzeros = column_nonzeros(input_weights)
        self._bias = bias
        self._threshold = layer.threshold.astype(np.int32)
        self._low = np.full(3 * neurons, GATE_INDEX_MINIMUM, dtype=self.float_type)
        self._high = np.full(3 * neurons, GATE_INDEX_MAXIMUM, dtype=self.float_type)
        self._low[2 * neurons :], self._high[2 * neurons :] = _SUM_MINIMUM, _SUM_MAXIMUM
        self.reset()

    def reset(self) -> None:
        self.cells = np.zeros(self.neurons, dtype=np.int32)
        self.last_indices: npt.NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self._last_dense = np.zeros(self.neurons, dtype=self.float_type)

    def last_events(self) -> Events:
        return self.last_indices.astype(np.uint16), self._last_dense[self.last_indices].astype(np.uint8)

    def restore(self, cells: npt.NDArray[np.int16], events: Events) -> None:
        self.reset()
        self.cells[:] = cells
        self.last_indices = events[0].astype(np.intp)
        self._last_dense[self.last_indices] = events[1]

    def _from_outside(
        self, rows: npt.NDArray[np.int16], below: ChunkEvents | None
    ) -> tuple[FloatArray, npt.NDArray[np.int32]]:
        """What the steps of a chunk get from outside: the start of z, r, gr [T, 3H], and sum_gx [T, H]."""
        neurons, scale = self.neurons, self.float_type(1 << _GATE_SHIFT)
        half = self.float_type(0.5)
        sums = np.empty((rows.shape[0], 3 * neurons), dtype=self.float_type)
        keep_reset = sums[:, : 2 * neurons]
        if below is None:
            keep_reset[...] = rows[:, :2].reshape(rows.shape[0], 2 * neurons)
            candidate = rows[:, 2].astype(np.int32)
        else:
            products = self._input.of_chunk(below)
            keep_reset[...] = self._bias[:2].reshape(2 * neurons)
            floor = np.floor(products[:, 2 * neurons :] + half)
            candidate = floor.astype(np.int32) + self._bias[2].astype(np.int32)
        keep_reset += half
        keep_reset /= scale
        keep_reset += half
        if below is not None:
            keep_reset += products[:, : 2 * neurons]
        sums[:, 2 * neurons :] = self._bias[3].astype(self.float_type) + half
        return sums, candidate

    def run(self, rows: npt.NDArray[np.int16], below: ChunkEvents | None) -> ChunkEvents:
        """Run T steps on table rows int16 [T, 3, H] (first layer) or the events of the layer below."""
        neurons = self.neurons
        all_sums, all_candidates = self._from_outside(rows, None if self._first else below)
        fired_values = np.zeros((all_sums.shape[0], neurons), dtype=self.float_type)
        counts: list[int] = []
        cells, indices, dense = self.cells, self.last_indices, self._last_dense
        for step in range(all_sums.shape[0]):
            sums = all_sums[step]
            if indices.size:
                sums += self._recurrent.of_step(indices, dense)
            np.floor(sums, out=sums)
            np.maximum(sums, self._low, out=sums)
            np.minimum(sums, self._high, out=sums)
            integers = sums.astype(np.int32)
            gates = _SIGMOID[integers[: 2 * neurons]]
            keep, let_through = gates[:neurons], gates[neurons:]
            # Products stay below 2^10 * 2^16: int32 holds them.
            inside = (let_through * integers[2 * neurons :] + _OUTPUT_HALF) >> GATE_OUTPUT_FRACTION_BITS
            index = (all_candidates[step] + inside + (1 << (_GATE_SHIFT - 1))) >> _GATE_SHIFT
            np.maximum(index, GATE_INDEX_MINIMUM, out=index)
            np.minimum(index, GATE_INDEX_MAXIMUM, out=index)
            candidate = _CANDIDATE[index]
            # round_shift(z c + (1024 - z) g, 10) = g + round_shift(z (c - g), 10): 1024 g shifts exactly.
            cells = candidate + ((keep * (cells - candidate) + _OUTPUT_HALF) >> GATE_OUTPUT_FRACTION_BITS)
            indices = np.flatnonzero(cells > self._threshold)
            dense = fired_values[step]
            if indices.size:
                above = cells[indices]
                dense[indices] = np.minimum(
                    (above + (1 << (_VALUE_SHIFT - 1))) >> _VALUE_SHIFT, EVENT_MAXIMUM
                )
                cells[indices] = above - self._threshold[indices]
            counts.append(indices.size)
        self.cells, self.last_indices, self._last_dense = cells, indices, dense.copy()
        return ChunkEvents(fired_values, counts)


class ReferenceDecoder:
    """Logits from the last layer's events."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        weights = checkpoint.decoder_weights
        shifts = checkpoint.decoder_fraction_bits.astype(np.int64) - FRACTION_BITS_MINIMUM
        bias = checkpoint.decoder_bias.astype(np.int64)
        bound = rounded_bound(product_bound(weights), shifts, np.abs(bias))
        self.float_type = float_type = exact_float_type(bound)
        self._product = EventProduct(weights, -shifts, float_type)
        self._offset = bias.astype(float_type) + float_type(0.5)
        self.nonzeros = column_nonzeros(weights)

    def logits(self, events: ChunkEvents) -> FloatArray:
        """Return whole numbers, [T, V], in a float type that holds them."""
        result = self._product.of_chunk(events)
        result += self._offset
        np.floor(result, out=result)
        return result
