"""`egret random`: a checkpoint with random weights, of a shape that nobody has trained."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from egret.board.boards import board_profile
from egret.commands.arguments import DEFAULT_VIRTUAL_BOARD, count, positive
from egret.commands.inspect import describe_checkpoint
from egret.image.limits import check_limits
from egret.synthetic.calibrated import random_checkpoint
from egret.text.vocabulary import END, UNKNOWN


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's description and arguments to its parser."""
    parser.description = (
        "Write a checkpoint with random weights of a given sparsity, balanced over the lanes of a board, and "
        "thresholds for about the given activity."
    )
    parser.epilog = "Example: egret random -o random.npz --layers 480 240 --embedding 240"
    parser.set_defaults(function=write_random)
    add = parser.add_argument
    add("-o", "--output", metavar="MODEL", type=Path, required=True, help="file to write")
    add("--layers", metavar="N", type=positive, nargs="+", required=True, help="neurons of each layer")
    add("--embedding", metavar="N", type=positive, required=True, help="width of a word's vector")
    add("--vocabulary", metavar="N", type=positive, default=10000, help="number of words (default: 10000)")
    add("--sparsity", metavar="S", type=float, default=0.85, help="share of zero weights (default: 0.85)")
    add("--activity", metavar="A", type=float, default=0.1, help="share of neurons that fire (default: 0.1)")
    add(
        "--board",
        default=DEFAULT_VIRTUAL_BOARD,
        help=f"board whose lanes to balance for (default: {DEFAULT_VIRTUAL_BOARD})",
    )
    add("--seed", type=count, default=0, help="seed of the random numbers (default: 0)")


def write_random(arguments: argparse.Namespace) -> int:
    """Run the command; raise EgretError for a network that the board cannot hold, or shares beyond 0 to 1."""
    build = board_profile(arguments.board).build
    check_limits(arguments.layers, arguments.vocabulary, build)
    drawn = random_checkpoint(
        layers=arguments.layers,
        embedding=arguments.embedding,
        vocabulary=arguments.vocabulary,
        sparsity=arguments.sparsity,
        activity=arguments.activity,
        balanced_slots=build.slots,
        weight_bits=build.weight_bits,
        seed=arguments.seed,
        decoder_slots=build.decoder_slots,
        logit_depth=build.logit_depth,
        compact=build.compact(arguments.vocabulary),
        decoder_weight_bits=build.decoder_weight_bits,
    )
    # With these it can be prompted like a trained model, if not with sense.
    special = [END, UNKNOWN][: len(drawn.vocabulary)]
    checkpoint = replace(drawn, vocabulary=special + drawn.vocabulary[len(special) :])
    checkpoint.save(arguments.output)
    describe_checkpoint(checkpoint)
    return 0
