"""The kernel's number formats as Brevitas quantisers (docs/formats.md, section 1).

Every scale is a power of two, and everything rounds half up, as an adder and a shift do: so each
quantised float is exactly an integer times its unit, and float64 computes with it without error.
"""

from __future__ import annotations

from typing import Any

import brevitas
import torch
from brevitas.core.function_wrapper.ops_ste import CeilSte
from brevitas.core.restrict_val import PowerOfTwoRestrictValue
from brevitas.core.scaling import PowerOfTwoIntScaling
from brevitas.function.ops_ste import floor_ste, scalar_clamp_ste
from brevitas.inject import ExtendedInjector
from brevitas.inject.enum import BitWidthImplType, QuantType, RestrictValueType, ScalingImplType
from brevitas.nn import QuantIdentity
from brevitas.quant.base import IntQuant, NarrowIntQuant, UintQuant
from brevitas.quant.fixed_point import Int8WeightPerChannelFixedPoint
from brevitas.quant.solver.act import ActQuantSolver
from torch import Tensor, nn

from egret.checkpoint import FRACTION_BITS_MAXIMUM, FRACTION_BITS_MINIMUM
from egret.contract import COMPACT_BIAS_BITS, WEIGHT_BITS


class RoundHalfUp(brevitas.jit.ScriptModule):
    """floor(x + 1/2) with the gradient of the identity."""

    # Brevitas injects what __init__ names; torch's own names anything.
    def __init__(self) -> None:
        super().__init__()

    @brevitas.jit.script_method
    def forward(self, x: Tensor) -> Tensor:
        return floor_ste(x + 0.5)


class RowPowerOfTwo(PowerOfTwoRestrictValue):
    """The next power of two, within what gives a row FRACTION_BITS_MINIMUM..FRACTION_BITS_MAXIMUM."""

    def __init__(self, bit_width: int) -> None:
        super().__init__(CeilSte())
        self.lowest = float(bit_width - 1 - FRACTION_BITS_MAXIMUM)
        self.highest = float(bit_width - 1 - FRACTION_BITS_MINIMUM)

    @brevitas.jit.script_method
    def forward(self, x: Tensor) -> Tensor:
        return self.power_of_two(scalar_clamp_ste(self.float_to_int_impl(x), self.lowest, self.highest))


class RowWeightQuant(Int8WeightPerChannelFixedPoint):
    """int8, narrow range, a unit per row: the smallest power of two that holds the row's largest weight.

    (A largest weight of exactly a power of two saturates by one unit.) With another `bit_width`, the same of
    fewer bits.
    """

    float_to_int_impl = RoundHalfUp
    restrict_scaling_impl = RowPowerOfTwo
    restrict_threshold_impl = PowerOfTwoRestrictValue  # of the 2^7 that the scale is divided by
    int_scaling_impl = PowerOfTwoIntScaling


def row_weight_quant(bits: int) -> Any:
    """Return RowWeightQuant for weights of so many bits."""
    return RowWeightQuant if bits == WEIGHT_BITS else RowWeightQuant.let(bit_width=bits)


class _FixedPoint(ExtendedInjector):
    """A constant power-of-two unit: max_val / 2^(bit_width - 1) signed, max_val / 2^bit_width unsigned."""

    quant_type = QuantType.INT
    bit_width_impl_type = BitWidthImplType.CONST
    scaling_impl_type = ScalingImplType.CONST
    restrict_scaling_type = RestrictValueType.POWER_OF_TWO
    scaling_per_output_channel = False
    float_to_int_impl = RoundHalfUp


class SumQuant(_FixedPoint, IntQuant, ActQuantSolver):
    """Sums and logits: units of 2^-11.

    Never saturates: accumulators have at most 28 bits (packing checks it), in units of 2^-11 or smaller.
    """

    float_to_int_impl = RoundHalfUp
    bit_width, min_val, max_val = 30, -(2.0**18), 2.0**18


class StoredSumQuant(_FixedPoint, IntQuant, ActQuantSolver):
    """Sums kept in 16 bits (biases, table entries, the sum inside the reset gate): units of 2^-11."""

    float_to_int_impl = RoundHalfUp
    bit_width, min_val, max_val = 16, -16.0, 16.0


class CompactSumQuant(_FixedPoint, IntQuant, ActQuantSolver):
    """Biases of words where there are many: the high byte of StoredSumQuant's 16 bits."""

    float_to_int_impl = RoundHalfUp
    bit_width, min_val, max_val = COMPACT_BIAS_BITS, -16.0, 16.0


class GateInputQuant(_FixedPoint, IntQuant, ActQuantSolver):
    """The index of the gate tables, Q3.8, saturating."""

    float_to_int_impl = RoundHalfUp
    bit_width, min_val, max_val = 12, -8.0, 8.0


class CellQuant(_FixedPoint, IntQuant, ActQuantSolver):
    """Cells and thresholds: 16 bits, units of 2^-15."""

    float_to_int_impl = RoundHalfUp
    bit_width, min_val, max_val = 16, -1.0, 1.0


class EventQuant(_FixedPoint, UintQuant, ActQuantSolver):
    """Event values: unsigned 8 bits, units of 2^-8, saturating."""

    float_to_int_impl = RoundHalfUp
    bit_width, min_val, max_val = 8, 0.0, 1.0


class EmbeddingQuant(_FixedPoint, NarrowIntQuant, ActQuantSolver):
    """int8, narrow range, saturating; one unit for the whole tensor: see `embedding_quantizer`."""

    float_to_int_impl = RoundHalfUp
    bit_width = 8


def embedding_quantizer(fraction_bits: int) -> ActivationQuantizer:
    """Return the quantiser of an embedding in units of 2^-fraction_bits.

    The unit is a choice, not the largest value's: a handful of outliers would cost all others two bits.
    """
    largest = 2.0 ** (WEIGHT_BITS - 1 - fraction_bits)
    return ActivationQuantizer(EmbeddingQuant.let(min_val=-largest, max_val=largest))


NARROW_DECODER_FRACTION_BITS = 3
"""The unit of decoder weights of fewer than 8 bits is 2^-3, the coarsest that a checkpoint has.

Words share it, and large weights saturate: a unit that held each word's largest would round most to zero.
"""


def decoder_weight_limit(bits: int) -> float:
    """Return the largest decoder weight that fewer than 8 bits hold."""
    return float((1 << (bits - 1)) - 1) * 2.0**-NARROW_DECODER_FRACTION_BITS


class NarrowDecoderQuantizer(nn.Module):
    """Decoder weights of fewer than 8 bits, in one unit for all; called as a WeightQuantizer is."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        largest = 2.0 ** (bits - 1 - NARROW_DECODER_FRACTION_BITS)
        self.quantize = ActivationQuantizer(
            EmbeddingQuant.let(bit_width=bits, min_val=-largest, max_val=largest)
        )

    def forward(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the quantised matrix and the units of its rows, [rows, 1]."""
        units = weights.new_full((weights.shape[0], 1), 2.0**-NARROW_DECODER_FRACTION_BITS)
        return self.quantize(weights), units


class ActivationQuantizer(nn.Module):
    """A Brevitas activation quantiser with a constant unit, without the bookkeeping of quantised tensors."""

    def __init__(self, injector: Any) -> None:
        super().__init__()
        tensor_quant = QuantIdentity(act_quant=injector).act_quant.fused_activation_quant_proxy.tensor_quant
        # Constants, asked for once here, not at every step. As buffers they go with the model to its device:
        # a recorded graph cannot fetch them from the processor.
        self.unit: Tensor
        with torch.no_grad():
            constants = tensor_quant(torch.zeros(1))[1:]
        for name, constant in zip(("unit", "zero_point", "bit_width"), constants, strict=True):
            self.register_buffer(name, constant, persistent=False)
        self.integer_quantizer = tensor_quant.int_quant

    def forward(self, x: Tensor) -> Tensor:
        """Return x rounded half up to the unit and saturated, in x's type."""
        quantized: Tensor = self.integer_quantizer(self.unit, self.zero_point, self.bit_width, x)
        return quantized


class WeightQuantizer(nn.Module):
    """A Brevitas weight quantiser for matrices of one shape, whichever parameter they come from."""

    def __init__(self, injector: Any, rows: int, columns: int) -> None:
        super().__init__()
        # Statistics are taken from the tensor that is passed; the injector only asks this one for its shape.
        self.weight = torch.empty(rows, columns)
        self.out_channels, self.output_channel_dim = rows, 0
        self.quantize = injector.let(module=self, tracked_parameter_list=[self.weight]).tensor_quant

    def forward(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the quantised matrix and the units of its rows, [rows, 1]."""
        quantized, scale, _, _ = self.quantize(weights)
        return quantized, scale
