"""The coverage points of the regression: what must have come up, and how often it did (cocotb-coverage).

Three sources: the benches say what they commanded, the reference model what the network did, and counts in
the kernel itself (kernel_coverage.sv) say what can be seen only there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from cocotb_coverage.coverage import CoverCross, CoverPoint, coverage_db, merge_coverage

from egret import contract
from egret.image.columns import Columns
from egret.image.layout import Layout
from egret.image.model_image import ModelImage
from egret.matrices import RECURRENT
from egret.reference.model import Trace

COMMANDS = ("QUERY", "LOAD", "RESET", "RUN", "GENERATE")
BUFFERS = ("image", "tokens", "results", "logits", "counters")
IN_KERNEL = tuple(
    re.findall(r"^  `POINT\((\w+),", (Path(__file__).parent / "kernel_coverage.sv").read_text(), re.MULTILINE)
)
ERRORS = tuple(name for code, (name, _) in sorted(contract.ERRORS.items()) if code)


def _point(name: str, bins: tuple[str, ...]) -> Callable[[str], None]:
    @CoverPoint(f"egret.{name}", vname="what", bins=list(bins))
    def sample(what: str) -> None:
        pass

    return sample


@CoverPoint("egret.command.first", vname="first", bins=list(COMMANDS))
@CoverPoint("egret.command.second", vname="second", bins=list(COMMANDS))
@CoverCross("egret.command.pair", items=["egret.command.first", "egret.command.second"])
def sample_commands(first: str, second: str) -> None:
    """One command came right after another, with nothing but register accesses between them."""


_logits = _point("command.logits", ("RUN with", "RUN without", "GENERATE with", "GENERATE without"))
_tokens = _point("command.tokens", ("0", "1", "2 to 15", "16", "17 to 31", "32 and more"))
sample_words = _point("command.words", ("first", "last", "the same twice running"))
sample_end = _point("command.end", ("interrupt on done", "interrupt on ready", "polled"))
sample_recovery = _point(
    "error.recovered",
    (
        *(f"{name} then RUN" for name in ("BAD_COMMAND", "BAD_ADDRESS")),
        *(f"{name} then LOAD" for name in ERRORS if name not in ("BAD_COMMAND", "BAD_ADDRESS")),
    ),
)
sample_error_place = _point(
    "error.command",
    (
        "READ_ERROR in LOAD",
        "READ_ERROR in RUN",
        "READ_ERROR in GENERATE",
        "WRITE_ERROR of results",
        "WRITE_ERROR of logits",
        "WRITE_ERROR of counters",
        "BAD_TOKEN in RUN",
        "BAD_TOKEN in GENERATE",
    ),
)
sample_reset = _point("reset.during", COMMANDS)
sample_boundary = _point(
    "address.boundary",
    tuple(f"{size} inside {buffer}" for size in ("4 KB", "4 GB") for buffer in BUFFERS),
)
_layers = _point("network.layers", tuple(str(count) for count in range(1, contract.MAX_LAYERS + 1)))
_shape = _point(
    "network.shape",
    (
        "a layer fills its groups",
        "a layer with padding",
        "a layer smaller than a round of slots",
        "a layer of one neuron",
        "words fill their groups",
        "words with padding",
        "an engine without words",
        "no weights",
        "no zero weights",
    ),
)
_events = _point(
    "events.in_a_phase",
    tuple(
        f"{share} of the {place} layer"
        for place in ("first", "last", "only", "middle")
        for share in ("none", "one", "many", "all")
    ),
)
_values = _point("events.value", ("the largest, 255", "less than 64"))
sample_threshold = _point("events.threshold", ("the state on the threshold",))
_columns = _point(
    "columns.of_an_event",
    (
        "forward and recurrent",
        "forward only",
        "recurrent only",
        "neither",
        "last entry in the last lane",
        "a lane that is done early",
        "gap escape",
        "largest gap without an escape",
    ),
)
_ties = _point("argmax.tie", ("in a lane", "between lanes", "between engines"))
sample_in_kernel = _point("kernel", IN_KERNEL)


def sample_network(image: ModelImage, weights_none: bool, weights_all: bool) -> None:
    """Sample the shape of a network that was loaded."""
    layout, decoder = image.layout, image.decoder_layout
    _layers(str(len(image.neurons)))
    for neurons in image.neurons:
        _shape("a layer with padding" if neurons % layout.slots else "a layer fills its groups")
        if neurons < layout.slots:
            _shape("a layer smaller than a round of slots")
        if neurons == 1:
            _shape("a layer of one neuron")
    words = len(image.vocabulary)
    _shape("words with padding" if words % decoder.slots else "words fill their groups")
    if words < layout.engines:
        _shape("an engine without words")
    if weights_none:
        _shape("no weights")
    if weights_all:
        _shape("no zero weights")


def sample_run(command: str, logits: bool, trace: Trace, image: ModelImage, features: ColumnFeatures) -> None:
    """Sample what a RUN or GENERATE that is over did, by the reference's trace (with logits)."""
    _logits(f"{command} {'with' if logits else 'without'}")
    count = trace.tokens.size
    _tokens(
        str(count)
        if count in (0, 1, 16)
        else "2 to 15"
        if count < 16
        else "17 to 31"
        if count < 32
        else "32 and more"
    )
    words = len(image.vocabulary)
    if (trace.tokens == 0).any():
        sample_words("first")
    if (trace.tokens == words - 1).any():
        sample_words("last")
    if (trace.tokens[1:] == trace.tokens[:-1]).any():
        sample_words("the same twice running")
    _sample_events(trace, image, features)
    if trace.logits is not None:
        _sample_ties(trace.logits, image.decoder_layout)


def _sample_events(trace: Trace, image: ModelImage, features: ColumnFeatures) -> None:
    layers = len(image.neurons)
    for layer, steps in enumerate(trace.events):
        place = (
            "only" if layers == 1 else "first" if layer == 0 else "last" if layer == layers - 1 else "middle"
        )
        fired: set[int] = set()
        for indices, values in steps:
            size = indices.size
            if size == image.neurons[layer] and size > 1:
                _events(f"all of the {place} layer")
            elif size > 1:
                _events(f"many of the {place} layer")
            elif image.neurons[layer] > 1:
                _events(f"{'one' if size else 'none'} of the {place} layer")
            if size and int(values.max()) == 255:
                _values("the largest, 255")
            if size and int(values.min()) < 64:
                _values("less than 64")
            fired.update(int(index) for index in indices)
        for feature, columns in features[layer].items():
            if not fired.isdisjoint(columns):
                _columns(feature)


def _sample_ties(logits: npt.NDArray[np.int32], layout: Layout) -> None:
    for row in logits:
        best = np.flatnonzero(row == row.max())
        if best.size < 2:
            continue
        engines = best % layout.engines
        lanes = best // layout.engines % layout.lanes
        if np.unique(engines).size > 1:
            _ties("between engines")
        for engine in np.unique(engines):
            here = lanes[engines == engine]
            if np.unique(here).size > 1:
                _ties("between lanes")
            if np.unique(here).size < here.size:
                _ties("in a lane")


ColumnFeatures = list[dict[str, frozenset[int]]]
"""For each layer, by bin of columns.of_an_event: the neurons whose columns show it in some engine."""


def column_features(image: ModelImage) -> ColumnFeatures:
    """Find out which neurons' columns show what the points of columns.of_an_event are about."""
    result: ColumnFeatures = []
    for layer in range(len(image.neurons)):
        found: dict[str, set[int]] = {}
        fed = [matrix for matrix in image.matrices() if matrix.source == layer]
        # Of a decoder in tiles, the first: the others' columns stand alone.
        above = next(matrix for matrix in fed if matrix.matrix.kind != RECURRENT)
        (own,) = (matrix for matrix in fed if matrix.matrix.kind == RECURRENT)
        for engine in range(image.layout.engines):
            forward = image.matrix_columns(engine, above)
            recurrent = image.matrix_columns(engine, own)
            has_forward = np.diff(forward.pointers.astype(np.int64)) > 0
            has_recurrent = np.diff(recurrent.pointers.astype(np.int64)) > 0
            for name, which in (
                ("forward and recurrent", has_forward & has_recurrent),
                ("forward only", has_forward & ~has_recurrent),
                ("recurrent only", ~has_forward & has_recurrent),
                ("neither", ~has_forward & ~has_recurrent),
            ):
                found.setdefault(name, set()).update(np.flatnonzero(which).tolist())
            for columns, layout in ((forward, above.layout), (recurrent, own.layout)):
                for name, numbers in _entry_features(columns, layout).items():
                    found.setdefault(name, set()).update(numbers.tolist())
        result.append({name: frozenset(numbers) for name, numbers in found.items()})
    return result


def _entry_features(columns: Columns, layout: Layout) -> dict[str, npt.NDArray[np.int64]]:
    """Return, by bin, the numbers of the columns whose entries show it."""
    count = columns.beats.shape[0]
    bits = np.unpackbits(columns.beats, axis=1, bitorder="little")[:, : layout.lanes * layout.entry_bits]
    bits = bits.reshape(count, layout.lanes, layout.entry_bits)
    weighted = bits[:, :, : layout.weight_bits].any(axis=2)
    widest = bits[:, :, layout.weight_bits :].all(axis=2) if layout.gap_bits else np.zeros_like(weighted)
    lengths = np.diff(columns.pointers.astype(np.int64))
    column = np.repeat(np.arange(lengths.size, dtype=np.int64), lengths)
    last = np.ones(count, dtype=np.bool_)
    last[:-1] = column[1:] != column[:-1]
    after_escape = np.zeros_like(widest)
    after_escape[1:] = (widest & ~weighted)[:-1]
    return {
        "last entry in the last lane": column[last & weighted[:, -1]],
        "a lane that is done early": column[last & ~weighted.all(axis=1)],
        "gap escape": column[(widest & ~weighted).any(axis=1)],
        "largest gap without an escape": column[(widest & weighted & ~after_escape).any(axis=1)],
    }


def write_coverage(path: Path) -> None:
    """Write the counts of this simulation as YAML."""
    coverage_db.export_to_yaml(filename=str(path))


def merge(files: list[Path], merged: Path) -> dict[str, Any]:
    """Add the counts of several simulations up, write them to `merged`, and return them."""
    merge_coverage(lambda line: None, str(merged), *map(str, files))
    result: dict[str, Any] = yaml.safe_load(merged.read_text())
    return result


def missing(counts: dict[str, Any]) -> list[str]:
    """Return the bins, "point: bin", that never came up; all of this module's points must be there."""
    absent = [name for name in coverage_db if name not in counts]
    return absent + [
        f"{name.removeprefix('egret.')}: {bin_name}"
        for name, item in sorted(counts.items())
        for bin_name, hits in item.get("bins:_hits", {}).items()
        if not hits
    ]


def report(counts: dict[str, Any]) -> str:
    """Return a table of the points: how many of their bins came up, and how often each."""
    lines = []
    for name, item in sorted(counts.items()):
        bins = item.get("bins:_hits")
        if bins is None:
            continue
        covered = sum(1 for hits in bins.values() if hits)
        lines.append(f"{name.removeprefix('egret.'):24} {covered:3} of {len(bins):3}")
        lines += [f"  {hits:9}  {bin_name}" for bin_name, hits in bins.items()]
    total = counts["egret"]
    lines.append(f"{total['coverage']} of {total['size']} bins, {total['cover_percentage']} %")
    return "\n".join(lines)
