"""The folded table, against the formula in Python integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egret import folding
from egret.arithmetic import round_shift
from egret.checkpoint import Checkpoint
from egret.folding import fold_table
from egret.synthetic.calibrated import extreme_checkpoint, random_checkpoint


def plain_table(checkpoint: Checkpoint) -> list[list[list[int]]]:
    """docs/formats.md, section 1, entry by entry."""
    layer = checkpoint.layers[0]
    table = []
    for embedding in checkpoint.embedding.tolist():
        planes = []
        for gate in range(3):
            plane = []
            for neuron in range(layer.neurons):
                weights = layer.input_weights[gate, neuron].tolist()
                total = sum(weight * value for weight, value in zip(weights, embedding, strict=True))
                shift = int(layer.input_fraction_bits[gate, neuron]) + checkpoint.embedding_fraction_bits - 11
                entry = round_shift(total, shift) + int(layer.bias[gate, neuron])
                plane.append(min(max(entry, -32768), 32767))
            planes.append(plane)
        table.append(planes)
    return table


@settings(deadline=None)
@given(
    neurons=st.integers(1, 8),
    embedding=st.integers(1, 40),
    vocabulary=st.integers(1, 12),
    sparsity=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_table_is_the_formula_for_any_numbers(
    neurons: int, embedding: int, vocabulary: int, sparsity: float, seed: int
) -> None:
    checkpoint = extreme_checkpoint([neurons], embedding, vocabulary, sparsity, seed=seed)
    checkpoint.validate()
    table = fold_table(checkpoint)
    assert table.dtype == np.int16
    assert table.tolist() == plain_table(checkpoint)


def test_chunks_of_words_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = random_checkpoint([6], 5, 23, 0.3, seed=1)
    whole = fold_table(checkpoint)
    for words in (1, 7, 22, 23):
        monkeypatch.setattr(folding, "_CHUNK_WORDS", words)
        assert np.array_equal(fold_table(checkpoint), whole)


def test_largest_sums_saturate_exactly() -> None:
    """Weights and embedding at their ends, over a width where the sum needs all of a float32's bits."""
    checkpoint = extreme_checkpoint([2], 1040, 2, 0.0, seed=2)
    checkpoint.layers[0].input_weights[...] = 127
    checkpoint.embedding[0], checkpoint.embedding[1] = 127, -127
    for embedding_fraction_bits in (8, 15, 24):
        checkpoint.embedding_fraction_bits = embedding_fraction_bits
        table = fold_table(checkpoint)
        assert table.tolist() == plain_table(checkpoint)


@pytest.mark.parametrize(("last", "entry"), [(10, 16384), (11, 16384), (12, 16385)])
def test_sums_beyond_float32_are_exact(last: int, entry: int) -> None:
    """127 * 127 * 1040 + 127 * 28 + 11 = 2^24 + 511: a float32 would make it 2^24 + 512, which rounds up."""
    checkpoint = extreme_checkpoint([1], 1042, 1, 0.0, seed=3)
    layer = checkpoint.layers[0]
    layer.input_weights[...] = 127
    layer.input_weights[..., -1] = 1
    checkpoint.embedding[...] = 127
    checkpoint.embedding[0, -2:] = 28, last
    layer.input_fraction_bits[...] = 3
    checkpoint.embedding_fraction_bits = 10 + 11 - 3
    layer.bias[...] = 0
    assert fold_table(checkpoint).tolist() == plain_table(checkpoint) == [[[entry]] * 3]
