"""Where the cycles of an engine went, by the counters alone."""

from __future__ import annotations


def split_cycles(
    *, cycles: int, beats: int, waited: int, roofline: float, update: int, write: int
) -> dict[str, float]:
    """Split `cycles` into what the busiest engine did in them; the parts are not negative and add up.

    cycles: of the run. beats, waited: the engine's, as counted. roofline: cycles of the run's beats at the
    best of ports and DDR. update, write: the kernel's update_cycles and write_cycles (docs/formats.md,
    section 5). The parts:

    - beats: a beat of a column or a table row came.
    - bandwidth: waited, as far as the roofline explains it: the DDR gives less than the ports can take.
    - latency: waited for data beyond that.
    - write: no read outstanding, a decoder sweep waiting for room to write logits.
    - update: no read outstanding, an update or a sweep running.
    - control: what no counter explains: the start and end of commands, waiting for another engine.
    """
    # Counters that are differences of two runs can be a few cycles too large, or below 0.
    arrived = min(beats, cycles)
    waiting = min(max(waited, 0), cycles - arrived)
    bandwidth = min(max(roofline - arrived, 0.0), float(waiting))
    idle = cycles - arrived - waiting
    unhidden = min(max(update, 0), idle)
    writing = min(max(write, 0), unhidden)  # a sweep that waits for room to write is a sweep that runs
    return {
        "beats": float(arrived),
        "bandwidth": bandwidth,
        "latency": waiting - bandwidth,
        "write": float(writing),
        "update": float(unhidden - writing),
        "control": float(idle - unhidden),
    }
