// Reads the input tokens, 64 bytes at a time, picks each step's next token, and writes a 32-byte result
// record per token.
#pragma once

#include "beats.hpp"

namespace egret {

constexpr unsigned TOKENS_PER_CHUNK = 16;  // 64 bytes

struct record_t {
  std::uint32_t word;
  logit_t logit;
  std::uint32_t token;
  std::uint32_t events[IMAGE_MAX_LAYERS];
};

void read_tokens(port_t port, address_t address, std::uint32_t tokens[TOKENS_PER_CHUNK]);

// In the decoder's step: sends the next token on, the one `forced` or the argmax as soon as all engines have
// sent their best, and returns both. Of `next`, `valid` is false also for a token outside the vocabulary.
void next_token(bool has_next, bool generating, std::uint32_t forced, std::uint32_t vocabulary,
                hls::stream<best_t> best[ENGINES], hls::stream<next_token_t> &tokens, next_token_t &next,
                best_t &argmax);

void write_record(port_t port, address_t address, const record_t &record);

}  // namespace egret
