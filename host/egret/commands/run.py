"""`egret run`: a model on a board, from words to words, with the account of what it cost."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from egret.account.account import make_account
from egret.account.text_score import TextScore
from egret.board.boards import is_csim, resolve_board
from egret.board.results import Run
from egret.checkpoint import Checkpoint
from egret.commands.arguments import add_board, add_model, count, positive
from egret.commands.live_view import LiveView, Style
from egret.commands.run_report import Report, as_json, print_report
from egret.errors import EgretError
from egret.image.model_file import load_model, vocabulary_of
from egret.network import Network, open_network
from egret.reference.comparison import ReferenceCheck
from egret.reference.model import Trace
from egret.report.record import make_record
from egret.report.run_file import save_record
from egret.sampling import Sampler
from egret.text.printable import printable
from egret.text.vocabulary import Vocabulary, read_text
from egret.text.word_stream import WordStream, is_piped

DEFAULT_WORDS = 20
_WORDS_IN_BAR = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's description and arguments to its parser."""
    parser.description = (
        "Run a model on a board. The model reads the given text word by word and then continues it: each "
        "next input is the likeliest next word, or one that is drawn."
    )
    parser.set_defaults(function=run)
    add_model(parser)
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--text", metavar="FILE", help="text to run, a sentence a line ('-': standard input)")
    given.add_argument("--prompt", metavar="WORDS", help="the beginning of a sentence")
    parser.add_argument(
        "--generate",
        metavar="N",
        type=count,
        help=f"words to generate (default: {DEFAULT_WORDS}; 0 with --text)",
    )
    drawing = parser.add_argument_group(
        "drawing words",
        "With any of these, the host draws each word from the kernel's logits, one start of the kernel per "
        "word; without them, the kernel itself continues with the likeliest. The cost is printed.",
    )
    drawing.add_argument(
        "--temperature",
        metavar="T",
        type=float,
        help="draw from softmax(logits / T); 0 takes the likeliest word (default: 1)",
    )
    drawing.add_argument("--top-k", metavar="K", type=positive, help="draw only from the K likeliest words")
    drawing.add_argument("--seed", type=count, help="seed of the draws (default: 0)")
    add_board(parser)
    parser.add_argument(
        "--tokens", metavar="N", type=positive, help="run only the first N tokens of the text"
    )
    parser.add_argument(
        "--logits",
        action="store_true",
        help="have the kernel write all logits, for the perplexity of a text and for --check",
    )
    parser.add_argument("--check", action="store_true", help="compare every token with the reference model")
    parser.add_argument(
        "--watch",
        action=argparse.BooleanOptionalAction,
        help="print a line for each token with a bar for each layer's events; a full bar is a third of its "
        "neurons (default: on a terminal, except with --text)",
    )
    parser.add_argument(
        "--save",
        metavar="RUN",
        type=Path,
        help="save the run for 'egret report'; for a checkpoint this includes --check, because only the "
        "reference model knows which neurons fired",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; raise EgretError for wrong input and RunError for a board that fails."""
    name = resolve_board(arguments.board)
    watched = _is_watched(arguments)
    if arguments.save is not None and not arguments.save.absolute().parent.is_dir():
        raise EgretError(f"{arguments.save} cannot be written: there is no such folder.")
    model = load_model(arguments.model)
    vocabulary = vocabulary_of(model)
    given = _input_tokens(arguments, vocabulary)
    words = arguments.generate
    if words is None:
        words = 0 if arguments.text else DEFAULT_WORDS
    # A report shows which neurons fired, and the kernel only counts them: the reference model says which.
    compared = arguments.check or (arguments.save is not None and isinstance(model, Checkpoint))
    check = ReferenceCheck.of(model, given) if compared else None
    score = TextScore(given) if arguments.text else None
    sampler = _sampler(arguments)

    with open_network(model, name, chunk=arguments.chunk, bitfile=arguments.bitfile) as net:
        view = LiveView(net.image.neurons, vocabulary.words, not is_csim(name), Style.of(sys.stdout))
        parts: list[Run] = []
        traces: list[Trace] = []
        if watched:
            print(view.header(), flush=True)
        spoken = WordStream("generated:", vocabulary.decode)
        # A pipe gets the words as they come, and no bar between them.
        piped = is_piped() and bool(words) and not watched and not arguments.json
        if piped and arguments.prompt:
            _print_prompt(vocabulary, given)
        generated: list[int] = []
        steps = 0
        total = given.size + max(words - 1, 0)
        with tqdm(total=total, unit="token", disable=True if piped else None, file=sys.stderr) as bar:
            for part in _runs(net, given, words, arguments.logits, sampler):
                if check is not None:
                    trace = check.take(part)
                    if arguments.save is not None:
                        traces.append(replace(trace, logits=None))
                if score is not None:
                    score.take(part)
                if watched:
                    bar.write("\n".join(view.lines(part, given.size)))
                parts.append(replace(part, logits=None))  # 4 bytes a word and token: too many to keep
                new = part.next[max(given.size - 1 - steps, 0) :].tolist() if words else []
                generated += new
                steps += len(part)
                if piped:
                    spoken.add(new)
                latest = vocabulary.decode(part.argmax[-_WORDS_IN_BAR:]).replace("\n", " ")
                bar.set_postfix_str(printable(latest), refresh=False)
                bar.update(len(part))
        sampling = _sampling(sampler, net, len(generated)) if sampler is not None else None
    whole = Run.join(parts)
    account = make_account(net.image, whole, net.board)
    if arguments.save is not None:
        record = make_record(
            model=str(arguments.model),
            board_name=name,
            image=net.image,
            account=account,
            words=[vocabulary.words[int(token)] for token in whole.tokens],
            given=int(given.size),
            last_word=vocabulary.words[generated[-1]] if generated else "",
            parts=parts,
            traces=traces,
            steps_checked=check.steps if check is not None else 0,
            logits=arguments.logits or sampler is not None,
            perplexity=score.perplexity if score is not None else None,
        )
        save_record(arguments.save, record)
    report = Report(
        model=str(arguments.model),
        board=name,
        given=[vocabulary.words[int(token)] for token in given],
        generated=[vocabulary.words[token] for token in generated],
        run=whole,
        account=account,
        check=check,
        score=score,
        sampling=sampling,
    )
    if arguments.json:
        print(json.dumps(as_json(report), indent=2))
    else:
        if watched:
            print()
        if arguments.prompt and not piped:
            _print_prompt(vocabulary, given)
        if generated:
            spoken.add([] if piped else generated)
            spoken.end()
        print_report(report, arguments.logits)
        if arguments.save is not None:
            print(f"\nsaved:      {arguments.save}; 'egret report {arguments.save}' makes a page of it")
    return 0


def _runs(
    net: Network, given: npt.NDArray[np.uint32], words: int, logits: bool, sampler: Sampler | None
) -> Iterator[Run]:
    """Run `given`, then generate `words` tokens after it, the last of which is not fed back."""
    if not words or sampler is None:
        following = 0
        for run in net.stream_runs(given, logits):
            following = int(run.next[-1])
            yield run
        if words > 1:
            yield from net.generate_runs(following, words - 1, logits)
        return
    if given.size > 1:
        yield from net.stream_runs(given[:-1], logits)
    yield from net.generate_runs(int(given[-1]), words, logits, sampler)


def _print_prompt(vocabulary: Vocabulary, given: npt.NDArray[np.uint32]) -> None:
    prompt = WordStream("prompt:", vocabulary.decode)
    prompt.add(given[1:].tolist())
    prompt.end()


def _is_watched(arguments: argparse.Namespace) -> bool:
    """Return whether each token gets a line: if asked for, and of words (not texts) on a terminal."""
    if arguments.watch is None:
        return sys.stdout.isatty() and not arguments.json and not arguments.text
    if arguments.watch and arguments.json:
        raise EgretError("--watch prints lines between which no JSON fits: leave out one of --watch, --json.")
    return bool(arguments.watch)


def _input_tokens(arguments: argparse.Namespace, vocabulary: Vocabulary) -> npt.NDArray[np.uint32]:
    if arguments.text is not None:
        tokens = vocabulary.encode_text(read_text(arguments.text))
        if tokens.size == 0:
            where = "Standard input" if str(arguments.text) == "-" else arguments.text
            raise EgretError(f"{where} holds no words.")
    else:
        tokens = vocabulary.encode_prompt(arguments.prompt or "")
    return tokens[: arguments.tokens] if arguments.tokens else tokens


def _sampler(arguments: argparse.Namespace) -> Sampler | None:
    """Return what draws words, or None where the kernel's own choice, the likeliest, is wanted."""
    if arguments.temperature is None and arguments.top_k is None:
        if arguments.seed is not None:
            raise EgretError("--seed is for drawing words: give --temperature or --top-k with it.")
        return None
    temperature = 1.0 if arguments.temperature is None else arguments.temperature
    return Sampler(temperature, arguments.top_k, arguments.seed or 0)


def _sampling(sampler: Sampler, net: Network, words: int) -> dict[str, Any]:
    return {
        "temperature": sampler.temperature,
        "top_k": sampler.top_k,
        "seed": sampler.seed,
        "words": words,
        "logit_bytes_per_word": net.logit_bytes,
        "host_seconds_per_word": net.drawing_s / words if words else None,
    }
