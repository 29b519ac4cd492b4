"""Random networks of which the same chosen neurons fire at every step, whatever the tokens.

For benchmarks: the number of events is exactly what was asked for, and from the second step on every step
costs the same; yet values, sums and states are real numbers that differ between neurons and between steps.

How it is made certain, in the terms of docs/formats.md, section 1, with bounds on what the events of the
chosen neurons, and the tokens, can add to each sum:

- chosen: b_z puts sum_z at 0 or below, so z <= 1/2; b_gx puts sum_g at 0.1 or above, so g >= 100/1024. The
  state never turns negative, so c~ >= (1 - z) g >= 1600 in units of 2^-15, and the threshold is below 1024.
- others: the threshold is the largest, 32767, and c~ does not exceed 32736.

The bounds are small, so that the gates stay between their ends and what comes in shows in what goes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from egret.checkpoint import (
    EVENT_MAXIMUM,
    FRACTION_BITS_MAXIMUM,
    FRACTION_BITS_MINIMUM,
    THRESHOLD_MAXIMUM,
    Checkpoint,
    Layer,
)
from egret.contract import EVENT_BITS, SUM_FRACTION_BITS, THRESHOLD_MINIMUM
from egret.errors import EgretError
from egret.image.layout import best_tile_rows
from egret.matrices import DECODER, INPUT, RECURRENT, Matrix
from egret.profiles import Build
from egret.synthetic.calibrated import (
    EMBEDDING_FRACTION_BITS,
    by_layer,
    check_arguments,
    fraction_bits,
    typical_input,
)
from egret.synthetic.weights import Pruning, RandomWeights, compact_records

PRUNINGS = ("gap-aware", "balanced", "unstructured")
"""Lanes of equal length without a gap that an entry cannot span; lanes of equal length; anywhere."""

_LARGEST_EVENT = EVENT_MAXIMUM / (1 << EVENT_BITS)
_TYPICAL_EMBEDDING = 0.29  # root mean square of what is uniform in -0.5..0.5
_EXACT_PRODUCTS = 1 << 10  # products below 2^14 that a float32 adds without rounding
# How far what comes from outside, and what is fed back, may move a sum (unless fraction bits end before).
_REACH_OUTSIDE, _REACH_BACK = 0.6, 0.2
_LEAST_CANDIDATE = 0.1  # of sum_g
_ROUNDING = 0.01  # more than all roundings of a sum together
_THRESHOLD_BELOW = 1 << 10


def fixed_activity_checkpoint(
    layers: Sequence[int],
    embedding: int,
    vocabulary: int,
    build: Build,
    sparsity: float | Mapping[str, float] = 0.85,
    activity: float | Sequence[float] = 0.1,
    pruning: str = "gap-aware",
    seed: int = 0,
) -> Checkpoint:
    """Return a valid checkpoint in which round(activity * H) neurons of a layer fire at every step.

    layers: neurons of each layer. embedding: E. vocabulary: V; the words are w0, w1, ...
    build: the kernel whose lanes the pruning is for. sparsity: share of zero weights, 0..1, for all matrices
    or by matrix under its key in the checkpoint (others: 0.85); lanes round it to whole weights.
    activity: share of neurons, one for all layers or one for each. pruning: one of PRUNINGS; where a share is
    too small for gaps that an entry spans, or the decoder's entries have no gaps, "gap-aware" is "balanced".
    The same arguments give the same checkpoint. Raises EgretError for a size, share or pruning that
    cannot be.
    """
    shares = by_layer(layers, activity)
    if pruning not in PRUNINGS:
        raise EgretError(f"There is no pruning {pruning!r}; there are {', '.join(PRUNINGS)}.")
    check_arguments(layers, embedding, vocabulary, sparsity, shares, None, build.weight_bits)
    generator = np.random.default_rng(seed)
    weights = RandomWeights(generator, sparsity, *_prunings(build, pruning, vocabulary))
    tokens = generator.integers(-127, 128, size=(vocabulary, embedding), dtype=np.int64).astype(np.int8)
    chosen = [_choose(generator, neurons, share) for neurons, share in zip(layers, shares, strict=True)]
    built = [
        _fixed_activity_layer(weights, index, neurons, chosen[index], chosen[index - 1] if index else tokens)
        for index, neurons in enumerate(layers)
    ]
    decoder = weights.draw(Matrix(DECODER), (1, vocabulary, layers[-1]))[0]
    bias = generator.integers(-4096, 4096, size=vocabulary, dtype=np.int64).astype(np.int16)
    decoder_bits = fraction_bits(decoder, typical_input(shares[-1]), 1.0)
    if build.compact(vocabulary):
        bias, decoder_bits = compact_records(bias, decoder_bits)
    return Checkpoint(
        name="fixed-activity",
        metadata={"source": "egret.synthetic.fixed_activity", "seed": int(seed)},
        vocabulary=[f"w{index}" for index in range(vocabulary)],
        embedding=tokens,
        embedding_fraction_bits=EMBEDDING_FRACTION_BITS,
        layers=built,
        decoder_weights=decoder,
        decoder_fraction_bits=decoder_bits,
        decoder_bias=bias,
    )


def firing_neurons(checkpoint: Checkpoint) -> list[npt.NDArray[np.intp]]:
    """Return, for each layer of a fixed_activity_checkpoint(), the indices of the neurons that fire."""
    return [np.flatnonzero(layer.threshold < THRESHOLD_MAXIMUM) for layer in checkpoint.layers]


def _prunings(build: Build, pruning: str, words: int) -> tuple[Pruning, Pruning]:
    """Return the pruning of the layers and of the decoder."""
    result = []
    of_tile = best_tile_rows(-(-words // build.decoder_slots), build.logit_depth)
    for slots, gap_bits, weight_bits, rows in (
        (build.slots, build.gap_bits, build.weight_bits, None),
        (build.decoder_slots, build.decoder_gap_bits, build.decoder_weight_bits, of_tile),
    ):
        aware = pruning == "gap-aware" and gap_bits > 0
        result.append(
            Pruning(
                slots=None if pruning == "unstructured" else slots,
                largest_gap=(1 << gap_bits) - 1 if aware else None,
                tile_rows=None if pruning == "unstructured" else rows,
                weight_bits=weight_bits,
            )
        )
    return result[0], result[1]


def _choose(generator: np.random.Generator, neurons: int, share: float) -> npt.NDArray[np.bool_]:
    chosen = np.zeros(neurons, dtype=np.bool_)
    chosen[generator.permutation(neurons)[: round(share * neurons)]] = True
    return chosen


def _fixed_activity_layer(
    weights: RandomWeights,
    index: int,
    neurons: int,
    chosen: npt.NDArray[np.bool_],
    below: npt.NDArray[np.bool_] | npt.NDArray[np.int8],
) -> Layer:
    """Return a layer of which the `chosen` neurons, bool [H], fire.

    `below` is which neurons of the layer below fire, bool [I], or in layer 0 the embedding, int8 [V, E].
    """
    generator = weights.generator
    inputs = below.shape[-1]
    input_weights = weights.draw(Matrix(INPUT, index), (3, neurons, inputs))
    recurrent_weights = weights.draw(Matrix(RECURRENT, index), (3, neurons, neurons))
    # The most that each product can add to its sum, [3, H], in units of a weight's last bit.
    recurrent = _size(recurrent_weights[:, :, chosen]) * _LARGEST_EVENT
    outside = _largest_input(input_weights, below, chosen)
    recurrent_bits = _bits_within_reach(recurrent, _REACH_BACK)
    input_bits = _bits_within_reach(outside, _REACH_OUTSIDE)
    if index > 0:  # the rows share an accumulator, and with it the fraction bits
        shared = _bits_within_reach(outside[:2] + recurrent[:2], _REACH_OUTSIDE)
        recurrent_bits[:2] = input_bits[:2] = shared
    moved_outside = np.ldexp(outside, -input_bits.astype(np.int32))
    moved_back = np.ldexp(recurrent, -recurrent_bits.astype(np.int32))

    bias = np.empty((4, neurons), dtype=np.float64)  # z, r, gx, gr
    bias[0] = -(moved_outside[0] + moved_back[0] + _ROUNDING + generator.uniform(0.0, 1.5, size=neurons))
    bias[1] = generator.uniform(-1.0, 1.0, size=neurons)
    bias[3] = generator.uniform(-0.1, 0.1, size=neurons)
    held_back = moved_outside[2] + moved_back[2] + np.abs(bias[3]) + _ROUNDING  # r is at most 1
    bias[2] = held_back + _LEAST_CANDIDATE + generator.uniform(0.0, 0.5, size=neurons)
    threshold = generator.integers(THRESHOLD_MINIMUM, _THRESHOLD_BELOW, size=neurons, dtype=np.int64)
    return Layer(
        input_weights=input_weights,
        recurrent_weights=recurrent_weights,
        input_fraction_bits=input_bits,
        recurrent_fraction_bits=recurrent_bits,
        bias=np.clip(np.rint(bias * (1 << SUM_FRACTION_BITS)), -32768, 32767).astype(np.int16),
        threshold=np.where(chosen, threshold, THRESHOLD_MAXIMUM).astype(np.uint16),
    )


def _size(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
    """Return the sums of absolute weights, float64 [gates, rows], of int8 [gates, rows, columns]."""
    return np.abs(weights, dtype=np.int64).sum(axis=2, dtype=np.int64).astype(np.float64)


def _largest_input(
    weights: npt.NDArray[np.int8],
    below: npt.NDArray[np.bool_] | npt.NDArray[np.int8],
    chosen: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """Return the most, float64 [3, H], that what comes from outside adds to sums, in units of a weight's bit.

    In layer 0 that is the most over all tokens, and of neurons that are not `chosen` a typical value.
    """
    if below.dtype == np.bool_:
        return _size(weights[:, :, below.astype(np.bool_)]) * _LARGEST_EVENT
    largest = 4 * _TYPICAL_EMBEDDING * np.sqrt(np.square(weights, dtype=np.float64).sum(axis=2))
    # Exact: a sum of less than 2^10 products below 2^14 is a float's whole number, wider ones are split.
    embedding = below.astype(np.float32)
    for gate in range(3):
        rows = weights[gate][chosen].astype(np.float32)
        sums = np.zeros((embedding.shape[0], rows.shape[0]), dtype=np.float64)
        for start in range(0, embedding.shape[1], _EXACT_PRODUCTS):
            part = slice(start, start + _EXACT_PRODUCTS)
            sums += embedding[:, part] @ rows[:, part].T
        largest[gate, chosen] = np.abs(sums).max(axis=0) / (1 << EMBEDDING_FRACTION_BITS)
    return largest


def _bits_within_reach(size: npt.NDArray[np.float64], reach: float) -> npt.NDArray[np.int8]:
    """Return the fewest fraction bits, int8, with which no sum exceeds `reach`."""
    bits = np.ceil(np.log2(np.maximum(size, 1.0) / reach))
    return np.clip(bits, FRACTION_BITS_MINIMUM, FRACTION_BITS_MAXIMUM).astype(np.int8)
