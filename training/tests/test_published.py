"""What the published recipe asks of training."""

from __future__ import annotations

import csv

import pytest
import torch

from egret_training import constraints, train
from egret_training.bptt import cut
from egret_training.data import load_corpus
from egret_training.execution import Execution
from egret_training.model import EgruLanguageModel, Shape, drop_features
from egret_training.optimization import clip_gradients, make_optimizer
from egret_training.recipe import ModelRecipe, Phase, Recipe, load_recipe
from egret_training.run_folder import LOG
from egret_training.train import Trainer
from training.tests.recorder import Recorder
from training.tests.tiny_run import RECIPE, write_text

PUBLISHED = """
name = "published"
streams = 4
window = 14
clip = 0.1
clip_layers = true
random_windows = true
reset_cells = true
evaluation_streams = 4
[model]
embedding = 20
layers = [30, 20]
tied = true
threshold_beta = [0.0303, 3.0]
surrogate_height = 3.6
surrogate_slope = 3.6
surrogate_jump = 0.0
published_start = true
[[phases]]
name = "dense"
epochs = 3
learning_rate = 1e-2
decay_biases = true
betas = [0.0, 0.999]
learn_thresholds = false
dropout_words = 0.1
dropout_embedding = 0.2
dropout_between = 0.2
dropout_output = 0.2
dropout_recurrent = 0.2
dropout_each_step = true
keep_best = true
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The recipe above, a corpus for it, and a folder."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "tiny.toml").write_text(PUBLISHED)
    return load_recipe(folder / "tiny.toml"), load_corpus(write_text(folder, 60)), folder


def test_recorded_windows_of_all_lengths_train_the_same_network_also_when_interrupted(given, monkeypatch):
    recipe, corpus, folder = given
    plain = Trainer(recipe, corpus, folder / "plain").run()
    monkeypatch.setattr(train, "SAVE_SECONDS", 0.0)
    recorder = Recorder()
    save = Trainer._save
    saves: list[None] = []

    def interrupted(self, name, optimizer=None):
        save(self, name, optimizer)
        saves.append(None)
        if len(saves) == 17:
            raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Trainer(recipe, corpus, folder / "recorded", Execution(record=recorder)).run()
    recorded = Trainer(recipe, corpus, folder / "recorded", Execution(record=recorder)).run()
    assert recorder.recordings > 10
    for name, values in plain.state_dict().items():
        assert torch.equal(values, recorded.state_dict()[name]), name
    logs = [list(csv.DictReader((folder / name / LOG).open())) for name in ("plain", "recorded")]
    assert [[{**row, "seconds": ""} for row in log] for log in logs][0] == [
        {**row, "seconds": ""} for row in logs[1]
    ]


def test_the_best_epoch_is_kept(given, monkeypatch):
    recipe, corpus, folder = given
    perplexities = iter([5.0, 3.0, 4.0])
    seen = []

    def measured(self, streams):
        seen.append({name: p.clone() for name, p in self.model.named_parameters()})
        return next(perplexities)

    monkeypatch.setattr(train.Perplexity, "__call__", measured)
    model = Trainer(recipe, corpus, folder / "best").run()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, seen[1][name]), name
    assert not torch.equal(model.embedding, seen[2]["embedding"])


def test_thresholds_are_drawn_and_weights_start_as_published(given):
    recipe, corpus, folder = given
    sizes = ModelRecipe(200, [400, 200], tied=True, threshold_beta=[0.0303, 3.0], published_start=True)
    model = Trainer(Recipe("start", sizes, [Phase("dense", 1, 1e-3)]), corpus, folder / "start").model
    every = torch.cat([layer.threshold.detach() for layer in model.event_layers])
    # The mean of Beta(a, b) is a / (a + b); most draws are next to nothing, and as small as a kernel holds.
    assert float(every.mean()) == pytest.approx(0.0303 / 3.0303, abs=0.006)
    assert float(every.min()) == 64 / 32768 and 0 < float((every > 0.01).float().mean()) < 0.25
    first = model.event_layers[0]
    for weights, columns in ((first.input_weights, 200), (first.recurrent_weights, 400)):
        assert float(weights.detach().std()) == pytest.approx((2 / (columns + 1200)) ** 0.5, rel=0.02)
    assert float(model.embedding.detach().abs().max()) == pytest.approx(0.1, rel=0.01)
    assert torch.equal(model.decoder()[0], model.embedding) and not model.decoder_bias.any()


def test_window_lengths_are_drawn_around_the_window_or_half_of_it(given):
    recipe, _, _ = given
    recipe = Recipe("long", recipe.model, recipe.phases, window=70, random_windows=True)
    windows = cut(70_000, recipe, 7)
    ends = [row + steps for row, steps, _ in windows]
    assert [0, *ends[:-1]] == [row for row, _, _ in windows] and ends[-1] == 69_999
    lengths = torch.tensor([float(steps) for _, steps, _ in windows[:-1]])
    long = lengths > 52
    assert 0.02 < 1 - float(long.float().mean()) < 0.09
    assert float(lengths[long].mean()) == pytest.approx(69.5, abs=0.7)
    assert float(lengths[long].std()) == pytest.approx(5.0, abs=0.5)
    assert float(lengths[~long].mean()) == pytest.approx(34.5, abs=3)
    for _, length, part in windows[:-1]:
        assert part == pytest.approx(length / (70 if length > 52 else 35))
    assert cut(70_000, recipe, 7) == windows != cut(70_000, recipe, 8)
    recipe = Recipe("plain", recipe.model, recipe.phases, window=70)
    assert cut(200, recipe, 9) == [(9, 70, 1.0), (79, 70, 1.0), (149, 50, 1.0)]


def test_masks_are_new_at_each_step_and_shared_by_streams_or_the_other_way_round():
    torch.manual_seed(1)
    x = torch.ones(6, 5, 40)
    step, stream = drop_features(x, 0.5, each_step=True), drop_features(x, 0.5)
    assert torch.equal(step, step[:, :1].expand_as(x)) and not torch.equal(step, step[:1].expand_as(x))
    assert torch.equal(stream, stream[:1].expand_as(x)) and not torch.equal(
        stream, stream[:, :1].expand_as(x)
    )
    assert set(step.unique().tolist()) == set(stream.unique().tolist()) == {0.0, 2.0}


def test_weights_decay_whatever_their_size_and_biases_where_the_phase_says_so():
    model = EgruLanguageModel(Shape(4, 4, [4]))  # (a layer's biases are [4, H] too)
    lstm = EgruLanguageModel(Shape(4, 1, [1], cell="lstm"))
    for decay_biases in (False, True):
        phase = Phase("dense", 1, 1e-3, weight_decay=0.1, betas=[0.0, 0.9], decay_biases=decay_biases)
        for network in (model, lstm):
            optimizer = make_optimizer(network, phase)
            decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
            found = {name for name, p in network.named_parameters() if decays[id(p)] == 0.1}
            expected = {name for name, _ in network.named_parameters()} - {"layers.0.threshold"}
            if not decay_biases:
                expected = {name for name in expected if "bias" not in name}
            assert found == expected
            assert all(group["betas"] == (0.0, 0.9) for group in optimizer.param_groups)


def gradients(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.flatten() for name, p in module.named_parameters() if p.grad is not None}


def test_gradients_are_clipped_by_layer_and_then_together():
    model = EgruLanguageModel(Shape(30, 8, [12, 8]))
    for each in (False, True):
        torch.manual_seed(2)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter) * (10 if parameter is model.layers[0].bias else 1)
        layers = [torch.cat(list(gradients(layer).values())) for layer in model.layers]
        rest = torch.cat([gradient for name, gradient in gradients(model).items() if "layers" not in name])
        if each:
            layers = [gradient / gradient.norm() * 0.5 for gradient in layers]
        every = torch.cat([*layers, rest])
        clip_gradients(model, Recipe("clip", ModelRecipe(8, [12, 8]), [], clip=0.5, clip_layers=each))
        found = torch.cat([p.grad.flatten() for p in [*model.layers.parameters(), *_others(model)]])
        torch.testing.assert_close(found, every / every.norm() * 0.5, rtol=1e-4, atol=1e-7)


def _others(model):
    return [parameter for name, parameter in model.named_parameters() if "layers" not in name]


@pytest.mark.parametrize("unstructured", ["", "unstructured = true"])
def test_masks_are_drawn_for_the_last_time_when_the_ramp_ends(tmp_path, monkeypatch, unstructured):
    text = RECIPE[: RECIPE.index("[[phases]]")] + RECIPE[RECIPE.index('[[phases]]\nname = "pruned"') :]
    text = text.replace("gap_bits = 3", unstructured).replace("sparsity = 0.6", "sparsity = 0.85\nredraw = 3")
    (tmp_path / "pruned.toml").write_text(text)
    drawn = []

    def counted(model, pruning, sparsity, decoder_sparsity):
        drawn.append((sparsity, decoder_sparsity))
        return draw_masks(model, pruning, sparsity, decoder_sparsity)

    draw_masks = constraints.draw_masks
    monkeypatch.setattr(constraints, "draw_masks", counted)
    corpus = load_corpus(write_text(tmp_path, 60))
    Trainer(load_recipe(tmp_path / "pruned.toml"), corpus, tmp_path / "run").run("pruned")
    assert drawn.count((0.85, 0.5)) == 1 and drawn[-1] == (0.85, 0.5) and len(drawn) > 3
