"""Puts the modules beside the tests, and those that they test, on the path."""

import sys
from pathlib import Path

BITSTREAMS = Path(__file__).resolve().parents[1]
for folder in (BITSTREAMS / "tests", BITSTREAMS, BITSTREAMS.parent / "hls" / "scripts" / "vitis"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
