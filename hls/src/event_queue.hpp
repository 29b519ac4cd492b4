// Keeps the events (neuron, value) of every layer, a list per layer, and turns events into requests to the
// column fetchers of all engines.
//
// In a run each event is played as it is recorded: one request for all that it feeds, the forward column (layer
// above, or decoder) and the recurrent one, which lie side by side. A list is there for what follows a run: it
// stays until the layer's next update, and is played for its recurrent columns at the start of the next run.
#pragma once

#include "kernel_types.hpp"

namespace egret {

// In a wave: does the jobs in their order, and asks for a row of the token table: that of `row_token` before
// everything else if `has_row`, that of `next_words`' one word after everything else if `row_follows`.
// `event_counts` has the length of every layer's list.
void event_queue(hls::stream<layer_job_t> &jobs, bool has_row, std::uint32_t row_token, bool row_follows,
                 beat_count_t table_row_beats, const address_t table_address[ENGINES],
                 list_entry_t entries[EVENT_DEPTH], std::uint32_t event_counts[IMAGE_MAX_LAYERS],
                 hls::stream<event_t> events[ENGINES], hls::stream<std::uint32_t> &next_words,
                 hls::stream<request_t> requests[ENGINES]);

}  // namespace egret
