"""The header of a model image: which sections it has, and where (docs/formats.md, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egret.contract import ALIGNMENT, COLUMN_POINTER_BITS, FORMAT_VERSION, HEADER_BYTES, MAGIC, MAX_LAYERS
from egret.errors import EgretError
from egret.image.layout import Layout
from egret.image.packed_matrices import PackedMatrix, count_pointers, packed_matrices
from egret.profiles import Build

CHECKSUM_WORD = 3
NEURON_RECORD = np.dtype([("bias", "<i2", (4,)), ("threshold", "<u2"), ("shifts", "<u2"), ("zero", "<u4")])
"""Parameters of a neuron: biases z, r, gx, gr; threshold; shifts s_z | s_r << 4 | s_gx << 8 | s_gr << 12."""

_HEADER_WORDS = HEADER_BYTES // 4
_NEURONS_WORD = 8
_TILE_WORD = 20
_MOST_BEATS = (1 << COLUMN_POINTER_BITS) - 1
"""Of an engine's columns: that largest pointer stands for all that are larger."""
_ENGINES_WORD = 32
_WORDS_PER_ENGINE = 8


@dataclass(frozen=True)
class Section:
    """A run of bytes of the image."""

    name: str
    offset: int
    bytes: int

    @property
    def end(self) -> int:
        """The offset of the first byte after it."""
        return self.offset + self.bytes


@dataclass(frozen=True)
class EngineSections:
    """What the header says of one engine: offsets in bytes, and two sizes."""

    pointers: int
    pointer_count: int
    neurons: int
    decoder: int
    table: int
    columns: int
    beats: int


@dataclass(frozen=True)
class ImageHeader:
    """Everything in the header but the magic, the format version and the checksum."""

    total_bytes: int
    layout: Layout
    """Of the layers."""
    decoder_layout: Layout
    neurons: tuple[int, ...]
    """Neurons of each layer."""
    words: int
    """V, the size of the vocabulary."""
    tile_rows: int
    """K_t: how many of a lane's decoder rows a tile has."""
    vocabulary: Section
    metadata: Section
    engines: tuple[EngineSections, ...]

    @classmethod
    def plan(
        cls,
        layout: Layout,
        decoder_layout: Layout,
        neurons: Sequence[int],
        words: int,
        tile_rows: int,
        vocabulary_bytes: int,
        metadata_bytes: int,
        beats: Sequence[int],
    ) -> ImageHeader:
        """Lay the sections of these sizes one after another; `beats` counts the column beats of each engine.

        Raises EgretError where the image would reach 4 GiB, or an engine's columns have too many beats.
        """
        position = HEADER_BYTES

        def place(size: int) -> int:
            nonlocal position
            offset, position = position, -(-(position + size) // ALIGNMENT) * ALIGNMENT
            return offset

        vocabulary = Section("vocabulary", place(vocabulary_bytes), vocabulary_bytes)
        metadata = Section("metadata", place(metadata_bytes), metadata_bytes)
        pointer_count = count_pointers(neurons, len(decoder_layout.tiles(words, tile_rows)))
        sizes = _SectionSizes(layout, decoder_layout, neurons, words)
        engines = tuple(
            EngineSections(
                pointers=place(pointer_count * layout.bus_bytes),
                pointer_count=pointer_count,
                neurons=place(sizes.neurons),
                decoder=place(sizes.decoder),
                table=place(sizes.table),
                columns=place(count * layout.bus_bytes),
                beats=count,
            )
            for count in beats
        )
        if position >= 1 << 32 or max(beats) >= _MOST_BEATS:
            raise EgretError(
                f"The image would take {position} bytes; the format holds less than 2^32, and "
                f"fewer than {_MOST_BEATS} beats of columns for each engine."
            )
        return cls(
            total_bytes=position,
            layout=layout,
            decoder_layout=decoder_layout,
            neurons=tuple(neurons),
            words=words,
            tile_rows=tile_rows,
            vocabulary=vocabulary,
            metadata=metadata,
            engines=engines,
        )

    def to_words(self) -> npt.NDArray[np.uint32]:
        """Return the header, uint32 [128], with a checksum of zero."""
        layout, decoder = self.layout, self.decoder_layout
        words = np.zeros(_HEADER_WORDS, dtype="<u4")
        words[0:3] = MAGIC, FORMAT_VERSION, self.total_bytes
        words[4] = layout.engines | layout.lanes << 8 | layout.weight_bits << 16 | layout.gap_bits << 24
        words[5] = (
            layout.bus_bytes
            | layout.accumulator_bits << 8
            | decoder.lanes << 16
            | decoder.weight_bits << 24
            | decoder.gap_bits << 28
        )
        words[6:8] = len(self.neurons), self.words
        words[_NEURONS_WORD : _NEURONS_WORD + len(self.neurons)] = self.neurons
        words[_TILE_WORD] = self.tile_rows
        words[16:20] = (
            self.vocabulary.offset,
            self.vocabulary.bytes,
            self.metadata.offset,
            self.metadata.bytes,
        )
        for index, engine in enumerate(self.engines):
            base = _ENGINES_WORD + _WORDS_PER_ENGINE * index
            words[base : base + 7] = (
                engine.pointers,
                engine.pointer_count,
                engine.neurons,
                engine.decoder,
                engine.table,
                engine.columns,
                engine.beats,
            )
        return words

    @classmethod
    def from_words(cls, words: npt.NDArray[np.uint32]) -> ImageHeader:
        """Read a header, uint32 [128]; raise EgretError where it contradicts itself or the format.

        Magic, version and checksum are the caller's to check, and so is where the sections lie.
        """
        value = [int(word) for word in words]
        build = _read_build(value[4], value[5])
        layers = value[6]
        if not 1 <= layers <= MAX_LAYERS:
            raise EgretError(f"The image has {layers} layers; 1..{MAX_LAYERS} are possible.")
        neurons = value[_NEURONS_WORD : _NEURONS_WORD + layers]
        for index, count in enumerate(neurons):
            if not 1 <= count <= 1 << 16:
                raise EgretError(f"Layer {index} of the image has {count} neurons; 1..65536 are possible.")
        if not 1 <= value[7]:
            raise EgretError("The image has no word in its vocabulary; it needs at least one.")
        rest = [
            *range(_NEURONS_WORD + layers, 16),
            *range(_TILE_WORD + 1, 32),
            *(_ENGINES_WORD + _WORDS_PER_ENGINE * index + 7 for index in range(build.engines)),
            *range(_ENGINES_WORD + _WORDS_PER_ENGINE * build.engines, _HEADER_WORDS),
        ]
        for index in rest:
            if value[index] != 0:
                raise EgretError(f"Word {index} of the image's header is {value[index]}; it must be zero.")
        engines = tuple(
            EngineSections(*value[_ENGINES_WORD + _WORDS_PER_ENGINE * index :][:7])
            for index in range(build.engines)
        )
        layout, decoder, tile_rows = Layout.of(build), Layout.of_decoder(build), value[_TILE_WORD]
        if not 1 <= tile_rows <= decoder.groups(value[7]):
            raise EgretError(
                f"A tile of the image's decoder has {tile_rows} rows of a lane; "
                f"1..{decoder.groups(value[7])} are possible."
            )
        pointer_count = count_pointers(neurons, len(decoder.tiles(value[7], tile_rows)))
        for index, engine in enumerate(engines):
            if engine.beats >= _MOST_BEATS:
                raise EgretError(
                    f"Engine {index} of the image has {engine.beats} beats of columns; fewer than "
                    f"{_MOST_BEATS} are possible."
                )
            if engine.pointer_count != pointer_count:
                raise EgretError(
                    f"Engine {index} of the image has {engine.pointer_count} column pointers; its layers "
                    f"and tiles need {pointer_count}."
                )
        return cls(
            total_bytes=value[2],
            layout=layout,
            decoder_layout=decoder,
            neurons=tuple(neurons),
            words=value[7],
            tile_rows=tile_rows,
            vocabulary=Section("vocabulary", value[16], value[17]),
            metadata=Section("metadata", value[18], value[19]),
            engines=engines,
        )

    def matrices(self) -> list[PackedMatrix]:
        """Return the matrices in the order of the network."""
        return packed_matrices(self.neurons, self.words, self.tile_rows, self.layout, self.decoder_layout)

    @property
    def tiles(self) -> int:
        """How many tiles the decoder is cut into."""
        return len(self.decoder_layout.tiles(self.words, self.tile_rows))

    def sections(self, engine: int) -> list[Section]:
        """Return the five sections of an engine."""
        layout, part = self.layout, self.engines[engine]
        sizes = _SectionSizes(layout, self.decoder_layout, self.neurons, self.words)
        return [
            Section("pointers", part.pointers, part.pointer_count * layout.bus_bytes),
            Section("neurons", part.neurons, sizes.neurons),
            Section("decoder", part.decoder, sizes.decoder),
            Section("table", part.table, sizes.table),
            Section("columns", part.columns, part.beats * layout.bus_bytes),
        ]

    def all_sections(self) -> list[Section]:
        """Return every section of the image, the header first."""
        return [
            Section("header", 0, HEADER_BYTES),
            self.vocabulary,
            self.metadata,
            *(section for engine in range(self.layout.engines) for section in self.sections(engine)),
        ]


class _SectionSizes:
    """Bytes of an engine's sections that do not depend on the weights."""

    def __init__(self, layout: Layout, decoder_layout: Layout, neurons: Sequence[int], words: int) -> None:
        self.neurons = NEURON_RECORD.itemsize * sum(layout.positions(count) for count in neurons)
        self.decoder = decoder_layout.bus_bytes * decoder_layout.positions(words)
        self.table = words * 3 * layout.plane_bytes(neurons[0])


def _read_build(first: int, second: int) -> Build:
    """Return the build of which words 4 and 5 of a header say all that shapes an image."""
    try:
        return Build(
            engines=first & 0xFF,
            lanes=first >> 8 & 0xFF,
            weight_bits=first >> 16 & 0xFF,
            gap_bits=first >> 24,
            bus_bytes=second & 0xFF,
            accumulator_bits=second >> 8 & 0xFF,
            decoder_lanes=second >> 16 & 0xFF,
            decoder_weight_bits=second >> 24 & 0xF,
            decoder_gap_bits=second >> 28,
        )
    except EgretError as error:
        raise EgretError(f"The image was packed for a build that cannot be: {error}") from error
