"""Packing: a plain reading of the image, straight from the contract, finds the checkpoint in it again."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.folding import fold_table
from egret.image.limits import check_build
from egret.image.model_image import ModelImage
from egret.image.packer import column_beats, pack
from egret.installation import CHECKOUT
from egret.profiles import BOARDS, Build
from egret.synthetic.calibrated import extreme_checkpoint, random_checkpoint
from host.tests.support.unpacking import unpack

Dense = dict[tuple[int, int, int], int]
"""Weight by (gate, row, column), zeros left out."""


@dataclass
class PlainFormat:
    """Lanes and entries of the layers' columns, or of the decoder's."""

    engines: int
    lanes: int
    weight_bits: int
    gap_bits: int

    def groups(self, rows: int) -> int:
        slots = self.engines * self.lanes
        return (rows + slots - 1) // slots

    def entry(self, beat: int, lane: int) -> tuple[int, int]:
        """Weight and gap of a lane in a beat, given as an integer."""
        value = beat >> lane * (self.weight_bits + self.gap_bits)
        weight = value & ((1 << self.weight_bits) - 1)
        if weight >> (self.weight_bits - 1):
            weight -= 1 << self.weight_bits
        return weight, value >> self.weight_bits & ((1 << self.gap_bits) - 1)


@dataclass
class PlainMatrix:
    """A matrix of the image and where column 0 has its first pointer."""

    name: str
    gates: int
    rows: int
    columns: int
    format: PlainFormat
    base: int
    step: int = 2
    """From the first pointer of a column to that of the next."""
    first_row: int = 0


@dataclass
class PlainImage:
    """docs/formats.md, sections 3 and 4, read with struct and Python integers."""

    data: bytes

    def __post_init__(self) -> None:
        self.words = struct.unpack("<128I", self.data[:512])
        w = self.words
        self.engines = w[4] & 255
        self.layers = PlainFormat(self.engines, w[4] >> 8 & 255, w[4] >> 16 & 255, w[4] >> 24)
        self.decoder = PlainFormat(self.engines, w[5] >> 16 & 255, w[5] >> 24 & 15, w[5] >> 28)
        self.bus_bytes = w[5] & 255
        self.neurons = list(w[8 : 8 + w[6]])
        self.vocabulary = w[7]
        self.tile_rows = w[20]

    def engine_word(self, engine: int, index: int) -> int:
        return self.words[32 + 8 * engine + index]

    def layer_base(self, layer: int) -> int:
        """The first pointer of a layer: each has 2 H + 1."""
        return sum(2 * count + 1 for count in self.neurons[:layer])

    def matrices(self) -> list[PlainMatrix]:
        """In the order of the network; a layer's forward column comes before its recurrent one."""
        result = []
        for layer, count in enumerate(self.neurons):
            if layer > 0:
                name, below = f"layer{layer}.input_weights", self.neurons[layer - 1]
                result.append(PlainMatrix(name, 3, count, below, self.layers, self.layer_base(layer - 1)))
            name = f"layer{layer}.recurrent_weights"
            result.append(PlainMatrix(name, 3, count, count, self.layers, self.layer_base(layer) + 1))
        last = len(self.neurons) - 1
        columns, base, step, first = self.neurons[last], self.layer_base(last), 2, 0
        while first < self.vocabulary:  # a tile is so many rows of every lane
            tile = min(self.tile_rows * self.engines * self.decoder.lanes, self.vocabulary - first)
            result.append(PlainMatrix("decoder_weights", 1, tile, columns, self.decoder, base, step, first))
            base = self.layer_base(last + 1) if step == 2 else base + columns + 1
            step, first = 1, first + tile
        return result

    def beat(self, engine: int, beat: int) -> int:
        start = self.engine_word(engine, 5) + beat * self.bus_bytes
        return int.from_bytes(self.data[start : start + self.bus_bytes], "little")

    def pointer(self, engine: int, index: int) -> int:
        start = self.engine_word(engine, 0) + index * self.bus_bytes
        return int(struct.unpack_from("<I", self.data, start)[0])

    def matrix(self, position: int) -> Dense:
        """Walk every engine, column, lane and beat as the kernel's lanes do."""
        matrix = self.matrices()[position]
        lanes, groups = matrix.format.lanes, matrix.format.groups(matrix.rows)
        found: Dense = {}
        for engine in range(self.engines):
            for column in range(matrix.columns):
                first = self.pointer(engine, matrix.base + matrix.step * column)
                end = self.pointer(engine, matrix.base + matrix.step * column + 1)
                for lane in range(lanes):
                    row = -1
                    for beat in range(first, end):
                        weight, gap = matrix.format.entry(self.beat(engine, beat), lane)
                        row += 1 + gap
                        if weight != 0:
                            gate, group = divmod(row, groups)
                            neuron = matrix.first_row + (group * lanes + lane) * self.engines + engine
                            assert (gate, neuron, column) not in found
                            found[gate, neuron, column] = weight
        return found


def dense(weights: np.ndarray) -> Dense:
    """Non-zero weights of [gates, rows, columns]."""
    return {
        (int(gate), int(row), int(column)): int(weights[gate, row, column])
        for gate, row, column in np.argwhere(weights)
    }


def expected_matrices(checkpoint: Checkpoint) -> list[Dense]:
    """In the order of the image, gates in the order of the accumulators gx, z, r, gr."""
    result = []
    for index, layer in enumerate(checkpoint.layers):
        if index > 0:
            z, r, g = layer.input_weights
            result.append(dense(np.stack([g, z, r])))
        result.append(dense(layer.recurrent_weights))
    return [*result, dense(checkpoint.decoder_weights[np.newaxis])]


def draw_lanes(draw: st.DrawFn, bus_bytes: int, entry_bits: int) -> int:
    most = min(32, 8 * bus_bytes // entry_bits)
    return draw(st.one_of(st.just(most), st.integers(1, most)))


@st.composite
def builds(draw: st.DrawFn) -> Build:
    bus_bytes = draw(st.sampled_from([8, 16]))
    weight_bits, gap_bits = draw(st.integers(2, 8)), draw(st.integers(1, 8))
    usual = st.sampled_from([(8, 0), (5, 3), (4, 4), (8, 4)])
    decoder_bits = draw(st.one_of(usual, st.tuples(st.integers(2, 8), st.integers(0, 8))))
    return Build(
        engines=draw(st.integers(1, 8)),
        lanes=draw_lanes(draw, bus_bytes, weight_bits + gap_bits),
        bus_bytes=bus_bytes,
        weight_bits=weight_bits,
        gap_bits=gap_bits,
        decoder_lanes=draw_lanes(draw, bus_bytes, sum(decoder_bits)),
        decoder_weight_bits=decoder_bits[0],
        decoder_gap_bits=decoder_bits[1],
    )


@st.composite
def packable(draw: st.DrawFn) -> tuple[Checkpoint, Build, int | None]:
    """A checkpoint, a build, and how many rows of a lane a tile of the decoder shall have."""
    build = draw(builds())
    sizes: dict[str, Any] = {
        "layers": draw(st.lists(st.integers(1, 30), min_size=1, max_size=4)),
        "embedding": draw(st.integers(1, 3)),
        "vocabulary": draw(st.integers(1, 60)),
        "sparsity": draw(st.sampled_from([0.0, 0.3, 0.85, 0.97, 1.0])),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }
    checkpoint = extreme_checkpoint(**sizes, weight_bits=build.weight_bits)
    # The decoder of a network whose weights have as many bits as the build's decoder.
    checkpoint.decoder_weights = extreme_checkpoint(
        **sizes, weight_bits=build.decoder_weight_bits
    ).decoder_weights
    rows = -(-len(checkpoint.vocabulary) // build.decoder_slots)
    return checkpoint, build, draw(st.one_of(st.none(), st.integers(1, rows)))


@settings(deadline=None, max_examples=100)
@given(packable())
def test_unpacking_gives_back_what_was_packed(case: tuple[Checkpoint, Build, int | None]) -> None:
    checkpoint, build, tile_rows = case
    image = pack(checkpoint, build, tile_rows)
    unpacked = unpack(image)
    assert unpacked.vocabulary == checkpoint.vocabulary
    assert unpacked.description["name"] == checkpoint.name
    assert unpacked.description["metadata"] == checkpoint.metadata
    assert unpacked.description["dense_macs_per_token"] == checkpoint.dense_macs_per_token()
    assert unpacked.description["nonzeros"] == checkpoint.nonzeros()
    assert_equal(unpacked.table, fold_table(checkpoint))
    assert_equal(unpacked.decoder_weights, checkpoint.decoder_weights)
    assert_equal(unpacked.decoder_fraction_bits, checkpoint.decoder_fraction_bits)
    assert_equal(unpacked.decoder_bias, checkpoint.decoder_bias)
    for index, (layer, original) in enumerate(zip(unpacked.layers, checkpoint.layers, strict=True)):
        bias = original.bias.copy()
        gx_bits = original.input_fraction_bits[2]
        if index == 0:
            assert layer.input_weights is None
            bias[:3], gx_bits = 0, np.full_like(gx_bits, 3)
        else:
            assert_equal(layer.input_weights, original.input_weights)
        assert_equal(layer.recurrent_weights, original.recurrent_weights)
        assert_equal(layer.bias, bias)
        assert_equal(layer.threshold, original.threshold)
        z, r, gr = original.recurrent_fraction_bits
        assert_equal(layer.fraction_bits, np.stack([z, r, gx_bits, gr]))


def assert_equal(found: np.ndarray | None, expected: np.ndarray) -> None:
    assert found is not None
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert np.array_equal(found, expected)


@settings(deadline=None, max_examples=40)
@given(packable())
def test_a_plain_reading_finds_every_weight_and_parameter(
    case: tuple[Checkpoint, Build, int | None],
) -> None:
    checkpoint, build, tile_rows = case
    image = pack(checkpoint, build, tile_rows)
    data = image.data.tobytes()
    plain = PlainImage(data)
    assert plain.words[0] == 0x54524745 and plain.words[1] == 3 and plain.words[2] == len(data)
    assert plain.words[3] == zlib.crc32(data[:12] + bytes(4) + data[16:])
    assert (plain.engines, plain.bus_bytes) == (build.engines, build.bus_bytes)
    assert plain.layers == PlainFormat(build.engines, build.lanes, build.weight_bits, build.gap_bits)
    assert plain.decoder == PlainFormat(
        build.engines, build.decoder_lanes, build.decoder_weight_bits, build.decoder_gap_bits
    )
    assert plain.words[5] >> 8 & 255 == build.accumulator_bits
    assert plain.neurons == [layer.neurons for layer in checkpoint.layers]
    text, size = plain.words[16:18]
    assert data[text : text + size].decode() == "\n".join(checkpoint.vocabulary)
    text, size = plain.words[18:20]
    assert json.loads(data[text : text + size])["name"] == checkpoint.name

    found: dict[str, Dense] = {}
    for position, matrix in enumerate(plain.matrices()):
        found.setdefault(matrix.name, {}).update(plain.matrix(position))
    assert list(found.values()) == expected_matrices(checkpoint)
    assert_parameters(plain, checkpoint)


def assert_parameters(plain: PlainImage, checkpoint: Checkpoint) -> None:
    """Neuron records, decoder records and the table, position by position, padding with them."""
    table = fold_table(checkpoint)
    for engine in range(plain.engines):
        start = plain.engine_word(engine, 2)
        for index, layer in enumerate(checkpoint.layers):
            for i in range(plain.layers.groups(layer.neurons) * plain.layers.lanes):
                record = struct.unpack_from("<4hHHI", plain.data, start)
                start += 16
                j = i * plain.engines + engine
                if j >= layer.neurons:
                    assert record == (0, 0, 0, 0, 32767, 0, 0)
                    continue
                s_z, s_r, s_gr = (int(f) - 3 for f in layer.recurrent_fraction_bits[:, j])
                s_gx = int(layer.input_fraction_bits[2, j]) - 3
                b_z, b_r, b_gx, b_gr = (int(bias) for bias in layer.bias[:, j])
                if index == 0:
                    b_z = b_r = b_gx = s_gx = 0
                shifts = s_z | s_r << 4 | s_gx << 8 | s_gr << 12
                assert record == (b_z, b_r, b_gx, b_gr, int(layer.threshold[j]), shifts, 0)
        positions = plain.decoder.groups(plain.vocabulary) * plain.decoder.lanes
        for i in range(positions):
            start = plain.engine_word(engine, 3) + i * plain.bus_bytes
            bias, shift = struct.unpack_from("<hH", plain.data, start)
            assert not any(plain.data[start + 4 : start + plain.bus_bytes])
            j = i * plain.engines + engine
            real = j < plain.vocabulary
            assert bias == (int(checkpoint.decoder_bias[j]) if real else 0)
            assert shift == (int(checkpoint.decoder_fraction_bits[j]) - 3 if real else 0)
        positions = plain.layers.groups(plain.neurons[0]) * plain.layers.lanes
        plane = -(-2 * positions // plain.bus_bytes) * plain.bus_bytes
        for token in range(plain.vocabulary):
            for gate in range(3):
                start = plain.engine_word(engine, 4) + (3 * token + gate) * plane
                values = struct.unpack_from(f"<{plane // 2}h", plain.data, start)
                for i, value in enumerate(values):
                    j = i * plain.engines + engine
                    real = i < positions and j < plain.neurons[0]
                    assert value == (int(table[token, gate, j]) if real else 0)


def test_a_column_is_packed_as_the_contract_says_bit_for_bit() -> None:
    """One engine of two lanes, 4-bit weights, 2-bit gaps; one layer of 12 neurons: 18 rows in each lane."""
    checkpoint = random_checkpoint([12], 1, 2, 1.0, weight_bits=4, seed=1)
    weights = checkpoint.layers[0].recurrent_weights
    weights[0, 0, 3] = 5  # lane 0, row 0
    weights[1, 4, 3] = -8  # lane 0, row 6 + 2: 7 rows between, an escape over 4 and a gap of 3
    weights[2, 11, 3] = -1  # lane 1, row 12 + 5 = 17: four escapes over 4 and a gap of 1
    build = Build(engines=1, lanes=2, weight_bits=4, gap_bits=2)
    image = pack(checkpoint, build)
    lane0 = [(5, 0), (0, 3), (8, 3), (0, 0), (0, 0)]
    lane1 = [(0, 3), (0, 3), (0, 3), (0, 3), (15, 1)]
    beats = [
        (a | gap_a << 4 | (b | gap_b << 4) << 6).to_bytes(8, "little")
        for (a, gap_a), (b, gap_b) in zip(lane0, lane1, strict=True)
    ]
    assert image.columns(0).tobytes() == b"".join(beats)
    # Of the neurons 0 to 11: forward and recurrent column, then the end.
    assert image.pointers(0).tolist() == [0, 0] * 3 + [0, 0] + [5, 5] * 8 + [5]


def test_a_dense_column_ends_with_the_last_weight_of_its_longest_lane() -> None:
    """One engine of three decoder lanes without gaps: 11 words are 4, 4 and 3 rows of the lanes."""
    checkpoint = random_checkpoint([5], 1, 11, 1.0, weight_bits=5, seed=1)
    checkpoint.decoder_weights[:, 2] = [0, 0, 3, -16, 0, 0, 0, 15, 0, 0, 0]
    checkpoint.decoder_weights[9, 4] = -1
    build = Build(engines=1, lanes=2, decoder_lanes=3, decoder_weight_bits=5, decoder_gap_bits=0)
    image = pack(checkpoint, build)
    rows = [(0, 0, 3), (-16 & 31, 0, 0), (0, 15, 0)]  # the fourth row of every lane is pruned
    rows += [(0, 0, 0), (0, 0, 0), (0, 0, 0), (-1 & 31, 0, 0)]
    beats = [(a | b << 5 | c << 10).to_bytes(8, "little") for a, b, c in rows]
    assert image.columns(0).tobytes() == b"".join(beats)
    assert image.pointers(0).tolist() == [0] * 4 + [0, 3, 3, 3, 3, 7, 7]
    matrix = image.statistics().matrices[-1]
    # Column 2: zeros before -16, before 15 twice, none before 3; column 4: three before -1.
    assert (matrix.nonzeros, matrix.escapes, matrix.padding) == (4, 1 + 2 + 3, 21 - 4 - 6)
    assert_equal(unpack(image).decoder_weights, checkpoint.decoder_weights)


DECODER_FORMATS = [
    # bytes of the bus, lanes, bits of a weight and of a gap
    (8, 8, 8, 0),
    (8, 3, 8, 0),
    (16, 16, 8, 0),
    (8, 8, 5, 3),
    (16, 16, 5, 3),
    (8, 8, 4, 4),
    (8, 5, 4, 4),
    (16, 16, 4, 4),
    (8, 16, 4, 0),
    (8, 5, 8, 4),
    (16, 10, 8, 4),
    (16, 1, 8, 4),
]


@pytest.mark.parametrize(("bus_bytes", "lanes", "weight_bits", "gap_bits"), DECODER_FORMATS)
@pytest.mark.parametrize("sparsity", [0.0, 0.9])
def test_the_decoder_has_a_format_of_its_own(
    bus_bytes: int, lanes: int, weight_bits: int, gap_bits: int, sparsity: float
) -> None:
    """The layers' columns stay as they are; what the decoder's take is the least that its format allows."""
    checkpoint = random_checkpoint([33, 21], 3, 190, sparsity, seed=17)
    highest = (1 << (weight_bits - 1)) - 1
    checkpoint.decoder_weights = np.clip(checkpoint.decoder_weights, -highest - 1, highest)
    plain_build = Build(bus_bytes=bus_bytes)
    build = replace(
        plain_build, decoder_lanes=lanes, decoder_weight_bits=weight_bits, decoder_gap_bits=gap_bits
    )
    image = pack(checkpoint, build)
    assert_equal(unpack(image).decoder_weights, checkpoint.decoder_weights)
    statistics = {matrix.name: matrix for matrix in image.statistics().matrices}
    for matrix in pack(checkpoint, plain_build).statistics().matrices[:-1]:
        assert statistics[matrix.name] == matrix
    assert image.decoder_records(0).shape == (-(-190 // (2 * lanes)) * lanes, bus_bytes // 2)

    # Entries of a lane, one weight at a time: those that a gap needs, and one for the weight.
    beats = np.zeros((2, 21), dtype=np.int64)
    for column in range(21):
        for slot in range(2 * lanes):
            weights = checkpoint.decoder_weights[slot :: 2 * lanes, column]
            distances = np.diff(np.flatnonzero(weights), prepend=-1) - 1
            entries = sum(int(distance) // 2**gap_bits + 1 for distance in distances)
            beats[slot % 2, column] = max(beats[slot % 2, column], entries)
    assert_equal(column_beats(image)["decoder_weights"], beats)


def test_what_a_neuron_feeds_is_one_block_forward_column_first() -> None:
    checkpoint = random_checkpoint([13, 9, 6], 3, 41, 0.6, seed=18)
    build = Build(engines=2, lanes=3, decoder_lanes=8, decoder_weight_bits=8, decoder_gap_bits=0)
    image = pack(checkpoint, build)
    beats = column_beats(image)
    feeds = [
        ("layer1.input_weights", "layer0.recurrent_weights", 13),
        ("layer2.input_weights", "layer1.recurrent_weights", 9),
        ("decoder_weights", "layer2.recurrent_weights", 6),
    ]
    parts = {matrix.name: matrix for matrix in image.matrices()}
    for engine in range(2):
        place = 0
        for forward, recurrent, neurons in feeds:
            own = {name: image.matrix_columns(engine, parts[name]) for name in (forward, recurrent)}
            for neuron in range(neurons):
                for name in (forward, recurrent):
                    size = int(beats[name][engine, neuron])
                    first, end = own[name].pointers[neuron : neuron + 2]
                    assert end - first == size
                    assert_equal(own[name].beats[first:end], image.columns(engine)[place : place + size])
                    place += size
        assert place == len(image.columns(engine))
        assert image.header.engines[engine].pointer_count == 27 + 19 + 13


def test_images_are_the_same_each_time_and_sections_lie_apart_on_64_bytes() -> None:
    checkpoint = random_checkpoint([21, 13], 3, 17, 0.5, seed=2)
    first, second = pack(checkpoint, Build()), pack(checkpoint, Build())
    assert first.data.tobytes() == second.data.tobytes()
    sections = first.header.all_sections()
    assert all(section.offset % 64 == 0 for section in sections)
    ends = [section.end for section in sections]
    assert all(section.offset >= end for section, end in zip(sections[1:], ends[:-1], strict=True))
    assert first.data.size % 64 == 0


def test_statistics_add_up() -> None:
    checkpoint = random_checkpoint([40, 23], 3, 31, 0.9, seed=3)
    image = pack(checkpoint, Build(engines=3, lanes=4, gap_bits=2, decoder_lanes=7, decoder_gap_bits=1))
    statistics = image.statistics()
    assert sum(statistics.section_bytes.values()) == statistics.total_bytes == image.data.size
    plain = PlainImage(image.data.tobytes())
    for position, matrix in enumerate(statistics.matrices):
        assert matrix.name == plain.matrices()[position].name
        assert matrix.nonzeros == len(plain.matrix(position)) == checkpoint.nonzeros()[matrix.name]
        lanes, entry_bits = (7, 9) if matrix.name == "decoder_weights" else (4, 10)
        assert matrix.slots == lanes * matrix.beats == matrix.nonzeros + matrix.escapes + matrix.padding
        assert matrix.code_bits == entry_bits * (matrix.nonzeros + matrix.escapes)
        assert matrix.bus_bits == 64 * matrix.beats
        assert matrix.bits_per_nonzero == matrix.bus_bits / matrix.nonzeros
        beats = column_beats(image)[matrix.name]
        assert beats.shape == (3, plain.matrices()[position].columns)
        assert (int(beats.sum()), int(beats.sum(axis=1).max())) == (
            matrix.beats,
            matrix.beats_of_busiest_engine,
        )
    total = statistics.all_matrices
    assert total.slots == total.nonzeros + total.escapes + total.padding
    assert total.beats == sum(len(image.columns(engine)) for engine in range(3))
    assert total.code_bits == sum(matrix.code_bits for matrix in statistics.matrices)
    assert statistics.matrices[0].escapes > 0


def test_an_empty_network_takes_no_beat() -> None:
    image = pack(random_checkpoint([7, 5], 2, 9, 1.0, seed=4), Build())
    statistics = image.statistics()
    assert statistics.all_matrices.beats == 0
    assert statistics.all_matrices.bits_per_nonzero == statistics.all_matrices.slots_used == 0.0
    assert not any(beats.any() for beats in column_beats(image).values())


def test_lane_balanced_columns_take_the_bits_that_the_design_reckons_with() -> None:
    """1350 neurons, 85 % sparse, 8-bit weights, 4-bit gaps: 12.9 bits of weights and escapes per weight."""
    sparsity = {"layer0.recurrent_weights": 0.85, "layer0.input_weights": 1.0, "decoder_weights": 1.0}
    balanced = random_checkpoint([1350], 1, 1, sparsity, activity=0.0, balanced_slots=10, seed=5)
    matrix = pack(balanced, Build()).statistics().matrices[0]
    assert 12.8 < matrix.code_bits_per_nonzero < 13.0
    # What is fetched is more: lanes differ in their escapes, and a 64-bit beat has 4 bits to spare.
    assert 13.9 < matrix.bits_per_nonzero < 14.3
    unstructured = random_checkpoint([1350], 1, 1, sparsity, activity=0.0, seed=5)
    assert 15.0 < pack(unstructured, Build()).statistics().matrices[0].bits_per_nonzero < 15.7


def test_every_board_has_a_build_that_images_are_packed_for() -> None:
    for board in BOARDS.values():
        checkpoint = random_checkpoint(
            [33], 3, 40, 0.5, seed=6, decoder_weight_bits=board.build.decoder_weight_bits
        )
        image, build = pack(checkpoint, board.build), board.build
        assert (image.layout.engines, image.layout.lanes) == (build.engines, build.lanes)
        assert (image.decoder_layout.engines, image.decoder_layout.lanes) == (
            build.engines,
            build.decoder_lanes,
        )


def limit_case(**sizes: int) -> Build:
    deep = Build(decoder_lanes=4, neuron_depth=65536, accumulator_depth=32768, logit_depth=32768)
    return replace(deep, **sizes)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (limit_case(neuron_depth=39), r"has 80 neurons in all layers, .* 70 fit \(NEURON_DEPTH\)"),
        (
            limit_case(accumulator_depth=23),
            r"has 60 neurons in layers 0, 2, .* 50 fit \(ACCUMULATOR_DEPTH\)",
        ),
        (limit_case(pointer_depth=144), r"has 71 neurons in 3 layers, .* 70 fit \(POINTER_DEPTH\)"),
    ],
)
def test_models_beyond_a_limit_are_refused_and_those_at_it_are_packed(build: Build, message: str) -> None:
    # Two engines of five lanes: 3, 2 and 3 groups for 23, 20 and 28 neurons; even layers have 4 * 6
    # accumulators in a lane. Four decoder lanes: 204 words are 26 rows in some of the eight.
    checkpoint = random_checkpoint([23, 20, 28], 2, 204, 0.9, seed=7)
    with pytest.raises(EgretError, match=message):
        pack(checkpoint, build)
    at_limit = {"neuron_depth": 40, "accumulator_depth": 24, "logit_depth": 26, "pointer_depth": 145}
    pack(checkpoint, Build(decoder_lanes=4, **at_limit))


def test_a_large_vocabulary_is_compact_and_in_tiles() -> None:
    """Eight decoder slots: 16 rows of a lane with any bias and shift, 96 with compact ones."""
    build = Build(decoder_lanes=4, logit_depth=16, decoder_depth=16)
    loose, compact = (random_checkpoint([5], 2, 769, 0.5, seed=7, compact=flag) for flag in (False, True))
    with pytest.raises(EgretError, match=r"has 769 words, where 768 fit \(DECODER_DEPTH\)"):
        pack(compact, build)
    fits = first_words(compact, 768)
    image = pack(fits, build)
    assert (image.header.tile_rows, image.header.tiles) == (8, 12)
    assert_equal(unpack(image).decoder_weights, fits.decoder_weights)
    with pytest.raises(EgretError, match=r"where there are more than 128 words, a bias is a multiple of 256"):
        pack(first_words(loose, 129), build)
    assert pack(first_words(loose, 128), build).header.tiles == 1
    # Eleven pointers of the layer, six of each tile behind the first.
    with pytest.raises(EgretError, match=r"has 77 pointers to columns, of 12 tiles .*, where 76 fit"):
        pack(fits, replace(build, pointer_depth=76))
    pack(fits, replace(build, pointer_depth=77))
    one_tile = pack(first_words(loose, 256), Build(decoder_lanes=4))
    with pytest.raises(EgretError, match=r"tiles of 32 rows; this kernel takes 16 \(LOGIT_DEPTH\)"):
        check_build(one_tile, replace(build, decoder_depth=32))


def first_words(checkpoint: Checkpoint, words: int) -> Checkpoint:
    """Return the network with the first words only."""
    return replace(
        checkpoint,
        vocabulary=checkpoint.vocabulary[:words],
        embedding=checkpoint.embedding[:words],
        decoder_weights=checkpoint.decoder_weights[:words],
        decoder_fraction_bits=checkpoint.decoder_fraction_bits[:words],
        decoder_bias=checkpoint.decoder_bias[:words],
    )


def test_layer_0_may_take_half_of_the_neuron_positions() -> None:
    """The rows of two tokens are held; 23 neurons are 3 groups of five lanes in each of two engines."""
    checkpoint = random_checkpoint([23], 2, 20, 0.9, seed=7)
    message = r"has 23 neurons in layer 0, where 20 fit \(half of NEURON_DEPTH"
    for depth in (28, 29):
        with pytest.raises(EgretError, match=message):
            pack(checkpoint, Build(neuron_depth=depth))
    pack(checkpoint, Build(neuron_depth=30))


def test_accumulators_of_odd_layers_have_a_bank_of_their_own() -> None:
    checkpoint = random_checkpoint([10, 50, 10, 11], 2, 5, 0.9, seed=8)
    with pytest.raises(EgretError, match=r"has 70 neurons in layers 1, 3, .*, where 60 fit"):
        pack(checkpoint, Build(accumulator_depth=27))
    pack(checkpoint, Build(accumulator_depth=28))


def test_nine_layers_are_refused() -> None:
    with pytest.raises(EgretError, match=r"has 9 layers, where 8 fit \(MAX_LAYERS\)"):
        pack(random_checkpoint([3] * 9, 2, 5, 0.5, activity=0.0, seed=9), Build())


def test_weights_beyond_the_weight_bits_are_named() -> None:
    checkpoint = random_checkpoint([6, 5], 2, 7, 0.5, weight_bits=4, seed=10)
    checkpoint.layers[0].input_weights[0, 0, 0] = 127  # folded: any weight will do
    checkpoint.layers[1].input_weights[2, 4, 3] = -8
    checkpoint.decoder_weights[:2, 3] = [127, -127]  # has bits of its own
    build = Build(weight_bits=4)
    pack(checkpoint, build)
    checkpoint.layers[1].input_weights[2, 4, 3] = 8
    message = (
        r"layer1\.input_weights has the weight 8 in row 14, column 3; a build of 4 weight bits holds -8\.\.7"
    )
    with pytest.raises(EgretError, match=message):
        pack(checkpoint, build)


def test_decoder_weights_beyond_the_decoder_weight_bits_are_named() -> None:
    checkpoint = random_checkpoint([6, 5], 2, 7, 0.5, seed=10)
    build = Build(decoder_weight_bits=5, decoder_gap_bits=3, decoder_lanes=8)
    checkpoint.decoder_weights = np.clip(checkpoint.decoder_weights, -16, 15)
    pack(checkpoint, build)
    checkpoint.decoder_weights[4, 2] = -17
    message = (
        r"decoder_weights has the weight -17 for word 4 \('w4'\), column 2; a build of 5 decoder weight bits "
        r"holds -16\.\.15"
    )
    with pytest.raises(EgretError, match=message):
        pack(checkpoint, build)


@pytest.mark.parametrize(
    ("accumulator", "input_gate", "recurrent_gate"),
    [("gx", 2, None), ("gr", None, 2), ("z", 0, 0), ("r", 1, 1)],
)
def test_rows_whose_accumulator_could_wrap_are_named(
    accumulator: str, input_gate: int | None, recurrent_gate: int | None
) -> None:
    """20 bits hold 255 * 2056 = 2^19 - 8 and no more."""
    checkpoint = random_checkpoint([20, 20], 2, 7, 1.0, seed=11)
    layer = checkpoint.layers[1]
    build = Build(accumulator_bits=20)
    halves = [gate for gate in (input_gate, recurrent_gate) if gate is not None]
    if input_gate is not None:
        layer.input_weights[input_gate, 13, : 17 // len(halves)] = -120
    if recurrent_gate is not None:
        layer.recurrent_weights[recurrent_gate, 13, : 17 // len(halves)] = 120
    rows = layer.input_weights[halves[0]] if input_gate is not None else layer.recurrent_weights[halves[0]]
    missing = 2056 - 120 * (17 if len(halves) == 1 else 16)
    rows[13, 18:] = [missing // 2, missing - missing // 2]
    pack(checkpoint, build)
    rows[13, 17] = 1
    message = rf"layer1, accumulator {accumulator}, neuron 13: .* is 524535, .* 20 bits .* below 2\^19"
    with pytest.raises(EgretError, match=message):
        pack(checkpoint, build)


def test_decoder_rows_whose_accumulator_could_wrap_are_named() -> None:
    checkpoint = random_checkpoint([20], 2, 7, 1.0, seed=12)
    checkpoint.decoder_weights[5] = 104
    with pytest.raises(EgretError, match="decoder_weights, word 5: .* is 530400"):
        pack(checkpoint, Build(accumulator_bits=20))
    pack(checkpoint, Build(accumulator_bits=21))


def test_a_checkpoint_that_is_not_valid_is_not_packed() -> None:
    checkpoint = random_checkpoint([6], 2, 7, 0.5, seed=13)
    checkpoint.layers[0].threshold[3] = 1
    with pytest.raises(EgretError, match=r"layer0\.threshold must lie in"):
        pack(checkpoint, Build())


def test_a_small_language_model_packs_in_two_seconds() -> None:
    checkpoint = random_checkpoint([400, 400, 200], 200, 10_000, 0.85, activity=0.0, seed=14)
    seconds = []
    for _ in range(3):  # the fastest of several: what else the machine does only ever adds time
        start = time.perf_counter()
        pack(checkpoint, Build())
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 2.0


_PACK_PAPER_SIZE = """
import resource, time
from egret.profiles import Build
from egret.image.packer import pack
from egret.synthetic.calibrated import random_checkpoint
checkpoint = random_checkpoint([1350, 1350, 750], 750, 10_000, 0.85, activity=0.0, seed=15)
start = time.perf_counter()
image = pack(checkpoint, Build())
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, image.data.size)
"""


def test_the_papers_network_packs_in_20_seconds_and_2_gigabytes() -> None:
    """750 embedding, 1350-1350-750 neurons, 10 000 words, 85 % sparse, folded; memory with what made it."""
    host = str(CHECKOUT / "host")
    result = subprocess.run(
        [sys.executable, "-c", _PACK_PAPER_SIZE],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": host},
    )
    seconds, kilobytes, image_bytes = (float(value) for value in result.stdout.split())
    assert seconds < 20.0
    assert kilobytes < 2_000_000
    assert 80e6 < image_bytes < 128e6  # what a stock PYNQ-Z2 image can allocate


def test_a_saved_image_is_the_image(tmp_path: Path) -> None:
    image = pack(random_checkpoint([21, 13], 3, 17, 0.5, seed=16), Build())
    image.save(tmp_path / "model.egret")
    loaded = ModelImage.load(tmp_path / "model.egret")
    assert loaded.data.tobytes() == image.data.tobytes()
    assert loaded.header == image.header
    assert [path.name for path in tmp_path.iterdir()] == ["model.egret"]
