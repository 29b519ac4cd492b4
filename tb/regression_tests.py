"""The cocotb test of the regression: random scenarios, every run bit for bit, with functional coverage.

Run by regress.py, which passes EGRET_SCENARIOS, the numbers of the scenarios ("3 4 7"), beside what
simulation.py does; the counts of the coverage points are left in coverage.yml.
"""

from __future__ import annotations

import os
from pathlib import Path

import cocotb

from tb.coverage_points import write_coverage
from tb.random_scenarios import draw_scenario
from tb.scenario_player import Player
from tb.scene import CASE, SEED


@cocotb.test()
@cocotb.parametrize(number=[int(number) for number in os.environ["EGRET_SCENARIOS"].split()])
async def scenario(dut, number: int) -> None:  # type: ignore[no-untyped-def]
    """Commands, errors and resets in the middle; the kernel equals the reference model throughout."""
    player = Player(dut, draw_scenario(SEED, number, CASE.build))
    try:
        await player.play()
    finally:
        player.sample_kernel()
        write_coverage(Path("coverage.yml"))
