"""Random networks with a wanted sparsity and activity, for tests and benchmarks.

They say nothing sensible, but their sums have the sizes of a trained network's: gate inputs of order one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from egret.checkpoint import (
    FOLD_SHIFT_MAXIMUM,
    FRACTION_BITS_MAXIMUM,
    FRACTION_BITS_MINIMUM,
    THRESHOLD_MAXIMUM,
    Checkpoint,
    Layer,
)
from egret.contract import SUM_FRACTION_BITS, THRESHOLD_MINIMUM, WEIGHT_BITS
from egret.errors import EgretError
from egret.image.layout import best_tile_rows
from egret.matrices import DECODER, INPUT, RECURRENT, Matrix, network_matrices
from egret.reference.model import ReferenceModel
from egret.synthetic.weights import DEFAULT_SPARSITY, Pruning, RandomWeights, compact_records

EMBEDDING_FRACTION_BITS = 8

_PROBE_TOKENS = 64
_PROBE_WARM_UP = 16
_CALIBRATION_STEPS = 12
_TYPICAL_EVENT = 0.5  # typical value of an event, where 1.0 is its largest
_CERTAIN_SUM = 3.0  # how far the weights may move any sum where every neuron must fire


def random_checkpoint(
    layers: Sequence[int],
    embedding: int,
    vocabulary: int,
    sparsity: float | Mapping[str, float] = DEFAULT_SPARSITY,
    activity: float | Sequence[float] = 0.1,
    balanced_slots: int | None = None,
    weight_bits: int = 8,
    seed: int = 0,
    name: str = "synthetic",
    decoder_slots: int | None = None,
    decoder_weight_bits: int | None = None,
    logit_depth: int | None = None,
    compact: bool = False,
) -> Checkpoint:
    """Return a valid checkpoint with random weights.

    layers: neurons of each layer. embedding: E. vocabulary: V; the words are w0, w1, ...
    sparsity: share of zero weights, 0..1, for all matrices, or by matrix under its key in the checkpoint
    (matrices not named get 0.85). balanced_slots: engines * lanes of a build, to keep the same number of
    weights in each lane of every column (lanes with fewer rows, at the end of a layer, count as full); None
    for unstructured pruning.
    activity: wanted share of neurons that fire per step, one for all layers or one for each. 0 and 1 are met
    exactly, for any tokens; between them, each layer's thresholds and candidate biases are searched on random
    tokens, and the share is met as nearly as one setting for all its neurons allows: count it with the
    reference model. (Shares that are met exactly: egret.synthetic.fixed_activity.)
    weight_bits: weights lie in -(2^(bits-1) - 1)..2^(bits-1) - 1.
    decoder_slots, decoder_weight_bits: the same for the decoder, if they differ there.
    logit_depth: a build's, in whose tiles the decoder's lanes are balanced; None: over all words at once.
    compact: biases and fraction bits of words as a vocabulary beyond DECODER_DEPTH has them.
    The same arguments give the same checkpoint. Raises EgretError for a size or a share that cannot be.
    """
    shares = by_layer(layers, activity)
    check_arguments(layers, embedding, vocabulary, sparsity, shares, balanced_slots, weight_bits)
    generator = np.random.default_rng(seed)
    slots = decoder_slots or balanced_slots
    of_decoder = Pruning(
        slots=slots,
        tile_rows=best_tile_rows(-(-vocabulary // slots), logit_depth) if slots and logit_depth else None,
        weight_bits=decoder_weight_bits or weight_bits,
    )
    _check_weight_bits(of_decoder.weight_bits)
    pruning = Pruning(slots=balanced_slots, weight_bits=weight_bits)
    weights = RandomWeights(generator, sparsity, pruning, of_decoder)
    words = [f"w{index}" for index in range(vocabulary)]
    tokens = generator.integers(-127, 128, size=(vocabulary, embedding), dtype=np.int64).astype(np.int8)
    built: list[Layer] = []
    for index, neurons in enumerate(layers):
        inputs = layers[index - 1] if index else embedding
        layer = _random_layer(weights, index, neurons, inputs, shares[index])
        built.append(_with_activity(built, layer, tokens, shares[index], generator))
    decoder = weights.draw(Matrix(DECODER), (1, vocabulary, layers[-1]))[0]
    bias = generator.integers(-4096, 4096, size=vocabulary, dtype=np.int64).astype(np.int16)
    decoder_bits = fraction_bits(decoder, typical_input(shares[-1]), 1.0)
    if compact:
        bias, decoder_bits = compact_records(bias, decoder_bits)
    return Checkpoint(
        name=name,
        metadata={"source": "egret.synthetic.calibrated", "seed": int(seed)},
        vocabulary=words,
        embedding=tokens,
        embedding_fraction_bits=EMBEDDING_FRACTION_BITS,
        layers=built,
        decoder_weights=decoder,
        decoder_fraction_bits=decoder_bits,
        decoder_bias=bias,
    )


def extreme_checkpoint(
    layers: Sequence[int],
    embedding: int,
    vocabulary: int,
    sparsity: float = 0.5,
    weight_bits: int = 8,
    seed: int = 0,
) -> Checkpoint:
    """Return a valid checkpoint with every number drawn from its whole range, its ends most often.

    It drives sums into saturation, shifts over 0..15 (0..31 in folding) and thresholds over 64..32767. The
    arguments are those of random_checkpoint(). Raises EgretError for a size or a share that cannot be.
    """
    check_arguments(layers, embedding, vocabulary, sparsity, [0.0], None, weight_bits)
    generator = np.random.default_rng(seed)
    pruning = Pruning(weight_bits=weight_bits)
    weights = RandomWeights(generator, sparsity, pruning, pruning)

    def draw(low: int, high: int, dtype: type[np.generic], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        ends = np.where(generator.random(size=shape) < 0.5, low, high)
        inner = generator.integers(low, high + 1, size=shape, dtype=np.int64)
        return np.where(generator.random(size=shape) < 0.3, ends, inner).astype(dtype)

    def draw_weights(matrix: Matrix, shape: tuple[int, int, int]) -> npt.NDArray[np.int8]:
        largest = (1 << (weight_bits - 1)) - 1
        drawn = draw(-largest, largest, np.int8, shape)
        return np.where(weights.draw(matrix, shape) != 0, drawn, 0).astype(np.int8)

    low, high = FRACTION_BITS_MINIMUM, FRACTION_BITS_MAXIMUM
    built: list[Layer] = []
    for index, neurons in enumerate(layers):
        inputs = layers[index - 1] if index else embedding
        recurrent_bits = draw(low, high, np.int8, (3, neurons))
        input_bits = draw(low, high, np.int8, (3, neurons))
        if index > 0:
            input_bits[:2] = recurrent_bits[:2]
        bias = draw(-32768, 32767, np.int16, (4, neurons))
        # Where every bias were as large, hardly a gate would be between its ends.
        small = draw(-3000, 3000, np.int16, (4, neurons))
        threshold = np.exp2(generator.uniform(6.0, 15.0, size=neurons)).astype(np.int64)
        threshold[generator.random(size=neurons) < 0.2] = THRESHOLD_MAXIMUM
        built.append(
            Layer(
                input_weights=draw_weights(Matrix(INPUT, index), (3, neurons, inputs)),
                recurrent_weights=draw_weights(Matrix(RECURRENT, index), (3, neurons, neurons)),
                input_fraction_bits=input_bits,
                recurrent_fraction_bits=recurrent_bits,
                bias=np.where(generator.random(size=bias.shape) < 0.7, small, bias).astype(np.int16),
                threshold=np.clip(threshold, THRESHOLD_MINIMUM, THRESHOLD_MAXIMUM).astype(np.uint16),
            )
        )
    bits_low = SUM_FRACTION_BITS - FRACTION_BITS_MINIMUM
    bits_high = FOLD_SHIFT_MAXIMUM + SUM_FRACTION_BITS - FRACTION_BITS_MAXIMUM
    return Checkpoint(
        name="extreme",
        metadata={"source": "egret.synthetic.calibrated", "seed": int(seed)},
        vocabulary=[f"w{index}" for index in range(vocabulary)],
        embedding=draw(-127, 127, np.int8, (vocabulary, embedding)),
        embedding_fraction_bits=int(generator.integers(bits_low, bits_high + 1, dtype=np.int64)),
        layers=built,
        decoder_weights=draw_weights(Matrix(DECODER), (1, vocabulary, layers[-1]))[0],
        decoder_fraction_bits=draw(low, high, np.int8, (vocabulary,)),
        decoder_bias=draw(-32768, 32767, np.int16, (vocabulary,)),
    )


def _random_layer(weights: RandomWeights, index: int, neurons: int, inputs: int, activity: float) -> Layer:
    """Return a layer whose sums have the wanted sizes; its thresholds are still the smallest."""
    input_weights = weights.draw(Matrix(INPUT, index), (3, neurons, inputs))
    recurrent = weights.draw(Matrix(RECURRENT, index), (3, neurons, neurons))
    certain = activity >= 1.0
    active = typical_input(activity)
    recurrent_bits = fraction_bits(recurrent, active, 1.0, certain)
    if index == 0:
        # The embedding is uniform in -0.5..0.5.
        input_bits = fraction_bits(input_weights, 0.29, 1.0, certain)
    else:
        input_bits = fraction_bits(input_weights, active, 1.0, certain)
        shared = np.concatenate([input_weights[:2], recurrent[:2]], axis=2)
        input_bits[:2] = recurrent_bits[:2] = fraction_bits(shared, active, 1.0, certain)
    bias = weights.generator.normal(0.0, 0.5, size=(4, neurons)) * (1 << SUM_FRACTION_BITS)
    bias[0] -= 1 << SUM_FRACTION_BITS  # the state follows the candidate
    return Layer(
        input_weights=input_weights,
        recurrent_weights=recurrent,
        input_fraction_bits=input_bits,
        recurrent_fraction_bits=recurrent_bits,
        bias=np.clip(np.rint(bias), -8192, 8191).astype(np.int16),
        threshold=np.full(neurons, THRESHOLD_MINIMUM, dtype=np.uint16),
    )


def typical_input(activity: float) -> float:
    """Return the root mean square of what a neuron sends where this share fires, silence counted."""
    return float(_TYPICAL_EVENT * max(activity, 0.05) ** 0.5)


def fraction_bits(
    weights: npt.NDArray[np.int8], factor: float, wanted: float, certain: bool = False
) -> npt.NDArray[np.int8]:
    """Return f, int8 [...], for weights int8 [..., columns] and factors of root mean square `factor`.

    Sums then have a standard deviation near `wanted`; if `certain`, none can exceed _CERTAIN_SUM in size.
    """
    if certain:
        size = np.abs(weights, dtype=np.float64).sum(axis=-1) / _CERTAIN_SUM
        bits = np.ceil(np.log2(np.maximum(size, 1.0)))
    else:
        size = factor / wanted * np.sqrt(np.square(weights, dtype=np.float64).sum(axis=-1))
        bits = np.rint(np.log2(np.maximum(size, 1.0)))
    return np.clip(bits, FRACTION_BITS_MINIMUM, FRACTION_BITS_MAXIMUM).astype(np.int8)


def _driven(layer: Layer, drive: float) -> Layer:
    """Return the layer with its neurons pushed: 0 none can fire, 1 all must; in between ever more do."""
    # First the threshold falls, geometrically, from its largest to its smallest; then the candidate's bias
    # rises and the keep gate closes, until no sum can hold a neuron down.
    fall = min(2.0 * drive, 1.0)
    threshold = round(THRESHOLD_MAXIMUM * (THRESHOLD_MINIMUM / THRESHOLD_MAXIMUM) ** fall)
    push = max(2.0 * drive - 1.0, 0.0)
    bias = layer.bias.astype(np.float64)
    bias[2] += push * (32767 - bias[2])
    bias[0] += push * (-32768 - bias[0])
    return replace(
        layer,
        bias=np.rint(bias).astype(np.int16),
        threshold=np.full(layer.neurons, threshold, dtype=np.uint16),
    )


def _with_activity(
    below: Sequence[Layer],
    layer: Layer,
    embedding: npt.NDArray[np.int8],
    activity: float,
    generator: np.random.Generator,
) -> Layer:
    """Return the layer, driven so that about `activity` of its neurons fire above the layers `below`."""
    if activity <= 0.0 or activity >= 1.0:
        return _driven(layer, activity)
    # Probe tokens that the network will see, without folding all the others.
    rows = embedding[generator.integers(0, embedding.shape[0], size=_PROBE_TOKENS)]
    low, high = 0.0, 1.0
    nearest, nearest_distance = layer, np.inf
    for _ in range(_CALIBRATION_STEPS):
        drive = (low + high) / 2
        candidate = _driven(layer, drive)
        share = _measured_activity([*below, candidate], rows)
        if abs(share - activity) < nearest_distance:
            nearest, nearest_distance = candidate, abs(share - activity)
        low, high = (drive, high) if share < activity else (low, drive)
    return nearest


def _measured_activity(layers: list[Layer], embedding: npt.NDArray[np.int8]) -> float:
    """Return the share of the last layer's neurons that fire per step; each row of embedding is a token."""
    words = embedding.shape[0]
    probe = Checkpoint(
        name="probe",
        metadata={},
        vocabulary=[f"w{index}" for index in range(words)],
        embedding=embedding,
        embedding_fraction_bits=EMBEDDING_FRACTION_BITS,
        layers=layers,
        decoder_weights=np.zeros((words, layers[-1].neurons), dtype=np.int8),
        decoder_fraction_bits=np.full(words, FRACTION_BITS_MINIMUM, dtype=np.int8),
        decoder_bias=np.zeros(words, dtype=np.int16),
    )
    counts = ReferenceModel(probe).run(np.arange(words, dtype=np.int64)).event_counts()[-1]
    return float(counts[_PROBE_WARM_UP:].mean()) / layers[-1].neurons


def by_layer(layers: Sequence[int], activity: float | Sequence[float]) -> list[float]:
    """Return the activity of each layer; raise EgretError where the number of layers is another."""
    if not isinstance(activity, Sequence):
        return [float(activity)] * len(layers)
    if len(activity) != len(layers):
        raise EgretError(f"Activity is given for {len(activity)} layers; the network has {len(layers)}.")
    return [float(share) for share in activity]


def check_arguments(
    layers: Sequence[int],
    embedding: int,
    vocabulary: int,
    sparsity: float | Mapping[str, float],
    activity: Sequence[float],
    balanced_slots: int | None,
    weight_bits: int,
) -> None:
    """Raise EgretError for a size or a share that no network has."""
    sizes = [*layers, embedding, vocabulary, balanced_slots or 1]
    if not layers or min(sizes) < 1:
        raise EgretError(f"Sizes of a network must be at least 1, and it needs a layer; they are {sizes}.")
    shares = [*activity, *(sparsity.values() if isinstance(sparsity, Mapping) else [sparsity])]
    if not all(0.0 <= share <= 1.0 for share in shares):
        raise EgretError(f"Sparsity and activity are shares between 0 and 1; they are {shares}.")
    _check_weight_bits(weight_bits)
    if isinstance(sparsity, Mapping):
        unknown = sorted(set(sparsity) - {matrix.name for matrix in network_matrices(len(layers))})
        if unknown:
            raise EgretError(f"Sparsity is given for {', '.join(unknown)}, which this network does not have.")


def _check_weight_bits(weight_bits: int) -> None:
    if not 2 <= weight_bits <= WEIGHT_BITS:
        raise EgretError(f"Weights have 2 to 8 bits; {weight_bits} was asked for.")
