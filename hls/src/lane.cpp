#include "lane.hpp"

namespace egret {

// A sum takes some cycles from its read to its write. Until it is written, the entries behind it that go to
// the same row must get it from registers: the last FORWARDED_SUMS sums are kept there. A read then needs
// from memory only what was written FORWARDED_SUMS + 1 iterations ago or earlier, which is what the
// DEPENDENCE pragmas below state.
constexpr unsigned FORWARDED_SUMS = 3;
constexpr unsigned DEPENDENCE_DISTANCE = 4;
static_assert(DEPENDENCE_DISTANCE == FORWARDED_SUMS + 1, "the dependence pragmas must state this distance");

// Natively a sum is in memory at once and forwarding would only cost time, unless a test build lets it arrive
// late: when it leaves the registers, the latest that the dependence pragmas allow. If forwarding missed a case,
// the bits would differ.
#if defined(__SYNTHESIS__) || defined(EGRET_DELAYED_WRITES)
constexpr bool SUMS_ARRIVE_LATE = true;
#else
constexpr bool SUMS_ARRIVE_LATE = false;
#endif
#if !defined(__SYNTHESIS__) && defined(EGRET_DELAYED_WRITES)
constexpr bool WRITES_ARE_HELD = true;
#else
constexpr bool WRITES_ARE_HELD = false;
#endif

namespace {

struct recent_t {  // a sum just made
  bool valid;      // it went to memory
  row_t row;
  accumulator_t sum;
};

accumulator_t add(accumulator_t sum, accumulator_t product) {
#pragma HLS INLINE
#if defined(__SYNTHESIS__) || defined(EGRET_EXACT_TYPES)
  return sum + product;
#else
  // An image whose rows are too large for the accumulator (the packer makes none) must not be undefined
  // behaviour.
  return static_cast<accumulator_t>(static_cast<std::uint32_t>(sum) + static_cast<std::uint32_t>(product));
#endif
}

template <unsigned LANE_COUNT>
void forget(recent_t recent[LANE_COUNT][FORWARDED_SUMS]) {
#pragma HLS INLINE
forget:
  for (unsigned p = 0; p < LANE_COUNT; ++p) {
#pragma HLS UNROLL
  forget_lane:
    for (unsigned k = 0; k < FORWARDED_SUMS; ++k) {
#pragma HLS UNROLL
      recent[p][k].valid = false;
      recent[p][k].row = 0;
      recent[p][k].sum = 0;
    }
  }
}

// One beat, all lanes at once; returns the multiply-accumulates done. `row` is that of each lane's last entry,
// `recent` its last sums, the newest first.
template <unsigned LANE_COUNT, unsigned WIDTH, unsigned GAP_WIDTH, unsigned DEPTH>
unsigned add_beat(const word_t &word, bool first, row_t base, event_value_t value, row_t row[LANE_COUNT],
                  recent_t recent[LANE_COUNT][FORWARDED_SUMS], accumulator_t sums[LANE_COUNT][DEPTH]) {
#pragma HLS INLINE
  constexpr unsigned ENTRY_BITS = WIDTH + GAP_WIDTH;
  constexpr unsigned STORED_GAP = GAP_WIDTH == 0 ? 1 : GAP_WIDTH;  // no field has 0 bits
  typedef int_bits<WIDTH + EVENT_BITS + 1> product_t;
  unsigned macs = 0;
unpack:
  for (unsigned p = 0; p < LANE_COUNT; ++p) {
#pragma HLS UNROLL
    const int_bits<WIDTH> weight = signed_field<WIDTH>(word, p * ENTRY_BITS);
    row_t gap = 0;
    if (GAP_WIDTH != 0) gap = static_cast<row_t>(field<STORED_GAP>(word, p * ENTRY_BITS + WIDTH));
    // The first entry of a column is for row `gap`, each next one for the row before + 1 + gap.
    row[p] = static_cast<row_t>((first ? base : static_cast<row_t>(row[p] + 1)) + gap);
    const row_t target = static_cast<row_t>(row[p] & (DEPTH - 1));
    accumulator_t sum = sums[p][target];
  forward:
    for (unsigned k = FORWARDED_SUMS; k > 0; --k) {  // the newest last, so that it wins
#pragma HLS UNROLL
      if (SUMS_ARRIVE_LATE && recent[p][k - 1].valid && recent[p][k - 1].row == target) sum = recent[p][k - 1].sum;
    }
    const product_t product = static_cast<product_t>(weight * value);
    sum = add(sum, product);
    // A weight of zero changes nothing, wherever its row lies.
    const bool counts = weight != 0;
    if (WRITES_ARE_HELD) {
      const recent_t &oldest = recent[p][FORWARDED_SUMS - 1];
      if (oldest.valid) sums[p][oldest.row] = oldest.sum;
    } else if (counts) {
      sums[p][target] = sum;
    }
    if (SUMS_ARRIVE_LATE) {
    keep:
      for (unsigned k = FORWARDED_SUMS - 1; k > 0; --k) {
#pragma HLS UNROLL
        recent[p][k] = recent[p][k - 1];
      }
      recent[p][0].valid = counts;
      recent[p][0].row = target;
      recent[p][0].sum = sum;
    }
    macs += counts;
  }
  return macs;
}

// Writes what the test build still holds.
template <unsigned LANE_COUNT, unsigned DEPTH>
void release(const recent_t recent[LANE_COUNT][FORWARDED_SUMS], accumulator_t sums[LANE_COUNT][DEPTH]) {
#pragma HLS INLINE
  if (WRITES_ARE_HELD) {
  release:
    for (unsigned p = 0; p < LANE_COUNT; ++p) {
    release_lane:
      for (unsigned k = FORWARDED_SUMS; k > 0; --k) {
        if (recent[p][k - 1].valid) sums[p][recent[p][k - 1].row] = recent[p][k - 1].sum;
      }
    }
  }
}

}  // namespace

// II = 1, all lanes at once. Recurrences of a lane: its row (an addition of ROW_BITS), and its sum if the entry
// before went to the same row (a choice among FORWARDED_SUMS registers and memory, and an ACCUMULATOR_BITS
// addition; rows are compared and weights multiplied in earlier stages, since neither depends on a sum).
// Memory: a lane has sums of its own, one read and one write an iteration, which is what the two ports of its
// block RAM give; a beat is for one of the three memories. A read and a write of one address are never closer
// than the pragmas' distance (see FORWARDED_SUMS).
void lanes(beat_count_t table_plane_beats, hls::stream<descriptor_t> &descriptors, hls::stream<word_t> &beats,
           accumulator_t sums[LANES][SUM_DEPTH], accumulator_t word_sums[DECODER_LANES][WORD_DEPTH],
           word_t table_row[TABLE_PLANES][TABLE_DEPTH], work_t &work) {
  row_t row[LANES];
  row_t word_row[DECODER_LANES];
  recent_t recent[LANES][FORWARDED_SUMS];
  recent_t word_recent[DECODER_LANES][FORWARDED_SUMS];
#pragma HLS ARRAY_PARTITION variable=row complete dim=0
#pragma HLS ARRAY_PARTITION variable=word_row complete dim=0
#pragma HLS ARRAY_PARTITION variable=recent complete dim=0
#pragma HLS ARRAY_PARTITION variable=word_recent complete dim=0
start:
  for (unsigned p = 0; p < LANES; ++p) {
#pragma HLS UNROLL
    row[p] = 0;
  }
start_words:
  for (unsigned p = 0; p < DECODER_LANES; ++p) {
#pragma HLS UNROLL
    word_row[p] = 0;
  }
  forget<LANES>(recent);
  forget<DECODER_LANES>(word_recent);

  std::uint32_t macs = 0;
  std::uint32_t taken = 0;
  descriptor_t column = {};
  beat_count_t beats_left = 0;  // of the column or row
  unsigned plane = 0;           // of the table row, the next beat's
  beat_count_t place = 0;
  bool ended = false;

accumulate:
  while (!ended) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=65536 avg=1000
#pragma HLS DEPENDENCE variable=sums type=inter direction=RAW distance=4 dependent=true
#pragma HLS DEPENDENCE variable=word_sums type=inter direction=RAW distance=4 dependent=true
    const bool first = beats_left == 0;
    if (first && column.recurrent_beats != 0) {
      column.target = TO_LAYERS;
      column.base = column.recurrent_base;
      beats_left = column.recurrent_beats;
      column.recurrent_beats = 0;
    } else if (first) {
      column = descriptors.read();
      beats_left = column.beats;
      ended = column.target == TO_END;
    }
    if (!ended) {
      const word_t word = beats.read();
      --beats_left;
      ++taken;
      if (column.target == TO_LAYERS) {
        macs += add_beat<LANES, WEIGHT_BITS, GAP_BITS, SUM_DEPTH>(word, first, column.base, column.value, row, recent,
                                                                  sums);
      } else if (column.target == TO_DECODER) {
        macs += add_beat<DECODER_LANES, DECODER_WEIGHT_BITS, DECODER_GAP_BITS, WORD_DEPTH>(
            word, first, column.base, column.value, word_row, word_recent, word_sums);
      } else {
        table_row[plane][place] = word;
        ++place;
        if (place == table_plane_beats) {
          place = 0;
          ++plane;
        }
      }
    }
  }
  release<LANES, SUM_DEPTH>(recent, sums);
  release<DECODER_LANES, WORD_DEPTH>(word_recent, word_sums);
  work.macs = macs;
  work.beats = taken;
}

}  // namespace egret
