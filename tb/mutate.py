"""Do the benches see faults? `make mutate`: each of faults.toml is switched on, and some bench must fail.

The benches run one after the other, quick ones first, until one fails. A fault that none of them sees is a
missing test; the command then ends with an error. Without any fault, all of them must pass.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tb import ROOT
from tb.faults import Fault, read_faults, write_faulty_rtl
from tb.kernel_cases import CASES

TIMEOUT_CYCLES = 40_000
"""Longer than any command of these benches takes."""


@dataclass(frozen=True)
class Bench:
    """A test module, the case it runs, and the scenarios where it is the regression's."""

    module: str
    case: str
    scenarios: str = ""

    def __str__(self) -> str:
        return f"{self.module} {self.case}{' ' if self.scenarios else ''}{self.scenarios}"


BENCHES = (
    Bench("kernel_tests", "two_layers"),
    Bench("regression_tests", "two_layers", "0 1 2"),
    Bench("regression_tests", "two_layers", "3 4 5"),
    Bench("error_tests", "two_layers"),
    Bench("regression_tests", "two_layers", "6 7 8"),
    Bench("kernel_tests", "decoder_in_tiles"),
    Bench("kernel_tests", "more_tiles_than_events"),
    Bench("kernel_tests", "eight_layers"),
    Bench("kernel_tests", "tied_logits"),
    Bench("kernel_tests", "saturating"),
    Bench("slow_memory_tests", "silent_layers"),
    Bench("regression_tests", "two_layers", "9 10 11"),
)
"""All on one build of the kernel: it is compiled once."""


@dataclass(frozen=True)
class Outcome:
    """What became of a fault."""

    fault: Fault | None
    """None: the RTL as it is."""
    bench: Bench | None
    """The first that failed."""
    seen_by: str
    """What failed in it."""
    seconds: float
    """Of all benches up to that one."""


def what_failed(log: str) -> str:
    """Return the broken AXI rule, or the cocotb test that failed, by the log of a simulation.

    RuntimeError where there is neither: a bench that could not run has seen nothing.
    """
    rule = re.search(r"breaks the rule (\w+)", log)
    if rule:
        return f"AXI rule `{rule[1]}`"
    test = re.search(r"(\w+\.[\w/=]+) failed", log)
    if test:
        return f"`{test[1]}`"
    if "%Error" in log:
        return "an assertion of the RTL"
    raise RuntimeError(f"A bench did not run:\n{log[-2000:]}")


def run_benches(fault: Fault | None, seed: int, rtl: Path, builds: Path, results: Path) -> Outcome:
    """Run the benches with this fault until one fails."""
    from tb.simulation import run_bench, simulation_folder

    begin = time.monotonic()
    number = fault.number if fault else 0
    for index, bench in enumerate(BENCHES):
        case = next(case for case in CASES if case.name == bench.case)
        folder = results / f"{number}_{index}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        environment = {"EGRET_TIMEOUT_CYCLES": str(TIMEOUT_CYCLES), "EGRET_SCENARIOS": bench.scenarios}
        try:
            run_bench(
                bench.module,
                case,
                seed,
                folder,
                environment,
                simulation_folder(case.build, builds),
                [f"+fault={number}"],
            )
        except AssertionError:
            log = (folder / "simulation.log").read_text()
            return Outcome(fault, bench, what_failed(log), time.monotonic() - begin)
        shutil.rmtree(folder)
    return Outcome(fault, None, "", time.monotonic() - begin)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a table in Markdown."""
    lines = ["| unit | fault | seen by | s |", "|---|---|---|---|"]
    for outcome in outcomes:
        assert outcome.fault is not None
        seen = f"{outcome.bench.module} {outcome.bench.case}, {outcome.seen_by}" if outcome.bench else "NONE"
        lines.append(f"| {outcome.fault.unit} | {outcome.fault.name} | {seen} | {outcome.seconds:.0f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, check that all is well without a fault, switch on one after the other; 0 if all are seen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="of the benches' random networks")
    parser.add_argument("--fault", action="append", type=int, help="only the fault of this number")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "mutate")
    chosen = parser.parse_args(arguments)
    from tb.simulation import build_simulation

    faults = read_faults()
    output = chosen.output.resolve()
    rtl, builds, results = output / "rtl", output / "simulations", output / "results"
    try:
        write_faulty_rtl(faults, rtl)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    begin = time.monotonic()
    names = {bench.case for bench in BENCHES}
    for build in {case.build for case in CASES if case.name in names}:
        build_simulation(build, rtl, builds)
    print(f"seed {chosen.seed}; {len(faults)} faults; built in {time.monotonic() - begin:.0f} s", flush=True)

    def run(fault: Fault | None) -> Outcome:
        outcome = run_benches(fault, chosen.seed, rtl, builds, results)
        seen = f"{outcome.bench}, {outcome.seen_by}" if outcome.bench else "NO BENCH FAILED"
        what = f"{fault.number} {fault}" if fault else "no fault"
        print(f"{what}: {seen} ({outcome.seconds:.0f} s)", flush=True)
        return outcome

    if run(None).bench:
        print("A bench fails without any fault.", file=sys.stderr)
        return 2
    wanted = [fault for fault in faults if not chosen.fault or fault.number in chosen.fault]
    with ThreadPoolExecutor(chosen.processes) as pool:  # the work is done by the simulations' processes
        outcomes = list(pool.map(run, wanted))
    (output / "report.md").write_text(f"Seed {chosen.seed}.\n\n{table(outcomes)}\n")
    survivors = [outcome.fault for outcome in outcomes if outcome.bench is None]
    seen = len(outcomes) - len(survivors)
    print(f"{seen} of {len(outcomes)} faults seen, {time.monotonic() - begin:.0f} s; {output / 'report.md'}")
    for fault in survivors:
        print(f"No bench sees it: {fault}", file=sys.stderr)
    return 1 if survivors else 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
