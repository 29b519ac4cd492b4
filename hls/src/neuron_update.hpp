// Neuron update of one engine: sweeps the accumulators of layers, a neuron per cycle, through gates, state and
// threshold, and emits an event for each neuron that fires (docs/formats.md, section 1). The swept
// accumulators are left zero.
#pragma once

#include "beats.hpp"

namespace egret {

// In a wave: updates the layers of the jobs, one after the other; `events` has an end after each.
void neuron_update(unsigned engine, hls::stream<layer_job_t> &jobs, accumulator_t sums[LANES][SUM_DEPTH],
                   const neuron_record_t records[NEURON_DEPTH], state_t states[NEURON_DEPTH],
                   const word_t table_row[TABLE_PLANES][TABLE_DEPTH], hls::stream<event_t> &events);

}  // namespace egret
