"""Random networks of which the same chosen neurons fire at every step, whatever the tokens.

For benchmarks: the number of events is exactly what was asked for, and from the second step on every step
costs the same; yet values, sums and states are real numbers that differ between neurons and between steps.

How it is made certain, in the terms of docs/formats.md, section 1, with bounds on what the events of the
chosen neurons (and the embedding) can add to each sum:

- chosen: b_z puts sum_z at 0 or below, so z <= 1/2; b_gx puts sum_g at 1/2 or above, so g >= tanh(1/2) >=
  0.46. The state never turns negative, so c~ >= (1 - z) g >= 0.23, and the threshold is below 1/8.
- others: the threshold is the largest, 32767, and c~ does not exceed 32736.
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
from egret.errors import EgretError
from egret.kernel import EVENT_BITS, SUM_FRACTION_BITS, THRESHOLD_MINIMUM, Build
from egret.random_weights import Pruning, RandomWeights
from egret.synthetic import EMBEDDING_FRACTION_BITS, by_layer, check_arguments, fraction_bits, typical_input

PRUNINGS = ("gap-aware", "balanced", "unstructured")
"""Lanes of equal length without a gap that an entry cannot span; lanes of equal length; anywhere."""

_LARGEST_EVENT = EVENT_MAXIMUM / (1 << EVENT_BITS)
_LARGEST_EMBEDDING = 127 / (1 << EMBEDDING_FRACTION_BITS)
_REACH = 1.0  # how far inputs, and how far fed back events, may move a sum (unless fraction bits end before)
_LEAST_CANDIDATE = 0.5  # of sum_g
_ROUNDING = 0.01  # more than all roundings of a sum together
_THRESHOLD_BELOW = 1 << 12


def steady_checkpoint(
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
    weights = RandomWeights(generator, sparsity, *_prunings(build, pruning))
    chosen = [_choose(generator, neurons, share) for neurons, share in zip(layers, shares, strict=True)]
    built = [
        _steady_layer(weights, index, neurons, chosen[index], chosen[index - 1] if index else embedding)
        for index, neurons in enumerate(layers)
    ]
    decoder = weights.draw("decoder_weights", (1, vocabulary, layers[-1]))[0]
    return Checkpoint(
        name="steady",
        metadata={"source": "egret.steady", "seed": int(seed)},
        vocabulary=[f"w{index}" for index in range(vocabulary)],
        embedding=generator.integers(-127, 128, size=(vocabulary, embedding), dtype=np.int64).astype(np.int8),
        embedding_fraction_bits=EMBEDDING_FRACTION_BITS,
        layers=built,
        decoder_weights=decoder,
        decoder_fraction_bits=fraction_bits(decoder, typical_input(shares[-1]), 1.0),
        decoder_bias=generator.integers(-4096, 4096, size=vocabulary, dtype=np.int64).astype(np.int16),
    )


def firing_neurons(checkpoint: Checkpoint) -> list[npt.NDArray[np.intp]]:
    """Return, for each layer of a steady_checkpoint(), the indices of the neurons that fire."""
    return [np.flatnonzero(layer.threshold < THRESHOLD_MAXIMUM) for layer in checkpoint.layers]


def _prunings(build: Build, pruning: str) -> tuple[Pruning, Pruning]:
    """Return the pruning of the layers and of the decoder."""
    result = []
    for slots, gap_bits, weight_bits in (
        (build.slots, build.gap_bits, build.weight_bits),
        (
            getattr(build, "decoder_slots", build.slots),
            getattr(build, "decoder_gap_bits", build.gap_bits),
            getattr(build, "decoder_weight_bits", build.weight_bits),
        ),
    ):
        aware = pruning == "gap-aware" and gap_bits > 0
        result.append(
            Pruning(
                slots=None if pruning == "unstructured" else slots,
                largest_gap=(1 << gap_bits) - 1 if aware else None,
                weight_bits=weight_bits,
            )
        )
    return result[0], result[1]


def _choose(generator: np.random.Generator, neurons: int, share: float) -> npt.NDArray[np.bool_]:
    chosen = np.zeros(neurons, dtype=np.bool_)
    chosen[generator.permutation(neurons)[: round(share * neurons)]] = True
    return chosen


def _steady_layer(
    weights: RandomWeights,
    index: int,
    neurons: int,
    chosen: npt.NDArray[np.bool_],
    below: npt.NDArray[np.bool_] | int,
) -> Layer:
    """Return a layer of which the `chosen` neurons, bool [H], fire.

    `below` is which neurons of the layer below fire, bool [I], or in layer 0 the width of the embedding.
    """
    generator = weights.generator
    inputs = below if isinstance(below, int) else below.size
    input_weights = weights.draw(f"layer{index}.input_weights", (3, neurons, inputs))
    recurrent_weights = weights.draw(f"layer{index}.recurrent_weights", (3, neurons, neurons))
    # The most that each product can add to its sum, [3, H], in units of a weight's last bit.
    recurrent = _size(recurrent_weights[:, :, chosen]) * _LARGEST_EVENT
    if isinstance(below, int):
        outside = _size(input_weights) * _LARGEST_EMBEDDING
    else:
        outside = _size(input_weights[:, :, below]) * _LARGEST_EVENT
    recurrent_bits, input_bits = _bits_within_reach(recurrent), _bits_within_reach(outside)
    if index > 0:  # the rows share an accumulator, and with it the fraction bits
        recurrent_bits[:2] = input_bits[:2] = _bits_within_reach(outside[:2] + recurrent[:2])
    moved_outside = np.ldexp(outside, -input_bits.astype(np.int32))
    moved_back = np.ldexp(recurrent, -recurrent_bits.astype(np.int32))

    bias = np.empty((4, neurons), dtype=np.float64)  # z, r, gx, gr
    bias[0] = -(moved_outside[0] + moved_back[0] + _ROUNDING + generator.uniform(0.0, 1.5, size=neurons))
    bias[1] = generator.uniform(-1.0, 1.0, size=neurons)
    bias[3] = generator.uniform(-0.5, 0.5, size=neurons)
    held_back = moved_outside[2] + moved_back[2] + np.abs(bias[3]) + _ROUNDING  # r is at most 1
    bias[2] = held_back + _LEAST_CANDIDATE + generator.uniform(0.0, 1.0, size=neurons)
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


def _bits_within_reach(size: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    """Return the fewest fraction bits, int8, with which no sum exceeds _REACH."""
    bits = np.ceil(np.log2(np.maximum(size, 1.0) / _REACH))
    return np.clip(bits, FRACTION_BITS_MINIMUM, FRACTION_BITS_MAXIMUM).astype(np.int8)
