// The sweep walk: per tile of the decoder, once a token's events have been accumulated, starts the engines' sweeps; after
// the last one takes the largest of their logits, and has the token's record and logits written.
module sweep_walk #(
    parameter int unsigned ENGINES   = 2,
    parameter int unsigned BUS_BYTES = 8
) (
    input logic clk,
    input logic rst,

    input logic        run_begin,
    input logic        running,
    input logic        generating,
    input logic [31:0] last_token,
    input logic        write_logits,
    input logic [63:0] results_address,
    input logic [63:0] logits_address,
    input logic [31:0] decoder_positions,
    input kernel_types_pkg::tiles_t tiles,
    input logic        tile_in_one_bank,

    input  logic                     decoder_marked,   // the sums of a tile are complete
    output logic                     sweep_start,
    output logic                     sweep_bank,       // which to begin in
    output logic                     sweep_first,      // the token's first tile
    output logic                     sweep_last,
    output logic [15:0]              sweep_groups,     // of the tile
    output logic                     swept,            // a sweep is over
    input  logic [ENGINES-1:0]       sweep_busy,
    input  logic [ENGINES-1:0]       best_valid,
    input  logic [ENGINES-1:0][31:0] best_logit,
    input  logic [ENGINES-1:0][31:0] best_word,
    output logic                     argmax_valid,
    output logic [31:0]              argmax,
    input  logic                     argmax_take,

    output logic [ENGINES-1:0]       logits_job_valid,
    input  logic [ENGINES-1:0]       logits_job_ready,
    output logic [ENGINES-1:0][63:0] logits_job_address,
    output logic [23:0]              logits_job_beats,

    output logic        record_valid,
    input  logic        record_ready,
    output logic [63:0] record_address,
    output logic [31:0] record_logit,
    output logic [31:0] record_cycles,
    output logic [23:0] finished_position,  // of the next token whose record is taken
    output logic        over                // those of all tokens are
);

  localparam int unsigned ENGINE_BITS = ENGINES > 1 ? $clog2(ENGINES) : 1;
  localparam int unsigned BEAT_SHIFT  = $clog2(BUS_BYTES);

  typedef enum logic [2:0] {
    IDLE,
    WAIT_MARK,
    BEGIN_SWEEP,
    BUSY,
    REDUCE,
    RECORD
  } state_e;
  state_e state;
  assign over = state == IDLE;

  logic [3:0] sweeps_due;  // tiles whose sums are complete and not swept
  logic [ENGINE_BITS-1:0] reduced;
  logic best_found;
  logic [31:0] finished_tokens;  // whose record is taken
  // A response may come when the last token's record is on its way: that is then where the run ended.
  assign finished_position = over ? last_token[23:0] : finished_tokens[23:0];
  logic last_record;
  always_ff @(posedge clk) last_record <= finished_tokens == last_token;
  logic [ENGINES-1:0] logits_pending;

  // The first tile has been swept or begun and the last has not, while logits are written: their write job waits for all, so
  // the sweeps go on where an error ends the run, whatever the sums are then.
  logic token_open;
  logic [15:0] tile;
  assign sweep_first  = tile == '0;
  assign sweep_groups = sweep_last ? tiles.last_groups : tiles.groups;
  always_ff @(posedge clk) sweep_last <= tile == tiles.count - 16'd1;

  assign swept = state == BUSY && sweep_busy == '0;
  always_ff @(posedge clk) begin
    if (rst || run_begin) begin
      state           <= WAIT_MARK;
      finished_tokens <= '0;
      sweeps_due      <= '0;
      argmax_valid    <= 1'b0;
      logits_pending  <= '0;
      tile            <= '0;
      sweep_bank      <= 1'b0;
      token_open      <= 1'b0;
    end else begin
      sweeps_due <= sweeps_due + 4'(decoder_marked) - 4'(sweep_start);
      if (argmax_take) argmax_valid <= 1'b0;
      logits_pending <= logits_pending & ~logits_job_ready;
      if (running || token_open) begin
        case (state)
          WAIT_MARK: if (sweeps_due != '0 || !running) state <= BEGIN_SWEEP;
          BEGIN_SWEEP: begin
            // The sweep and its write job begin together, so that neither is ever left waiting for the other.
            if (write_logits && sweep_first) logits_pending <= '1;
            token_open <= write_logits && !sweep_last;
            reduced    <= '0;
            best_found <= 1'b0;
            state      <= BUSY;
          end
          BUSY:
            if (swept) begin
              tile       <= sweep_last ? '0 : tile + 16'd1;
              sweep_bank <= tile_in_one_bank && !sweep_bank;
              state      <= sweep_last ? REDUCE : WAIT_MARK;
            end
          REDUCE: begin
            reduced <= reduced + 1'b1;
            if (best_valid[reduced]
                && (!best_found || $signed(best_logit[reduced]) > $signed(record_logit)
                    || (best_logit[reduced] == record_logit && best_word[reduced] < argmax))) begin
              best_found     <= 1'b1;
              argmax  <= best_word[reduced];
              record_logit <= best_logit[reduced];
            end
            if (32'(reduced) == ENGINES - 1) begin
              argmax_valid <= generating;
              state        <= RECORD;
            end
          end
          RECORD:
            if (record_ready) begin
              finished_tokens <= finished_tokens + 32'd1;
              state           <= last_record ? IDLE : WAIT_MARK;
            end
          default: ;  // IDLE
        endcase
      end
    end
  end

  assign sweep_start = (running || token_open) && state == BEGIN_SWEEP;

  assign logits_job_valid = logits_pending;
  assign logits_job_beats = 24'(((decoder_positions << 2) + 32'(BUS_BYTES - 1)) >> BEAT_SHIFT);

  assign record_valid   = running && state == RECORD;
  logic record_taken;
  assign record_taken   = record_valid && record_ready;

  // Cycles since the record before, or since the command's start, two cycles before `run_begin`; saturating.
  always_ff @(posedge clk) begin
    if (run_begin) record_cycles <= 32'd2;
    else if (record_taken) record_cycles <= 32'd1;
    else if (record_cycles != '1) record_cycles <= record_cycles + 32'd1;
  end

  stepping_address records (
      .clk,
      .load        (run_begin),
      .load_address(results_address),
      .move        (record_taken),
      .step        (32'(egret_pkg::IMAGE_RESULT_BYTES)),
      .address     (record_address)
  );

  // Logits: a block per engine and token. What these registers are made from changes once per model or token.
  logic [31:0] logits_block;                // bytes
  logic [ENGINES:0][31:0] block_offset;     // of each engine's block in a token's; the last: of the next token's
  logic [63:0] token_logits_address;
  logic [ENGINES-1:0][32:0] logits_low;     // low half of the address, and its carry
  stepping_address token_logits (
      .clk,
      .load        (run_begin),
      .load_address(logits_address),
      .move        (record_taken),
      .step        (block_offset[ENGINES]),
      .address     (token_logits_address)
  );
  always_ff @(posedge clk) if (write_logits) begin
    logits_block    <= ((decoder_positions << 2) + 32'd63) & ~32'd63;
    block_offset[0] <= '0;
    for (int e = 0; e < ENGINES; e++) begin
      block_offset[e+1]     <= block_offset[e] + logits_block;
      logits_low[e]         <= {1'b0, token_logits_address[31:0]} + {1'b0, block_offset[e]};
      logits_job_address[e] <= {token_logits_address[63:32] + 32'(logits_low[e][32]), logits_low[e][31:0]};
    end
  end

endmodule
