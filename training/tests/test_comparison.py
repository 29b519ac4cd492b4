"""Runs of different cells side by side: each figure against one worked out another way."""

from __future__ import annotations

import json

import pytest
import torch

from egret_training import cli
from egret_training.comparison import compare, phases_of, table
from egret_training.data import load_corpus
from egret_training.evaluation import perplexity, renumber
from egret_training.model_file import load_model

RECIPE = """
name = "tiny-{cell}"
streams = 4
window = 10

[model]
embedding = 10
layers = [20, 15]
tied = false
cell = "{cell}"

[[phases]]
name = "dense"
epochs = 1
learning_rate = 1e-2

[[phases]]
name = "pruned"
epochs = 1
learning_rate = 1e-3

[phases.pruning]
sparsity = 0.8
at_a_stroke = true
slots = 5
gap_bits = 4
"""
QUANTIZED = """
[[phases]]
name = "quantized"
epochs = 1
learning_rate = 1e-4
quantized = true
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    words = torch.randint(40, (4000,), generator=torch.Generator().manual_seed(2)).tolist()
    lines = [" ".join(f"w{word}" for word in words[i : i + 10]) for i in range(0, 4000, 10)]
    (folder / "text.txt").write_text("\n".join(lines))
    for cell in ("egru", "lstm"):
        recipe = RECIPE.format(cell=cell) + (QUANTIZED if cell == "egru" else "")
        (folder / f"{cell}.toml").write_text(recipe)
        arguments = [str(folder / f"{cell}.toml"), "--data", str(folder / "text.txt")]
        assert cli.main(["train", "--no-board", *arguments, "--run", str(folder / cell)]) == 0
    return folder


@pytest.mark.parametrize("cell, gates", [("egru", 3), ("lstm", 4)])
@pytest.mark.parametrize("phase", ["dense", "pruned"])
def test_figures_of_a_phase(runs, cell, gates, phase):
    corpus = load_corpus(runs / "text.txt", None)
    row = compare(runs / cell, phase, corpus, ["test"])
    model, saved = load_model(runs / cell / f"{phase}.pt")
    tokens = renumber(corpus, saved["vocabulary"], "test")
    assert row.perplexity["test"] == pytest.approx(
        perplexity(model, tokens[:, None], torch.float32), rel=1e-5
    )
    words = len(saved["vocabulary"])
    layers = gates * (20 * (10 + 20) + 15 * (20 + 15))
    assert row.macs["paper"]["dense"] == layers
    assert row.macs["egret"]["dense"] == layers - gates * 20 * 10 + 15 * words
    kept = 0
    for layer in model.stack:
        kept += int((layer.input_weights != 0).sum() + (layer.recurrent_weights != 0).sum())
    assert row.macs["paper"]["weight_sparse"] == kept
    if phase == "dense":
        assert row.sparsity == 0 and kept == layers
    else:
        assert 0.78 < row.sparsity < 0.9
    if cell == "lstm":
        # No output of an LSTM is zero, so each column but the last step's recurrent ones is wanted.
        assert row.activity == [1.0, 1.0]
        assert row.macs["paper"]["both_sparse"] == pytest.approx(kept, rel=0.02)
    else:
        assert all(0 < share < 1 for share in row.activity)
        assert row.macs["paper"]["both_sparse"] < kept


def test_pruning_saves_bytes(runs):
    corpus = load_corpus(runs / "text.txt", None)
    dense, pruned = (compare(runs / "lstm", phase, corpus, ["test"]) for phase in ("dense", "pruned"))
    assert 0 < pruned.bytes_per_token < 0.5 * dense.bytes_per_token


def test_a_quantized_phase_is_measured_as_the_checkpoint_it_exports(runs, capsys):
    exported = runs / "egru.npz"
    assert cli.main(["export", str(runs / "egru" / "quantized.pt"), str(exported)]) == 0
    capsys.readouterr()
    arguments = ["--data", str(runs / "text.txt"), "--splits", "test"]
    assert cli.main(["evaluate", str(exported), *arguments]) == 0
    figures = json.loads(capsys.readouterr().out)
    corpus = load_corpus(runs / "text.txt", None)
    row = compare(runs / "egru", "quantized", corpus, ["test"])
    assert row.perplexity["test"] == figures["test"]["perplexity_reference"]
    assert row.macs == figures["test"]["macs_by_count"]
    assert row.sparsity == pytest.approx(figures["weights"]["sparsity"], abs=1e-4)
    pruned = compare(runs / "egru", "pruned", corpus, ["test"])
    assert row.sparsity >= pruned.sparsity and row.bytes_per_token != pruned.bytes_per_token


def test_the_command_prints_a_row_for_each_phase(runs, capsys):
    arguments = ["--data", str(runs / "text.txt"), "--splits", "test"]
    assert cli.main(["compare", str(runs / "egru"), str(runs / "lstm"), *arguments]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == [
        "egru, dense",
        "egru, pruned",
        "egru, quantized",
        "lstm, dense",
        "lstm, pruned",
    ]
    assert len({row.count("|") for row in rows}) == 1
    assert cli.main(["compare", str(runs), *arguments]) == 2
    assert "no dense.pt, pruned.pt, quantized.pt" in capsys.readouterr().err
    assert phases_of(runs / "egru") == ["dense", "pruned", "quantized"]
    assert table([compare(runs / "egru", "dense", load_corpus(runs / "text.txt", None), ["test"])])
