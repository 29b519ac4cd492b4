"""`egret bench`: sweeps of networks over the kernel, printed, saved and drawn."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from egret.bench.plots import draw_plots
from egret.bench.points import AS_BOARD, FULL, Machine, Network, Point
from egret.bench.presets import NETWORKS, PRESETS, Sweep, find_network, make_point
from egret.bench.sweep import ResultFile, Task, run_tasks
from egret.bench.tables import report
from egret.commands.arguments import count
from egret.errors import EgretError
from egret.synthetic.fixed_activity import PRUNINGS

DEFAULT_PRESET = "quick"
_MODES = {"forced": (False,), "generating": (True,), "both": (False, True)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    presets = "; ".join(f"{name}: {preset.about}" for name, preset in PRESETS.items())
    parser.description = (
        "Measure networks of chosen weight sparsity and activity on the kernel: events, MACs, beats and "
        "cycles, where the cycles went, and the speed-up over the dense network. Every number is compared"
        " with the reference model."
    )
    parser.epilog = f"Presets. {presets}. The other options replace parts of the preset."
    parser.set_defaults(function=bench)
    add = parser.add_argument
    add("--preset", choices=list(PRESETS), default=DEFAULT_PRESET, help=f"default: {DEFAULT_PRESET}")
    networks = f"{', '.join(NETWORKS)}, or sizes: 3x500, 400-300"
    add("--network", metavar="N", nargs="+", help=f"networks: {networks} (with ten words)")
    add("--embedding", metavar="N", type=int, help="width of a word's vector, of all networks")
    add("--vocabulary", metavar="N", type=int, help="words of all networks")
    add(
        "--activity",
        metavar="A",
        nargs="+",
        type=_shares,
        help="shares that fire; A,B,C: of each layer",
    )
    add("--sparsity", metavar="S", nargs="+", type=float, help="shares of zero weights")
    add(
        "--decoder-sparsity",
        metavar="S",
        type=float,
        help="the decoder's, if not the layers'",
    )
    add("--pruning", choices=PRUNINGS, help=f"where the zeros are (default: {PRUNINGS[0]})")
    add("--mode", choices=list(_MODES), help="feed given tokens, each step's result, or both")
    add("--logits", action="store_true", help="have the kernel write all logits, and compare them")
    add("--board", help="see 'egret boards'")
    add("--bandwidth", metavar="B", help=f"bandwidth of the memory: {FULL}, {AS_BOARD}, or bytes per second")
    add("--latency", metavar="N", type=int, help="cycles from a read's address to its first data")
    add("--engines", metavar="N", type=int, help="engines of the kernel")
    add("--lanes", metavar="N", type=int, help="lanes of an engine")
    add("--build", metavar="NAME=N", nargs="+", type=_setting, default=[], help="other build parameters")
    add("--tokens", metavar="N", type=int, help="steps to count at each point, after the warm-up")
    add("--seed", type=count, help="seed of the random numbers")
    add("-o", "--output", metavar="FILE", type=Path, help="JSON to write (default: runs/bench/PRESET.json)")
    add("--resume", action="store_true", help="continue the file: measure only the points that it lacks")


def bench(arguments: argparse.Namespace) -> int:
    """Run the command; raise EgretError for wrong input and RunError for a board that fails."""
    tasks = make_tasks(arguments)
    file = ResultFile(arguments.output or Path("runs", "bench", f"{arguments.preset}.json"), arguments.preset)
    if arguments.resume:
        file.load()
    results = run_tasks(tasks, file)
    print(report(results))
    print(f"\nsaved: {file.path}")
    try:
        for path in draw_plots(results, file.path.with_suffix("")):
            print(f"drawn: {path}")
    except EgretError as error:
        print(f"egret: {error}", file=sys.stderr)
    return 0


def make_tasks(arguments: argparse.Namespace) -> list[Task]:
    """Return what the command line asks for, each point once; raise EgretError for what cannot be."""
    tasks = [task for sweep in PRESETS[arguments.preset].sweeps for task in _sweep_tasks(sweep, arguments)]
    for machine in {task.point.machine for task in tasks}:
        machine.profile()
    return list({task.point: task for task in tasks}.values())


def _sweep_tasks(sweep: Sweep, arguments: argparse.Namespace) -> list[Task]:
    """Return the sweep's tasks, with what the command line replaces; its own points keep their figures."""
    machine = _machine(sweep.machine, arguments)
    networks = [_network(find_network(name), arguments) for name in arguments.network or sweep.networks]
    activities: Sequence[tuple[float, ...]] = arguments.activity or [(share,) for share in sweep.activities]
    points = [
        _point(make_point(network, activity, sparsity, machine, generating), arguments)
        for generating in (_MODES[arguments.mode] if arguments.mode else sweep.modes)
        for network in networks
        for sparsity in arguments.sparsity or sweep.sparsities
        for activity in activities
    ]
    own = set(sweep.points())
    return [Task(point, sweep.utilisation if _bare(point) in own else None) for point in points]


def _bare(point: Point) -> Point:
    """Return the point without what does not change what it should reach."""
    return replace(point, tokens=0, seed=0)


def _network(network: Network, arguments: argparse.Namespace) -> Network:
    changes = {
        name: value
        for name, value in (("embedding", arguments.embedding), ("vocabulary", arguments.vocabulary))
        if value is not None
    }
    if any(value < 1 for value in changes.values()):
        raise EgretError("Embedding and vocabulary are at least 1.")
    return replace(network, **changes)


def _machine(machine: Machine, arguments: argparse.Namespace) -> Machine:
    build = dict(machine.build)
    build.update(arguments.build)
    named = {"engines": arguments.engines, "lanes": arguments.lanes}
    build.update({name: value for name, value in named.items() if value is not None})
    if arguments.board is not None and arguments.board != machine.board:
        machine = Machine(arguments.board, AS_BOARD)  # another board has another latency
    if arguments.bandwidth is not None:
        machine = replace(machine, bandwidth=arguments.bandwidth)
    if arguments.latency is not None:
        machine = replace(machine, latency_cycles=arguments.latency)
    return replace(machine, build=tuple(sorted(build.items())))


def _point(point: Point, arguments: argparse.Namespace) -> Point:
    given = {
        "decoder_sparsity": arguments.decoder_sparsity,
        "pruning": arguments.pruning,
        "tokens": arguments.tokens,
        "seed": arguments.seed,
    }
    if arguments.tokens is not None and arguments.tokens < 1:
        raise EgretError(f"At least one step is counted; {arguments.tokens} were asked for.")
    changes = {name: value for name, value in given.items() if value is not None}
    return replace(point, logits=arguments.logits, **changes)


def _shares(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _setting(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    return name.lower(), int(value)
