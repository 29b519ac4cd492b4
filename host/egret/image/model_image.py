"""A model image: a packed model, in a file and in one block of DDR (docs/formats.md, section 4)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from egret.contract import HEADER_BYTES
from egret.errors import EgretError
from egret.files import write_atomically
from egret.image.checks import check_content, check_envelope
from egret.image.columns import count_slots
from egret.image.header import ImageHeader
from egret.image.layout import Layout
from egret.image.packed_matrices import PackedMatrix
from egret.image.sections import ImageSections


@dataclass(frozen=True)
class MatrixStatistics:
    """How a matrix fills its beats; all engines together."""

    name: str
    weights: int
    """All weights, zero or not."""
    nonzeros: int
    beats: int
    beats_of_busiest_engine: int
    slots: int
    """Entries: one for each beat and lane; nonzeros + escapes + padding."""
    escapes: int
    """Entries that only step over pruned rows."""
    padding: int
    """Entries of lanes that were done before the longest."""
    code_bits: int
    """Bits of the entries that are no padding, weight and gap: what lanes of equal length would take."""
    bus_bits: int
    """Bits of its beats, with the bits above a beat's last entry."""
    layout: Layout | None
    """Who owns its rows, and what an entry is; None for sums over matrices."""

    @property
    def bits_per_nonzero(self) -> float:
        """Bus bits for each non-zero weight: what is fetched; 0.0 where there is none."""
        return self.bus_bits / self.nonzeros if self.nonzeros else 0.0

    @property
    def code_bits_per_nonzero(self) -> float:
        """code_bits for each non-zero weight; 0.0 where there is none."""
        return self.code_bits / self.nonzeros if self.nonzeros else 0.0

    @property
    def slots_used(self) -> float:
        """Share of entries that hold a non-zero weight; 0.0 where there is none."""
        return self.nonzeros / self.slots if self.slots else 0.0


@dataclass(frozen=True)
class ImageStatistics:
    """Where an image's bytes go."""

    total_bytes: int
    section_bytes: dict[str, int]
    """Bytes by section name, all engines together; "gaps" are the zeros between sections."""
    matrices: tuple[MatrixStatistics, ...]

    @property
    def all_matrices(self) -> MatrixStatistics:
        """The sums over the matrices (the busiest engine's beats are those of each matrix added up)."""

        def total(field: str) -> int:
            return sum(int(getattr(matrix, field)) for matrix in self.matrices)

        counts = (
            "weights",
            "nonzeros",
            "beats",
            "beats_of_busiest_engine",
            "slots",
            "escapes",
            "padding",
            "code_bits",
            "bus_bits",
        )
        return MatrixStatistics(name="all", layout=None, **{field: total(field) for field in counts})


@dataclass(frozen=True, eq=False)
class ModelImage(ImageSections):
    """A checked image. Arrays that it gives out are views of `data`."""

    def statistics(self) -> ImageStatistics:
        """Count slots, padding, gap escapes and bytes; raise EgretError where a beat has stray bits."""
        sections: dict[str, int] = {}
        for section in self.header.all_sections():
            sections[section.name] = sections.get(section.name, 0) + section.bytes
        sections["gaps"] = self.header.total_bytes - sum(sections.values())
        return ImageStatistics(
            total_bytes=self.header.total_bytes,
            section_bytes=sections,
            matrices=tuple(
                self._matrix_statistics([matrix for matrix in self.matrices() if matrix.name == name])
                for name in dict.fromkeys(matrix.name for matrix in self.matrices())
            ),
        )

    def _matrix_statistics(self, tiles: Sequence[PackedMatrix]) -> MatrixStatistics:
        layout = tiles[0].layout
        counts, beats = [], [0] * layout.engines
        for matrix in tiles:
            for engine in range(layout.engines):
                part = self.matrix_columns(engine, matrix)
                counts.append(count_slots(part, layout))
                beats[engine] += part.beats.shape[0]
        nonzeros, escapes = sum(count.weights for count in counts), sum(count.escapes for count in counts)
        return MatrixStatistics(
            name=tiles[0].name,
            weights=sum(matrix.weights for matrix in tiles),
            nonzeros=nonzeros,
            beats=sum(beats),
            beats_of_busiest_engine=max(beats),
            slots=sum(beats) * layout.lanes,
            escapes=escapes,
            padding=sum(count.padding for count in counts),
            code_bits=layout.entry_bits * (nonzeros + escapes),
            bus_bits=sum(beats) * layout.bus_bytes * 8,
            layout=layout,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the image to `path`, whole or not at all; raise EgretError where it cannot be written."""
        write_atomically(path, self.data)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ModelImage:
        """Read and check the image at `path`; raise EgretError where it cannot be read or is not valid."""
        try:
            data = np.fromfile(Path(path), dtype=np.uint8)
        except FileNotFoundError as error:
            raise EgretError(f"There is no model image at {path}.") from error
        except OSError as error:
            raise EgretError(f"{path} cannot be read: {error.strerror or error}.") from error
        try:
            return cls.parse(data)
        except EgretError as error:
            raise EgretError(f"{path}: {error}") from error

    @classmethod
    def parse(cls, data: bytes | bytearray | memoryview | npt.NDArray[np.uint8]) -> ModelImage:
        """Check an image and return it, without copying it.

        Everything is checked but whether the column beats are those that pack() would write for their
        weights. Raises EgretError, with a sentence of its own for each:
        no image or another version; truncated or too long; checksum; a build or a model that cannot be; a
        section misaligned, outside, or over another; bytes set between sections; pointers out of order;
        values out of range; padding that is not as the format says; vocabulary or metadata that are not text,
        or not of this vocabulary; an entry for a row outside its lane; a row whose accumulator could wrap.
        """
        array = data if isinstance(data, np.ndarray) else np.frombuffer(data, dtype=np.uint8)
        if array.dtype != np.uint8 or array.ndim != 1 or not array.flags.c_contiguous:
            raise EgretError(
                f"An image must be contiguous bytes; it is {array.dtype} of shape {list(array.shape)}."
            )
        check_envelope(array)
        image = cls(data=array, header=ImageHeader.from_words(array[:HEADER_BYTES].view("<u4")))
        check_content(image)
        return image
