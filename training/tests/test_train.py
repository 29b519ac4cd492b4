"""Training end to end on a small text: it learns, resumes exactly, prunes, quantises and exports."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.installation import CHECKOUT
from egret_training import cli, train
from egret_training.model_file import load_model, saved_masks
from egret_training.recipe import Pruning, load_recipe
from training.tests.tiny_run import RECIPE, write_text


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with a recipe and a text."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "tiny.toml").write_text(RECIPE)
    return write_text(folder)


@pytest.fixture(scope="module")
def finished(workplace):
    """The whole recipe, through the command line."""
    assert (
        cli.main(
            [
                "train",
                str(workplace / "tiny.toml"),
                "--no-board",  # its decoder has 8 bits
                "--data",
                str(workplace),
                "--run",
                str(workplace / "run"),
                "--model",
                str(workplace / "tiny.npz"),
            ]
        )
        == 0
    )
    return workplace


def test_masks_that_were_saved_under_the_names_of_parameters_are_read():
    masks = {name: torch.ones(1) for name in ("layers.0.input_weights", "layers.11.recurrent_weights")}
    masks["own_decoder_weights"] = torch.zeros(1)
    assert set(saved_masks({"masks": masks})) == {
        "layer0.input_weights",
        "layer11.recurrent_weights",
        "decoder_weights",
    }


def test_training_learns_and_exports_a_lane_balanced_checkpoint(finished):
    rows = (finished / "run" / "log.csv").read_text().splitlines()
    valid = [float(row.split(",")[4]) for row in rows[1:]]
    assert len(valid) == 7 and valid[-1] < 12  # 31 words by chance; the text itself has about 3.5
    checkpoint = Checkpoint.load(finished / "tiny.npz")
    for name, matrix in checkpoint.matrices().items():
        gates = 1 if name == "decoder_weights" else 3
        kept = matrix.reshape(gates, -1, matrix.shape[1]) != 0
        counts = np.stack([kept[:, slot::2].sum(axis=(0, 1)) for slot in range(2)])
        # (A kept weight may be quantised to zero.)
        share = 0.5 if name == "decoder_weights" else 0.4
        assert counts.max() <= share * gates * kept.shape[1] / 2, name
        assert share - 0.1 < kept.mean() <= share, name


def test_evaluation_reports_equal_perplexities_and_records_them(finished, capsys):
    assert (
        cli.main(
            [
                "evaluate",
                str(finished / "tiny.npz"),
                "--data",
                str(finished),
                "--run",
                str(finished / "run"),
                "--record",
            ]
        )
        == 0
    )
    figures = json.loads(capsys.readouterr().out)
    assert Checkpoint.load(finished / "tiny.npz").metadata["figures"] == figures
    assert set(figures["perplexity_float"]) == {"dense", "pruned"}
    for split in ("valid", "test"):
        assert figures[split]["perplexity_reference"] == figures[split]["perplexity_brevitas"] < 12
        macs = figures[split]["macs_per_token"]
        assert macs["counted"] == pytest.approx(macs["sparse_theoretical"], rel=0.05)
        assert macs["dense"] == 3 * (30 * 50 + 20 * 50) + 31 * 20


def test_an_interrupted_run_continues_exactly(tmp_path, monkeypatch):
    (tmp_path / "tiny.toml").write_text(RECIPE)
    recipe, corpus = load_recipe(tmp_path / "tiny.toml"), cli._corpus(write_text(tmp_path, 60), None)
    whole = train.Trainer(recipe, corpus, tmp_path / "whole")
    whole.run()

    monkeypatch.setattr(train, "SAVE_SECONDS", 0.0)  # a save after every window
    save = train.Trainer._save
    saves: list[None] = []

    def interrupted(self, name, optimizer=None):
        save(self, name, optimizer)
        saves.append(None)
        if len(saves) in (17, 90, 118):
            raise KeyboardInterrupt

    monkeypatch.setattr(train.Trainer, "_save", interrupted)
    for _ in range(3):  # within the dense, the pruned and the quantised phase
        with pytest.raises(KeyboardInterrupt):
            train.Trainer(recipe, corpus, tmp_path / "parts").run()
    parts = train.Trainer(recipe, corpus, tmp_path / "parts")
    parts.run()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, parts.model.state_dict()[name]), name


def test_a_run_begins_with_what_another_has_saved(finished, workplace, tmp_path, capsys):
    dense, pruned = RECIPE.index("[[phases]]"), RECIPE.index('[[phases]]\nname = "pruned"')
    (tmp_path / "later.toml").write_text(RECIPE[:dense] + RECIPE[pruned:])
    arguments = ["--no-board", "--data", str(workplace), "--run", str(tmp_path / "run")]
    start = ["--start-from", str(workplace / "run" / "dense.pt")]
    assert cli.main(["train", str(tmp_path / "later.toml"), *arguments, *start]) == 0
    expected, found = (load_model(run / "quantized.pt")[0] for run in (workplace / "run", tmp_path / "run"))
    for name, value in expected.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name

    (tmp_path / "other.toml").write_text(RECIPE.replace("layers = [30, 20]", "layers = [31, 20]"))
    arguments[-1] = str(tmp_path / "other")
    assert cli.main(["train", str(tmp_path / "other.toml"), *arguments, *start]) == 2
    assert "dense.pt is of another network or corpus" in capsys.readouterr().err


def test_a_run_is_cut_to_its_minutes_and_taken_up_as_it_was_cut(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train.Trainer, "_seconds_per_epoch", lambda self, *_: 10.0)
    monkeypatch.setattr(train, "SAVE_SECONDS", 0.0)
    (tmp_path / "tiny.toml").write_text(RECIPE.replace("epochs = 4", "epochs = 40"))
    recipe, corpus = load_recipe(tmp_path / "tiny.toml"), cli._corpus(write_text(tmp_path, 60), None)
    # 44 epochs, the last of which counts double: the dense phase has 40 parts of 44 of the time.
    stopped = train.Trainer(recipe, corpus, tmp_path / "run", seconds=40.0)
    run_epoch = train.Trainer._run_epoch

    def interrupted(self, *arguments):
        if self.epoch == 1:
            raise KeyboardInterrupt
        run_epoch(self, *arguments)

    monkeypatch.setattr(train.Trainer, "_run_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    monkeypatch.setattr(train.Trainer, "_run_epoch", run_epoch)
    resumed = train.Trainer(recipe, corpus, tmp_path / "run", seconds=40.0)
    assert 0 < resumed.spent < 40
    resumed.run()
    rows = [line.split(",")[:2] for line in (tmp_path / "run" / "log.csv").read_text().splitlines()[1:]]
    assert rows == [["dense", "1"], ["dense", "2"], ["dense", "3"], ["pruned", "1"], ["quantized", "1"]]
    assert "dense: 3 of 40 epochs fit the time" in capsys.readouterr().out
    arguments = ["train", "--no-board", str(tmp_path / "tiny.toml"), "--data", str(tmp_path)]
    assert cli.main([*arguments, "--minutes", "0"]) == 2
    assert "must be positive" in capsys.readouterr().err
    assert cli.main([*arguments, "--evaluate"]) == 2
    assert "--evaluate needs --model" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change, message",
    [
        (('name = "tiny"', 'nam = "tiny"'), "unknown key 'nam'"),
        (("embedding = 20", "embedding = 21"), "tied decoder"),
        (("epochs = 1", 'epochs = "one"'), "must be of type int"),
        (("streams = 4", "streams = "), "not TOML"),
        (("untie = true", ""), "prunes a tied decoder"),
        (("decoder_sparsity = 0.5", "decoder_sparsity = -0.5"), r"\[0, 1\)"),
        (("sparsity = 0.6", "sparsity = 1.5"), r"\[0, 1\)"),
        (('name = "pruned"', 'name = "dense"'), "different names"),
        (("[model]", '[model]\ncell = "gru"'), "only the cell egru can be quantised"),
        (("[model]", '[model]\ncell = "elman"'), "cell must be"),
        (("gap_bits = 3", "gap_bits = 9"), "gap bits"),
        (("epochs = 4", "epochs = 4\ndecoder_weight_bits = 4"), "narrows a tied decoder"),
        (("activity_targets = [0.3, 0.2]", "activity_targets = [0.1]"), "a value for each layer"),
        (("softmax_tail = 12", ""), "both be given"),
        (("softmax_full_from = 0.85", "softmax_full_from = 1.5"), "softmax_full_from in"),
        (("anneal_from = 0.0", "anneal_from = -0.1"), "anneal_from"),
        (("quantized = true", "quantized = true\nanneal_from = 0.5"), "not in a quantised phase"),
        (("learning_rate = 5e-3", "learning_rate = 5e-3\nanneal_to = 0.5"), "must end where the next begins"),
        (("[model]", "[model]\nthreshold_beta = [1.0]"), "two positive"),
        (("[model]", "[model]\nsurrogate_height = 0.0"), "height be positive"),
        (("epochs = 4", "epochs = 4\nbetas = [0.9, 1.0]"), "two betas"),
        (("epochs = 4", 'epochs = 4\ndistill = { targets = "x", weight = 2.0 }'), "weight of distillation"),
        (("activity_from = 0.25", "activity_from = 0.8"), "activity_from <= activity_until"),
    ],
)
def test_wrong_recipes_are_refused_in_one_sentence(tmp_path, change, message):
    old, new = change
    (tmp_path / "wrong.toml").write_text(RECIPE.replace(old, new, 1))
    with pytest.raises(EgretError, match=message):
        load_recipe(tmp_path / "wrong.toml")


def test_a_recipe_states_what_differs_from_its_base(tmp_path):
    (tmp_path / "base.toml").write_text(RECIPE)
    (tmp_path / "own.toml").write_text(
        """base = "base.toml"
name = "own"
[model]
layers = [40, 20]
[[phases]]
name = "pruned"
epochs = 7
pruning = { sparsity = 0.9 }
"""
    )
    base, own = (load_recipe(tmp_path / f"{name}.toml") for name in ("base", "own"))
    assert own.name == "own" and own.streams == base.streams
    assert own.model == dataclasses.replace(base.model, layers=[40, 20])
    assert own.phases == [dataclasses.replace(base.phases[1], epochs=7, pruning=Pruning(0.9))]
    (tmp_path / "whole.toml").write_text('base = "base.toml"\nname = "whole"')
    assert load_recipe(tmp_path / "whole.toml") == dataclasses.replace(base, name="whole")
    for text, message in (
        ('base = "none.toml"', "none.toml cannot be read"),
        ('base = "wrong.toml"', "another recipe beside it"),
        ("base = 3", "another recipe beside it"),
    ):
        (tmp_path / "wrong.toml").write_text(text)
        with pytest.raises(EgretError, match=message):
            load_recipe(tmp_path / "wrong.toml")


def test_shipped_recipes_are_valid():
    recipes = sorted((CHECKOUT / "training").glob("recipes/*.toml"))
    assert recipes
    for path in recipes:
        assert load_recipe(path).phases


@pytest.mark.parametrize(
    "recipe, way",
    [
        ("ptb", "unstructured"),
        ("ptb", "lane-balanced"),
        ("ptb-lstm-small", "75"),
        ("ptb-lstm-small", "60"),
    ],
)
def test_ways_to_prune_are_compared_under_the_same_training(recipe, way):
    recipes = CHECKOUT / "training" / "recipes"
    base, other = (load_recipe(recipes / f"{name}.toml") for name in (recipe, f"{recipe}-{way}"))
    pruned = next(phase for phase in base.phases if phase.name == "pruned")
    assert other.phases == [dataclasses.replace(pruned, pruning=other.phases[0].pruning)]
    assert dataclasses.replace(base, name="", about="", phases=[]) == dataclasses.replace(
        other, name="", about="", phases=[]
    )


def test_the_command_line_says_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("EGRET_PTB", raising=False)
    (tmp_path / "tiny.toml").write_text(RECIPE)
    assert cli.main(["train", str(tmp_path / "tiny.toml"), "--run", str(tmp_path / "run")]) == 2
    assert "--data" in capsys.readouterr().err
    assert cli.main(["export", str(tmp_path / "none.pt"), str(tmp_path / "out.npz")]) == 2
    (tmp_path / "run").mkdir()
    (tmp_path / "broken.pt").write_bytes(b"no such thing")
    (tmp_path / "run" / "state.pt").write_bytes(b"no such thing")
    (tmp_path / "text.txt").write_text("a b c d e f\n" * 400)
    start = ["train", "--no-board", str(tmp_path / "tiny.toml"), "--data", str(tmp_path / "text.txt")]
    assert cli.main([*start, "--run", str(tmp_path / "run")]) == 2
    assert "state.pt is not a saved run" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert cli.main([*start, "--run", str(tmp_path / "file" / "run")]) == 2
    assert "cannot be made" in capsys.readouterr().err
    assert cli.main(["export", str(tmp_path / "broken.pt"), str(tmp_path / "out.npz")]) == 2
    assert "not a saved run" in capsys.readouterr().err
