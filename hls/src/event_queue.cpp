#include "event_queue.hpp"

namespace egret {

static request_t column_request(pointer_t pointer_base, const list_entry_t &event, row_t accumulator_base) {
#pragma HLS INLINE
  request_t request;
  request.kind = REQUEST_COLUMN;
  request.pointer = static_cast<pointer_t>(pointer_base + event.neuron);
  request.value = event.value;
  request.accumulator_base = accumulator_base;
  request.address = 0;
  request.beats = 0;
  return request;
}

static request_t plain_request(request_kind_t kind) {
#pragma HLS INLINE
  request_t request;
  request.kind = kind;
  request.pointer = 0;
  request.value = 0;
  request.accumulator_base = 0;
  request.address = 0;
  request.beats = 0;
  return request;
}

static void send_to_all(const request_t &request, hls::stream<request_t> requests[ENGINES]) {
#pragma HLS INLINE
send_to_all:
  for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    requests[engine].write(request);
  }
}

// II = 1: one read of the list and one write to each stream per event; nothing is carried from one to the
// next.
static void play(const list_entry_t entries[EVENT_DEPTH], unsigned list, unsigned count, pointer_t pointer_base,
                 row_t accumulator_base, hls::stream<request_t> requests[ENGINES]) {
play:
  for (unsigned index = 0; index < count; ++index) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=0 max=2048 avg=40
    send_to_all(column_request(pointer_base, entries[list + index], accumulator_base), requests);
  }
}

void event_queue(layer_t layer, unsigned list, layer_t above, unsigned recurrent_list,
                 unsigned recurrent_count, list_entry_t entries[EVENT_DEPTH], hls::stream<event_t> events[ENGINES],
                 hls::stream<request_t> requests[ENGINES], std::uint32_t &event_count) {
  play(entries, recurrent_list, recurrent_count, above.recurrent_pointer_base, above.recurrent_accumulator_base,
       requests);

  std::uint32_t recorded = 0;
  unsigned ended = 0;
  bool engine_ended[ENGINES];
#pragma HLS ARRAY_PARTITION variable=engine_ended complete
start:
  for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    engine_ended[engine] = false;
  }

  // II = 1: an iteration takes at most one event, from the first engine that has one. What is carried over is
  // a counter, a flag per engine, and the write address; the list is only written.
record:
  while (ended != ENGINES) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=4096 avg=100
    bool taken = false;
    event_t event = {};
  look:
    for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
      if (!taken && !engine_ended[engine]) {
        event_t offered = {};
        if (events[engine].read_nb(offered)) {
          taken = true;
          event = offered;
          engine_ended[engine] = offered.end;
        }
      }
    }
    if (taken && event.end) {
      ++ended;
    } else if (taken) {
      list_entry_t entry;
      entry.neuron = event.neuron;
      entry.value = event.value;
      entries[list + recorded] = entry;
      ++recorded;
      send_to_all(column_request(layer.forward_pointer_base, entry, layer.forward_accumulator_base), requests);
    }
  }
  send_to_all(plain_request(REQUEST_MARK), requests);
  send_to_all(plain_request(REQUEST_END), requests);
  event_count = recorded;
}

void play_first_layer(bool next_token, layer_t first_layer, unsigned recurrent_count,
                      const list_entry_t entries[EVENT_DEPTH], beat_count_t table_row_beats,
                      const address_t table_address[ENGINES], hls::stream<next_token_t> &tokens,
                      hls::stream<request_t> requests[ENGINES]) {
#pragma HLS ARRAY_PARTITION variable=table_address complete
  play(entries, 0, next_token ? recurrent_count : 0, first_layer.recurrent_pointer_base,
       first_layer.recurrent_accumulator_base, requests);
  send_to_all(plain_request(REQUEST_MARK), requests);
  const next_token_t next = tokens.read();
  if (next.valid) {
    const address_t offset = static_cast<address_t>(next.token) * table_row_beats;
  ask:
    for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
      request_t request = plain_request(REQUEST_BLOCK);
      request.address = table_address[engine] + offset;
      request.beats = table_row_beats;
      requests[engine].write(request);
    }
  }
  send_to_all(plain_request(REQUEST_END), requests);
}

}  // namespace egret
