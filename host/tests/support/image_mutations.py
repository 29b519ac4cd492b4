"""Model images changed by chance: truncated, damaged, or hostile with a checksum that is right again."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from egret.contract import HEADER_BYTES
from egret.image.checks import image_checksum
from egret.image.model_image import ModelImage
from egret.image.packer import pack
from egret.profiles import Build
from egret.synthetic.calibrated import extreme_checkpoint, random_checkpoint

Bytes = npt.NDArray[np.uint8]
Mutation = Callable[[random.Random, Bytes, ModelImage], Bytes]
"""Returns the changed bytes; may change its copy of the image's bytes in place."""

_OFFSET_WORDS = (16, 18, *(32 + 8 * engine + field for engine in range(8) for field in (0, 2, 3, 4, 5)))
_SIZE_WORDS = (
    2,
    6,
    7,
    *range(8, 16),
    17,
    19,
    *(32 + 8 * engine + field for engine in range(8) for field in (1, 6)),
)
_HOSTILE = (
    0,
    1,
    63,
    64,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFC0,
    0xFFFF_FFFF,
    0x1000_0000,
    0x2000_0000,
    65535,
    65536,
)


def base_images(seed: int) -> list[ModelImage]:
    """Sound images of a few KB that differ in engines, lanes, bus, decoder, layers and the size of values."""
    shared = {"decoder_weight_bits": 8, "decoder_gap_bits": 0}
    return [
        pack(random_checkpoint([7, 4], 2, 10, 0.6, activity=0.3, seed=seed), Build(gap_bits=1, **shared)),
        pack(random_checkpoint([9], 3, 12, 0.5, activity=0.3, seed=seed), Build(engines=1, lanes=1)),
        pack(
            random_checkpoint([12, 5, 8], 2, 17, 0.8, activity=0.2, seed=seed),
            Build(engines=3, lanes=10, bus_bytes=16, decoder_lanes=16, **shared),
        ),
        pack(extreme_checkpoint([11, 6], 2, 9, 0.3, seed=seed), Build(lanes=3, decoder_lanes=2)),
    ]


def repair(data: Bytes) -> Bytes:
    """Make the checksum right, as someone who wants the image to be taken would."""
    if data.size >= HEADER_BYTES:
        data[12:16].view("<u4")[0] = image_checksum(data)
    return data


def truncated(draw: random.Random, data: Bytes, image: ModelImage) -> Bytes:
    """The end is missing; sometimes the header agrees, checksum and all."""
    short = data[: draw.randrange(data.size)].copy()
    return _agree(short) if draw.random() < 0.5 else short


def extended(draw: random.Random, data: Bytes, image: ModelImage) -> Bytes:
    """Something stands behind the end; sometimes the header agrees."""
    tail = np.frombuffer(draw.randbytes(draw.choice((1, 64, 4096))), dtype=np.uint8)
    long = np.concatenate([data, tail * np.uint8(draw.random() < 0.5)])
    return _agree(long) if draw.random() < 0.5 else long


def corrupted(draw: random.Random, data: Bytes, image: ModelImage) -> Bytes:
    """One to four bytes differ, the checksum does not follow."""
    for _ in range(draw.randint(1, 4)):
        data[draw.randrange(data.size)] ^= np.uint8(draw.randint(1, 255))
    return data


def hostile_header(draw: random.Random, data: Bytes, image: ModelImage) -> Bytes:
    """One to three header words lie: counts that are huge or zero, offsets outside, sums that pass 2^32."""
    words = data[:HEADER_BYTES].view("<u4")
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        index = draw.choice((draw.choice(_OFFSET_WORDS), draw.choice(_SIZE_WORDS), draw.randrange(128)))
        old = int(words[index])
        near = (
            old + draw.choice((-64, -8, -1, 1, 8, 64)),
            old ^ 1 << draw.randrange(32),
            data.size,
            old << 1,
        )
        words[index] = draw.choice((*_HOSTILE, *near, draw.getrandbits(32))) & 0xFFFF_FFFF
    return repair(data)


def swapped_offsets(draw: random.Random, data: Bytes, image: ModelImage) -> Bytes:
    """Two sections stand in each other's place."""
    words = data[:HEADER_BYTES].view("<u4")
    used = [index for index in _OFFSET_WORDS if words[index]]
    one, other = draw.sample(used, 2)
    words[one], words[other] = int(words[other]), int(words[one])
    return repair(data)


def hostile_pointers(draw: random.Random, data: Bytes, image: ModelImage) -> Bytes:
    """Column pointers out of order, outside the section, or all alike."""
    engine = draw.randrange(image.layout.engines)
    part, size = image.header.engines[engine], image.layout.bus_bytes
    pointers = (
        data[part.pointers : part.pointers + part.pointer_count * size].view("<u4").reshape(-1, size // 4)
    )
    first = draw.randrange(part.pointer_count)
    end = draw.choice((first + 1, first + 2, part.pointer_count))
    old = int(pointers[first, 0])
    value = draw.choice((*_HOSTILE, old - 1, old + 1, part.beats, part.beats + 1, draw.getrandbits(32)))
    pointers[first:end, 0 if draw.random() < 0.9 else 1] = value & 0xFFFF_FFFF
    return repair(data)


def hostile_section(draw: random.Random, data: Bytes, image: ModelImage) -> Bytes:
    """Bytes of a section (gaps after it included) are set, cleared, or copied from elsewhere."""
    section = draw.choice([part for part in image.header.all_sections() if part.bytes])
    start = section.offset + draw.randrange(-(-section.bytes // 64) * 64)
    length = min(draw.choice((1, 1, 2, 4, 16, 64)), data.size - start)
    source = draw.randrange(data.size - length + 1)
    data[start : start + length] = draw.choice(
        (
            np.uint8(0),
            np.uint8(255),
            data[source : source + length].copy(),
            np.frombuffer(draw.randbytes(length), dtype=np.uint8),
        )
    )
    return repair(data)


def hostile_text(draw: random.Random, data: Bytes, image: ModelImage) -> Bytes:
    """Vocabulary or metadata is another text, put behind the image."""
    depth = draw.choice((10, 1_000, 100_000))
    text = draw.choice(
        (
            b"[" * depth,
            b'{"a":' * depth,
            b"1" * depth,
            b"\n" * (image.header.words - 1),
            b"\n".join([b"word"] * image.header.words),
            b"\xff\xfe" + draw.randbytes(30),
            b'"\\ud800"',
            b"NaN",
            b"",
            draw.randbytes(draw.randrange(100)),
        )
    )
    long = np.zeros(data.size + -(-len(text) // 64) * 64, dtype=np.uint8)
    long[: data.size] = data
    long[data.size : data.size + len(text)] = np.frombuffer(text, dtype=np.uint8)
    name, word = draw.choice((("vocabulary", 16), ("metadata", 18)))
    old = getattr(image.header, name)
    long[old.offset : old.end] = 0
    long[:HEADER_BYTES].view("<u4")[word : word + 2] = data.size, len(text)
    return _agree(long)


def _agree(data: Bytes) -> Bytes:
    if data.size >= HEADER_BYTES:
        data[8:12].view("<u4")[0] = data.size
    return repair(data)


MUTATIONS: tuple[Mutation, ...] = (
    truncated,
    extended,
    corrupted,
    hostile_header,
    swapped_offsets,
    hostile_pointers,
    hostile_section,
    hostile_text,
)


def mutate(draw: random.Random, image: ModelImage) -> tuple[str, Bytes]:
    """Return what was done, and a changed copy of the image's bytes."""
    mutation = draw.choice(MUTATIONS)
    return mutation.__name__, mutation(draw, image.data.copy(), image)
