"""No accumulator can wrap: worked out from weights when packing, from an image's own bytes when loading."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.image.bounds import AccumulatorReach, check_accumulators
from egret.image.checks import image_checksum
from egret.image.model_image import ModelImage
from egret.image.packer import pack
from egret.image.row_sums import row_weight_sums
from egret.profiles import Build
from egret.synthetic.calibrated import extreme_checkpoint, random_checkpoint

BUILDS = (
    Build(),
    Build(engines=1, lanes=1, gap_bits=1),
    Build(engines=3, lanes=10, bus_bytes=16, decoder_lanes=16, decoder_gap_bits=0),
    Build(lanes=3, gap_bits=2, decoder_lanes=8, decoder_gap_bits=0),
)

SEED = 20261124


def with_accumulator_bits(image: ModelImage, bits: int) -> np.ndarray:
    """The image's bytes, saying that they were packed for accumulators of `bits` bits; checksum right."""
    data = image.data.copy()
    data[21] = bits
    data[12:16].view("<u4")[0] = image_checksum(data)
    return data


@pytest.mark.parametrize("number", range(24))
def test_an_images_beats_give_the_sums_of_its_weights(number: int) -> None:
    """Any build, any shape; with columns that are empty, and rows that need escapes."""
    draw = np.random.default_rng([SEED, number])
    layers = [int(count) for count in draw.integers(1, 40, draw.integers(1, 4))]
    make = extreme_checkpoint if number % 3 == 0 else random_checkpoint
    sparsity = float(draw.choice([0.0, 0.5, 0.9, 1.0]))
    checkpoint = make(layers, 3, int(draw.integers(1, 60)), sparsity, seed=number)
    build = BUILDS[number % len(BUILDS)]
    image = pack(checkpoint, build)
    expected, found = AccumulatorReach.of_checkpoint(checkpoint), AccumulatorReach.of_image(image)
    said = f"seed {SEED}, number {number}"
    for index, (ours, theirs) in enumerate(zip(expected.layers, found.layers, strict=True)):
        assert ours.keys() == theirs.keys(), said
        for name in ours:
            np.testing.assert_array_equal(theirs[name], ours[name], f"{said}: layer {index}, {name}")
    np.testing.assert_array_equal(found.words, expected.words, said)
    np.testing.assert_array_equal(found.logits, expected.logits, said)


def test_the_sums_do_not_depend_on_how_many_beats_are_looked_at_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = pack(random_checkpoint([30, 20], 3, 50, 0.5, seed=3), Build(engines=1, lanes=1))
    matrix = image.matrices()[1]
    whole = row_weight_sums(image, matrix)
    for beats in (1, 7, 64):
        monkeypatch.setattr("egret.image.sections._BEATS_AT_ONCE", beats)
        np.testing.assert_array_equal(row_weight_sums(image, matrix), whole, str(beats))


def test_the_bound_is_what_the_worst_events_give() -> None:
    """Every neuron fires 255 with weights of one sign: the bound is reached, so no smaller one would do."""
    checkpoint = random_checkpoint([9, 6], 2, 7, 0.4, seed=4)
    for layer in checkpoint.layers:
        layer.recurrent_weights[...] = np.abs(layer.recurrent_weights)
        layer.input_weights[...] = np.abs(layer.input_weights)
    reach = AccumulatorReach.of_checkpoint(checkpoint)
    below, own = np.full(9, 255, dtype=np.int64), np.full(6, 255, dtype=np.int64)
    layer = checkpoint.layers[1]
    of_input = layer.input_weights.astype(np.int64) @ below
    of_own = layer.recurrent_weights.astype(np.int64) @ own
    assert of_own.any()
    np.testing.assert_array_equal(reach.layers[1]["z"], of_input[0] + of_own[0])
    np.testing.assert_array_equal(reach.layers[1]["r"], of_input[1] + of_own[1])
    np.testing.assert_array_equal(reach.layers[1]["gx"], of_input[2])
    np.testing.assert_array_equal(reach.layers[1]["gr"], of_own[2])
    assert "gx" not in reach.layers[0]  # the table holds it


def at_the_limit(accumulator: str) -> Checkpoint:
    """A model of which one row's absolute weights sum to 2056: 255 times that is 2^19 - 8."""
    checkpoint = random_checkpoint([20, 20], 2, 7, 1.0, seed=11)
    layer = checkpoint.layers[1]
    rows = {
        "gx": layer.input_weights[2, 13],
        "z": layer.input_weights[0, 13],
        "r": layer.recurrent_weights[1, 13],
        "gr": layer.recurrent_weights[2, 13],
    }
    row = rows[accumulator]
    row[:16] = [120, -120] * 8
    row[17] = 100
    other = {"z": layer.recurrent_weights[0, 13], "r": layer.input_weights[1, 13]}.get(accumulator, row)
    other[18] = -36
    return checkpoint


@pytest.mark.parametrize("accumulator", ["gx", "z", "r", "gr"])
def test_an_image_of_which_a_row_could_wrap_is_refused_by_layer_and_row(accumulator: str) -> None:
    """One weight more and the sum does not fit: said of the bytes, whatever wrote them."""
    checkpoint = at_the_limit(accumulator)
    ModelImage.parse(with_accumulator_bits(pack(checkpoint, Build()), 20))
    layer = checkpoint.layers[1]
    gate = {"gx": 2, "z": 0, "r": 1, "gr": 2}[accumulator]
    row = layer.recurrent_weights[gate, 13] if accumulator == "gr" else layer.input_weights[gate, 13]
    row[19] = -1
    image = pack(checkpoint, Build())  # 28 bits hold it
    message = rf"layer1, accumulator {accumulator}, neuron 13: .* is 524535, .* 20 bits .* below 2\^19"
    with pytest.raises(EgretError, match=message):
        ModelImage.parse(with_accumulator_bits(image, 20))
    ModelImage.parse(with_accumulator_bits(image, 21))
    with pytest.raises(EgretError, match=message):
        pack(checkpoint, Build(accumulator_bits=20))


def test_an_image_of_which_a_word_could_wrap_is_refused_by_the_word() -> None:
    checkpoint = random_checkpoint([20], 2, 7, 1.0, seed=12)
    checkpoint.decoder_weights[5] = 104
    image = pack(checkpoint, Build())
    with pytest.raises(EgretError, match="decoder_weights, word 5: .* is 530400"):
        ModelImage.parse(with_accumulator_bits(image, 20))


def test_an_image_whose_bytes_were_changed_is_bounded_by_what_they_say() -> None:
    """-128 is no weight that pack() writes; a lane would multiply by it all the same."""
    checkpoint = random_checkpoint([16], 1, 2, 1.0, activity=0.0, seed=13)
    checkpoint.layers[0].recurrent_weights[1, 0, :] = 127
    image = pack(checkpoint, Build(engines=1, lanes=1))
    data = image.data.copy()
    start = image.header.engines[0].columns
    entries = data[start : start + 8 * 16].reshape(16, 8)
    # A lane's rows are z, r, gr of 16 neurons each: neuron 0's r is row 16, with an escape before it.
    assert entries[:, 0].tolist() == [0, 127] * 8
    entries[1::2, 0] = 128  # eight of its sixteen weights
    data[12:16].view("<u4")[0] = image_checksum(data)
    reach = AccumulatorReach.of_image(ModelImage.parse(data))
    assert reach.layers[0]["r"].tolist() == [255 * 8 * (127 + 128)] + [0] * 15


def test_a_logit_that_could_wrap_is_refused() -> None:
    """Its bias comes on top of an accumulator that may have as many bits as the logit."""
    reach = AccumulatorReach.of_checkpoint(random_checkpoint([4], 1, 6, 0.0, seed=14))
    check_accumulators(reach, 32)
    logits = reach.logits.copy()
    logits[3] = (1 << 31) - 1
    check_accumulators(dataclasses.replace(reach, logits=logits), 32)
    logits[3] += 1
    with pytest.raises(EgretError, match=r"word 3: its logit can reach 2147483648; .* below 2\^31"):
        check_accumulators(dataclasses.replace(reach, logits=logits), 32)
