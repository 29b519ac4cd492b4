// Neuron update of one engine: sweeps a layer's accumulators, a neuron per cycle, through gates, state and
// threshold, and emits an event for each neuron that fires (docs/formats.md, section 1). The swept
// accumulators are left zero.
#pragma once

#include "beats.hpp"

namespace egret {

void neuron_update(unsigned engine, bool first_layer, layer_t layer, accumulator_t bank[LANES][BANK_DEPTH],
                   const neuron_record_t records[NEURON_DEPTH], state_t states[NEURON_DEPTH],
                   const word_t table_row[TABLE_PLANES][TABLE_DEPTH], hls::stream<event_t> &events);

}  // namespace egret
