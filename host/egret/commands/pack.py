"""`egret pack`: a model image for a board's kernel, from a checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path

from egret.board.boards import board_profile
from egret.commands.arguments import DEFAULT_VIRTUAL_BOARD
from egret.commands.inspect import describe_image
from egret.errors import EgretError
from egret.image.limits import check_memory
from egret.image.model_file import load_model
from egret.image.model_image import ModelImage
from egret.image.packer import pack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's description and arguments to its parser."""
    parser.description = (
        "Fold the embedding into a table, encode the weight columns and write the model image that a "
        "board's kernel reads. 'egret run' does the same when it is given a checkpoint; packing ahead "
        "saves a board that time. An image is for one kernel: name the board that it will run on."
    )
    parser.epilog = "Example: egret pack models/ptb-egru.npz --board pynq-z2 -o ptb.image"
    parser.set_defaults(function=pack_model)
    parser.add_argument("model", metavar="MODEL", type=Path, help="quantised checkpoint (.npz)")
    parser.add_argument("-o", "--output", metavar="IMAGE", type=Path, required=True, help="file to write")
    parser.add_argument(
        "--board",
        default=DEFAULT_VIRTUAL_BOARD,
        help=f"pack for this board's kernel (default: {DEFAULT_VIRTUAL_BOARD})",
    )


def pack_model(arguments: argparse.Namespace) -> int:
    """Run the command; raise EgretError for a model that is no checkpoint or does not fit the board."""
    board = board_profile(arguments.board)
    model = load_model(arguments.model)
    if isinstance(model, ModelImage):
        raise EgretError(f"{arguments.model} is packed already.")
    image = pack(model, board.build)
    check_memory(image, board)
    image.save(arguments.output)
    describe_image(image)
    return 0
