"""The Brevitas model in evaluation gives the integers of the reference model, bit for bit."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from egret.arithmetic import round_shift
from egret.checkpoint import Checkpoint
from egret.image.packer import pack
from egret.installation import CHECKOUT
from egret.reference.model import ReferenceModel
from egret_training.data import load_corpus
from egret_training.export import from_checkpoint, to_checkpoint
from egret_training.model import EgruLanguageModel, Shape
from egret_training.pruning import apply_masks, draw_masks
from egret_training.quantized_model import ExactEvaluation, QuantizedEgruLanguageModel
from egret_training.quantizers import (
    ActivationQuantizer,
    CellQuant,
    EventQuant,
    GateInputQuant,
    RowWeightQuant,
    StoredSumQuant,
    SumQuant,
    WeightQuantizer,
)
from egret_training.recipe import KERNEL, Pruning

SHIPPED = sorted((CHECKOUT / "models").glob("ptb-*.npz"))


def random_model(seed, layers, vocabulary=97, embedding=19, weight_scale=3.0, weight_bits=8, decoder_bits=8):
    """A network far from training's: weights from tiny to saturating, thresholds over their whole range."""
    torch.manual_seed(seed)
    model = EgruLanguageModel(
        Shape(vocabulary, embedding, layers, weight_bits=weight_bits, decoder_weight_bits=decoder_bits)
    )
    with torch.no_grad():
        for layer in model.event_layers:
            # (The fold of the first layer holds no larger input weights beside such an embedding.)
            for weights, largest in (
                (layer.input_weights, 4 if layer is model.layers[0] else 12),
                (layer.recurrent_weights, 12),
            ):
                weights.mul_(torch.exp2(torch.randn(3, layer.neurons, 1) * weight_scale).clamp(max=largest))
            layer.bias.normal_(0, 1)
            layer.threshold.uniform_(64 / 32768, 0.4).clamp_(64 / 32768)
            layer.threshold[0], layer.threshold[1] = 64 / 32768, 32767 / 32768
        model.decoder_weights.mul_(torch.exp2(torch.randn(vocabulary, 1) * weight_scale))
        model.decoder_bias.normal_(-4, 2)
    return QuantizedEgruLanguageModel.of(model)


def assert_same_integers(model, vocabulary, tokens, chunk, about):
    """Run Brevitas and the reference on the exported checkpoint; compare events, cells and logits."""
    reference = ReferenceModel(to_checkpoint(model, vocabulary, "test", {}))
    exact = ExactEvaluation(model)
    for first in range(0, len(tokens), chunk):
        part = tokens[first : first + chunk]
        events, logits = exact.run(torch.from_numpy(part.astype(np.int64)))
        trace = reference.run(part, logits=True)
        for layer, dense in enumerate(events):
            found = np.zeros(dense.shape, dtype=np.int64)
            for step, (indices, values) in enumerate(trace.events[layer]):
                found[step, indices] = values
            np.testing.assert_array_equal(dense.numpy(), found, err_msg=f"{about}: events of layer {layer}")
        assert trace.logits is not None
        np.testing.assert_array_equal(logits.numpy(), trace.logits, err_msg=f"{about}: logits")
        for cells, expected in zip(exact.cells(), reference.state.cells, strict=True):
            np.testing.assert_array_equal(cells.numpy(), expected, err_msg=f"{about}: cells")


@pytest.mark.parametrize("seed, layers", [(1, [23]), (2, [30, 21]), (3, [17, 40, 13])])
def test_brevitas_evaluation_gives_the_integers_of_the_reference(seed, layers):
    model = random_model(seed, layers)
    tokens = np.random.default_rng(seed).integers(97, size=300).astype(np.uint32)
    events, _ = ExactEvaluation(model).run(torch.from_numpy(tokens.astype(np.int64)))
    for layer in events:
        assert 0.01 < (layer != 0).double().mean() < 0.99, f"seed {seed}: the test needs events and silence"
    assert_same_integers(model, [f"w{i}" for i in range(97)], tokens, 130, f"seed {seed}")


def assert_same_checkpoint(found, expected):
    """Every array of two checkpoints is the same."""
    for name in (
        "embedding",
        "embedding_fraction_bits",
        "decoder_weights",
        "decoder_fraction_bits",
        "decoder_bias",
    ):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    for index, (a, b) in enumerate(zip(found.layers, expected.layers, strict=True)):
        for name in vars(a):
            np.testing.assert_array_equal(
                getattr(a, name), getattr(b, name), err_msg=f"layer {index}: {name}"
            )


def test_a_checkpoint_survives_the_way_through_float_parameters():
    vocabulary = [f"w{i}" for i in range(97)]
    for seed in range(5, 9):
        checkpoint = to_checkpoint(random_model(seed, [30, 21]), vocabulary, "test", {})
        # A row whose largest integer is 64 is on the edge of the next finer unit.
        checkpoint.decoder_weights[3] = np.clip(checkpoint.decoder_weights[3], -64, 64)
        checkpoint.decoder_weights[3, 0] = -64
        assert_same_checkpoint(to_checkpoint(from_checkpoint(checkpoint), vocabulary, "test", {}), checkpoint)


@pytest.mark.parametrize("bits", [4, 5])
def test_a_narrow_decoder_gives_the_integers_of_the_reference_and_survives_export(bits):
    model = random_model(bits, [30, 21], decoder_bits=bits)
    vocabulary = [f"w{i}" for i in range(97)]
    checkpoint = to_checkpoint(model, vocabulary, "test", {})
    largest = 2 ** (bits - 1) - 1
    assert checkpoint.decoder_weights.min() == -largest and checkpoint.decoder_weights.max() == largest
    assert (checkpoint.decoder_fraction_bits == 3).all()
    assert_same_checkpoint(to_checkpoint(from_checkpoint(checkpoint), vocabulary, "test", {}), checkpoint)
    tokens = np.random.default_rng(bits).integers(97, size=200).astype(np.uint32)
    assert_same_integers(model, vocabulary, tokens, 90, f"{bits} bits")


def test_a_large_vocabulary_gets_biases_that_a_kernel_holds():
    words = KERNEL.decoder_depth * KERNEL.decoder_slots + 1
    model = random_model(6, [9], words, embedding=2, decoder_bits=KERNEL.decoder_weight_bits)
    with torch.no_grad():
        model.embedding.div_(16)
    vocabulary = [f"w{i}" for i in range(words)]
    checkpoint = to_checkpoint(model, vocabulary, "test", {})
    assert (checkpoint.decoder_bias % 256 == 0).all() and np.unique(checkpoint.decoder_bias).size > 50
    assert pack(checkpoint, KERNEL).header.tiles == 3
    assert_same_integers(model, vocabulary, np.arange(20, dtype=np.uint32), 10, "large vocabulary")


def test_layers_of_four_bits_give_the_integers_of_the_reference_and_survive_export():
    model = random_model(11, [30, 21], weight_bits=4, decoder_bits=4)
    vocabulary = [f"w{i}" for i in range(97)]
    checkpoint = to_checkpoint(model, vocabulary, "test", {})
    streamed = [layer.recurrent_weights for layer in checkpoint.layers]
    for weights in (*streamed, checkpoint.layers[1].input_weights):
        assert np.abs(weights).max() == 7
    assert np.abs(checkpoint.layers[0].input_weights).max() == 127
    assert_same_checkpoint(to_checkpoint(from_checkpoint(checkpoint), vocabulary, "test", {}), checkpoint)
    tokens = np.random.default_rng(11).integers(97, size=200).astype(np.uint32)
    assert_same_integers(model, vocabulary, tokens, 90, "4 bits")


def test_pruned_weights_stay_zero_in_the_checkpoint():
    model = random_model(4, [20, 20])
    masks = draw_masks(model, Pruning(0.85), 0.85, 0.85)
    apply_masks(model, masks)
    checkpoint = to_checkpoint(model, [f"w{i}" for i in range(97)], "test", {})
    for layer, index in zip(checkpoint.layers, range(2), strict=True):
        assert not layer.input_weights[~masks[f"layer{index}.input_weights"].numpy()].any()
        assert not layer.recurrent_weights[~masks[f"layer{index}.recurrent_weights"].numpy()].any()
    assert_same_integers(model, [f"w{i}" for i in range(97)], np.arange(97, dtype=np.uint32), 97, "pruned")


def test_sums_round_half_up():
    finer = np.concatenate(
        (np.arange(-5000, 5000), np.arange(2**31 - 100, 2**31), np.arange(-(2**31), 100 - 2**31))
    )
    found = ActivationQuantizer(SumQuant)(torch.tensor(finer / 2.0**15, dtype=torch.float64))
    np.testing.assert_array_equal(found.numpy() * 2.0**11, round_shift(finer, 4))


@pytest.mark.parametrize(
    "injector, shift, low, high",
    [
        (StoredSumQuant, 11, -(2**15), 2**15 - 1),
        (GateInputQuant, 8, -2048, 2047),
        (CellQuant, 15, -(2**15), 2**15 - 1),
        (EventQuant, 8, 0, 255),
    ],
)
def test_activation_quantizers_round_half_up_and_saturate_like_the_hardware(injector, shift, low, high):
    finer = np.concatenate(
        (
            np.arange(-5000, 5000),
            np.arange(high * 8 - 100, high * 8 + 100),
            np.arange(low * 8 - 100, low * 8 + 100),
        )
    )
    expected = np.clip(round_shift(finer, 3), low, high)
    found = ActivationQuantizer(injector)(torch.tensor(finer / 2.0 ** (shift + 3), dtype=torch.float64))
    np.testing.assert_array_equal(found.numpy() * 2.0**shift, expected)


def test_weight_rows_get_the_smallest_power_of_two_that_holds_them():
    weights = torch.tensor(
        [[0.5, -0.1], [0.51, 0.2], [1e-9, 0.0], [0.0, 0.0], [15.9, -15.0]], dtype=torch.float64
    )
    quantized, units = WeightQuantizer(RowWeightQuant, 5, 2)(weights)
    assert (-torch.log2(units)).flatten().tolist() == [8, 7, 18, 18, 3]
    assert (quantized / units).tolist() == [[127, -26], [65, 26], [0, 0], [0, 0], [127, -120]]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_brevitas_evaluation_gives_the_integers_of_the_reference_on_the_penn_treebank(path):
    """On a shipped model's own integers, as floats, over 1 200 tokens of the validation text."""
    source = os.environ.get("EGRET_PTB")
    if not source:
        pytest.skip("set EGRET_PTB to a folder or zip of the Penn Treebank to run this on real text")
    checkpoint = Checkpoint.load(path)
    model = from_checkpoint(checkpoint)
    corpus = load_corpus(source)
    numbers = {word: number for number, word in enumerate(checkpoint.vocabulary)}
    tokens = np.array([numbers[corpus.vocabulary[i]] for i in corpus.valid[:1200].tolist()], dtype=np.uint32)
    assert_same_checkpoint(
        to_checkpoint(model, checkpoint.vocabulary, checkpoint.name, checkpoint.metadata), checkpoint
    )
    assert_same_integers(model, checkpoint.vocabulary, tokens, 400, "Penn Treebank")
