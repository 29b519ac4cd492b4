"""Whether a model fits a build of the kernel (depths, weight bits, accumulators) and a board's memory.

Sizes alone decide most of it, so that it can be said before anything is trained; docs/image.md has the
limits of each board, computed here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from egret import contract
from egret.checkpoint import FRACTION_BITS_MINIMUM, Checkpoint
from egret.contract import COMPACT_BIAS_BITS, COMPACT_SHIFT_BITS, MAX_LAYERS, SUM_BITS
from egret.errors import EgretError
from egret.image.bounds import AccumulatorReach, check_accumulators
from egret.image.header import ImageHeader
from egret.image.layout import Layout, best_tile_rows
from egret.image.packed_matrices import count_pointers, packed_matrices
from egret.matrices import DECODER, Matrix
from egret.profiles import Board, Build

if TYPE_CHECKING:
    from egret.image.model_image import ModelImage

COMPACT_BIAS_STEP = 1 << (SUM_BITS - COMPACT_BIAS_BITS)
COMPACT_MOST_FRACTION_BITS = FRACTION_BITS_MINIMUM + (1 << COMPACT_SHIFT_BITS) - 1
"""Of words where there are many (Build.compact()): the unit of biases, and the most fraction bits."""

DEFAULT_CHUNK = 16
"""Tokens per start of the kernel: often enough for a progress bar, seldom enough to cost nothing."""


@dataclass(frozen=True)
class Limit:
    """One limit of a build, and what a model needs of it, both in the model's own units."""

    what: str
    """What is counted: words, neurons of some layers."""
    needed: int
    most: int
    """The most that fit."""
    parameter: str
    """The build parameter behind it."""

    @property
    def kept(self) -> bool:
        """Whether the model keeps it."""
        return self.needed <= self.most

    def __str__(self) -> str:
        return f"{self.needed:,} {self.what}, where {self.most:,} fit ({self.parameter})"


def size_limits(neurons: Sequence[int], words: int, build: Build) -> list[Limit]:
    """Return every limit that layers of these sizes and so many words meet on `build`."""
    layout, decoder = Layout.of(build), Layout.of_decoder(build)
    slots = layout.slots
    groups = [layout.groups(count) for count in neurons]
    rounded = f"each layer rounded up to a multiple of {slots}" if slots > 1 else "all together"
    tiles = len(decoder.tiles(words, best_tile_rows(decoder.groups(words), build.logit_depth)))
    accumulators = build.accumulator_depth // 4 * slots
    return [
        Limit("layers", len(neurons), MAX_LAYERS, "MAX_LAYERS"),
        Limit("words", words, build.most_decoder_rows * decoder.slots, "DECODER_DEPTH"),
        Limit(
            "neurons in layer 0",
            neurons[0],
            build.neuron_depth // 2 // layout.lanes * slots,
            "half of NEURON_DEPTH: the table rows of two words are held",
        ),
        Limit(
            f"neurons in all layers, {rounded}",
            sum(groups) * slots,
            build.neuron_depth // layout.lanes * slots,
            "NEURON_DEPTH",
        ),
        *(
            Limit(
                f"neurons in layers {which}, {rounded}",
                sum(groups[first::2]) * slots,
                accumulators,
                "ACCUMULATOR_DEPTH",
            )
            for first, which in ((0, "0, 2, 4, 6"), (1, "1, 3, 5, 7"))
        ),
        Limit(
            f"neurons in {len(neurons)} layers, which are two columns each",
            sum(neurons),
            max(0, build.pointer_depth - len(neurons)) // 2,
            "POINTER_DEPTH",
        )
        if tiles == 1
        else Limit(
            f"pointers to columns, of {tiles} tiles of the decoder and {len(neurons)} layers",
            count_pointers(neurons, tiles),
            build.pointer_depth,
            "POINTER_DEPTH",
        ),
    ]


def check_limits(neurons: Sequence[int], words: int, build: Build) -> None:
    """Raise EgretError, naming each limit, where layers of these sizes or so many words exceed `build`."""
    broken = [limit for limit in size_limits(neurons, words, build) if not limit.kept]
    if not broken:
        return
    cure = "Fewer or smaller layers would fit."
    if [limit.what for limit in broken] == ["words"]:
        cure = f"A recipe with `vocabulary = {broken[0].most}` keeps the most frequent."
    raise EgretError(f"The model has {'; and '.join(map(str, broken))}. {cure}")


def image_bytes(
    neurons: Sequence[int],
    words: int,
    build: Build,
    text_bytes: int = 0,
    density: float = 1.0,
    decoder_density: float | None = None,
) -> int:
    """Return the bytes of the image of a model that is not there yet.

    `text_bytes` of vocabulary and metadata; `density` is the share of weights that are not zero, the same in
    every lane of a column (`decoder_density`, None: the same), and no gap too long for its field: a model
    pruned otherwise takes more.
    """
    layout, decoder = Layout.of(build), Layout.of_decoder(build)
    of_decoder = density if decoder_density is None else decoder_density
    beats = 0
    rows = best_tile_rows(decoder.groups(words), build.logit_depth)
    for matrix in packed_matrices(neurons, words, rows, layout, decoder):
        share = of_decoder if matrix.matrix.kind == DECODER else density
        beats += matrix.columns * int(
            np.ceil(share * matrix.gates * matrix.layout.groups(matrix.rows) - 1e-9)
        )
    sizes = ImageHeader.plan(layout, decoder, neurons, words, rows, text_bytes, 0, [beats] * build.engines)
    return sizes.total_bytes


def buffer_bytes(words: int, build: Build, chunk: int) -> int:
    """Return the bytes of the buffers beside the image for runs of `chunk` tokens with logits."""
    positions = Layout.of_decoder(build).positions(words)
    logits = -(-4 * positions // contract.ALIGNMENT) * contract.ALIGNMENT * build.engines
    return contract.COUNTERS_BYTES + chunk * (4 + contract.RESULT_BYTES + logits)


def memory_limit(size: int, neurons: Sequence[int], words: int, board: Board) -> Limit:
    """Return the limit that a board's memory sets to an image of `size` bytes and the buffers beside it."""
    room = board.memory.bytes - buffer_bytes(words, board.build, DEFAULT_CHUNK)
    table = board.build.engines * words * 3 * Layout.of(board.build).plane_bytes(neurons[0])
    what = (
        f"bytes of image ({table:,} of them the table of {words:,} words for the {neurons[0]:,} neurons of "
        "layer 0)"
    )
    return Limit(what, size, room, f"the memory of {board.name}")


def most_words(neurons: Sequence[int], board: Board, sparsity: float, word_bytes: int = 9) -> int:
    """Return the most words that `board` holds beside layers of these sizes, the same share of zeros in all.

    `word_bytes`: of a word's text with its line break (8.2 in the Penn Treebank's vocabulary). Depths and
    memory both count; 0 where the layers alone do not fit.
    """
    build = board.build
    limits = size_limits(neurons, 1, build)
    if not all(limit.kept for limit in limits):
        return 0

    def too_many(words: int) -> bool:
        if not all(limit.kept for limit in size_limits(neurons, words, build)):
            return True
        size = image_bytes(neurons, words, build, words * word_bytes, density=1.0 - sparsity)
        return not memory_limit(size, neurons, words, board).kept

    most = next(limit.most for limit in limits if limit.what == "words")
    return bisect_left(range(1, most + 1), True, key=too_many)


def check_memory(image: ModelImage, board: Board) -> None:
    """Raise EgretError, with the table's part and the cure, where `board` has no memory for `image`."""
    limit = memory_limit(image.data.size, image.neurons, image.header.words, board)
    if not limit.kept:
        raise EgretError(f"The model has {limit}. Fewer words, a smaller layer 0 or more zeros would fit.")


def check_fit(checkpoint: Checkpoint, build: Build) -> None:
    """Raise EgretError, naming the limit or the matrix and row, where `build` cannot run `checkpoint`."""
    check_limits([layer.neurons for layer in checkpoint.layers], len(checkpoint.vocabulary), build)
    _check_weights(checkpoint, build)
    if build.compact(len(checkpoint.vocabulary)):
        _check_compact_records(
            checkpoint.decoder_bias, checkpoint.decoder_fraction_bits - FRACTION_BITS_MINIMUM, build
        )
    check_accumulators(AccumulatorReach.of_checkpoint(checkpoint), build.accumulator_bits)


def check_build(image: ModelImage, build: Build) -> None:
    """Raise EgretError, saying what differs, where `image` cannot run on a kernel of this build."""
    for what, packed, there in (
        ("layers", image.layout, Layout.of(build)),
        ("decoder", image.decoder_layout, Layout.of_decoder(build)),
    ):
        if packed != there:
            raise EgretError(
                f"The image was packed for another kernel: its {what} for {_describe(packed)}; this kernel "
                f"has {_describe(there)}. Pack the checkpoint for this board."
            )
    check_limits(image.neurons, image.header.words, build)
    if build.compact(image.header.words):
        _check_compact_records(*image.word_records(), build)
    if image.header.tile_rows > build.logit_depth:
        raise EgretError(
            f"The image's decoder is in tiles of {image.header.tile_rows} rows; this kernel takes "
            f"{build.logit_depth} (LOGIT_DEPTH). Pack the checkpoint for this board."
        )


def _describe(layout: Layout) -> str:
    return (
        f"{layout.engines} engines, {8 * layout.bus_bytes}-bit beats of {layout.entry_format} and "
        f"accumulators of {layout.accumulator_bits} bits"
    )


def _check_compact_records(
    bias: npt.NDArray[np.int16], shift: npt.NDArray[np.integer[Any]], build: Build
) -> None:
    """Raise EgretError, naming the word, where a large vocabulary's biases or shifts are not compact.

    bias, shift: [V]. So many words' biases have their high byte only in the kernel, and their shifts fewer
    bits (docs/formats.md, section 4).
    """
    most = build.decoder_depth * build.decoder_slots
    wrong = (bias % COMPACT_BIAS_STEP != 0) | (shift > COMPACT_MOST_FRACTION_BITS - FRACTION_BITS_MINIMUM)
    if wrong.any():
        word = int(np.flatnonzero(wrong)[0])
        raise EgretError(
            f"Word {word} has the bias {int(bias[word])} and {int(shift[word]) + FRACTION_BITS_MINIMUM} "
            f"fraction bits; where there are more than {most:,} words, a bias is a multiple of "
            f"{COMPACT_BIAS_STEP} and "
            f"fraction bits are {FRACTION_BITS_MINIMUM}..{COMPACT_MOST_FRACTION_BITS}."
        )


def _check_weights(checkpoint: Checkpoint, build: Build) -> None:
    for name, matrix in checkpoint.matrices().items():
        if Matrix.named(name).folded:  # no engine sees them
            continue
        decoder = Matrix.named(name).kind == DECODER
        bits = build.decoder_weight_bits if decoder else build.weight_bits
        highest = (1 << (bits - 1)) - 1
        lowest = -highest - 1
        wrong = (matrix < lowest) | (matrix > highest)
        if wrong.any():
            row, column = (int(position[0]) for position in np.nonzero(wrong))
            place = f"for word {row} ('{checkpoint.vocabulary[row]}')" if decoder else f"in row {row}"
            raise EgretError(
                f"{name} has the weight {int(matrix[row, column])} {place}, column {column}; a build of "
                f"{bits} {'decoder ' if decoder else ''}weight bits holds {lowest}..{highest}."
            )
