#include "sequencer.hpp"

#include "counters.hpp"
#include "image_loader.hpp"
#include "token_interface.hpp"
#include "wave.hpp"

namespace egret {

constexpr std::uint64_t ALIGNMENT_MASK = IMAGE_ALIGNMENT - 1;
// Tokens under way: of every layer, of the decoder, and the one whose table row is being fetched. A power of two.
constexpr unsigned TOKENS_KEPT = 16;
static_assert(TOKENS_KEPT >= IMAGE_MAX_LAYERS + 2, "a place for every token under way");

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
void clear_state(std::uint32_t event_counts[IMAGE_MAX_LAYERS], accumulator_t even_sums[ENGINES][LANES][SUM_DEPTH],
                 accumulator_t odd_sums[ENGINES][LANES][SUM_DEPTH],
                 accumulator_t even_word_sums[ENGINES][DECODER_LANES][WORD_DEPTH],
                 accumulator_t odd_word_sums[ENGINES][DECODER_LANES][WORD_DEPTH],
                 state_t states[ENGINES][NEURON_DEPTH]) {
clear_sums:
  for (unsigned address = 0; address < SUM_DEPTH; ++address) {
#pragma HLS PIPELINE II=1
  clear_engine_sums:
    for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    clear_lanes:
      for (unsigned p = 0; p < LANES; ++p) {
#pragma HLS UNROLL
        even_sums[engine][p][address] = 0;
        odd_sums[engine][p][address] = 0;
      }
    }
  }
clear_word_sums:
  for (unsigned address = 0; address < WORD_DEPTH; ++address) {
#pragma HLS PIPELINE II=1
  clear_engine_word_sums:
    for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    clear_decoder_lanes:
      for (unsigned p = 0; p < DECODER_LANES; ++p) {
#pragma HLS UNROLL
        even_word_sums[engine][p][address] = 0;
        odd_word_sums[engine][p][address] = 0;
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
#pragma HLS PIPELINE II=1
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

// What wave waves_done - 1 of a run does to layers; `begins_next`: it is also the one before the next run's wave 0.
wave_t plan_of(std::uint32_t waves_done, std::uint32_t run_tokens, std::uint32_t layers, bool begins_next) {
#pragma HLS INLINE
  wave_t plan;
  plan.plays = waves_done <= 1 || begins_next;
  plan.played = waves_done == 1 ? 1 : 0;
  plan.first_at_run_end = waves_done >= run_tokens;
  plan.first = plan.first_at_run_end ? waves_done - run_tokens : 0;
  plan.end = waves_done < layers ? waves_done : layers;
  return plan;
}

outcome_t run(EGRET_READ_PORTS, EGRET_WRITE_PORTS, const arguments_t &arguments, counts_t &counts, EGRET_MEMORIES) {
// One copy of its hardware for both calls: they never run at once.
#pragma HLS ALLOCATION function instances=wave limit=1
  const bool generating = arguments.command == COMMAND_GENERATE;
  const bool write_logits = (arguments.flags >> FLAG_WRITE_LOGITS) & 1;
  const address_t block_beats = ((model.decoder_groups * DECODER_LANES * 4 + ALIGNMENT_MASK) & ~ALIGNMENT_MASK) /
                                BUS_BYTES;  // of an engine's logits

  work_t work[ENGINES];
  bool bad_column[ENGINES];
  address_t logits_address[ENGINES];
  std::uint32_t chunk[TOKENS_PER_CHUNK];
  // Of the tokens under way, by position.
  std::uint32_t kept_token[TOKENS_KEPT];
  std::uint16_t kept_events[TOKENS_KEPT][IMAGE_MAX_LAYERS];
#pragma HLS ARRAY_PARTITION variable=work complete
#pragma HLS ARRAY_PARTITION variable=bad_column complete
#pragma HLS ARRAY_PARTITION variable=logits_address complete
#pragma HLS ARRAY_PARTITION variable=chunk cyclic factor=4
#pragma HLS ARRAY_PARTITION variable=kept_events complete dim=2
clear_flags:
  for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    bad_column[engine] = false;
    logits_address[engine] = 0;
  }
  outcome_t outcome = {ERROR_OK, 0};
  std::uint8_t token_error = ERROR_OK;

  std::uint32_t token_count = arguments.token_count;
  std::uint32_t run_tokens = generating ? 1 : token_count;
  std::uint32_t run_start = 0;   // position of the run's first token
  std::uint32_t waves_done = 0;  // of the run: the next one is wave waves_done - 1
  std::uint32_t finished = 0;    // tokens
  bool odd = true;               // the next wave sweeps the odd memories
waves:
  while (finished != token_count) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=1000 avg=16
    // -- the token whose row is fetched: that of the next wave's layer 0
    std::uint32_t row_token = 0;
    bool has_row = waves_done < run_tokens;
    if (has_row) {
      const unsigned place = waves_done % TOKENS_PER_CHUNK;
      if (place == 0) {
        read_tokens(gmem0_read, beat_address(arguments.tokens + 4ull * waves_done), chunk);
        outcome.error = fault(EGRET_READ_ARGUMENTS, EGRET_WRITE_ARGUMENTS, bad_column);
        if (outcome.error != ERROR_OK) break;
      }
      row_token = chunk[place];
      kept_token[waves_done % TOKENS_KEPT] = row_token;
      if (row_token >= model.vocabulary) {
        // The tokens before it are finished first.
        token_error = ERROR_BAD_TOKEN;
        token_count = run_tokens = waves_done;
        has_row = false;
        if (token_count == 0) break;
      }
    }

    // -- what else the wave does
    const bool sweep = waves_done > model.layers;
    const bool row_follows = generating && sweep && finished + 1 != token_count;
    const wave_t plan = plan_of(waves_done, run_tokens, model.layers, row_follows);
    record_t record = {};
    if (sweep) {
      record.token = kept_token[finished % TOKENS_KEPT];
    finished_events:
      for (unsigned l = 0; l < IMAGE_MAX_LAYERS; ++l) {
#pragma HLS UNROLL
        if (l < model.layers) record.events[l] = kept_events[finished % TOKENS_KEPT][l];
      }
    }
  place_logits:
    for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
      logits_address[engine] =
          beat_address(arguments.logits) + (static_cast<address_t>(finished) * ENGINES + engine) * block_beats;
    }
    const address_t record_address =
        beat_address(arguments.results + static_cast<std::uint64_t>(IMAGE_RESULT_BYTES) * finished);

    std::uint32_t argmax = 0;
#define EGRET_WAVE(SWEPT, FILLED)                                                                                  \
  wave(EGRET_READ_ARGUMENTS, EGRET_WRITE_ARGUMENTS, plan, model.layers, model.layer, sweep, sweep && write_logits, \
       has_row, row_token, row_follows, model.vocabulary, model.decoder_groups, logits_address, record_address,    \
       record, model.columns_address, model.columns_beats, model.table_address, model.table_row_beats,             \
       model.table_plane_beats, SWEPT##_sums, FILLED##_sums, SWEPT##_word_sums, FILLED##_word_sums, SWEPT##_row,   \
       FILLED##_row, neurons, states, words, columns, columns_end, entries, event_counts, argmax, work, bad_column)
    if (odd) EGRET_WAVE(odd, even);
    else EGRET_WAVE(even, odd);
#undef EGRET_WAVE

    // -- what it has done
    count_work(work, counts);
  updated_layers:
    for (unsigned l = plan.first; l < plan.end; ++l) {
#pragma HLS LOOP_TRIPCOUNT min=0 max=8 avg=3
      const std::uint32_t fired = event_counts[l];
      const std::uint32_t position = run_start + waves_done - 1 - l;
      kept_events[position % TOKENS_KEPT][l] = static_cast<std::uint16_t>(fired);
      counts.events[l] += fired;
    }
    if (sweep) ++finished;
    outcome.error = fault(EGRET_READ_ARGUMENTS, EGRET_WRITE_ARGUMENTS, bad_column);
    if (outcome.error != ERROR_OK) break;
    odd = !odd;
    ++waves_done;
    if (row_follows) {
      kept_token[finished % TOKENS_KEPT] = argmax;
      run_start = finished;
      waves_done = 1;
    }
  }
  // A response may fail when the last token is finished: that is then where the run ended.
  const bool beyond = outcome.error != ERROR_OK && finished == arguments.token_count;
  outcome.position = beyond ? finished - 1 : finished;
  if (outcome.error == ERROR_OK) outcome.error = token_error;
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
    outcome.error = image_loader(EGRET_READ_ARGUMENTS, arguments.image, model, columns, columns_end, neurons, words);
    loaded = outcome.error == ERROR_OK;
    if (loaded) clear_state(event_counts, even_sums, odd_sums, even_word_sums, odd_word_sums, states);
  } else if (arguments.command == COMMAND_RESET) {
    if (loaded) clear_state(event_counts, even_sums, odd_sums, even_word_sums, odd_word_sums, states);
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
    if (outcome.error == ERROR_OK && write_failed(gmem0_write)) {
      status = ERROR_WRITE_ERROR;
      loaded = false;
    }
  }
  return status;
}

}  // namespace egret
