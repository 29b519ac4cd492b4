"""The network in the kernel's integer arithmetic, made of Brevitas quantisers.

Training uses it in float32 with straight-through gradients; evaluation in float64, where every product,
sum and rounding is exact, so that it gives the integers of egret.reference.model (and of the kernel).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from egret.arithmetic import GATE_INDEX_OFFSET, GATE_OUTPUT_ONE, SIGMOID, TANH
from egret_training.egru import EgruLayer, EgruRun, MixedLinear, drop_weights
from egret_training.model import EgruLanguageModel, Shape
from egret_training.quantizers import (
    WEIGHT_BITS,
    ActivationQuantizer,
    CellQuant,
    CompactSumQuant,
    EventQuant,
    GateInputQuant,
    NarrowDecoderQuantizer,
    StoredSumQuant,
    SumQuant,
    WeightQuantizer,
    embedding_quantizer,
    row_weight_quant,
)
from egret_training.recipe import KERNEL

EMBEDDING_FRACTION_BITS = 6
"""An embedding trained from the spread it starts with has less than one value in a thousand beyond +-2."""


class KernelArithmetic(nn.Module):
    """The element-wise part of a step as the kernel computes it: a StepArithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = ActivationQuantizer(SumQuant)
        self.stored_sum = ActivationQuantizer(StoredSumQuant)
        self.gate_input = ActivationQuantizer(GateInputQuant)
        self.cell = ActivationQuantizer(CellQuant)
        self.event = ActivationQuantizer(EventQuant)
        self.tables = {
            name: torch.tensor(table, dtype=torch.float64) / GATE_OUTPUT_ONE
            for name, table in (("sigmoid", SIGMOID), ("tanh", TANH))
        }
        self.tables_at: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}

    def look_up(self, name: str, sums: Tensor) -> Tensor:
        """Return the table's entries for sums of any shape, after rounding them to gate inputs."""
        table = self.tables_at.get((name, sums.dtype, sums.device))
        if table is None:
            table = self.tables_at[name, sums.dtype, sums.device] = self.tables[name].to(sums)
        index = (self.gate_input(sums) / self.gate_input.unit).to(torch.int64).add_(GATE_INDEX_OFFSET)
        return torch.take(table, index)

    @torch.no_grad()
    def step(
        self, inputs: Tensor, recurrent: Tensor, reset_bias: Tensor, threshold: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """See StepArithmetic; `inputs` of gate g are whole sums already."""
        neurons = cell.shape[-1]
        # Biases are whole sums: adding them before the rounding is the same as after it.
        gates = self.look_up("sigmoid", self.sum(inputs[:, : 2 * neurons] + recurrent[:, : 2 * neurons]))
        z, r = gates[:, :neurons], gates[:, neurons:]
        gr = self.stored_sum(recurrent[:, 2 * neurons :] + reset_bias)
        g = self.look_up("tanh", inputs[:, 2 * neurons :] + self.sum(r * gr))
        c = self.cell(z * cell + (1 - z) * g)
        o = (c > threshold).to(c.dtype)
        return z, r, g, gr, c, o, o * self.event(c)


@dataclass(eq=False)
class QuantizedLayerParameters:
    """A layer's parameters after quantisation; the weights with their units."""

    input_weights: Tensor
    """[3, H, I]"""
    input_units: Tensor
    """[3, H]"""
    recurrent_weights: Tensor
    """[3, H, H]"""
    recurrent_units: Tensor
    """[3, H]"""
    bias: Tensor
    """[4, H]"""
    threshold: Tensor
    """[H]"""


class QuantizedEgruLayer(EgruLayer):
    """An EGRU layer in the kernel's arithmetic; the first layer's input product is a folded table's entry."""

    def __init__(
        self, inputs: int, neurons: int, arithmetic: KernelArithmetic, first: bool, weight_bits: int
    ) -> None:
        super().__init__(inputs, neurons)
        self.arithmetic, self.first = arithmetic, first
        rows = row_weight_quant(weight_bits)
        if first:
            # (They are folded into a table, so no bus carries them.)
            self.quantize_input = WeightQuantizer(row_weight_quant(WEIGHT_BITS), 3 * neurons, inputs)
            self.quantize_recurrent = WeightQuantizer(rows, 3 * neurons, neurons)
        else:
            # z and r add up inputs and recurrence in one accumulator, so in one unit: their rows are one row.
            self.quantize_shared = WeightQuantizer(rows, 2 * neurons, inputs + neurons)
            self.quantize_input = WeightQuantizer(rows, neurons, inputs)
            self.quantize_recurrent = WeightQuantizer(rows, neurons, neurons)

    def quantized(self) -> QuantizedLayerParameters:
        """Return the quantised parameters, differentiable straight through."""
        h = self.neurons
        if self.first:
            input_weights, input_units = self.quantize_input(self.input_weights.reshape(3 * h, self.inputs))
            recurrent_weights, recurrent_units = self.quantize_recurrent(
                self.recurrent_weights.reshape(3 * h, h)
            )
        else:
            both = torch.cat((self.input_weights[:2], self.recurrent_weights[:2]), dim=2)
            shared, shared_units = self.quantize_shared(both.reshape(2 * h, self.inputs + h))
            candidate, candidate_units = self.quantize_input(self.input_weights[2])
            inside, inside_units = self.quantize_recurrent(self.recurrent_weights[2])
            input_weights = torch.cat((shared[:, : self.inputs], candidate))
            input_units = torch.cat((shared_units, candidate_units))
            recurrent_weights = torch.cat((shared[:, self.inputs :], inside))
            recurrent_units = torch.cat((shared_units, inside_units))
        return QuantizedLayerParameters(
            input_weights.reshape(3, h, self.inputs),
            input_units.reshape(3, h),
            recurrent_weights.reshape(3, h, h),
            recurrent_units.reshape(3, h),
            self.arithmetic.stored_sum(self.bias),
            self.arithmetic.cell(self.threshold),
        )

    def run(
        self,
        x: Tensor,
        state: tuple[Tensor, Tensor],
        parameters: QuantizedLayerParameters,
        product_type: torch.dtype,
        recurrent_dropout: float = 0.0,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As EgruLayer.forward, with what `quantized` gave (in evaluation once for many windows)."""
        h = self.neurons
        sums = MixedLinear.apply(
            x,
            parameters.input_weights.reshape(3 * h, self.inputs),
            parameters.bias[:3].reshape(3 * h),
            product_type,
        )
        if self.first:
            sums = self.arithmetic.stored_sum(sums)
        else:
            sums = torch.cat((sums[..., : 2 * h], self.arithmetic.sum(sums[..., 2 * h :])), dim=-1)
        outputs, cell = EgruRun.apply(
            sums,
            drop_weights(parameters.recurrent_weights, recurrent_dropout).reshape(3 * h, h),
            parameters.bias[3],
            parameters.threshold,
            *state,
            self.arithmetic,
            product_type,
            self.surrogate,
            self.activity_target,
            self.activity_weight,
            self.element_wise,
        )
        return outputs, (outputs[-1].detach(), cell)

    def forward(
        self,
        x: Tensor,
        state: tuple[Tensor, Tensor],
        product_type: torch.dtype,
        recurrent_dropout: float = 0.0,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return self.run(x, state, self.quantized(), product_type, recurrent_dropout)


class QuantizedEgruLanguageModel(EgruLanguageModel):
    """The language model in the kernel's arithmetic; its parameters are those of the float model."""

    def __init__(self, shape: Shape, embedding_fraction_bits: int = EMBEDDING_FRACTION_BITS) -> None:
        super().__init__(shape)
        self.embedding_fraction_bits = embedding_fraction_bits
        self.arithmetic = KernelArithmetic()
        sizes = [shape.embedding, *shape.layers]
        self.layers = nn.ModuleList(
            QuantizedEgruLayer(inputs, neurons, self.arithmetic, index == 0, shape.weight_bits)
            for index, (inputs, neurons) in enumerate(zip(sizes, sizes[1:], strict=False))
        )
        self.quantize_embedding = embedding_quantizer(embedding_fraction_bits)
        self.quantize_decoder: nn.Module = (
            NarrowDecoderQuantizer(shape.decoder_weight_bits)
            if shape.decoder_weight_bits < WEIGHT_BITS
            else WeightQuantizer(row_weight_quant(WEIGHT_BITS), shape.vocabulary, sizes[-1])
        )

        # What the boards' kernels hold of so many words' biases.
        self.quantize_decoder_bias: nn.Module = (
            ActivationQuantizer(CompactSumQuant)
            if KERNEL.compact(shape.vocabulary)
            else self.arithmetic.stored_sum
        )

    @classmethod
    def of(cls, model: EgruLanguageModel) -> QuantizedEgruLanguageModel:
        """Return a quantised model with a copy of the parameters of `model`."""
        shape = Shape(**dataclasses.asdict(model.shape))
        bits = getattr(model, "embedding_fraction_bits", EMBEDDING_FRACTION_BITS)
        result = cls(shape, bits)
        result.load_state_dict(model.state_dict())
        return result

    @property
    def stack(self) -> Sequence[QuantizedEgruLayer]:
        return [cast(QuantizedEgruLayer, layer) for layer in self.layers]

    def embedding_table(self) -> Tensor:
        table: Tensor = self.quantize_embedding(self.embedding)
        return table

    def decoder(self) -> tuple[Tensor, Tensor]:
        """As in float; training does not round logits (their unit, 2^-11, is below what it resolves)."""
        weights, _ = self.quantize_decoder(self.decoder_weights)
        return weights, self.quantize_decoder_bias(self.decoder_bias)


class ExactEvaluation:
    """A quantised model in evaluation: float64 throughout, parameters quantised once.

    What it returns are integers in the units of docs/formats.md, as egret.reference.model.ReferenceModel
    returns.
    """

    def __init__(self, model: QuantizedEgruLanguageModel) -> None:
        """Take a copy of the parameters of `model`, in float64."""
        self.model = QuantizedEgruLanguageModel.of(model).double().eval()
        with torch.no_grad():
            self.embedding = self.model.embedding_table()
            self.layers = [layer.quantized() for layer in self.model.stack]
            self.decoder_weights, self.decoder_bias = self.model.decoder()
        self.reset()

    def reset(self) -> None:
        """Set cells and events to zero."""
        self.state = self.model.initial_state(1)

    @torch.no_grad()
    def run(self, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
        """Run int64 [T] tokens of one stream from the present state.

        Returns the event values of each layer, int64 [T, H] (0: no event), and the logits, int64 [T, V].
        """
        arithmetic = self.model.arithmetic
        x = self.embedding[tokens][:, None]
        events: list[Tensor] = []
        for index, (layer, parameters) in enumerate(zip(self.model.stack, self.layers, strict=True)):
            x, self.state[index] = layer.run(x, self.state[index], parameters, torch.float64)
            events.append(_integers(x[:, 0], arithmetic.event.unit))
        logits = arithmetic.sum(x[:, 0] @ self.decoder_weights.t() + self.decoder_bias)
        return events, _integers(logits, arithmetic.sum.unit)

    def cells(self) -> list[Tensor]:
        """Return the present cells of each layer, int64 [H]."""
        return [_integers(cell[0], self.model.arithmetic.cell.unit) for _, cell in self.state]


def _integers(values: Tensor, unit: Tensor) -> Tensor:
    """Return values / unit as int64; raises ValueError where one is no whole number of units."""
    scaled = values / unit
    result = scaled.to(torch.int64)
    if not torch.equal(result.to(scaled.dtype), scaled):
        raise ValueError("a quantised value is no multiple of its unit")
    return result
