"""Measures a point: a network drawn for it, run on the board, compared with the reference model."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from egret.account.account import make_account
from egret.bench.measurement import BeatBits, Measurement
from egret.bench.points import Machine, Point
from egret.board.boards import VIRTUAL
from egret.board.open_session import open_session
from egret.board.results import Counters, Run
from egret.checkpoint import Checkpoint
from egret.errors import RunError
from egret.image.columns import Columns, count_slots
from egret.image.model_image import ModelImage
from egret.image.packer import pack
from egret.matrices import DECODER, network_matrices
from egret.reference.comparison import ReferenceCheck
from egret.synthetic.fixed_activity import firing_neurons, fixed_activity_checkpoint

_TIMEOUT_S = 3600.0  # for one command: a dense network takes minutes in simulation


def kernel_of(machine: Machine) -> str:
    """Return what identifies the simulated kernel (compiling it if need be), "" for a real board."""
    if not machine.board.startswith(VIRTUAL):
        return ""
    from egret.virtual_board.build import library_path

    return library_path(machine.profile().build).parent.name


def measure(point: Point) -> Measurement:
    """Measure a point.

    The network runs twice from the same state: through the warm-up and the counted steps, and through the
    warm-up alone. The difference of the counters is that of the counted steps, without the start and the end
    of a command. Raises EgretError for a network that does not fit the board, and RunError where the board
    fails or differs from the reference model in anything.
    """
    steps, network = point.steps(), point.network
    board = point.machine.profile()
    checkpoint = fixed_activity_checkpoint(
        network.layers,
        network.embedding,
        network.vocabulary,
        board.build,
        sparsity={
            matrix.name: point.decoder_sparsity if matrix.kind == DECODER else point.sparsity
            for matrix in network_matrices(len(network.layers))
        },
        activity=point.activity,
        pruning=point.pruning,
        seed=point.seed,
    )
    machine = point.machine
    chunk = point.warm_up + steps
    with open_session(machine.board, chunk=chunk, timeout_s=_TIMEOUT_S, **machine.changes()) as session:
        image = pack(checkpoint, session.build)
        session.load(image)
        tokens = (
            np.random.default_rng(point.seed)
            .integers(0, network.vocabulary, size=point.warm_up + steps, dtype=np.int64)
            .astype(np.uint32)
        )
        whole = _run(session, point, tokens)
        session.reset()
        warm_up = _run(session, point, tokens[: point.warm_up])
    check = ReferenceCheck(checkpoint, tokens[:0] if point.generating else tokens)
    check.take(whole)
    _check_same_start(whole, warm_up)
    counted = _difference(whole, warm_up)
    bits = _count_bits(image, checkpoint, counted)
    account = make_account(image, counted, board)
    counters, engines = counted.counters, image.layout.engines
    return Measurement(
        kernel=kernel_of(point.machine),
        steps=steps,
        checked_steps=check.steps,
        events=tuple(counters.events[: len(network.layers)]),
        macs=counters.macs,
        cycles=counters.cycles,
        beats=tuple(counters.beats[:engines]),
        wait_cycles=tuple(counters.wait_cycles[:engines]),
        update_cycles=counters.update_cycles,
        write_cycles=counters.write_cycles,
        busiest=_busiest(counters),
        bits=bits,
        roofline_cycles=account.roofline_cycles,
        bus_bytes=image.layout.bus_bytes,
        clock_mhz=board.clock_mhz,
        dense_macs=account.dense_macs,
        sparse_macs=account.sparse_macs,
        folded_macs=account.folded_macs,
        dense_machine_cycles=account.dense_machine_cycles,
    )


def _run(session: Any, point: Point, tokens: npt.NDArray[np.uint32]) -> Run:
    """Run the tokens, or generate as many from word 0 on (as ReferenceCheck does), in one command."""
    run: Run
    if point.generating:
        run = session.generate(0, int(tokens.size), point.logits)
    else:
        run = session.run(tokens, point.logits)
    return run


def _check_same_start(whole: Run, start: Run) -> None:
    """Raise RunError unless `start` gave the same numbers as `whole`, which the reference model confirmed."""
    for name in ("tokens", "argmax", "logit", "events"):
        if not np.array_equal(getattr(whole, name)[: len(start)], getattr(start, name)):
            raise RunError(
                f"The kernel gave another {name} after RESET than after LOAD, for the same tokens."
            )


def _difference(whole: Run, start: Run) -> Run:
    """Return the steps of `whole` that come after those of `start`."""
    values: dict[str, Any] = {}
    for item in fields(Counters):
        more, less = getattr(whole.counters, item.name), getattr(start.counters, item.name)
        if isinstance(more, int):
            values[item.name] = more - less
        else:
            values[item.name] = tuple(a - b for a, b in zip(more, less, strict=True))
    first = len(start)
    return Run(
        tokens=whole.tokens[first:],
        argmax=whole.argmax[first:],
        logit=whole.logit[first:],
        cycles=whole.cycles[first:],
        events=whole.events[first:],
        logits=None,
        counters=Counters(**values),
    )


def _busiest(counters: Counters) -> int:
    return int(np.argmax(np.array(counters.beats, dtype=np.int64)))


def _count_bits(image: ModelImage, checkpoint: Checkpoint, counted: Run) -> BeatBits:
    """Count what the beats are for that the firing neurons' columns fetch; of the busiest engine.

    Raises RunError unless they are exactly the beats and the MACs that the kernel counted.
    """
    firing = firing_neurons(checkpoint)
    steps, beat_bits = len(counted), 8 * image.layout.bus_bytes
    busiest = _busiest(counted.counters)
    totals = np.zeros(4, dtype=np.int64)  # weights, escapes, padding, unused: bits of the busiest engine
    macs = 0
    for engine in range(image.layout.engines):
        beats = image.table_row_beats()
        for matrix in image.matrices():
            layout = matrix.layout
            columns = _choose_columns(image.matrix_columns(engine, matrix), firing[matrix.source])
            slots, count = count_slots(columns, layout), int(columns.pointers[-1])
            macs, beats = macs + steps * slots.weights, beats + count
            if engine == busiest:
                entries = np.array([slots.weights, slots.escapes, slots.padding, 0], dtype=np.int64)
                totals += entries * layout.entry_bits
                totals[3] += count * (beat_bits - layout.lanes * layout.entry_bits)
        if steps * beats != counted.counters.beats[engine]:
            raise RunError(
                f"Engine {engine} fetched {counted.counters.beats[engine]} beats in {steps} steps; the "
                f"columns of the neurons that fire have {steps * beats}."
            )
    if macs != counted.counters.macs:
        raise RunError(
            f"The kernel counted {counted.counters.macs} MACs; the columns of the neurons that fire have "
            f"{macs}."
        )
    weights, escapes, padding, unused = (int(total) * steps for total in totals)
    return BeatBits(weights, escapes, padding, unused, table=steps * image.table_row_beats() * beat_bits)


def _choose_columns(columns: Columns, chosen: npt.NDArray[np.intp]) -> Columns:
    """Return some of an engine's columns of a matrix, by their numbers."""
    begins, ends = columns.pointers[:-1][chosen], columns.pointers[1:][chosen]
    pointers = np.zeros(chosen.size + 1, dtype=np.int64)
    np.cumsum(ends - begins, out=pointers[1:])
    beats = np.repeat(begins - pointers[:-1], ends - begins) + np.arange(pointers[-1], dtype=np.int64)
    return Columns(beats=columns.beats[beats], pointers=pointers)
