"""Between a model and the quantised checkpoint that NumPy alone reads (docs/formats.md, section 2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from egret.checkpoint import Checkpoint, Layer
from egret_training.model import EgruLanguageModel, Shape
from egret_training.quantized_model import QuantizedEgruLanguageModel
from egret_training.quantizers import NARROW_DECODER_FRACTION_BITS, WEIGHT_BITS

HALF_RANGE = 1 << (WEIGHT_BITS - 2)
"""A row's unit is the smallest power of two that holds it: 8 bits use at least this many of its units."""


@torch.no_grad()
def to_checkpoint(
    model: QuantizedEgruLanguageModel, vocabulary: list[str], name: str, metadata: dict[str, Any]
) -> Checkpoint:
    """Return the integers of a quantised model as a checkpoint; EgretError where it cannot hold them."""
    exact = QuantizedEgruLanguageModel.of(model).double().eval()
    arithmetic = exact.arithmetic
    layers: list[Layer] = []
    for layer in exact.stack:
        parameters = layer.quantized()
        layers.append(
            Layer(
                input_weights=_integers(
                    parameters.input_weights / parameters.input_units[..., None], np.int8
                ),
                recurrent_weights=_integers(
                    parameters.recurrent_weights / parameters.recurrent_units[..., None], np.int8
                ),
                input_fraction_bits=_fraction_bits(parameters.input_units),
                recurrent_fraction_bits=_fraction_bits(parameters.recurrent_units),
                bias=_integers(parameters.bias / arithmetic.stored_sum.unit, np.int16),
                threshold=_integers(parameters.threshold / arithmetic.cell.unit, np.uint16),
            )
        )
    embedding_unit = exact.quantize_embedding.unit
    decoder_weights, decoder_units = exact.quantize_decoder(exact.decoder_weights)
    checkpoint = Checkpoint(
        name=name,
        metadata=metadata,
        vocabulary=list(vocabulary),
        embedding=_integers(exact.embedding_table() / embedding_unit, np.int8),
        embedding_fraction_bits=exact.embedding_fraction_bits,
        layers=layers,
        decoder_weights=_integers(decoder_weights / decoder_units, np.int8),
        decoder_fraction_bits=_fraction_bits(decoder_units.reshape(-1)),
        decoder_bias=_integers(
            exact.quantize_decoder_bias(exact.decoder_bias) / arithmetic.stored_sum.unit, np.int16
        ),
    )
    checkpoint.validate()
    return checkpoint


def checkpoint_of(
    model: EgruLanguageModel, saved: dict[str, Any], metadata: dict[str, Any] | None = None
) -> Checkpoint:
    """Return the checkpoint of what model_file.load_model returned, quantised where it is not yet."""
    model.untie()
    return to_checkpoint(
        QuantizedEgruLanguageModel.of(model), saved["vocabulary"], saved["recipe"]["name"], metadata or {}
    )


@torch.no_grad()
def from_checkpoint(checkpoint: Checkpoint) -> QuantizedEgruLanguageModel:
    """Return a model whose quantisers give exactly the integers of a checkpoint that `to_checkpoint` made."""
    sizes = [layer.neurons for layer in checkpoint.layers]
    shape = Shape(
        len(checkpoint.vocabulary),
        checkpoint.embedding.shape[1],
        sizes,
        weight_bits=(bits := _weight_bits(checkpoint)),
        decoder_weight_bits=_decoder_weight_bits(checkpoint),
    )
    model = QuantizedEgruLanguageModel(shape, checkpoint.embedding_fraction_bits).double()
    for index, (layer, values) in enumerate(zip(model.stack, checkpoint.layers, strict=True)):
        inputs = torch.from_numpy(values.input_weights.astype(np.float64))
        recurrent = torch.from_numpy(values.recurrent_weights.astype(np.float64))
        if index:
            shared = _off_the_edge(torch.cat((inputs[:2], recurrent[:2]), dim=2), bits)
            inputs = torch.cat((shared[..., : layer.inputs], _off_the_edge(inputs[2:], bits)))
            recurrent = torch.cat((shared[..., layer.inputs :], _off_the_edge(recurrent[2:], bits)))
        else:
            inputs, recurrent = _off_the_edge(inputs, WEIGHT_BITS), _off_the_edge(recurrent, bits)
        layer.input_weights.copy_(inputs * _units(values.input_fraction_bits)[..., None])
        layer.recurrent_weights.copy_(recurrent * _units(values.recurrent_fraction_bits)[..., None])
        layer.bias.copy_(torch.from_numpy(values.bias.astype(np.float64)) * model.arithmetic.stored_sum.unit)
        layer.threshold.copy_(
            torch.from_numpy(values.threshold.astype(np.float64)) * model.arithmetic.cell.unit
        )
    embedding = torch.from_numpy(checkpoint.embedding.astype(np.float64))
    model.embedding.copy_(embedding * 2.0**-checkpoint.embedding_fraction_bits)
    assert model.own_decoder_weights is not None
    decoder = torch.from_numpy(checkpoint.decoder_weights.astype(np.float64))
    model.own_decoder_weights.copy_(
        _off_the_edge(decoder, WEIGHT_BITS) * _units(checkpoint.decoder_fraction_bits)[:, None]
    )
    model.decoder_bias.copy_(
        torch.from_numpy(checkpoint.decoder_bias.astype(np.float64)) * model.arithmetic.stored_sum.unit
    )
    return model


def _decoder_weight_bits(checkpoint: Checkpoint) -> int:
    """Return how many bits the decoder was quantised with: rows of 8 bits use their whole range."""
    largest = int(np.abs(checkpoint.decoder_weights.astype(np.int16)).max())
    narrow = (
        largest < HALF_RANGE
        and (checkpoint.decoder_fraction_bits == NARROW_DECODER_FRACTION_BITS).all()
        and largest > 0
    )
    return max(2, largest.bit_length() + 1) if narrow else WEIGHT_BITS


def _weight_bits(checkpoint: Checkpoint) -> int:
    """Return how many bits the layers were quantised with: the largest weight of a row uses them all."""
    largest = max(
        int(np.abs(weights.astype(np.int16)).max())
        for index, layer in enumerate(checkpoint.layers)
        for weights in (layer.input_weights, layer.recurrent_weights)
        # Those of the first layer always have all bits.
        if index or weights is not layer.input_weights
    )
    return max(2, largest.bit_length() + 1)


def _off_the_edge(integers: Tensor, bits: int) -> Tensor:
    """Add a quarter to weights of half the range in rows with none larger: half the unit would hold those."""
    half = 1 << (bits - 2)
    on_edge = integers.abs().amax(dim=-1, keepdim=True) == half
    return torch.where(on_edge & (integers.abs() == half), integers * (1 + 0.25 / half), integers)


def _units(fraction_bits: npt.NDArray[np.int8]) -> Tensor:
    return torch.exp2(-torch.from_numpy(fraction_bits.astype(np.float64)))


def _integers(
    values: Tensor, dtype: type[np.signedinteger[Any]] | type[np.unsignedinteger[Any]]
) -> npt.NDArray[Any]:
    array = values.numpy()
    result = array.astype(dtype)
    if not np.array_equal(result, array):
        raise ValueError(f"a quantised parameter is no {np.dtype(dtype)}")
    return result


def _fraction_bits(units: Tensor) -> npt.NDArray[np.int8]:
    result: npt.NDArray[np.int8] = _integers(-torch.log2(units), np.int8)
    return result
