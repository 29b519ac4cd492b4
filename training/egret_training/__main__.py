"""`python -m egret_training`: see cli.py."""

import os
import sys

from egret.command_line import process
from egret_training.cli import ALLOCATOR, main

if sys.platform == "linux" and not any(name in os.environ for name in ALLOCATOR):
    # The allocator reads its settings when a process starts, so the process starts again with them.
    os.execve(
        sys.executable, [sys.executable, "-m", "egret_training", *sys.argv[1:]], {**os.environ, **ALLOCATOR}
    )
process(main)
