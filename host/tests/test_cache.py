"""The folder of compiled boards, with a shell for a compiler: what is taken, made, refused and removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from egret.errors import EgretError
from egret.virtual_board import cache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "egret" / "virtual_board"


def shell(text: str) -> list[str]:
    return ["sh", "-c", text]


def make(work: Path) -> None:
    (work / "result").mkdir()
    cache.run_tool(shell(f"echo made > {work}/result/library"), cache.neutral_environment(), "It")


def missing() -> str:
    raise EgretError("The tool is missing.")


def never(work: Path) -> None:
    raise AssertionError("it is there already")


def test_what_is_there_needs_no_tool(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library = cache.cached("key", lambda: "12345678tools", "library", "a board", make)
    assert library.read_text() == "made\n" and library.parent == folder / "key-12345678"
    assert capsys.readouterr().err.startswith("Compiling a board ... ")
    assert cache.cached("key", lambda: "12345678tools", "library", "a board", never) == library
    assert cache.cached("key", missing, "library", "a board", never) == library
    assert capsys.readouterr().err == ""
    with pytest.raises(EgretError, match="The tool is missing"):
        cache.cached("other", missing, "library", "a board", never)
    # Another version of the tools makes another one.
    assert cache.cached("key", lambda: "87654321", "library", "a board", make) != library


def test_what_a_killed_process_left_goes_and_a_failure_leaves_nothing(folder: Path) -> None:
    (folder / "compiling-key-tools").mkdir(parents=True)
    (folder / "compiling-key-tools" / "result").mkdir()

    def fails(work: Path) -> None:
        assert list(work.iterdir()) == []
        cache.run_tool(shell("echo 'x.cpp:1: error: no'; exit 1"), os.environ, "The board does not compile: ")

    with pytest.raises(EgretError, match="The board does not compile: x.cpp:1: error: no"):
        cache.cached("key", lambda: "tools", "library", "a board", fails)
    assert [path.name for path in folder.iterdir()] == ["key-tools.lock"]


def test_an_interrupted_tool_is_stopped_with_all_that_it_started(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(cache.subprocess.Popen):  # type: ignore[misc, name-defined, type-arg]
        def communicate(self, *_: object, **__: object) -> tuple[str, str]:
            assert self.stdout is not None and self.stdout.readline() == "begun\n"
            raise KeyboardInterrupt

    monkeypatch.setattr(cache.subprocess, "Popen", Interrupted)
    mark = folder.parent.parent / "written"
    with pytest.raises(KeyboardInterrupt):
        cache.run_tool(shell(f"(sleep 1; touch {mark}) & echo begun; wait"), os.environ, "It")
    monkeypatch.undo()
    cache.run_tool(shell("sleep 1.2"), os.environ, "It")
    assert not mark.exists()


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self").exists(), reason="needs /proc")
def test_a_cache_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/proc")  # nobody makes a folder there, root neither
    with pytest.raises(EgretError, match=r"/proc/\.cache/egret/virtual_board, which .*XDG_CACHE_HOME"):
        cache.cached("key", lambda: "tools", "library", "a board", never)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(cache.Path, "home", homeless)
    with pytest.raises(EgretError, match="no home folder .*XDG_CACHE_HOME"):
        cache.cache_folder()


def test_the_environments_flags_are_not_used(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for name in ("CXXFLAGS", "LDFLAGS", "CPPFLAGS", "CPATH", "MAKEFLAGS"):
        monkeypatch.setenv(name, "--no-such-flag")
    monkeypatch.setenv("EGRET_OTHER", "kept")
    seen = folder.parent.parent / "seen"
    cache.run_tool(shell(f"env > {seen}"), cache.neutral_environment(), "It")
    environment = seen.read_text()
    assert "no-such-flag" not in environment and "EGRET_OTHER=kept" in environment
