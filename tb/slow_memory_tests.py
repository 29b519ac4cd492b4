"""The cocotb test of a memory that answers late, then without a pause: all that waits is due at once."""

from __future__ import annotations

import cocotb

from tb.kernel_bench import MemoryTiming
from tb.scene import SEED, Scene

DEEP_AND_SLOW = MemoryTiming(stalls={}, latency=(60, 60), reads_ahead=16, address_waits_for_data=True)


@cocotb.test()
async def runs_equal_the_reference_on_a_slow_memory(dut) -> None:  # type: ignore[no-untyped-def]
    """Marks of several layers reach the column fetcher's head together, with beats right behind them.

    And a write's address is taken only when its data are there.
    """
    scene = Scene(dut)
    scene.bench.set_timing(DEEP_AND_SLOW, SEED)
    await scene.start()
    for count in (12, 20):
        tokens = scene.tokens(count)
        scene.check(await scene.bench.run(tokens, True), scene.reference.run(tokens, True))
    scene.check(await scene.bench.generate(tokens[0], 3), scene.reference.generate(tokens[0], 3))
