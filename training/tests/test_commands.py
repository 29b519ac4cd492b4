"""The commands beside training: the benchmark and the plot."""

from __future__ import annotations

import pytest

from egret_training import benchmark, cli
from egret_training.run_folder import RunFolder


def test_the_benchmark_times_every_contender(monkeypatch, capsys):
    monkeypatch.setitem(
        benchmark.SIZES, "small", benchmark.Size(8, (12, 8), streams=2, window=3, vocabulary=4000)
    )
    assert cli.main(["benchmark", "--updates", "2"]) == 0
    printed = capsys.readouterr().out
    for contender in benchmark.CONTENDERS:
        assert contender.name in printed
    speeds = {"torch.nn.GRU, float32": 100.0, "EGRU, bfloat16": 250.0}
    assert benchmark.table(speeds).splitlines()[-1].split()[-2:] == ["250", "2.50"]
    assert cli.main(["benchmark", "--updates", "0"]) == 1


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
    assert cli.main(["plot", str(folder.path)]) == 1
    assert "log.csv cannot be read" in capsys.readouterr().err
    for epoch in range(3):
        folder.log(**row("dense" if epoch < 2 else "pruned", epoch + 1, 60 * epoch))
    assert cli.main(["plot", str(folder.path)]) == 0
    assert (folder.path / "log.png").read_bytes().startswith(b"\x89PNG")
    assert cli.main(["plot", str(folder.path), "-o", str(tmp_path / "run.unknown")]) == 1
    assert "cannot be written" in capsys.readouterr().err
