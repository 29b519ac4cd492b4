// The two steps that a token is made of, each a dataflow region in which sweeping one accumulator bank and
// fetching into another go on side by side:
//
//   layer step     neuron_update -> event_queue -> column_lookup -> column_fetcher -> lanes
//                  Updates layer l. Meanwhile the recurrent columns of layer l + 1 are fetched, and as each neuron
//                  fires, its column of W_l+1 (of the decoder, above the last layer).
//   decoder step   decoder_sweep -> next_token -> play_first_layer -> column_lookup -> column_fetcher -> lanes
//                                -> logit_writer
//                  Turns the decoder's sums into logits. Meanwhile the next token's recurrent columns of layer 0 and
//                  its row of the token table are fetched.
//
// The swept and the filled bank are different arrays, each with one process, and so is every other memory. A
// step ends when everything in it has ended: what the next one sweeps is complete.
#pragma once

#include "beats.hpp"
#include "engines.hpp"

namespace egret {

void layer_step(EGRET_READ_PORTS, bool first_layer, layer_t layer, layer_t above, unsigned list,
                unsigned recurrent_list, unsigned recurrent_count, const address_t columns_address[ENGINES],
                const beat_count_t columns_beats[ENGINES], accumulator_t swept[ENGINES][LANES][BANK_DEPTH],
                accumulator_t filled[ENGINES][LANES][BANK_DEPTH], const neuron_record_t neurons[ENGINES][NEURON_DEPTH],
                state_t states[ENGINES][NEURON_DEPTH], const word_t table_row[ENGINES][TABLE_PLANES][TABLE_DEPTH],
                const std::uint32_t pointers[ENGINES][POINTER_DEPTH], list_entry_t entries[EVENT_DEPTH],
                std::uint32_t &event_count, work_t work[ENGINES], bool bad_column[ENGINES]);

void decoder_step(EGRET_READ_PORTS, EGRET_WRITE_PORTS, bool sweep, bool write_logits, bool has_next, bool generating,
                  std::uint32_t forced, std::uint32_t vocabulary, std::uint32_t decoder_groups,
                  const address_t logits_address[ENGINES], layer_t first_layer, unsigned recurrent_count,
                  const address_t columns_address[ENGINES], const beat_count_t columns_beats[ENGINES],
                  const address_t table_address[ENGINES], beat_count_t table_row_beats, beat_count_t table_plane_beats,
                  accumulator_t swept[ENGINES][LANES][BANK_DEPTH], accumulator_t filled[ENGINES][LANES][BANK_DEPTH],
                  const word_record_t words[ENGINES][LANES][LOGIT_DEPTH],
                  word_t table_row[ENGINES][TABLE_PLANES][TABLE_DEPTH],
                  const std::uint32_t pointers[ENGINES][POINTER_DEPTH], const list_entry_t entries[EVENT_DEPTH],
                  next_token_t &next, best_t &argmax, work_t work[ENGINES], bool bad_column[ENGINES]);

}  // namespace egret
