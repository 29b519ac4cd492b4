"""The parser of the whole command line: a command's module is imported when that command is parsed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from egret.command_line import STATUSES
from egret.installation import version

COMMANDS = {
    "run": "run a model on a board: words, then MACs against cycles",
    "report": "make a page with pictures of a saved run",
    "eval": "measure the perplexity of a text on a board, and cycles per token",
    "verify": "test a board: the first thing to run on a new one",
    "boards": "list the boards, and say which one this is",
    "pack": "pack a checkpoint into a model image ahead of time",
    "tokens": "write the tokens of a text to a NumPy file",
    "random": "write a checkpoint with random weights, to measure a shape that nobody has trained",
    "inspect": "say what is in a checkpoint or a model image",
    "bench": "measure networks of set sparsity and activity on the kernel",
}
"""Each has a module of its name in egret.commands, whose add_arguments() completes its parser."""


class _CommandParser(argparse.ArgumentParser):
    """The parser of one command."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        name = self.prog.split()[-1]
        import_module(f"egret.commands.{name}").add_arguments(self)
        return super().parse_known_args(args, namespace)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; `function` of what it parses runs the command."""
    parser = argparse.ArgumentParser(
        prog="egret",
        description="Sparse event-based recurrent networks on an FPGA, one token at a time.",
        epilog=f"'egret COMMAND --help' says more. To begin with: egret run models/ptb-egru.npz --prompt "
        f"'the company said'. {STATUSES}",
    )
    parser.add_argument("--version", action="version", version=version())
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_CommandParser
    )
    for name, about in COMMANDS.items():
        commands.add_parser(name, help=about)
    return parser
