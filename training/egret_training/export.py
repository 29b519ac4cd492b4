"""From a trained model to the quantised checkpoint that NumPy alone reads (docs/formats.md, section 2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from egret.checkpoint import Checkpoint, Layer
from egret_training.quantization import QuantizedEgruLanguageModel


@torch.no_grad()
def to_checkpoint(model: QuantizedEgruLanguageModel, vocabulary: list[str], name: str,
                  metadata: dict[str, Any]) -> Checkpoint:
    """Return the integers of a quantised model as a valid checkpoint; EgretError where the format cannot hold one."""
    exact = QuantizedEgruLanguageModel.of(model).double().eval()
    arithmetic = exact.arithmetic
    layers: list[Layer] = []
    for layer in exact.layers:
        parameters = layer.quantized()
        layers.append(Layer(
            input_weights=_integers(parameters.input_weights / parameters.input_units[..., None], np.int8),
            recurrent_weights=_integers(parameters.recurrent_weights / parameters.recurrent_units[..., None], np.int8),
            input_fraction_bits=_fraction_bits(parameters.input_units),
            recurrent_fraction_bits=_fraction_bits(parameters.recurrent_units),
            bias=_integers(parameters.bias / arithmetic.stored_sum.unit, np.int16),
            threshold=_integers(parameters.threshold / arithmetic.cell.unit, np.uint16),
        ))
    embedding, embedding_unit = exact.quantize_embedding(exact.embedding)
    decoder_weights, decoder_units = exact.quantize_decoder(exact.decoder_weights)
    checkpoint = Checkpoint(
        name=name, metadata=metadata, vocabulary=list(vocabulary),
        embedding=_integers(embedding / embedding_unit, np.int8),
        embedding_fraction_bits=int(_fraction_bits(embedding_unit)),
        layers=layers,
        decoder_weights=_integers(decoder_weights / decoder_units, np.int8),
        decoder_fraction_bits=_fraction_bits(decoder_units.reshape(-1)),
        decoder_bias=_integers(arithmetic.stored_sum(exact.decoder_bias) / arithmetic.stored_sum.unit, np.int16),
    )
    checkpoint.validate()
    return checkpoint


def _integers(values: Tensor, dtype: type[np.signedinteger[Any]] | type[np.unsignedinteger[Any]]) -> npt.NDArray[Any]:
    array = values.numpy()
    result = array.astype(dtype)
    if not np.array_equal(result, array):
        raise ValueError(f"a quantised parameter is no {np.dtype(dtype)}")
    return result


def _fraction_bits(units: Tensor) -> npt.NDArray[np.int8]:
    result: npt.NDArray[np.int8] = _integers(-torch.log2(units), np.int8)
    return result
