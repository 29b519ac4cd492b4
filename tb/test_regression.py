"""A short constrained-random regression: random scenarios until every coverage point has come up."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tb.regress import cases_of_builds, play, regress
from tb.simulation import KERNEL

pytest.importorskip("cocotb_coverage", reason="cocotb-coverage 2 needs Python 3.11")

SEED = int(os.environ.get("EGRET_SEED", 20261124))
"""The same scenarios every time: `make regress` is what draws new ones."""
BUILDS = ("two_layers", "narrow_gaps", "ultra96_shape")
AT_FIRST, MORE, AT_MOST = 9, 3, 45


@pytest.mark.skipif(KERNEL != "rtl", reason="the coverage points are counted in hls/rtl")
def test_random_scenarios_cover_every_point(tmp_path: Path) -> None:
    """Every scenario bit for bit; those of the first round nearly cover it all, further ones the rest."""
    from tb.coverage_points import merge, missing

    cases = cases_of_builds(BUILDS)
    files = regress(cases, SEED, 0, AT_FIRST, tmp_path)
    played = AT_FIRST
    while never := missing(merge(files, tmp_path / "coverage.yml")):
        assert played < AT_MOST, f"seed {SEED}: after {played} scenarios never: {'; '.join(never)}"
        # one simulation at a time: to start one costs as much as a scenario
        case = cases[played // MORE % len(cases)]
        files.append(play(case, SEED, range(played, played + MORE), tmp_path / f"more_{played}"))
        played += MORE
    print(f"{played} scenarios", file=sys.stderr)


def test_points_that_never_came_up_are_named(tmp_path: Path) -> None:
    """Where nothing was played, everything is missing: by its name, in the list and in the report."""
    from tb.coverage_points import IN_KERNEL, merge, missing, report, write_coverage

    write_coverage(tmp_path / "one.yml")
    counts = merge([tmp_path / "one.yml"], tmp_path / "coverage.yml")
    never = missing(counts)
    assert len(never) == counts["egret"]["size"] > 150
    assert {f"kernel: {name}" for name in IN_KERNEL} <= set(never)
    assert f"0 of {len(never)} bins" in report(counts)
