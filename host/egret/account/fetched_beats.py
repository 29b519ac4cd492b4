"""What a token fetches: beats of its table row, and of the columns of the neurons that fired."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from egret.account.matrices import SECTIONS, section_of
from egret.image.model_image import ModelImage
from egret.image.packer import column_beats
from egret.matrices import RECURRENT, Matrix
from egret.reference.model import Trace

Fired = npt.NDArray[np.bool_]


def fired_neurons(traces: Sequence[Trace], neurons: Sequence[int]) -> tuple[Fired, ...]:
    """Return, for each layer, bool [T, H]: which of its neurons fired at each of the traces' T tokens."""
    result = []
    for layer, count in enumerate(neurons):
        steps = [indices for trace in traces for indices, _ in trace.events[layer]]
        fired = np.zeros((len(steps), count), dtype=np.bool_)
        for step, indices in enumerate(steps):
            fired[step, indices.astype(np.intp)] = True
        result.append(fired)
    return tuple(result)


def fetched_beats(
    image: ModelImage, fired: Sequence[Fired], before: Sequence[Fired] | None = None
) -> npt.NDArray[np.int64]:
    """Return, int64 [T, engines, SECTIONS], the beats of the table row and columns that each token fetches.

    fired: bool [T, H] of each layer. A recurrent column is fetched for the event of the token before: those
    of the last token's events are not there. before: bool [H] of each layer, which neurons fired at the token
    ahead of the first; None: none, as after a load.
    """
    beats = np.zeros((fired[0].shape[0], image.layout.engines, len(SECTIONS)), dtype=np.int64)
    beats[:, :, 0] = image.table_row_beats()
    for name, per_column in column_beats(image).items():
        matrix = Matrix.named(name)
        active = fired[matrix.source]
        if matrix.kind == RECURRENT:
            first = np.zeros_like(active[:1]) if before is None else before[matrix.source][np.newaxis]
            active = np.concatenate([first, active[:-1]])
        section = SECTIONS.index(section_of(matrix))
        beats[:, :, section] += active.astype(np.int64) @ per_column.T
    return beats
