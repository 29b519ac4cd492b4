"""EvNN's language models: their parameters under Egret's names.

EvNN (Subramoney and others, 2023; github.com/Efficient-Scalable-Machine-Learning/EvNN, benchmarks/lm) saves a
state dict without a vocabulary; it numbers words by their first appearance in train, valid and test.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from egret.errors import EgretError
from egret.text.vocabulary import METADATA_KEY
from egret_training.constraints import THRESHOLD_RANGE
from egret_training.data import Corpus
from egret_training.model import EgruLanguageModel, Shape
from egret_training.recipe import ModelRecipe, Phase, Recipe


def import_evnn(path: str | os.PathLike[str], corpus: Corpus) -> dict[str, Any]:
    """Return the state dict of EvNN's EGRU language model at `path` as model_file.write_model takes it.

    Words get the numbers that they have in `corpus`. Thresholds below the kernel's least become that, 2^-9.
    Raises EgretError where the file is no such state dict, is of another vocabulary, or has what Egret's
    network lacks: zoneout, a projection (a layer with a ReLU ahead of the decoder), other cells.
    """
    given = _read(path)
    layers = _layers(given, path)
    embedding, order = _tensor(given, "embeddings.weight", path), first_appearance(corpus)
    sizes = [layer["recurrent_kernel"].shape[0] for layer in layers]
    words = len(corpus.vocabulary)
    decoder, bias = (_tensor(given, f"decoder.decoder.{kind}", path) for kind in ("weight", "bias"))
    for name, tensor, wanted in (
        ("embeddings.weight", embedding, (words, layers[0]["kernel"].shape[0])),
        ("decoder.decoder.weight", decoder, (words, sizes[-1])),
        ("decoder.decoder.bias", bias, (words,)),
    ):
        if tuple(tensor.shape) != wanted:
            raise EgretError(
                f"{path}: {name} is of shape {list(tensor.shape)}; the data's {words} words and the layers "
                f"need {list(wanted)}."
            )
    tied = torch.equal(embedding, decoder)
    shape = Shape(words, embedding.shape[1], sizes, tied, tied_scale=1.0)
    model = EgruLanguageModel(shape)
    with torch.no_grad():
        model.embedding[order] = embedding
        model.decoder_bias[order] = bias
        if model.own_decoder_weights is not None:
            model.own_decoder_weights[order] = decoder
        for layer, values in zip(model.event_layers, layers, strict=True):
            neurons, inputs = layer.neurons, layer.inputs
            layer.input_weights.copy_(values["kernel"].t().reshape(3, neurons, inputs))
            layer.recurrent_weights.copy_(values["recurrent_kernel"].t().reshape(3, neurons, neurons))
            outer, inner = (values[name].reshape(3, neurons) for name in ("bias", "recurrent_bias"))
            layer.bias.copy_(torch.stack([outer[0] + inner[0], outer[1] + inner[1], outer[2], inner[2]]))
            layer.threshold.copy_(values["thr"].clamp(*THRESHOLD_RANGE))
    sizes_of = ModelRecipe(embedding.shape[1], sizes, tied, published_start=True)
    recipe = Recipe(Path(path).stem, sizes_of, [Phase("dense", 1, 1e-3)], about="Imported from EvNN.")
    return {
        "recipe": dataclasses.asdict(recipe),
        "corpus": corpus.name,
        "shape": dataclasses.asdict(shape),
        "vocabulary": corpus.vocabulary,
        METADATA_KEY: corpus.convention.as_metadata(),
        "model": model.state_dict(),
        "masks": {},
        "seconds": 0.0,
    }


def first_appearance(corpus: Corpus) -> Tensor:
    """Return the corpus's numbers of words in the order in which they first appear, int64 [V]."""
    every = torch.cat([corpus.train, corpus.valid, corpus.test])
    first = torch.full((len(corpus.vocabulary),), every.numel())
    first.scatter_reduce_(0, every, torch.arange(every.numel()), "amin")
    return first.argsort()


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        given = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise EgretError(f"{path} cannot be read: {error.strerror}.") from error
    except Exception as error:  # what torch raises depends on how a file is broken
        raise EgretError(f"{path} is no state dict: {error}") from error
    if not isinstance(given, dict) or "embeddings.weight" not in given:
        raise EgretError(f"{path} is no state dict of EvNN's language model: it has no embeddings.weight.")
    if any("projection" in name for name in given):
        raise EgretError(
            f"{path} has a projection, a layer of ReLUs ahead of the decoder, which Egret's network has not; "
            "train without --projection."
        )
    for name, value in given.items():
        if "zoneout" in name and torch.as_tensor(value).any():
            raise EgretError(f"{path} has zoneout ({name}), which Egret's network has not.")
    return given


def _layers(given: dict[str, Any], path: str | os.PathLike[str]) -> list[dict[str, Tensor]]:
    """Return the parameters of each layer, checked for their shapes."""
    count = 1 + max((int(name.split(".")[1]) for name in given if name.startswith("rnns.")), default=-1)
    if not count:
        raise EgretError(f"{path} has no layers (rnns.0.kernel and so on).")
    layers = []
    inputs = _tensor(given, "embeddings.weight", path).shape[-1]
    for index in range(count):
        if any(name.startswith(f"rnns.{index}.") and "weight_hh" in name for name in given):
            raise EgretError(f"{path}: layer {index} is a GRU or LSTM; Egret's kernel runs EGRUs.")
        kinds = ("kernel", "recurrent_kernel", "bias", "recurrent_bias", "thr")
        values = {kind: _tensor(given, f"rnns.{index}.{kind}", path) for kind in kinds}
        neurons = values["thr"].shape[0] if values["thr"].dim() else 1
        gates = 3 * neurons
        shapes = ((inputs, gates), (neurons, gates), (gates,), (gates,), (neurons,))
        for kind, shape in zip(kinds, shapes, strict=True):
            if tuple(values[kind].shape) != shape:
                raise EgretError(
                    f"{path}: rnns.{index}.{kind} is of shape {list(values[kind].shape)}, not {list(shape)}."
                )
        layers.append(values)
        inputs = neurons
    return layers


def _tensor(given: dict[str, Any], name: str, path: str | os.PathLike[str]) -> Tensor:
    if not isinstance(given.get(name), Tensor):
        raise EgretError(f"{path} has no tensor {name}, so it is no EGRU language model of EvNN's.")
    tensor: Tensor = given[name].float()
    return tensor
