"""The benchmark's arithmetic, files and command line, without a kernel; with one: test_bench_on_board.py."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret.bench import sweep as sweep_module
from egret.bench.measurement import BEATS, CATEGORIES, LOST, BeatBits, Measurement, speed_up, where_cycles_go
from egret.bench.points import AS_BOARD, Machine, Point, format_shares
from egret.bench.presets import NETWORKS, PRESETS, REALISED, TWO_ENGINES, find_network, make_point
from egret.bench.sweep import Result, ResultFile, Task, run_tasks
from egret.bench.tables import report
from egret.cli import main
from egret.commands import bench as command
from egret.errors import EgretError
from egret.installation import how_to_install
from egret.profiles import BOARDS

POINT = make_point(NETWORKS["2x64"], (0.1,), 0.85, TWO_ENGINES, False)


def measured(cycles: int = 1000, beats: tuple[int, ...] = (700, 600), **changes: object) -> Measurement:
    """A measurement of 10 steps of which everything follows from a few numbers."""
    values: dict[str, object] = {
        "kernel": "k",
        "steps": 10,
        "checked_steps": 12,
        "events": (60, 60),
        "macs": 4000,
        "cycles": cycles,
        "beats": beats,
        "wait_cycles": (150, 200),
        "update_cycles": 90,
        "write_cycles": 30,
        "busiest": 0,
        "bits": BeatBits(weights=700 * 40, escapes=700 * 8, padding=700 * 8, unused=700 * 4, table=700 * 4),
        "roofline_cycles": 740.0,
        "bus_bytes": 8,
        "clock_mhz": 125,
        "dense_macs": 80_000,
        "sparse_macs": 6000.0,
        "folded_macs": 1000.0,
        "dense_machine_cycles": 5000.0,
    }
    return Measurement(**{**values, **changes})  # type: ignore[arg-type]


def test_every_cycle_goes_somewhere() -> None:
    parts = where_cycles_go(measured())
    assert list(parts) == list(CATEGORIES)
    beats = {"weights": 437.5, "escapes": 87.5, "padding": 87.5, "unused": 43.75, "table": 43.75}
    lost = {"bandwidth": 40, "latency": 110, "write": 30, "update": 60, "control": 60}
    assert parts == pytest.approx({**beats, **lost})


@given(
    beats=st.integers(1, 1000),
    waited=st.integers(0, 500),
    idle=st.integers(0, 500),
    update=st.integers(0, 700),
    write=st.integers(0, 700),
    slower=st.floats(1.0, 2.0),
    bits=st.lists(st.integers(0, 5000), min_size=5, max_size=5).filter(any),
)
def test_the_parts_add_up_to_the_cycles_and_the_lost_ones_to_what_is_beyond_the_roofline(
    beats: int, waited: int, idle: int, update: int, write: int, slower: float, bits: list[int]
) -> None:
    cycles = beats + waited + idle
    measurement = measured(
        cycles,
        (beats // 2, beats),
        wait_cycles=(0, waited),
        busiest=1,
        update_cycles=update,
        write_cycles=write,
        bits=BeatBits(*bits),
        roofline_cycles=min(beats * slower, float(beats + waited)),
    )
    parts = where_cycles_go(measurement)
    assert min(parts.values()) >= 0
    assert sum(parts.values()) == pytest.approx(cycles)
    assert sum(parts[name] for name in BEATS) == pytest.approx(beats)
    assert sum(parts[name] for name in LOST) == pytest.approx(cycles - measurement.roofline_cycles)


def test_counters_a_few_cycles_off_make_no_part_negative() -> None:
    parts = where_cycles_go(measured(699, (700, 600), wait_cycles=(-7, 0), update_cycles=-3, write_cycles=-1))
    assert min(parts.values()) == 0
    assert sum(parts.values()) == pytest.approx(699)


def test_the_speed_up_is_that_of_a_step() -> None:
    dense = measured(50_000, (16_000, 10_000), steps=5, macs=100_000)
    factors = speed_up(measured(1000, (700, 600)), dense)
    assert factors.paper == pytest.approx((100_000 / 5) / (5000 / 10))
    assert factors.fetched == pytest.approx((26_000 / 5) / (1300 / 10))
    assert factors.cycles == pytest.approx((50_000 / 5) / (1000 / 10))
    assert factors.realised == pytest.approx(factors.cycles / factors.fetched)


def test_a_measurement_survives_the_file() -> None:
    assert Measurement.from_json(json.loads(json.dumps(measured().as_json()))) == measured()


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_ask_for_what_a_board_can_run_in_minutes(preset: str) -> None:
    points = [point for sweep in PRESETS[preset].sweeps for point in sweep.points()]
    assert len(points) == len(set(points))
    everything = {point for own in points for point in (own, own.dense())}
    assert sum(point.simulated_cycles() for point in everything) < 200e6
    if preset == "quick":
        assert sum(point.simulated_cycles() for point in everything) < 5e6
    for point in everything:
        build = point.machine.profile().build
        positions = [-(-neurons // build.slots) * build.lanes for neurons in point.network.layers]
        assert sum(positions) <= build.neuron_depth
        assert 2 <= point.steps() <= 64


def test_a_machine_is_a_board_with_changes() -> None:
    board = Machine("virtual:pynq-z2", latency_cycles=7, build=(("engines", 1), ("lanes", 4))).profile()
    assert (board.build.engines, board.build.lanes, board.memory.latency_cycles) == (1, 4, 7)
    assert board.bytes_per_cycle == 16  # a beat of 8 bytes both ways
    assert Machine("virtual:pynq-z2", AS_BOARD).profile() == BOARDS["pynq-z2"]
    assert Machine("virtual:pynq-z2", "250000000").profile().bytes_per_cycle == 2


def test_networks_have_names_or_sizes() -> None:
    assert find_network("paper").layers == (1350, 1350, 750)
    assert find_network("3x500").layers == (500, 500, 500)
    assert find_network("400-300").layers == (400, 300)
    with pytest.raises(EgretError, match="no network"):
        find_network("0x5")


def test_shares_are_written_once_if_all_are_the_same() -> None:
    assert format_shares((0.1, 0.1)) == "10 %"
    assert format_shares((0.1, 0.025, 0.1)) == "10/2.5/10 %"


# -- the file


class Kernel:
    """Stands for measure() and the identity of a kernel: counts what it is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, identity: str = "k") -> None:
        self.identity, self.fail_at = identity, 0
        self.asked: list[Point] = []
        monkeypatch.setattr(sweep_module, "kernel_of", lambda machine: self.identity)

    def measure(self, point: Point) -> Measurement:
        if len(self.asked) + 1 == self.fail_at:
            raise KeyboardInterrupt
        self.asked.append(point)
        cycles = round(point.expected_cycles() * 10)
        return measured(cycles, (cycles * 3 // 4, cycles // 2), kernel=self.identity, steps=point.steps())


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def tasks_of(preset: str) -> list[Task]:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.make_tasks(parser.parse_args(["--preset", preset]))


def test_an_interrupted_sweep_goes_on_where_it_was(kernel: Kernel, tmp_path: Path) -> None:
    tasks, path = tasks_of("quick"), tmp_path / "new" / "results.json"
    kernel.fail_at = 4
    with pytest.raises(KeyboardInterrupt):
        run_tasks(tasks, ResultFile(path, "quick"), kernel.measure)
    first, kernel.asked, kernel.fail_at = kernel.asked, [], 0
    assert len(json.loads(path.read_text())["points"]) == len(first) == 3
    file = ResultFile(path, "quick")
    file.load()
    results = run_tasks(tasks, file, kernel.measure)
    everything = {point for task in tasks for point in (task.point, task.point.dense())}
    assert set(first) | set(kernel.asked) == everything
    assert len(first) + len(kernel.asked) == len(everything)
    fresh = run_tasks(tasks, ResultFile(tmp_path / "fresh.json", "quick"), kernel.measure)
    assert results == fresh
    assert [path.name for path in path.parent.iterdir()] == ["results.json"]


def test_what_another_kernel_or_other_settings_gave_is_measured_anew(kernel: Kernel, tmp_path: Path) -> None:
    tasks, path = tasks_of("quick"), tmp_path / "results.json"
    run_tasks(tasks, ResultFile(path, "quick"), kernel.measure)
    for changed, identity in ((tasks, "another"), ([replace(tasks[0], point=replace(POINT, seed=1))], "k")):
        file = ResultFile(path, "quick")
        file.load()
        kernel.identity, kernel.asked = identity, []
        run_tasks(changed, file, kernel.measure)
        assert {task.point for task in changed} <= set(kernel.asked)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "egret-bench-1", "points": [{}]}'])
def test_a_file_that_is_no_result_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(EgretError, match="start without --resume"):
        ResultFile(path, "quick").load()
    assert path.read_text() == text


# -- what is said


def result(wanted: float | None, measurement: Measurement, point: Point = POINT) -> Result:
    dense = measured(50_000, (35_000, 30_000), macs=400_000)
    return Result(Task(point, wanted), measurement, dense)


def test_figures_to_reach_are_met_or_not() -> None:
    text = report([result(0.73, measured()), result(0.75, measured()), result(None, measured())])
    lines = text[text.index("to reach") :].splitlines()
    assert ">= 73.0%  74.0%      met" in lines[1] and "NOT MET" not in lines[1]
    assert ">= 75.0%  74.0%  NOT MET" in lines[2]
    assert f">= {REALISED}  1.000" in lines[2]
    assert lines[3] == ""


def test_the_peer_stands_beside_its_sizes_alone() -> None:
    assert "EdgeDRNN" in report([result(None, measured())])
    other = make_point(NETWORKS["2x1350"], (0.1,), 0.85, TWO_ENGINES, False)
    busy = replace(POINT, activity=(0.2, 0.2))
    assert "EdgeDRNN" not in report([result(None, measured(), other), result(None, measured(), busy)])


@pytest.fixture
def drawing_bench(kernel: Kernel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """The command line with the counting kernel, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "run_tasks", lambda tasks, file: run_tasks(tasks, file, kernel.measure))
    return lambda *arguments: main(["bench", *arguments])


@pytest.fixture
def bench(drawing_bench: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The same without pictures: they take seconds."""
    monkeypatch.setattr(command, "draw_plots", lambda results, stem: [])
    return drawing_bench


def test_options_replace_parts_of_a_preset(bench: Callable[..., int], kernel: Kernel) -> None:
    options = "--network 3x20 --activity 1,0.5,0.25 0.1 --sparsity 0.5 --mode both --engines 1 --latency 9"
    more = "--bandwidth board --tokens 5 --vocabulary 33 --decoder-sparsity 0.25 --logits --build gap_bits=3"
    assert bench("--preset", "targets", *options.split(), *more.split()) == 0
    points = [point for point in kernel.asked if point.sparsity]
    assert {point.activity for point in points} == {(1.0, 0.5, 0.25), (0.1, 0.1, 0.1)}
    assert {point.generating for point in points} == {True, False}
    for point in points:
        assert point.network.layers == (20, 20, 20) and point.network.vocabulary == 33
        assert (point.steps(), point.decoder_sparsity, point.logits) == (5, 0.25, True)
        board = point.machine.profile()
        assert (board.build.engines, board.build.gap_bits, board.memory.latency_cycles) == (1, 3, 9)
        assert board.memory.bandwidth_bytes_per_second == 2_100_000_000 * 0.92
    assert len(kernel.asked) == 4 + 2  # each mode has a dense network


def test_a_preset_keeps_its_figures_only_as_it_is(
    bench: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--preset", "targets", "--tokens", "3") == 0
    assert capsys.readouterr().out.count(">= 98.0%") == 2
    assert bench("--preset", "targets", "--sparsity", "0.5") == 0
    assert "to reach" not in capsys.readouterr().out


def test_everything_is_drawn(drawing_bench: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib draws the pictures")
    assert drawing_bench("--preset", "activity", "-o", "some/where.json") == 0
    assert "drawn: some/where-utilisation.png" in capsys.readouterr().out
    for name in ("utilisation", "speedup", "cycles"):
        assert Path(f"some/where-{name}.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_all_but_the_pictures_is_there(
    drawing_bench: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert drawing_bench() == 0
    captured = capsys.readouterr()
    assert f"egret: matplotlib is missing, so nothing is drawn; {how_to_install('plots')}\n" in captured.err
    assert "saved: runs/bench/quick.json" in captured.out
    content = json.loads(Path("runs/bench/quick.json").read_text())
    assert [entry["network"] for entry in content["results"]] == ["2x64"] * 4
    assert not list(Path("runs/bench").glob("*.png"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--network", "none"], "no network"),
        (["--activity", "1.5"], "between 0 and 1"),
        (["--activity", "0.1,0.2,0.3"], "2 layers, but 3 activities"),
        (["--sparsity", "-1"], "between 0 and 1"),
        (["--board", "virtual:csim"], "no clock"),
        (["--board", "kite"], "no board kite"),
        (["--engines", "99"], "engines is 99"),
        (["--lanes", "0"], "lanes is 0"),
        (["--build", "wings=2"], "no build parameter wings"),
        (["--bandwidth", "some"], "bytes per second"),
        (["--tokens", "0"], "At least one step"),
        (["--vocabulary", "0"], "at least 1"),
        (["--resume", "-o", "broken"], "start without --resume"),
        (["-o", "broken/results.json"], "cannot be"),
    ],
)
def test_wrong_input_ends_with_2_and_a_sentence(
    bench: Callable[..., int], capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    Path("broken").write_text("{", encoding="utf-8")
    assert bench(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    last = captured.err.splitlines()[-1]
    assert last.startswith("egret: ") and said in last


@pytest.mark.parametrize("arguments", [["--preset", "slow"], ["--activity", "much"], ["--build", "lanes"]])
def test_wrong_usage_ends_with_2(
    bench: Callable[..., int], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert bench(*arguments) == 2
    assert "usage: egret bench" in capsys.readouterr().err


def test_points_differ_in_the_file_wherever_they_differ() -> None:
    described = json.dumps(POINT.as_json())
    for name, value in asdict(POINT).items():
        if isinstance(value, (int, float)):
            other: dict[str, Any] = {name: not value if isinstance(value, bool) else value + 1}
            assert json.dumps(replace(POINT, **other).as_json()) != described
