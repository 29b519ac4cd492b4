#include "counters.hpp"

namespace egret {

constexpr unsigned COUNTER_BITS = 64;
constexpr unsigned BLOCK_WORDS = IMAGE_COUNTERS_BYTES / 8;
constexpr unsigned BLOCK_BEATS = IMAGE_COUNTERS_BYTES / BUS_BYTES;
constexpr unsigned COUNTERS_PER_BEAT = BLOCK_WORDS / BLOCK_BEATS;

constexpr std::uint64_t IDENTITY = static_cast<std::uint64_t>(IMAGE_MAGIC) << 32 | KERNEL_VERSION;
constexpr std::uint64_t BUILD = static_cast<std::uint64_t>(ENGINES) | static_cast<std::uint64_t>(LANES) << 8 |
                                static_cast<std::uint64_t>(WEIGHT_BITS) << 16 |
                                static_cast<std::uint64_t>(GAP_BITS) << 24 |
                                static_cast<std::uint64_t>(BUS_BYTES) << 32 |
                                static_cast<std::uint64_t>(ACCUMULATOR_BITS) << 40 |
                                static_cast<std::uint64_t>(IMAGE_MAX_LAYERS) << 48 |
                                static_cast<std::uint64_t>(DECODER_LANES) << 56;
constexpr std::uint64_t DECODER_BUILD = DECODER_WEIGHT_BITS | DECODER_GAP_BITS << 8 |
                                        static_cast<std::uint64_t>(DECODER_DEPTH - 1) << 16;
// Less one each, so that a depth of 65536 fits.
constexpr std::uint64_t LIMITS = static_cast<std::uint64_t>(NEURON_DEPTH - 1) |
                                 static_cast<std::uint64_t>(ACCUMULATOR_DEPTH - 1) << 16 |
                                 static_cast<std::uint64_t>(LOGIT_DEPTH - 1) << 32 |
                                 static_cast<std::uint64_t>(POINTER_DEPTH - 1) << 48;

void clear_counts(counts_t &counts) {
  counts.macs = 0;
clear_layers:
  for (unsigned l = 0; l < IMAGE_MAX_LAYERS; ++l) {
#pragma HLS UNROLL
    counts.events[l] = 0;
  }
clear_engines:
  for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    counts.beats[engine] = 0;
  }
}

void count_work(const work_t work[ENGINES], counts_t &counts) {
  std::uint32_t macs = 0;
engines:
  for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    macs += work[engine].macs;
    counts.beats[engine] += work[engine].beats;
  }
  counts.macs += macs;
}

void write_counters(port_t port, address_t address, const counts_t &counts, std::uint32_t status) {
  std::uint64_t words[BLOCK_WORDS];
#pragma HLS ARRAY_PARTITION variable=words complete
clear_words:
  for (unsigned word = 0; word < BLOCK_WORDS; ++word) {
#pragma HLS UNROLL
    words[word] = 0;
  }
  words[COUNTER_IDENTITY] = IDENTITY;
  words[COUNTER_BUILD] = BUILD;
  words[COUNTER_LIMITS] = LIMITS;
  words[COUNTER_STATUS] = status;
  words[COUNTER_DECODER_BUILD] = DECODER_BUILD;
  words[COUNTER_MACS] = counts.macs;
layers:
  for (unsigned l = 0; l < IMAGE_MAX_LAYERS; ++l) {
#pragma HLS UNROLL
    words[COUNTER_EVENTS + l] = counts.events[l];
  }
engines:
  for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    words[COUNTER_BEATS + engine] = counts.beats[engine];
  }

  port.write_request(address, BLOCK_BEATS);
  // II = 1: a beat to the port; `words` are registers.
beats:
  for (unsigned beat = 0; beat < BLOCK_BEATS; ++beat) {
#pragma HLS PIPELINE II=1
    word_t data = 0;
  in_beat:
    for (unsigned place = 0; place < COUNTERS_PER_BEAT; ++place) {
#pragma HLS UNROLL
      set_field<COUNTER_BITS>(data, place * COUNTER_BITS, words[beat * COUNTERS_PER_BEAT + place]);
    }
    write_word(port, data);
  }
  port.write_response();
}

}  // namespace egret
