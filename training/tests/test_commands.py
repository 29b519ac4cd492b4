"""The commands beside training: the benchmark and the plot."""

from __future__ import annotations

import pytest
import torch

from egret_training import benchmark, cli
from egret_training.pruning_cost import ways
from egret_training.run_folder import RunFolder

RECIPE = """
name = "tiny"
streams = 4
window = 20
evaluation_streams = 2
[model]
embedding = 24
layers = [40, 24]
tied = true
[[phases]]
name = "dense"
epochs = 1
learning_rate = 1e-2
"""


def test_the_benchmark_times_every_contender(monkeypatch, capsys):
    monkeypatch.setitem(
        benchmark.SIZES, "small", benchmark.Size(8, (12, 8), streams=2, window=3, vocabulary=4000)
    )
    assert cli.main(["benchmark", "--updates", "2"]) == 0
    printed = capsys.readouterr().out
    for contender in benchmark.CONTENDERS:
        assert contender.name in printed
    speeds = {"torch.nn.GRU, float32": 100.0, "EGRU, bfloat16": 250.0}
    assert benchmark.table(speeds).splitlines()[-1].split()[-2:] == ["3718.4", "2.50"]
    assert cli.main(["benchmark", "--updates", "0"]) == 2


def row(phase, epoch, seconds):
    return {
        "phase": phase,
        "epoch": epoch,
        "learning_rate": "0.001",
        "train_perplexity": "120.5",
        "valid_perplexity": "130.25",
        "sparsity": "0.5",
        "activity": "0.1/0.2",
        "seconds": seconds,
    }


def test_a_run_is_drawn(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    folder = RunFolder(tmp_path / "run")
    assert cli.main(["plot", str(folder.path)]) == 2
    assert "log.csv cannot be read" in capsys.readouterr().err
    for epoch in range(3):
        folder.log(**row("dense" if epoch < 2 else "pruned", epoch + 1, 60 * epoch))
    assert cli.main(["plot", str(folder.path)]) == 0
    assert (folder.path / "log.png").read_bytes().startswith(b"\x89PNG")
    assert cli.main(["plot", str(folder.path), "-o", str(tmp_path / "run.unknown")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_price_of_constraints_is_a_row_for_each_way(tmp_path, capsys):
    words = torch.randint(40, (6000,), generator=torch.Generator().manual_seed(1)).tolist()
    lines = [" ".join(f"w{word}" for word in words[i : i + 10]) for i in range(0, 6000, 10)]
    (tmp_path / "text.txt").write_text("\n".join(lines))
    (tmp_path / "dense.toml").write_text(RECIPE)
    run = tmp_path / "run"
    data = ["--data", str(tmp_path / "text.txt")]
    assert cli.main(["train", str(tmp_path / "dense.toml"), *data, "--run", str(run)]) == 0
    printed = capsys.readouterr()
    assert f"trained:    {run / 'dense.pt'};" in printed.out and f" export {run / 'dense.pt'} " in printed.out
    assert "it/s" not in printed.err  # no bar where nobody watches
    cost = ["pruning-cost", str(run / "dense.pt"), *data]
    assert cli.main([*cost, "--lanes", "1", "--decoder-lanes", "2"]) == 0
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0].strip() for row in rows] == list(ways(0.85, 1, 2))
    without_weight = {row[0].strip(): float(row[3].strip(" %")) for row in rows}
    for after in ("", ", at a stroke"):
        assert without_weight[f"gap-aware{after}"] == 0 < without_weight[f"unstructured{after}"]
    magnitudes = {row[0].strip(): float(row[2].strip(" %")) for row in rows}
    assert magnitudes["unstructured"] > magnitudes["gap-aware"] > magnitudes["gap-aware, at a stroke"]
    assert cli.main([*cost, "--lanes", "6"]) == 2
    assert "do not fit a beat" in capsys.readouterr().err
