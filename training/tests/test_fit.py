"""What no board will run is said before the first step, with what would fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from egret.errors import EgretError
from egret.installation import CHECKOUT
from egret.profiles import BOARDS
from egret_training import cli, fit
from egret_training.model import EgruLanguageModel, Shape
from egret_training.recipe import ModelRecipe, Phase, Pruning, Recipe, load_recipe

RECIPES = sorted((CHECKOUT / "training" / "recipes").glob("*.toml"))
TOO_LARGE = {"wikitext2-paper"}
"""The published vocabulary, of which no board takes all words."""
WORDS_OF = {"ptb": 10_000, "wikitext2": 33_278, "own": 8_000}


def words(count: int) -> list[str]:
    return [f"word{index}" for index in range(count)]


def recipe(layers: list[int], **changes: Any) -> Recipe:
    last = Phase("quantized", 1, 1e-3, quantized=True, decoder_weight_bits=4, pruning=Pruning(0.85))
    return Recipe("wide", ModelRecipe(64, layers), [replace(last, **changes)])


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_board_runs_what_the_shipped_recipes_train(path: Path) -> None:
    shipped = load_recipe(path)
    everything = words(WORDS_OF[path.stem.partition("-")[0]])
    if path.stem in TOO_LARGE:
        with pytest.raises(EgretError, match="33,278 words"):
            fit.check_recipe(shipped, everything)
        return
    assert fit.check_recipe(shipped, everything[: shipped.vocabulary]) == []


def test_a_board_that_will_not_run_the_model_is_named_with_what_fits() -> None:
    layers, vocabulary = [2000, 1000], words(16_384)
    (sentence,) = fit.check_recipe(recipe(layers), vocabulary)
    assert sentence.startswith("pynq-z2 will not run this recipe's model: it has ")
    assert "of them the table of 16,384 words for the 2,000 neurons of layer 0" in sentence
    fitting = int(sentence.partition("`vocabulary = ")[2].partition("`")[0])
    assert fit.check_recipe(recipe(layers), vocabulary[:fitting]) == []
    # A word more would be half a thousandth more; all words are counted as long as the mean.
    assert fit.check_recipe(recipe(layers), vocabulary[: fitting + fitting // 200]) != []


@pytest.mark.parametrize(
    ("given", "count", "said"),
    [
        (
            recipe([64]),
            33_793,
            "33,793 words, where 33,792 fit (DECODER_DEPTH). `vocabulary = 33792` would fit.",
        ),
        (recipe([64], decoder_weight_bits=8), 99, "`decoder_weight_bits = 4` would fit."),
        (recipe([2041]), 99, "2,041 neurons in layer 0, where 2,040 fit"),
        (recipe([64] * 9), 99, "9 layers, where 8 fit (MAX_LAYERS). smaller `layers` would fit."),
    ],
)
def test_what_no_board_runs_is_an_error(given: Recipe, count: int, said: str) -> None:
    with pytest.raises(EgretError) as caught:
        fit.check_recipe(given, words(count))
    message = str(caught.value)
    assert said in message and "--no-board" in message
    assert all(f"{board} will not run this recipe's model: " in message for board in BOARDS)


def test_other_cells_and_recipes_without_a_quantised_phase() -> None:
    assert fit.check_recipe(Recipe("lstm", ModelRecipe(64, [5000], cell="lstm"), []), words(50_000)) == []
    # How many bits the decoder will have is not said yet.
    assert fit.check_recipe(recipe([64], quantized=False, decoder_weight_bits=8), words(99)) == []


def test_masks_that_training_begins_with_count_where_no_phase_prunes() -> None:
    dense = recipe([2000, 2000], pruning=None)
    full = fit.check_recipe(dense, words(9_000))
    assert len(full) == 1 and "pynq-z2" in full[0]
    masks = {"decoder": torch.arange(1000) < 150}
    assert fit.check_recipe(dense, words(9_000), masks) == []


def test_nothing_is_trained_or_written_where_no_board_fits(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("a b c d e\n" * 400)
    (tmp_path / "wide.toml").write_text(
        'name = "wide"\nstreams = 2\nwindow = 5\n[model]\nembedding = 8\nlayers = [2041]\n'
        '[[phases]]\nname = "dense"\nepochs = 1\nlearning_rate = 1e-3\n'
    )
    run = tmp_path / "run"
    command = ["train", str(tmp_path / "wide.toml"), "--data", str(tmp_path / "text.txt"), "--run", str(run)]
    assert cli.main(command) == 2
    captured = capsys.readouterr()
    assert "2,041 neurons in layer 0" in captured.err and captured.err.count("\n") == 1
    assert not run.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": 3},
        {"shape": {"layers": "x"}},
        {"model": {"embedding": torch.zeros(2)}},
        {"vocabulary": ["\ud800"]},
    ],
)
def test_a_damaged_run_is_a_sentence_and_nothing_is_written(wrong, tmp_path, capsys):
    shape: dict[str, Any] = {"vocabulary": 1, "embedding": 2, "layers": [3]}
    model = EgruLanguageModel(Shape(**shape))
    saved = {"shape": shape, "model": model.state_dict(), "vocabulary": ["a"], "recipe": {}}
    torch.save({**saved, **wrong}, tmp_path / "run.pt")
    assert cli.main(["export", str(tmp_path / "run.pt"), str(tmp_path / "model.npz")]) == 2
    error = capsys.readouterr().err
    assert "run.pt is a damaged run: " in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]
