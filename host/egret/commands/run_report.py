"""What `egret run` says at its end: as a table, or as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from egret.account.account import Account
from egret.account.table import account_table
from egret.account.text_score import TextScore
from egret.board.results import Run
from egret.reference.comparison import ReferenceCheck


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
    account: Account
    check: ReferenceCheck | None
    score: TextScore | None
    """Of the given words, where they are a text."""
    sampling: dict[str, Any] | None
    """How words were drawn, and what that cost; None where they were not."""


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
    print(account_table(report.account))


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
        "account": report.account.as_dict(),
        "cycles_per_token": report.run.cycles.tolist(),
        "events_per_token": report.run.events.tolist(),
    }
