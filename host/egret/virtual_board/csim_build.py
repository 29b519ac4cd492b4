"""Compiles the kernel's HLS C++ natively into a shared library, once per source and build.

As with the RTL (egret.virtual_board.build), the library lies in the user's cache folder.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from egret.errors import EgretError
from egret.installation import CHECKOUT
from egret.profiles import Build
from egret.virtual_board.cache import cache_key, cached, neutral_environment, run_tool

HLS = CHECKOUT / "hls"

FLAGS = (
    *("-std=c++17", "-fPIC", "-fvisibility=hidden"),
    *("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label"),
)
"""Pragmas are for the synthesiser, and labels name loops in its reports; no other warning is passed over."""

OPTIMISED = ("-O3",)

CHECKED = (
    *("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"),
    "-DEGRET_DELAYED_WRITES",
)
"""Flags of the test build: sanitizers, and sums that reach the memory as late as they may in hardware."""

EXACT = (
    *("-O1", "-DEGRET_EXACT_TYPES", "-DEGRET_DELAYED_WRITES"),
    # The ap_int headers clear the unused bits of a number before they set the others.
    *("-Wno-uninitialized", "-Wno-maybe-uninitialized"),
)
"""Flags of the test build with the number types that are synthesised.

It is apart from CHECKED because the open ap_int headers themselves shift negative numbers.
"""

LIBRARY = "egret_kernel_csim.so"
BENCH = "egret_kernel_bench"


def csim_library_path(build: Build, options: Sequence[str] = OPTIMISED, compiler: str = "g++") -> Path:
    """Return the natively compiled kernel of these build parameters as a shared library.

    `options` are added to FLAGS. One line on standard error says that and how long it compiles. Raises
    EgretError, with what to install or do, where sources, the compiler or the ap_types headers are missing or
    the sources do not compile.
    """
    return _compiled(build, HLS / "csim" / "shared_library.cpp", LIBRARY, (*options, "-shared"), compiler)


def csim_bench_path(build: Build, options: Sequence[str] = CHECKED, compiler: str = "g++") -> Path:
    """Return the C++ test bench, hls/csim/bench.cpp, around such a kernel; as csim_library_path()."""
    return _compiled(build, HLS / "csim" / "bench.cpp", BENCH, options, compiler)


def _compiled(build: Build, main: Path, target: str, options: Sequence[str], compiler: str) -> Path:
    sources = [*find_sources(), main]
    defines = [f"-DEGRET_{field.name.upper()}={getattr(build, field.name)}" for field in fields(build)]
    inputs = [*sources, *HLS.glob("src/*.hpp"), *HLS.glob("csim/*.hpp"), *HLS.glob("csim/include/*")]
    texts = (compiler, target, *FLAGS, *options, *defines)

    def tools() -> str:
        return cache_key([_find_compiler(compiler)[1]], sorted(find_ap_types().rglob("*.h")))

    def make(work: Path) -> None:
        # All in one translation unit: most of the time goes into the ap_int headers.
        whole, result = work / "whole.cpp", work / "result"
        whole.write_text("".join(f'#include "{source}"\n' for source in sources), encoding="utf-8")
        result.mkdir()
        folders = [f"-I{HLS / folder}" for folder in ("csim", "csim/include", "src")]
        command = [_find_compiler(compiler)[0], *FLAGS, *options, *defines, *folders]
        command += ["-isystem", str(find_ap_types()), str(whole), "-o", str(result / target)]
        run_tool(command, neutral_environment(), "The kernel's C++ does not compile: ")

    about = "the kernel's C++ (once for each change of it)"
    return cached(f"csim-{cache_key(texts, sorted(inputs))}", tools, target, about, make)


def find_sources() -> list[Path]:
    """Return the kernel's C++ sources; raises EgretError if they are not there."""
    sources = sorted(HLS.glob("src/*.cpp"))
    if not sources:
        raise EgretError(
            f"The virtual board csim compiles the kernel's C++, but {HLS / 'src'} has none: run Egret "
            "from a full checkout of it, or install that one, editable (pip install -e)."
        )
    return sources


def find_ap_types() -> Path:
    """Return the folder of the open ap_int headers; raises EgretError if it is not there."""
    spec = importlib.util.find_spec("hls4ml")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "templates" / "vivado" / "ap_types"
        if (folder / "ap_int.h").is_file():
            return folder
    raise EgretError(
        "The kernel's C++ sources need the open ap_int headers, which come with the package hls4ml: "
        "pip install --no-deps hls4ml==1.3.0"
    )


def _find_compiler(compiler: str) -> tuple[str, str]:
    program = shutil.which(compiler)
    if program is None:
        raise EgretError(
            f"The kernel's C++ sources are compiled on first use, but {compiler} is missing: install it "
            f"(on Debian or Ubuntu: apt install {compiler.replace('clang++', 'clang')})."
        )
    result = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise EgretError(f"{compiler} does not run: {result.stderr.strip()}")
    return program, result.stdout
