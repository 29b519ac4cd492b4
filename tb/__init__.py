"""cocotb benches: the kernel against the reference model."""

from pathlib import Path

BENCHES = Path(__file__).resolve().parent
ROOT = BENCHES.parent
