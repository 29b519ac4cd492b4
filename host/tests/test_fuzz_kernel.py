"""Mutated images given to the kernel itself, past the loader: an error code or a run, no read outside them.

It is the natively compiled kernel; tb/hostile_image_tests.py gives a few to the RTL.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace

import numpy as np
import pytest

from egret import contract
from egret.image.packer import pack
from egret.profiles import BOARDS
from egret.reference.model import ReferenceModel
from egret.virtual_board import csim_build
from egret.virtual_board.csim_model import CsimModel
from host.tests.support.image_mutations import mutate
from tb.kernel_cases import CASES, make_checkpoint

SEED = int(os.environ.get("EGRET_SEED", random.SystemRandom().randrange(1 << 31)))
SIZE = 1 << 20
BASE = 0x1000_0000
RESULTS, COUNTERS = BASE + 0xC0000, BASE + 0xF0000
# The tokens stand just before the image: then all that may be read is one range of addresses.
TOKENS, IMAGE = BASE + 0x1000, BASE + 0x1040
IMAGE_ROOM = RESULTS - IMAGE
COUNT = 12


class Kernel:
    """A kernel with results, counters and a block for images in its memory."""

    def __init__(self, name: str) -> None:
        case = next(case for case in CASES if case.name == name)
        self.checkpoint = make_checkpoint(case, SEED)
        self.image = pack(self.checkpoint, case.build)
        self.memory = np.zeros(SIZE, dtype=np.uint8)
        self.model = CsimModel(replace(BOARDS["pynq-z2"], build=case.build), self.memory, BASE)
        self.tokens = np.random.default_rng(SEED).integers(0, case.vocabulary, COUNT, dtype=np.uint32)

    def execute(self, command: int, **arguments: int) -> int:
        for name, value in {"command": command, "counters": COUNTERS, **arguments}.items():
            offset, bits, _ = contract.REGISTERS[name]
            for word in range(bits // 32):
                self.model.write_register(offset + 4 * word, value >> 32 * word)
        self.model.write_register(contract.REGISTERS["CTRL"][0], 1)
        return self.model.read_register(contract.REGISTERS["status"][0]) & 0xFF

    def load(self, data: np.ndarray) -> int:
        self.memory[IMAGE - BASE :][:IMAGE_ROOM] = 0
        self.memory[IMAGE - BASE :][: data.size] = data
        return self.execute(contract.COMMAND_LOAD, image=IMAGE)

    def run(self) -> int:
        self.memory[TOKENS - BASE :][: self.tokens.nbytes] = self.tokens.view(np.uint8)
        return self.execute(contract.COMMAND_RUN, token_count=COUNT, tokens=TOKENS, results=RESULTS)

    def check_works(self) -> None:
        assert self.load(self.image.data) == 0
        assert self.run() == 0
        records = (
            self.memory[RESULTS - BASE :][: COUNT * contract.RESULT_BYTES].view(np.uint32).reshape(COUNT, -1)
        )
        np.testing.assert_array_equal(records[:, 0], ReferenceModel(self.checkpoint).run(self.tokens).argmax)


@pytest.mark.skipif(
    csim_build.importlib.util.find_spec("hls4ml") is None, reason="hls4ml brings the ap_types headers"
)
@pytest.mark.parametrize("name", ["two_layers", "ultra96_shape"])
def test_mutated_images_do_no_harm(name: str) -> None:
    """LOAD, then RUN: each ends with a known code; reads stay in the bytes that its header claims."""
    bench = Kernel(name)
    bench.check_works()
    loaded = 0
    for number in range(300):
        draw = random.Random(f"{SEED} {number}")
        mutation, data = mutate(draw, bench.image)
        place = f"EGRET_SEED={SEED}, image {number}, {mutation}"
        if data.size > IMAGE_ROOM:
            continue
        bench.model.take_accesses()
        loading = bench.load(data)
        assert loading in contract.ERRORS, place
        running = bench.run()
        assert running in contract.ERRORS, place
        read, written = bench.model.take_accesses()
        end = IMAGE + max(
            data.size, contract.HEADER_BYTES, int(bench.memory[IMAGE + 8 - BASE :][:4].view("<u4")[0])
        )
        assert TOKENS <= read.start and read.stop <= end, place
        assert RESULTS <= written.start and written.stop <= COUNTERS + contract.COUNTERS_BYTES, place
        if loading:
            assert contract.ERRORS[running][0] == "NOT_LOADED", place
        loaded += loading == 0
        if number % 25 == 0:
            bench.check_works()
    assert loaded >= 30, f"too few passed LOAD to try RUN: {loaded}; EGRET_SEED={SEED}"
    bench.check_works()
