"""What is installed, and how to install what is missing: `egret` on a package index is not this project."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from egret.contract import FORMAT_VERSION, KERNEL_VERSION

CHECKOUT = next(
    (folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").is_file()), Path()
)
"""The folder with pyproject.toml where this package runs from a checkout, editable or by PYTHONPATH."""


def how_to_install(*extras: str) -> str:
    """Return the command, for a sentence, that installs these extras of pyproject.toml."""
    checkout = CHECKOUT if (CHECKOUT / "pyproject.toml").is_file() else "/path/to/checkout"
    return f"install it with: pip install -e '{checkout}[{','.join(extras)}]'"


def version() -> str:
    """Return what `--version` prints: of the package, and of what it writes and runs."""
    try:
        package = importlib.metadata.version("egret")
    except importlib.metadata.PackageNotFoundError:
        package = "of a checkout that is not installed"
    return (
        f"egret {package}, for kernels of version {KERNEL_VERSION} and model images of format "
        f"{FORMAT_VERSION}"
    )
