"""Measures points one after the other, and keeps what is done in a file from which a later run goes on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from egret.bench.measurement import Measurement, SpeedUp, speed_up
from egret.bench.points import Machine, Point
from egret.bench.runner import kernel_of, measure
from egret.errors import EgretError
from egret.files import write_atomically

FORMAT = "egret-bench-1"


@dataclass(frozen=True)
class Task:
    """A point, and the figure that it should reach."""

    point: Point
    utilisation: float | None = None


@dataclass(frozen=True)
class Result:
    """What came of a task."""

    task: Task
    measurement: Measurement
    dense: Measurement
    """Of the dense network on the same machine."""

    @property
    def speed_up(self) -> SpeedUp:
        """Against the dense network."""
        return speed_up(self.measurement, self.dense)


def tag_machines(results: Sequence[Result]) -> dict[Machine, str]:
    """Return a short name for each machine of the results: [1], [2], ..."""
    machines = dict.fromkeys(result.task.point.machine for result in results)
    return {machine: f"[{number}]" for number, machine in enumerate(machines, start=1)}


class ResultFile:
    """A JSON file of measurements, written anew, whole, after each."""

    def __init__(self, path: Path, preset: str) -> None:
        self.path, self.preset = path, preset
        self._entries: list[dict[str, Any]] = []

    def load(self) -> None:
        """Take over what an earlier run measured; nothing if there is no file.

        Raises EgretError where the file is not one of these.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise EgretError(f"{self.path} cannot be read: {error}.") from error
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise ValueError(content["format"])
            for entry in content["points"]:
                Measurement.from_json(entry["measured"])
                entry["point"]["network"]  # noqa: B018 - raises
            self._entries = list(content["points"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EgretError(
                f"{self.path} holds no results of this version of 'egret bench'; start without --resume."
            ) from error

    def find(self, point: Point, kernel: str) -> Measurement | None:
        """Return what was measured at a point on this very kernel, or None."""
        described = point.as_json()
        for entry in self._entries:
            if entry["point"] == described and entry["measured"]["kernel"] == kernel:
                return Measurement.from_json(entry["measured"])
        return None

    def add(self, point: Point, measurement: Measurement) -> None:
        """Keep a measurement; raises EgretError where the file cannot be written."""
        described = point.as_json()
        self._entries = [entry for entry in self._entries if entry["point"] != described]
        self._entries.append({"point": described, "measured": measurement.as_json()})
        self._write([])

    def finish(self, results: Sequence[Result]) -> None:
        """Write the measurements, and what follows from comparing them."""
        self._write([_compared(result) for result in results])

    def _write(self, results: list[dict[str, Any]]) -> None:
        content = {"format": FORMAT, "preset": self.preset, "points": self._entries, "results": results}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EgretError(f"{self.path.parent} cannot be made: {error.strerror or error}.") from error
        write_atomically(self.path, (json.dumps(content, indent=1) + "\n").encode("utf-8"))


def run_tasks(
    tasks: Sequence[Task], file: ResultFile, measure_: Callable[[Point], Measurement] = measure
) -> list[Result]:
    """Measure the tasks' points and their dense counterparts, except those that `file` already has.

    A progress bar on standard error counts the cycles that are simulated. Raises what measure() raises; what
    was measured before is in the file then.
    """
    points = list(dict.fromkeys(point for task in tasks for point in (task.point, task.point.dense())))
    kernels: dict[Machine, str] = {point.machine: "" for point in points}
    for machine in kernels:
        kernels[machine] = kernel_of(machine)
    done: dict[Point, Measurement] = {}
    total = sum(point.simulated_cycles() for point in points)
    with tqdm(total=total, unit=" cycles", unit_scale=True, disable=None, file=sys.stderr) as bar:
        for number, point in enumerate(points, start=1):
            bar.set_postfix_str(f"{number} of {len(points)}: {point.describe()}")
            found = file.find(point, kernels[point.machine])
            if found is None:
                found = measure_(point)
                file.add(point, found)
            done[point] = found
            bar.update(point.simulated_cycles())
    results = [Result(task, done[task.point], done[task.point.dense()]) for task in tasks]
    file.finish(results)
    return results


def _compared(result: Result) -> dict[str, Any]:
    factors, point = result.speed_up, result.task.point
    return {
        "network": point.network.name,
        "machine": point.machine.describe(),
        "mode": point.mode,
        "activity": list(point.activity),
        "sparsity": point.sparsity,
        "utilisation": result.measurement.utilisation,
        "utilisation_to_reach": result.task.utilisation,
        "speed_up_on_paper": factors.paper,
        "byte_reduction": factors.fetched,
        "speed_up_in_cycles": factors.cycles,
        "realised": factors.realised,
    }
