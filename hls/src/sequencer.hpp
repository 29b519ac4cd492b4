// Walks the phases of each command (hls/kernel.json, "commands").
//
// Per token: a layer step for each layer, then the decoder's step (see steps.hpp). Before the first token,
// the decoder's step runs without a sweep, for what it fetches. Accumulator banks are never both swept and
// added to: layer l's step sweeps bank l mod 2 and fills the other, or the decoder's above the last layer;
// the decoder's step sweeps the decoder's bank and fills that of layer 0.
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
#define EGRET_MEMORIES                                                                                      \
  model_t &model, std::uint32_t event_counts[IMAGE_MAX_LAYERS],                               \
      accumulator_t even_bank[ENGINES][LANES][BANK_DEPTH], accumulator_t odd_bank[ENGINES][LANES][BANK_DEPTH], \
      accumulator_t decoder_bank[ENGINES][LANES][BANK_DEPTH], state_t states[ENGINES][NEURON_DEPTH],        \
      neuron_record_t neurons[ENGINES][NEURON_DEPTH], word_record_t words[ENGINES][LANES][LOGIT_DEPTH],     \
      word_t table_row[ENGINES][TABLE_PLANES][TABLE_DEPTH], std::uint32_t pointers[ENGINES][POINTER_DEPTH], \
      list_entry_t entries[EVENT_DEPTH]
#define EGRET_MEMORY_ARGUMENTS                                                                             \
  model, event_counts, even_bank, odd_bank, decoder_bank, states, neurons, words, table_row, pointers, \
      entries

// Executes one command and returns the status register.
std::uint32_t sequencer(EGRET_READ_PORTS, EGRET_WRITE_PORTS, const arguments_t &arguments, bool &loaded,
                        EGRET_MEMORIES);

}  // namespace egret
