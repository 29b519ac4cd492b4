#include "wave.hpp"

#include "column_fetcher.hpp"
#include "decoder_sweep.hpp"
#include "event_queue.hpp"
#include "lane.hpp"
#include "neuron_update.hpp"
#include "token_interface.hpp"

namespace egret {

namespace {

void send_job(const layer_job_t &job, hls::stream<layer_job_t> updates[ENGINES]) {
#pragma HLS INLINE
send_job:
  for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    updates[engine].write(job);
  }
}

// Tells the event queue what to play and what will be updated, and the engines what to update. A few cycles per
// layer: not pipelined.
void plan_wave(wave_t plan, std::uint32_t layer_count, const layer_t layers[IMAGE_MAX_LAYERS],
               hls::stream<layer_job_t> updates[ENGINES], hls::stream<layer_job_t> &queued) {
  layer_job_t job = {};
  job.kind = JOB_PLAY;
play:
  for (unsigned l = plan.played; plan.plays && l < layer_count; l += 2) {
#pragma HLS LOOP_TRIPCOUNT min=0 max=4 avg=1
    job.index = l;
    job.layer = layers[l];
    queued.write(job);
  }
  job.kind = JOB_UPDATE;
update:
  for (unsigned l = plan.first; l < plan.end; ++l) {
#pragma HLS LOOP_TRIPCOUNT min=0 max=8 avg=3
    job.index = l;
    job.last = l + 1 == layer_count;
    job.recurrent = !(plan.first_at_run_end && l == plan.first);
    job.layer = layers[l];
    send_job(job, updates);
    queued.write(job);
  }
  job.kind = JOB_END;
  send_job(job, updates);
  queued.write(job);
}

}  // namespace

// Streams: `updates` and `queued` hold all jobs of a wave; `requests` hold what one engine's stall may keep from
// the others; `jobs` and `descriptors` go by columns, `beats` by beats, and what the fetcher has asked for waits in
// the m_axi adapter. `events` are deep enough for a busy layer's events to wait until stored ones have been played.
void wave(EGRET_READ_PORTS, EGRET_WRITE_PORTS, wave_t plan, std::uint32_t layer_count,
          const layer_t layers[IMAGE_MAX_LAYERS], bool sweep, bool write_logits, bool has_row,
          std::uint32_t row_token, bool row_follows, std::uint32_t vocabulary, std::uint32_t decoder_groups,
          const address_t logits_address[ENGINES], address_t record_address, record_t record,
          const address_t columns_address[ENGINES], const beat_count_t columns_beats[ENGINES],
          const address_t table_address[ENGINES], beat_count_t table_row_beats, beat_count_t table_plane_beats,
          accumulator_t swept_sums[ENGINES][LANES][SUM_DEPTH], accumulator_t filled_sums[ENGINES][LANES][SUM_DEPTH],
          accumulator_t swept_word_sums[ENGINES][DECODER_LANES][WORD_DEPTH],
          accumulator_t filled_word_sums[ENGINES][DECODER_LANES][WORD_DEPTH],
          const word_t swept_row[ENGINES][TABLE_PLANES][TABLE_DEPTH],
          word_t filled_row[ENGINES][TABLE_PLANES][TABLE_DEPTH], const neuron_record_t neurons[ENGINES][NEURON_DEPTH],
          state_t states[ENGINES][NEURON_DEPTH], const word_record_t words[ENGINES][DECODER_LANES][LOGIT_DEPTH],
          const columns_t columns[ENGINES][COLUMNS_DEPTH],
          const beat_count_t columns_end[ENGINES][IMAGE_MAX_LAYERS], list_entry_t entries[EVENT_DEPTH],
          std::uint32_t event_counts[IMAGE_MAX_LAYERS], std::uint32_t &argmax, work_t work[ENGINES],
          bool bad_column[ENGINES]) {
#pragma HLS DATAFLOW
// Scalars, each for one process.
#pragma HLS ARRAY_PARTITION variable=logits_address complete
#pragma HLS ARRAY_PARTITION variable=columns_address complete
#pragma HLS ARRAY_PARTITION variable=columns_beats complete
#pragma HLS ARRAY_PARTITION variable=table_address complete
#pragma HLS ARRAY_PARTITION variable=columns_end complete dim=0
#pragma HLS ARRAY_PARTITION variable=work complete
#pragma HLS ARRAY_PARTITION variable=bad_column complete
  hls::stream<layer_job_t> updates[ENGINES];
  hls::stream<layer_job_t> queued("queued");
  hls::stream<event_t> events[ENGINES];
  hls::stream<best_t> best[ENGINES];
  hls::stream<logit_group_t> logits[ENGINES];
  hls::stream<record_t> records[ENGINES];
  hls::stream<std::uint32_t> next_words("next_words");
  hls::stream<request_t> requests[ENGINES];
  hls::stream<job_t> jobs[ENGINES];
  hls::stream<descriptor_t> descriptors[ENGINES];
  hls::stream<word_t> beats[ENGINES];
#pragma HLS STREAM variable=updates depth=10
#pragma HLS STREAM variable=queued depth=14
#pragma HLS STREAM variable=events depth=256
#pragma HLS STREAM variable=best depth=2
#pragma HLS STREAM variable=logits depth=4
#pragma HLS STREAM variable=records depth=2
#pragma HLS STREAM variable=next_words depth=2
#pragma HLS STREAM variable=requests depth=16
#pragma HLS STREAM variable=jobs depth=16
#pragma HLS STREAM variable=descriptors depth=64
#pragma HLS STREAM variable=beats depth=16

  plan_wave(plan, layer_count, layers, updates, queued);

#define EGRET_SWEEP(E)                                                                                     \
  neuron_update(E, updates[E], swept_sums[E], neurons[E], states[E], swept_row[E], events[E]);             \
  decoder_sweep(E, sweep, write_logits, decoder_groups, vocabulary, swept_word_sums[E], words[E], best[E], \
                logits[E]);
  EGRET_EACH_ENGINE(EGRET_SWEEP)
#undef EGRET_SWEEP

  argmax_words(sweep, row_follows, record, best, next_words, records, argmax);
  event_queue(queued, has_row, row_token, row_follows, table_row_beats, table_address, entries, event_counts, events,
              next_words, requests);

#define EGRET_FETCH(E)                                                                                             \
  column_lookup(columns[E], columns_end[E], columns_address[E], columns_beats[E], requests[E], jobs[E],            \
                descriptors[E], bad_column[E]);                                                                    \
  column_fetcher(gmem##E##_read, jobs[E], beats[E]);                                                               \
  lanes(table_plane_beats, descriptors[E], beats[E], filled_sums[E], filled_word_sums[E], filled_row[E], work[E]); \
  result_writer(gmem##E##_write, write_logits, logits_address[E], decoder_groups, record_address, logits[E],       \
                records[E]);
  EGRET_EACH_ENGINE(EGRET_FETCH)
#undef EGRET_FETCH
}

}  // namespace egret
