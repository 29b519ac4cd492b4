"""How a kernel tells what it was built with: words of its counters block (hls/kernel.json, "counters")."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from egret import contract
from egret.profiles import Build


def words_of(build: Build) -> dict[str, int]:
    """Return the words, below 2^64, that a kernel of this build writes, by their names in COUNTERS."""
    return {
        "build": build.engines
        | build.lanes << 8
        | build.weight_bits << 16
        | build.gap_bits << 24
        | build.bus_bytes << 32
        | build.accumulator_bits << 40
        | contract.MAX_LAYERS << 48
        | build.decoder_lanes << 56,
        "decoder_build": build.decoder_weight_bits
        | build.decoder_gap_bits << 8
        | (build.decoder_depth - 1) << 16,
        "limits": build.neuron_depth - 1
        | (build.accumulator_depth - 1) << 16
        | (build.logit_depth - 1) << 32
        | (build.pointer_depth - 1) << 48,
    }


def build_of(words: npt.NDArray[np.uint64]) -> Build:
    """Return the build that a counters block, uint64 [COUNTERS_BYTES / 8], describes.

    What the block does not tell (burst length, reads in flight: packing does not depend on them) has the
    default. Raises EgretError for values no kernel can have.
    """
    build, decoder, limits = (
        int(words[contract.COUNTERS[name][0]]) for name in ("build", "decoder_build", "limits")
    )
    return Build(
        engines=build & 0xFF,
        lanes=build >> 8 & 0xFF,
        weight_bits=build >> 16 & 0xFF,
        gap_bits=build >> 24 & 0xFF,
        bus_bytes=build >> 32 & 0xFF,
        accumulator_bits=build >> 40 & 0xFF,
        decoder_lanes=build >> 56,
        decoder_weight_bits=decoder & 0xFF,
        decoder_gap_bits=decoder >> 8 & 0xFF,
        neuron_depth=(limits & 0xFFFF) + 1,
        accumulator_depth=(limits >> 16 & 0xFFFF) + 1,
        decoder_depth=(decoder >> 16 & 0xFFFF) + 1,
        logit_depth=(limits >> 32 & 0xFFFF) + 1,
        pointer_depth=(limits >> 48) + 1,
    )
