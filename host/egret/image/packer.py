"""Packs a quantised checkpoint into a model image for a build.

The format is docs/formats.md, section 4. Packing is deterministic: the same checkpoint and layout give the
same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from egret.checkpoint import FRACTION_BITS_MINIMUM, Checkpoint, Layer
from egret.contract import HEADER_BYTES
from egret.folding import fold_table
from egret.image.checks import PADDING_THRESHOLD, image_checksum
from egret.image.columns import Columns, encode_columns
from egret.image.header import CHECKSUM_WORD, NEURON_RECORD, ImageHeader
from egret.image.layout import Layout, best_tile_rows
from egret.image.limits import check_fit
from egret.image.model_image import ModelImage
from egret.image.packed_matrices import packed_matrices
from egret.image.sections import beat_numbers
from egret.profiles import Build

_SHIFT_FIELDS = {"z": 0, "r": 4, "gx": 8, "gr": 12}
"""Where in a neuron's record each accumulator's shift begins."""


def pack(checkpoint: Checkpoint, build: Build, tile_rows: int | None = None) -> ModelImage:
    """Pack `checkpoint` for `build`: fold the embedding, deal the rows, encode the columns.

    tile_rows: rows of a lane in a tile of the decoder; None: best_tile_rows() of them.
    Raises EgretError where the checkpoint is not valid, is larger than a limit of the build, has weights
    that the build's weight bits do not hold, or a row whose accumulator could wrap.
    """
    checkpoint.validate()
    check_fit(checkpoint, build)
    layout, decoder_layout = Layout.of(build), Layout.of_decoder(build)
    neurons = [layer.neurons for layer in checkpoint.layers]
    words, weights = len(checkpoint.vocabulary), checkpoint.weights()
    rows = tile_rows or best_tile_rows(decoder_layout.groups(words), build.logit_depth)
    columns = [
        encode_columns(weights[matrix.name][matrix.matrix.column_order(), matrix.of_rows], matrix.layout)
        for matrix in packed_matrices(neurons, words, rows, layout, decoder_layout)
    ]
    vocabulary = "\n".join(checkpoint.vocabulary).encode("utf-8")
    description = _describe(checkpoint)
    header = ImageHeader.plan(
        layout,
        decoder_layout,
        neurons,
        words,
        rows,
        len(vocabulary),
        len(description),
        [sum(parts[engine].beats.shape[0] for parts in columns) for engine in range(layout.engines)],
    )
    # A writable draft of the image: its views are filled section by section.
    image = ModelImage(data=np.zeros(header.total_bytes, dtype=np.uint8), header=header)
    image.data[:HEADER_BYTES] = header.to_words().view(np.uint8)
    for section, text in ((header.vocabulary, vocabulary), (header.metadata, description)):
        image.data[section.offset : section.end] = np.frombuffer(text, dtype=np.uint8)
    for engine in range(layout.engines):
        _write_columns(image, engine, [parts[engine] for parts in columns])
    for index, layer in enumerate(checkpoint.layers):
        _write_neurons(image, index, layer)
    _write_decoder(image, checkpoint)
    table = fold_table(checkpoint)
    for engine in range(layout.engines):
        part = table[:, :, engine :: layout.engines]
        image.table(engine)[:, :, : part.shape[2]] = part
    image.data[:HEADER_BYTES].view("<u4")[CHECKSUM_WORD] = image_checksum(image.data)
    image.data.setflags(write=False)
    return ModelImage.parse(image.data)


def column_beats(image: ModelImage) -> dict[str, npt.NDArray[np.int64]]:
    """Return the beats of every column, by matrix: int64 [engines, columns].

    An event of neuron j costs an engine beats[engine, j] in every matrix that j feeds.
    """
    pointers = np.stack([image.pointers(engine) for engine in range(image.layout.engines)]).astype(np.int64)
    beats: dict[str, npt.NDArray[np.int64]] = {}
    for matrix in image.matrices():  # the decoder's tiles one after the other
        own = pointers[:, matrix.ends] - pointers[:, matrix.begins]
        beats[matrix.name] = beats[matrix.name] + own if matrix.name in beats else own
    return beats


def _describe(checkpoint: Checkpoint) -> bytes:
    # The input weights of layer 0 are gone after folding: what they count for must be written down.
    description = {
        "name": checkpoint.name,
        "metadata": checkpoint.metadata,
        "dense_macs_per_token": checkpoint.dense_macs_per_token(),
        "nonzeros": checkpoint.nonzeros(),
    }
    return json.dumps(description, sort_keys=True, ensure_ascii=False).encode("utf-8")


def _write_columns(image: ModelImage, engine: int, parts: Sequence[Columns]) -> None:
    """Write an engine's pointers, and its columns where they lead."""
    pointers = np.zeros(image.header.engines[engine].pointer_count, dtype=np.int64)
    for matrix, part in zip(image.matrices(), parts, strict=True):
        pointers[matrix.ends] = np.diff(part.pointers)
    # Each pointer is as far from the one before as its column is long; that of a layer or a tile, not at all.
    np.cumsum(pointers, out=pointers)
    image.pointers(engine)[:] = pointers
    columns = image.columns(engine)
    for matrix, part in zip(image.matrices(), parts, strict=True):
        columns[beat_numbers(pointers[matrix.begins], part.pointers)] = part.beats


def _write_neurons(image: ModelImage, index: int, layer: Layer) -> None:
    records = np.zeros(layer.neurons, dtype=NEURON_RECORD)
    fraction_bits = {
        "z": layer.recurrent_fraction_bits[0],
        "r": layer.recurrent_fraction_bits[1],
        "gx": layer.input_fraction_bits[2],
        "gr": layer.recurrent_fraction_bits[2],
    }
    records["bias"] = layer.bias.T
    if index == 0:  # the table holds these
        records["bias"][:, :3] = 0
        del fraction_bits["gx"]
    for accumulator, bits in fraction_bits.items():
        shift = (bits - np.int8(FRACTION_BITS_MINIMUM)).astype(np.uint16)
        records["shifts"] |= shift << np.uint16(_SHIFT_FIELDS[accumulator])
    records["threshold"] = layer.threshold
    dealt = image.layout.deal(records)
    dealt["threshold"][~image.layout.is_row(layer.neurons)] = PADDING_THRESHOLD
    for engine in range(image.layout.engines):
        image.neuron_records(engine, index)[:] = dealt[engine]


def _write_decoder(image: ModelImage, checkpoint: Checkpoint) -> None:
    records = np.zeros((len(checkpoint.vocabulary), image.layout.bus_bytes // 2), dtype=np.uint16)
    records[:, 0] = checkpoint.decoder_bias.view(np.uint16)
    records[:, 1] = checkpoint.decoder_fraction_bits - np.int8(FRACTION_BITS_MINIMUM)
    for engine, part in enumerate(image.decoder_layout.deal(records)):
        image.decoder_records(engine)[:] = part
