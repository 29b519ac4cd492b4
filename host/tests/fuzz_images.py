"""Gives mutated model images to the loader: `make fuzz`, or `python -m host.tests.fuzz_images --help`.

Every image must be refused with an EgretError, or be sound: then each of its sections holds the very bytes
that packing its content gives, so that nothing in it was overlooked. Damage that the checksum does not follow
is never accepted. Neither way may memory be allocated that the size of the file does not explain.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import tracemalloc
from collections import Counter

import numpy as np
import numpy.typing as npt

from egret.errors import EgretError
from egret.image.checks import PADDING_THRESHOLD, image_checksum
from egret.image.columns import encode_columns
from egret.image.model_image import ModelImage
from host.tests.support.image_mutations import Bytes, base_images, mutate
from host.tests.support.unpacking import UnpackedModel, unpack

FRACTION_BITS_MINIMUM = 3
MEMORY_FACTOR, MEMORY_FLOOR = 32, 4 << 20
"""Bytes that parsing may allocate: so many times the file's, and so many more."""


class Accepted(AssertionError):
    """The loader accepted what it must refuse, crashed, or took too much memory."""


def outcome(original: ModelImage, data: Bytes) -> str:
    """Load `data`, a changed copy of `original`; return what came of it.

    That is `refused`, `refused columns` (by unpack()), `same` (content) or `another model`. Raises Accepted
    where the loader did anything else.
    """
    tracemalloc.start()
    try:
        try:
            image = ModelImage.parse(data)
        except EgretError:
            return "refused"
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            if peak > MEMORY_FACTOR * data.size + MEMORY_FLOOR:
                raise Accepted(f"parsing {data.size} bytes allocated {peak}")
        try:
            content = unpack(image)
        except EgretError:
            return "refused columns"
    except (EgretError, Accepted):
        raise
    except BaseException as error:
        raise Accepted(f"the loader crashed: {type(error).__name__}: {error}") from error
    if image.data.size != original.data.size or not np.array_equal(image.data, original.data):
        if int(data[12:16].view("<u4")[0]) != image_checksum(data):
            raise Accepted("a damaged image with a wrong checksum was accepted")
    _check_canonical(image, content)
    return "same" if _same(content, unpack(original)) else "another model"


def _check_canonical(image: ModelImage, content: UnpackedModel) -> None:
    """Raise Accepted where a section holds other bytes than those that its content, written anew, takes."""
    layout, decoder = image.layout, image.decoder_layout
    for matrix in image.matrices():
        gates = content.weights(matrix.matrix)[matrix.matrix.column_order(), matrix.of_rows]
        for engine, part in enumerate(encode_columns(gates, matrix.layout)):
            found = image.matrix_columns(engine, matrix)
            if not (
                np.array_equal(found.beats, part.beats) and np.array_equal(found.pointers, part.pointers)
            ):
                raise Accepted(f"{matrix.name}, engine {engine}: other beats than packing gives")
    for index, layer in enumerate(content.layers):
        neurons = image.neurons[index]
        shifts = layer.fraction_bits.astype(np.uint16) - np.uint16(FRACTION_BITS_MINIMUM)
        fields = (
            layer.bias.T,
            layer.threshold,
            shifts[0] | shifts[1] << 4 | shifts[2] << 8 | shifts[3] << 12,
        )
        for name, values, padding in zip(
            ("bias", "threshold", "shifts"), fields, (0, PADDING_THRESHOLD, 0), strict=True
        ):
            for engine, part in enumerate(layout.deal(values, padding)):
                if not np.array_equal(image.neuron_records(engine, index)[name], part):
                    raise Accepted(f"layer {index} of {neurons} neurons: other {name} than packing gives")
    records = np.zeros((image.header.words, layout.bus_bytes // 2), dtype=np.uint16)
    records[:, 0] = content.decoder_bias.view(np.uint16)
    records[:, 1] = content.decoder_fraction_bits.astype(np.uint16) - np.uint16(FRACTION_BITS_MINIMUM)
    for engine, part in enumerate(decoder.deal(records)):
        if not np.array_equal(image.decoder_records(engine), part):
            raise Accepted("other decoder records than packing gives")
    for engine in range(layout.engines):
        own = content.table[:, :, engine :: layout.engines]
        table = np.zeros_like(image.table(engine))
        table[:, :, : own.shape[2]] = own
        if not np.array_equal(image.table(engine), table):
            raise Accepted("another token table than packing gives")
    if image.section_bytes(image.header.vocabulary) != "\n".join(content.vocabulary).encode("utf-8"):
        raise Accepted("another vocabulary than packing gives")


def _same(one: UnpackedModel, other: UnpackedModel) -> bool:
    def parts(model: UnpackedModel) -> list[npt.ArrayLike]:
        arrays: list[npt.ArrayLike] = [
            model.vocabulary,
            model.table,
            model.decoder_weights,
            model.decoder_fraction_bits,
            model.decoder_bias,
        ]
        return arrays + [
            value for layer in model.layers for value in vars(layer).values() if value is not None
        ]

    first, second = parts(one), parts(other)
    return len(first) == len(second) and all(
        np.array_equal(ours, theirs) for ours, theirs in zip(first, second, strict=True)
    )


def fuzz(seed: int, count: int) -> Counter[tuple[str, str]]:
    """Load `count` mutated images and count outcomes by mutation.

    Raises Accepted, with the seed and the number of the image, at the first failure.
    """
    images = base_images(seed)
    found: Counter[tuple[str, str]] = Counter()
    for number in range(count):
        # A generator of its own for each: a failure is repeated without those before it.
        draw = random.Random(f"{seed} {number}")
        original = draw.choice(images)
        name, data = mutate(draw, original)
        try:
            result = outcome(original, data)
            if name == "corrupted" and result != "refused" and not np.array_equal(data, original.data):
                raise Accepted("damage was not seen")
        except Accepted as error:
            raise Accepted(f"image {number} of seed {seed} ({name}): {error}") from error
        found[name, result] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, help="images to load (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="repeats a run (default: a new one, which is printed)")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 31) if arguments.seed is None else arguments.seed
    print(f"{arguments.count} mutated images, seed {seed}", flush=True)
    begin = time.monotonic()
    try:
        found = fuzz(seed, arguments.count)
    except Accepted as error:
        sys.exit(str(error))
    results = sorted({result for _, result in found})
    print(f"{'mutation':18}" + "".join(f"{result:>18}" for result in results))
    for name in sorted({name for name, _ in found}):
        print(f"{name:18}" + "".join(f"{found[name, result]:18}" for result in results))
    print(f"none accepted that is not sound, no crash, in {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
