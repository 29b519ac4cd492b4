"""The kernel in SystemVerilog and in C++, and the tools around it."""

from pathlib import Path

HLS = Path(__file__).resolve().parent
REPOSITORY = HLS.parent
