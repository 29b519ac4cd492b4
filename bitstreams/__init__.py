"""Builds of the boards' bitstreams with Vivado. `python -m bitstreams.build` is the command line."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
"""The folder of the boards, the Tcl and the builds."""

REPOSITORY = FOLDER.parent
"""The checkout."""
