// A wave: one dataflow region in which updating layers, sweeping the decoder and fetching go on side by side.
//
//   plan_wave -> neuron_update -> event_queue -> column_lookup -> column_fetcher -> lanes
//   decoder_sweep -> argmax_words -> event_queue (the next token's row, when generating)
//                 -> result_writer
//
// Every memory of sums, and the token's row of the table, is there twice: what one wave fetches the next one (or
// a later one of the same parity) sweeps. So within a wave the swept and the filled memories are different arrays,
// each with one process, and so is every other memory. A wave ends when everything in it has ended: what
// the next one sweeps is complete.
#pragma once

#include "beats.hpp"
#include "engines.hpp"

namespace egret {

// What a wave does to layers.
struct wave_t {
  bool plays;             // fetches the recurrent columns of stored events:
  unsigned played;        //   of the layers played, played + 2, ...
  unsigned first;         // updates the layers first, first + 1, ..., end - 1
  unsigned end;
  bool first_at_run_end;  // layer `first` is at its run's last token: no recurrent columns
};

// Sweeps the `swept` memories and fetches into the `filled` ones. `sweep`: the decoder, too, and writes `record`
// with the word found, which is returned in `argmax`. `has_row`: fetches the table row of `row_token`;
// `row_follows`: that of the word found.
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
          bool bad_column[ENGINES]);

}  // namespace egret
