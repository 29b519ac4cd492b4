#include "event_queue.hpp"

namespace egret {

namespace {

request_t empty_request(request_kind_t kind) {
#pragma HLS INLINE
  request_t request;
  request.kind = kind;
  request.pointer = 0;
  request.value = 0;
  request.forward = false;
  request.recurrent = false;
  request.to_decoder = false;
  request.layer = 0;
  request.last_neuron = false;
  request.forward_base = 0;
  request.recurrent_base = 0;
  request.address = 0;
  request.beats = 0;
  return request;
}

request_t columns_request(const layer_job_t &job, const list_entry_t &event, bool forward, bool recurrent) {
#pragma HLS INLINE
  request_t request = empty_request(REQUEST_COLUMNS);
  request.pointer = static_cast<pointer_t>(job.layer.pointer_base + event.neuron);
  request.value = event.value;
  request.forward = forward;
  request.recurrent = recurrent;
  request.to_decoder = job.last;
  request.layer = static_cast<uint_bits<3>>(job.index);
  request.last_neuron = event.neuron + 1 == job.layer.neurons;
  request.forward_base = job.layer.forward_accumulator_base;
  request.recurrent_base = job.layer.recurrent_accumulator_base;
  return request;
}

void send_to_all(const request_t &request, hls::stream<request_t> requests[ENGINES]) {
#pragma HLS INLINE
send_to_all:
  for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    requests[engine].write(request);
  }
}

void ask_for_row(std::uint32_t token, beat_count_t table_row_beats, const address_t table_address[ENGINES],
                 hls::stream<request_t> requests[ENGINES]) {
  const address_t offset = static_cast<address_t>(token) * table_row_beats;
ask:
  for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    request_t request = empty_request(REQUEST_ROW);
    request.address = table_address[engine] + offset;
    request.beats = table_row_beats;
    requests[engine].write(request);
  }
}

// II = 1: one read of the list and one write to each stream per event; nothing is carried from one to the
// next.
void play(const layer_job_t &job, std::uint32_t count, const list_entry_t entries[EVENT_DEPTH],
          hls::stream<request_t> requests[ENGINES]) {
  const unsigned list = ENGINES * job.layer.position_base;
play:
  for (std::uint32_t index = 0; index < count; ++index) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=0 max=2048 avg=40
    send_to_all(columns_request(job, entries[list + index], false, true), requests);
  }
}

// II = 1: an iteration takes at most one event, from the first engine that has one. What is carried over is
// a counter, a flag per engine, and the write address; the list is only written.
std::uint32_t record(const layer_job_t &job, list_entry_t entries[EVENT_DEPTH], hls::stream<event_t> events[ENGINES],
                     hls::stream<request_t> requests[ENGINES]) {
  const unsigned list = ENGINES * job.layer.position_base;
  std::uint32_t recorded = 0;
  unsigned ended = 0;
  bool engine_ended[ENGINES];
#pragma HLS ARRAY_PARTITION variable=engine_ended complete
start:
  for (unsigned engine = 0; engine < ENGINES; ++engine) {
#pragma HLS UNROLL
    engine_ended[engine] = false;
  }

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
      send_to_all(columns_request(job, entry, true, job.recurrent), requests);
    }
  }
  return recorded;
}

}  // namespace

void event_queue(hls::stream<layer_job_t> &jobs, bool has_row, std::uint32_t row_token, bool row_follows,
                 beat_count_t table_row_beats, const address_t table_address[ENGINES],
                 list_entry_t entries[EVENT_DEPTH], std::uint32_t event_counts[IMAGE_MAX_LAYERS],
                 hls::stream<event_t> events[ENGINES], hls::stream<std::uint32_t> &next_words,
                 hls::stream<request_t> requests[ENGINES]) {
#pragma HLS ARRAY_PARTITION variable=table_address complete
  // The row fills the bus until the first neurons have been updated.
  if (has_row) ask_for_row(row_token, table_row_beats, table_address, requests);
  layer_job_t job = jobs.read();
layers:
  while (job.kind != JOB_END) {
#pragma HLS LOOP_TRIPCOUNT min=0 max=12 avg=3
    if (job.kind == JOB_PLAY) play(job, event_counts[job.index], entries, requests);
    else event_counts[job.index] = record(job, entries, events, requests);
    job = jobs.read();
  }
  if (row_follows) ask_for_row(next_words.read(), table_row_beats, table_address, requests);
  send_to_all(empty_request(REQUEST_END), requests);
}

}  // namespace egret
