"""What hls/tools/generate.py makes agrees with hls/kernel.json and with the numbers in NumPy."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from egret import contract
from egret.arithmetic import SIGMOID, TANH
from egret.errors import EgretError
from egret.installation import CHECKOUT as REPOSITORY
from egret.profiles import BOARDS, Build

DESCRIPTION: dict[str, Any] = json.loads((REPOSITORY / "hls" / "kernel.json").read_text(encoding="utf-8"))
PACKAGE = (REPOSITORY / "hls" / "rtl" / "egret_pkg.sv").read_text(encoding="utf-8")


def run_generate(*arguments: str, root: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hls.tools.generate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)


def package_constant(name: str) -> int:
    found = re.search(rf"localparam [^=]*\b{name} = (?:\d+'([hd]))?([0-9a-f]+);", PACKAGE)
    assert found, name
    return int(found[2], 16 if found[1] == "h" else 10)


def test_the_committed_files_are_what_would_be_generated() -> None:
    result = run_generate("--check")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"token_count", "offset": "0x20"', '"token_count", "offset": "0x6c"'),
        ('"LANES": {"default": 5', '"LANES": {"default": 4'),
        ('"source_mhz": 1000, "divisor": 8', '"source_mhz": 1000, "divisor": 7'),
    ],
)
def test_the_check_sees_a_change_of_the_description(tmp_path: Path, old: str, new: str) -> None:
    shutil.copytree(REPOSITORY / "hls", tmp_path / "hls")
    for name in ("host/egret/contract.py", "host/egret/virtual_board", "docs/registers.md", "docs/image.md"):
        source, target = REPOSITORY / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    assert run_generate("--check", root=tmp_path).returncode == 0
    description = tmp_path / "hls" / "kernel.json"
    text = description.read_text(encoding="utf-8")
    assert old in text
    description.write_text(text.replace(old, new), encoding="utf-8")
    result = run_generate("--check", root=tmp_path)
    assert result.returncode == 1
    assert "run 'make generate'" in result.stderr
    assert run_generate(root=tmp_path).returncode == 0
    assert run_generate("--check", root=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"flags", "offset": "0x18"', '"flags", "offset": "0x10"', "distinct"),
        ('"BAD_IMAGE", "code": 4', '"BAD_IMAGE", "code": 5', "two errors share a code"),
        ('"macs", "word": 5', '"macs", "word": 6', "overlaps"),
        ('"divisor": 8', '"divisor": 67', "the clock of pynq-z2: 67 is no product of two integers"),
        ('"efficiency": 0.92', '"efficiency": 1.2', "memory's efficiency of pynq-z2"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    shutil.copytree(REPOSITORY / "hls", tmp_path / "hls")
    description = tmp_path / "hls" / "kernel.json"
    text = description.read_text(encoding="utf-8")
    assert old in text
    description.write_text(text.replace(old, new), encoding="utf-8")
    result = run_generate(root=tmp_path)
    assert result.returncode != 0
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def gate_module(name: str) -> str:
    text = (REPOSITORY / "hls" / "rtl" / "gate_tables.sv").read_text(encoding="utf-8")
    return text[text.index(f"module {name}_table") :].split("endmodule")[0]


def stored_bits(module: str) -> np.ndarray:
    """Return the nine low bits of each entry, in the order of its address, as a module's VALUES hold them."""
    chunks = re.findall(r"(\d+)'h([0-9a-f]+)", module[module.index("VALUES = {") : module.index("};")])
    assert all(int(width) == 4 * len(digits) for width, digits in chunks)
    whole = int("".join(digits for _, digits in chunks), 16)
    return np.array([(whole >> 9 * index) & 0x1FF for index in range(4096)])


# The address is the index's two's complement: 0..2047 come first, then -2048..-1.
ADDRESSES = np.arange(4096)
NEGATIVE = ADDRESSES >= 2048


def test_the_sigmoid_of_the_rtl_is_that_of_the_arithmetic() -> None:
    module = gate_module("sigmoid")
    assert "high_a <= !index_a[11];" in module and "value_a = {high_a, low_a};" in module
    values = np.where(NEGATIVE, 0, 1 << 9) + stored_bits(module)
    assert np.array_equal(values, np.concatenate([SIGMOID[2048:], SIGMOID[:2048]]))


def test_the_tanh_of_the_rtl_is_that_of_the_arithmetic() -> None:
    module = gate_module("tanh")
    assert "upper <= index >= (index[11] ? UPPER_FROM_NEGATIVE : UPPER_FROM);" in module
    assert "value = $signed({sign, upper, low});" in module
    first, first_negative = (int(found) for found in re.findall(r"UPPER_FROM\w* *= 12'd(\d+);", module))
    upper = np.where(NEGATIVE, ADDRESSES >= first_negative, ADDRESSES >= first)
    values = np.where(NEGATIVE, -1024, 0) + 512 * upper + stored_bits(module)
    assert np.array_equal(values, np.concatenate([TANH[2048:], TANH[:2048]]))


def test_registers_agree_in_python_and_systemverilog() -> None:
    assert list(contract.REGISTERS) == [register["name"] for register in DESCRIPTION["registers"]]
    for name, (offset, bits, _) in contract.REGISTERS.items():
        if bits == 64:
            assert package_constant(f"REG_{name.upper()}_1") == offset
            assert package_constant(f"REG_{name.upper()}_2") == offset + 4
        else:
            assert package_constant(f"REG_{name.upper()}") == offset


def test_codes_and_counters_agree_in_python_and_systemverilog() -> None:
    for code, (name, _) in contract.ERRORS.items():
        assert package_constant(f"ERROR_{name}") == code == getattr(contract, f"ERROR_{name}")
    for name, (word, _) in contract.COUNTERS.items():
        assert package_constant(f"COUNTER_{name.upper()}") == word
    for name, value in DESCRIPTION["commands"].items():
        assert package_constant(f"COMMAND_{name}") == value == getattr(contract, f"COMMAND_{name}")
    for name, mask in DESCRIPTION["flags"].items():
        assert 1 << package_constant(f"FLAG_{name}") == mask == getattr(contract, f"FLAG_{name}")
    assert package_constant("IMAGE_MAGIC") == contract.MAGIC == int.from_bytes(b"EGRT", "little")
    assert package_constant("KERNEL_VERSION") == contract.KERNEL_VERSION


def test_a_build_has_the_described_defaults_and_limits() -> None:
    build = Build()
    for name, entry in DESCRIPTION["build_parameters"].items():
        assert getattr(build, name.lower()) == entry["default"] == package_constant(f"DEFAULT_{name}")
        for value in (entry["minimum"] - 1, entry["maximum"] + 1):
            with pytest.raises(EgretError, match=name.lower()):
                Build(**{name.lower(): value})


@pytest.mark.parametrize(
    "parameters",
    [
        {"lanes": 6},
        {"lanes": 11, "bus_bytes": 16},
        {"bus_bytes": 12},
        {"bus_bytes": 16, "max_burst_beats": 257},
    ],
)
def test_a_build_that_cannot_be_is_refused(parameters: dict[str, int]) -> None:
    with pytest.raises(EgretError):
        Build(**parameters)


def test_the_boards_are_those_described() -> None:
    assert list(BOARDS) == list(DESCRIPTION["boards"])
    for name, described in DESCRIPTION["boards"].items():
        board = BOARDS[name]
        assert (board.name, board.part) == (name, described["part"])
        clock = described["clock"]
        assert (board.clock_source, board.clock_source_mhz) == (clock["source"], clock["source_mhz"])
        assert board.clock_mhz == pytest.approx(clock["source_mhz"] / clock["divisor"], rel=1e-8)
        assert all(getattr(board.build, key.lower()) == value for key, value in described["build"].items())
        assert all(getattr(board.memory, key) == value for key, value in described["memory"].items())


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_the_cpp_header_compiles_and_says_the_same(tmp_path: Path) -> None:
    checks = [f"static_assert(egret::ERROR_{name} == {code});" for code, (name, _) in contract.ERRORS.items()]
    checks += [f"static_assert(egret::IMAGE_MAGIC == {contract.MAGIC}u);"]
    checks += [
        f"static_assert(egret::COUNTER_{name.upper()} == {word});"
        for name, (word, _) in contract.COUNTERS.items()
    ]
    source = tmp_path / "check.cpp"
    source.write_text('#include "egret_kernel_config.hpp"\n' + "\n".join(checks) + "\n", encoding="utf-8")
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    command += [f"-I{REPOSITORY / 'hls' / 'src'}", str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("engines", [1, 3, 8])
def test_the_top_module_has_a_full_port_for_each_engine(tmp_path: Path, engines: int) -> None:
    assert run_generate("--top", str(engines), "--output", str(tmp_path)).returncode == 0
    text = (tmp_path / "egret_kernel.sv").read_text(encoding="utf-8")
    address = "ID ADDR LEN SIZE BURST LOCK CACHE PROT QOS REGION VALID READY".split()
    expected = {channel + signal for channel in ("AR", "AW") for signal in address}
    expected |= set("RID RDATA RRESP RLAST RVALID RREADY WDATA WSTRB WLAST WVALID WREADY".split())
    expected |= set("BID BRESP BVALID BREADY".split())
    for engine in range(engines):
        declared = re.findall(rf"(?:input |output) logic (?:\[.*\] )?m_axi_gmem{engine}_(\w+)", text)
        assert sorted(declared) == sorted(expected)
    assert f"m_axi_gmem{engines}_" not in text


@pytest.mark.parametrize("engines", ["0", "9"])
def test_a_top_module_without_an_engine_count_of_the_kernel_is_refused(tmp_path: Path, engines: str) -> None:
    result = run_generate("--top", engines, "--output", str(tmp_path))
    assert result.returncode != 0
    assert "1 to 8 engines" in result.stderr
