#include "column_fetcher.hpp"

namespace egret {

// A longer column than this is as wrong as pointers out of order (the RTL's beat counter has 24 bits).
constexpr beat_count_t LONGEST_COLUMN = (1u << 24) - 1;

// Requests are issued while fewer than READS_IN_FLIGHT of them, and beats for fewer than as many full bursts,
// are outstanding: what the adapter's buffers hold, so that a request never waits for a read behind it.
constexpr beat_count_t BEATS_AHEAD = READS_IN_FLIGHT * MAX_BURST_BEATS;
// A read blocks until its beat is there, and with it the requests behind it. So while there is something to
// request, reading starts only when this much is outstanding: enough to cover the latency from then on.
constexpr beat_count_t BEATS_PRIMED = BEATS_AHEAD / 2;

// II = 1: a request is read from a stream, two pointers from the two ports of the pointer memory (which is
// only read here), and at most one job and one descriptor are written. The loop carries two flags.
void column_lookup(const std::uint32_t pointers[POINTER_DEPTH], address_t columns_address, beat_count_t columns_beats,
                   hls::stream<request_t> &requests, hls::stream<job_t> &jobs, hls::stream<descriptor_t> &descriptors,
                   bool &bad_column) {
  bool ended = false;
  bool bad = false;
look_up:
  while (!ended) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=2 max=8192 avg=80
    const request_t request = requests.read();
    const std::uint32_t first_beat = pointers[request.pointer];
    const std::uint32_t end_beat = pointers[static_cast<unsigned>(request.pointer) + 1];
    const bool is_column = request.kind == REQUEST_COLUMN;
    const bool wrong =
        end_beat < first_beat || end_beat > columns_beats || end_beat - first_beat > LONGEST_COLUMN;

    job_t job;
    job.address = is_column ? columns_address + first_beat : request.address;
    job.beats = is_column ? end_beat - first_beat : request.beats;
    job.end = request.kind == REQUEST_END;
    descriptor_t descriptor;
    descriptor.kind = request.kind;
    descriptor.value = request.value;
    descriptor.accumulator_base = request.accumulator_base;
    descriptor.beats = job.beats;

    ended = job.end;
    bad |= is_column && wrong;
    const bool reads = is_column ? !wrong && job.beats != 0 : request.kind == REQUEST_BLOCK;
    if (reads || ended) jobs.write(job);
    if (reads || !is_column) descriptors.write(descriptor);
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
