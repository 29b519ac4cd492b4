"""`egret tokens`: a text as a model's tokens, in a NumPy file."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np

from egret.commands.arguments import add_model
from egret.files import write_atomically
from egret.image.model_file import load_model, vocabulary_of
from egret.text.vocabulary import UNKNOWN, read_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's description and arguments to its parser."""
    parser.description = (
        "Cut a text into tokens like the model's training text, and write them to a NumPy .npy file "
        "(uint32, one dimension), for 'egret eval' or for Network.run() of the Python API."
    )
    parser.epilog = "Example: egret tokens models/ptb-egru.npz ptb.test.txt -o ptb.test.npy"
    parser.set_defaults(function=write_tokens)
    add_model(parser)
    parser.add_argument("text", metavar="TEXT", help="text, or '-' (standard input)")
    parser.add_argument("-o", "--output", metavar="NPY", type=Path, required=True, help="file to write")


def write_tokens(arguments: argparse.Namespace) -> int:
    """Run the command; raise EgretError where a file cannot be read or written."""
    vocabulary = vocabulary_of(load_model(arguments.model))
    tokens = vocabulary.encode_text(read_text(arguments.text))
    content = io.BytesIO()
    np.save(content, tokens, allow_pickle=False)
    write_atomically(arguments.output, content.getvalue())
    unknown = vocabulary.count_unknown(tokens)
    print(f"{arguments.output}: {tokens.size:,} tokens, {unknown:,} of them {UNKNOWN}")
    return 0
