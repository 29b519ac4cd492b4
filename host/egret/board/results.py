"""What the kernel reports about a run: the result records, the logits and the counters, as NumPy arrays.

Layouts: docs/formats.md, section 5; word numbers: egret.contract.COUNTERS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from egret.contract import COUNTERS, RESULT_BYTES
from egret.errors import EgretError

RESULT_WORDS = RESULT_BYTES // 4
_EVENTS_WORD = 4  # of a result record: after argmax, logit, token and cycles come two u16 event counts a word


_Counters = TypeVar("_Counters", bound="Counters")


@dataclass(frozen=True)
class Counters:
    """The counters of one command, or the sums over several.

    Tuples have one entry per layer or engine the kernel could have (MAX_LAYERS, MAX_ENGINES); entries for
    those it lacks are 0.
    """

    cycles: int
    """Kernel clock cycles from the start of the command to the writing of the counters."""
    macs: int
    """Multiply-accumulates done: column entries with a non-zero weight, all engines."""
    update_cycles: int
    """Cycles of neuron update or decoder sweep with no read outstanding: update that hides behind nothing."""
    events: tuple[int, ...]
    """Events of each layer."""
    beats: tuple[int, ...]
    """Data beats of columns and table rows of each engine."""
    wait_cycles: tuple[int, ...]
    """Cycles in which the engine had a read outstanding and no data beat arrived."""
    write_cycles: int
    """Cycles in which a decoder sweep waited for room to write logits."""

    @classmethod
    def parse(cls: type[_Counters], words: npt.NDArray[np.uint64]) -> _Counters:
        """Take the counters out of a counters block, uint64 [COUNTERS_BYTES / 8]."""
        values: dict[str, Any] = {}
        for item in fields(cls):
            first, count = COUNTERS[item.name]
            numbers = tuple(int(word) for word in words[first : first + count])
            values[item.name] = numbers[0] if count == 1 else numbers
        return cls(**values)

    @classmethod
    def zero(cls) -> Counters:
        """Return the counters of no command at all."""
        return cls.parse(np.zeros(max(first + count for first, count in COUNTERS.values()), dtype=np.uint64))

    def __add__(self, other: Counters) -> Counters:
        values: dict[str, Any] = {}
        for item in fields(self):
            mine, theirs = getattr(self, item.name), getattr(other, item.name)
            values[item.name] = (
                mine + theirs
                if isinstance(mine, int)
                else tuple(a + b for a, b in zip(mine, theirs, strict=True))
            )
        return Counters(**values)


@dataclass(frozen=True, eq=False)
class Run:
    """T consecutive steps of the network, and what they cost."""

    tokens: npt.NDArray[np.uint32]
    """uint32 [T]: the input tokens."""
    argmax: npt.NDArray[np.uint32]
    """uint32 [T]: the likeliest next token after each."""
    logit: npt.NDArray[np.int32]
    """int32 [T]: the logit of `argmax`, in units of 2^-11."""
    cycles: npt.NDArray[np.uint32]
    """uint32 [T]: kernel cycles of each step."""
    events: npt.NDArray[np.uint16]
    """uint16 [T, L]: events of each of the L layers."""
    logits: npt.NDArray[np.int32] | None
    """int32 [T, V] in units of 2^-11, where they were asked for."""
    counters: Counters
    drawn: npt.NDArray[np.uint32] | None = field(default=None, kw_only=True)
    """uint32 [T]: the tokens drawn on the host to follow each; None where the argmax follows."""

    @property
    def next(self) -> npt.NDArray[np.uint32]:
        """uint32 [T]: the token that follows each when generating: the one drawn, or the argmax."""
        return self.argmax if self.drawn is None else self.drawn

    def __len__(self) -> int:
        return int(self.tokens.size)

    @classmethod
    def join(cls, parts: Sequence[Run]) -> Run:
        """Return the runs `parts`, made one after the other, as one; raise EgretError if there are none."""
        if not parts:
            raise EgretError("A run needs at least one token; there is none.")
        arrays = {
            item.name: [getattr(part, item.name) for part in parts]
            for item in fields(cls)
            if item.name not in ("logits", "counters", "drawn")
        }
        logits = [part.logits for part in parts if part.logits is not None]
        return cls(
            **{name: np.concatenate(values) for name, values in arrays.items()},
            logits=np.concatenate(logits) if len(logits) == len(parts) else None,
            counters=sum((part.counters for part in parts), Counters.zero()),
            drawn=None
            if all(part.drawn is None for part in parts)
            else np.concatenate([part.next for part in parts]),
        )


def parse_results(
    records: npt.NDArray[np.uint32],
    layers: int,
    counters: Counters,
    logits: npt.NDArray[np.int32] | None = None,
) -> Run:
    """Make a Run of the result records, uint32 [T, RESULT_BYTES / 4], of a network with this many layers.

    Nothing in the result refers to the memory of `records`.
    """
    events = np.ascontiguousarray(records[:, _EVENTS_WORD:]).view(np.uint16)
    return Run(
        argmax=records[:, 0].copy(),
        logit=records[:, 1].copy().view(np.int32),
        tokens=records[:, 2].copy(),
        cycles=records[:, 3].copy(),
        events=events[:, :layers].copy(),
        logits=logits,
        counters=counters,
    )


def deal_logits_back(blocks: npt.NDArray[np.int32], vocabulary: int) -> npt.NDArray[np.int32]:
    """Put logits, int32 [T, engines, positions] as the engines write them, into word order: int32 [T, V].

    Word v stands at position v div engines of engine v mod engines; positions beyond the vocabulary (padding
    of lanes and of the block) are dropped. The result is a copy.
    """
    tokens, engines, positions = blocks.shape
    by_word = np.ascontiguousarray(blocks.transpose(0, 2, 1)).reshape(tokens, engines * positions)
    return by_word[:, :vocabulary].copy()
