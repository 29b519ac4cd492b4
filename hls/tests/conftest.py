"""Lets the tests import what they test: hls/csim and hls/scripts are no packages."""

from __future__ import annotations

import sys
from pathlib import Path

HLS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HLS / "csim"), str(HLS / "scripts")]
