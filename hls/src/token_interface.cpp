#include "token_interface.hpp"

namespace egret {

constexpr unsigned TOKEN_BITS = 32;
constexpr unsigned TOKENS_PER_BEAT = BEAT_BITS / TOKEN_BITS;
constexpr unsigned EVENT_COUNT_BITS = 16;
static_assert(IMAGE_RESULT_BYTES == 16 + 2 * IMAGE_MAX_LAYERS,
              "a result record is four words and an event count per layer");

// II = 1: a beat from the port; `tokens` is partitioned for the tokens in it.
void read_tokens(port_t port, address_t address, std::uint32_t tokens[TOKENS_PER_CHUNK]) {
  port.read_request(address, TOKENS_PER_CHUNK / TOKENS_PER_BEAT);
beats:
  for (unsigned beat = 0; beat < TOKENS_PER_CHUNK / TOKENS_PER_BEAT; ++beat) {
#pragma HLS PIPELINE II=1
    const word_t data = read_word(port);
  in_beat:
    for (unsigned place = 0; place < TOKENS_PER_BEAT; ++place) {
#pragma HLS UNROLL
      tokens[beat * TOKENS_PER_BEAT + place] =
          static_cast<std::uint32_t>(field<TOKEN_BITS>(data, place * TOKEN_BITS));
    }
  }
}

void argmax_words(bool sweep, bool word_follows, record_t record, hls::stream<best_t> best[ENGINES],
                  hls::stream<std::uint32_t> &next_words, hls::stream<record_t> records[ENGINES],
                  std::uint32_t &argmax) {
  best_t all;
  all.valid = false;
  all.logit = 0;
  all.word = 0;
reduce:
  for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    const best_t one = best[engine].read();
    if (one.valid && (!all.valid || one.logit > all.logit || (one.logit == all.logit && one.word < all.word))) {
      all = one;
    }
  }
  if (word_follows) next_words.write(all.word);
  argmax = all.word;

  record.word = all.word;
  record.logit = all.logit;
send:
  for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    record.valid = sweep && engine == 0;
    records[engine].write(record);
  }
}

void write_record(port_t port, address_t address, const record_t &record) {
  constexpr unsigned BEATS = IMAGE_RESULT_BYTES / BUS_BYTES;
  constexpr unsigned WORDS = IMAGE_RESULT_BYTES / 4;
  constexpr unsigned WORDS_PER_BEAT = WORDS / BEATS;
  std::uint32_t words[WORDS];
#pragma HLS ARRAY_PARTITION variable=words complete
  words[0] = record.word;
  words[1] = static_cast<std::uint32_t>(record.logit);
  words[2] = record.token;
  words[3] = 0;  // cycles: not known here (see counters.hpp)
events:
  for (unsigned pair = 0; pair < IMAGE_MAX_LAYERS / 2; ++pair) {
#pragma HLS UNROLL
    words[4 + pair] = record.events[2 * pair] |
                      static_cast<std::uint32_t>(record.events[2 * pair + 1]) << EVENT_COUNT_BITS;
  }
  port.write_request(address, BEATS);
  // II = 1: a beat to the port; `words` are registers.
beats:
  for (unsigned beat = 0; beat < BEATS; ++beat) {
#pragma HLS PIPELINE II=1
    word_t data = 0;
  in_beat:
    for (unsigned place = 0; place < WORDS_PER_BEAT; ++place) {
#pragma HLS UNROLL
      set_field<32>(data, place * 32, words[beat * WORDS_PER_BEAT + place]);
    }
    write_word(port, data);
  }
  port.write_response();
}

}  // namespace egret
