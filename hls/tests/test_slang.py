"""The kernel and the benches' SystemVerilog are clean for slang, and it would say so if they were not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hls import REPOSITORY as ROOT


def slang(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run slang.py."""
    return subprocess.run(
        [sys.executable, "-m", "hls.tools.slang", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


@pytest.mark.parametrize("engines", [1, 2])
def test_kernel_and_benches_are_clean(engines: int, tmp_path: Path) -> None:
    generate = [sys.executable, "-m", "hls.tools.generate", "--top", str(engines), "--output", str(tmp_path)]
    subprocess.run(generate, check=True, capture_output=True, cwd=ROOT)
    rtl = sorted((ROOT / "hls" / "rtl").glob("*.sv"), key=lambda path: not path.stem.endswith("_pkg"))
    result = slang(*rtl, tmp_path / "egret_kernel.sv", *sorted((ROOT / "tb").glob("*.sv")))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("assign a = b; logic b; assign b = 1'b0;", "'b' used before its declaration"),
        ("logic [1:0] b; assign b = 2'b11; assign a = b[2];", "cannot refer to element 2"),
        ("assign a = 1'b0", "expected ';'"),
    ],
)
def test_a_fault_is_named(body: str, said: str, tmp_path: Path) -> None:
    source = tmp_path / "m.sv"
    source.write_text(f"module m (output logic a);\n  {body}\nendmodule\n", encoding="utf-8")
    result = slang("--top", "m", source)
    assert result.returncode == 1 and said in result.stdout + result.stderr


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    assert slang(tmp_path / "m.sv").returncode == 1
