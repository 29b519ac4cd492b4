#include "neuron_update.hpp"

#include "arithmetic.hpp"
#include "gate_tables.hpp"

namespace egret {

// A group is LANES neurons (one per lane) at one address, and a neuron has SECTIONS sums, one after the other
// in its lane's memory. So a group is read in SECTIONS cycles, all lanes at once, while the group before goes
// through the arithmetic, a neuron per cycle.
constexpr unsigned STEPS = LANES > SECTIONS ? LANES : SECTIONS;

namespace {

struct updated_t {
  state_t state;
  bool fires;
  event_value_t value;
};

// One neuron: sums and biases in the order gx, z, r, gr.
updated_t update_neuron(const accumulator_t sums[SECTIONS], const bias_t biases[SECTIONS],
                        const shift_t shifts[SECTIONS], state_t threshold, state_t state) {
#pragma HLS INLINE
  constexpr int LARGEST_SUM = (1 << (SUM_BITS - 1)) - 1;
  constexpr int GATE_ONE = 1 << GATE_OUTPUT_FRACTION_BITS;
  constexpr int GATE_HALF = GATE_ONE / 2;
  constexpr int CANDIDATE_SCALE = 1 << (STATE_FRACTION_BITS - GATE_OUTPUT_FRACTION_BITS);
  constexpr int VALUE_SHIFT = STATE_FRACTION_BITS - EVENT_BITS;
  constexpr int LARGEST_VALUE = (1 << EVENT_BITS) - 1;
  typedef int_bits<SUM_BITS + GATE_OUTPUT_FRACTION_BITS + 1> gated_t;
  typedef int_bits<STATE_BITS + GATE_OUTPUT_FRACTION_BITS + 2> mixed_t;

  const sum_t sum_gx = scaled_sum(sums[SECTION_GX], shifts[SECTION_GX], biases[SECTION_GX]);
  const sum_t sum_z = scaled_sum(sums[SECTION_Z], shifts[SECTION_Z], biases[SECTION_Z]);
  const sum_t sum_r = scaled_sum(sums[SECTION_R], shifts[SECTION_R], biases[SECTION_R]);
  const sum_t wide_gr = scaled_sum(sums[SECTION_GR], shifts[SECTION_GR], biases[SECTION_GR]);
  const bias_t sum_gr = static_cast<bias_t>(wide_gr > LARGEST_SUM        ? sum_t(LARGEST_SUM)
                                            : wide_gr < -LARGEST_SUM - 1 ? sum_t(-LARGEST_SUM - 1)
                                                                         : wide_gr);

  const gate_t z = SIGMOID[gate_address(gate_input(sum_z))];
  const gate_t r = SIGMOID[gate_address(gate_input(sum_r))];
  const gated_t product = static_cast<gated_t>(static_cast<gated_t>(r) * sum_gr);
  const gated_t gated = static_cast<gated_t>((product + GATE_HALF) >> GATE_OUTPUT_FRACTION_BITS);
  const candidate_t g = TANH[gate_address(gate_input(static_cast<sum_t>(sum_gx + gated)))];

  const mixed_t kept = static_cast<mixed_t>(static_cast<mixed_t>(z) * state);
  const mixed_t share = static_cast<mixed_t>(GATE_ONE - static_cast<mixed_t>(z));
  const mixed_t added = static_cast<mixed_t>(share * static_cast<mixed_t>(g * CANDIDATE_SCALE));
  // |mixed| <= 32736, so it fits a state.
  const state_t mixed = static_cast<state_t>((kept + added + GATE_HALF) >> GATE_OUTPUT_FRACTION_BITS);

  const int rounded = (static_cast<int>(mixed) + (1 << (VALUE_SHIFT - 1))) >> VALUE_SHIFT;
  updated_t updated;
  updated.fires = mixed > threshold;
  updated.state = static_cast<state_t>(updated.fires ? static_cast<int>(mixed) - static_cast<int>(threshold)
                                                     : static_cast<int>(mixed));
  updated.value = static_cast<event_value_t>(rounded > LARGEST_VALUE ? LARGEST_VALUE : rounded);
  return updated;
}

// II = 1: per iteration each lane's memory is read once and the word just read written to zero (its two
// ports; the iterations visit every address once, so no iteration needs what another writes); record, state
// and the three table planes are read once and the state written once. Nothing but counters and the gathered
// sums is carried over: a neuron's state depends on its own old state alone, which only this call's one
// iteration for it touches. That is what makes the two dependences false.
void update_layer(unsigned engine, bool first_layer, const layer_t &layer, accumulator_t bank[LANES][SUM_DEPTH],
                  const neuron_record_t records[NEURON_DEPTH], state_t states[NEURON_DEPTH],
                  const word_t table_row[TABLE_PLANES][TABLE_DEPTH], hls::stream<event_t> &events) {
  accumulator_t gathered[SECTIONS][LANES];  // of the group being read
  accumulator_t held[SECTIONS][LANES];      // of the group in the arithmetic
#pragma HLS ARRAY_PARTITION variable=gathered complete dim=0
#pragma HLS ARRAY_PARTITION variable=held complete dim=0

  unsigned neuron = engine;  // in the layer
  unsigned position = layer.position_base;

groups:
  for (unsigned group = 0; group <= layer.groups; ++group) {
#pragma HLS LOOP_TRIPCOUNT min=2 max=257 avg=41
  steps:
    for (unsigned step = 0; step < STEPS; ++step) {
#pragma HLS LOOP_FLATTEN
#pragma HLS PIPELINE II=1
#pragma HLS DEPENDENCE variable=bank type=inter dependent=false
#pragma HLS DEPENDENCE variable=states type=inter dependent=false
      if (step == 0) {
      hold:
        for (unsigned section = 0; section < SECTIONS; ++section) {
#pragma HLS UNROLL
        hold_lane:
          for (unsigned p = 0; p < LANES; ++p) {
#pragma HLS UNROLL
            held[section][p] = group != 0 ? gathered[section][p] : accumulator_t(0);
          }
        }
      }
      if (step < SECTIONS && group < layer.groups) {
        const unsigned address = layer.accumulator_base + step * layer.groups + group;
      gather:
        for (unsigned p = 0; p < LANES; ++p) {
#pragma HLS UNROLL
          gathered[step][p] = bank[p][address];
          bank[p][address] = 0;
        }
      }
      if (step < LANES && group != 0) {
        const neuron_record_t record = records[position];
        accumulator_t sums[SECTIONS];
        bias_t biases[SECTIONS];
#pragma HLS ARRAY_PARTITION variable=sums complete
#pragma HLS ARRAY_PARTITION variable=biases complete
      pick:
        for (unsigned section = 0; section < SECTIONS; ++section) {
#pragma HLS UNROLL
          sums[section] = held[section][step];
          biases[section] = record.bias[section];
        }
        if (first_layer) {
          // The input's sums come from the token's row of the folded table.
          const unsigned word = position / TABLE_ENTRIES;
          const unsigned low = SUM_BITS * (position % TABLE_ENTRIES);
          biases[SECTION_Z] = signed_field<SUM_BITS>(table_row[0][word], low);
          biases[SECTION_R] = signed_field<SUM_BITS>(table_row[1][word], low);
          biases[SECTION_GX] = signed_field<SUM_BITS>(table_row[2][word], low);
        }
        const updated_t updated = update_neuron(sums, biases, record.shift, record.threshold, states[position]);
        // Positions beyond the layer's neurons are padding: computed, never stored, never an event.
        if (neuron < layer.neurons) {
          states[position] = updated.state;
          if (updated.fires) {
            event_t event;
            event.neuron = static_cast<neuron_index_t>(neuron);
            event.value = updated.value;
            event.end = false;
            events.write(event);
          }
        }
        neuron += ENGINES;
        ++position;
      }
    }
  }
  event_t end = {};
  end.end = true;
  events.write(end);
}

}  // namespace

void neuron_update(unsigned engine, hls::stream<layer_job_t> &jobs, accumulator_t sums[LANES][SUM_DEPTH],
                   const neuron_record_t records[NEURON_DEPTH], state_t states[NEURON_DEPTH],
                   const word_t table_row[TABLE_PLANES][TABLE_DEPTH], hls::stream<event_t> &events) {
  layer_job_t job = jobs.read();
layers:
  while (job.kind != JOB_END) {
#pragma HLS LOOP_TRIPCOUNT min=0 max=8 avg=3
    update_layer(engine, job.index == 0, job.layer, sums, records, states, table_row, events);
    job = jobs.read();
  }
}

}  // namespace egret
