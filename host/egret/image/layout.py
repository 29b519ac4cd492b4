"""Who owns which row, and how many bits an entry has: the geometry that an image is packed for.

docs/formats.md, section 3, gives the rule: neuron j belongs to engine e = j mod N, at position i = j div N;
position i belongs to lane i mod P, in group i div P. A build has two layouts, of the layers and of the
decoder: they share engines, beats and accumulators, and differ in lanes and in the bits of an entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from egret.profiles import Build


@dataclass(frozen=True)
class Layout:
    """The build parameters that shape rows and columns of layers, or of the decoder; others are limits."""

    engines: int
    """N."""
    lanes: int
    """P, of each engine."""
    bus_bytes: int
    """B, bytes of a beat."""
    weight_bits: int
    gap_bits: int
    accumulator_bits: int

    @classmethod
    def of(cls, build: Build) -> Layout:
        """Return the layout of a build's layers: neurons, and input and recurrent columns."""
        return cls(
            engines=build.engines,
            lanes=build.lanes,
            bus_bytes=build.bus_bytes,
            weight_bits=build.weight_bits,
            gap_bits=build.gap_bits,
            accumulator_bits=build.accumulator_bits,
        )

    @classmethod
    def of_decoder(cls, build: Build) -> Layout:
        """Return the layout of a build's decoder: words, and decoder columns."""
        return cls(
            engines=build.engines,
            lanes=build.decoder_lanes,
            bus_bytes=build.bus_bytes,
            weight_bits=build.decoder_weight_bits,
            gap_bits=build.decoder_gap_bits,
            accumulator_bits=build.accumulator_bits,
        )

    @property
    def slots(self) -> int:
        """N * P: rows are dealt to this many lanes."""
        return self.engines * self.lanes

    @property
    def entry_bits(self) -> int:
        """Bits of one lane's entry in a beat."""
        return self.weight_bits + self.gap_bits

    @property
    def largest_gap(self) -> int:
        """Rows that one entry can skip: none where there are no gap bits."""
        return (1 << self.gap_bits) - 1

    @property
    def entry_format(self) -> str:
        """A beat in words: "5 x 8+4 bits" are five entries with 8 bits of weight and 4 of gap each."""
        return f"{self.lanes} x {self.weight_bits}+{self.gap_bits} bits"

    def groups(self, rows: int) -> int:
        """Return K = ceil(rows / (N * P)): rows of one lane."""
        return -(-rows // self.slots)

    def positions(self, rows: int) -> int:
        """Return K * P: positions of one engine, padding counted."""
        return self.groups(rows) * self.lanes

    def tiles(self, words: int, tile_rows: int) -> list[range]:
        """Return the words of each tile: as the rows of a lane follow each other, so do its words."""
        step = tile_rows * self.slots
        return [range(first, min(first + step, words)) for first in range(0, words, step)]

    def plane_bytes(self, rows: int) -> int:
        """Return the bytes of one plane of a table row: K * P int16, in whole beats."""
        return -(-2 * self.positions(rows) // self.bus_bytes) * self.bus_bytes

    def deal(self, array: npt.NDArray[Any], fill: int = 0) -> npt.NDArray[Any]:
        """Deal [H, ...] to engines: [N, K * P, ...], with `fill` at the positions that are padding."""
        rows = array.shape[0]
        padded = np.full((self.positions(rows) * self.engines, *array.shape[1:]), fill, dtype=array.dtype)
        padded[:rows] = array
        return padded.reshape(-1, self.engines, *array.shape[1:]).swapaxes(0, 1)

    def gather(self, dealt: npt.NDArray[Any], rows: int) -> npt.NDArray[Any]:
        """Undo deal(): [N, K * P, ...] to [rows, ...]."""
        return np.ascontiguousarray(dealt.swapaxes(0, 1)).reshape(-1, *dealt.shape[2:])[:rows]

    def is_row(self, rows: int) -> npt.NDArray[np.bool_]:
        """Return, bool [N, K * P], which positions are rows; the others are padding."""
        return self.deal(np.ones(rows, dtype=np.bool_))


def best_tile_rows(groups: int, depth: int) -> int:
    """Return K_t, a lane's decoder rows in a tile, of `groups` rows in all.

    depth: the rows of the largest tile that a kernel takes (LOGIT_DEPTH); of half as many, one is swept while
    the next is fetched. All rows are one tile if they fit; else there are as few tiles of half that size as
    will do, as equal as they can be.
    """
    if groups <= depth:
        return groups
    tiles = -(-groups // (depth // 2))
    return -(-groups // tiles)
