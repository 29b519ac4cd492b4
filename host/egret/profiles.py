"""What a kernel was built with, and the boards it is built for: the classes around egret.contract's data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from egret.contract import BOARD_PROFILES, BUILD_PARAMETERS, COMPACT_EXTRA_ROWS
from egret.errors import EgretError


def _default(name: str) -> int:
    return BUILD_PARAMETERS[name][0]


@dataclass(frozen=True)
class Build:
    """Build parameters of a kernel. Raises EgretError for a combination that no kernel has."""

    engines: int = _default("engines")
    """Read ports, each with lanes of its own."""
    lanes: int = _default("lanes")
    """Entries in a beat; at most 8 * bus_bytes / (weight_bits + gap_bits)."""
    bus_bytes: int = _default("bus_bytes")
    """Bytes of a data beat of each m_axi port, 8 or 16."""
    weight_bits: int = _default("weight_bits")
    gap_bits: int = _default("gap_bits")
    decoder_lanes: int = _default("decoder_lanes")
    """Entries in a beat of a decoder column."""
    decoder_weight_bits: int = _default("decoder_weight_bits")
    decoder_gap_bits: int = _default("decoder_gap_bits")
    """0: dense columns, with an entry for every row."""
    accumulator_bits: int = _default("accumulator_bits")
    neuron_depth: int = _default("neuron_depth")
    """Neuron positions per engine, all layers together; layer 0 may take half of them."""
    accumulator_depth: int = _default("accumulator_depth")
    """Accumulators per lane and bank."""
    logit_depth: int = _default("logit_depth")
    """Decoder rows of a tile per decoder lane."""
    decoder_depth: int = _default("decoder_depth")
    """Decoder rows per decoder lane, of all tiles, that may have any bias and shift."""
    pointer_depth: int = _default("pointer_depth")
    """Column pointers of an image."""
    max_burst_beats: int = _default("max_burst_beats")
    reads_in_flight: int = _default("reads_in_flight")
    """Bursts requested and not yet complete, per port."""

    def __post_init__(self) -> None:
        for name, (_, minimum, maximum) in BUILD_PARAMETERS.items():
            value = getattr(self, name)
            if not minimum <= value <= maximum:
                raise EgretError(f"{name} is {value}, but a kernel takes {minimum} to {maximum}.")
        if self.bus_bytes not in (8, 16):
            raise EgretError(f"bus_bytes is {self.bus_bytes}, but a kernel takes 8 or 16.")
        entries = 8 * self.bus_bytes // (self.weight_bits + self.gap_bits)
        if self.lanes > entries:
            raise EgretError(
                f"lanes is {self.lanes}, but a beat of {self.bus_bytes} bytes holds {entries} entries of "
                f"{self.weight_bits} + {self.gap_bits} bits."
            )
        entries = 8 * self.bus_bytes // (self.decoder_weight_bits + self.decoder_gap_bits)
        if self.decoder_lanes > entries:
            raise EgretError(
                f"decoder_lanes is {self.decoder_lanes}, but a beat of {self.bus_bytes} bytes holds "
                f"{entries} decoder entries of {self.decoder_weight_bits} + {self.decoder_gap_bits} bits."
            )
        if self.max_burst_beats * self.bus_bytes > 4096:
            raise EgretError(
                f"max_burst_beats is {self.max_burst_beats}, but a burst may not exceed 4096 bytes, "
                f"{4096 // self.bus_bytes} beats of {self.bus_bytes} bytes."
            )

    @property
    def slots(self) -> int:
        """Lanes of all engines together."""
        return self.engines * self.lanes

    @property
    def most_decoder_rows(self) -> int:
        """Decoder rows per decoder lane, of all tiles, where their records are compact."""
        return 2 * self.decoder_depth + COMPACT_EXTRA_ROWS

    def compact(self, words: int) -> bool:
        """Return whether a decoder of so many words has compact records (docs/formats.md, section 4)."""
        return words > self.decoder_depth * self.decoder_slots

    @property
    def decoder_slots(self) -> int:
        """Decoder lanes of all engines together."""
        return self.engines * self.decoder_lanes


@dataclass(frozen=True)
class Memory:
    """A board's DDR as the kernel's ports see it."""

    latency_cycles: int
    """Fabric cycles from a read's address to its first data beat, unloaded."""

    peak_bytes_per_second: int
    """What the DDR's pins carry at most: rate times width."""

    efficiency: float
    """Share of the peak that reads of columns all over the memory get."""

    burst_beats: int
    """Longest burst a port takes."""

    reads_in_flight: int
    """Bursts a port accepts before the first of them is complete."""

    bytes: int
    """Contiguous memory that buffers can be allocated from."""

    @property
    def bandwidth_bytes_per_second(self) -> int:
        """What all ports together get of the peak."""
        return round(self.peak_bytes_per_second * self.efficiency)


@dataclass(frozen=True)
class Board:
    """A board: its part, the kernel's clock and build, and its memory."""

    name: str
    about: str
    part: str
    clock_source: str
    """PLL of the processing system that the fabric clock comes from, as Vivado calls it."""

    clock_source_mhz: float
    clock_mhz: float
    """The PLL's rate by an integer: the processing system has nothing else to make a clock with."""

    first_port: int
    """HP port of the processing system that engine 0 uses; the others take the next ones."""

    build: Build
    memory: Memory

    @property
    def bytes_per_cycle(self) -> float:
        """DDR bytes per fabric cycle, of all ports together."""
        return self.memory.bandwidth_bytes_per_second / (self.clock_mhz * 1_000_000)


def _board(name: str, profile: dict[str, Any]) -> Board:
    given = {**profile, "build": Build(**profile["build"]), "memory": Memory(**profile["memory"])}
    return Board(name=name, **given)


BOARDS: dict[str, Board] = {name: _board(name, profile) for name, profile in BOARD_PROFILES.items()}
"""The boards that Egret knows, by name."""
