"""Malformed images are refused, each with a sentence of its own; well-formed ones give views, not copies."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egret.checkpoint import Checkpoint
from egret.contract import HEADER_BYTES
from egret.errors import EgretError
from egret.image.checks import PADDING_THRESHOLD, image_checksum
from egret.image.header import ImageHeader
from egret.image.layout import Layout
from egret.image.model_image import ModelImage
from egret.image.packer import pack
from egret.profiles import Build
from egret.synthetic.calibrated import extreme_checkpoint, random_checkpoint
from host.tests.support.unpacking import unpack

Bytes = np.ndarray
Change = Callable[[Bytes, ModelImage], None]

# Two engines of three lanes, gaps of one bit that need an escape, 128-bit beats with bits to spare; a decoder
# of four lanes without gaps.
BUILD = Build(
    engines=2,
    lanes=3,
    bus_bytes=16,
    weight_bits=8,
    gap_bits=1,
    decoder_lanes=4,
    decoder_weight_bits=8,
    decoder_gap_bits=0,
)


@lru_cache(maxsize=1)
def sound() -> ModelImage:
    """Layers of 7 and 4 neurons (padding in both), 10 words, most weights zero."""
    checkpoint = random_checkpoint([7, 4], 2, 10, 0.6, activity=0.3, seed=26)
    # Column 0 of the recurrent matrix, in engine 0, lane 0: neurons 0 and 6 of three gates are its 6 rows.
    checkpoint.layers[0].recurrent_weights[:, 0::6, 0] = np.array([[1, 0], [0, 0], [0, 2]], dtype=np.int8)
    # Column 0 of the decoder in engine 0: words 0 and 8 are lane 0's rows, 2, 4 and 6 the others' only ones.
    checkpoint.decoder_weights[:, 0] = [0, 0, 0, 0, 5, 0, 6, 0, 7, 0]
    return pack(checkpoint, BUILD)


def changed(change: Change) -> Bytes:
    """A copy of the sound image with `change` made and the checksum put right."""
    data = sound().data.copy()
    change(data, sound())
    if data.size >= 16:
        data[12:16].view("<u4")[0] = image_checksum(data)
    return data


def word(index: int, value: int | Callable[[int], int]) -> Change:
    """Set a word of the header."""

    def change(data: Bytes, image: ModelImage) -> None:
        header = data[:512].view("<u4")
        header[index] = value(int(header[index])) if callable(value) else value

    return change


def section(name: str, engine: int, offset: int, dtype: str, value: int) -> Change:
    """Set a value at an offset (from its end, if negative) in a section of an engine."""

    def change(data: Bytes, image: ModelImage) -> None:
        found = next(part for part in image.header.sections(engine) if part.name == name)
        start = (found.offset if offset >= 0 else found.end) + offset
        data[start : start + np.dtype(dtype).itemsize].view(dtype)[0] = value

    return change


def text(name: str, content: bytes) -> Change:
    """Replace the beginning of a text section."""

    def change(data: Bytes, image: ModelImage) -> None:
        offset = getattr(image.header, name).offset
        data[offset : offset + len(content)] = np.frombuffer(content, dtype=np.uint8)

    return change


def after(name: str) -> Change:
    """Set the first byte behind a section (all of them here leave a gap)."""

    def change(data: Bytes, image: ModelImage) -> None:
        end = getattr(image.header, name).end
        assert end % 64
        data[end] = 1

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (word(0, 0x12345678), "no Egret model image: it begins with 0x12345678 instead of 0x54524745"),
        (word(1, 2), "format version 2, and this version of Egret reads 3; pack its checkpoint again"),
        (word(1, 4), "format version 4, and this version of Egret reads 3; pack its checkpoint again"),
        (word(2, lambda total: total + 64), "is truncated: its header says"),
        (word(2, lambda total: total - 64), "has bytes after its end: its header says"),
        (word(4, lambda value: value & ~0xFF), "a build that cannot be: engines is 0"),
        (word(4, lambda value: value | 0xFF), "a build that cannot be: engines is 255"),
        (word(4, lambda value: value & ~0xFF00), "a build that cannot be: lanes is 0"),
        (word(4, lambda value: value | 0x2000), "a build that cannot be: lanes is"),
        (word(4, lambda value: value & ~0xFF0000), "a build that cannot be: weight_bits is 0"),
        (word(4, lambda value: value | 0x1F << 24), "a build that cannot be: gap_bits is 31"),
        (word(5, lambda value: value & ~0xFF | 12), "a build that cannot be: bus_bytes is 12"),
        (word(5, lambda value: value & ~0xFF00), "a build that cannot be: accumulator_bits is 0"),
        (word(5, lambda value: value & ~0xFF0000), "a build that cannot be: decoder_lanes is 0"),
        (word(5, lambda value: value & ~0xFF0000 | 17 << 16), "decoder_lanes is 17, but a beat of 16 bytes"),
        (word(5, lambda value: value & ~0xF000000), "a build that cannot be: decoder_weight_bits is 0"),
        (word(5, lambda value: value & 0xFFFFFFF | 9 << 28), "cannot be: decoder_gap_bits is 9"),
        (word(6, 0), r"0 layers; 1\.\.8 are possible"),
        (word(6, 9), r"9 layers; 1\.\.8 are possible"),
        (word(9, 0), "Layer 1 of the image has 0 neurons"),
        (word(9, 70000), "Layer 1 of the image has 70000 neurons"),
        (word(10, 5), "Word 10 of the image's header is 5; it must be zero"),
        (word(7, 0), "no word in its vocabulary"),
        (word(20, 0), r"A tile of the image's decoder has 0 rows of a lane; 1\.\.\d+ are possible"),
        (word(20, 99), r"A tile of the image's decoder has 99 rows of a lane"),
        (word(25, 1), "Word 25 of the image's header is 1; it must be zero"),
        (word(32 + 7, 1), "Word 39 of the image's header is 1"),
        (word(32 + 16, 64), "Word 48 of the image's header is 64"),
        (word(127, 1), "Word 127 of the image's header is 1"),
        (
            word(33, lambda count: count + 1),
            r"Engine 0 of the image has 25 column pointers; its layers and tiles need 24",
        ),
        (word(40, lambda offset: offset + 8), "pointers section is misaligned: its offset .* multiple of 64"),
        (word(18, lambda offset: offset + 4), "metadata section is misaligned"),
        (word(45, 1 << 20), "columns section ends at byte .*, outside the image's"),
        (
            word(46, 1 << 28),
            "Engine 1 of the image has 268435456 beats of columns; fewer than 134217727 are possible",
        ),
        (word(17, 1 << 20), "vocabulary section ends at byte .*, outside"),
        (word(34, lambda offset: offset - 64), "neurons section at 1216 overlaps its pointers section"),
        (word(16, 0), "vocabulary section at 0 overlaps its header section"),
        (after("vocabulary"), "bytes set after its vocabulary section at 512, where zeros must be"),
        (after("metadata"), "bytes set after its metadata section"),
        (
            section("pointers", 0, 4, "<u4", 1),
            "Engine 0 of the image: a column pointer has bits set above its 32",
        ),
        (
            section("pointers", 1, 0, "<u4", 1000),
            r"Engine 1 .*: .* out of order: layer1\.input_weights, column 0 begins at beat 1000 and ends",
        ),
        (
            section("pointers", 0, 16 * 2, "<u4", 1000),
            r"Engine 0 .* out of order: layer1\.input_weights, column 1 begins at beat 1000 and ends at \d+",
        ),
        (
            section("pointers", 0, 16 * 1, "<u4", 1000),
            r"Engine 0 .* out of order: layer0\.recurrent_weights, column 0 begins at beat 1000 and ends at",
        ),
        (
            section("pointers", 1, -32, "<u4", 1000),
            r"Engine 1 .* out of order: layer1\.recurrent_weights, column 3 begins at beat 1000 and ends at",
        ),
        (
            section("pointers", 0, 16 * 15, "<u4", 0),
            r"the columns that layer 1 feeds begin at beat 0; those before end at \d\d",
        ),
        (
            section("pointers", 0, -16, "<u4", 1000),
            r"the columns end at beat 1000; the header says \d+ beats",
        ),
        (
            section("pointers", 0, 0, "<u4", 1),
            "columns that layer 0 feeds begin at beat 1; those before end at 0",
        ),
        (word(38, lambda beats: beats + 1), r"the columns end at beat \d+; the header says \d+ beats"),
        (section("neurons", 1, 8, "<u2", 63), r"layer 0 has a threshold outside 64\.\.32767 \(position 0\)"),
        (section("neurons", 0, 8, "<u2", 32768), "layer 0 has a threshold outside"),
        (section("neurons", 0, 12, "<u4", 1), "layer 0 has bytes set at the end of a record"),
        (section("neurons", 0, 0, "<i2", 1), "layer 0 has a bias or a shift that the token table must hold"),
        (
            section("neurons", 0, 10, "<u2", 0x0100),
            "layer 0 has a bias or a shift that the token table must hold",
        ),
        (
            section("neurons", 0, 16 * 5, "<i2", 1),
            "layer 0 has padding that is not zero with threshold 32767",
        ),
        (section("neurons", 1, -8, "<u2", 32766), r"layer 1 has padding .* \(position 2\)"),
        (section("neurons", 1, -6, "<u2", 1), "layer 1 has padding"),
        (section("decoder", 0, 2, "<u2", 16), r"the decoder has a shift outside 0\.\.15 \(position 0\)"),
        (section("decoder", 0, 4, "<u2", 1), "the decoder has bytes set at the end of a record"),
        (section("decoder", 1, -16, "<i2", 1), r"the decoder has padding that is not zero \(position 7\)"),
        (section("table", 0, 2 * 4, "<i2", 1), "the table row of token 0 has padding"),
        (section("table", 1, -2, "<i2", 1), "Engine 1 of the image: the table row of token 9 has padding"),
        (text("vocabulary", b"\xff"), "vocabulary is not UTF-8"),
        (text("vocabulary", b"\n\n"), "vocabulary has 12 words; its header says 10"),
        (text("vocabulary", b"w1"), "'w1' stands in the vocabulary more than once"),
        (text("vocabulary", b"\nw\nw2w3"), "Word 0 of the vocabulary is ''"),
        (text("metadata", b"]"), "metadata is not JSON"),
        (text("metadata", b"\xff"), "metadata is not"),
        (word(19, 1), "bytes set after its metadata section"),
    ],
)
def test_malformed_images_are_refused(change: Change, message: str) -> None:
    with pytest.raises(EgretError, match=message):
        ModelImage.parse(changed(change))


def test_metadata_must_be_an_object() -> None:
    def change(data: Bytes, image: ModelImage) -> None:
        found = image.header.metadata
        data[found.offset : found.end] = 0x20
        data[found.offset : found.offset + 2] = np.frombuffer(b"[]", dtype=np.uint8)

    with pytest.raises(EgretError, match="must be a JSON object; it is list"):
        ModelImage.parse(changed(change))


def test_any_flipped_bit_is_a_damaged_image() -> None:
    for position in [*range(16, 512, 41), *range(512, sound().data.size, 97)]:
        data = sound().data.copy()
        data[position] ^= 1 << position % 8
        with pytest.raises(EgretError, match="is damaged: its checksum is"):
            ModelImage.parse(data)


def test_truncated_images_are_refused_at_any_length() -> None:
    for size in (0, 3, 16, 511, 512, 600, sound().data.size - 1):
        with pytest.raises(EgretError, match="is truncated"):
            ModelImage.parse(sound().data[:size].tobytes())


def test_images_must_be_bytes_in_a_row() -> None:
    data: Any = sound().data
    for wrong in (data.view(np.uint32), data[::2], data.reshape(2, -1)):
        with pytest.raises(EgretError, match="must be contiguous bytes"):
            ModelImage.parse(wrong)


def entries(lane0: list[tuple[int, int]], lane1: tuple[int, int] = (0, 0)) -> Change:
    """Overwrite recurrent column 0 in engine 0: lane 0's (weight, gap) by beat, lane 1's in beat 0."""

    def change(data: Bytes, image: ModelImage) -> None:
        first, end = (int(beat) for beat in image.pointers(0)[1:3])
        assert end - first == 4
        columns = image.header.engines[0].columns + 16 * first
        for beat, (weight, gap) in enumerate(lane0):
            value = weight | gap << 8
            if beat == 0:
                value |= (lane1[0] | lane1[1] << 8) << 9
            data[columns + 16 * beat : columns + 16 * beat + 16] = np.frombuffer(
                value.to_bytes(16, "little"), dtype=np.uint8
            )

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            entries([(1, 0), (0, 1), (0, 0), (2, 0)]),
            "beat 3, lane 0 has an entry after the padding that ends its",
        ),
        (entries([(1, 0), (0, 1), (0, 1), (0, 1)]), "beat 3, lane 0 steps over a gap to no weight"),
        (entries([(1, 0), (3, 0), (0, 1), (0, 0)]), "beat 2, lane 0 steps over a gap to no weight"),
        (entries([(1, 0), (3, 0), (5, 0), (0, 0)]), "beat 3 holds no entry"),
        (entries([(1, 1), (3, 1), (5, 0), (5, 1)]), "beat 3, lane 0 leads outside the 6 rows of its lane"),
        (entries([(1, 1), (3, 1), (5, 0), (128, 0)]), "beat 3, lane 0 has the weight -128, outside"),
        (
            entries([(1, 1), (3, 1), (5, 0), (6, 0)], (7, 1)),
            "beat 0, lane 1 has a weight in a row that is padding",
        ),
    ],
)
def test_malformed_columns_are_refused(change: Change, message: str) -> None:
    unpack(ModelImage.parse(changed(lambda data, image: None)))
    with pytest.raises(EgretError, match=rf"^layer0\.recurrent_weights: engine 0, column 0, {message}"):
        unpack(ModelImage.parse(changed(change)))


def decoder_entries(beats: list[list[int]]) -> Change:
    """Overwrite decoder column 0 in engine 0: the weights of its four lanes by beat."""

    def change(data: Bytes, image: ModelImage) -> None:
        base = 2 * 7 + 1
        first, end = (int(beat) for beat in image.pointers(0)[base : base + 2])
        assert end - first == len(beats) == 2
        columns = image.header.engines[0].columns + 16 * first
        assert data[columns : columns + 20].tolist() == [0, 0, 5, 6] + [0] * 12 + [7, 0, 0, 0]
        for beat, weights in enumerate(beats):
            data[columns + 16 * beat : columns + 16 * beat + 4] = weights

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (decoder_entries([[0, 0, 5, 6], [0, 0, 0, 0]]), "beat 1 holds no entry"),
        (decoder_entries([[0, 0, 5, 128], [7, 0, 0, 0]]), "beat 0, lane 3 has the weight -128"),
        (
            decoder_entries([[0, 0, 5, 6], [0, 4, 0, 0]]),
            "beat 1, lane 1 has a weight in a row that is padding",
        ),
    ],
)
def test_malformed_dense_columns_are_refused_by_unpack(change: Change, message: str) -> None:
    image = ModelImage.parse(changed(change))
    with pytest.raises(EgretError, match=rf"^decoder_weights: engine 0, column 0, {message}"):
        unpack(image)


def test_a_dense_column_longer_than_its_rows_is_refused() -> None:
    """The beat that a sparse column of another matrix gave up."""
    checkpoint = random_checkpoint([1], 1, 1, 0.0, activity=0.0, seed=24)
    build = Build(engines=1, lanes=1, decoder_lanes=1, decoder_weight_bits=8, decoder_gap_bits=0)
    image = pack(checkpoint, build)
    assert image.pointers(0).tolist() == [0, 1, 4]
    data = image.data.copy()
    data[image.header.engines[0].pointers + 8] = 2
    data[12:16].view("<u4")[0] = image_checksum(data)
    columns = image.header.engines[0].columns
    assert data[columns + 9] == 0  # a recurrent weight with no gap reads as a decoder weight
    with pytest.raises(
        EgretError, match="decoder_weights: engine 0, column 0, beat 1 leads outside the 1 rows of its lanes"
    ):
        ModelImage.parse(data)


def test_an_escape_that_is_too_short_is_refused() -> None:
    checkpoint = random_checkpoint([40], 1, 2, 1.0, activity=0.0, seed=21)
    checkpoint.layers[0].recurrent_weights[0, 39, 0] = 3
    image = pack(checkpoint, Build(engines=1, lanes=1, gap_bits=2))
    data = image.data.copy()
    columns = image.header.engines[0].columns
    assert data[columns : columns + 2].tolist() == [0, 3]
    data[columns : columns + 2] = [0, 2]
    data[12:16].view("<u4")[0] = image_checksum(data)
    with pytest.raises(EgretError, match="beat 0, lane 0 steps over a gap with less than the largest gap"):
        unpack(ModelImage.parse(data))


@pytest.mark.parametrize(
    ("matrix", "build", "byte", "bit"),
    [
        ("layer0.recurrent_weights", Build(engines=1, lanes=5), 7, 4),  # 60 of 64 bits
        ("layer0.recurrent_weights", Build(engines=1, lanes=2), 3, 0),  # 24 of 64 bits
        ("layer0.recurrent_weights", Build(engines=1, lanes=5, bus_bytes=16), 8, 0),  # upper word unused
        ("layer0.recurrent_weights", Build(engines=1, lanes=10, bus_bytes=16), 15, 0),  # 120 of 128 bits
        ("decoder_weights", Build(engines=1, decoder_lanes=7, decoder_gap_bits=0), 7, 0),  # 56 of 64 bits
        ("decoder_weights", Build(engines=1, decoder_lanes=5), 7, 4),  # 60 of 64 bits
    ],
)
def test_bits_above_the_last_entry_are_refused(matrix: str, build: Build, byte: int, bit: int) -> None:
    sparsity = {"layer0.recurrent_weights": 1.0, "decoder_weights": 1.0, matrix: 0.2}
    image = pack(random_checkpoint([9], 1, 3, sparsity, activity=0.0, seed=22), build)
    data = image.data.copy()
    data[image.header.engines[0].columns + byte] ^= 1 << bit
    data[12:16].view("<u4")[0] = image_checksum(data)
    with pytest.raises(EgretError, match=f"{matrix}: engine 0, column 0, beat 0 has bits set above"):
        ModelImage.parse(data)
    unchecked = ModelImage(data=data, header=image.header)
    with pytest.raises(EgretError, match="has bits set above its last entry"):
        unchecked.statistics()


def test_a_small_file_that_stands_for_gigabytes_is_refused_before_they_are_asked_for() -> None:
    """60 000 neurons without a weight: 11 GB of zeros in a file of 4 MB, which is sound otherwise."""
    layout, decoder = Layout.of(Build(engines=1)), Layout.of_decoder(Build(engines=1))
    header = ImageHeader.plan(layout, decoder, [60_000], 1, 1, len(b"word"), len(b"{}"), [0])
    image = ModelImage(np.zeros(header.total_bytes, dtype=np.uint8), header)
    image.data[:HEADER_BYTES] = header.to_words().view(np.uint8)
    for section, text in ((header.vocabulary, b"word"), (header.metadata, b"{}")):
        image.data[section.offset : section.end] = np.frombuffer(text, dtype=np.uint8)
    image.neuron_records(0, 0)["threshold"] = PADDING_THRESHOLD
    image.data[12:16].view("<u4")[0] = image_checksum(image.data)
    assert image.data.size < 4 << 20
    parsed = ModelImage.parse(image.data)
    tracemalloc.start()
    try:
        with pytest.raises(EgretError, match="would take 10800060000 bytes with their zeros written out"):
            unpack(parsed)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_unpacking_needs_little_more_than_the_weights() -> None:
    """Entries are decoded a part at a time, however many beats there are."""
    image = pack(random_checkpoint([500, 300], 2, 500, 0.0, activity=0.0, seed=27), Build(gap_bits=1))
    weights = sum(matrix.gates * matrix.rows * matrix.columns for matrix in image.matrices())
    tracemalloc.start()
    try:
        unpack(image, weights)
        assert tracemalloc.get_traced_memory()[1] < 5 * weights + (16 << 20)
    finally:
        tracemalloc.stop()
    with pytest.raises(EgretError, match=f"would take {weights} bytes"):
        unpack(image, weights - 1)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_an_accepted_image_is_the_only_one_of_its_content(data: st.DataObject) -> None:
    """Any change that parse() and unpack() both accept shows in what is unpacked: nothing is overlooked."""
    image = sound()
    spans = [part for part in image.header.all_sections()[1:] if part.name != "metadata" and part.bytes]
    span = data.draw(st.sampled_from(spans))
    position = span.offset + data.draw(st.integers(0, span.bytes - 1))
    value = data.draw(st.integers(1, 255))

    def change(content: Bytes, image: ModelImage) -> None:
        content[position] ^= value

    try:
        unpacked = unpack(ModelImage.parse(changed(change)))
    except EgretError:
        return
    original = unpack(image)
    same = [
        unpacked.vocabulary == original.vocabulary,
        np.array_equal(unpacked.table, original.table),
        np.array_equal(unpacked.decoder_weights, original.decoder_weights),
        np.array_equal(unpacked.decoder_fraction_bits, original.decoder_fraction_bits),
        np.array_equal(unpacked.decoder_bias, original.decoder_bias),
    ]
    for layer, layer_before in zip(unpacked.layers, original.layers, strict=True):
        for name in ("input_weights", "recurrent_weights", "bias", "fraction_bits", "threshold"):
            same.append(np.array_equal(getattr(layer, name), getattr(layer_before, name)))
    assert not all(same)


def test_parsing_copies_nothing_and_gives_what_was_packed() -> None:
    checkpoint: Checkpoint = extreme_checkpoint([9, 5], 2, 11, 0.5, seed=23)
    data = pack(checkpoint, BUILD).data.copy()
    image = ModelImage.parse(data)
    for view in (image.columns(1), image.pointers(0), image.table(1), image.neuron_records(0, 1), image.data):
        assert np.shares_memory(view, data)
    assert image.neurons == (9, 5)
    assert image.name == "extreme" and image.vocabulary == checkpoint.vocabulary
    assert image.table_row_beats() == 3  # 6 positions of 2 bytes: one beat of 16 bytes for each plane
    assert [matrix.name for matrix in image.matrices()] == [
        "layer0.recurrent_weights",
        "layer1.input_weights",
        "layer1.recurrent_weights",
        "decoder_weights",
    ]


def test_files_that_are_no_image_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(EgretError, match=r"no model image at .*absent\.egret"):
        ModelImage.load(tmp_path / "absent.egret")
    (tmp_path / "text.egret").write_bytes(b"nothing" * 100)
    with pytest.raises(EgretError, match=r"text\.egret: This is no Egret model image"):
        ModelImage.load(tmp_path / "text.egret")
    with pytest.raises(EgretError, match="cannot be read"):
        ModelImage.load(tmp_path)
    with pytest.raises(EgretError, match="cannot be written"):
        sound().save(tmp_path / "absent" / "model.egret")
