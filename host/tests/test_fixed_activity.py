"""Steady networks fire as asked for at every step, and their pruning leaves no entry of a lane unused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.image.packer import pack
from egret.profiles import Build
from egret.reference.model import ReferenceModel
from egret.synthetic.calibrated import random_checkpoint
from egret.synthetic.fixed_activity import PRUNINGS, firing_neurons, fixed_activity_checkpoint

BUILD = Build()


def kept_by_lane(checkpoint: Checkpoint, name: str, slots: int) -> np.ndarray:
    """Which rows have a weight, as the lanes number them: bool [slots, columns, rows of a lane]."""
    matrix = checkpoint.matrices()[name]
    gates = 1 if name == "decoder_weights" else 3
    rows = matrix.reshape(gates, -1, matrix.shape[-1])
    if name.endswith("input_weights"):
        rows = rows[[2, 0, 1]]  # a lane numbers gx, z, r
    groups = -(-rows.shape[1] // slots)
    padded = np.zeros((gates, groups * slots, rows.shape[2]), dtype=np.bool_)
    padded[:, : rows.shape[1]] = rows != 0
    by_slot = padded.reshape(gates, groups, slots, -1).transpose(2, 3, 0, 1)
    return by_slot.reshape(slots, -1, gates * groups)


def longest_gaps(kept: np.ndarray) -> np.ndarray:
    """Most zeros before any weight of a lane and column: int [slots, columns]."""
    gap, longest = np.zeros(kept.shape[:2], dtype=np.int64), np.zeros(kept.shape[:2], dtype=np.int64)
    for row in range(kept.shape[2]):
        longest = np.where(kept[:, :, row], np.maximum(longest, gap), longest)
        gap = np.where(kept[:, :, row], 0, gap + 1)
    return longest


@settings(deadline=None, max_examples=40)
@given(
    layers=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    embedding=st.integers(1, 300),
    sparsity=st.sampled_from([0.0, 0.5, 0.85, 1.0]),
    pruning=st.sampled_from(PRUNINGS),
    data=st.data(),
    seed=st.integers(0, 2**32 - 1),
)
def test_exactly_the_wanted_neurons_fire_at_every_step_whatever_the_tokens(
    layers: list[int], embedding: int, sparsity: float, pruning: str, data: st.DataObject, seed: int
) -> None:
    activity = data.draw(st.lists(st.floats(0.0, 1.0), min_size=len(layers), max_size=len(layers)))
    checkpoint = fixed_activity_checkpoint(layers, embedding, 7, BUILD, sparsity, activity, pruning, seed)
    checkpoint.validate()
    pack(checkpoint, BUILD)  # no accumulator can wrap
    tokens = np.random.default_rng(seed).integers(0, 7, size=20)
    trace = ReferenceModel(checkpoint).run(tokens)
    for neurons, share, chosen, events in zip(
        layers, activity, firing_neurons(checkpoint), trace.events, strict=True
    ):
        assert chosen.size == round(share * neurons)
        for indices, _ in events:
            assert np.array_equal(indices, chosen)


def test_what_the_neurons_send_differs_between_neurons_and_between_steps() -> None:
    checkpoint = fixed_activity_checkpoint([60, 60], 16, 50, BUILD, 0.5, 0.5, seed=1)
    trace = ReferenceModel(checkpoint).run(np.arange(50), logits=True)
    for events in trace.events:
        values = np.stack([step for _, step in events])[5:]
        assert np.unique(values.mean(axis=0)).size > 10
        assert (values.std(axis=0) > 0).mean() > 0.5
        assert 100 < values.mean() < 240  # neither hardly anything nor the largest value
    assert trace.logits is not None and np.unique(trace.logits[:, 0]).size > 10


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.85])
@pytest.mark.parametrize("gap_bits", [3, 4])
@pytest.mark.parametrize("layers", [[130, 90], [97, 64]], ids=["whole groups", "groups with padding"])
def test_gap_aware_pruning_fills_lanes_equally_and_spans_every_gap(
    sparsity: float, gap_bits: int, layers: list[int]
) -> None:
    build = Build(gap_bits=gap_bits, decoder_gap_bits=gap_bits)
    checkpoint = fixed_activity_checkpoint(layers, 8, 150, build, sparsity, 0.1, "gap-aware", seed=2)
    for name in checkpoint.matrices():
        kept = kept_by_lane(checkpoint, name, build.slots)
        if sparsity > 0.0:  # a dense lane is as long as it has rows, which not all have equally many
            assert np.unique(kept.sum(axis=2)).size == 1, name
        assert longest_gaps(kept).max() <= (1 << gap_bits) - 1, name


def test_gap_aware_pruning_leaves_less_than_2_percent_of_entries_without_a_weight() -> None:
    """At the paper's size and sparsity; without awareness of gaps it is five times that."""
    used = {}
    for pruning in PRUNINGS:
        checkpoint = fixed_activity_checkpoint([1350], 1, 1, BUILD, 0.85, 0.0, pruning, seed=3)
        matrix = pack(checkpoint, BUILD).statistics().matrices[0]
        assert abs(matrix.nonzeros / matrix.weights - 0.15) < 0.002
        used[pruning] = matrix.slots_used
    assert used["gap-aware"] > 0.98
    assert used["unstructured"] < used["balanced"] < 0.92


def test_a_lane_with_too_few_weights_to_span_its_gaps_keeps_them_all() -> None:
    checkpoint = fixed_activity_checkpoint([600], 1, 600, BUILD, 0.98, 0.1, seed=4)
    for name in ("layer0.recurrent_weights", "decoder_weights"):
        rows = 180 if "layer" in name else 60
        assert (kept_by_lane(checkpoint, name, BUILD.slots).sum(axis=2) == round(0.02 * rows)).all()


def test_the_weights_are_spread_over_all_rows() -> None:
    """Moving weights together until entries span the gaps between them must not empty a lane's end."""
    checkpoint = fixed_activity_checkpoint([1000], 1, 10, BUILD, 0.85, 0.0, seed=5)
    kept = (checkpoint.layers[0].recurrent_weights != 0).mean(axis=2)
    assert (np.abs(kept.reshape(3, 4, -1).mean(axis=2) - 0.15) < 0.015).all()


def test_the_same_seed_gives_the_same_network_and_another_seed_another() -> None:
    seeds = (6, 6, 7)
    first, second, other = (
        fixed_activity_checkpoint([9, 8], 4, 11, BUILD, 0.5, 0.5, seed=seed) for seed in seeds
    )
    for name, matrix in first.matrices().items():
        assert np.array_equal(matrix, second.matrices()[name])
    assert any((matrix != other.matrices()[name]).any() for name, matrix in first.matrices().items())


def test_random_networks_take_an_activity_for_each_layer_too() -> None:
    checkpoint = random_checkpoint([80, 70, 60], 20, 100, 0.5, activity=[1.0, 0.0, 0.5], seed=8)
    counts = ReferenceModel(checkpoint).run(np.arange(100)).event_counts()
    assert (counts[0] == 80).all() and (counts[1] == 0).all()
    assert 15 < counts[2, 20:].mean() < 45


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activity": [0.1]}, "given for 1 layers; the network has 2"),
        ({"activity": 1.2}, "shares between 0 and 1"),
        ({"sparsity": -0.1}, "shares between 0 and 1"),
        ({"pruning": "magic"}, "no pruning 'magic'; there are gap-aware, balanced, unstructured"),
        ({"layers": [3, 0]}, "at least 1"),
        ({"sparsity": {"layer7.input_weights": 0.5}}, "which this network does not have"),
    ],
)
def test_networks_that_cannot_be_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(EgretError, match=message):
        fixed_activity_checkpoint(
            **{"layers": [3, 4], "embedding": 2, "vocabulary": 5, "build": BUILD, **arguments}
        )
