// Keeps the events (neuron, value) of every layer, a list per layer, and plays them to the column fetchers of
// all engines as column requests.
//
// A list stays until the layer's next update overwrites it: it is played for the layer's own recurrent
// weights one token later. For the layer above, and for the decoder, each event is played as it is recorded.
#pragma once

#include "kernel_types.hpp"

namespace egret {

// In a layer's step: plays the recurrent events of the layer above (`recurrent_count` of them from the list
// at `recurrent_list`; 0 for the last layer), then records the layer's own events at `list` as the engines'
// updates emit them, and plays each as a column of the forward matrix.
void event_queue(layer_t layer, unsigned list, layer_t above, unsigned recurrent_list,
                 unsigned recurrent_count, list_entry_t entries[EVENT_DEPTH], hls::stream<event_t> events[ENGINES],
                 hls::stream<request_t> requests[ENGINES], std::uint32_t &event_count);

// In the decoder's step: plays the recurrent events of layer 0 for the next token, then asks for that token's
// row of the table, once `tokens` says which it is; for none if there is no next token or it is not in the
// vocabulary.
void play_first_layer(bool next_token, layer_t first_layer, unsigned recurrent_count,
                      const list_entry_t entries[EVENT_DEPTH], beat_count_t table_row_beats,
                      const address_t table_address[ENGINES], hls::stream<next_token_t> &tokens,
                      hls::stream<request_t> requests[ENGINES]);

}  // namespace egret
