"""The networks and sweeps that have a name, and the figures that they are held against: one table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from egret.bench.points import AS_BOARD, FULL, Machine, Network, Point
from egret.board.boards import VIRTUAL
from egret.errors import EgretError

RECURRENT_EMBEDDING, RECURRENT_VOCABULARY = 16, 10
"""Of networks without a language: ten words, so that the decoder is one row in each of ten lanes, all its
weights kept. What is measured is then the recurrent layers."""


def recurrent_network(layers: Sequence[int], name: str | None = None) -> Network:
    """Return a network whose decoder costs next to nothing."""
    name = name or "-".join(str(count) for count in layers)
    return Network(name, tuple(layers), RECURRENT_EMBEDDING, RECURRENT_VOCABULARY, prune_decoder=False)


NETWORKS = {
    **{f"2x{size}": recurrent_network([size, size], f"2x{size}") for size in (64, 256, 768, 1350)},
    # The language model of Mukherji et al. 2023, with the Penn Treebank's vocabulary.
    "paper": Network("paper", (1350, 1350, 750), 750, 10_000, prune_decoder=True),
    # As many words as WikiText-2 has, with layers whose folded table a board still holds.
    "wikitext-2": Network("wikitext-2", (512, 512), 512, 33_278, prune_decoder=True),
}

REALISED = 0.95
"""Least part of the byte reduction that the speed-up over the dense network should reach."""

TWO_ENGINES = Machine(f"{VIRTUAL}pynq-z2", FULL, latency_cycles=32)
ONE_ENGINE = Machine(f"{VIRTUAL}pynq-z2", FULL, latency_cycles=32, build=(("engines", 1),))
PYNQ_Z2 = Machine(f"{VIRTUAL}pynq-z2", AS_BOARD)
ULTRA96_V2 = Machine(f"{VIRTUAL}ultra96-v2", AS_BOARD)

FORCED, GENERATING = (False,), (True,)
BOTH = (False, True)
ACTIVITIES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)
SPARSITIES = (0.0, 0.5, 0.85, 0.95)


@dataclass(frozen=True)
class Sweep:
    """Every combination of what is listed."""

    networks: tuple[str, ...]
    activities: tuple[float, ...] = (0.1,)
    sparsities: tuple[float, ...] = (0.85,)
    modes: tuple[bool, ...] = FORCED
    """Whether generating."""
    machine: Machine = TWO_ENGINES
    utilisation: float | None = None
    """The figure to reach."""

    def points(self) -> list[Point]:
        """Return the combinations."""
        return [
            make_point(NETWORKS[name], (activity,), sparsity, self.machine, generating)
            for generating in self.modes
            for name in self.networks
            for sparsity in self.sparsities
            for activity in self.activities
        ]


@dataclass(frozen=True)
class Preset:
    """Sweeps under one name."""

    about: str
    sweeps: tuple[Sweep, ...] = field(default=())


SIZES = ("2x64", "2x256", "2x768", "2x1350", "paper")

PRESETS = {
    "quick": Preset(
        "2x64 in a few seconds: does everything work?",
        (Sweep(("2x64",), (1.0, 0.1, 0.02)), Sweep(("2x64",), (0.1,), modes=GENERATING)),
    ),
    "activity": Preset("every size, 85 % zeros, activity 100 to 2 %", (Sweep(SIZES, ACTIVITIES),)),
    "sparsity": Preset("every size at 10 % activity, 0 to 95 % zeros", (Sweep(SIZES, (0.1,), SPARSITIES),)),
    "sweep": Preset("every size, activity and weight sparsity", (Sweep(SIZES, ACTIVITIES, SPARSITIES),)),
    "generating": Preset(
        "as activity, each word the next token", (Sweep(SIZES, ACTIVITIES, modes=GENERATING),)
    ),
    "boards": Preset(
        "the paper's network and 2x768 on both boards with their own memories",
        (
            Sweep(("2x768", "paper"), (1.0, 0.1), modes=BOTH, machine=PYNQ_Z2),
            Sweep(("2x768", "paper"), (1.0, 0.1), modes=BOTH, machine=ULTRA96_V2),
        ),
    ),
    "vocabulary": Preset(
        "33 278 words, whose decoder is in tiles, on both boards with their own memories",
        (
            Sweep(("wikitext-2",), modes=BOTH, machine=PYNQ_Z2),
            Sweep(("wikitext-2",), modes=BOTH, machine=ULTRA96_V2),
        ),
    ),
    "targets": Preset(
        "the figures to reach",
        (
            Sweep(("paper",), modes=BOTH, utilisation=0.98),
            Sweep(("2x768",), modes=BOTH, utilisation=0.97),
            Sweep(("2x256",), modes=BOTH, utilisation=0.93),
            Sweep(("2x64",), modes=BOTH, utilisation=0.80),
            Sweep(("2x768",), sparsities=(0.0,), modes=BOTH, machine=ONE_ENGINE, utilisation=0.985),
            Sweep(("paper",), modes=BOTH, machine=PYNQ_Z2, utilisation=0.97),
        ),
    ),
}


@dataclass(frozen=True)
class Peer:
    """Utilisation of another accelerator at a size, both of whose layers are 10 % active."""

    at_once: float
    """With memory that answers at once."""
    late: float
    """With 4 fetches in flight and 32 cycles of latency."""


PEER_ACTIVITY = 0.1
PEERS: dict[tuple[int, ...], Peer] = {
    (768, 768): Peer(0.985, 0.984),
    (256, 256): Peer(0.953, 0.946),
    (64, 64): Peer(0.780, 0.717),
}
"""By the sizes of the layers."""

PEER_SOURCE = (
    "EdgeDRNN (Gao et al. 2020, arXiv:2012.13600): an accelerator of delta GRUs, 8 dense 8-bit MACs a cycle "
    "on one 64-bit port; it skips no zero weights, and its activations do not overlap with fetching. Its "
    "utilisation at RTL level on a memory model of the same kind, with 4 fetches in flight where memory has "
    "latency."
)


def make_point(
    network: Network, activity: tuple[float, ...], sparsity: float, machine: Machine, generating: bool
) -> Point:
    """Return a point; one activity stands for all layers. Raises EgretError for impossible shares."""
    layers = len(network.layers)
    if len(activity) == 1:
        activity = activity * layers
    if len(activity) != layers:
        raise EgretError(f"{network.name} has {layers} layers, but {len(activity)} activities are given.")
    if not all(0.0 <= share <= 1.0 for share in (*activity, sparsity)):
        raise EgretError("Activity and sparsity are shares between 0 and 1.")
    return Point(
        network=network,
        activity=activity,
        sparsity=sparsity,
        decoder_sparsity=sparsity if network.prune_decoder else 0.0,
        machine=machine,
        generating=generating,
    )


def find_network(text: str) -> Network:
    """Return a network by its name, or by its sizes: 3x500, or 400-300-200. Raises EgretError for others."""
    if text in NETWORKS:
        return NETWORKS[text]
    repeated = re.fullmatch(r"([1-9])x([1-9][0-9]*)", text)
    if repeated:
        return recurrent_network([int(repeated[2])] * int(repeated[1]), text)
    if re.fullmatch(r"[1-9][0-9]*(-[1-9][0-9]*)*", text):
        return recurrent_network([int(part) for part in text.split("-")])
    raise EgretError(
        f"{text} is no network: name one of {', '.join(NETWORKS)}, or sizes as in 3x500 or 400-300."
    )
