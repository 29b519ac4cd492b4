"""The reference model: the integer EGRU of docs/formats.md, section 1, bit for bit, in NumPy.

Tokens that are known beforehand go through the layers in chunks, layer by layer; generated ones go one
by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.folding import fold_table
from egret.reference.event_products import ChunkEvents, Events
from egret.reference.layer import ReferenceDecoder, ReferenceLayer

_CHUNK_TOKENS = 128


@dataclass(eq=False)
class Trace:
    """What a run of T tokens did."""

    tokens: npt.NDArray[np.uint32]
    """uint32 [T]: the input tokens."""
    argmax: npt.NDArray[np.uint32]
    """uint32 [T]: the word with the largest logit; among equals the smallest."""
    logit: npt.NDArray[np.int32]
    """int32 [T]: that word's logit, in units of 2^-11."""
    logits: npt.NDArray[np.int32] | None
    """int32 [T, V] in units of 2^-11, or None where they were not asked for."""
    events: list[list[Events]]
    """For each layer, for each token, (indices uint16, values uint8), sorted by index."""
    macs: npt.NDArray[np.int64]
    """int64 [T]: non-zero weights multiplied by an event, in all matrices but the folded one."""

    def event_counts(self) -> npt.NDArray[np.int64]:
        """Return the number of events, int64 [layers, T]."""
        return np.array(
            [[indices.size for indices, _ in layer] for layer in self.events], dtype=np.int64
        ).reshape(len(self.events), self.tokens.size)


@dataclass(frozen=True, eq=False)
class State:
    """Everything a model carries from one token to the next; per layer."""

    cells: tuple[npt.NDArray[np.int16], ...]
    """int16 [H]: c, in units of 2^-15."""
    events: tuple[Events, ...]
    """The events of the last step."""


class ReferenceModel:
    """Runs a checkpoint's network; the state persists from call to call, as it does in the kernel."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Prepare the network of a valid checkpoint, in the state of reset(); the checkpoint is not kept."""
        self._table = fold_table(checkpoint)
        self._layers = [
            ReferenceLayer(layer, self._table if index == 0 else None)
            for index, layer in enumerate(checkpoint.layers)
        ]
        self._decoder = ReferenceDecoder(checkpoint)

    @property
    def vocabulary_size(self) -> int:
        """V: tokens are 0..V-1."""
        return int(self._table.shape[0])

    @property
    def state(self) -> State:
        """A copy of the state."""
        return State(
            cells=tuple(layer.cells.astype(np.int16) for layer in self._layers),
            events=tuple(layer.last_events() for layer in self._layers),
        )

    def restore(self, state: State) -> None:
        """Go on from `state`, which this model (or one of the same sizes) was in before.

        Raises EgretError where its sizes are others.
        """
        sizes = [cells.size for cells in state.cells]
        if sizes != [layer.neurons for layer in self._layers]:
            raise EgretError(
                f"The state is of layers of {sizes} neurons; this model has "
                f"{[layer.neurons for layer in self._layers]}."
            )
        for layer, cells, events in zip(self._layers, state.cells, state.events, strict=True):
            layer.restore(cells, events)

    def reset(self) -> None:
        """Set every cell state to zero and forget the last step's events."""
        for layer in self._layers:
            layer.reset()

    def run(self, tokens: npt.ArrayLike, logits: bool = False) -> Trace:
        """Feed T tokens (integers [T]), whatever the model answers; keep all logits on request.

        Raises EgretError where a token is not in the vocabulary.
        """
        checked = self._check_tokens(tokens)
        chunks = [
            self._advance(checked[start : start + _CHUNK_TOKENS], logits)
            for start in range(0, checked.size, _CHUNK_TOKENS)
        ]
        return self._join(chunks, logits)

    def generate(self, first_token: int, count: int, logits: bool = False) -> Trace:
        """Run `count` steps, the first on `first_token`, each next one on the argmax of the step before.

        Raises EgretError where the first token is not in the vocabulary or `count` is negative.
        """
        if count < 0:
            raise EgretError(f"The number of tokens to generate must not be negative; it is {count}.")
        token = self._check_tokens([first_token])
        chunks: list[Trace] = []
        for _ in range(count):
            chunks.append(self._advance(token, logits))
            token = chunks[-1].argmax
        return self._join(chunks, logits)

    def _check_tokens(self, tokens: npt.ArrayLike) -> npt.NDArray[np.uint32]:
        array = np.asarray(tokens)
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise EgretError(
                f"Tokens must be integers in one dimension; they are {array.dtype} of shape "
                f"{list(array.shape)}."
            )
        wrong = np.flatnonzero((array < 0) | (array >= self.vocabulary_size))
        if wrong.size:
            raise EgretError(
                f"Token {int(array[wrong[0]])} at position {int(wrong[0])} is not in the vocabulary of "
                f"{self.vocabulary_size} words."
            )
        return array.astype(np.uint32)

    def _advance(self, tokens: npt.NDArray[np.uint32], keep_logits: bool) -> Trace:
        """Run one chunk of at least one token through all layers and the decoder."""
        macs = np.zeros(tokens.size, dtype=np.int64)
        events: list[list[Events]] = []
        below: ChunkEvents | None = None
        rows = self._table[tokens]
        for layer in self._layers:
            before = layer.last_indices
            fired = layer.run(rows, below)
            macs += fired.previous_macs(before, layer.recurrent_nonzeros)
            if below is not None:
                macs += below.macs(layer.input_nonzeros)
            events.append(fired.split())
            below = fired
        assert below is not None  # a checkpoint has a layer
        macs += below.macs(self._decoder.nonzeros)
        logits = self._decoder.logits(below)
        argmax = logits.argmax(axis=1)
        return Trace(
            tokens=tokens,
            argmax=argmax.astype(np.uint32),
            logit=logits[np.arange(tokens.size), argmax].astype(np.int32),
            logits=logits.astype(np.int32) if keep_logits else None,
            events=events,
            macs=macs,
        )

    def _join(self, chunks: list[Trace], keep_logits: bool) -> Trace:
        def joined(arrays: list[npt.NDArray[Any]], dtype: type[np.generic]) -> npt.NDArray[Any]:
            return np.concatenate(arrays) if arrays else np.empty(0, dtype=dtype)

        logits = None
        if keep_logits:
            # Filled chunk by chunk and each chunk dropped: concatenating would hold all logits twice.
            logits = np.empty(
                (sum(chunk.tokens.size for chunk in chunks), self.vocabulary_size), dtype=np.int32
            )
            start = 0
            for chunk in chunks:
                logits[start : start + chunk.tokens.size] = chunk.logits
                start += chunk.tokens.size
                chunk.logits = None
        return Trace(
            tokens=joined([chunk.tokens for chunk in chunks], np.uint32),
            argmax=joined([chunk.argmax for chunk in chunks], np.uint32),
            logit=joined([chunk.logit for chunk in chunks], np.int32),
            logits=logits,
            events=[
                [step for chunk in chunks for step in chunk.events[index]]
                for index in range(len(self._layers))
            ],
            macs=joined([chunk.macs for chunk in chunks], np.int64),
        )
