#include "column_fetcher.hpp"

namespace egret {

// A longer block than this is as wrong as pointers out of order (the RTL's beat counter has 24 bits).
constexpr beat_count_t LONGEST_BLOCK = (1u << 24) - 1;

// Requests are issued while fewer than READS_IN_FLIGHT of them, and beats for fewer than as many full bursts,
// are outstanding: what the adapter's buffers hold, so that a request never waits for a read behind it.
constexpr beat_count_t BEATS_AHEAD = READS_IN_FLIGHT * MAX_BURST_BEATS;
// A read blocks until its beat is there, and with it the requests behind it. So while there is something to
// request, reading starts only when this much is outstanding: enough to cover the latency from then on.
constexpr beat_count_t BEATS_PRIMED = BEATS_AHEAD / 2;

// II = 1: a request is read from a stream, two pairs of pointers from the two ports of their memory (which is
// only read here), and at most one job and one descriptor are written. The loop carries two flags.
void column_lookup(const columns_t columns[COLUMNS_DEPTH], const beat_count_t columns_end[IMAGE_MAX_LAYERS],
                   address_t columns_address, beat_count_t columns_beats, hls::stream<request_t> &requests,
                   hls::stream<job_t> &jobs, hls::stream<descriptor_t> &descriptors, bool &bad_column) {
#pragma HLS ARRAY_PARTITION variable=columns_end complete
  bool ended = false;
  bool bad = false;
look_up:
  while (!ended) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=8192 avg=80
    const request_t request = requests.read();
    const columns_t here = columns[request.pointer];
    const columns_t after = columns[static_cast<unsigned>(request.pointer) + 1];
    const beat_count_t next = request.last_neuron ? columns_end[request.layer] : after.forward;
    const bool is_columns = request.kind == REQUEST_COLUMNS;
    const bool is_row = request.kind == REQUEST_ROW;

    // Both columns are one block.
    const beat_count_t first_beat = request.forward ? here.forward : here.recurrent;
    const beat_count_t end_beat = request.recurrent ? next : here.recurrent;
    const beat_count_t forward_beats = request.forward ? here.recurrent - here.forward : 0;
    const beat_count_t recurrent_beats = request.recurrent ? next - here.recurrent : 0;
    const bool wrong = (request.forward && here.recurrent < here.forward) ||
                       (request.recurrent && next < here.recurrent) || end_beat > columns_beats ||
                       end_beat - first_beat > LONGEST_BLOCK;

    job_t job;
    job.address = is_columns ? columns_address + first_beat : request.address;
    job.beats = is_columns ? end_beat - first_beat : request.beats;
    job.end = request.kind == REQUEST_END;
    descriptor_t descriptor;
    descriptor.value = request.value;
    descriptor.recurrent_base = request.recurrent_base;
    if (is_columns && forward_beats != 0) {
      descriptor.target = request.to_decoder ? TO_DECODER : TO_LAYERS;
      descriptor.base = request.forward_base;
      descriptor.beats = forward_beats;
      descriptor.recurrent_beats = recurrent_beats;
    } else {
      descriptor.target = is_columns ? TO_LAYERS : is_row ? TO_ROW : TO_END;
      descriptor.base = request.recurrent_base;
      descriptor.beats = is_columns ? recurrent_beats : request.beats;
      descriptor.recurrent_beats = 0;
    }

    ended = job.end;
    bad |= is_columns && wrong;
    if (ended || is_row || (!wrong && job.beats != 0)) {
      jobs.write(job);
      descriptors.write(descriptor);
    }
  }
  bad_column = bad;
}

// II = 1: an iteration issues at most one request and passes at most one beat on. What it carries over are
// counters (an addition and a comparison each) and the lengths of the requests in flight, which are
// registers.
void column_fetcher(port_t port, hls::stream<job_t> &jobs, hls::stream<word_t> &beats) {
  job_t job = {};
  bool have_job = false;
  bool ended = false;
  beat_count_t beats_in_flight = 0;

  beat_count_t lengths[READS_IN_FLIGHT];  // a ring: of the requests in flight
#pragma HLS ARRAY_PARTITION variable=lengths complete
  unsigned requests_in_flight = 0;
  unsigned newest = 0;
  unsigned oldest = 0;
  beat_count_t beats_left = 0;  // of the oldest

fetch:
  while (!ended || have_job || requests_in_flight != 0) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=65536 avg=1000
    const bool issue = have_job && requests_in_flight < READS_IN_FLIGHT && beats_in_flight < BEATS_AHEAD;
    const bool pass = requests_in_flight != 0 && (!issue || beats_in_flight >= BEATS_PRIMED);

    if (pass) {
      const beat_count_t left = beats_left != 0 ? beats_left : lengths[oldest];
      beats.write(read_word(port));
      beats_left = left - 1;
      --beats_in_flight;
      if (left == 1) {
        --requests_in_flight;
        oldest = oldest + 1 == READS_IN_FLIGHT ? 0 : oldest + 1;
      }
    }
    if (issue) {
      port.read_request(job.address, job.beats);
      lengths[newest] = job.beats;
      newest = newest + 1 == READS_IN_FLIGHT ? 0 : newest + 1;
      ++requests_in_flight;
      beats_in_flight += job.beats;
      have_job = false;
    }
    if (!have_job && !ended && jobs.read_nb(job)) {
      ended = job.end;
      have_job = !job.end;
    }
  }
}

}  // namespace egret
