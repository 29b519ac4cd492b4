"""Columns of non-zero weights as beats.

A beat carries one entry for each lane of an engine: a weight and the gap to it, in rows, from the lane's
entry before (docs/formats.md, section 4). The longest lane of a column sets its number of beats; shorter
lanes are padded. A gap that the field cannot span takes an *escape*: weight 0 with the largest gap.
Without gap bits a column is *dense*: every entry is for the next row, and a pruned row is an escape over
itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egret.errors import EgretError
from egret.image.layout import Layout


@dataclass(frozen=True, eq=False)
class Columns:
    """One engine's part of a matrix."""

    beats: npt.NDArray[np.uint8]
    """uint8 [beats, B]."""
    pointers: npt.NDArray[np.int64]
    """int64 [columns + 1]: column c is the beats pointers[c] up to pointers[c + 1]."""


@dataclass(frozen=True)
class SlotCounts:
    """What the entries of a matrix, one for each beat and lane, are used for."""

    weights: int
    """Entries with a non-zero weight."""
    escapes: int
    """Entries that only step over pruned rows."""
    padding: int
    """Entries of lanes that were done before the longest."""


def encode_columns(weights: npt.NDArray[np.int8], layout: Layout) -> list[Columns]:
    """Pack int8 [gates, H, columns], gates in accumulator order; return each engine's columns.

    The weights must fit the layout's weight bits.
    """
    gates, rows, columns = weights.shape
    groups = layout.groups(rows)
    # Dealt to engines and lanes; then columns outermost and each lane's rows innermost, as they are stored.
    dealt = layout.deal(weights.transpose(1, 0, 2)).reshape(
        layout.engines, groups, layout.lanes, gates, columns
    )
    stored = np.ascontiguousarray(dealt.transpose(0, 4, 2, 3, 1))
    return [
        _encode_engine(stored[engine].reshape(columns * layout.lanes, gates * groups), columns, layout)
        for engine in range(layout.engines)
    ]


def _encode_engine(stored: npt.NDArray[np.int8], columns: int, layout: Layout) -> Columns:
    """Encode int8 [columns * lanes, rows of a lane]."""
    lanes, lane_rows = layout.lanes, stored.shape[1]
    # One "strip" is one lane of one column.
    flat = np.flatnonzero(stored).astype(np.int64)
    strip = flat // lane_rows
    row = flat - strip * lane_rows
    starts = np.ones(flat.size, dtype=np.bool_)
    starts[1:] = strip[1:] != strip[:-1]
    distance = row.copy()
    distance[1:] -= np.where(starts[1:], 0, row[:-1] + 1)
    # Every escape steps over 2^GAP_BITS rows.
    escapes = (distance >> layout.gap_bits).astype(np.intp)
    gap = distance & layout.largest_gap

    ends = np.cumsum(escapes + 1, dtype=np.int64)  # entries up to and with each weight
    strip_ends = np.zeros(columns * lanes + 1, dtype=np.int64)
    # bincount() and repeat() take counts of the machine's own width only, which on a board may be 32 bits.
    per_strip = np.bincount(strip.astype(np.intp), minlength=columns * lanes)
    weights_before = np.cumsum(per_strip, dtype=np.int64)
    strip_ends[1:] = np.concatenate([np.zeros(1, dtype=np.int64), ends])[weights_before]
    lengths = np.diff(strip_ends).reshape(columns, lanes)
    pointers = np.zeros(columns + 1, dtype=np.int64)
    np.cumsum(lengths.max(axis=1), out=pointers[1:])

    beat = pointers[strip // lanes] + (ends - 1 - strip_ends[strip])
    slot = beat * lanes + strip % lanes
    entries = np.zeros(int(pointers[-1]) * lanes, dtype=np.uint32)
    weight = stored.reshape(-1)[flat].astype(np.int64) & ((1 << layout.weight_bits) - 1)
    entries[slot] = weight | (gap << layout.weight_bits)
    if layout.largest_gap:  # else an escape is zero, as the entries are already
        # The escapes of a weight stand in the beats just before it, in its lane.
        steps_back = np.arange(1, int(escapes.sum()) + 1, dtype=np.int64) - np.repeat(
            np.cumsum(escapes) - escapes, escapes
        )
        entries[np.repeat(slot, escapes) - lanes * steps_back] = layout.largest_gap << layout.weight_bits
    return Columns(beats=_to_beats(entries.reshape(-1, lanes), layout), pointers=pointers)


def _to_beats(entries: npt.NDArray[np.uint32], layout: Layout) -> npt.NDArray[np.uint8]:
    words = np.zeros((entries.shape[0], layout.bus_bytes // 8), dtype="<u8")
    for lane in range(layout.lanes):
        word, bit = divmod(lane * layout.entry_bits, 64)
        entry = entries[:, lane].astype(np.uint64)
        words[:, word] |= entry << np.uint64(bit)
        if bit + layout.entry_bits > 64:
            words[:, word + 1] |= entry >> np.uint64(64 - bit)
    return words.view(np.uint8).reshape(entries.shape[0], layout.bus_bytes)


def _from_beats(columns: Columns, layout: Layout) -> npt.NDArray[np.uint32]:
    """Return the entries, uint32 [beats, lanes]; raise EgretError where a bit above them is set."""
    beats = columns.beats
    words = np.ascontiguousarray(beats).view("<u8").reshape(beats.shape[0], layout.bus_bytes // 8)
    mask = np.uint64((1 << layout.entry_bits) - 1)
    entries = np.empty((beats.shape[0], layout.lanes), dtype=np.uint32)
    for lane in range(layout.lanes):
        word, bit = divmod(lane * layout.entry_bits, 64)
        entry = words[:, word] >> np.uint64(bit)
        if bit + layout.entry_bits > 64:
            entry |= words[:, word + 1] << np.uint64(64 - bit)
        entries[:, lane] = entry & mask
    for word in range(words.shape[1]):
        used = min(max(layout.lanes * layout.entry_bits - 64 * word, 0), 64)
        wrong = words[:, word] >> np.uint64(used) if used < 64 else np.zeros(0, dtype=np.uint64)
        if wrong.any():
            raise EgretError(
                f"{beat_place(columns, int(np.flatnonzero(wrong)[0]))} has bits set above its last entry."
            )
    return entries


def split_entries(columns: Columns, layout: Layout) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """Return weights, int8, and gaps, int64, both [beats, lanes].

    Raises EgretError where a bit is set above a beat's last entry.
    """
    entries = _from_beats(columns, layout)
    unused = 8 - layout.weight_bits
    weights = (entries << np.uint32(unused)).astype(np.uint8).view(np.int8) >> np.int8(unused)
    return weights, (entries >> np.uint32(layout.weight_bits)).astype(np.int64)


def column_of_beats(columns: Columns) -> npt.NDArray[np.int64]:
    """Return, int64 [beats], the column that each beat belongs to."""
    lengths = np.diff(columns.pointers).astype(np.intp)
    return np.repeat(np.arange(lengths.size, dtype=np.int64), lengths)


def find_padding(
    weights: npt.NDArray[np.int8], gaps: npt.NDArray[np.int64], columns: Columns, layout: Layout
) -> npt.NDArray[np.bool_]:
    """Return, bool [beats, lanes], which entries only fill the beats of a lane that is done."""
    empty = (weights == 0) & (gaps == 0)
    if layout.gap_bits > 0 or not empty.size:
        return empty
    # Dense: a zero is a row unless no weight of its lane follows in the column.
    weights_so_far = np.cumsum(weights != 0, axis=0, dtype=np.int32)
    last_beats = columns.pointers[1:][column_of_beats(columns)] - 1
    result: npt.NDArray[np.bool_] = empty & (weights_so_far == weights_so_far[last_beats])
    return result


def beat_place(columns: Columns, beat: int) -> str:
    """Name a beat by its column and its number therein."""
    column = int(np.searchsorted(columns.pointers, beat, side="right")) - 1
    return f"column {column}, beat {beat - int(columns.pointers[column])}"


def count_slots(columns: Columns, layout: Layout) -> SlotCounts:
    """Count what the entries are used for; raises EgretError for bits set above the last entry of a beat."""
    weights, gaps = split_entries(columns, layout)
    used = int(np.count_nonzero(weights))
    padding = int(np.count_nonzero(find_padding(weights, gaps, columns, layout)))
    return SlotCounts(weights=used, escapes=int(weights.size) - used - padding, padding=padding)
