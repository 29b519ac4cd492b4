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

constexpr unsigned SLOTS = ENGINES * LANES;               // neurons in a group: one per lane of every engine
constexpr unsigned WORD_SLOTS = ENGINES * DECODER_LANES;  // words in a group
constexpr unsigned BEAT_BITS = 8 * BUS_BYTES;
static_assert(BUS_BYTES == 8 || BUS_BYTES == 16, "BUS_BYTES must be 8 or 16");
static_assert(LANES * (WEIGHT_BITS + GAP_BITS) <= BEAT_BITS, "LANES entries must fit in a beat");
static_assert(DECODER_LANES * (DECODER_WEIGHT_BITS + DECODER_GAP_BITS) <= BEAT_BITS,
              "DECODER_LANES entries must fit in a beat");
static_assert(MAX_BURST_BEATS * BUS_BYTES <= 4096, "a burst must fit in 4 KB");

// A lane's sums of all layers, those of the even layers in the lower half and those of the odd ones in the
// upper, and a decoder lane's sums of words. A row number is cut to the address bits, so that no image can
// point outside.
constexpr unsigned HALF_BITS = ceil_log2(ACCUMULATOR_DEPTH);
constexpr unsigned HALF_DEPTH = 1u << HALF_BITS;
constexpr unsigned SUM_DEPTH = 2 * HALF_DEPTH;
constexpr unsigned WORD_DEPTH = 1u << ceil_log2(LOGIT_DEPTH);
constexpr unsigned ROW_BITS = ceil_log2(SUM_DEPTH > WORD_DEPTH ? SUM_DEPTH : WORD_DEPTH) + 1;

// The row of the folded table that layer 0 takes: three planes (z, r, gx) of int16 entries, a beat a word.
// Layer 0 may have half of the neuron positions.
constexpr unsigned TABLE_PLANES = 3;
constexpr unsigned TABLE_ENTRIES = BUS_BYTES / 2;
constexpr unsigned TABLE_POSITIONS = NEURON_DEPTH / 2;
constexpr unsigned TABLE_DEPTH = (TABLE_POSITIONS + TABLE_ENTRIES - 1) / TABLE_ENTRIES;

constexpr unsigned EVENT_DEPTH = ENGINES * NEURON_DEPTH;  // events of all layers
// An image's column pointers in pairs, a pair a neuron; a layer's last pointer is kept apart.
constexpr unsigned COLUMNS_DEPTH = (POINTER_DEPTH + 1) / 2;
constexpr unsigned SECTIONS = 4;                          // a neuron's accumulators: gx, z, r, gr
constexpr unsigned SECTION_GX = 0, SECTION_Z = 1, SECTION_R = 2, SECTION_GR = 3;

// -- numbers (docs/formats.md, section 1)
typedef uint_bits<EVENT_BITS> event_value_t;
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
typedef uint_bits<ROW_BITS> row_t;  // in a lane's sums
typedef std::uint16_t pointer_t;    // in an engine's column pointers
typedef std::uint64_t address_t;    // of a beat: the byte address / BUS_BYTES
typedef std::uint32_t beat_count_t;

// -- what the image holds
// Where what one neuron's events feed begins, in beats. It ends where that of the layer's next neuron begins.
struct columns_t {
  beat_count_t forward;    // column of W_l+1, or of the decoder
  beat_count_t recurrent;  // column of R_l; the forward column's end
};

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
  std::uint16_t groups;              // rounds of SLOTS neurons
  std::uint16_t position_base;       // first record of the layer in each engine
  pointer_t pointer_base;            // columns of neuron 0
  row_t accumulator_base;            // of the neurons' sums
  row_t recurrent_accumulator_base;  // row 0 of R_l: gx stands before z, r, gr
  row_t forward_accumulator_base;    // row 0 of W_l+1, or of the decoder
};

struct model_t {
  std::uint32_t layers;
  std::uint32_t vocabulary;
  layer_t layer[IMAGE_MAX_LAYERS];
  std::uint32_t decoder_groups;  // rounds of WORD_SLOTS words
  beat_count_t table_plane_beats;
  beat_count_t table_row_beats;
  address_t table_address[ENGINES];
  address_t columns_address[ENGINES];
  beat_count_t columns_beats[ENGINES];
};

// -- what the units exchange
enum job_kind_t {
  JOB_PLAY = 0,    // fetch the recurrent columns of the layer's last events
  JOB_UPDATE = 1,  // update the layer; fetch the columns of what fires
  JOB_END = 2
};

struct layer_job_t {
  uint_bits<2> kind;
  unsigned index;  // of the layer
  bool last;       // it feeds the decoder
  bool recurrent;  // update: the recurrent columns are fetched, too
  layer_t layer;
};

enum request_kind_t {
  REQUEST_COLUMNS = 0,  // look one neuron's columns up in the column pointers and read them
  REQUEST_ROW = 1,      // read a row of the token table
  REQUEST_END = 2
};

struct request_t {
  uint_bits<2> kind;
  pointer_t pointer;     // columns: index of the neuron's pointers
  event_value_t value;   // columns
  bool forward;          // columns: the forward one is wanted
  bool recurrent;        // columns: the recurrent one is wanted
  bool to_decoder;       // columns: what the forward one feeds
  uint_bits<3> layer;    // columns: whose neuron it is
  bool last_neuron;      // columns: none follows in its layer
  row_t forward_base;    // columns: accumulator of row 0
  row_t recurrent_base;  // columns: likewise
  address_t address;     // row
  beat_count_t beats;    // row
};

struct job_t {  // a read for the column fetcher
  address_t address;
  beat_count_t beats;
  bool end;
};

enum target_t {
  TO_LAYERS = 0,   // sums of layers
  TO_DECODER = 1,  // sums of words
  TO_ROW = 2,      // the table row
  TO_END = 3       // nothing follows
};

// What the beats of a job are: one column or the table row, and a recurrent column behind it if that has beats.
struct descriptor_t {
  uint_bits<2> target;
  event_value_t value;
  row_t base;          // accumulator of row 0
  beat_count_t beats;  // 0 at the end only
  row_t recurrent_base;
  beat_count_t recurrent_beats;
};

struct event_t {
  neuron_index_t neuron;
  event_value_t value;
  bool end;  // no event: the engine's update of a layer is over
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

struct logit_group_t {  // one group of an engine
  logit_t logit[DECODER_LANES];
};

struct record_t {  // the result of a token
  bool valid;      // there is one
  std::uint32_t word;
  logit_t logit;
  std::uint32_t token;
  std::uint16_t events[IMAGE_MAX_LAYERS];
};

// What an engine did in a wave, for the counters.
struct work_t {
  std::uint32_t macs;
  std::uint32_t beats;
};

}  // namespace egret
