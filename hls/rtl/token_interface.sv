// Reads the input tokens ahead, 64 bytes at a time, and writes a 32-byte result record per token.
module token_interface #(
    parameter int unsigned BUS_BYTES = 8
) (
    input logic clk,
    input logic rst,

    // -- tokens in
    input  logic                   token_clear,  // forget what was read ahead
    input  logic                   beat_valid,
    input  logic [8*BUS_BYTES-1:0] beat_data,
    input  logic                   chunk_request,  // 64 bytes more have been asked for
    output logic                   chunk_room,     // there is room for 64 bytes more
    output logic                   token_valid,
    output logic [31:0]            token,
    input  logic                   token_take,

    // -- results out
    input  logic                                 record_valid,
    output logic                                 record_ready,
    input  logic [63:0]                          record_address,
    input  logic [31:0]                          record_word,
    input  logic [31:0]                          record_logit,
    input  logic [31:0]                          record_token,
    input  logic [31:0]                          record_cycles,
    input  logic [egret_pkg::IMAGE_MAX_LAYERS-1:0][15:0] record_events,

    output logic                   job_valid,
    input  logic                   job_ready,
    output logic [63:0]            job_address,
    output logic [23:0]            job_beats,
    output logic                   data_valid,
    output logic [8*BUS_BYTES-1:0] data,
    input  logic                   data_ready,
    output logic                   busy
);

  // -- tokens: a small ring of beats, two chunks large
  localparam int unsigned TOKENS_PER_BEAT = BUS_BYTES / 4;
  localparam int unsigned CHUNK_BEATS     = 64 / BUS_BYTES;
  localparam int unsigned RING_BEATS      = 2 * CHUNK_BEATS;
  localparam int unsigned RING_BITS       = $clog2(RING_BEATS);
  localparam int unsigned WORD_BITS       = $clog2(TOKENS_PER_BEAT);

  logic [8*BUS_BYTES-1:0] ring[RING_BEATS];
  logic [RING_BITS-1:0] write_beat;
  logic [RING_BITS+WORD_BITS-1:0] read_token;
  logic [5:0] tokens_held;      // arrived and not taken, at most 32
  logic [5:0] tokens_reserved;  // asked for and not taken, at most 32
  assign token_valid = tokens_held != '0;
  assign token       = ring[read_token[RING_BITS+WORD_BITS-1:WORD_BITS]][32*read_token[WORD_BITS-1:0]+:32];
  assign chunk_room  = tokens_reserved <= 6'd16;

  always_ff @(posedge clk) begin
    if (beat_valid) ring[write_beat] <= beat_data;
    if (rst || token_clear) begin
      write_beat      <= '0;
      read_token      <= '0;
      tokens_held     <= '0;
      tokens_reserved <= '0;
    end else begin
      if (beat_valid) write_beat <= write_beat + 1'b1;
      if (token_take) read_token <= read_token + 1'b1;
      tokens_held     <= tokens_held + (beat_valid ? 6'(TOKENS_PER_BEAT) : 6'd0) - 6'(token_take);
      tokens_reserved <= tokens_reserved + (chunk_request ? 6'd16 : 6'd0) - 6'(token_take);
    end
  end

  // -- results
  localparam int unsigned RECORD_BEATS = egret_pkg::IMAGE_RESULT_BYTES / BUS_BYTES;
  localparam int unsigned INDEX_BITS   = $clog2(RECORD_BEATS);
  logic [RECORD_BEATS-1:0][8*BUS_BYTES-1:0] held;
  logic [63:0] address;
  logic [INDEX_BITS-1:0] index;
  logic job_pending, data_pending;

  assign record_ready = !job_pending && !data_pending;
  assign job_valid    = job_pending;
  assign job_address  = address;
  assign job_beats    = 24'(RECORD_BEATS);
  assign data_valid   = data_pending;
  assign data         = held[index];
  assign busy         = job_pending || data_pending;

  always_ff @(posedge clk) begin
    if (rst) begin
      job_pending  <= 1'b0;
      data_pending <= 1'b0;
    end else begin
      if (record_valid && record_ready) begin
        held         <= {record_events, record_cycles, record_token, record_logit, record_word};
        address      <= record_address;
        index        <= '0;
        job_pending  <= 1'b1;
        data_pending <= 1'b1;
      end
      if (job_pending && job_ready) job_pending <= 1'b0;
      if (data_pending && data_ready) begin
        index <= index + 1'b1;
        if (index == INDEX_BITS'(RECORD_BEATS - 1)) data_pending <= 1'b0;
      end
    end
  end

  initial begin
    if ($bits(held) != 8 * egret_pkg::IMAGE_RESULT_BYTES
        || egret_pkg::IMAGE_RESULT_BYTES != 16 + 2 * egret_pkg::IMAGE_MAX_LAYERS) begin
      $error("token_interface: a result record is four words and an event count per layer");
    end
  end

endmodule
