"""The command line, `egret`. What a command needs (egret.commands) is imported when it is to run."""

from __future__ import annotations

from collections.abc import Sequence

from egret.command_line import process, status_of


def entry_point() -> None:
    """Run the command line of this process and exit with its status."""
    process(main)


def main(arguments: Sequence[str]) -> int:
    """Run the command line `arguments`; return the exit status. What went wrong goes to standard error."""
    return status_of("egret", lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> int:
    from egret.commands.parser import make_parser

    try:
        parsed = make_parser().parse_args(arguments)
    except SystemExit as exit_:  # argparse has printed help (0) or what is wrong (2)
        return int(exit_.code or 0)
    return int(parsed.function(parsed))
