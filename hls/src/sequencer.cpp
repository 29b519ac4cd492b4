#include "sequencer.hpp"

#include "counters.hpp"
#include "image_loader.hpp"
#include "steps.hpp"
#include "token_interface.hpp"

namespace egret {

constexpr std::uint64_t ALIGNMENT_MASK = IMAGE_ALIGNMENT - 1;

namespace {

struct outcome_t {
  std::uint8_t error;
  std::uint32_t position;  // of the token at which a run ended with an error
};

bool misaligned(const arguments_t &arguments) {
  std::uint64_t used = arguments.counters;
  if (arguments.command == COMMAND_LOAD) used |= arguments.image;
  if (arguments.command == COMMAND_RUN || arguments.command == COMMAND_GENERATE) {
    used |= arguments.tokens | arguments.results;
    if ((arguments.flags >> FLAG_WRITE_LOGITS) & 1) used |= arguments.logits;
  }
  return (used & ALIGNMENT_MASK) != 0;
}

// II = 1: one write to each memory per iteration.
void clear_state(std::uint32_t event_counts[IMAGE_MAX_LAYERS], accumulator_t even_bank[ENGINES][LANES][BANK_DEPTH],
                 accumulator_t odd_bank[ENGINES][LANES][BANK_DEPTH],
                 accumulator_t decoder_bank[ENGINES][LANES][BANK_DEPTH], state_t states[ENGINES][NEURON_DEPTH]) {
clear_banks:
  for (unsigned address = 0; address < BANK_DEPTH; ++address) {
#pragma HLS PIPELINE II=1
  clear_engine_banks:
    for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    clear_lanes:
      for (unsigned p = 0; p < LANES; ++p) {
#pragma HLS UNROLL
        even_bank[engine][p][address] = 0;
        odd_bank[engine][p][address] = 0;
        decoder_bank[engine][p][address] = 0;
      }
    }
  }
clear_states:
  for (unsigned position = 0; position < NEURON_DEPTH; ++position) {
#pragma HLS PIPELINE II=1
  clear_engine_states:
    for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
      states[engine][position] = 0;
    }
  }
clear_events:
  for (unsigned l = 0; l < IMAGE_MAX_LAYERS; ++l) {
#pragma HLS UNROLL
    event_counts[l] = 0;
  }
}

// What stops a run, the worst first; ERROR_OK if nothing does.
std::uint8_t fault(EGRET_READ_PORTS, EGRET_WRITE_PORTS, const bool bad_column[ENGINES]) {
  bool read = false;
  bool write = false;
  bool column = false;
#define EGRET_COLLECT(E)                 \
  read |= read_failed(gmem##E##_read);   \
  write |= write_failed(gmem##E##_write); \
  column |= bad_column[E];
  EGRET_EACH_ENGINE(EGRET_COLLECT)
#undef EGRET_COLLECT
  if (read) return ERROR_READ_ERROR;
  if (write) return ERROR_WRITE_ERROR;
  return column ? ERROR_BAD_COLUMN : ERROR_OK;
}

outcome_t run(EGRET_READ_PORTS, EGRET_WRITE_PORTS, const arguments_t &arguments, counts_t &counts, EGRET_MEMORIES) {
// One copy of each step's hardware for all calls: no two of them run at once.
#pragma HLS ALLOCATION function instances=layer_step limit=1
#pragma HLS ALLOCATION function instances=decoder_step limit=1
#pragma HLS ALLOCATION function instances=read_tokens limit=1
  const bool generating = arguments.command == COMMAND_GENERATE;
  const bool write_logits = (arguments.flags >> FLAG_WRITE_LOGITS) & 1;
  const address_t block_beats =
      ((model.decoder_groups * LANES * 4 + ALIGNMENT_MASK) & ~ALIGNMENT_MASK) / BUS_BYTES;  // of an engine's logits

  work_t work[ENGINES];
  bool bad_column[ENGINES];
  std::uint32_t chunk[TOKENS_PER_CHUNK];
  address_t logits_address[ENGINES];
#pragma HLS ARRAY_PARTITION variable=work complete
#pragma HLS ARRAY_PARTITION variable=bad_column complete
#pragma HLS ARRAY_PARTITION variable=chunk cyclic factor=4
#pragma HLS ARRAY_PARTITION variable=logits_address complete
clear_flags:
  for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    bad_column[engine] = false;
    logits_address[engine] = 0;
  }
  outcome_t outcome = {ERROR_OK, 0};
  next_token_t next = {false, 0};
  best_t argmax = {false, 0, 0};

  // Finished tokens go from -1 to token_count: the first turn fetches for token 0 and finishes none.
  std::uint32_t finished = 0;
  bool started = false;
tokens:
  while (finished != arguments.token_count) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=1000 avg=16
    const std::uint32_t token = next.token;
    record_t record = {};
    if (started) {
    layers:
      for (unsigned l = 0; l < model.layers; ++l) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=8 avg=3
        const bool last = l + 1 == model.layers;
        const layer_t layer = model.layer[l];
        const layer_t above = model.layer[last ? l : l + 1];
        const unsigned list = ENGINES * layer.position_base;
        const unsigned recurrent_list = ENGINES * above.position_base;
        const unsigned recurrent_count = last ? 0 : event_counts[last ? l : l + 1];
        std::uint32_t event_count = 0;
#define EGRET_LAYER_STEP(SWEPT, FILLED)                                                                          \
  layer_step(EGRET_READ_ARGUMENTS, l == 0, layer, above, list, recurrent_list, recurrent_count,                  \
             model.columns_address, model.columns_beats, SWEPT, FILLED, neurons, states, table_row, pointers, entries, \
             event_count, work, bad_column)
        if ((l & 1) == 0) {
          if (last) EGRET_LAYER_STEP(even_bank, decoder_bank);
          else EGRET_LAYER_STEP(even_bank, odd_bank);
        } else {
          if (last) EGRET_LAYER_STEP(odd_bank, decoder_bank);
          else EGRET_LAYER_STEP(odd_bank, even_bank);
        }
#undef EGRET_LAYER_STEP
        event_counts[l] = event_count;
        counts.events[l] += event_count;
        count_work(work, counts);
        outcome.error = fault(EGRET_READ_ARGUMENTS, EGRET_WRITE_ARGUMENTS, bad_column);
        if (outcome.error != ERROR_OK) break;
      }
      if (outcome.error != ERROR_OK) break;
    }

    const std::uint32_t following = started ? finished + 1 : 0;
    const bool has_next = following != arguments.token_count;
    const bool from_argmax = generating && started;
    const unsigned place = following % TOKENS_PER_CHUNK;
    if (has_next && !from_argmax && place == 0) {
      read_tokens(gmem0_read, beat_address(arguments.tokens + 4ull * following), chunk);
      outcome.error = fault(EGRET_READ_ARGUMENTS, EGRET_WRITE_ARGUMENTS, bad_column);
      if (outcome.error != ERROR_OK) break;
    }
  place_logits:
    for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
      logits_address[engine] =
          beat_address(arguments.logits) + (static_cast<address_t>(finished) * ENGINES + engine) * block_beats;
    }
    decoder_step(EGRET_READ_ARGUMENTS, EGRET_WRITE_ARGUMENTS, started, started && write_logits, has_next, from_argmax,
                 chunk[place], model.vocabulary, model.decoder_groups, logits_address, model.layer[0],
                 event_counts[0], model.columns_address, model.columns_beats, model.table_address,
                 model.table_row_beats, model.table_plane_beats, decoder_bank, even_bank, words, table_row, pointers,
                 entries, next, argmax, work, bad_column);
    count_work(work, counts);
    outcome.error = fault(EGRET_READ_ARGUMENTS, EGRET_WRITE_ARGUMENTS, bad_column);
    if (outcome.error != ERROR_OK) break;

    if (started) {
      record.word = argmax.word;
      record.logit = argmax.logit;
      record.token = token;
    record_events:
      for (unsigned l = 0; l < IMAGE_MAX_LAYERS; ++l) {
#pragma HLS UNROLL
        record.events[l] = event_counts[l];
      }
      write_record(gmem0_write,
                   beat_address(arguments.results + static_cast<std::uint64_t>(IMAGE_RESULT_BYTES) * finished), record);
      outcome.error = fault(EGRET_READ_ARGUMENTS, EGRET_WRITE_ARGUMENTS, bad_column);
      if (outcome.error != ERROR_OK) break;
      ++finished;
    }
    if (has_next && !next.valid) {
      outcome.error = ERROR_BAD_TOKEN;
      break;
    }
    started = true;
  }
  outcome.position = finished;
  return outcome;
}

}  // namespace

std::uint32_t sequencer(EGRET_READ_PORTS, EGRET_WRITE_PORTS, const arguments_t &arguments, bool &loaded,
                        EGRET_MEMORIES) {
  counts_t counts;
#pragma HLS ARRAY_PARTITION variable=counts.events complete
#pragma HLS ARRAY_PARTITION variable=counts.beats complete
  clear_counts(counts);
  outcome_t outcome = {ERROR_OK, 0};

  if (misaligned(arguments)) {
    outcome.error = ERROR_BAD_ADDRESS;
  } else if (arguments.command == COMMAND_LOAD) {
    loaded = false;  // a reset in the middle must not leave half a model
    outcome.error = image_loader(EGRET_READ_ARGUMENTS, arguments.image, model, pointers, neurons, words);
    loaded = outcome.error == ERROR_OK;
    if (loaded) clear_state(event_counts, even_bank, odd_bank, decoder_bank, states);
  } else if (arguments.command == COMMAND_RESET) {
    if (loaded) clear_state(event_counts, even_bank, odd_bank, decoder_bank, states);
    else outcome.error = ERROR_NOT_LOADED;
  } else if (arguments.command == COMMAND_RUN || arguments.command == COMMAND_GENERATE) {
    if (loaded) {
      loaded = false;
      outcome = run(EGRET_READ_ARGUMENTS, EGRET_WRITE_ARGUMENTS, arguments, counts, EGRET_MEMORY_ARGUMENTS);
      loaded = outcome.error == ERROR_OK;
    } else {
      outcome.error = ERROR_NOT_LOADED;
    }
  } else if (arguments.command != COMMAND_QUERY) {
    outcome.error = ERROR_BAD_COMMAND;
  }

  const std::uint32_t position = outcome.error == ERROR_OK ? 0 : outcome.position & 0xffffff;
  std::uint32_t status = outcome.error | position << 8;
  if (arguments.counters != 0 && (arguments.counters & ALIGNMENT_MASK) == 0) {
    write_counters(gmem0_write, beat_address(arguments.counters), counts, status);
    if (outcome.error == ERROR_OK && write_failed(gmem0_write)) status = ERROR_WRITE_ERROR;
  }
  return status;
}

}  // namespace egret
