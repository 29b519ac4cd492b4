"""A run with everything that its report says: what was asked, what came out, what it cost, who fired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import numpy.typing as npt

from egret.account.account import Account
from egret.account.fetched_beats import fetched_beats, fired_neurons
from egret.account.matrices import MatrixAccount
from egret.board.results import Counters, Run
from egret.errors import RunError
from egret.image.layout import Layout
from egret.image.model_image import ModelImage
from egret.profiles import Board
from egret.reference.model import Trace


@dataclass(frozen=True)
class Facts:
    """Everything about a run that is no array."""

    model: str
    """The file, as it was named."""
    name: str
    """What the model calls itself."""
    board_name: str
    """As `egret boards` lists it: says whether it was simulated."""
    saved_at: str
    """UTC, ISO 8601."""
    given: int
    """How many of the words that went in were given; the others were generated."""
    words: tuple[str, ...]
    """The T words that went in."""
    last_word: str
    """The last word generated, which was not fed back; "" if none was generated."""
    steps_checked: int
    """Steps that were compared with the reference model."""
    logits: bool
    """Whether the kernel wrote all logits, which share the memory with what is fetched."""
    perplexity: float | None
    """Of the given words, where they are a text and all logits were there."""
    neurons: tuple[int, ...]
    """Of each layer."""
    vocabulary: int
    """Words."""
    image_bytes: dict[str, int]
    """Bytes of the model image by section."""
    matrices: tuple[MatrixAccount, ...]
    """The first is the folded one, the last the decoder."""
    table_row_beats: int
    """Of each engine."""
    layout: Layout
    """Of the layers."""
    board: Board
    """The profile."""


@dataclass(frozen=True, eq=False)
class RunRecord:
    """A saved run of T tokens on a network of L layers."""

    facts: Facts
    run: Run
    """Without logits; its counters are the sums over `starts`."""
    starts: tuple[tuple[int, Counters], ...]
    """For each start of the kernel, how many tokens it ran and what was counted."""
    fired: tuple[npt.NDArray[np.bool_], ...] | None
    """For each layer, bool [T, H]: which neurons sent an event at each token, by the reference model. None
    where it did not run (of a packed image)."""
    section_beats: npt.NDArray[np.int64] | None
    """int64 [T, engines, SECTIONS]: the beats that each token's events ask for; None where `fired` is."""

    @property
    def account(self) -> Account:
        """MACs on paper against cycles on the machine."""
        facts, events = self.facts, self.run.events.mean(axis=0, dtype=np.float64)
        return Account.of(
            self.run,
            facts.matrices,
            layer_activity=[float(mean) / count for mean, count in zip(events, facts.neurons, strict=True)],
            table_row_beats=facts.table_row_beats,
            layout=facts.layout,
            board=facts.board,
        )

    @property
    def busiest(self) -> int:
        """The engine with the most beats."""
        return int(np.argmax(np.array(self.run.counters.beats, dtype=np.int64)))


def make_record(
    *,
    model: str,
    board_name: str,
    image: ModelImage,
    account: Account,
    words: Sequence[str],
    given: int,
    last_word: str,
    parts: Sequence[Run],
    traces: Sequence[Trace],
    steps_checked: int,
    logits: bool,
    perplexity: float | None,
) -> RunRecord:
    """Make the record of a run that began right after a load.

    parts: one for each start of the kernel. traces: what the reference model did at the same tokens, empty
    where it did not run. account: of all parts together. Raises RunError where the beats that the kernel
    counted are not those of the columns of the neurons that fired.
    """
    facts = Facts(
        model=model,
        name=image.name,
        board_name=board_name,
        saved_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        given=given,
        words=tuple(words),
        last_word=last_word,
        steps_checked=steps_checked,
        logits=logits,
        perplexity=perplexity,
        neurons=image.neurons,
        vocabulary=image.header.words,
        image_bytes=_bytes_by_section(image),
        matrices=account.matrices,
        table_row_beats=image.table_row_beats(),
        layout=image.layout,
        board=account.board,
    )
    run = Run.join(parts)
    fired = fired_neurons(traces, image.neurons) if traces else None
    beats = fetched_beats(image, fired) if fired is not None else None
    if beats is not None:
        by_engine = tuple(int(count) for count in beats.sum(axis=(0, 2)))
        counted = run.counters.beats[: image.layout.engines]
        if by_engine != counted:
            raise RunError(
                f"The kernel counted {counted} beats on its engines; the columns of the neurons that fired "
                f"have {by_engine}."
            )
    return RunRecord(
        facts=facts,
        run=run,
        starts=tuple((len(part), part.counters) for part in parts),
        fired=fired,
        section_beats=beats,
    )


def _bytes_by_section(image: ModelImage) -> dict[str, int]:
    result: dict[str, int] = {}
    for section in image.header.all_sections():
        result[section.name] = result.get(section.name, 0) + section.bytes
    return result
