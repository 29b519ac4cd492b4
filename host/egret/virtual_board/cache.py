"""The folder of compiled virtual boards: one that is there is used, one that is not is compiled once.

It is $XDG_CACHE_HOME/egret/virtual_board or ~/.cache/egret/virtual_board. A compiled board's name is a hash
of everything that goes into it (sources, build parameters, flags) and one of the tools that made it. Where
the tools are there, a change of them makes a new one; where they are not, what any of them made will do.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from egret.errors import EgretError

_INFLUENCES = (
    *("CXX", "CC", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "LDLIBS", "LOADLIBES", "TARGET_ARCH"),
    *("CPATH", "CPLUS_INCLUDE_PATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH"),
    *("MAKEFLAGS", "GNUMAKEFLAGS", "MAKEFILES", "VERILATOR_ROOT"),
)
"""Variables by which an environment changes what make, Verilator and a C++ compiler produce."""


def cache_folder() -> Path:
    """Return the folder; raises EgretError where the user has no home and XDG_CACHE_HOME is not set."""
    root = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(root) if root else Path.home() / ".cache") / "egret" / "virtual_board"
    except RuntimeError as error:
        raise EgretError(
            "There is no home folder for the cache of compiled virtual boards; name a folder in the "
            "environment's XDG_CACHE_HOME."
        ) from error


def cache_key(texts: Iterable[str], files: Iterable[Path]) -> str:
    """Return a name for what is compiled with these texts (parameters, flags, versions) from these files."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8") + b"\0")
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\0".encode() + content)
    return digest.hexdigest()[:24]


def cached(key: str, tools: Callable[[], str], target: str, about: str, make: Callable[[Path], None]) -> Path:
    """Return the file `target` of what is compiled under `key`, compiling it if need be.

    `tools` returns the key of the tools, or raises EgretError where one is missing. `make` gets an empty
    folder, which is removed afterwards whatever happens, and leaves `target` in its subfolder `result`.
    `about` names what is compiled, in lines on standard error. Raises EgretError where a tool is missing,
    the folder cannot be written, or `make` does.
    """
    root = cache_folder()
    try:
        name = f"{key}-{tools()[:8]}"
    except EgretError:
        for found in sorted(root.glob(f"{key}-*/{target}")):
            return found
        raise
    library = root / name / target
    if library.is_file():
        return library
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f"{name}.lock", about):
            if not library.is_file():
                with _empty_folder(root / f"compiling-{name}") as work, _progress(f"Compiling {about}"):
                    make(work)
                    os.replace(work / "result", library.parent)
    except OSError as error:
        raise EgretError(
            f"Compiled virtual boards are kept in {root}, which cannot be written "
            f"({error.strerror or error}); name another cache folder in the environment's XDG_CACHE_HOME."
        ) from error
    return library


@contextmanager
def _locked(path: Path, about: str) -> Iterator[None]:
    """Hold the lock file `path` against other processes; say so where that takes waiting."""
    with open(path, "w", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with _progress(f"Waiting for another process, which compiles {about}"):
                fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextmanager
def _empty_folder(path: Path) -> Iterator[Path]:
    """Make a folder, and remove it in the end; the lock's holder may remove what a killed one left there."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _progress(what: str) -> Iterator[None]:
    """Print a line for what takes long, with its seconds in the end; on a terminal they are seen passing."""
    begin, ended = time.monotonic(), threading.Event()
    terminal = sys.stderr.isatty()

    def show(end: str) -> None:
        again = f"\r{what} ... " if terminal else ""
        print(f"{again}{time.monotonic() - begin:.0f} s", end=end, file=sys.stderr, flush=True)

    def tick() -> None:
        while not ended.wait(1.0):
            show("")

    print(f"{what} ... ", end="", file=sys.stderr, flush=True)
    ticking = threading.Thread(target=tick, daemon=True)
    if terminal:
        ticking.start()
    try:
        yield
    except BaseException:
        print(file=sys.stderr)
        raise
    else:
        ended.set()
        show("\n")
    finally:
        ended.set()


def neutral_environment() -> dict[str, str]:
    """Return this process's environment without what would change a compiled board: its key knows of none."""
    return {name: value for name, value in os.environ.items() if name not in _INFLUENCES}


def run_tool(
    command: Sequence[str], environment: Mapping[str, str], failed: str, folder: Path | None = None
) -> None:
    """Run a compiler (in `folder`); raise EgretError, `failed` and its first error, where it fails.

    Where this process is stopped meanwhile, so is the tool, with all that it has started.
    """
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode != 0:
        errors = [line for line in output.splitlines() if "rror" in line]
        raise EgretError(failed + (errors[0] if errors else last_line(output)))


def last_line(text: str) -> str:
    """Return the last line of what a tool has printed."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"
