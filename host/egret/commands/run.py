"""`egret run`: a model on a board, from words to words, with the account of what it cost."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from egret.account.account import Account, account
from egret.account.table import account_table
from egret.account.text_score import TextScore
from egret.board.boards import is_csim, resolve_board
from egret.board.open_session import open_model
from egret.board.results import Run
from egret.checkpoint import Checkpoint
from egret.commands.live_view import LiveView, Style
from egret.errors import EgretError
from egret.generation import Generation, ignore
from egret.image.model_file import load_model, vocabulary_of
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


@dataclass(frozen=True)
class Report:
    """What there is to say about a run."""

    model: str
    board: str
    given: list[str]
    """The words that went in."""
    generated: list[str]
    """The words that came out after them."""
    run: Run
    figures: Account
    check: ReferenceCheck | None
    score: TextScore | None
    """Of the given words, where they are a text."""
    sampling: dict[str, Any] | None
    """How words were drawn, and what that cost; None where they were not."""


def run(arguments: argparse.Namespace) -> int:
    """Run the command; raise EgretError for wrong input and RunError for a board that fails."""
    name = resolve_board(arguments.board)
    watched = _is_watched(arguments)
    if arguments.save is not None and not arguments.save.absolute().parent.is_dir():
        raise EgretError(f"{arguments.save} cannot be written: there is no such folder.")
    model = load_model(arguments.model)
    vocabulary = vocabulary_of(model)
    given = _input_tokens(arguments, vocabulary)
    count = arguments.generate
    if count is None:
        count = 0 if arguments.text else DEFAULT_WORDS
    # A report shows which neurons fired, and the kernel only counts them: the reference model says which.
    compared = arguments.check or (arguments.save is not None and isinstance(model, Checkpoint))
    check = ReferenceCheck.of(model, given) if compared else None
    score = TextScore(given) if arguments.text else None
    sampler = _sampler(arguments)

    with open_model(model, name, arguments.chunk, arguments.bitfile) as (session, board, image):
        view = LiveView(image.neurons, vocabulary.words, not is_csim(name), Style.of(sys.stdout))
        parts: list[Run] = []
        traces: list[Trace] = []
        if watched:
            print(view.header(), flush=True)
        spoken = WordStream("generated:", vocabulary.decode)
        # A pipe gets the words as they come, and no bar between them.
        piped = is_piped() and bool(count) and not watched and not arguments.json
        if piped and arguments.prompt:
            _print_prompt(vocabulary, given)
        steps = given.size + max(count - 1, 0)
        said = 0
        with tqdm(total=steps, unit="token", disable=True if piped else None, file=sys.stderr) as bar:
            generation = Generation(
                session, given, count, arguments.logits, sampler, check.extend if check else ignore
            )
            for part in generation:
                if check is not None:
                    trace = check.take(part)
                    if arguments.save is not None:
                        traces.append(replace(trace, logits=None))
                if score is not None:
                    score.take(part)
                if watched:
                    bar.write("\n".join(view.lines(part, given.size)))
                parts.append(replace(part, logits=None))  # 4 bytes a word and token: too many to keep
                if piped:
                    spoken.add(generation.tokens[said:])
                    said = len(generation.tokens)
                words = vocabulary.decode(part.argmax[-_WORDS_IN_BAR:]).replace("\n", " ")
                bar.set_postfix_str(printable(words), refresh=False)
                bar.update(len(part))
        sampling = _sampling(sampler, generation, session.logit_bytes) if sampler is not None else None
    whole = Run.join(parts)
    out = generation.tokens
    figures = account(image, whole, board)
    if arguments.save is not None:
        record = make_record(
            model=str(arguments.model),
            board_name=name,
            image=image,
            account=figures,
            words=[vocabulary.words[int(token)] for token in whole.tokens],
            given=int(given.size),
            last_word=vocabulary.words[out[-1]] if out else "",
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
        generated=[vocabulary.words[int(token)] for token in out],
        run=whole,
        figures=figures,
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
        if out:
            spoken.add(out[said:])
            spoken.end()
        print_report(report, arguments.logits)
        if arguments.save is not None:
            print(f"\nsaved:      {arguments.save}; 'egret report {arguments.save}' makes a page of it")
    return 0


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


def _sampling(sampler: Sampler, generation: Generation, logit_bytes: int) -> dict[str, Any]:
    words = len(generation.tokens)
    return {
        "temperature": sampler.temperature,
        "top_k": sampler.top_k,
        "seed": sampler.seed,
        "words": words,
        "logit_bytes_per_word": logit_bytes,
        "host_seconds_per_word": generation.host_s / words if words else None,
    }


def print_report(report: Report, with_logits: bool) -> None:
    """Print everything but the words."""
    score, check = report.score, report.check
    if score is not None and score.predicted:
        perplexity = f", perplexity {score.perplexity:.2f}" if score.perplexity is not None else ""
        share = score.right / score.predicted
        print(
            f"text:       {score.predicted:,} words predicted, {share:.1%} right at first guess{perplexity}"
        )
    if check is not None:
        what = "every logit" if with_logits else "argmax and its logit"
        print(
            f"checked:    {what}, events and MACs of all {check.steps:,} tokens equal the reference model's"
        )
    if report.sampling is not None and report.sampling["words"]:
        sampling = report.sampling
        top = f", of the {sampling['top_k']} likeliest" if sampling["top_k"] is not None else ""
        print(
            f"sampled:    temperature {sampling['temperature']:g}{top}, seed {sampling['seed']}; each of "
            f"{sampling['words']:,} words cost a start of the kernel,\n            "
            f"{sampling['logit_bytes_per_word']:,} bytes of logits and "
            f"{1e3 * sampling['host_seconds_per_word']:.2f} ms on the host beside the kernel's time"
        )
    print()
    print(account_table(report.figures))


def as_json(report: Report) -> dict[str, Any]:
    """Return everything as what JSON can hold."""
    score = report.score
    return {
        "model": report.model,
        "board": report.board,
        "given": report.given,
        "generated": report.generated,
        "steps_checked": report.check.steps if report.check is not None else 0,
        "text": None
        if score is None
        else {"predicted": score.predicted, "right": score.right, "perplexity": score.perplexity},
        "sampling": report.sampling,
        "account": report.figures.as_dict(),
        "cycles_per_token": report.run.cycles.tolist(),
        "events_per_token": report.run.events.tolist(),
    }
