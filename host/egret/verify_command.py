"""`egret verify`: does this board do what the contract says? The first thing to run on a new one."""

from __future__ import annotations

import argparse
import json
import sys

from egret.argument_types import positive
from egret.boards import AUTO, board_names, resolve_board
from egret.opening import open_session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's description and arguments to its parser."""
    parser.description = (
        "Run random networks of several shapes, always the same ones, on a board and compare every number "
        "with the reference model's, bit for bit: given tokens, generated tokens, again after a reset. Then "
        "provoke every error that is safe to provoke. Prints a line for each check. "
        "Exit status: 0 if all passed, 1 if one failed."
    )
    parser.set_defaults(function=verify)
    parser.add_argument("--board", default=AUTO, help=f"{AUTO} (default), {', '.join(board_names())}")
    parser.add_argument(
        "--full",
        action="store_true",
        help="also as many neurons, and as many words, as the kernel holds (slow in simulation)",
    )
    parser.add_argument(
        "--chunk", metavar="N", type=positive, help="tokens per start of the kernel (default: as egret run)"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def verify(arguments: argparse.Namespace) -> int:
    """Run the command; return 0 where every check passed, else 1. Raises EgretError where none can be run."""
    name = resolve_board(arguments.board)
    with open_session(name, arguments.chunk) as (session, board):
        from egret.self_test import measure_overhead, run_checks

        checks = []
        for check in run_checks(session, board, arguments.full):
            checks.append(check)
            if not arguments.json:
                print(f"{'ok  ' if check.passed else 'FAIL'}  {check.name:<42} {check.detail}", flush=True)
        passed = all(check.passed for check in checks)
        overhead = measure_overhead(session) if passed else None
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
        }
        print(json.dumps(document, indent=2))
        return 0 if passed else 1
    if overhead is not None:
        print(
            f"\nhost: {1e6 * overhead.one_at_a_time_s:.0f} us a token beside the kernel's own time with one "
            f"token a start, {1e6 * overhead.in_chunks_s:.1f} us with {overhead.chunk}"
        )
        print(f"{name}: all {len(checks)} checks passed.")
        return 0
    sys.stdout.flush()
    print(f"egret: {name} failed {failures} of {len(checks)} checks.", file=sys.stderr)
    return 1
