"""The commands of `egret`: run or evaluate a model, report a run, test a board, list the boards, pack
a model, draw a random one, look into a file, measure the kernel.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import replace
from pathlib import Path

import numpy as np

from egret.board.boards import AUTO, board_profile
from egret.command_line import STATUSES
from egret.commands import bench as bench_command
from egret.commands import boards as boards_command
from egret.commands import eval as eval_command
from egret.commands import inspect as inspect_command
from egret.commands import report as report_command
from egret.commands import verify as verify_command
from egret.commands.argument_types import add_bitfile, count, positive
from egret.commands.inspect import describe_checkpoint, describe_image
from egret.commands.run import DEFAULT_WORDS, run
from egret.errors import EgretError
from egret.files import write_atomically
from egret.image.limits import check_limits, check_memory
from egret.image.model_file import load_model, vocabulary_of
from egret.image.model_image import ModelImage
from egret.image.packer import pack
from egret.installation import version
from egret.synthetic.calibrated import random_checkpoint
from egret.text.vocabulary import END, UNKNOWN, read_text

DEFAULT_BOARD = "virtual:pynq-z2"
_BOARD_HELP = f"see 'egret boards' (default: {AUTO}, the board this is; on a PC, {DEFAULT_BOARD})"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; `function` of what it parses runs the command."""
    parser = argparse.ArgumentParser(
        prog="egret",
        description="Sparse event-based recurrent networks on an FPGA, one token at a time.",
        epilog=f"'egret COMMAND --help' says more. To begin with: egret run models/ptb-egru.npz --prompt "
        f"'the company said'. {STATUSES}",
    )
    parser.add_argument("--version", action="version", version=version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    run_ = commands.add_parser(
        "run",
        help="run a model on a board: words, then MACs against cycles",
        description="Run a model on a board. The given text goes through word by word; then the model "
        "goes on alone, each likeliest next word (or one drawn) being the next input.",
    )
    run_.set_defaults(function=run)
    run_.add_argument("model", metavar="MODEL", type=Path, help="quantised checkpoint (.npz) or packed image")
    given = run_.add_mutually_exclusive_group()
    given.add_argument("--text", metavar="FILE", help="text to run, a sentence a line ('-': standard input)")
    given.add_argument("--prompt", metavar="WORDS", help="the beginning of a sentence")
    run_.add_argument(
        "--generate",
        metavar="N",
        type=count,
        help=f"words to generate (default: {DEFAULT_WORDS}; 0 with --text)",
    )
    drawing = run_.add_argument_group(
        "drawing words",
        "With any of these, words are drawn on the host from the kernel's logits, one start of the kernel a "
        "word, instead of the kernel going on with the likeliest by itself. What it costs is printed.",
    )
    drawing.add_argument(
        "--temperature",
        metavar="T",
        type=float,
        help="draw from softmax(logits / T): 0: the likeliest (default: 1)",
    )
    drawing.add_argument("--top-k", metavar="K", type=positive, help="draw from the K likeliest words only")
    drawing.add_argument("--seed", type=count, help="of the draws (default: 0)")
    run_.add_argument("--board", default=AUTO, help=_BOARD_HELP)
    add_bitfile(run_)
    run_.add_argument("--tokens", metavar="N", type=positive, help="run only the first N tokens of the text")
    run_.add_argument(
        "--logits",
        action="store_true",
        help="have the kernel write all logits: for the perplexity of a text, and for --check to compare",
    )
    run_.add_argument("--check", action="store_true", help="compare every token with the reference model")
    run_.add_argument(
        "--chunk",
        metavar="N",
        type=positive,
        help="tokens per start of the kernel: more for speed, fewer for a livelier progress bar",
    )
    run_.add_argument(
        "--watch",
        action=argparse.BooleanOptionalAction,
        help="print a line for each token, with a bar for the events of each layer, full where a third of "
        "its neurons fire (default: on a terminal, unless it is a --text)",
    )
    run_.add_argument(
        "--save",
        metavar="RUN",
        type=Path,
        help="save the run for 'egret report'; of a checkpoint this includes --check, since it is the "
        "reference model that knows which neurons fired",
    )
    run_.add_argument("--json", action="store_true", help="print everything as JSON")

    report_command.add_arguments(
        commands.add_parser("report", help="make a page with pictures of a run that was saved")
    )
    eval_command.add_arguments(
        commands.add_parser("eval", help="perplexity of a text on a board, and cycles per token")
    )
    verify_command.add_arguments(
        commands.add_parser("verify", help="self-test of a board: the first thing to run on a new one")
    )

    boards_command.add_arguments(
        commands.add_parser("boards", help="list the boards, and say which one this machine has")
    )

    pack_ = commands.add_parser(
        "pack",
        help="pack a checkpoint into a model image ahead of time",
        description="Fold the embedding into a table, encode the weight columns and write the model image "
        "that a board's kernel reads. 'egret run' does the same when it is given a checkpoint; packing ahead "
        "spares a board the time. An image is for one kernel: name the board that it will run on.",
        epilog="Example: egret pack models/ptb-egru.npz --board pynq-z2 -o ptb.image",
    )
    pack_.set_defaults(function=_pack)
    pack_.add_argument("model", metavar="MODEL", type=Path, help="quantised checkpoint (.npz)")
    pack_.add_argument("-o", "--output", metavar="IMAGE", type=Path, required=True, help="file to write")
    pack_.add_argument(
        "--board", default=DEFAULT_BOARD, help=f"pack for this board's kernel ({DEFAULT_BOARD})"
    )

    tokens = commands.add_parser(
        "tokens",
        help="write the tokens of a text to a NumPy file",
        description="Cut a text as the model's training text was cut, and write its tokens to a NumPy .npy "
        "file (uint32, one dimension): what 'egret eval' takes, and Network.run() of the Python API.",
        epilog="Example: egret tokens models/ptb-egru.npz ptb.test.txt -o ptb.test.npy",
    )
    tokens.set_defaults(function=_tokens)
    tokens.add_argument(
        "model", metavar="MODEL", type=Path, help="quantised checkpoint (.npz) or packed image"
    )
    tokens.add_argument("text", metavar="TEXT", help="text, or '-' (standard input)")
    tokens.add_argument("-o", "--output", metavar="NPY", type=Path, required=True, help="file to write")

    random = commands.add_parser(
        "random",
        help="write a checkpoint with random weights, to measure a shape that nobody has trained",
        description="Write a checkpoint with random weights of a given sparsity, balanced over the lanes of "
        "a board, and thresholds for about the given activity.",
        epilog="Example: egret random -o random.npz --layers 480 240 --embedding 240",
    )
    random.set_defaults(function=_random)
    random.add_argument("-o", "--output", metavar="MODEL", type=Path, required=True, help="file to write")
    random.add_argument("--layers", metavar="N", type=positive, nargs="+", required=True, help="neurons")
    random.add_argument(
        "--embedding", metavar="N", type=positive, required=True, help="width of a word's vector"
    )
    random.add_argument(
        "--vocabulary", metavar="N", type=positive, default=10000, help="words (default: 10000)"
    )
    random.add_argument(
        "--sparsity", metavar="S", type=float, default=0.85, help="share of zeros (default: 0.85)"
    )
    random.add_argument(
        "--activity", metavar="A", type=float, default=0.1, help="share that fires (default: 0.1)"
    )
    random.add_argument("--board", default=DEFAULT_BOARD, help=f"whose lanes to balance ({DEFAULT_BOARD})")
    random.add_argument("--seed", type=count, default=0, help="of the random numbers (default: 0)")

    inspect_command.add_arguments(
        commands.add_parser("inspect", help="say what is in a checkpoint or a model image")
    )
    bench_command.add_arguments(
        commands.add_parser("bench", help="measure networks of set sparsity and activity on the kernel")
    )
    return parser


def _pack(arguments: argparse.Namespace) -> int:
    board = board_profile(arguments.board)
    model = load_model(arguments.model)
    if isinstance(model, ModelImage):
        raise EgretError(f"{arguments.model} is packed already.")
    image = pack(model, board.build)
    check_memory(image, board)
    image.save(arguments.output)
    describe_image(image)
    return 0


def _tokens(arguments: argparse.Namespace) -> int:
    vocabulary = vocabulary_of(load_model(arguments.model))
    tokens = vocabulary.encode_text(read_text(arguments.text))
    content = io.BytesIO()
    np.save(content, tokens, allow_pickle=False)
    write_atomically(arguments.output, content.getvalue())
    unknown = vocabulary.count_unknown(tokens)
    print(f"{arguments.output}: {tokens.size:,} tokens, {unknown:,} of them {UNKNOWN}")
    return 0


def _random(arguments: argparse.Namespace) -> int:
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
        decoder_weight_bits=build.decoder_weight_bits,
    )
    # With these it can be prompted like a trained model, if not with sense.
    special = [END, UNKNOWN][: len(drawn.vocabulary)]
    checkpoint = replace(drawn, vocabulary=special + drawn.vocabulary[len(special) :])
    checkpoint.save(arguments.output)
    describe_checkpoint(checkpoint)
    return 0
