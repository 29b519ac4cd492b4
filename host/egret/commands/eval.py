"""`egret eval`: how well a model foresees a text on a board, and how many cycles a token takes."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from egret.account.account import make_account
from egret.account.table import account_table
from egret.account.text_score import TextScore
from egret.board.boards import is_csim, resolve_board
from egret.board.results import Run
from egret.commands.arguments import add_board, add_model, positive
from egret.errors import EgretError
from egret.image.model_file import load_model, vocabulary_of
from egret.network import open_network
from egret.profiles import Board
from egret.reference.comparison import ReferenceCheck
from egret.text.vocabulary import UNKNOWN, Vocabulary, read_text, read_tokens


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's description and arguments to its parser."""
    parser.description = (
        "Run a text through a model on a board, with all logits, and print its perplexity: each token "
        "after the first is predicted from those before it. The progress bar shows perplexity and cycles "
        "per token so far. A text is cut into tokens like the model's training text ('egret inspect' says"
        " how); a token file is a one-dimensional NumPy .npy file of integers, as 'egret tokens' writes "
        "it."
    )
    parser.set_defaults(function=evaluate)
    add_model(parser)
    parser.add_argument("text", metavar="TEXT", help="text, '-' (standard input), or token file (.npy)")
    add_board(parser)
    parser.add_argument("--tokens", metavar="N", type=positive, help="use only the first N tokens")
    parser.add_argument("--check", action="store_true", help="compare every logit with the reference model's")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def evaluate(arguments: argparse.Namespace) -> int:
    """Run the command; raise EgretError for wrong input and RunError for a board that fails."""
    name = resolve_board(arguments.board)
    model = load_model(arguments.model)
    vocabulary = vocabulary_of(model)
    tokens = _tokens(arguments.text, vocabulary)[: arguments.tokens]
    unknown = vocabulary.count_unknown(tokens)
    if tokens.size < 2:
        source = "The standard input" if arguments.text == "-" else arguments.text
        raise EgretError(f"{source} holds {tokens.size} tokens; a prediction takes two.")
    check = ReferenceCheck.of(model, tokens) if arguments.check else None
    score = TextScore(tokens)
    with open_network(model, name, chunk=arguments.chunk, bitfile=arguments.bitfile) as net:
        parts: list[Run] = []
        steps, cycles, begin = 0, 0, time.monotonic()
        with tqdm(total=tokens.size, unit="token", disable=None, file=sys.stderr) as bar:
            for part in net.stream_runs(tokens, logits=True):
                if check is not None:
                    check.take(part)
                score.take(part)
                parts.append(replace(part, logits=None))  # 4 bytes a word and token: too many to keep
                steps, cycles = steps + len(part), cycles + part.counters.cycles
                if score.perplexity is not None:
                    bar.set_postfix_str(_so_far(score.perplexity, cycles / steps), refresh=False)
                bar.update(len(part))
        seconds, logit_bytes = time.monotonic() - begin, net.logit_bytes
    whole = Run.join(parts)
    account = make_account(net.image, whole, net.board)
    clocked = not is_csim(name)
    if arguments.json:
        document = {
            "model": str(arguments.model),
            "board": name,
            "tokens": steps,
            "predicted": score.predicted,
            "right": score.right,
            "perplexity": score.perplexity,
            "unknown": unknown,
            "cycles_per_token": cycles / steps if clocked else None,
            "logit_bytes_per_token": logit_bytes,
            "events_per_token": whole.events.mean(axis=0, dtype=np.float64).tolist(),
            "steps_checked": check.steps if check is not None else 0,
            "seconds": seconds,
            "account": account.as_dict(),
        }
        print(json.dumps(document, indent=2))
        return 0
    assert score.perplexity is not None  # there are logits and a prediction
    print(f"perplexity  {score.perplexity:.2f} over {score.predicted:,} predicted tokens")
    if unknown:
        print(f"unknown     {unknown:,} of {steps:,} tokens are {UNKNOWN}, a word that the model lacks")
    print(f"right       {score.right / score.predicted:.1%} at first guess")
    print(f"cycles      {cycles / steps:,.0f} per token" if clocked else f"cycles      {name} has no clock")
    print(f"logits      {_writing(logit_bytes, net.board, clocked)}")
    if check is not None:
        print(
            f"checked     every logit, event count and MAC of {check.steps:,} tokens: the reference model's"
        )
    print()
    print(account_table(account))
    return 0


def _writing(size: int, board: Board, clocked: bool) -> str:
    """Return what it costs that all logits are written, `size` bytes a token through the board's DDR."""
    cycles = f", {size / board.bytes_per_cycle:,.0f} cycles of the DDR's time" if clocked else ""
    return f"{size:,} bytes per token written{cycles}: 'egret run --text' writes none"


def _so_far(perplexity: float, cycles_per_token: float) -> str:
    clock = f", {cycles_per_token:,.0f} cycles/token" if cycles_per_token else ""
    return f"perplexity {perplexity:.1f}{clock}"


def _tokens(name: str, vocabulary: Vocabulary) -> npt.NDArray[np.uint32]:
    """Return the tokens, uint32 [T], of a text or a token file; raise EgretError where it is neither."""
    if name.endswith(".npy"):
        return read_tokens(name, len(vocabulary))
    return vocabulary.encode_text(read_text(name))
