// Decoder sweep of one engine: turns the decoder's accumulators into logits, all lanes at once, a group of
// DECODER_LANES words per cycle, and keeps the largest. The swept accumulators are left zero.
#pragma once

#include "beats.hpp"

namespace egret {

// Does nothing but send an invalid best if there is nothing to sweep. Logits go to `logits` if
// `write_logits`.
void decoder_sweep(unsigned engine, bool sweep, bool write_logits, std::uint32_t groups, std::uint32_t vocabulary,
                   accumulator_t sums[DECODER_LANES][WORD_DEPTH],
                   const word_record_t records[DECODER_LANES][LOGIT_DEPTH], hls::stream<best_t> &best,
                   hls::stream<logit_group_t> &logits);

// Packs the logits of a sweep into beats and writes them at `logits_address`, then the record that comes, if it is
// one, at `record_address`.
void result_writer(port_t port, bool write_logits, address_t logits_address, std::uint32_t groups,
                   address_t record_address, hls::stream<logit_group_t> &logits, hls::stream<record_t> &records);

}  // namespace egret
