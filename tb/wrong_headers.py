"""Image headers that no kernel may load: one word wrong at a time, with the error that must come back.

The benches of the RTL and of the C++ kernel share them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from egret.contract import HEADER_BYTES
from egret.profiles import Build

FIRST_LAYER_WORD = 8
TILE_WORD = 20
"""Rows of a lane in a tile of the decoder."""
ENGINE_WORDS = 32
"""The first header word of engine 0."""
HEADER_WORDS_PER_ENGINE = 8


def ignored_words(build: Build, layers: int) -> list[int]:
    """Return the header words that the kernel does not look at: docs/formats.md, section 5."""
    engines = range(ENGINE_WORDS, ENGINE_WORDS + HEADER_WORDS_PER_ENGINE * build.engines)
    return [
        3,  # checksum
        *range(FIRST_LAYER_WORD + layers, TILE_WORD),
        *range(TILE_WORD + 1, ENGINE_WORDS),
        *engines[HEADER_WORDS_PER_ENGINE - 1 :: HEADER_WORDS_PER_ENGINE],
        *range(engines.stop, HEADER_BYTES // 4),
    ]


def wrong_words(
    header: npt.NDArray[np.uint32], image_bytes: int, build: Build, layers: int
) -> list[tuple[str, int, int]]:
    """Return (error name, header word, wrong value) triples.

    header: uint32 [128], of a good image of `image_bytes` bytes, `build` and `layers` layers.
    """
    first = ENGINE_WORDS
    last = ENGINE_WORDS + HEADER_WORDS_PER_ENGINE * (build.engines - 1)
    bad = [
        (0, 0),  # magic
        (1, 1),  # format version
        (1, 2),
        (1, 4),
        (TILE_WORD, 0),
        (2, 64),  # bytes of the image: less than a header
        (6, 0),  # layers
        (6, 9),
        (6, 16 + layers),  # the right count in its low bits
        (7, 0),  # vocabulary
        (FIRST_LAYER_WORD, 0),
        # an engine's pointers, their count, neurons, decoder, table, columns and their beats
        (first + 0, image_bytes),
        (first + 1, int(header[first + 1]) - 1),
        (first + 2, 0xFFFF_FFC0),
        (first + 3, image_bytes - 64),
        (first + 4, image_bytes - 64),
        (last + 4, int(header[last + 4]) + 8),
        (last + 5, image_bytes + 64),
        (last + 6, 0xFFFF_FFFF),
        (last + 6, image_bytes // build.bus_bytes),
    ]
    # engines, lanes, weight bits, gap bits; bus bytes, accumulator bits, decoder lanes, weight bits, gap bits
    built = [(4, int(header[4]) ^ flip) for flip in (1, 1 << 8, 1 << 16, 1 << 24)]
    built += [(5, int(header[5]) ^ flip) for flip in (8, 1 << 8, 1 << 16, 1 << 24, 1 << 28)]
    large = [(FIRST_LAYER_WORD, 65535), (FIRST_LAYER_WORD, 70000), (7, 1 << 20), (7, 0xFFFF_FFFF)]
    # Layer 0 with more than half of the neuron positions: two rows of the token table would not fit.
    large.append((FIRST_LAYER_WORD, build.slots * (build.neuron_depth // 2 // build.lanes + 1)))
    # A tile of more rows than its accumulators; a tile more than there are pointers for.
    large.append((TILE_WORD, build.logit_depth + 1))
    if layers > 1:
        large.append((FIRST_LAYER_WORD + 1, 5000))
        # A group more than the layer's accumulators hold, where the neuron positions would still do.
        large.append((FIRST_LAYER_WORD + 1, build.slots * (build.accumulator_depth // 4) + 1))
    return [
        (error, word, value)
        for error, changes in (("BAD_IMAGE", bad), ("WRONG_BUILD", built), ("LIMIT", large))
        for word, value in changes
    ]
