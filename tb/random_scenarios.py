"""What the regression does: random networks, memories and commands, each from a seed and a number.

Numbers that follow each other share out what must come up (layer counts, kinds of networks, errors, pairs of
commands, ...), in an order that the seed draws; everything else about a scenario is chance.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from egret.contract import MAX_LAYERS
from egret.errors import EgretError
from egret.image.limits import check_limits
from egret.profiles import Build
from tb.coverage_points import BUFFERS, COMMANDS
from tb.kernel_bench import MEMORY_BASE, MemoryTiming
from tb.kernel_cases import Case

Item = TypeVar("Item")

MEMORY_BYTES = 4 << 20
PAIRS_PER_SCENARIO = 9
ERRORS = (
    "BAD_COMMAND",
    "BAD_ADDRESS",
    "NOT_LOADED",
    "BAD_IMAGE",
    "WRONG_BUILD",
    "LIMIT",
    "BAD_COLUMN",
    "BAD_TOKEN in RUN",
    "BAD_TOKEN in GENERATE",
    "READ_ERROR in LOAD",
    "READ_ERROR in RUN",
    "READ_ERROR in GENERATE",
    "WRITE_ERROR of results",
    "WRITE_ERROR of logits",
    "WRITE_ERROR of counters",
)
RUN_LENGTHS = (0, 1, 2, 5, 16, 19, 33)
KINDS = (
    "plain",
    "mixed",
    "all fire",
    "silent",
    "dense",
    "no weights",
    "extreme",
    "tied",
    "sparse words",
    "on threshold",
)
WORDS = ("fewer than engines", "full groups", "padding")


@dataclass(frozen=True)
class Scenario:
    """A kernel's life between two resets, or a few of them."""

    number: int
    networks: tuple[Case, Case]
    network_seed: int
    timing: MemoryTiming
    control_stalls: float
    memory_base: int
    across_4_gb: str | None
    """Which buffers the 4 GB boundary lies in; None: the memory is far below."""
    commands: tuple[str, ...]
    """After the first LOAD."""
    errors: tuple[str, ...]
    """Provoked then, one after the other."""
    resets: tuple[str, ...]
    """Commands that a reset interrupts."""
    run_lengths: tuple[int, ...]
    """Tokens of its runs in turn."""


def draw_scenario(seed: int, number: int, build: Build) -> Scenario:
    """Return scenario `number` of the regression `seed` for a build of the kernel."""
    draw = random.Random(f"{seed} {number}")

    def turn(name: str, items: Sequence[Item], per_scenario: int = 1, index: int = 0) -> Item:
        """Every item once in len(items) turns, each round in an order of its own."""
        which, place = divmod(number * per_scenario + index, len(items))
        return random.Random(f"{seed} {name} {which}").sample(list(items), len(items))[place]

    circuit = pairs_circuit(random.Random(f"{seed} pairs"), COMMANDS)
    begin = number * PAIRS_PER_SCENARIO
    commands = [circuit[(begin + step) % len(circuit)] for step in range(PAIRS_PER_SCENARIO + 1)]
    networks = [
        draw_network(
            draw,
            build,
            name=f"scenario {number}, network {index}",
            layers=turn("layers", range(1, MAX_LAYERS + 1), 2, index),
            kind=turn("kind", KINDS, 2, index),
            words=turn("words", WORDS, 2, index),
        )
        for index in range(2)
    ]
    across = turn("4 GB", (*BUFFERS, None))
    return Scenario(
        number=number,
        networks=(networks[0], networks[1]),
        network_seed=draw.randrange(1 << 31),
        timing=draw_timing(draw, turn("memory", ("at once", "deep and slow", "slow to write", "random"))),
        control_stalls=draw.choice((0.0, 0.3)),
        memory_base=MEMORY_BASE if across is None else (1 << 32) - MEMORY_BYTES // 2,
        across_4_gb=across,
        commands=tuple(commands),
        errors=tuple(turn("errors", ERRORS, 2, index) for index in range(2)),
        resets=(turn("resets", COMMANDS), draw.choice(("RUN", "RUN", "GENERATE", "LOAD"))),
        run_lengths=tuple(turn("lengths", RUN_LENGTHS, 4, index) for index in range(4)),
    )


def pairs_circuit(draw: random.Random, commands: Sequence[str]) -> list[str]:
    """Return a random round trip in which every command directly follows every command, itself too, once."""
    # Hierholzer's algorithm on the complete directed graph with loops.
    left = {first: draw.sample(list(commands), len(commands)) for first in commands}
    path, circuit = [draw.choice(list(commands))], []
    while path:
        if left[path[-1]]:
            path.append(left[path[-1]].pop())
        else:
            circuit.append(path.pop())
    return circuit[-1:0:-1]  # its end is its beginning


def draw_network(draw: random.Random, build: Build, name: str, layers: int, kind: str, words: str) -> Case:
    """Return a random network of a kind that fits the build, small enough to simulate many of."""
    decoder_slots = build.engines * build.decoder_lanes
    if kind == "sparse words":
        # in tiles, if the build's are short; rows of a lane lie so far apart that gaps need escapes
        vocabulary = min(build.decoder_depth, 60) * decoder_slots - draw.randrange(decoder_slots)
    elif kind == "tied":
        # words alike lie 7 apart, and so in one lane too where 7 rounds of slots are
        vocabulary = 7 * decoder_slots + draw.randint(1, 3 * decoder_slots)
    elif words == "fewer than engines":
        vocabulary = max(build.engines - 1, 1)
    else:
        vocabulary = decoder_slots * draw.randint(1, 5)
        if words == "padding":
            vocabulary += draw.randint(1, max(decoder_slots - 1, 1))
    while True:
        sizes = tuple(_draw_size(draw, build.slots, layers) for _ in range(layers))
        try:
            check_limits(sizes, vocabulary, build)
        except EgretError:
            continue
        break
    shares = {
        "all fire": (1.0,) * layers,
        "silent": (0.0,) * layers,
        "mixed": tuple(draw.choice((0.0, 0.05, 0.3)) for _ in sizes),
    }
    return Case(
        name=name,
        build=build,
        layers=sizes,
        vocabulary=vocabulary,
        weight_sparsity={"dense": 0.0, "no weights": 1.0}.get(kind, draw.choice((0.3, 0.6, 0.85, 0.95))),
        activity=shares.get(kind, tuple(draw.choice((0.1, 0.25, 0.25, 1.0)) for _ in sizes)),
        embedding=draw.randint(1, 12),
        decoder_sparsity=draw.choice((0.93, 0.98)) if kind == "sparse words" else None,
        balanced=kind == "plain" and draw.random() < 0.5,
        extreme=kind == "extreme",
        on_threshold=kind == "on threshold",
        tied=kind == "tied",
    )


def _draw_size(draw: random.Random, slots: int, layers: int) -> int:
    most = 40 if layers <= 4 else 16
    return draw.choice(
        (
            1,
            draw.randint(2, max(slots - 1, 2)),
            slots * draw.randint(1, max(most // slots, 1)),
            draw.randint(2, most),
        )
    )


def draw_timing(draw: random.Random, kind: str) -> MemoryTiming:
    """Return a memory that answers at once, is deep and slow, is slow to write, or stalls at random."""
    if kind == "at once":
        return MemoryTiming(stalls={}, reads_ahead=16, writes_ahead=8, write_beats_ahead=64)
    if kind == "deep and slow":
        return MemoryTiming(
            stalls={"b": draw.choice((0.0, 0.5))},
            latency=(30, 60),
            response_latency=(60, 90),
            reads_ahead=16,
            writes_ahead=8,
            write_beats_ahead=128,
        )
    if kind == "slow to write":
        return MemoryTiming(
            stalls={"aw": 0.9, "w": 0.8}, latency=(0, 200), reads_ahead=4, writes_ahead=1, write_beats_ahead=1
        )
    return MemoryTiming(
        stalls={channel: draw.choice((0.0, 0.2, 0.5)) for channel in ("ar", "r", "aw", "w", "b")},
        latency=draw.choice(((0, 0), (0, 12), (30, 30))),
        response_latency=draw.choice(((0, 0), (0, 20))),
        reads_ahead=draw.choice((1, 2, 4)),
        writes_ahead=draw.choice((1, 2, 8)),
        write_beats_ahead=draw.choice((1, 2, 64)),
        address_waits_for_data=draw.random() < 0.3,
    )
