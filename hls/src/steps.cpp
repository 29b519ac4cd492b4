#include "steps.hpp"

#include "column_fetcher.hpp"
#include "decoder_sweep.hpp"
#include "event_queue.hpp"
#include "lane.hpp"
#include "neuron_update.hpp"
#include "token_interface.hpp"

namespace egret {

// Streams: `requests` hold what one engine's stall may keep from the others; `jobs` and `descriptors` go by
// columns, `beats` by beats, and what the fetcher has asked for waits in the m_axi adapter. `events` are deep
// enough for a busy layer's events to wait until the recurrent columns have been played.

void layer_step(EGRET_READ_PORTS, bool first_layer, layer_t layer, layer_t above, unsigned list,
                unsigned recurrent_list, unsigned recurrent_count, const address_t columns_address[ENGINES],
                const beat_count_t columns_beats[ENGINES], accumulator_t swept[ENGINES][LANES][BANK_DEPTH],
                accumulator_t filled[ENGINES][LANES][BANK_DEPTH], const neuron_record_t neurons[ENGINES][NEURON_DEPTH],
                state_t states[ENGINES][NEURON_DEPTH], const word_t table_row[ENGINES][TABLE_PLANES][TABLE_DEPTH],
                const std::uint32_t pointers[ENGINES][POINTER_DEPTH], list_entry_t entries[EVENT_DEPTH],
                std::uint32_t &event_count, work_t work[ENGINES], bool bad_column[ENGINES]) {
#pragma HLS DATAFLOW
// Scalars, each for one engine's process.
#pragma HLS ARRAY_PARTITION variable=columns_address complete
#pragma HLS ARRAY_PARTITION variable=columns_beats complete
#pragma HLS ARRAY_PARTITION variable=work complete
#pragma HLS ARRAY_PARTITION variable=bad_column complete
  hls::stream<event_t> events[ENGINES];
  hls::stream<request_t> requests[ENGINES];
  hls::stream<job_t> jobs[ENGINES];
  hls::stream<descriptor_t> descriptors[ENGINES];
  hls::stream<word_t> beats[ENGINES];
#pragma HLS STREAM variable=events depth=256
#pragma HLS STREAM variable=requests depth=16
#pragma HLS STREAM variable=jobs depth=16
#pragma HLS STREAM variable=descriptors depth=64
#pragma HLS STREAM variable=beats depth=16

#define EGRET_UPDATE(E) \
  neuron_update(E, first_layer, layer, swept[E], neurons[E], states[E], table_row[E], events[E]);
  EGRET_EACH_ENGINE(EGRET_UPDATE)
#undef EGRET_UPDATE

  event_queue(layer, list, above, recurrent_list, recurrent_count, entries, events, requests, event_count);

#define EGRET_FETCH(E)                                                                                       \
  column_lookup(pointers[E], columns_address[E], columns_beats[E], requests[E], jobs[E], descriptors[E], \
                bad_column[E]);                                                                              \
  column_fetcher(gmem##E##_read, jobs[E], beats[E]);                                                         \
  layer_lanes(descriptors[E], beats[E], filled[E], work[E]);
  EGRET_EACH_ENGINE(EGRET_FETCH)
#undef EGRET_FETCH
}

void decoder_step(EGRET_READ_PORTS, EGRET_WRITE_PORTS, bool sweep, bool write_logits, bool has_next, bool generating,
                  std::uint32_t forced, std::uint32_t vocabulary, std::uint32_t decoder_groups,
                  const address_t logits_address[ENGINES], layer_t first_layer, unsigned recurrent_count,
                  const address_t columns_address[ENGINES], const beat_count_t columns_beats[ENGINES],
                  const address_t table_address[ENGINES], beat_count_t table_row_beats, beat_count_t table_plane_beats,
                  accumulator_t swept[ENGINES][LANES][BANK_DEPTH], accumulator_t filled[ENGINES][LANES][BANK_DEPTH],
                  const word_record_t words[ENGINES][LANES][LOGIT_DEPTH],
                  word_t table_row[ENGINES][TABLE_PLANES][TABLE_DEPTH],
                  const std::uint32_t pointers[ENGINES][POINTER_DEPTH], const list_entry_t entries[EVENT_DEPTH],
                  next_token_t &next, best_t &argmax, work_t work[ENGINES], bool bad_column[ENGINES]) {
#pragma HLS DATAFLOW
// Scalars, each for one engine's process.
#pragma HLS ARRAY_PARTITION variable=logits_address complete
#pragma HLS ARRAY_PARTITION variable=columns_address complete
#pragma HLS ARRAY_PARTITION variable=columns_beats complete
#pragma HLS ARRAY_PARTITION variable=work complete
#pragma HLS ARRAY_PARTITION variable=bad_column complete
  hls::stream<best_t> best[ENGINES];
  hls::stream<logit_group_t> logits[ENGINES];
  hls::stream<next_token_t> tokens("tokens");
  hls::stream<request_t> requests[ENGINES];
  hls::stream<job_t> jobs[ENGINES];
  hls::stream<descriptor_t> descriptors[ENGINES];
  hls::stream<word_t> beats[ENGINES];
#pragma HLS STREAM variable=best depth=2
#pragma HLS STREAM variable=logits depth=4
#pragma HLS STREAM variable=tokens depth=2
#pragma HLS STREAM variable=requests depth=16
#pragma HLS STREAM variable=jobs depth=16
#pragma HLS STREAM variable=descriptors depth=64
#pragma HLS STREAM variable=beats depth=16

#define EGRET_SWEEP(E)                                                                                             \
  decoder_sweep(E, sweep, write_logits, decoder_groups, vocabulary, swept[E], words[E], best[E], logits[E]); \
  logit_writer(gmem##E##_write, write_logits, logits_address[E], decoder_groups, logits[E]);
  EGRET_EACH_ENGINE(EGRET_SWEEP)
#undef EGRET_SWEEP

  next_token(has_next, generating, forced, vocabulary, best, tokens, next, argmax);
  play_first_layer(has_next, first_layer, recurrent_count, entries, table_row_beats, table_address, tokens, requests);

#define EGRET_FETCH(E)                                                                                       \
  column_lookup(pointers[E], columns_address[E], columns_beats[E], requests[E], jobs[E], descriptors[E], \
                bad_column[E]);                                                                              \
  column_fetcher(gmem##E##_read, jobs[E], beats[E]);                                                         \
  first_layer_lanes(table_plane_beats, descriptors[E], beats[E], filled[E], table_row[E], work[E]);
  EGRET_EACH_ENGINE(EGRET_FETCH)
#undef EGRET_FETCH
}

}  // namespace egret
