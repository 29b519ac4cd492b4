"""The quantised checkpoint: written and read back unchanged, and refused where it is wrong."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egret.checkpoint import Checkpoint, Layer
from egret.errors import EgretError
from egret.synthetic.calibrated import extreme_checkpoint

Change = Callable[[Checkpoint], Any]


def small() -> Checkpoint:
    """V = 6, E = 3, layers of 5 and 4 neurons."""
    return extreme_checkpoint([5, 4], 3, 6, seed=11)


def assert_same(first: Any, second: Any) -> None:
    for field in fields(first):
        a, b = getattr(first, field.name), getattr(second, field.name)
        if field.name == "layers":
            assert len(a) == len(b)
            for layer_a, layer_b in zip(a, b, strict=True):
                assert_same(layer_a, layer_b)
        elif isinstance(a, np.ndarray):
            assert (a.dtype, a.shape) == (b.dtype, b.shape), field.name
            assert np.array_equal(a, b), field.name
        else:
            assert a == b, field.name


@settings(deadline=None, max_examples=30)
@given(
    layers=st.lists(st.integers(1, 7), min_size=1, max_size=11),
    embedding=st.integers(1, 5),
    words=st.lists(
        st.text(min_size=1).filter(lambda word: "\n" not in word), min_size=1, max_size=8, unique=True
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_saved_is_what_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, layers: list[int], embedding: int, words: list[str], seed: int
) -> None:
    path = tmp_path_factory.mktemp("checkpoint") / "model.npz"
    checkpoint = extreme_checkpoint(layers, embedding, len(words), seed=seed)
    checkpoint.vocabulary = words
    checkpoint.metadata = {"perplexity": 123.25, "words": words, "nested": {"none": None}}
    checkpoint.save(path)
    assert_same(Checkpoint.load(path), checkpoint)


def test_the_same_checkpoint_gives_the_same_bytes(tmp_path: Path) -> None:
    small().save(tmp_path / "first.npz")
    small().save(tmp_path / "second.npz")
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()


def test_the_file_is_a_deflated_npz_of_the_documented_keys(tmp_path: Path) -> None:
    small().save(tmp_path / "model.npz")
    with zipfile.ZipFile(tmp_path / "model.npz") as archive:
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_DEFLATED}
    with np.load(tmp_path / "model.npz", allow_pickle=False) as archive:
        shapes = {key: (archive[key].dtype.name, archive[key].shape) for key in archive.files}
        assert str(archive["format"]) == "egret-checkpoint-1"
        assert archive["vocabulary"].tobytes() == b"w0\nw1\nw2\nw3\nw4\nw5"
    for key in ("format", "name", "metadata", "vocabulary"):
        del shapes[key]
    assert shapes == {
        "embedding": ("int8", (6, 3)),
        "embedding_fraction_bits": ("int8", ()),
        "layer0.input_weights": ("int8", (3, 5, 3)),
        "layer0.recurrent_weights": ("int8", (3, 5, 5)),
        "layer0.input_fraction_bits": ("int8", (3, 5)),
        "layer0.recurrent_fraction_bits": ("int8", (3, 5)),
        "layer0.bias": ("int16", (4, 5)),
        "layer0.threshold": ("uint16", (5,)),
        "layer1.input_weights": ("int8", (3, 4, 5)),
        "layer1.recurrent_weights": ("int8", (3, 4, 4)),
        "layer1.input_fraction_bits": ("int8", (3, 4)),
        "layer1.recurrent_fraction_bits": ("int8", (3, 4)),
        "layer1.bias": ("int16", (4, 4)),
        "layer1.threshold": ("uint16", (4,)),
        "decoder_weights": ("int8", (6, 4)),
        "decoder_fraction_bits": ("int8", (6,)),
        "decoder_bias": ("int16", (6,)),
    }


def test_macs_count_every_weight_and_nonzeros_only_those_kept() -> None:
    checkpoint = small()
    assert checkpoint.dense_macs_per_token() == 3 * 5 * (3 + 5) + 3 * 4 * (5 + 4) + 6 * 4
    checkpoint.layers[1].input_weights[...] = 0
    checkpoint.layers[1].input_weights[2, 3, 4] = -1
    checkpoint.decoder_weights[...] = 7
    nonzeros = checkpoint.nonzeros()
    assert list(nonzeros) == [
        "layer0.input_weights",
        "layer0.recurrent_weights",
        "layer1.input_weights",
        "layer1.recurrent_weights",
        "decoder_weights",
    ]
    assert (nonzeros["layer1.input_weights"], nonzeros["decoder_weights"]) == (1, 24)
    assert nonzeros["layer0.input_weights"] == sum(
        weight != 0 for gate in checkpoint.layers[0].input_weights.tolist() for row in gate for weight in row
    )


def in_layer(index: int, **changes: Any) -> Change:
    def change(checkpoint: Checkpoint) -> None:
        for name, value in changes.items():
            setattr(checkpoint.layers[index], name, value)

    return change


def with_value(array: str, value: int, layer: int | None = None) -> Change:
    def change(checkpoint: Checkpoint) -> None:
        owner = checkpoint if layer is None else checkpoint.layers[layer]
        getattr(owner, array).reshape(-1)[-1] = value

    return change


def with_attribute(name: str, value: Any) -> Change:
    return lambda checkpoint: setattr(checkpoint, name, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_attribute("vocabulary", []), "vocabulary must hold at least one word"),
        (
            with_attribute("vocabulary", ["a", "b", "a", "c", "d", "e"]),
            "'a' stands in the vocabulary more than once",
        ),
        (with_attribute("vocabulary", ["a", "", "c", "d", "e", "f"]), "Word 1 of the vocabulary is ''"),
        (with_attribute("vocabulary", ["a", "b\n", "c", "d", "e", "f"]), "no line break"),
        (with_attribute("vocabulary", ["a"]), r"embedding must have shape \[1, any\]; it has \[6, 3\]"),
        (with_attribute("name", ""), "name must be text"),
        (with_attribute("metadata", ["a"]), "metadata must be a JSON object; it is list"),
        (with_attribute("metadata", {"a": object()}), "metadata must be what JSON can hold"),
        (
            with_attribute("embedding", np.zeros((6, 3), np.int16)),
            "embedding must be an array of int8; it is int16",
        ),
        (with_attribute("embedding", [[1]]), "embedding must be an array of int8; it is list"),
        (with_value("embedding", -128), r"embedding must lie in -127\.\.127; it spans -128"),
        (with_attribute("layers", []), "at least one layer"),
        (with_value("input_weights", -128, 0), r"layer0\.input_weights must lie in -127\.\.127"),
        (with_value("recurrent_weights", -128, 1), r"layer1\.recurrent_weights must lie in -127\.\.127"),
        (
            in_layer(1, input_weights=np.ones((3, 4, 6), np.int8)),
            r"layer1\.input_weights must have shape \[3, 4, 5\]",
        ),
        (
            in_layer(0, recurrent_weights=np.ones((3, 4, 5), np.int8)),
            r"layer0\.recurrent_weights must have shape",
        ),
        (with_value("input_fraction_bits", 2, 0), r"layer0\.input_fraction_bits must lie in 3\.\.18"),
        (
            with_value("recurrent_fraction_bits", 19, 1),
            r"layer1\.recurrent_fraction_bits must lie in 3\.\.18",
        ),
        (in_layer(0, bias=np.zeros((3, 5), np.int16)), r"layer0\.bias must have shape \[4, 5\]"),
        (with_value("threshold", 63, 1), r"layer1\.threshold must lie in 64\.\.32767; it spans 63"),
        (with_value("threshold", 32768, 0), r"layer0\.threshold must lie in 64\.\.32767"),
        (
            with_attribute("decoder_weights", np.ones((6, 5), np.int8)),
            r"decoder_weights must have shape \[6, 4\]",
        ),
        (with_value("decoder_fraction_bits", 19), r"decoder_fraction_bits must lie in 3\.\.18"),
        (
            with_attribute("decoder_bias", np.zeros(6, np.int32)),
            "decoder_bias must be an array of int16; it is int32",
        ),
        (with_attribute("embedding_fraction_bits", 7.0), "embedding_fraction_bits must be an int"),
        (with_attribute("embedding_fraction_bits", -40), r"layer0\.input_weights takes shifts of"),
        (with_attribute("embedding_fraction_bits", 40), r"0\.\.31 are possible"),
    ],
)
def test_what_is_wrong_is_named(change: Change, message: str, tmp_path: Path) -> None:
    checkpoint = small()
    checkpoint.validate()
    change(checkpoint)
    with pytest.raises(EgretError, match=message):
        checkpoint.validate()
    with pytest.raises(EgretError, match=message):
        checkpoint.save(tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


def test_gates_that_share_an_accumulator_share_their_fraction_bits_above_the_first_layer() -> None:
    checkpoint = small()
    checkpoint.layers[0].input_fraction_bits[0, 0] = 5
    checkpoint.layers[0].recurrent_fraction_bits[0, 0] = 6
    checkpoint.layers[1].input_fraction_bits[2, 2] = 5
    checkpoint.layers[1].recurrent_fraction_bits[2, 2] = 6
    checkpoint.validate()
    checkpoint.layers[1].input_fraction_bits[1, 2] = 5
    checkpoint.layers[1].recurrent_fraction_bits[1, 2] = 6
    with pytest.raises(
        EgretError, match="layer1: gate r of neuron 2 has 5 input and 6 recurrent fraction bits"
    ):
        checkpoint.validate()


def stored_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    small().save(path)
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", None, "lacks format"),
        ("format", np.array("egret-checkpoint-2"), "'egret-checkpoint-2'; this version of Egret reads"),
        ("format", np.array(1), "format must be one string"),
        ("layer0.bias", None, r"lacks layer0\.bias"),
        ("decoder_bias", None, "lacks decoder_bias"),
        ("layer3.bias", np.zeros((4, 5), np.int16), r"lacks layer2\.bias, .* layer3\.threshold"),
        ("masks", np.zeros(3, np.int8), "holds masks, unknown"),
        ("metadata", np.array("{"), "metadata is not JSON"),
        ("metadata", np.array("[" * 100_000), "metadata is not JSON"),
        ("vocabulary", np.array([255, 254], np.uint8), "vocabulary is not UTF-8"),
        ("vocabulary", np.zeros(0, np.uint8), "vocabulary must have shape"),
        ("embedding_fraction_bits", np.zeros(1, np.int8), "embedding_fraction_bits must have shape"),
        ("name", np.zeros(1, np.int8), "name must be one string"),
        ("decoder_bias", np.array([{}] * 6), "is not a checkpoint"),
    ],
)
def test_files_that_are_no_checkpoint_are_refused(
    key: str, value: np.ndarray[Any, Any] | None, message: str, tmp_path: Path
) -> None:
    arrays = stored_arrays(tmp_path / "model.npz")
    arrays.pop(key, None)
    if value is not None:
        arrays[key] = value
    np.savez(tmp_path / "changed.npz", **arrays)
    with pytest.raises(EgretError, match=message) as raised:
        Checkpoint.load(tmp_path / "changed.npz")
    assert "changed.npz" in str(raised.value)


def test_missing_damaged_and_foreign_files_are_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EgretError, match=re.escape(f"There is no checkpoint at {tmp_path / 'absent.npz'}.")):
        Checkpoint.load(tmp_path / "absent.npz")
    with pytest.raises(EgretError, match="cannot be read as a checkpoint"):
        Checkpoint.load(tmp_path)
    small().save(tmp_path / "model.npz")
    whole = (tmp_path / "model.npz").read_bytes()
    contents = {"text": b"not a model", "empty": b"", "truncated": whole[: len(whole) // 2]}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EgretError, match="is not a checkpoint"):
            Checkpoint.load(tmp_path / name)
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(EgretError, match="single NumPy array"):
        Checkpoint.load(tmp_path / "single.npy")


def test_a_flipped_byte_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    """Not every byte of a zip archive matters, but none may change the model or raise something else."""
    small().save(tmp_path / "model.npz")
    whole = (tmp_path / "model.npz").read_bytes()
    refused = 0
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        (tmp_path / "damaged.npz").write_bytes(damaged)
        try:
            assert_same(Checkpoint.load(tmp_path / "damaged.npz"), small())
        except EgretError:
            refused += 1
    assert refused > len(whole) // 7 // 4


def test_a_failed_save_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.npz"
    small().save(path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    other = small()
    other.name = "other"
    with pytest.raises(EgretError, match="cannot be written: No space left on device"):
        other.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_saving_into_no_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EgretError, match=r"cannot be written: No such file or directory\."):
        small().save(tmp_path / "absent" / "model.npz")


def test_sizes_of_a_layer_come_from_its_weights() -> None:
    layer: Layer = small().layers[1]
    assert (layer.neurons, layer.inputs) == (4, 5)
