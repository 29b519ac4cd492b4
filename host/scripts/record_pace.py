"""Record what the self-test's first network costs on each virtual board, which `egret verify` compares with.

Writes host/egret/self_test/virtual_pace.json. To be run after a change of the RTL or of a board's profile.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from egret.board.open_session import open_kernel
from egret.errors import RunError
from egret.profiles import BOARDS
from egret.self_test.first_contact import RECORD, FirstContact, Pace, read_record


def measure(board: str) -> Pace:
    """Return the pace of a virtual board, by its name; RunError where a stage of first contact fails."""
    with open_kernel(f"virtual:{board}") as kernel, FirstContact(kernel, kernel.board) as contact:
        for stage in contact.stages():
            check = stage.check()
            if not check.passed:
                raise RunError(f"{board}: {check.name}: {check.detail}")
        assert contact.pace is not None
        return contact.pace


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("boards", nargs="*", metavar="BOARD", help="which boards (default: all)")
    chosen = parser.parse_args(arguments).boards or list(BOARDS)
    paces = {**(read_record() if RECORD.is_file() else {}), **{board: measure(board) for board in chosen}}
    lines = [
        f"  {json.dumps(board)}: {json.dumps(asdict(paces[board]))}" for board in BOARDS if board in paces
    ]
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(RECORD.read_text(encoding="utf-8"), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
