"""`python -m egret` is `egret`."""

from __future__ import annotations

from egret.cli import entry_point

if __name__ == "__main__":
    entry_point()
