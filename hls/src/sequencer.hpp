// Walks the phases of each command (hls/kernel.json, "commands").
//
// A run is a row of tokens that are known beforehand: all tokens of RUN; of GENERATE each one is a run of its own.
// It is done in waves (see wave.hpp). In wave w layer l is updated for token w - l, and the decoder, above the last
// of L layers, swept for token w - L. Three tokens, two layers (R_l: recurrent columns of stored events):
//
//   wave            -1      0         1         2         3         4
//   table row       0       1         2
//   layer 0         R_0     update 0  update 1  update 2
//   layer 1                 R_1       update 0  update 1  update 2
//   decoder                                     sweep 0   sweep 1   sweep 2
//
// What a neuron that fires asks for, its column for the layer above and, but in the run's last token, that for its
// own layer's next token, is needed in the next wave. Even and odd waves sweep memories of their own, so none is
// ever both swept and added to. R_l is fetched ahead of a wave in which layer l comes first, of the same
// parity as l: in wave -1 for all even layers, in wave 0 for the odd ones. When generating, the wave that sweeps the
// decoder is also wave -1 of the next run.
#pragma once

#include "beats.hpp"
#include "engines.hpp"

namespace egret {

struct arguments_t {
  std::uint32_t command;
  std::uint32_t flags;
  std::uint32_t token_count;
  std::uint64_t image;
  std::uint64_t tokens;
  std::uint64_t results;
  std::uint64_t logits;
  std::uint64_t counters;
};

// The kernel's memories, in the order in which every function here takes them. They keep their contents from
// command to command.
#define EGRET_MEMORIES                                                                                         \
  model_t &model, std::uint32_t event_counts[IMAGE_MAX_LAYERS],                                                \
      accumulator_t even_sums[ENGINES][LANES][SUM_DEPTH], accumulator_t odd_sums[ENGINES][LANES][SUM_DEPTH],   \
      accumulator_t even_word_sums[ENGINES][DECODER_LANES][WORD_DEPTH],                                        \
      accumulator_t odd_word_sums[ENGINES][DECODER_LANES][WORD_DEPTH],                                         \
      word_t even_row[ENGINES][TABLE_PLANES][TABLE_DEPTH], word_t odd_row[ENGINES][TABLE_PLANES][TABLE_DEPTH], \
      state_t states[ENGINES][NEURON_DEPTH], neuron_record_t neurons[ENGINES][NEURON_DEPTH],                   \
      word_record_t words[ENGINES][DECODER_LANES][LOGIT_DEPTH], columns_t columns[ENGINES][COLUMNS_DEPTH],     \
      beat_count_t columns_end[ENGINES][IMAGE_MAX_LAYERS], list_entry_t entries[EVENT_DEPTH]
#define EGRET_MEMORY_ARGUMENTS                                                                              \
  model, event_counts, even_sums, odd_sums, even_word_sums, odd_word_sums, even_row, odd_row, states, neurons, \
      words, columns, columns_end, entries

// Executes one command and returns the status register.
std::uint32_t sequencer(EGRET_READ_PORTS, EGRET_WRITE_PORTS, const arguments_t &arguments, bool &loaded,
                        EGRET_MEMORIES);

}  // namespace egret
