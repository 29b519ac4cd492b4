"""What users are told to install: never `egret` from a package index, which is a stranger's package."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from egret.cli import main
from egret.contract import FORMAT_VERSION, KERNEL_VERSION
from egret.installation import CHECKOUT as ROOT
from egret.installation import how_to_install

FROM_AN_INDEX = re.compile(r"pip3? install[^\n`]*?[\s'\"=]egret(?![\w./-])")
"""`egret` as what pip is to install: a path to a checkout of that name has a slash before it."""

BUILT = {"build", "sim_build", "runs"}


def texts(folder: Path) -> list[Path]:
    """Return the files that may hold a sentence."""
    kinds = {".py", ".md", ".ipynb", ".toml", ".html", ".sh", ".tcl", ".yml", ".yaml", ".txt", ""}
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name not in BUILT and not re.search(r"^\.|\.egg-info$", path.name):
            found += texts(path)
        elif path.is_file() and path.suffix in kinds and path != Path(__file__):
            found.append(path)
    return found


@pytest.mark.parametrize(
    ("sentence", "wrong"),
    [
        ("needs matplotlib (`pip install 'egret[plots]'`)", True),
        ('training needs `pip install "egret[training]"`.', True),
        ("pip install --upgrade egret", True),
        ("pip install -e '/home/me/egret[plots]'", False),
        ("pip install -e '.[plots]'", False),
        ("pip install egret_training-0.1.whl", False),
    ],
)
def test_the_pattern_finds_what_it_should(sentence: str, wrong: bool) -> None:
    assert bool(FROM_AN_INDEX.search(sentence)) == wrong


def test_no_sentence_names_a_package_index() -> None:
    files = texts(ROOT)
    assert ROOT / "README.md" in files and ROOT / "Makefile" in files and len(files) > 200
    named = {
        str(path.relative_to(ROOT)): match.group()
        for path in files
        if (match := FROM_AN_INDEX.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert not named


def test_the_command_names_this_checkout() -> None:
    assert how_to_install("plots", "board") == f"install it with: pip install -e '{ROOT}[plots,board]'"


def test_the_demo_brings_what_the_next_commands_of_the_readme_need() -> None:
    """`egret report` draws with matplotlib; virtual:csim is compiled with the ap_types headers."""
    made = subprocess.run(
        ["make", "--dry-run", "--always-make", "demo", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert re.search(r'pip install .*"\.\[board,simulation,plots\]"', made)
    assert re.search(r'pip install .*--no-deps "hls4ml==', made)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("egret ")
    assert f"kernels of version {KERNEL_VERSION} and model images of format {FORMAT_VERSION}" in said
