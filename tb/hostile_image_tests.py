"""The cocotb tests of images that the packer does not write: past the loader, into the kernel."""

from __future__ import annotations

import random

import cocotb
import numpy as np

from egret import contract
from egret.image.model_image import ModelImage
from host.tests.support.image_mutations import hostile_header, hostile_pointers, hostile_section, truncated
from tb.kernel_bench import MEMORY_BASE
from tb.loose_image import loosen
from tb.scene import SEED, Scene

IMAGES = 40


@cocotb.test()
async def mutated_images_do_no_harm(dut) -> None:  # type: ignore[no-untyped-def]
    """LOAD, then RUN: a known error code or a run to its end; no read outside image and tokens."""
    scene = Scene(dut)
    bench, memory = scene.bench, scene.bench.memory
    await bench.reset()
    tokens = bench.place(np.zeros(64, dtype=np.uint8))
    results = bench.allocate(8 * contract.RESULT_BYTES)
    free = bench.next_free
    codes = set()
    for number in range(IMAGES):
        draw = random.Random(f"{SEED} {number}")
        # most mutations of a header end in LOAD; the others are what a run meets
        mutation = draw.choice(
            (hostile_header, hostile_pointers, hostile_pointers, hostile_section, truncated)
        )
        data = mutation(draw, scene.image.data.copy(), scene.image)
        bench.next_free = free
        memory.bytes[free - MEMORY_BASE :] = 0
        address = bench.place(data)
        room = max(data.size, contract.HEADER_BYTES)
        if data.size >= 12:
            room = max(room, int(data[8:12].view("<u4")[0]))
        bench.next_free = address + 2 * scene.image.data.size // 64 * 64
        memory.read_lines.clear()
        place = f"image {number}, {mutation.__name__}"
        loading, _ = await bench.execute(contract.COMMAND_LOAD, image=address)
        running, _ = await bench.execute(contract.COMMAND_RUN, token_count=8, tokens=tokens, results=results)
        assert loading & 0xFF in contract.ERRORS and running & 0xFF in contract.ERRORS, place
        if loading:
            assert contract.ERRORS[running & 0xFF][0] == "NOT_LOADED", place
        codes |= {loading & 0xFF, running & 0xFF}
        outside = {line for line in memory.read_lines if not address <= line < address + room} - {tokens}
        assert not outside, f"{place}: read {min(outside):#x}, the image is at {address:#x}, {room} bytes"
    assert len(codes) >= 4, f"too few kinds of outcome: {codes}"
    bench.next_free = free
    scene.forget()
    await bench.load(scene.image)
    words = scene.tokens(3)
    scene.check(await bench.run(words, True), scene.reference.run(words, True))


@cocotb.test()
async def columns_may_be_longer_than_they_need(dut) -> None:  # type: ignore[no-untyped-def]
    """Entries of weight 0 that lead out of their lane change nothing but the beats."""
    scene = Scene(dut)
    scene.image = ModelImage.parse(loosen(scene.image).data)
    await scene.start()
    tokens = scene.tokens(5)
    scene.check(await scene.bench.run(tokens, True), scene.reference.run(tokens, True))
    scene.check(await scene.bench.generate(tokens[0], 2), scene.reference.generate(tokens[0], 2))
