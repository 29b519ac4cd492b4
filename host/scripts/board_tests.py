"""Run the host's tests as near to a PYNQ image as a PC comes.

python3.10: Python 3.10, NumPy 1.21.6, pynq 3.0.1 and setuptools 59.6, as on the PYNQ 3.0 images. First a
wheel of this checkout is installed as on a board, offline, and run from there. Skipped, with exit status 0,
where there is no Python 3.10.

i386: a 32-bit Debian with its own Python and NumPy, and pynq 3.0.1: sizes, pointers and NumPy's default
integer have the 32 bits that they have on the PYNQ-Z2's processor. Takes root, and debootstrap (a Debian
package).

Each makes its environment once, in build/, from the package registries.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from egret.installation import CHECKOUT as ROOT

BUILD = ROOT / "build"

# Newer versions of these have no 32-bit build, or need another Python than the image's.
PYNQ = ["pynq==3.0.1", "pycparser<3", "setuptools<=80", "ipython<8.19"]
TOOLS = ["pytest>=8.2,<10", "hypothesis>=6.100,<7", "filelock>=3.12", "tqdm>=4.60"]
SETUPTOOLS = "setuptools==59.6.0"
"""What the images pin: older than pyproject.toml asks for, so a board installs a wheel and no source tree."""

HEADERS = "hls4ml==1.3.0"  # for its copy of the ap_int headers, so that the C++ kernel can be compiled

NEED_MORE = ("bench_on_board", "memory_model", "notebooks", "report", "shipped_model", "virtual_board")
"""Verilator, Jupyter or matplotlib, which these environments, like a board, have not."""

NEED_A_KERNEL = ("eval", "fuzz_kernel", "generate", "network", "remote", "verify")
"""The C++ kernel has 128-bit integers when it is compiled natively, which no 32-bit compiler has."""

NEED_SPEED = (  # promises about a PC's seconds
    "test_a_small_language_model_packs_in_two_seconds",
    "test_the_papers_network_packs_in_20_seconds_and_2_gigabytes",
    "test_a_small_language_model_runs_at_500_tokens_a_second",
)


def main() -> int:
    """Run the command line; return pytest's exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("environment", choices=["python3.10", "i386"])
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, such as test files (default: all)")
    arguments = parser.parse_args()
    left_out = (*NEED_MORE, *(NEED_A_KERNEL if arguments.environment == "i386" else ()))
    tests = arguments.pytest or _tests(left_out)
    if arguments.environment == "i386":
        return _in_32_bits(tests)
    python = find_python()
    if python is None:
        print("skipped: there is no Python 3.10 on this machine (PYTHON310 may name one).")
        return 0
    return _on_python(python, tests)


def find_python() -> str | None:
    """Return a Python 3.10 that runs, or None: $PYTHON310, one on PATH, or one that pyenv keeps."""
    kept = sorted(Path.home().glob(".pyenv/versions/3.10.*/bin/python"))
    for candidate in (os.environ.get("PYTHON310", ""), "python3.10", *map(str, kept)):
        program = shutil.which(candidate) if candidate else None
        if program is None:
            continue
        command = [program, "-c", "import sys; sys.exit(sys.version_info[:2] != (3, 10))"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return program
    return None


def _tests(left_out: Sequence[str]) -> list[str]:
    names = [path.name for path in sorted((ROOT / "host" / "tests").glob("test_*.py"))]
    wanted = [name for name in names if name[len("test_") : -len(".py")] not in left_out]
    slow = " or ".join(NEED_SPEED)
    return [*(f"host/tests/{name}" for name in wanted), "-k", f"not ({slow})"]


def _on_python(python: str, tests: Sequence[str]) -> int:
    folder = BUILD / "python3.10"
    inside, ready = folder / "bin" / "python", folder / ".ready"
    if not ready.is_file():
        print(f"Installing pynq 3.0.1 and NumPy 1.21.6 into {folder} (once; about two minutes)", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _run([python, "-m", "venv", str(folder)])
        pip = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "numpy==1.21.6", *PYNQ, *TOOLS])
        _run([*pip, "--no-deps", HEADERS])
        _run([*pip, SETUPTOOLS])
        ready.touch()
    _install_wheel(inside)
    command = [str(inside), "-m", "pytest", "-q", *tests]
    return subprocess.run(command, cwd=ROOT, env=_environment(), check=False).returncode


def _install_wheel(python: Path) -> None:
    """Make a wheel with this Python, install it with a board's, offline, and have it name its boards."""
    wheels, installed, bitstreams = BUILD / "wheel", BUILD / "installed", BUILD / "bitstreams"
    for folder in (wheels, installed, bitstreams):
        shutil.rmtree(folder, ignore_errors=True)
    _run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(ROOT)]
    )
    (wheel,) = wheels.glob("egret-*.whl")
    offline = ["--quiet", "--no-index", "--no-deps", "--target", str(installed)]
    _run([str(python), "-m", "pip", "install", *offline, str(wheel)])
    (bitstreams / "pynq-z2").mkdir(parents=True)
    for name in ("egret.bit", "egret.hwh"):
        (bitstreams / "pynq-z2" / name).touch()
    environment = {**os.environ, "PYTHONPATH": str(installed), "EGRET_BITSTREAMS": str(bitstreams)}
    command = [str(python), "-m", "egret", "boards"]
    said = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
    if said.returncode or str(bitstreams / "pynq-z2" / "egret.bit") not in said.stdout:
        sys.exit(f"The installed wheel does not find its bitstreams:\n{said.stdout}{said.stderr}")
    print("The wheel installs offline, and finds bitstreams where EGRET_BITSTREAMS says.", flush=True)


def _in_32_bits(tests: Sequence[str]) -> int:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        sys.exit("A 32-bit Debian takes root and debootstrap (on Debian or Ubuntu: apt install debootstrap).")
    folder = BUILD / "i386"
    ready = folder / ".ready"
    if not ready.is_file():
        print(f"Installing a 32-bit Debian into {folder} (once; about six minutes)", flush=True)
        if os.path.ismount(folder / "proc"):
            sys.exit(f"{folder / 'proc'} is mounted: debootstrap is at work there, or was killed; umount it.")
        shutil.rmtree(folder, ignore_errors=True)
        bootstrap = ["debootstrap", "--arch=i386", "--variant=minbase", "--include=python3-numpy,python3-pip"]
        _run([*bootstrap, "bookworm", str(folder)])
        for file in ("etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt"):
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path("/") / file, target)
        # What pynq needs and PyPI has no i386 build of. (debootstrap stumbles over cffi's dependencies.)
        apt = ["chroot", str(folder), "apt-get", "-qq"]
        _run([*apt, "update"])
        debian = ["python3-cffi", "python3-magic", "python3-psutil"]
        _run([*apt, "install", "--yes", "--no-install-recommends", *debian])
        pip = ["pip3", "install", "--quiet", "--break-system-packages", "--root-user-action=ignore"]
        pip += ["--cert", "/etc/ssl/certs/ca-certificates.crt"]
        _run(["chroot", str(folder), *pip, *PYNQ, *TOOLS])  # NumPy stays Debian's: PyPI has no i386 build
        ready.touch()
    checkout = folder / "egret"
    shutil.rmtree(checkout, ignore_errors=True)
    for part in ("host", "hls"):
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", checkout)
    # The machine's name says 32 bits too, where its processor has 64.
    command = ["setarch", "linux32", "chroot", str(folder), "/bin/sh", "-c", 'cd /egret && exec "$0" "$@"']
    command += ["python3", "-m", "pytest", "-q", *tests]
    return subprocess.run(command, env=_environment(), check=False).returncode


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": "host", "PYTHONDONTWRITEBYTECODE": "1"}


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command[:4])} ... failed: the environment could not be made.")


if __name__ == "__main__":
    sys.exit(main())
