"""The cocotb tests of the kernel: every command against the reference model, bit for bit.

Run by test_kernel.py, which builds the simulator for the build and passes the case by environment variables:
EGRET_CASE (name in kernel_cases.py) and EGRET_SEED.
"""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout

from egret import contract
from tb.kernel_bench import CLOCK_NS, MEMORY_BASE, TIMEOUT_CYCLES
from tb.scene import SEED, Scene


@cocotb.test()
async def runs_equal_the_reference(dut) -> None:  # type: ignore[no-untyped-def]
    """Teacher-forced runs and generation, with and without logits; state carried over, then reset."""
    scene = Scene(dut)
    await scene.start()
    bench, reference = scene.bench, scene.reference
    for count, logits in ((1, True), (20, True), (5, False), (17, False)):
        tokens = scene.tokens(count)
        scene.check(await bench.run(tokens, logits), reference.run(tokens, logits))
    first = scene.tokens(1)[0]
    scene.check(await bench.generate(first, 9, logits=True), reference.generate(first, 9, logits=True))
    await bench.reset_state()
    scene.forget()
    tokens = scene.tokens(6)
    scene.check(await bench.run(tokens, True), reference.run(tokens, True))
    scene.check(await bench.generate(first, 4), reference.generate(first, 4))


@cocotb.test()
async def runs_equal_the_reference_with_stalls(dut) -> None:  # type: ignore[no-untyped-def]
    """The same bits with every AXI channel stalling at random."""
    scene = Scene(dut)
    scene.bench.set_stalls(SEED, 0.4)
    await scene.start()
    tokens = scene.tokens(12)
    scene.check(await scene.bench.run(tokens, True), scene.reference.run(tokens, True))
    scene.check(await scene.bench.generate(tokens[0], 5), scene.reference.generate(tokens[0], 5))


@cocotb.test()
async def a_command_restarts_by_itself(dut) -> None:  # type: ignore[no-untyped-def]
    """AUTO_RESTART: RUN after RUN without a start in between, each on the state of the one before."""
    scene = Scene(dut)
    await scene.start()
    bench, tokens = scene.bench, scene.tokens(3)
    results = bench.allocate(3 * contract.RESULT_BYTES)
    await bench.start(
        contract.COMMAND_RUN,
        tokens=bench.place(np.array(tokens, dtype=np.uint32).view(np.uint8)),
        token_count=3,
        results=results,
    )
    await bench.write_register("CTRL", 1 << 7)  # while the first one runs
    for number in range(3):
        await with_timeout(RisingEdge(dut.interrupt), TIMEOUT_CYCLES * CLOCK_NS, "ns")
        if number == 1:
            await bench.write_register("CTRL", 0)  # the third, which has begun, is the last
        await bench.write_register("IP_ISR", 1)
    await ClockCycles(dut.ap_clk, 100)
    assert await bench.read_register("CTRL") & 0b101 == 0b100, "idle, and not about to start"
    traces = [scene.reference.run(tokens) for _ in range(3)]
    record = bench.view(results, 3 * contract.RESULT_BYTES).view(np.uint32).reshape(3, -1)
    np.testing.assert_array_equal(record[:, 0], traces[-1].argmax)
    np.testing.assert_array_equal(record[:, 1].view(np.int32), traces[-1].logit)


@cocotb.test()
async def arguments_are_those_at_the_start(dut) -> None:  # type: ignore[no-untyped-def]
    """What is written to the arguments while a command runs is for the next one; a start then is none."""
    scene = Scene(dut)
    await scene.start()
    bench, tokens = scene.bench, scene.tokens(4)
    results = bench.allocate(4 * contract.RESULT_BYTES)
    await bench.start(
        contract.COMMAND_RUN,
        tokens=bench.place(np.array(tokens, dtype=np.uint32).view(np.uint8)),
        token_count=4,
        results=results,
    )
    await bench.write_register("CTRL", 1)
    assert await bench.read_register("CTRL") & 0b110 == 0, "not busy any more"
    for name, value in (("command", 0xFFFF), ("flags", 1), ("token_count", 1 << 20)):
        await bench.write_register(name, value)
    for name in ("tokens", "results", "counters", "logits", "image"):
        await bench.write_register(name, 12)
    await with_timeout(RisingEdge(dut.interrupt), TIMEOUT_CYCLES * CLOCK_NS, "ns")
    await ClockCycles(dut.ap_clk, 100)
    assert await bench.read_register("CTRL") & 0b101 == 0b100, "idle, and not about to start"
    assert await bench.read_register("status") == 0
    assert await bench.read_register("token_count") == 1 << 20, "a register reads as it was written"
    record = bench.view(results, 4 * contract.RESULT_BYTES).view(np.uint32).reshape(4, -1)
    np.testing.assert_array_equal(record[:, 0], scene.reference.run(tokens).argmax)


@cocotb.test()
async def a_run_stays_in_its_buffers(dut) -> None:  # type: ignore[no-untyped-def]
    """It reads tokens 64 bytes at a time, and the image; it writes results, logits and counters."""
    scene = Scene(dut)
    await scene.start()
    bench, build, words, count = scene.bench, scene.case.build, scene.case.vocabulary, 17
    image_bytes = bench.view(MEMORY_BASE, scene.image.data.size)
    before = image_bytes.copy()
    positions = -(-words // build.decoder_slots) * build.decoder_lanes
    block = -(-4 * positions // 64) * 64
    start = bench.next_free
    tokens = bench.place(np.array(scene.tokens(count), dtype=np.uint32).view(np.uint8))
    results, size = bench.allocate(count * contract.RESULT_BYTES), count * build.engines * block
    logits = bench.allocate(size)
    bench.view(logits, size)[:] = 0xA5
    bench.memory.read_lines.clear()
    bench.memory.written_lines.clear()
    status, counters = await bench.execute(
        contract.COMMAND_RUN,
        token_count=count,
        tokens=tokens,
        results=results,
        logits=logits,
        flags=contract.FLAG_WRITE_LOGITS,
    )
    assert status == 0 and counters.identity == contract.MAGIC << 32 | contract.KERNEL_VERSION
    np.testing.assert_array_equal(image_bytes, before, "the image must not change")
    assert {line for line in bench.memory.read_lines if line >= start} == {tokens, tokens + 64}
    assert min(bench.memory.read_lines) >= MEMORY_BASE
    assert min(bench.memory.written_lines) >= start
    assert max(bench.memory.written_lines) < bench.next_free
    # Words that are none have logit 0, and so has what fills the last beat; behind that nothing is written.
    blocks = bench.view(logits, size).view(np.uint32).reshape(count, build.engines, block // 4)
    dealt = blocks[:, :, :positions].transpose(0, 2, 1).reshape(count, -1)
    assert not dealt[:, words:].any()
    beat_end = -(-4 * positions // build.bus_bytes) * build.bus_bytes // 4
    assert not blocks[:, :, positions:beat_end].any()
    assert (blocks[:, :, beat_end:] == 0xA5A5_A5A5).all()
