"""The HLS C++, natively compiled, equals the reference model on the networks of the RTL benches, errors too.

One test build runs under the address and undefined behaviour sanitizers; another has the number types that
are synthesised (ap_int). In both, sums reach the accumulator memory as late as the dependence pragma allows.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from egret import contract
from egret.virtual_board import csim_build
from egret.virtual_board.csim_build import CHECKED, EXACT, csim_bench_path
from hls.csim.vectors import VectorMaker, make_vectors
from tb.kernel_cases import CASES, Case

SEED = int(os.environ.get("EGRET_SEED", random.SystemRandom().randrange(1 << 31)))


def play(bench: Path, vectors: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(bench), str(vectors)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("case", [case for case in CASES if not case.tiled], ids=lambda case: case.name)
def test_kernel_equals_reference(case: Case, tmp_path: Path) -> None:
    """Status, results, logits and counters of every command, and nothing else written."""
    vectors = tmp_path / "vectors.bin"
    vectors.write_bytes(make_vectors(case, SEED))
    result = play(csim_bench_path(case.build), vectors)
    assert result.returncode == 0, f"seed {SEED}: {result.stdout}{result.stderr[-2000:]}"


@pytest.mark.parametrize(
    "name", ["pynq_z2_shape", "ultra96_shape", "saturating", "four_bit_weights", "narrow_gaps"]
)
def test_synthesised_types_give_the_same_bits(name: str, tmp_path: Path) -> None:
    """The same with ap_int in place of native integers."""
    case = next(case for case in CASES if case.name == name)
    vectors = tmp_path / "vectors.bin"
    vectors.write_bytes(make_vectors(case, SEED))
    result = play(csim_bench_path(case.build, EXACT), vectors)
    assert result.returncode == 0, f"seed {SEED}: {result.stdout}{result.stderr[-2000:]}"


def test_forwarding_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one forwarded sum too few, the test build gives other bits: it would find a wrong dependence."""
    for folder in ("src", "csim"):
        shutil.copytree(csim_build.HLS / folder, tmp_path / "hls" / folder)
    lane = tmp_path / "hls" / "src" / "lane.cpp"
    text = lane.read_text(encoding="utf-8")
    loop = "for (unsigned k = FORWARDED_SUMS; k > 0; --k)"
    assert loop in text
    lane.write_text(text.replace(loop, loop.replace("SUMS;", "SUMS - 1;")), encoding="utf-8")
    monkeypatch.setattr(csim_build, "HLS", tmp_path / "hls")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    case = next(case for case in CASES if case.name == "dense_all_fire")
    vectors = tmp_path / "vectors.bin"
    vectors.write_bytes(make_vectors(case, SEED))
    result = play(csim_bench_path(case.build), vectors)
    assert result.returncode == 1 and "FAILED: after command" in result.stdout, f"seed {SEED}"


@pytest.mark.skipif(shutil.which("clang++") is None, reason="clang++ is not installed")
def test_clang_compiles_it_too(tmp_path: Path) -> None:
    """Warnings are errors there, too."""
    case = CASES[0]
    vectors = tmp_path / "vectors.bin"
    vectors.write_bytes(make_vectors(case, SEED))
    result = play(csim_bench_path(case.build, CHECKED, "clang++"), vectors)
    assert result.returncode == 0, f"seed {SEED}: {result.stdout}{result.stderr[-2000:]}"


@pytest.mark.parametrize("what", ["results", "status", "stray"])
def test_a_wrong_bit_is_found(what: str, tmp_path: Path) -> None:
    """The bench fails where the kernel does anything but what the file says."""
    case = CASES[1]
    maker = VectorMaker(case, SEED)
    maker.load()
    given = maker.tokens(1)
    tokens = maker.place_tokens(given)
    trace = maker.reference.run(given)
    results = maker.file.allocate(contract.RESULT_BYTES)
    record = bytearray(maker.records(trace))
    if what == "results":
        record[12] ^= 1  # cycles: zero in every record
    if what != "stray":
        maker.file.expect(results, bytes(record))
    maker.file.command(
        contract.COMMAND_RUN, 1 if what == "status" else 0, token_count=1, tokens=tokens, results=results
    )
    vectors = tmp_path / "vectors.bin"
    vectors.write_bytes(maker.file.finish())
    result = play(csim_bench_path(case.build), vectors)
    assert result.returncode == 1
    assert ("ended with status 0x0, not 0x1" if what == "status" else "after command 1") in result.stdout
