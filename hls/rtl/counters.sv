// Counts what happens during a command and writes the counters block (hls/kernel.json, "counters").
module counters #(
    parameter int unsigned ENGINES   = 2,
    parameter int unsigned BUS_BYTES = 8,
    parameter logic [63:0] BUILD     = '0,
    parameter logic [63:0] DECODER_BUILD = '0,
    parameter logic [63:0] LIMITS    = '0
) (
    input logic clk,
    input logic rst,

    input logic                    clear,
    input logic                    running,
    input logic [ENGINES-1:0]      beat,         // a data beat of a column or a table row
    input logic [ENGINES-1:0]      waiting,
    input logic                    unhidden_update,
    input logic                    write_waiting,
    input logic [ENGINES-1:0][7:0] macs,
    input logic [2:0]              event_layer,
    input logic [ENGINES-1:0]      event_valid,

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

  localparam int unsigned WORDS         = egret_pkg::IMAGE_COUNTERS_BYTES / 8;
  localparam int unsigned WORDS_PER_BEAT = BUS_BYTES / 8;
  localparam int unsigned BEATS         = WORDS / WORDS_PER_BEAT;
  localparam int unsigned BEAT_BITS     = $clog2(BEATS);

  // -- what happened in the last cycle: a register between the kernel's logic and the counters
  logic [15:0] macs_now, events_now, macs_before;
  logic running_before, unhidden_before, write_waiting_before;
  logic [ENGINES-1:0] beat_before, waiting_before;
  always_comb begin
    macs_now   = '0;
    events_now = '0;
    for (int e = 0; e < ENGINES; e++) begin
      macs_now += 16'(macs[e]);
      events_now += 16'(event_valid[e]);
    end
  end
  always_ff @(posedge clk) begin
    if (clear) begin
      running_before  <= 1'b0;
      unhidden_before <= 1'b0;
      write_waiting_before <= 1'b0;
      macs_before     <= '0;
      beat_before     <= '0;
      waiting_before  <= '0;
    end else begin
      running_before  <= running;
      unhidden_before <= unhidden_update;
      write_waiting_before <= write_waiting;
      macs_before     <= macs_now;
      beat_before     <= beat;
      waiting_before  <= waiting;
    end
  end

  // Events are rare. An increment has reached the high half of its counter two cycles after the register.
  logic [egret_pkg::IMAGE_MAX_LAYERS-1:0][15:0] events_before;
  logic events_clk;
  logic [2:0] events_counted;
  always_ff @(posedge clk) events_counted <= {events_counted[1:0], event_valid != '0};
  clock_gate events_gate (
      .clk,
      .run  (clear || event_valid != '0 || events_counted != '0),
      .gated(events_clk)
  );
  always_ff @(posedge events_clk) begin
    for (int l = 0; l < egret_pkg::IMAGE_MAX_LAYERS; l++)
      events_before[l] <= !clear && event_layer == 3'(l) ? events_now : 16'd0;
  end

  // -- the counters
  logic [63:0] cycles, mac_count, unhidden_updates, write_wait_count;
  logic [ENGINES-1:0][63:0] beat_count, wait_count;
  logic [egret_pkg::IMAGE_MAX_LAYERS-1:0][63:0] event_count;
  wide_counter count_cycles (
      .clk,
      .clear,
      .increment(16'(running_before)),
      .value    (cycles)
  );
  wide_counter count_macs (
      .clk,
      .clear,
      .increment(macs_before),
      .value    (mac_count)
  );
  wide_counter count_unhidden_updates (
      .clk,
      .clear,
      .increment(16'(unhidden_before)),
      .value    (unhidden_updates)
  );
  wide_counter count_write_waiting (
      .clk,
      .clear,
      .increment(16'(write_waiting_before)),
      .value    (write_wait_count)
  );
  for (genvar e = 0; e < ENGINES; e++) begin : g_engine
    wide_counter count_beats (
        .clk,
        .clear,
        .increment(16'(beat_before[e])),
        .value    (beat_count[e])
    );
    wide_counter count_waiting (
        .clk,
        .clear,
        .increment(16'(waiting_before[e])),
        .value    (wait_count[e])
    );
  end
  for (genvar l = 0; l < egret_pkg::IMAGE_MAX_LAYERS; l++) begin : g_layer
    wide_counter count_events (
        .clk      (events_clk),
        .clear,
        .increment(events_before[l]),
        .value    (event_count[l])
    );
  end

  // -- write the block
  logic [WORDS-1:0][63:0] word;
  always_comb begin
    word                         = '0;
    word[egret_pkg::COUNTER_IDENTITY]       = {egret_pkg::IMAGE_MAGIC, 32'(egret_pkg::KERNEL_VERSION)};
    word[egret_pkg::COUNTER_BUILD]          = BUILD;
    word[egret_pkg::COUNTER_LIMITS]         = LIMITS;
    word[egret_pkg::COUNTER_STATUS]         = 64'(status);
    word[egret_pkg::COUNTER_CYCLES]         = cycles;
    word[egret_pkg::COUNTER_MACS]           = mac_count;
    word[egret_pkg::COUNTER_UPDATE_CYCLES]  = unhidden_updates;
    word[egret_pkg::COUNTER_DECODER_BUILD]  = DECODER_BUILD;
    word[egret_pkg::COUNTER_WRITE_CYCLES]   = write_wait_count;
    for (int l = 0; l < egret_pkg::IMAGE_MAX_LAYERS; l++) word[egret_pkg::COUNTER_EVENTS+l] = event_count[l];
    for (int e = 0; e < ENGINES; e++) begin
      word[egret_pkg::COUNTER_BEATS+e]       = beat_count[e];
      word[egret_pkg::COUNTER_WAIT_CYCLES+e] = wait_count[e];
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
