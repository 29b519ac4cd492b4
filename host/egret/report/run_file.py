"""The file of a saved run: a NumPy .npz (deflated, no pickle), written on a board and read on a PC.

`facts` is JSON (egret.report.record.Facts); the others are arrays of T tokens, S starts of the kernel, L
layers and E engines:

    format          str           egret-run-1
    tokens, argmax  uint32 [T]
    logit           int32 [T]
    cycles          uint32 [T]
    events          uint16 [T, L]
    start_tokens    int64 [S]     tokens of each start
    start_counters  uint64 [S, W] its counters, at their words of the counters block (docs/formats.md)
    section_beats   int64 [T, E, 4]   and
    firedL          uint8 [T, (H + 7) / 8]   for layer L, first neuron in the highest bit: both only where
                                  the reference model ran
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

from egret.account.matrices import SECTIONS
from egret.archive import parse_json, read_arrays
from egret.board.results import Counters, Run
from egret.contract import COUNTERS, COUNTERS_BYTES, MAX_ENGINES
from egret.errors import EgretError
from egret.files import write_atomically
from egret.image.layout import Layout
from egret.report.record import Facts, RunRecord

FORMAT = "egret-run-1"


def save_record(path: str | os.PathLike[str], record: RunRecord) -> None:
    """Write a record to `path`, whole or not at all; raises EgretError where it cannot be written."""
    run = record.run
    arrays: dict[str, npt.NDArray[Any]] = {
        "format": np.array(FORMAT),
        "facts": np.array(json.dumps(asdict(record.facts))),
        "tokens": run.tokens,
        "argmax": run.argmax,
        "logit": run.logit,
        "cycles": run.cycles,
        "events": run.events,
        "start_tokens": np.array([count for count, _ in record.starts], dtype=np.int64),
        "start_counters": np.stack([_to_words(counters) for _, counters in record.starts]),
    }
    if record.fired is not None and record.section_beats is not None:
        arrays["section_beats"] = record.section_beats
        for layer, fired in enumerate(record.fired):
            arrays[f"fired{layer}"] = np.packbits(fired, axis=1)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    write_atomically(path, stream.getvalue())


def load_record(path: str | os.PathLike[str]) -> RunRecord:
    """Read and check the record at `path`; raise EgretError if it is not a run, or contradicts itself."""
    try:
        arrays = read_arrays(Path(path))
    except OSError as error:
        raise EgretError(f"The run {path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise EgretError(
            f"{path} is no saved run: {error}; 'egret run --save {Path(path).name}' makes one."
        ) from error
    found = str(arrays.get("format", ""))
    if found != FORMAT:
        raise EgretError(
            f"{path} is no run that this version of Egret saved: its format is {found!r}, not {FORMAT!r}."
        )
    try:
        return _to_record(arrays)
    except (KeyError, TypeError, ValueError, OverflowError, EgretError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise EgretError(f"The run {path} is damaged: {what}.") from error


def _to_words(counters: Counters) -> npt.NDArray[np.uint64]:
    words = np.zeros(COUNTERS_BYTES // 8, dtype=np.uint64)
    for item in fields(counters):
        first, count = COUNTERS[item.name]
        words[first : first + count] = getattr(counters, item.name)
    return words


def _to_record(arrays: dict[str, npt.NDArray[Any]]) -> RunRecord:
    facts: Facts = from_json(Facts, parse_json(str(arrays["facts"])), "facts")
    tokens, layers, engines = len(facts.words), len(facts.neurons), facts.layout.engines
    _check_facts(facts)

    def take(name: str, dtype: type[np.generic], *shape: int | None) -> npt.NDArray[Any]:
        array = arrays[name]
        fits = len(array.shape) == len(shape) and all(
            wanted in (None, size) for size, wanted in zip(array.shape, shape, strict=True)
        )
        if array.dtype != np.dtype(dtype) or not fits:
            raise ValueError(f"{name} is {array.dtype} of shape {list(array.shape)}")
        return array

    start_tokens = take("start_tokens", np.int64, None)
    words = take("start_counters", np.uint64, start_tokens.size, COUNTERS_BYTES // 8)
    if start_tokens.size == 0 or start_tokens.min() < 1 or start_tokens.sum() != tokens:
        raise ValueError(f"its starts are not of {tokens} tokens")
    starts = tuple((int(count), Counters.parse(row)) for count, row in zip(start_tokens, words, strict=True))
    run = Run(
        tokens=take("tokens", np.uint32, tokens),
        argmax=take("argmax", np.uint32, tokens),
        logit=take("logit", np.int32, tokens),
        cycles=take("cycles", np.uint32, tokens),
        events=take("events", np.uint16, tokens, layers),
        logits=None,
        counters=sum((counters for _, counters in starts), Counters.zero()),
    )
    if (run.events > np.array(facts.neurons, dtype=np.int64)).any():
        raise ValueError("a layer has more events than neurons")
    fired, beats = None, None
    if "section_beats" in arrays:
        beats = take("section_beats", np.int64, tokens, engines, len(SECTIONS))
        if beats.min() < 0 or tuple(beats.sum(axis=(0, 2)).tolist()) != run.counters.beats[:engines]:
            raise ValueError("its beats are not those that were counted")
        fired = tuple(
            np.unpackbits(
                take(f"fired{layer}", np.uint8, tokens, -(-count // 8)), axis=1, count=count
            ).astype(np.bool_)
            for layer, count in enumerate(facts.neurons)
        )
        for layer, array in enumerate(fired):
            if (array.sum(axis=1) != run.events[:, layer]).any():
                raise ValueError(f"the neurons of layer {layer} that fired are not as many as its events")
    return RunRecord(facts=facts, run=run, starts=starts, fired=fired, section_beats=beats)


def _check_facts(facts: Facts) -> None:
    """Raise ValueError for what no run can have."""
    tokens, memory = len(facts.words), facts.board.memory
    sections = {matrix.section for matrix in facts.matrices}
    layouts = [facts.layout, *(matrix.layout for matrix in facts.matrices)]
    possible = {
        "tokens": 1 <= facts.given <= tokens and 0 <= facts.steps_checked <= tokens,
        "layers": len(facts.neurons) > 0 and min(facts.neurons, default=0) > 0 and facts.vocabulary > 0,
        "board": facts.board.clock_mhz > 0 and memory.bandwidth_bytes_per_second > 0,
        "layouts": all(_possible(layout, facts.layout.engines) for layout in layouts)
        and facts.table_row_beats > 0,
        "perplexity": facts.perplexity is None or facts.perplexity > 0,
        "matrices": len(facts.matrices) == 2 * len(facts.neurons) + 1
        and sections <= set(SECTIONS)
        and facts.matrices[0].section == SECTIONS[0]
        and all(
            0 <= matrix.nonzeros <= matrix.weights
            and matrix.weights > 0
            and 0.0 <= matrix.activity <= 1.0
            and matrix.beats_per_token >= 0.0
            for matrix in facts.matrices
        ),
        "image_bytes": min(facts.image_bytes.values(), default=0) >= 0,
    }
    for name, good in possible.items():
        if not good:
            raise ValueError(f"its {name} cannot be")


def _possible(layout: Layout, engines: int) -> bool:
    return (
        layout.engines == engines
        and 1 <= engines <= MAX_ENGINES
        and min(layout.lanes, layout.bus_bytes, layout.weight_bits) > 0
        and layout.gap_bits >= 0
    )


def from_json(kind: Any, value: Any, name: str) -> Any:
    """Return what JSON gave as `value` as the type `kind`: a dataclass, tuple[X, ...], dict[str, X], X | None
    or a plain type. Raises ValueError, naming what is wrong, where it is nothing of the kind.
    """
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        wanted = {item.name for item in fields(kind)}
        if not isinstance(value, dict) or set(value) != wanted:
            raise ValueError(f"{name} must hold {', '.join(sorted(wanted))}")
        return kind(**{key: from_json(hints[key], value[key], key) for key in wanted})  # type: ignore[operator]
    arguments: Sequence[Any] = get_args(kind)
    if get_origin(kind) is UnionType:
        return None if value is None else from_json(arguments[0], value, name)
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(from_json(arguments[0], item, name) for item in value)
    if get_origin(kind) is dict and isinstance(value, dict):
        return {key: from_json(arguments[1], item, name) for key, item in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise ValueError(f"{name} is {value!r}"[:200])
    return value
