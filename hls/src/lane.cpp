#include "lane.hpp"

namespace egret {

// A sum takes some cycles from its read to its write. Until it is written, the entries behind it that go to
// the same row must get it from registers: the last FORWARDED_SUMS sums are kept there. A read then needs
// from memory only what was written FORWARDED_SUMS + 1 iterations ago or earlier, which is what the
// DEPENDENCE pragma below states.
constexpr unsigned FORWARDED_SUMS = 3;
constexpr unsigned DEPENDENCE_DISTANCE = 4;
static_assert(DEPENDENCE_DISTANCE == FORWARDED_SUMS + 1, "the dependence pragma must state this distance");

// Natively a sum is in memory at once and forwarding would only cost time, unless a test build lets it arrive
// late.
#if defined(__SYNTHESIS__) || defined(EGRET_DELAYED_WRITES)
constexpr bool SUMS_ARRIVE_LATE = true;
#else
constexpr bool SUMS_ARRIVE_LATE = false;
#endif

namespace {

#ifdef EGRET_DELAYED_WRITES
// A native test build lets a sum reach the memory as late as the dependence pragma allows: the next
// FORWARDED_SUMS reads do not see it. If forwarding missed a case, the bits would differ.
class delayed_writes_t {
 public:
  void before_read(accumulator_t row[BANK_DEPTH]) {
    write(row, DEPENDENCE_DISTANCE - 1);
    for (unsigned k = DEPENDENCE_DISTANCE - 1; k > 0; --k) {
      valid_[k] = valid_[k - 1];
      rows_[k] = rows_[k - 1];
      sums_[k] = sums_[k - 1];
    }
    valid_[0] = false;
  }
  void hold(row_t row, accumulator_t sum) {
    valid_[0] = true;
    rows_[0] = row;
    sums_[0] = sum;
  }
  void flush(accumulator_t row[BANK_DEPTH]) {
    for (unsigned k = DEPENDENCE_DISTANCE; k > 0; --k) write(row, k - 1);
  }

 private:
  void write(accumulator_t row[BANK_DEPTH], unsigned k) {
    if (valid_[k]) row[rows_[k]] = sums_[k];
  }
  bool valid_[DEPENDENCE_DISTANCE] = {};
  row_t rows_[DEPENDENCE_DISTANCE] = {};
  accumulator_t sums_[DEPENDENCE_DISTANCE] = {};
};
#endif

accumulator_t add(accumulator_t sum, product_t product) {
#pragma HLS INLINE
#if defined(__SYNTHESIS__) || defined(EGRET_EXACT_TYPES)
  return sum + product;
#else
  // An image whose rows are too large for the accumulator (the packer makes none) must not be undefined
  // behaviour.
  return static_cast<accumulator_t>(static_cast<std::uint32_t>(sum) + static_cast<std::uint32_t>(product));
#endif
}

}  // namespace

// II = 1, all lanes at once. Recurrences of a lane: its row (a 16-bit addition), and its sum if the entry
// before went to the same row (a choice among FORWARDED_SUMS registers and memory, and an ACCUMULATOR_BITS
// addition; rows are compared and weights multiplied in earlier stages, since neither depends on a sum).
// Memory: a lane has a bank row of its own, one read and one write an iteration, which is what the two ports
// of its block RAM give. A read and a write of one address are never closer than the pragma's distance (see
// FORWARDED_SUMS).
void lanes(hls::stream<descriptor_t> &descriptors, hls::stream<word_t> &beats,
           accumulator_t bank[LANES][BANK_DEPTH], work_t &work) {
  row_t row[LANES];  // of each lane's last entry
  // The last sums of each lane, the newest first, and whether they went to memory.
  bool valid[LANES][FORWARDED_SUMS];
  row_t rows[LANES][FORWARDED_SUMS];
  accumulator_t sums[LANES][FORWARDED_SUMS];
#pragma HLS ARRAY_PARTITION variable=row complete dim=0
#pragma HLS ARRAY_PARTITION variable=valid complete dim=0
#pragma HLS ARRAY_PARTITION variable=rows complete dim=0
#pragma HLS ARRAY_PARTITION variable=sums complete dim=0
#ifdef EGRET_DELAYED_WRITES
  delayed_writes_t delayed[LANES];
#endif
start:
  for (unsigned p = 0; p < LANES; ++p) {
#pragma HLS UNROLL
    row[p] = 0;
  forget:
    for (unsigned k = 0; k < FORWARDED_SUMS; ++k) {
#pragma HLS UNROLL
      valid[p][k] = false;
      rows[p][k] = 0;
      sums[p][k] = 0;
    }
  }

  std::uint32_t macs = 0;
  std::uint32_t taken = 0;
  beat_count_t beats_left = 0;
  descriptor_t column = {};
  bool marked = false;

accumulate:
  while (!marked) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=65536 avg=1000
#pragma HLS DEPENDENCE variable=bank type=inter direction=RAW distance=4 dependent=true
    const bool first = beats_left == 0;
    if (first) {
      column = descriptors.read();
      beats_left = column.beats;
      marked = column.kind == REQUEST_MARK;
    }
    if (!marked) {
      const word_t word = beats.read();
      --beats_left;
      ++taken;
      unsigned beat_macs = 0;
    unpack:
      for (unsigned p = 0; p < LANES; ++p) {
#pragma HLS UNROLL
        const weight_t weight = signed_field<WEIGHT_BITS>(word, p * ENTRY_BITS);
        const gap_t gap = field<GAP_BITS>(word, p * ENTRY_BITS + WEIGHT_BITS);
        // The first entry of a column is for row `gap`, each next one for the row before + 1 + gap.
        row[p] = static_cast<row_t>((first ? column.accumulator_base : row[p] + 1) + gap);
        const row_t target = static_cast<row_t>(row[p] & (BANK_DEPTH - 1));
#ifdef EGRET_DELAYED_WRITES
        delayed[p].before_read(bank[p]);
#endif
        accumulator_t sum = bank[p][target];
      forward:
        for (unsigned k = FORWARDED_SUMS; k > 0; --k) {  // the newest last, so that it wins
#pragma HLS UNROLL
          if (SUMS_ARRIVE_LATE && valid[p][k - 1] && rows[p][k - 1] == target) sum = sums[p][k - 1];
        }
        sum = add(sum, static_cast<product_t>(weight * column.value));
        // A weight of zero changes nothing, wherever its row lies.
        const bool counts = weight != 0;
        if (counts) {
#ifdef EGRET_DELAYED_WRITES
          delayed[p].hold(target, sum);
#else
          bank[p][target] = sum;
#endif
        }
        if (SUMS_ARRIVE_LATE) {
        keep:
          for (unsigned k = FORWARDED_SUMS - 1; k > 0; --k) {
#pragma HLS UNROLL
            valid[p][k] = valid[p][k - 1];
            rows[p][k] = rows[p][k - 1];
            sums[p][k] = sums[p][k - 1];
          }
          valid[p][0] = counts;
          rows[p][0] = target;
          sums[p][0] = sum;
        }
        beat_macs += counts;
      }
      macs += beat_macs;
    }
  }
#ifdef EGRET_DELAYED_WRITES
  for (unsigned p = 0; p < LANES; ++p) delayed[p].flush(bank[p]);
#endif
  work.macs = macs;
  work.beats = taken;
}

void layer_lanes(hls::stream<descriptor_t> &descriptors, hls::stream<word_t> &beats,
                 accumulator_t bank[LANES][BANK_DEPTH], work_t &work) {
  lanes(descriptors, beats, bank, work);
  descriptors.read();  // REQUEST_END
}

void first_layer_lanes(beat_count_t table_plane_beats, hls::stream<descriptor_t> &descriptors,
                       hls::stream<word_t> &beats, accumulator_t bank[LANES][BANK_DEPTH],
                       word_t table_row[TABLE_PLANES][TABLE_DEPTH], work_t &work) {
  lanes(descriptors, beats, bank, work);
  const descriptor_t next = descriptors.read();
  if (next.kind == REQUEST_BLOCK) {
    unsigned plane = 0;
    beat_count_t position = 0;
    // II = 1: a beat from the stream, a write to the plane's memory; two counters are carried over.
  store_row:
    for (beat_count_t beat = 0; beat < next.beats; ++beat) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=3 max=1536 avg=150
      table_row[plane][position] = beats.read();
      ++position;
      if (position == table_plane_beats) {
        position = 0;
        ++plane;
      }
    }
    work.beats += next.beats;
    descriptors.read();  // REQUEST_END
  }
}

}  // namespace egret
