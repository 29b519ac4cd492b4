"""What a GPU asks of training, as far as it shows without one: windows that are recorded once and replayed,
everything on one device, nothing that waits for results, and steps that torch can compile."""

from __future__ import annotations

import csv

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from egret.errors import EgretError
from egret_training import cli, egru, train
from egret_training.bptt import PlainWindow
from egret_training.constraints import Constraints
from egret_training.data import load_corpus
from egret_training.evaluation import WINDOW, Perplexity
from egret_training.execution import Execution, choose_execution
from egret_training.model import Dropout, EgruLanguageModel, Shape
from egret_training.optimization import activity_weight, dropout_in, hardness
from egret_training.pruning import draw_masks, prunable_weights
from egret_training.quantized_model import QuantizedEgruLanguageModel
from egret_training.recipe import Phase, Pruning, load_recipe
from egret_training.reconstruction import prune_at_a_stroke
from egret_training.run_folder import LOG
from egret_training.train import Trainer
from training.tests.recorder import Recorder
from training.tests.tiny_run import RECIPE, write_text

EVERY_DROPOUT = Dropout(0.1, 0.1, 0.1, 0.1, 0.1)


def test_recorded_windows_train_the_same_network(tmp_path):
    text = write_text(tmp_path, 60)
    (tmp_path / "tiny.toml").write_text(
        RECIPE.replace("dropout_words = 0.05\n", "dropout_words = 0.05\ndropout_at_start = 0.5\n")
    )
    recipe = load_recipe(tmp_path / "tiny.toml")
    corpus = load_corpus(text)
    recorder = Recorder()
    found = {}
    for name, execution in (("plain", Execution()), ("recorded", Execution(record=recorder))):
        model = Trainer(recipe, corpus, tmp_path / name, execution).run()
        rows = list(csv.DictReader((tmp_path / name / LOG).open()))
        found[name] = model.state_dict(), [{**row, "seconds": None} for row in rows]
    # Dropout of its own in each of four dense epochs, the full softmax in the midst of the last; and one
    # recording for each of the other phases. Each phase also records its validation, in windows of 70 steps
    # and of what is left.
    assert recorder.recordings == 4 + 1 + 2 + 3 * 2
    assert recorder.replays > 7 * 12
    assert found["plain"][1] == found["recorded"][1]
    for name, values in found["plain"][0].items():
        assert torch.equal(values, found["recorded"][0][name]), name


def test_a_recorded_run_resumes_exactly(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "SAVE_SECONDS", 0.0)
    text = write_text(tmp_path, 60)
    (tmp_path / "tiny.toml").write_text(RECIPE)
    recipe, corpus = load_recipe(tmp_path / "tiny.toml"), load_corpus(text)
    whole = Trainer(recipe, corpus, tmp_path / "whole", Execution(record=Recorder())).run("dense")

    class Stopped(Exception):
        pass

    class Stopping(Recorder):
        def __call__(self, compute):
            results, replay = super().__call__(compute)

            def counted():
                if self.replays == 30:
                    raise Stopped
                replay()

            return results, counted

    stopped = Trainer(recipe, corpus, tmp_path / "parts", Execution(record=Stopping()))
    with pytest.raises(Stopped):
        stopped.run("dense")
    resumed = Trainer(recipe, corpus, tmp_path / "parts", Execution(record=Recorder())).run("dense")
    for name, values in whole.state_dict().items():
        assert torch.equal(values, resumed.state_dict()[name]), name


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of two devices, and counts copies between them."""

    def __init__(self):
        super().__init__()
        self.copies = 0

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        tensors = [leaf for leaf in tree_leaves((arguments, keywords)) if isinstance(leaf, torch.Tensor)]
        devices = {tensor.device.type for tensor in tensors}
        result = operation(*arguments, **(keywords or {}))
        if operation.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.copy_):
            self.copies += len({*devices, result.device.type}) > 1
        else:
            assert len(devices) < 2, f"{operation} of tensors on {devices}"
        return result


def _model(quantized: bool) -> EgruLanguageModel:
    torch.manual_seed(5)
    model = EgruLanguageModel(Shape(60, 16, [24, 16], tied=True, decoder_weight_bits=4))
    model.untie()
    if quantized:
        model = QuantizedEgruLanguageModel.of(model)
    for layer in model.event_layers:
        layer.activity_target, layer.activity_weight = 0.1, 1.0
    return model


# "meta" tensors have shapes and no values: to look at one, as in waiting for a GPU, is an error.
@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("sample", [None, (10, 8)])
def test_an_update_stays_on_its_device_and_waits_for_nothing(quantized, sample):
    model = _model(quantized).to("meta")
    window = PlainWindow(model, torch.bfloat16)
    phase = Phase("pruned", 1, 1e-3, decoder_weight_bits=4, pruning=Pruning(0.5, at_a_stroke=True))
    constraints = Constraints()
    constraints.masks = {
        name: torch.ones_like(weights, dtype=torch.bool) for name, weights in prunable_weights(model).items()
    }
    words = torch.zeros(7, 4, dtype=torch.int64, device="meta")
    state = model.initial_state(4)
    window(words, words, state, EVERY_DROPOUT, sample)  # may take tables there, as ahead of a recording
    with OneDevice() as watched:
        result = window(words, words, state, EVERY_DROPOUT, sample)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        constraints.apply(model, phase, 0.5, 1)
    assert watched.copies == 0
    left = [result.loss, *result.outputs, *(tensor for pair in result.state for tensor in pair)]
    gradients = [parameter.grad for parameter in model.parameters()]
    assert {None if tensor is None else tensor.device.type for tensor in [*left, *gradients]} == {"meta"}


def test_the_watch_over_devices_sees_what_it_should():
    weights = torch.zeros(3, 4, device="meta")
    with OneDevice() as watched, pytest.raises(AssertionError, match="mm"):
        weights @ torch.zeros(4, 2)
    with OneDevice() as watched:
        torch.zeros(4).to("meta")
    assert watched.copies == 1
    with pytest.raises(RuntimeError, match="meta"):
        float(weights.sum())


class NamedDevice(TorchFunctionMode):
    """Refuses new tensors whose device is left to the default."""

    FACTORIES = {
        getattr(torch, name)
        for name in "arange empty eye full ones rand randint randn randperm tensor zeros".split()
    }

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        keywords = keywords or {}
        assert function not in self.FACTORIES or "device" in keywords, f"{function.__name__} names no device"
        return function(*arguments, **keywords)


def test_pruning_makes_its_tensors_where_the_weights_are():
    torch.manual_seed(6)
    streams, frequencies = torch.randint(60, (40, 8)), torch.rand(60)
    ways = [
        Pruning(0.7, slots=2),
        Pruning(0.7, slots=2, gap_bits=2),
        Pruning(0.7, unstructured=True),
    ]
    stroke = Pruning(0.7, slots=2, gap_bits=2, at_a_stroke=True)
    model = _model(False)  # (parameters are drawn on the processor, whatever the device)
    with NamedDevice():
        for pruning in ways:
            assert draw_masks(model, pruning, 0.7, 0.7)
        assert prune_at_a_stroke(model, stroke, streams, frequencies)
        with pytest.raises(AssertionError, match="zeros names no device"):
            torch.zeros(3)


@pytest.mark.parametrize("quantized", [False, True])
def test_the_steps_of_a_layer_compile_whole(quantized):
    # (This compiler's back end runs what was traced as it is; a GPU's makes kernels of it.)
    def compiled(part):
        return torch.compile(part, dynamic=False, fullgraph=True, backend="aot_eager")

    element_wise = egru.ElementWise(compiled(egru.advance), compiled(egru.retreat))
    found = []
    for steps in (egru.EAGER, element_wise):
        model = _model(quantized)
        for layer in model.event_layers:
            layer.element_wise = steps
        torch.manual_seed(7)
        words = torch.randint(60, (8, 4))
        window = PlainWindow(model, torch.float32)
        result = window(words[:-1], words[1:], model.initial_state(4), Dropout(), None)
        assert all(0.02 < float((output != 0).float().mean()) < 0.98 for output in result.outputs)
        found.append([result.loss, *(parameter.grad for parameter in model.parameters())])
    for plain, traced in zip(*found, strict=True):
        torch.testing.assert_close(traced, plain, rtol=1e-5, atol=1e-6)


def test_hardness_and_the_weight_of_activity_rise_within_their_parts_of_a_phase():
    phase = Phase("dense", 5, 1e-3, anneal_from=0.2, anneal_to=0.8, anneal_until=0.5)
    assert [hardness(phase, done) for done in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0.2, 0.5, 0.8, 0.8])
    phase = Phase("dense", 5, 1e-3, activity_weight=10.0, activity_from=0.2, activity_until=0.6)
    found = [activity_weight(phase, done) for done in (0.0, 0.2, 0.3, 0.6, 1.0)]
    assert found == pytest.approx([0.0, 0.0, 2.5, 10.0, 10.0])
    plain = Phase("dense", 5, 1e-3)
    assert (hardness(plain, 0.0), activity_weight(plain, 0.0)) == (1.0, plain.activity_weight)


def test_a_phase_of_every_kind_stays_within_torchs_limit_of_compilations(monkeypatch):
    monkeypatch.setattr(torch._dynamo.config, "fail_on_recompile_limit_hit", True)
    torch._dynamo.reset()
    steps = egru.fused("eager")
    kernel = QuantizedEgruLanguageModel(Shape(60, 16, [16])).arithmetic
    for neurons in (8, 12, 16):
        for arithmetic, between in ((egru.FLOAT, None), (egru.FLOAT, torch.ones(())), (kernel, None)):
            gates, cell = torch.zeros(2, 3 * neurons), torch.zeros(2, neurons)
            per_neuron = torch.full((neurons,), 0.5)
            steps.advance(arithmetic, gates, gates, per_neuron, per_neuron, cell, between)


def test_sums_of_bfloat16_products_are_float32_on_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    products = torch.backends.cuda.matmul
    before = products.allow_bf16_reduced_precision_reduction
    products.allow_bf16_reduced_precision_reduction = True
    assert choose_execution("cuda", eager=True) == Execution(
        torch.device("cuda", 0), product_type=torch.bfloat16
    )
    assert not products.allow_bf16_reduced_precision_reduction
    products.allow_bf16_reduced_precision_reduction = before


@pytest.mark.parametrize("record", [None, Recorder()])
def test_perplexity_is_that_of_all_steps_at_once(record):
    torch.manual_seed(8)
    model, words = _model(False), torch.randint(60, (2 * WINDOW + 30, 4))
    outputs, _ = model.hidden(words[:-1], model.initial_state(4), torch.float32)
    weights, bias = model.decoder()
    logits = (outputs[-1] @ weights.t() + bias).flatten(0, 1)
    expected = float(torch.nn.functional.cross_entropy(logits, words[1:].flatten()).detach().exp())
    measure = Perplexity(model, torch.float32, record)
    assert [measure(words), measure(words)] == pytest.approx([expected, expected], rel=1e-5)


def test_dropout_grows_from_epoch_to_epoch():
    phase = Phase("dense", 5, 1e-3, dropout_words=0.1, dropout_output=0.4, dropout_at_start=0.5)
    assert dropout_in(phase, 0) == Dropout(words=0.05, output=0.2)
    assert dropout_in(phase, 2).output == pytest.approx(0.3)
    assert dropout_in(phase, 4) == Dropout(words=0.1, output=0.4)
    once = Phase("dense", 1, 1e-3, dropout_words=0.1, dropout_recurrent=0.3, dropout_at_start=0.5)
    assert dropout_in(once, 0) == Dropout(words=0.1, recurrent=0.3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, so there is nothing to refuse")
def test_a_gpu_that_is_not_there_is_refused_in_a_sentence(tmp_path, capsys):
    with pytest.raises(EgretError, match="finds no GPU. Install"):
        choose_execution("cuda")
    assert choose_execution("auto") == Execution()
    assert cli.main(["benchmark", "--device", "cuda"]) == 2
    assert "say --device cpu" in capsys.readouterr().err
