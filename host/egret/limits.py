"""Whether a checkpoint fits a build of the kernel: its depths, its weight bits, its accumulators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from egret.accumulator_bounds import AccumulatorReach, check_accumulators
from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.kernel import MAX_LAYERS, Build
from egret.layout import Layout
from egret.matrices import count_pointers


def check_fit(checkpoint: Checkpoint, build: Build) -> None:
    """Raise EgretError, naming the limit or the matrix and row, where `build` cannot run `checkpoint`."""
    check_limits([layer.neurons for layer in checkpoint.layers], len(checkpoint.vocabulary), build)
    _check_weights(checkpoint, build)
    check_accumulators(AccumulatorReach.of_checkpoint(checkpoint), build.accumulator_bits)


def check_limits(neurons: Sequence[int], words: int, build: Build) -> None:
    """Raise EgretError, naming the limit, where layers of these sizes or so many words are beyond `build`."""
    layout = Layout.of(build)
    groups = [layout.groups(count) for count in neurons]
    needs = [
        (len(neurons), MAX_LAYERS, "layers", "MAX_LAYERS"),
        (sum(groups) * layout.lanes, build.neuron_depth, "neuron positions in each engine", "NEURON_DEPTH"),
        (
            layout.positions(neurons[0]),
            build.neuron_depth // 2,
            "neuron positions in each engine for layer 0, of which two token-table rows are held",
            "half of NEURON_DEPTH",
        ),
        (
            4 * sum(groups[0::2]),
            build.accumulator_depth,
            "accumulators in each lane for layers 0, 2, ...",
            "ACCUMULATOR_DEPTH",
        ),
        (
            4 * sum(groups[1::2]),
            build.accumulator_depth,
            "accumulators in each lane for layers 1, 3, ...",
            "ACCUMULATOR_DEPTH",
        ),
        (
            Layout.of_decoder(build).groups(words),
            build.logit_depth,
            f"decoder rows in each of its decoder lanes for its {words} words",
            "LOGIT_DEPTH",
        ),
        (count_pointers(neurons), build.pointer_depth, "column pointers", "POINTER_DEPTH"),
    ]
    for needed, limit, what, parameter in needs:
        if needed > limit:
            raise EgretError(f"The model needs {needed} {what}; this build has {limit} ({parameter}).")


def _check_weights(checkpoint: Checkpoint, build: Build) -> None:
    for name, matrix in checkpoint.matrices().items():
        if name == "layer0.input_weights":  # folded: no engine sees them
            continue
        decoder = name == "decoder_weights"
        bits = build.decoder_weight_bits if decoder else build.weight_bits
        highest = (1 << (bits - 1)) - 1
        lowest = -highest - 1
        wrong = (matrix < lowest) | (matrix > highest)
        if wrong.any():
            row, column = (int(position[0]) for position in np.nonzero(wrong))
            place = f"for word {row} ('{checkpoint.vocabulary[row]}')" if decoder else f"in row {row}"
            raise EgretError(
                f"{name} has the weight {int(matrix[row, column])} {place}, column {column}; a build of "
                f"{bits} {'decoder ' if decoder else ''}weight bits holds {lowest}..{highest}."
            )
