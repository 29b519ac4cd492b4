// Types and sizes that the units of the kernel share (the counterpart of hls/rtl/kernel_types_pkg.sv).
//
// Number types are ap_int in synthesis. Compiled natively they are the smallest C++ integer that holds as
// many bits, which is what makes the native kernel fast; every quantity's range is bounded in
// docs/formats.md, so nothing relies on the wrap of an odd width. A native test build with EGRET_EXACT_TYPES
// takes the ap_int types too, and must give the same bits.
#pragma once

#include <cstdint>
#include <type_traits>

#include "ap_int.h"
#include "hls_burst_maxi.h"
#include "hls_stream.h"

#include "egret_kernel_config.hpp"

namespace egret {

// -- integers of a number of bits
#if defined(__SYNTHESIS__) || defined(EGRET_EXACT_TYPES)
template <unsigned BITS>
struct integer {
  typedef ap_int<BITS> with_sign;
  typedef ap_uint<BITS> without_sign;
};
#else
template <unsigned BITS>
struct integer {
  static_assert(BITS >= 1 && BITS <= 64, "no native integer is that wide");
  typedef typename std::conditional<
      (BITS <= 8), std::int8_t,
      typename std::conditional<(BITS <= 16), std::int16_t,
                                typename std::conditional<(BITS <= 32), std::int32_t, std::int64_t>::type>::type>::type
      with_sign;
  typedef typename std::make_unsigned<with_sign>::type without_sign;
};
#endif
template <unsigned BITS>
using int_bits = typename integer<BITS>::with_sign;
template <unsigned BITS>
using uint_bits = typename integer<BITS>::without_sign;

// -- sizes that follow from the build parameters
constexpr unsigned ceil_log2(unsigned value) { return value <= 1 ? 0 : 1 + ceil_log2((value + 1) / 2); }

constexpr unsigned SLOTS = ENGINES * LANES;
constexpr unsigned ENTRY_BITS = WEIGHT_BITS + GAP_BITS;
constexpr unsigned BEAT_BITS = 8 * BUS_BYTES;
static_assert(BUS_BYTES == 8 || BUS_BYTES == 16, "BUS_BYTES must be 8 or 16");
static_assert(LANES * ENTRY_BITS <= BEAT_BITS, "LANES entries must fit in a beat");
static_assert(MAX_BURST_BEATS * BUS_BYTES <= 4096, "a burst must fit in 4 KB");

// Layers alternate between two accumulator banks and the decoder has a third, so that one can be swept while
// another is added to. They are of one size, so that one dataflow region serves every pair of them. A row
// number is cut to the bank's address bits, so that no image can point outside.
constexpr unsigned BANK_BITS = ceil_log2(ACCUMULATOR_DEPTH > LOGIT_DEPTH ? ACCUMULATOR_DEPTH : LOGIT_DEPTH);
constexpr unsigned BANK_DEPTH = 1u << BANK_BITS;

// The row of the folded table that layer 0 takes: three planes (z, r, gx) of int16 entries, a beat a word.
constexpr unsigned TABLE_PLANES = 3;
constexpr unsigned TABLE_ENTRIES = BUS_BYTES / 2;
constexpr unsigned TABLE_DEPTH = (NEURON_DEPTH + TABLE_ENTRIES - 1) / TABLE_ENTRIES;

constexpr unsigned EVENT_DEPTH = ENGINES * NEURON_DEPTH;  // events of all layers
constexpr unsigned SECTIONS = 4;                          // a neuron's accumulators: gx, z, r, gr
constexpr unsigned SECTION_GX = 0, SECTION_Z = 1, SECTION_R = 2, SECTION_GR = 3;

// -- numbers (docs/formats.md, section 1)
typedef int_bits<WEIGHT_BITS> weight_t;
typedef uint_bits<GAP_BITS> gap_t;
typedef uint_bits<EVENT_BITS> event_value_t;
typedef int_bits<WEIGHT_BITS + EVENT_BITS + 1> product_t;
typedef int_bits<ACCUMULATOR_BITS> accumulator_t;
typedef int_bits<ACCUMULATOR_BITS + 2> sum_t;  // an accumulator shifted right, a bias and a gated sum added
typedef int_bits<SUM_BITS> bias_t;
typedef uint_bits<SHIFT_BITS> shift_t;
typedef int_bits<GATE_INPUT_BITS> gate_input_t;
typedef uint_bits<GATE_OUTPUT_FRACTION_BITS> gate_t;           // z, r
typedef int_bits<GATE_OUTPUT_FRACTION_BITS + 1> candidate_t;  // g
typedef int_bits<STATE_BITS> state_t;                         // c, threshold
typedef int_bits<LOGIT_BITS> logit_t;

// Entries of the gate tables. Natively thousands of ap_int constants would all have to be constructed at the
// start.
#ifdef __SYNTHESIS__
typedef gate_t gate_entry_t;
typedef candidate_t candidate_entry_t;
#else
typedef std::uint16_t gate_entry_t;
typedef std::int16_t candidate_entry_t;
#endif

// -- indices
typedef std::uint16_t neuron_index_t;
typedef std::uint16_t row_t;       // in a lane's accumulators
typedef std::uint16_t pointer_t;   // in an engine's column pointers
typedef std::uint64_t address_t;   // of a beat: the byte address / BUS_BYTES
typedef std::uint32_t beat_count_t;

// -- what the units exchange
enum request_kind_t {
  REQUEST_COLUMN = 0,  // look the column up in the column pointers and read it
  REQUEST_BLOCK = 1,   // read `beats` beats at `address`
  REQUEST_MARK = 2,    // no column follows
  REQUEST_END = 3      // nothing follows
};

struct request_t {
  uint_bits<2> kind;
  pointer_t pointer;         // column: index of its first pointer
  event_value_t value;       // column
  row_t accumulator_base;    // column: accumulator of row 0
  address_t address;         // block
  beat_count_t beats;        // block
};

struct job_t {  // a read for the column fetcher
  address_t address;
  beat_count_t beats;
  bool end;
};

struct descriptor_t {  // what the beats of a job are
  uint_bits<2> kind;
  event_value_t value;
  row_t accumulator_base;
  beat_count_t beats;
};

struct event_t {
  neuron_index_t neuron;
  event_value_t value;
  bool end;  // no event: the engine's update is over
};

struct list_entry_t {
  neuron_index_t neuron;
  event_value_t value;
};

struct best_t {  // the largest logit of an engine's words
  bool valid;
  logit_t logit;
  std::uint32_t word;
};

struct next_token_t {
  bool valid;  // there is a next token, and it is in the vocabulary
  std::uint32_t token;
};

struct logit_group_t {  // one group of an engine: LANES words
  logit_t logit[LANES];
};

// -- what the image holds
struct neuron_record_t {
  bias_t bias[SECTIONS];
  shift_t shift[SECTIONS];
  state_t threshold;
};

struct word_record_t {
  bias_t bias;
  shift_t shift;
};

struct layer_t {
  neuron_index_t neurons;
  std::uint16_t groups;               // rounds of SLOTS neurons
  std::uint16_t position_base;        // first record of the layer in each engine
  row_t accumulator_base;             // in the layer's bank
  pointer_t recurrent_pointer_base;   // column 0 of R_l
  row_t recurrent_accumulator_base;   // its row 0: gx stands before z, r, gr
  pointer_t forward_pointer_base;     // column 0 of W_l+1, or of the decoder
  row_t forward_accumulator_base;
};

struct model_t {
  std::uint32_t layers;
  std::uint32_t vocabulary;
  layer_t layer[IMAGE_MAX_LAYERS];
  std::uint32_t decoder_groups;
  beat_count_t table_plane_beats;
  beat_count_t table_row_beats;
  address_t table_address[ENGINES];
  address_t columns_address[ENGINES];
  beat_count_t columns_beats[ENGINES];
};

// What an engine did in a step, for the counters.
struct work_t {
  std::uint32_t macs;
  std::uint32_t beats;
};

}  // namespace egret
