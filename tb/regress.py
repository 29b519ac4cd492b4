"""The constrained-random regression: `make regress COUNT=... SEED=...`.

Plays random scenarios (random_scenarios.py) on the builds of kernel_cases.py, adds the functional coverage of
all simulations up, and fails if a scenario does, or if a coverage point (coverage_points.py) never came up.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tb.kernel_cases import CASES, Case

TIMEOUT_CYCLES = 200_000
"""Far more than any command of a scenario takes: one that takes longer hangs."""


def cases_of_builds(names: Sequence[str] = ()) -> list[Case]:
    """Return a case for every build that the benches know, or those named."""
    if names:
        return [case for case in CASES if case.name in names]
    return list({case.build: case for case in CASES}.values())


def play(case: Case, seed: int, numbers: Sequence[int], folder: Path) -> Path:
    """Play scenarios on the build of `case`; return the file of their coverage.

    AssertionError if one of them fails, with what repeats it.
    """
    from tb.simulation import run_bench

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    scenarios = " ".join(map(str, numbers))
    environment = {"EGRET_SCENARIOS": scenarios, "EGRET_TIMEOUT_CYCLES": str(TIMEOUT_CYCLES)}
    try:
        run_bench("regression_tests", case, seed, folder, environment)
    except AssertionError as error:
        raise AssertionError(f"scenarios {scenarios}, seed {seed}: {error}") from error
    return folder / "coverage.yml"


def spread(first: int, count: int, cases: Sequence[Case]) -> list[tuple[Case, list[int]]]:
    """Deal scenarios `first`, `first` + 1, ... to the cases in turn."""
    dealt = [
        (case, list(range(first + index, first + count, len(cases)))) for index, case in enumerate(cases)
    ]
    return [(case, numbers) for case, numbers in dealt if numbers]


def regress(
    cases: Sequence[Case], seed: int, first: int, count: int, folder: Path, processes: int = 1
) -> list[Path]:
    """Play `count` scenarios from `first` on; return the files of their coverage."""
    with ThreadPoolExecutor(processes) as pool:  # the work is done by the simulations' processes
        return list(
            pool.map(
                lambda dealt: play(dealt[0], seed, dealt[1], folder / f"{dealt[0].name}_{first}"),
                spread(first, count, cases),
            )
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, report, and say what is missing; 0 if nothing is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200, help="scenarios, all builds together")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--case", action="append", default=[], help="only the builds of these cases")
    parser.add_argument("--scenario", type=int, help="only this scenario (with --case)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("build/regress"))
    chosen = parser.parse_args(arguments)
    from tb.coverage_points import merge, missing, report

    print(f"seed {chosen.seed}", flush=True)
    cases = cases_of_builds(chosen.case)
    if not cases:
        print(f"No build has a case of these names: {', '.join(chosen.case)}.", file=sys.stderr)
        return 2
    begin = time.monotonic()
    first, count = (0, chosen.count) if chosen.scenario is None else (chosen.scenario, 1)
    try:
        files = regress(cases, chosen.seed, first, count, chosen.output.resolve(), chosen.processes)
    except AssertionError as error:
        print(error, file=sys.stderr)
        return 1
    counts: dict[str, Any] = merge(files, chosen.output / "coverage.yml")
    text = report(counts)
    (chosen.output / "report.txt").write_text(f"seed {chosen.seed}, {count} scenarios\n{text}\n")
    print(text)
    print(f"{count} scenarios on {len(files)} builds in {time.monotonic() - begin:.0f} s", end="; ")
    print(f"{chosen.output / 'report.txt'}, {chosen.output / 'coverage.yml'}")
    if chosen.scenario is None and (never := missing(counts)):
        print("Coverage points that never came up:\n  " + "\n  ".join(never), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    ROOT = Path(__file__).resolve().parent.parent
    os.chdir(ROOT)
    sys.exit(main())
