"""What was measured at a point, and what follows from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from egret.account.cycles import split_cycles


@dataclass(frozen=True)
class BeatBits:
    """What the bits of the beats are for."""

    weights: int
    """Entries with a non-zero weight."""
    escapes: int
    """Entries that only step over a gap longer than an entry spans."""
    padding: int
    """Entries of lanes that are done before the longest."""
    unused: int
    """Above the last entry of a beat."""
    table: int
    """Rows of the token table."""


@dataclass(frozen=True)
class Measurement:
    """Counts of the steps after the warm-up."""

    kernel: str
    """Identifies the simulated kernel: its sources, build parameters and tools; "" for a real board."""
    steps: int
    checked_steps: int
    """Steps compared with the reference model, those of the warm-up among them."""
    events: tuple[int, ...]
    """Of each layer."""
    macs: int
    cycles: int
    beats: tuple[int, ...]
    """Of each engine: columns and table rows."""
    wait_cycles: tuple[int, ...]
    """Of each engine: a read outstanding, no beat arriving."""
    update_cycles: int
    """Neuron update or decoder sweep with no read outstanding on any engine."""
    write_cycles: int
    """Decoder sweep waiting for room to write logits."""
    busiest: int
    """The engine with the most beats."""
    bits: BeatBits
    """Of the busiest engine's beats."""
    roofline_cycles: float
    bus_bytes: int
    clock_mhz: float
    dense_macs: int
    """Every weight of every matrix, the first layer's input product counted."""
    sparse_macs: float
    """Theoretical: non-zero weights times activity, the first layer's input product counted."""
    folded_macs: float
    """That product's part of the theoretical sparse MACs: the kernel fetches a table row instead."""
    dense_machine_cycles: float
    """Of an ideal dense machine on the same ports and memory (egret.account.account)."""

    @property
    def utilisation(self) -> float:
        """roofline_cycles / cycles."""
        return self.roofline_cycles / self.cycles

    @property
    def bytes(self) -> int:
        """Read for columns and table rows, all engines."""
        return sum(self.beats) * self.bus_bytes

    @property
    def paper_macs(self) -> float:
        """Theoretical sparse MACs that are the kernel's to do."""
        return self.sparse_macs - self.folded_macs

    def as_json(self) -> dict[str, Any]:
        """Return the counts, and under "figures" what follows from them."""
        values = asdict(self)
        values["figures"] = {
            "utilisation": self.utilisation,
            "bytes_per_step": self.bytes / self.steps,
            "cycles_per_step": self.cycles / self.steps,
            "steps_per_second": self.clock_mhz * 1e6 * self.steps / self.cycles,
            "where_cycles_go": {name: part / self.steps for name, part in where_cycles_go(self).items()},
        }
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Measurement:
        """Undo as_json(); raises KeyError or TypeError where something is missing or is no such thing."""
        given = {item.name: values[item.name] for item in fields(cls)}
        for name, value in given.items():
            if isinstance(value, list):
                given[name] = tuple(int(number) for number in value)
        given["bits"] = BeatBits(**given["bits"])
        return cls(**given)


CATEGORIES: dict[str, tuple[str, str]] = {
    "weights": ("non-zero weights", "#1b7837"),
    "table": ("token table rows", "#7fbf7b"),
    "unused": ("unused bits of beats", "#d9f0d3"),
    "escapes": ("steps over long gaps", "#e7d4e8"),
    "padding": ("lanes done early, zeros", "#af8dc3"),
    "bandwidth": ("DDR slower than ports", "#999999"),
    "latency": ("waiting for data", "#d73027"),
    "update": ("update not hidden", "#fc8d59"),
    "write": ("writing logits", "#fee090"),
    "control": ("control, other engine", "#4575b4"),
}
"""Where a cycle of the busiest engine can go: what it is called, and its colour. The first five are beats."""

BEATS = ("weights", "table", "unused", "escapes", "padding")
LOST = ("latency", "update", "write", "control")
"""Beyond the roofline."""


def where_cycles_go(measurement: Measurement) -> dict[str, float]:
    """Return the cycles of each of CATEGORIES; they add up to the cycles of the measurement.

    It is the account of the busiest engine (egret.account.cycles), beats split by what their bits are for.
    """
    engine = measurement.busiest
    parts = split_cycles(
        cycles=measurement.cycles,
        beats=measurement.beats[engine],
        waited=measurement.wait_cycles[engine],
        roofline=measurement.roofline_cycles,
        update=measurement.update_cycles,
        write=measurement.write_cycles,
    )
    beats = parts.pop("beats")
    bits = asdict(measurement.bits)
    per_bit = beats / max(sum(bits.values()), 1)
    result = {**{name: bits[name] * per_bit for name in BEATS}, **parts}
    return {name: result[name] for name in CATEGORIES}


@dataclass(frozen=True)
class SpeedUp:
    """A point against the dense network on the same machine; factors, of a step."""

    paper: float
    """MACs of the dense network / theoretical sparse MACs: what both sparsities promise together."""
    fetched: float
    """Bytes read."""
    cycles: float

    @property
    def realised(self) -> float:
        """Part of the byte reduction that arrives in the cycles."""
        return self.cycles / self.fetched


def speed_up(point: Measurement, dense: Measurement) -> SpeedUp:
    """Hold a measurement against that of the dense network."""

    def ratio(of_dense: float, of_point: float) -> float:
        return (of_dense / dense.steps) / (of_point / point.steps) if of_point else float("inf")

    return SpeedUp(
        paper=ratio(dense.macs, point.paper_macs),
        fetched=ratio(dense.bytes, point.bytes),
        cycles=ratio(dense.cycles, point.cycles),
    )
