"""The sections of a model image, as arrays that are views of its bytes (docs/formats.md, section 4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from egret.archive import parse_json
from egret.errors import EgretError
from egret.image.columns import Columns
from egret.image.header import CHECKSUM_WORD, NEURON_RECORD, ImageHeader, Section
from egret.image.layout import Layout
from egret.image.packed_matrices import PackedMatrix

_BEATS_AT_ONCE = 16384
"""In one part of a matrix, or those of a single column: decoding takes memory for so many, and no more."""


@dataclass(frozen=True, eq=False)
class ImageSections:
    """The sections of an image, as views of its bytes; they are only as good as the header."""

    data: npt.NDArray[np.uint8]
    """uint8 [total bytes]."""
    header: ImageHeader

    @property
    def checksum(self) -> int:
        """The image's CRC-32, as its header states it."""
        return int(self.data[4 * CHECKSUM_WORD : 4 * CHECKSUM_WORD + 4].view("<u4")[0])

    @property
    def layout(self) -> Layout:
        """The build parameters that the layers were packed for."""
        return self.header.layout

    @property
    def decoder_layout(self) -> Layout:
        """The build parameters that the decoder was packed for."""
        return self.header.decoder_layout

    @property
    def neurons(self) -> tuple[int, ...]:
        """Neurons of each layer."""
        return self.header.neurons

    @cached_property
    def vocabulary(self) -> list[str]:
        """The V words."""
        return self.section_bytes(self.header.vocabulary).decode("utf-8").split("\n")

    @cached_property
    def description(self) -> dict[str, Any]:
        """The metadata section: "name", "metadata" (the checkpoint's), "dense_macs_per_token", "nonzeros"."""
        result: dict[str, Any] = parse_json(self.section_bytes(self.header.metadata).decode("utf-8"))
        return result

    @property
    def name(self) -> str:
        """The name of the checkpoint."""
        return str(self.description.get("name", ""))

    @property
    def metadata(self) -> dict[str, Any]:
        """The checkpoint's metadata."""
        found: dict[str, Any] = self.description.get("metadata", {})
        return found

    def matrices(self) -> list[PackedMatrix]:
        """Return the matrices in the order of the network."""
        return self.header.matrices()

    def pointers(self, engine: int) -> npt.NDArray[np.uint32]:
        """Return the column pointers of an engine, uint32 [pointer count], in beats."""
        part = self.header.engines[engine]
        beats = self.view(part.pointers, part.pointer_count * self.layout.bus_bytes).view("<u4")
        return beats.reshape(part.pointer_count, -1)[:, 0]

    def neuron_records(self, engine: int, layer: int) -> npt.NDArray[Any]:
        """Return the records of a layer's positions, NEURON_RECORD [K * P]."""
        before = sum(self.layout.positions(count) for count in self.neurons[:layer])
        size, count = NEURON_RECORD.itemsize, self.layout.positions(self.neurons[layer])
        return self.view(self.header.engines[engine].neurons + before * size, count * size).view(
            NEURON_RECORD
        )

    def decoder_records(self, engine: int) -> npt.NDArray[np.uint16]:
        """Return the decoder's records, uint16 [K_dec * P_dec, B / 2]: bias (as unsigned), shift, zeros."""
        count, size = self.decoder_layout.positions(self.header.words), self.layout.bus_bytes
        return (
            self.view(self.header.engines[engine].decoder, count * size).view("<u2").reshape(count, size // 2)
        )

    def word_records(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
        """Return copies of the biases, int16 [V], and the shifts, uint16 [V], of all words."""
        records = np.stack([self.decoder_records(engine) for engine in range(self.layout.engines)])
        words = self.decoder_layout.gather(records, self.header.words)
        return np.ascontiguousarray(words[:, 0]).view(np.int16), np.ascontiguousarray(words[:, 1])

    def table(self, engine: int) -> npt.NDArray[np.int16]:
        """Return the folded table, int16 [V, 3, plane bytes / 2], position i at index i, then zeros."""
        plane = self.layout.plane_bytes(self.neurons[0])
        data = self.view(self.header.engines[engine].table, self.header.words * 3 * plane)
        return data.view("<i2").reshape(self.header.words, 3, plane // 2)

    def table_row_beats(self) -> int:
        """Return the beats that one token's table row takes, on every engine."""
        return 3 * self.layout.plane_bytes(self.neurons[0]) // self.layout.bus_bytes

    def columns(self, engine: int) -> npt.NDArray[np.uint8]:
        """Return the columns section of an engine, uint8 [beats, B]."""
        part, size = self.header.engines[engine], self.layout.bus_bytes
        return self.view(part.columns, part.beats * size).reshape(part.beats, size)

    def matrix_columns(self, engine: int, matrix: PackedMatrix) -> Columns:
        """Return a copy of an engine's part of a matrix."""
        pointers = self.pointers(engine)
        begins = pointers[matrix.begins].astype(np.int64)
        own = np.zeros(matrix.columns + 1, dtype=np.int64)
        np.cumsum(pointers[matrix.ends] - begins, out=own[1:])
        return Columns(beats=self.columns(engine)[beat_numbers(begins, own)], pointers=own)

    def matrix_parts(self, engine: int, matrix: PackedMatrix) -> Iterator[Columns]:
        """Yield copies of an engine's columns of a matrix, a limited number of beats at a time.

        Columns are whole. All parts have all columns, most of them empty, so that a column keeps its number.
        Raises EgretError where a column has more beats than its lanes have rows.
        """
        lane_rows = matrix.gates * matrix.layout.groups(matrix.rows)
        pointers = self.pointers(engine)
        begins = pointers[matrix.begins].astype(np.int64)
        lengths = pointers[matrix.ends].astype(np.int64) - begins
        longest = int(lengths.argmax())
        if lengths[longest] > lane_rows:
            raise EgretError(
                f"column {longest}, beat {lane_rows} leads outside the {lane_rows} rows of its lanes."
            )
        ends = np.cumsum(lengths, dtype=np.int64)
        first = 0
        while first < matrix.columns:
            before = int(ends[first - 1]) if first else 0
            last = max(int(np.searchsorted(ends, before + _BEATS_AT_ONCE, side="right")), first + 1)
            own = np.zeros(matrix.columns + 1, dtype=np.int64)
            np.cumsum(lengths[first:last], out=own[first + 1 : last + 1])
            own[last + 1 :] = own[last]
            numbers = beat_numbers(begins[first:last], own[first : last + 1])
            yield Columns(beats=self.columns(engine)[numbers], pointers=own)
            first = last

    def view(self, offset: int, size: int) -> npt.NDArray[np.uint8]:
        """Return `size` bytes from `offset`."""
        return self.data[offset : offset + size]

    def section_bytes(self, section: Section) -> bytes:
        """Return a copy of a section."""
        return self.view(section.offset, section.bytes).tobytes()


def beat_numbers(begins: npt.NDArray[np.int64], pointers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return, int64 [beats], where in the columns section each beat of a matrix lies.

    begins: int64 [columns], where in the section each of its columns begins. pointers: int64 [columns + 1],
    where it would begin if the matrix lay there alone, and the end.
    """
    numbers = np.repeat(begins - pointers[:-1], np.diff(pointers).astype(np.intp))
    numbers += np.arange(numbers.size, dtype=np.int64)
    return numbers
