"""An image that the format allows and the packer does not write: columns end in entries of weight 0."""

from __future__ import annotations

import numpy as np

from egret.contract import HEADER_BYTES
from egret.image.checks import image_checksum
from egret.image.header import CHECKSUM_WORD, ImageHeader
from egret.image.model_image import ModelImage
from egret.image.packer import column_beats


def loosen(image: ModelImage) -> ModelImage:
    """Return the image with a beat more in each column that has fewer beats than its lanes have rows.

    The beat steps over the largest gap in every lane, out of the lane's rows where few are left, to weight 0.
    """
    old, size = image.header, image.layout.bus_bytes
    beats = column_beats(image)
    longer = [np.zeros((0, size), dtype=np.uint8)] * image.layout.engines
    pointers = [image.pointers(engine).copy() for engine in range(image.layout.engines)]
    for engine, own in enumerate(pointers):
        lengths = np.diff(own.astype(np.int64))
        added = np.zeros((lengths.size, size), dtype=np.uint8)
        has_room = np.zeros(lengths.size, dtype=np.bool_)
        for matrix in image.matrices():
            layout = matrix.layout
            step = layout.largest_gap << layout.weight_bits
            beat = sum(step << lane * layout.entry_bits for lane in range(layout.lanes))
            added[matrix.begins] = np.frombuffer(beat.to_bytes(size, "little"), dtype=np.uint8)
            has_room[matrix.begins] = beats[matrix.name][engine] < matrix.gates * layout.groups(matrix.rows)
        ends = own[1:][has_room].astype(np.intp)
        longer[engine] = np.insert(image.columns(engine), ends, added[has_room], axis=0)
        own[1:] += np.cumsum(has_room, dtype=np.uint32)
    header = ImageHeader.plan(
        old.layout,
        old.decoder_layout,
        old.neurons,
        old.words,
        old.tile_rows,
        old.vocabulary.bytes,
        old.metadata.bytes,
        [columns.shape[0] for columns in longer],
    )
    loose = ModelImage(data=np.zeros(header.total_bytes, dtype=np.uint8), header=header)
    for before, after in zip(old.all_sections(), header.all_sections(), strict=True):
        if before.bytes == after.bytes:  # all but the columns
            loose.view(after.offset, after.bytes)[:] = image.view(before.offset, before.bytes)
    loose.data[:HEADER_BYTES] = header.to_words().view(np.uint8)
    for engine, columns in enumerate(longer):
        loose.columns(engine)[:] = columns
        loose.pointers(engine)[:] = pointers[engine]
    loose.data[:HEADER_BYTES].view("<u4")[CHECKSUM_WORD] = image_checksum(loose.data)
    return loose
