// Reads the input tokens, 64 bytes at a time, finds each token's argmax, and writes a 32-byte result
// record per token.
#pragma once

#include "beats.hpp"

namespace egret {

constexpr unsigned TOKENS_PER_CHUNK = 16;  // 64 bytes

void read_tokens(port_t port, address_t address, std::uint32_t tokens[TOKENS_PER_CHUNK]);

// In a wave: takes the best word of every engine and sends the best of all on, to `next_words` if `word_follows` and
// with the rest of the token's `record` to the writer of engine 0, if there was a sweep.
void argmax_words(bool sweep, bool word_follows, record_t record, hls::stream<best_t> best[ENGINES],
                  hls::stream<std::uint32_t> &next_words, hls::stream<record_t> records[ENGINES],
                  std::uint32_t &argmax);

void write_record(port_t port, address_t address, const record_t &record);

}  // namespace egret
