"""`egret verify`: does this board do what the contract says? The first thing to run on a new one."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from egret.board.boards import resolve_board
from egret.board.open_session import open_kernel
from egret.commands.arguments import add_board

if TYPE_CHECKING:
    from egret.self_test.checks import Check


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's description and arguments to its parser."""
    parser.description = (
        "Make contact with a board in stages that tell a dead clock, register port, write port and read "
        "port apart. Then run random networks of several shapes, always the same ones, and compare every "
        "number with the reference model's, bit for bit: given tokens, generated tokens, and again after "
        "a reset. Then provoke every error that is safe to provoke. Each stage is announced, and each "
        "check prints a line; the end compares bytes and cycles with the virtual board's. Exit status: 0 "
        "if all passed, 1 if one failed."
    )
    parser.set_defaults(function=verify)
    add_board(parser)
    parser.add_argument(
        "--full",
        action="store_true",
        help="also test as many neurons, and as many words, as the kernel holds (slow in simulation)",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def verify(arguments: argparse.Namespace) -> int:
    """Run the command; return 0 where every check passed, else 1. Raises EgretError where none can be run."""
    name = resolve_board(arguments.board)
    say = _nothing if arguments.json else _say
    say("...  load the bitstream, set the fabric clock")
    checks: list[Check] = []
    with open_kernel(name, arguments.bitfile) as kernel:
        from egret.self_test.checks import measure_overhead, run_checks
        from egret.self_test.first_contact import FirstContact, compare_pace

        with FirstContact(kernel, kernel.board, arguments.chunk) as contact:
            for stage in contact.stages():
                say(f"...  {stage.name}: {stage.about}")
                checks.append(stage.check())
                say(_line(checks[-1]))
                if not checks[-1].passed:
                    break
            else:
                for check in run_checks(contact.session, kernel.board, arguments.full):
                    checks.append(check)
                    say(_line(check))
            passed = all(check.passed for check in checks)
            overhead = measure_overhead(contact.session) if passed else None
            pace = contact.pace
            pace_lines = compare_pace(pace, kernel.board) if pace is not None else []
    failures = sum(not check.passed for check in checks)
    if arguments.json:
        document = {
            "board": name,
            "passed": passed,
            "checks": [
                {"name": check.name, "passed": check.passed, "detail": check.detail} for check in checks
            ],
            "host_seconds_per_token": None
            if overhead is None
            else {
                "one_at_a_time": overhead.one_at_a_time_s,
                "in_chunks": overhead.in_chunks_s,
                "chunk": overhead.chunk,
            },
            "pace": None if pace is None else asdict(pace),
        }
        print(json.dumps(document, indent=2))
        return 0 if passed else 1
    if overhead is not None:
        print("", *pace_lines, sep="\n")
        print(
            f"host: {1e6 * overhead.one_at_a_time_s:.0f} us a token beside the kernel's own time with one "
            f"token a start, {1e6 * overhead.in_chunks_s:.1f} us with {overhead.chunk}"
        )
        print(f"{name}: all {len(checks)} checks passed.")
        return 0
    sys.stdout.flush()
    print(f"egret: {name} failed {failures} of {len(checks)} checks.", file=sys.stderr)
    return 1


def _line(check: Check) -> str:
    return f"{'ok  ' if check.passed else 'FAIL'}  {check.name:<42} {check.detail}"


def _say(line: str) -> None:
    print(line, flush=True)


def _nothing(line: str) -> None:
    del line
