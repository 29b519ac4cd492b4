#include "decoder_sweep.hpp"

#include "arithmetic.hpp"
#include "token_interface.hpp"

namespace egret {

constexpr unsigned LOGITS_PER_BEAT = BEAT_BITS / LOGIT_BITS;

// II = 1: per iteration each lane's accumulator is read once and written to zero, and its record read once.
// Each address is visited once, so the dependence is false. Each lane carries its best over: a comparison of
// LOGIT_BITS bits and a choice, in one cycle.
void decoder_sweep(unsigned engine, bool sweep, bool write_logits, std::uint32_t groups, std::uint32_t vocabulary,
                   accumulator_t sums[DECODER_LANES][WORD_DEPTH],
                   const word_record_t records[DECODER_LANES][LOGIT_DEPTH],
                   hls::stream<best_t> &best, hls::stream<logit_group_t> &logits) {
  best_t lane_best[DECODER_LANES];
#pragma HLS ARRAY_PARTITION variable=lane_best complete
start:
  for (unsigned p = 0; p < DECODER_LANES; ++p) {
#pragma HLS UNROLL
    lane_best[p].valid = false;
    lane_best[p].logit = 0;
    lane_best[p].word = 0;
  }

  const std::uint32_t swept_groups = sweep ? groups : 0;
sweep_groups:
  for (std::uint32_t group = 0; group < swept_groups; ++group) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=0 max=1024 avg=1000
#pragma HLS DEPENDENCE variable=sums type=inter dependent=false
    logit_group_t row;
#pragma HLS ARRAY_PARTITION variable=row.logit complete
  words:
    for (unsigned p = 0; p < DECODER_LANES; ++p) {
#pragma HLS UNROLL
      const word_record_t record = records[p][group];
      const logit_t logit = static_cast<logit_t>(scaled_sum(sums[p][group], record.shift, record.bias));
      sums[p][group] = 0;
      row.logit[p] = logit;
      // Words come in rising order, so a later one wins only if it is larger.
      const std::uint32_t word = group * WORD_SLOTS + p * ENGINES + engine;
      if (word < vocabulary && (!lane_best[p].valid || logit > lane_best[p].logit)) {
        lane_best[p].valid = true;
        lane_best[p].logit = logit;
        lane_best[p].word = word;
      }
    }
    if (write_logits) logits.write(row);
  }

  // Across lanes the words are in no order: among equal logits the smallest word wins.
  best_t all;
  all.valid = false;
  all.logit = 0;
  all.word = 0;
compare:
  for (unsigned p = 0; p < DECODER_LANES; ++p) {
#pragma HLS PIPELINE II=1
    const best_t one = lane_best[p];
    if (one.valid && (!all.valid || one.logit > all.logit || (one.logit == all.logit && one.word < all.word))) {
      all = one;
    }
  }
  best.write(all);
}

namespace {

// II = 1: a logit per iteration; a beat leaves when it is full. The part of a beat is carried over in
// registers.
void write_block(port_t port, address_t address, std::uint32_t groups, hls::stream<logit_group_t> &logits) {
  const std::uint32_t count = groups * DECODER_LANES;
  port.write_request(address, (count + LOGITS_PER_BEAT - 1) / LOGITS_PER_BEAT);
  logit_group_t row = {};
#pragma HLS ARRAY_PARTITION variable=row.logit complete
  word_t word = 0;
  unsigned p = 0;
  unsigned place = 0;
pack:
  for (std::uint32_t index = 0; index < count; ++index) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=5120 avg=5000
    if (p == 0) row = logits.read();
    if (place == 0) word = 0;  // what is beyond the last logit is zero
    set_field<LOGIT_BITS>(word, place * LOGIT_BITS, static_cast<std::uint32_t>(row.logit[p]));
    ++place;
    if (place == LOGITS_PER_BEAT || index == count - 1) {
      write_word(port, word);
      place = 0;
    }
    ++p;
    if (p == DECODER_LANES) p = 0;
  }
  port.write_response();
}

}  // namespace

void result_writer(port_t port, bool write_logits, address_t logits_address, std::uint32_t groups,
                   address_t record_address, hls::stream<logit_group_t> &logits, hls::stream<record_t> &records) {
  if (write_logits) write_block(port, logits_address, groups, logits);
  const record_t record = records.read();
  if (record.valid) write_record(port, record_address, record);
}

}  // namespace egret
