"""What a benchmark measures: a point is a network, how sparse and how active it is, and what it runs on."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import Any

from egret.board.boards import VIRTUAL, board_profile, is_csim
from egret.contract import BUILD_PARAMETERS
from egret.errors import EgretError
from egret.profiles import Board
from egret.synthetic.fixed_activity import PRUNINGS

FULL = "full"
"""A bandwidth at which every port can read and write a beat in every cycle: the ports are the limit."""

AS_BOARD = "board"
"""The bandwidth of the board's profile."""

WARM_UP = 3
"""Steps that are not counted: the first has no events to feed back, and the next overlap with it."""

_CYCLES_PER_POINT = 250_000  # of simulation, about: what is exactly periodic needs no long averages
_FEWEST_TOKENS, _MOST_TOKENS = 2, 64


@dataclass(frozen=True)
class Network:
    """A shape."""

    name: str
    layers: tuple[int, ...]
    """Neurons of each layer."""
    embedding: int
    vocabulary: int
    """Words. With a handful, the decoder costs next to nothing and the recurrent part is measured."""
    prune_decoder: bool
    """Whether the decoder is as sparse as the layers; otherwise all its weights are kept."""


@dataclass(frozen=True)
class Machine:
    """A board, and in what it differs from its profile."""

    board: str = f"{VIRTUAL}pynq-z2"
    bandwidth: str = FULL
    """FULL, AS_BOARD, or bytes per second."""
    latency_cycles: int | None = None
    """None: the board's."""
    build: tuple[tuple[str, int], ...] = ()
    """Build parameters that differ from the board's, by their names in egret.profiles.Build."""

    def changes(self) -> dict[str, Any]:
        """Return the keywords with which open_board() and board_profile() make this machine.

        Raises EgretError for a board, build parameter or bandwidth that does not exist.
        """
        if is_csim(self.board):
            raise EgretError(f"The kernel of {self.board} knows no clock; a benchmark counts cycles.")
        own = board_profile(self.board)
        changes: dict[str, Any] = {}
        unknown = [name for name, _ in self.build if name not in BUILD_PARAMETERS]
        if unknown:
            raise EgretError(
                f"There is no build parameter {unknown[0]}; there are {', '.join(BUILD_PARAMETERS)}."
            )
        build = replace(own.build, **dict(self.build))
        if self.build:
            changes["build"] = build
        if self.latency_cycles is not None:
            changes["latency_cycles"] = self.latency_cycles
        if self.bandwidth == FULL:
            both_ways = 2 * build.engines * build.bus_bytes
            changes["bandwidth_bytes_per_second"] = round(both_ways * own.clock_mhz * 1_000_000)
        elif self.bandwidth != AS_BOARD:
            if not re.fullmatch(r"[1-9][0-9]*", self.bandwidth):
                raise EgretError(
                    f"A bandwidth is {FULL}, {AS_BOARD} or bytes per second, not {self.bandwidth}."
                )
            changes["bandwidth_bytes_per_second"] = int(self.bandwidth)
        return changes

    def profile(self) -> Board:
        """Return the board's profile with these changes."""
        return board_profile(self.board, **self.changes())

    def describe(self) -> str:
        """Say in a few words what this is."""
        board = self.profile()
        build = board.build
        engines = "1 engine" if build.engines == 1 else f"{build.engines} engines"
        changed = [f"{name}={value}" for name, value in self.build if name != "engines"]
        memory = {
            FULL: "full bandwidth",
            AS_BOARD: f"{board.memory.bandwidth_bytes_per_second / 1e9:.1f} GB/s",
        }
        return ", ".join(
            [
                self.board,
                f"{engines} of {8 * build.bus_bytes} bits",
                *changed,
                memory.get(self.bandwidth, f"{self.bandwidth} B/s"),
                f"latency {board.memory.latency_cycles} cycles",
            ]
        )


@dataclass(frozen=True)
class Point:
    """One thing to measure."""

    network: Network
    activity: tuple[float, ...]
    """Share of neurons that fire, by layer."""
    sparsity: float
    """Share of zero weights in the layers."""
    decoder_sparsity: float
    """The same in the decoder."""
    machine: Machine
    generating: bool = False
    """Each step's argmax is the next token; otherwise tokens are given."""
    logits: bool = False
    """All logits are written to memory."""
    pruning: str = PRUNINGS[0]
    tokens: int = 0
    """Steps counted; 0: as many as it takes."""
    warm_up: int = WARM_UP
    seed: int = 0

    def dense(self) -> Point:
        """Return the same network with all weights, all neurons firing."""
        return replace(
            self, activity=(1.0,) * len(self.network.layers), sparsity=0.0, decoder_sparsity=0.0, tokens=0
        )

    def steps(self) -> int:
        """Return how many steps are counted."""
        if self.tokens:
            return self.tokens
        return min(max(round(_CYCLES_PER_POINT / self.expected_cycles()), _FEWEST_TOKENS), _MOST_TOKENS)

    def simulated_cycles(self) -> int:
        """Return about how many cycles it takes to measure this."""
        return round((2 * self.warm_up + self.steps()) * self.expected_cycles())

    def expected_cycles(self) -> float:
        """Return about how many cycles a step takes: to plan with, not to report."""
        board = self.machine.profile()
        build, sizes = board.build, self.network.layers
        entries = self.activity[-1] * sizes[-1] * self.network.vocabulary * (1.0 - self.decoder_sparsity)
        for layer, (neurons, share) in enumerate(zip(sizes, self.activity, strict=True)):
            rows = neurons + (sizes[layer + 1] if layer + 1 < len(sizes) else 0)
            entries += share * neurons * 3 * rows * (1.0 - self.sparsity)
        table = 3 * 2 * sizes[0] / (build.engines * build.bus_bytes)
        sweeps = (sum(sizes) + self.network.vocabulary) / build.slots
        port_bytes = build.engines * build.bus_bytes
        return (entries / build.slots + table) * max(port_bytes / board.bytes_per_cycle, 1.0) + sweeps + 100

    def describe(self) -> str:
        """Say in a few words what network this is."""
        return (
            f"{self.network.name}, {format_shares(self.activity)} active, {100 * self.sparsity:g} % zeros, "
            f"{self.mode}"
        )

    @property
    def mode(self) -> str:
        """How tokens come in."""
        return ("generating" if self.generating else "forced") + (", logits" if self.logits else "")

    def as_json(self) -> dict[str, Any]:
        """Return everything that tells this point from others, as what JSON gives back."""
        values = asdict(self)
        values["tokens"] = self.steps()
        values["activity"] = list(self.activity)
        values["network"]["layers"] = list(self.network.layers)
        values["machine"]["build"] = [list(item) for item in self.machine.build]
        return values


def format_shares(shares: tuple[float, ...]) -> str:
    """Write the activity of the layers: one share if all are the same."""
    shown = shares[:1] if len(set(shares)) == 1 else shares
    return "/".join(f"{round(100 * share, 3):g}" for share in shown) + " %"
