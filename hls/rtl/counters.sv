// Counts what happens during a command and writes the counters block (hls/kernel.json, "counters").
module counters
  import egret_pkg::*;
#(
    parameter int unsigned ENGINES   = 2,
    parameter int unsigned BUS_BYTES = 8,
    parameter logic [63:0] BUILD     = '0,
    parameter logic [63:0] LIMITS    = '0
) (
    input logic clk,
    input logic rst,

    input logic                    clear,
    input logic                    running,
    input logic [ENGINES-1:0]      beat,         // a data beat of a column or a table row
    input logic [ENGINES-1:0]      waiting,
    input logic                    unhidden_update,
    input logic [ENGINES-1:0][7:0] macs,
    input logic [2:0]              event_layer,
    input logic [ENGINES-1:0]      event_valid,
    output logic [63:0]            cycles,

    input  logic                   write_start,
    input  logic [63:0]            write_address,
    input  logic [31:0]            status,
    output logic                   job_valid,
    input  logic                   job_ready,
    output logic [63:0]            job_address,
    output logic [23:0]            job_beats,
    output logic                   data_valid,
    output logic [8*BUS_BYTES-1:0] data,
    input  logic                   data_ready,
    output logic                   busy
);

  localparam int unsigned WORDS         = IMAGE_COUNTERS_BYTES / 8;
  localparam int unsigned WORDS_PER_BEAT = BUS_BYTES / 8;
  localparam int unsigned BEATS         = WORDS / WORDS_PER_BEAT;
  localparam int unsigned BEAT_BITS     = $clog2(BEATS);

  logic [63:0] mac_count, unhidden_updates;
  logic [ENGINES-1:0][63:0] beat_count, wait_count;
  logic [IMAGE_MAX_LAYERS-1:0][63:0] event_count;

  logic [15:0] macs_now, events_now;
  always_comb begin
    macs_now   = '0;
    events_now = '0;
    for (int e = 0; e < ENGINES; e++) begin
      macs_now += 16'(macs[e]);
      events_now += 16'(event_valid[e]);
    end
  end

  logic [15:0] macs_before;  // a register between the sum over lanes and the wide addition
  always_ff @(posedge clk) begin
    macs_before <= clear ? '0 : macs_now;
    if (clear) begin
      cycles           <= '0;
      mac_count        <= '0;
      unhidden_updates <= '0;
      beat_count       <= '0;
      wait_count       <= '0;
      event_count      <= '0;
    end else begin
      if (running) cycles <= cycles + 64'd1;
      mac_count        <= mac_count + 64'(macs_before);
      unhidden_updates <= unhidden_updates + 64'(unhidden_update);
      for (int e = 0; e < ENGINES; e++) begin
        beat_count[e] <= beat_count[e] + 64'(beat[e]);
        wait_count[e] <= wait_count[e] + 64'(waiting[e]);
      end
      event_count[event_layer] <= event_count[event_layer] + 64'(events_now);
    end
  end

  // -- write the block
  logic [WORDS-1:0][63:0] word;
  always_comb begin
    word                         = '0;
    word[COUNTER_IDENTITY]       = {IMAGE_MAGIC, 32'(KERNEL_VERSION)};
    word[COUNTER_BUILD]          = BUILD;
    word[COUNTER_LIMITS]         = LIMITS;
    word[COUNTER_STATUS]         = 64'(status);
    word[COUNTER_CYCLES]         = cycles;
    word[COUNTER_MACS]           = mac_count;
    word[COUNTER_UPDATE_CYCLES]  = unhidden_updates;
    for (int l = 0; l < IMAGE_MAX_LAYERS; l++) word[COUNTER_EVENTS+l] = event_count[l];
    for (int e = 0; e < ENGINES; e++) begin
      word[COUNTER_BEATS+e]       = beat_count[e];
      word[COUNTER_WAIT_CYCLES+e] = wait_count[e];
    end
  end

  logic [BEAT_BITS-1:0] index;
  logic job_pending, data_pending;
  assign job_valid   = job_pending;
  assign job_address = write_address;
  assign job_beats   = 24'(BEATS);
  assign data_valid  = data_pending;
  assign busy        = job_pending || data_pending;
  always_comb begin
    for (int w = 0; w < WORDS_PER_BEAT; w++) data[64*w+:64] = word[32'(index)*WORDS_PER_BEAT+w];
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      job_pending  <= 1'b0;
      data_pending <= 1'b0;
    end else begin
      if (write_start) begin
        index        <= '0;
        job_pending  <= 1'b1;
        data_pending <= 1'b1;
      end
      if (job_pending && job_ready) job_pending <= 1'b0;
      if (data_pending && data_ready) begin
        index <= index + 1'b1;
        if (index == BEAT_BITS'(BEATS - 1)) data_pending <= 1'b0;
      end
    end
  end

endmodule
