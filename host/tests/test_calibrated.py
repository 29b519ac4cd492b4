"""Random networks have the sparsity and the activity that were asked for."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.reference.model import ReferenceModel
from egret.synthetic.calibrated import extreme_checkpoint, random_checkpoint


def flat(value: Any) -> list[Any]:
    """Everything in a checkpoint, for comparison."""
    if isinstance(value, np.ndarray):
        return [value.dtype.name, value.shape, value.tobytes()]
    if isinstance(value, list):
        return [flat(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return [flat(getattr(value, field.name)) for field in fields(value)]
    return [value]


def measured(checkpoint: Checkpoint, tokens: int = 300) -> list[float]:
    """Share of neurons that fire per step, by layer, after a warm-up."""
    stream = np.random.default_rng(0).integers(0, len(checkpoint.vocabulary), size=tokens)
    counts = ReferenceModel(checkpoint).run(stream).event_counts()[:, 50:]
    return [float(row.mean()) / layer.neurons for row, layer in zip(counts, checkpoint.layers, strict=True)]


@pytest.mark.parametrize("activity", [0.02, 0.1, 0.3, 0.7, 0.95])
@pytest.mark.parametrize("sparsity", [0.0, 0.85])
def test_the_wanted_share_of_neurons_fires(activity: float, sparsity: float) -> None:
    checkpoint = random_checkpoint([120, 90, 60], 20, 200, sparsity, activity=activity, seed=30)
    checkpoint.validate()
    for share in measured(checkpoint):
        assert abs(share - activity) < max(0.35 * activity, 0.02) + 0.02


@settings(deadline=None, max_examples=60)
@given(
    layers=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    embedding=st.integers(1, 300),
    sparsity=st.sampled_from([0.0, 0.5, 0.85, 1.0]),
    weight_bits=st.integers(2, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_and_every_neuron_fires_where_asked_for_at_any_token(
    layers: list[int], embedding: int, sparsity: float, weight_bits: int, seed: int
) -> None:
    sizes: dict[str, Any] = {
        "layers": layers,
        "embedding": embedding,
        "vocabulary": 7,
        "sparsity": sparsity,
        "seed": seed,
    }
    tokens = np.random.default_rng(seed).integers(0, 7, size=20)
    for activity in (0.0, 1.0):
        checkpoint = random_checkpoint(**sizes, activity=activity, weight_bits=weight_bits)
        checkpoint.validate()
        counts = ReferenceModel(checkpoint).run(tokens).event_counts()
        expected = np.array(layers)[:, np.newaxis] * (activity == 1.0)
        assert (counts == expected).all()


@settings(deadline=None, max_examples=40)
@given(
    sparsity=st.floats(0.0, 1.0),
    layers=st.lists(st.integers(1, 30), min_size=1, max_size=3),
    weight_bits=st.integers(2, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_unstructured_pruning_keeps_the_wanted_share_of_every_matrix(
    sparsity: float, layers: list[int], weight_bits: int, seed: int
) -> None:
    checkpoint = random_checkpoint(layers, 4, 9, sparsity, activity=0.0, weight_bits=weight_bits, seed=seed)
    for name, matrix in checkpoint.matrices().items():
        assert np.count_nonzero(matrix) == round((1.0 - sparsity) * matrix.size), name
        assert np.abs(matrix).max() <= (1 << (weight_bits - 1)) - 1


@pytest.mark.parametrize(("engines", "lanes"), [(1, 1), (2, 5), (3, 4)])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.85, 1.0])
def test_balanced_pruning_keeps_as_many_weights_in_each_lane_of_a_column(
    engines: int, lanes: int, sparsity: float
) -> None:
    slots = engines * lanes
    checkpoint = random_checkpoint(
        [2 * slots, 5 * slots], 4, 7 * slots, sparsity, activity=0.0, balanced_slots=slots, seed=31
    )
    for name, matrix in checkpoint.matrices().items():
        gates = 1 if name == "decoder_weights" else 3
        by_slot = (matrix != 0).reshape(gates, -1, slots, matrix.shape[1]).sum(axis=(0, 1))
        rows = matrix.shape[0] // slots
        assert (by_slot == round((1.0 - sparsity) * rows)).all(), name


def test_balanced_pruning_takes_layers_that_do_not_fill_their_lanes() -> None:
    checkpoint = random_checkpoint([23], 4, 31, 0.5, activity=0.0, balanced_slots=10, seed=32)
    checkpoint.validate()
    kept = (checkpoint.layers[0].recurrent_weights != 0).sum(axis=0)
    for slot in range(10):
        counts = kept[slot::10].sum(axis=0)
        assert (counts <= 4).all() and counts.max() == 4  # half of the 9 rows of a lane, rounded to even


def test_sparsity_can_be_given_by_matrix() -> None:
    wanted = {"layer0.recurrent_weights": 0.0, "layer1.input_weights": 1.0, "decoder_weights": 0.5}
    checkpoint = random_checkpoint([20, 10], 4, 30, wanted, seed=33)
    sizes = {name: matrix.size for name, matrix in checkpoint.matrices().items()}
    nonzeros = checkpoint.nonzeros()
    for name, size in sizes.items():
        assert nonzeros[name] == round((1.0 - wanted.get(name, 0.85)) * size)


def test_the_same_seed_gives_the_same_network_and_another_seed_another() -> None:
    for make in (random_checkpoint, extreme_checkpoint):
        first, second = make([9, 8], 4, 11, 0.5, seed=34), make([9, 8], 4, 11, 0.5, seed=34)
        other = make([9, 8], 4, 11, 0.5, seed=35)
        assert flat(first) == flat(second) != flat(other)


def test_extreme_networks_reach_the_ends_of_every_range_and_still_fire() -> None:
    checkpoint = extreme_checkpoint([60, 50], 9, 80, 0.3, seed=36)
    checkpoint.validate()
    ranges = {
        "input_weights": (-127, 127),
        "recurrent_weights": (-127, 127),
        "input_fraction_bits": (3, 18),
        "bias": (-32768, 32767),
    }
    for layer in checkpoint.layers:
        for name, (low, high) in ranges.items():
            values = getattr(layer, name)
            assert (int(values.min()), int(values.max())) == (low, high), name
        assert layer.threshold.max() == 32767 and layer.threshold.min() < 256
    assert (int(checkpoint.decoder_bias.min()), int(checkpoint.decoder_bias.max())) == (-32768, 32767)
    assert all(0.05 < share < 0.95 for share in measured(checkpoint))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": []}, "it needs a layer"),
        ({"layers": [3, 0]}, "Sizes of a network must be at least 1"),
        ({"vocabulary": 0}, "Sizes of a network must be at least 1"),
        ({"sparsity": 1.5}, "shares between 0 and 1"),
        ({"activity": -0.1}, "shares between 0 and 1"),
        ({"weight_bits": 9}, "2 to 8 bits; 9 was asked for"),
        (
            {"sparsity": {"layer1.input_weights": 0.5}},
            r"layer1\.input_weights, which this network does not have",
        ),
    ],
)
def test_networks_that_cannot_be_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(EgretError, match=message):
        random_checkpoint(**{"layers": [3], "embedding": 2, "vocabulary": 5, **arguments})
