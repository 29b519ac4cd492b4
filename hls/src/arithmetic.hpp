// The arithmetic of docs/formats.md, section 1, that more than one unit needs.
#pragma once

#include "kernel_types.hpp"

namespace egret {

// round_shift(accumulator, shift) + bias, rounding half up: shift with one bit kept below the point, then add
// it.
inline sum_t scaled_sum(accumulator_t accumulator, shift_t shift, bias_t bias) {
#pragma HLS INLINE
  typedef int_bits<ACCUMULATOR_BITS + 1> doubled_t;
  const doubled_t doubled = static_cast<doubled_t>(static_cast<doubled_t>(accumulator) * 2);
  const doubled_t shifted = static_cast<doubled_t>(doubled >> shift);
  const sum_t rounded = static_cast<sum_t>(shifted >> 1) + static_cast<sum_t>(shifted & 1);
  return static_cast<sum_t>(rounded + bias);
}

// Q3.8 from 11 fractional bits, rounded half up, saturated.
inline gate_input_t gate_input(sum_t sum) {
#pragma HLS INLINE
  constexpr int DROPPED = SUM_FRACTION_BITS - GATE_INPUT_FRACTION_BITS;
  constexpr int LARGEST = (1 << (GATE_INPUT_BITS - 1)) - 1;
  const sum_t rounded = static_cast<sum_t>((sum + (1 << (DROPPED - 1))) >> DROPPED);
  if (rounded > LARGEST) return LARGEST;
  if (rounded < -LARGEST - 1) return -LARGEST - 1;
  return static_cast<gate_input_t>(rounded);
}

// A gate input as the address of a gate table: its two's complement.
inline uint_bits<GATE_INPUT_BITS> gate_address(gate_input_t input) {
#pragma HLS INLINE
  return static_cast<uint_bits<GATE_INPUT_BITS>>(static_cast<unsigned>(static_cast<int>(input)) &
                                                 ((1u << GATE_INPUT_BITS) - 1));
}

}  // namespace egret
