"""Builds the kernel for each case of kernel_cases.py with Verilator and runs the cocotb tests on it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tb.kernel_cases import CASES, Case
from tb.simulation import run_bench

SEED = int(os.environ.get("EGRET_SEED", random.SystemRandom().randrange(1 << 31)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_kernel_equals_reference(case: Case, tmp_path: Path) -> None:
    """Every command, bit for bit, on a random network."""
    run_bench("kernel_tests", case, SEED, tmp_path)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.name in ("silent_layers", "eight_layers")],
    ids=lambda case: case.name,
)
def test_kernel_on_a_slow_memory(case: Case, tmp_path: Path) -> None:
    """A memory that answers late and then without a pause; layers with and without events."""
    run_bench("slow_memory_tests", case, SEED, tmp_path)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.name in ("two_layers", "ultra96_shape")],
    ids=lambda case: case.name,
)
def test_kernel_errors(case: Case, tmp_path: Path) -> None:
    """Every error code, provoked."""
    run_bench("error_tests", case, SEED, tmp_path)


def test_kernel_survives_hostile_images(tmp_path: Path) -> None:
    """Mutated images, past the loader: an error code or a run, and nothing outside the image is read."""
    run_bench(
        "hostile_image_tests", next(case for case in CASES if case.name == "two_layers"), SEED, tmp_path
    )
