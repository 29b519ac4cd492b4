"""The reference model, against a second one: plain Python integers, line by line from the contract."""

from __future__ import annotations

import time
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egret.arithmetic import SIGMOID, TANH, round_shift
from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.folding import fold_table
from egret.reference import model as reference
from egret.reference.model import ReferenceModel, Trace
from egret.synthetic.calibrated import extreme_checkpoint, random_checkpoint

Step = tuple[int, list[int], list[list[tuple[int, int]]], int]
"""Argmax, logits, events (index, value) of each layer, MACs of one step."""


def clip(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def gate(table: np.ndarray, total: int) -> int:
    return int(table[clip(round_shift(total, 3), -2048, 2047) + 2048])


class PlainModel:
    """docs/formats.md, section 1, in its own order and words; it shares nothing but tables and rounding."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.table = fold_table(checkpoint).tolist()
        self.layers = checkpoint.layers
        self.decoder = checkpoint.decoder_weights.tolist()
        self.decoder_shift = [f - 3 for f in checkpoint.decoder_fraction_bits.tolist()]
        self.decoder_bias = checkpoint.decoder_bias.tolist()
        self.weights = [
            (layer.input_weights.tolist(), layer.recurrent_weights.tolist()) for layer in self.layers
        ]
        self.c = [[0] * layer.neurons for layer in self.layers]
        self.events: list[list[tuple[int, int]]] = [[] for _ in self.layers]

    def step(self, token: int) -> Step:
        macs = 0
        below: list[tuple[int, int]] = []
        for index, layer in enumerate(self.layers):
            (w_z, w_r, w_g), (r_z, r_r, r_g) = self.weights[index]
            before = self.events[index]
            fired = []
            for j in range(layer.neurons):
                acc_gx = acc_z = acc_r = acc_gr = 0
                if index > 0:
                    for i, v in below:
                        acc_gx += w_g[j][i] * v
                        acc_z += w_z[j][i] * v
                        acc_r += w_r[j][i] * v
                        macs += sum(w[j][i] != 0 for w in (w_z, w_r, w_g))
                for i, v in before:
                    acc_z += r_z[j][i] * v
                    acc_r += r_r[j][i] * v
                    acc_gr += r_g[j][i] * v
                    macs += sum(w[j][i] != 0 for w in (r_z, r_r, r_g))
                b_z, b_r, b_gx, b_gr = (int(bias) for bias in layer.bias[:, j])
                if index == 0:
                    b_z, b_r, b_gx = (plane[j] for plane in self.table[token])
                s_z, s_r, s_gr = (int(f) - 3 for f in layer.recurrent_fraction_bits[:, j])
                s_gx = int(layer.input_fraction_bits[2, j]) - 3
                sum_z = round_shift(acc_z, s_z) + b_z
                sum_r = round_shift(acc_r, s_r) + b_r
                sum_gr = clip(round_shift(acc_gr, s_gr) + b_gr, -32768, 32767)
                z, r = gate(SIGMOID, sum_z), gate(SIGMOID, sum_r)
                sum_g = round_shift(acc_gx, s_gx) + b_gx + round_shift(r * sum_gr, 10)
                g = gate(TANH, sum_g)
                c = round_shift(z * self.c[index][j] + (1024 - z) * (g << 5), 10)
                threshold = int(layer.threshold[j])
                if c > threshold:
                    fired.append((j, min(round_shift(c, 7), 255)))
                    c -= threshold
                self.c[index][j] = c
            self.events[index] = fired
            below = fired
        logits = []
        for row, shift, bias in zip(self.decoder, self.decoder_shift, self.decoder_bias, strict=True):
            logits.append(round_shift(sum(row[i] * v for i, v in below), shift) + bias)
            macs += sum(row[i] != 0 for i, _ in below)
        return logits.index(max(logits)), logits, [list(events) for events in self.events], macs


def steps_of(trace: Trace) -> list[Step]:
    """The trace in the plain model's terms, with every type checked."""
    assert (trace.tokens.dtype, trace.argmax.dtype) == (np.uint32, np.uint32)
    assert (trace.logit.dtype, trace.macs.dtype) == (np.int32, np.int64)
    assert trace.logits is not None and trace.logits.dtype == np.int32
    assert trace.logit.tolist() == [
        logits[word] for logits, word in zip(trace.logits.tolist(), trace.argmax.tolist(), strict=True)
    ]
    assert trace.event_counts().tolist() == [[len(step[0]) for step in layer] for layer in trace.events]
    for indices, values in (step for layer in trace.events for step in layer):
        assert (indices.dtype, values.dtype) == (np.uint16, np.uint8)
    steps = []
    for t in range(trace.tokens.size):
        events = [
            list(zip(layer[t][0].tolist(), layer[t][1].tolist(), strict=True)) for layer in trace.events
        ]
        steps.append((int(trace.argmax[t]), trace.logits[t].tolist(), events, int(trace.macs[t])))
    return steps


def assert_state_is(model: ReferenceModel, plain: PlainModel) -> None:
    state = model.state
    assert [cells.dtype for cells in state.cells] == [np.dtype(np.int16)] * len(plain.c)
    assert [cells.tolist() for cells in state.cells] == plain.c
    assert [list(zip(i.tolist(), v.tolist(), strict=True)) for i, v in state.events] == plain.events


networks = st.fixed_dictionaries(
    {
        "layers": st.lists(st.integers(1, 9), min_size=1, max_size=4),
        "embedding": st.integers(1, 4),
        "vocabulary": st.integers(1, 9),
        "sparsity": st.sampled_from([0.0, 0.3, 0.85, 1.0]),
        "seed": st.integers(0, 2**32 - 1),
    }
)


@settings(deadline=None, max_examples=150)
@given(network=networks, run_lengths=st.lists(st.integers(0, 9), max_size=4), chunk=st.integers(1, 5))
def test_runs_agree_with_plain_integers_over_extremes_calls_and_chunks(
    network: dict, run_lengths: list[int], chunk: int
) -> None:
    checkpoint = extreme_checkpoint(**network)
    checkpoint.validate()
    model, plain = ReferenceModel(checkpoint), PlainModel(checkpoint)
    generator = np.random.default_rng(network["seed"])
    with patch.object(reference, "_CHUNK_TOKENS", chunk):
        for length in run_lengths:
            tokens = generator.integers(0, network["vocabulary"], size=length)
            trace = model.run(tokens, logits=True)
            assert trace.tokens.tolist() == tokens.tolist()
            assert steps_of(trace) == [plain.step(token) for token in tokens.tolist()]
            assert_state_is(model, plain)


@settings(deadline=None, max_examples=60)
@given(network=networks, activity=st.sampled_from([0.0, 0.1, 0.5, 1.0]), count=st.integers(0, 12))
def test_generated_tokens_are_the_argmax_of_the_step_before(
    network: dict, activity: float, count: int
) -> None:
    checkpoint = random_checkpoint(activity=activity, **network)
    model, plain = ReferenceModel(checkpoint), PlainModel(checkpoint)
    warm_up = [0, network["vocabulary"] - 1]
    model.run(warm_up)
    for token in warm_up:
        plain.step(token)
    trace = model.generate(warm_up[1], count, logits=True)
    token, expected = warm_up[1], []
    for position in range(count):
        assert trace.tokens[position] == token
        expected.append(plain.step(token))
        token = expected[-1][0]
    assert steps_of(trace) == expected
    assert_state_is(model, plain)


@pytest.mark.parametrize("activity", [0.0, 0.1, 0.5, 1.0])
def test_runs_agree_with_plain_integers_at_every_activity(activity: float) -> None:
    """A wider network: columns are gathered at low activity and multiplied whole at high activity."""
    checkpoint = random_checkpoint([40, 33], 8, 50, 0.5, activity=activity, seed=5)
    tokens = np.random.default_rng(6).integers(0, 50, size=40)
    model, plain = ReferenceModel(checkpoint), PlainModel(checkpoint)
    trace = model.run(tokens, logits=True)
    assert steps_of(trace) == [plain.step(token) for token in tokens.tolist()]
    share = trace.event_counts()[:, 10:].mean() / 36.5
    assert abs(share - activity) < 0.15
    assert activity not in (0.0, 1.0) or share == activity


def test_all_silent_costs_no_mac_and_all_firing_costs_every_weight() -> None:
    silent = random_checkpoint([20, 30], 4, 15, 0.4, activity=0.0, seed=7)
    trace = ReferenceModel(silent).run(np.arange(15), logits=True)
    assert not trace.macs.any() and not trace.event_counts().any()
    assert trace.logits is not None
    assert (trace.logits == silent.decoder_bias).all()

    firing = random_checkpoint([20, 30], 4, 15, 0.4, activity=1.0, seed=7)
    trace = ReferenceModel(firing).run(np.arange(15))
    folded_away = firing.nonzeros()["layer0.input_weights"]
    recurrent = firing.nonzeros()["layer0.recurrent_weights"] + firing.nonzeros()["layer1.recurrent_weights"]
    every = sum(firing.nonzeros().values()) - folded_away
    assert trace.macs.tolist() == [every - recurrent] + [every] * 14
    assert {int(value) for layer in trace.events for _, values in layer for value in values} == {255}


def float_types(checkpoint: Checkpoint) -> set[type]:
    model = ReferenceModel(checkpoint)
    return {layer.float_type for layer in model._layers} | {model._decoder.float_type}


def test_float32_carries_ordinary_networks_and_float64_takes_over_where_it_would_round() -> None:
    ordinary = random_checkpoint([100, 80], 30, 60, 0.85, seed=8)
    assert float_types(ordinary) == {np.float32}
    # 518 weights of 127 reach 255 * 127 * 518 = 2^24 - 1 686; the bias and the halves must count as well.
    for neurons in (517, 518, 519):
        edge = random_checkpoint([neurons], 1, 3, 1.0, activity=1.0, seed=9)
        layer = edge.layers[0]
        layer.recurrent_fraction_bits[...] = 3
        layer.recurrent_weights[2] = 127
        layer.recurrent_weights[2, :, 0] = 126
        edge.decoder_weights[...] = 127
        edge.decoder_weights[:, 0] = [127, 126, 125]
        edge.decoder_fraction_bits[...] = 3
        edge.decoder_bias[...] = [0, 32767, -32768]
        tokens = [0, 1, 2, 1]
        plain = PlainModel(edge)
        assert steps_of(ReferenceModel(edge).run(tokens, logits=True)) == [plain.step(t) for t in tokens]
        if neurons == 519:
            assert float_types(edge) == {np.float64}


def test_equal_logits_give_the_smallest_word() -> None:
    checkpoint = random_checkpoint([5], 2, 7, 0.0, activity=1.0, seed=10)
    checkpoint.decoder_weights[...] = checkpoint.decoder_weights[0]
    checkpoint.decoder_fraction_bits[...] = checkpoint.decoder_fraction_bits[0]
    checkpoint.decoder_bias[...] = [1, 1, 5, 4, 5, 5, 0]
    assert ReferenceModel(checkpoint).run([0, 3]).argmax.tolist() == [2, 2]


def test_state_persists_and_can_be_reset_saved_and_restored() -> None:
    checkpoint = random_checkpoint([12, 9], 4, 11, 0.3, activity=0.3, seed=11)
    model = ReferenceModel(checkpoint)
    tokens = np.random.default_rng(12).integers(0, 11, size=30)
    whole = model.run(tokens, logits=True)
    assert whole.logits is not None

    model.reset()
    assert all(not cells.any() for cells in model.state.cells)
    assert all(indices.size == 0 for indices, _ in model.state.events)
    model.run(tokens[:13])
    saved = model.state
    first = model.run(tokens[13:], logits=True)
    model.run(tokens)  # what follows must not change what was saved
    model.restore(saved)
    second = model.run(tokens[13:], logits=True)
    another = ReferenceModel(checkpoint)
    another.restore(saved)
    third = another.run(tokens[13:], logits=True)
    for trace in (first, second, third):
        assert steps_of(trace) == steps_of(whole)[13:]

    smaller = ReferenceModel(random_checkpoint([12, 8], 4, 11, 0.3, seed=11))
    with pytest.raises(EgretError, match=r"layers of \[12, 9\] neurons; this model has \[12, 8\]"):
        smaller.restore(saved)


def test_logits_are_kept_only_where_asked_for_and_nothing_else_changes() -> None:
    checkpoint = random_checkpoint([12], 4, 11, 0.3, activity=0.3, seed=13)
    with_logits = ReferenceModel(checkpoint).run(np.arange(11), logits=True)
    without = ReferenceModel(checkpoint).run(np.arange(11))
    assert without.logits is None
    for name in ("tokens", "argmax", "logit", "macs"):
        assert np.array_equal(getattr(without, name), getattr(with_logits, name))


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([0, 1, 11, 2], "Token 11 at position 2 is not in the vocabulary of 11 words"),
        ([-1], "Token -1 at position 0"),
        ([[0, 1]], r"one dimension; they are int\d+ of shape \[1, 2\]"),
        ([0.5], "Tokens must be integers"),
    ],
)
def test_tokens_outside_the_vocabulary_are_refused_and_the_state_stays(tokens: list, message: str) -> None:
    model = ReferenceModel(random_checkpoint([6], 3, 11, 0.3, activity=0.5, seed=14))
    model.run([1, 2, 3])
    before = model.state
    with pytest.raises(EgretError, match=message):
        model.run(tokens)
    assert all(np.array_equal(a, b) for a, b in zip(before.cells, model.state.cells, strict=True))
    with pytest.raises(EgretError, match="must not be negative"):
        model.generate(0, -1)
    with pytest.raises(EgretError, match="Token 11"):
        model.generate(11, 3)


def test_a_small_language_model_runs_at_500_tokens_a_second() -> None:
    checkpoint = random_checkpoint([400, 400, 200], 200, 10_000, 0.85, activity=0.1, seed=15)
    model = ReferenceModel(checkpoint)
    tokens = np.random.default_rng(16).integers(0, 10_000, size=500)
    seconds = []
    for _ in range(5):  # the fastest of several: what else the machine does only ever adds time
        start = time.perf_counter()
        model.run(tokens, logits=True)
        seconds.append(time.perf_counter() - start)
    assert tokens.size / min(seconds) > 500
