"""Packs a quantised checkpoint into a model image for a build, and unpacks it again.

The format is docs/formats.md, section 4. Packing is deterministic: the same checkpoint and layout give the
same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from egret.checkpoint import FRACTION_BITS_MINIMUM, Checkpoint, Layer
from egret.columns import Columns, decode_columns, encode_columns
from egret.errors import EgretError
from egret.folding import fold_table
from egret.image import ModelImage
from egret.image_checks import PADDING_THRESHOLD, image_checksum
from egret.image_header import CHECKSUM_WORD, NEURON_RECORD, ImageHeader
from egret.image_sections import beat_numbers
from egret.kernel import HEADER_BYTES, Build
from egret.layout import Layout
from egret.limits import check_fit

_SHIFT_FIELDS = {"z": 0, "r": 4, "gx": 8, "gr": 12}
"""Where in a neuron's record each accumulator's shift begins."""

MOST_WEIGHTS = 1 << 27
"""Of an image that unpack() takes, zeros included, unless told otherwise.

A small file can stand for gigabytes: an empty column costs 8 bytes and has up to 196 608 rows. The paper's
network with the vocabulary of WikiText-2 has 46 million weights. unpack() needs some five bytes for each.
"""


def pack(checkpoint: Checkpoint, build: Build) -> ModelImage:
    """Pack `checkpoint` for `build`: fold the embedding, deal the rows, encode the columns.

    Raises EgretError where the checkpoint is not valid, is larger than a limit of the build, has weights
    that the build's weight bits do not hold, or a row whose accumulator could wrap.
    """
    checkpoint.validate()
    check_fit(checkpoint, build)
    layout, decoder_layout = Layout.of(build), Layout.of_decoder(build)
    columns = _encode_matrices(checkpoint, layout, decoder_layout)
    vocabulary = "\n".join(checkpoint.vocabulary).encode("utf-8")
    description = _describe(checkpoint)
    header = ImageHeader.plan(
        layout,
        decoder_layout,
        [layer.neurons for layer in checkpoint.layers],
        len(checkpoint.vocabulary),
        len(vocabulary),
        len(description),
        [sum(parts[engine].beats.shape[0] for parts in columns.values()) for engine in range(layout.engines)],
    )
    # A writable draft of the image: its views are filled section by section.
    image = ModelImage(data=np.zeros(header.total_bytes, dtype=np.uint8), header=header)
    image.data[:HEADER_BYTES] = header.to_words().view(np.uint8)
    for section, text in ((header.vocabulary, vocabulary), (header.metadata, description)):
        image.data[section.offset : section.end] = np.frombuffer(text, dtype=np.uint8)
    for engine in range(layout.engines):
        _write_columns(image, engine, {name: parts[engine] for name, parts in columns.items()})
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


@dataclass(frozen=True, eq=False)
class UnpackedLayer:
    """One layer as an image holds it."""

    input_weights: npt.NDArray[np.int8] | None
    """int8 [3, H, I], gates z, r, g; None in layer 0, where the table stands for them."""
    recurrent_weights: npt.NDArray[np.int8]
    """int8 [3, H, H], gates z, r, g."""
    bias: npt.NDArray[np.int16]
    """int16 [4, H]: z, r, gx, gr; only gr is not zero in layer 0."""
    fraction_bits: npt.NDArray[np.int8]
    """int8 [4, H]: of the accumulators of z, r, gx, gr; in layer 0 that of gx is 3 and stands for nothing."""
    threshold: npt.NDArray[np.uint16]
    """uint16 [H]."""


@dataclass(frozen=True, eq=False)
class UnpackedModel:
    """What a model image holds, as dense arrays."""

    vocabulary: list[str]
    description: dict[str, Any]
    """See ModelImage.description."""
    table: npt.NDArray[np.int16]
    """int16 [V, 3, H of layer 0], as fold_table() gives it."""
    layers: list[UnpackedLayer]
    decoder_weights: npt.NDArray[np.int8]
    """int8 [V, H of the last layer]."""
    decoder_fraction_bits: npt.NDArray[np.int8]
    """int8 [V]."""
    decoder_bias: npt.NDArray[np.int16]
    """int16 [V]."""


def unpack(image: ModelImage, most_weights: int = MOST_WEIGHTS) -> UnpackedModel:
    """Return everything that `image` holds as dense arrays.

    Raises EgretError where the matrices would have more than `most_weights` weights, of a byte each, before
    any is allocated; and, naming the matrix, the engine, the column and the beat, where columns are not as
    pack() writes them: a row outside its lane, a weight in padding, an entry after padding, an escape to no
    weight.
    """
    dense = sum(matrix.gates * matrix.rows * matrix.columns for matrix in image.matrices())
    if dense > most_weights:
        raise EgretError(
            f"The image's matrices would take {dense} bytes with their zeros written out; {most_weights} are "
            "allowed (unpack()'s most_weights)."
        )
    layout, words = image.layout, image.header.words
    engines = range(layout.engines)
    weights: dict[str, npt.NDArray[np.int8]] = {}
    for matrix in image.matrices():
        try:
            decoded = decode_columns(
                [image.matrix_parts(engine, matrix) for engine in engines],
                matrix.gates,
                matrix.rows,
                matrix.columns,
                matrix.layout,
            )
        except EgretError as error:
            raise EgretError(f"{matrix.name}: {error}") from error
        order = [1, 2, 0] if matrix.name.endswith("input_weights") else list(range(matrix.gates))
        weights[matrix.name] = decoded[order]

    layers = [_unpack_layer(image, index, weights) for index in range(len(image.neurons))]
    records = image.decoder_layout.gather(
        np.stack([image.decoder_records(engine) for engine in engines]), words
    )
    positions = layout.positions(image.neurons[0])
    table = np.empty((words, 3, image.neurons[0]), dtype=np.int16)
    for engine in engines:
        part = table[:, :, engine :: layout.engines]
        part[...] = image.table(engine)[:, :, :positions][:, :, : part.shape[2]]
    return UnpackedModel(
        vocabulary=image.vocabulary,
        description=image.description,
        table=table,
        layers=layers,
        decoder_weights=weights["decoder_weights"][0],
        decoder_fraction_bits=(records[:, 1] + np.uint16(FRACTION_BITS_MINIMUM)).astype(np.int8),
        decoder_bias=np.ascontiguousarray(records[:, 0]).view(np.int16),
    )


def column_beats(image: ModelImage) -> dict[str, npt.NDArray[np.int64]]:
    """Return the beats of every column, by matrix: int64 [engines, columns].

    An event of neuron j costs an engine beats[engine, j] in every matrix that j feeds.
    """
    pointers = np.stack([image.pointers(engine) for engine in range(image.layout.engines)]).astype(np.int64)
    return {matrix.name: pointers[:, matrix.ends] - pointers[:, matrix.begins] for matrix in image.matrices()}


def _describe(checkpoint: Checkpoint) -> bytes:
    # The input weights of layer 0 are gone after folding: what they count for must be written down.
    description = {
        "name": checkpoint.name,
        "metadata": checkpoint.metadata,
        "dense_macs_per_token": checkpoint.dense_macs_per_token(),
        "nonzeros": checkpoint.nonzeros(),
    }
    return json.dumps(description, sort_keys=True, ensure_ascii=False).encode("utf-8")


def _encode_matrices(
    checkpoint: Checkpoint, layout: Layout, decoder_layout: Layout
) -> dict[str, list[Columns]]:
    """Return the columns of every matrix, by its key in the checkpoint: a part for each engine."""
    columns: dict[str, list[Columns]] = {}
    for index, layer in enumerate(checkpoint.layers):
        if index > 0:
            # The accumulators of a layer stand in the order gx, z, r, gr.
            columns[f"layer{index}.input_weights"] = encode_columns(layer.input_weights[[2, 0, 1]], layout)
        columns[f"layer{index}.recurrent_weights"] = encode_columns(layer.recurrent_weights, layout)
    columns["decoder_weights"] = encode_columns(checkpoint.decoder_weights[np.newaxis], decoder_layout)
    return columns


def _write_columns(image: ModelImage, engine: int, parts: dict[str, Columns]) -> None:
    """Write an engine's pointers, and its columns where they lead."""
    pointers = np.zeros(image.header.engines[engine].pointer_count, dtype=np.int64)
    for matrix in image.matrices():
        pointers[matrix.ends] = np.diff(parts[matrix.name].pointers)
    # Each pointer is as far from the one before as its column is long; those that begin a layer, not at all.
    np.cumsum(pointers, out=pointers)
    image.pointers(engine)[:] = pointers
    columns = image.columns(engine)
    for matrix in image.matrices():
        part = parts[matrix.name]
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


def _unpack_layer(image: ModelImage, index: int, weights: dict[str, npt.NDArray[np.int8]]) -> UnpackedLayer:
    layout = image.layout
    records = layout.gather(
        np.stack([image.neuron_records(engine, index) for engine in range(layout.engines)]),
        image.neurons[index],
    )
    shifts = np.stack(
        [
            records["shifts"] >> np.uint16(_SHIFT_FIELDS[accumulator]) & np.uint16(15)
            for accumulator in _SHIFT_FIELDS
        ]
    )
    return UnpackedLayer(
        input_weights=weights.get(f"layer{index}.input_weights"),
        recurrent_weights=weights[f"layer{index}.recurrent_weights"],
        bias=np.ascontiguousarray(records["bias"].T).astype(np.int16),
        fraction_bits=(shifts + np.uint16(FRACTION_BITS_MINIMUM)).astype(np.int8),
        threshold=records["threshold"].astype(np.uint16),
    )


def _write_decoder(image: ModelImage, checkpoint: Checkpoint) -> None:
    records = np.zeros((len(checkpoint.vocabulary), image.layout.bus_bytes // 2), dtype=np.uint16)
    records[:, 0] = checkpoint.decoder_bias.view(np.uint16)
    records[:, 1] = checkpoint.decoder_fraction_bits - np.int8(FRACTION_BITS_MINIMUM)
    for engine, part in enumerate(image.decoder_layout.deal(records)):
        image.decoder_records(engine)[:] = part
