"""What a model image must satisfy before anything relies on it, each with a sentence of its own."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from egret.checkpoint import validate_words
from egret.contract import ALIGNMENT, FORMAT_VERSION, HEADER_BYTES, MAGIC, THRESHOLD_MINIMUM
from egret.errors import EgretError
from egret.image.bounds import AccumulatorReach, check_accumulators
from egret.image.header import CHECKSUM_WORD, Section
from egret.image.packed_matrices import pointer_parts
from egret.image.sections import ImageSections

PADDING_THRESHOLD = 32767
"""Threshold of a position that is no neuron: no state exceeds it, so it never fires."""


def image_checksum(data: npt.NDArray[np.uint8]) -> int:
    """Return the CRC-32 (zlib) of an image with its checksum word taken as zero."""
    start = 4 * CHECKSUM_WORD
    checksum = zlib.crc32(bytes(4), zlib.crc32(data[:start].data))
    return zlib.crc32(data[start + 4 :].data, checksum)


def check_envelope(data: npt.NDArray[np.uint8]) -> None:
    """Check magic, version, length and checksum of an image; raise EgretError where one is wrong."""
    if data.size < HEADER_BYTES:
        raise EgretError(
            f"The image is truncated: {data.size} bytes, where the header alone has {HEADER_BYTES}."
        )
    magic, version, total, checksum = (int(word) for word in data[:16].view("<u4"))
    if magic != MAGIC:
        raise EgretError(
            f"This is no Egret model image: it begins with {magic:#010x} instead of {MAGIC:#010x}."
        )
    if version != FORMAT_VERSION:
        raise EgretError(
            f"The image has format version {version}, and this version of Egret reads {FORMAT_VERSION}; pack "
            "its checkpoint again."
        )
    if data.size != total:
        problem = "is truncated" if data.size < total else "has bytes after its end"
        raise EgretError(f"The image {problem}: its header says {total} bytes, and {data.size} are there.")
    found = image_checksum(data)
    if found != checksum:
        raise EgretError(
            f"The image is damaged: its checksum is {found:#010x}, its header says {checksum:#010x}."
        )


def check_content(image: ImageSections) -> None:
    """Check everything behind the header; raise EgretError.

    Of the entries in the column beats: that each is for a row of its lane, and that no accumulator can wrap.
    """
    _check_sections(image)
    for engine in range(image.layout.engines):
        for check in (_check_pointers, _check_neurons, _check_decoder, _check_table):
            try:
                check(image, engine)
            except EgretError as error:
                raise EgretError(f"Engine {engine} of the image: {error}") from error
    _check_text(image)
    check_accumulators(AccumulatorReach.of_image(image), image.layout.accumulator_bits)


def _check_sections(image: ImageSections) -> None:
    sections = image.header.all_sections()
    for section in sections:
        if section.offset % ALIGNMENT:
            raise EgretError(
                f"The image's {section.name} section is misaligned: its offset {section.offset} is not a "
                f"multiple of {ALIGNMENT}."
            )
        if section.end > image.header.total_bytes:
            raise EgretError(
                f"The image's {section.name} section ends at byte {section.end}, outside the image's "
                f"{image.header.total_bytes} bytes."
            )
    ordered = sorted((section for section in sections if section.bytes), key=lambda section: section.offset)
    for before, after in _pairs([*ordered, Section("end", image.header.total_bytes, 0)]):
        if after.offset < before.end:
            raise EgretError(
                f"The image's {after.name} section at {after.offset} overlaps its {before.name} section, "
                f"which ends at {before.end}."
            )
        if image.data[before.end : after.offset].any():
            raise EgretError(
                f"The image has bytes set after its {before.name} section at {before.offset}, where "
                "zeros must be."
            )


def _pairs(sections: list[Section]) -> Iterator[tuple[Section, Section]]:
    return zip(sections[:-1], sections[1:], strict=True)


def _check_pointers(image: ImageSections, engine: int) -> None:
    part = image.header.engines[engine]
    stored = image.view(part.pointers, part.pointer_count * image.layout.bus_bytes).view("<u4")
    if stored.reshape(part.pointer_count, -1)[:, 1:].any():
        raise EgretError("a column pointer has bits set above its 32.")
    pointers = image.pointers(engine).astype(np.int64)
    for matrix in image.matrices():
        begins, ends = pointers[matrix.begins], pointers[matrix.ends]
        fall = np.flatnonzero(ends < begins)
        if fall.size:
            column = int(fall[0])
            raise EgretError(
                f"the column pointers are out of order: {matrix.name}, column {column} begins at beat "
                f"{int(begins[column])} and ends at {int(ends[column])}."
            )
    end = 0
    for number, numbers in enumerate(pointer_parts(image.neurons, image.header.tiles)):
        own = pointers[numbers]
        if int(own[0]) != end:
            layers = len(image.neurons)
            whose = f"that layer {number} feeds" if number < layers else f"of tile {number - layers + 1}"
            raise EgretError(f"the columns {whose} begin at beat {int(own[0])}; those before end at {end}.")
        end = int(own[-1])
    if end != part.beats:
        raise EgretError(f"the columns end at beat {end}; the header says {part.beats} beats.")


def _check_neurons(image: ImageSections, engine: int) -> None:
    for layer, count in enumerate(image.neurons):
        records = image.neuron_records(engine, layer)
        used = image.layout.is_row(count)[engine]
        threshold = records["threshold"]
        wrong = (threshold < THRESHOLD_MINIMUM) | (threshold > PADDING_THRESHOLD)
        _refuse(
            wrong & used, f"layer {layer} has a threshold outside {THRESHOLD_MINIMUM}..{PADDING_THRESHOLD}"
        )
        _refuse(
            records["zero"] != 0, f"layer {layer} has bytes set at the end of a record, where zeros must be"
        )
        wrong = (threshold != PADDING_THRESHOLD) | (records["shifts"] != 0) | records["bias"].any(axis=1)
        _refuse(
            wrong & ~used, f"layer {layer} has padding that is not zero with threshold {PADDING_THRESHOLD}"
        )
        if layer == 0:
            wrong = records["bias"][:, :3].any(axis=1) | ((records["shifts"] & 0x0F00) != 0)
            _refuse(wrong, "layer 0 has a bias or a shift that the token table must hold")


def _check_decoder(image: ImageSections, engine: int) -> None:
    records = image.decoder_records(engine)
    used = image.decoder_layout.is_row(image.header.words)[engine]
    _refuse(records[:, 1] > 15, "the decoder has a shift outside 0..15")
    _refuse(
        records[:, 2:].any(axis=1), "the decoder has bytes set at the end of a record, where zeros must be"
    )
    _refuse(records.any(axis=1) & ~used, "the decoder has padding that is not zero")


def _check_table(image: ImageSections, engine: int) -> None:
    table = image.table(engine)
    used = np.zeros(table.shape[2], dtype=np.bool_)
    used[: image.layout.positions(image.neurons[0])] = image.layout.is_row(image.neurons[0])[engine]
    # Padding is at the end of a plane: neuron i * N + e rises with i.
    wrong = table[:, :, np.count_nonzero(used) :].any(axis=(1, 2))
    if wrong.any():
        raise EgretError(
            f"the table row of token {int(np.flatnonzero(wrong)[0])} has padding that is not zero."
        )


def _refuse(wrong: npt.NDArray[np.bool_], sentence: str) -> None:
    if wrong.any():
        raise EgretError(f"{sentence} (position {int(np.flatnonzero(wrong)[0])}).")


def _check_text(image: ImageSections) -> None:
    try:
        words = image.vocabulary
    except UnicodeDecodeError as error:
        raise EgretError("The image's vocabulary is not UTF-8 text.") from error
    if len(words) != image.header.words:
        raise EgretError(
            f"The image's vocabulary has {len(words)} words; its header says {image.header.words}."
        )
    validate_words(words)
    try:
        description = image.description
    except ValueError as error:
        raise EgretError("The image's metadata is not JSON.") from error
    if not isinstance(description, dict):
        raise EgretError(f"The image's metadata must be a JSON object; it is {type(description).__name__}.")
