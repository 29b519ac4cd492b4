// Decoder sweep of one engine: turns the accumulators of a tile of the decoder into logits, all lanes at once, a group of
// LANES words per cycle, and keeps the largest of all tiles. When logits are wanted, each group also goes out word by
// word, packed into bus beats, and the sweep waits for room.
//
//   stage 0   address the accumulators and the word records
//   stage 1   shift right to 11 fractional bits
//   stage 2   round, add the bias: the logit
//   stage 3   compare with the lane's best so far
//
// After the last tile the lanes' bests are compared, one per cycle. Among equal logits the word with the smallest number wins.
module decoder_sweep #(
    parameter int unsigned ENGINES          = 2,
    parameter int unsigned ENGINE           = 0,
    parameter int unsigned LANES            = 5,
    parameter int unsigned BUS_BYTES        = 8,
    parameter int unsigned ACCUMULATOR_BITS = 28,
    parameter int unsigned DECODER_DEPTH    = 1024
) (
    input logic clk,
    input logic rst,

    input  logic        start,
    input  logic        first,         // tile of a token
    input  logic        last,
    input  logic [15:0] groups,        // of the tile
    input  logic        compact,       // the decoder has more than DECODER_DEPTH groups: half as much of each record counts
    input  logic        write_logits,
    input  logic [31:0] vocabulary,
    output logic        busy,
    output logic        waiting,  // for room to write logits

    output logic                                   logit_enable,
    output logic [15:0]                            logit_address,
    input  logic [LANES-1:0][ACCUMULATOR_BITS-1:0] logit_sum,      // a cycle later

    input logic        record_write,
    input logic        record_write_first,  // of all; they come in the order of positions
    input logic [19:0] record_write_data,   // bias, shift << 16 (RECORD_BITS)

    output logic               best_valid,  // there is at least one word in this engine
    output logic signed [31:0] best_logit,
    output logic [31:0]        best_word,

    output logic                   beat_valid,  // logits, BUS_BYTES / 4 in a beat
    output logic [8*BUS_BYTES-1:0] beat_data,
    input  logic                   beat_ready
);

  localparam int unsigned GROUP_BITS = $clog2(2 * DECODER_DEPTH + egret_pkg::COMPACT_EXTRA_ROWS);
  localparam int unsigned HALF_BITS  = $clog2(DECODER_DEPTH);
  localparam int unsigned EXTRA_BITS = $clog2(egret_pkg::COMPACT_EXTRA_ROWS);
  localparam int unsigned LANE_BITS  = LANES > 1 ? $clog2(LANES) : 1;
  localparam int unsigned SLOTS      = ENGINES * LANES;
  localparam int unsigned WORDS      = BUS_BYTES / 4;
  localparam int unsigned WORD_BITS  = $clog2(WORDS);
  // Groups read and not yet written out: bounds what the group queue must hold.
  localparam int unsigned GROUPS_AHEAD = 4;

  initial if (DECODER_DEPTH != 1 << HALF_BITS) $error("decoder_sweep: a power of two is needed");

  // -- word records: a group of them is a word of one memory. They arrive in order, so lane and group are counted along,
  //    and all but a group's last wait until that has come.
  localparam int unsigned RECORD_BITS = 20;
  logic [LANE_BITS-1:0]  write_lane, write_lane_now;
  logic [GROUP_BITS-1:0] write_group, write_group_now;
  logic group_complete;
  logic [LANES-1:0][RECORD_BITS-1:0] written_group, gathered_group, records_1;
  logic written, written_first;  // a register between the bus and the memory
  logic [RECORD_BITS-1:0] written_record;
  always_ff @(posedge clk) begin
    written        <= !rst && record_write;
    written_first  <= record_write_first;
    written_record <= record_write_data;
  end
  assign write_lane_now  = written_first ? '0 : write_lane;
  assign write_group_now = written_first ? '0 : write_group;
  assign group_complete  = 32'(write_lane_now) == LANES - 1;
  always_comb begin
    written_group          = gathered_group >> RECORD_BITS;  // lane 0's has gone down to place 0 when the last comes
    written_group[LANES-1] = written_record;
  end
  always_ff @(posedge clk) begin
    if (written) begin
      gathered_group <= written_group;
      write_lane     <= group_complete ? '0 : write_lane_now + 1'b1;
      write_group    <= group_complete ? write_group_now + 1'b1 : write_group_now;
    end
  end
  // Half of a record is the bias's high byte and the shift's low three bits; the other half, the low byte and the fourth
  // bit, is there for as many groups as one half has room for. A decoder with more does without: its other halves'
  // memory has the first halves of further groups, and a few LUTs those behind.
  localparam int unsigned HALF_RECORD = egret_pkg::COMPACT_SHIFT_BITS + egret_pkg::COMPACT_BIAS_BITS;
  logic [15:0] group;  // being swept, of the whole decoder
  logic [LANES-1:0][HALF_RECORD-1:0] written_high, written_low, high_1, low_1, extra_1;
  logic [LANES-1:0][HALF_RECORD-1:0] extra[egret_pkg::COMPACT_EXTRA_ROWS];
  logic write_group_complete, write_above, write_beyond, above_1, beyond_1;
  always_comb begin
    for (int l = 0; l < LANES; l++) begin
      written_high[l] = {written_group[l][18:16], written_group[l][15:8]};
      written_low[l]  = compact ? written_high[l] : {2'd0, written_group[l][19], written_group[l][7:0]};
    end
  end
  assign write_group_complete = written && group_complete;
  assign write_above  = 32'(write_group_now) >= DECODER_DEPTH;
  assign write_beyond = 32'(write_group_now) >= 2 * DECODER_DEPTH;
  block_memory #(
      .WIDTH(HALF_RECORD * LANES),
      .DEPTH(DECODER_DEPTH)
  ) high_records (
      .clk,
      .write_enable (write_group_complete && !write_above),
      .write_address(write_group_now[HALF_BITS-1:0]),
      .write_data   (written_high),
      .read_enable  (1'b1),
      .read_address (group[HALF_BITS-1:0]),
      .read_data    (high_1)
  );
  block_memory #(
      .WIDTH(HALF_RECORD * LANES),
      .DEPTH(DECODER_DEPTH)
  ) low_records (
      .clk,
      .write_enable (write_group_complete && !write_beyond && (write_above || !compact)),
      .write_address(write_group_now[HALF_BITS-1:0]),
      .write_data   (written_low),
      .read_enable  (1'b1),
      .read_address (group[HALF_BITS-1:0]),
      .read_data    (low_1)
  );
  always_ff @(posedge clk) begin
    if (write_group_complete && write_beyond) extra[write_group_now[EXTRA_BITS-1:0]] <= written_high;
    extra_1  <= extra[group[EXTRA_BITS-1:0]];
    above_1  <= 32'(group) >= DECODER_DEPTH;
    beyond_1 <= 32'(group) >= 2 * DECODER_DEPTH;
  end
  always_comb begin
    for (int l = 0; l < LANES; l++) begin
      records_1[l] = {low_1[l][8], high_1[l][10:8], high_1[l][7:0], low_1[l][7:0]};
      if (compact) records_1[l] = {1'b0, beyond_1 ? extra_1[l] : above_1 ? low_1[l] : high_1[l], 8'd0};
    end
  end

  // -- stage 0: walk the groups
  logic sweeping, issue, with_logits, ends;
  logic [15:0] tile_group;  // being swept, of the tile
  logic [31:0] base_word;  // lane 0's word
  logic [2:0] groups_ahead;
  logic group_written;
  assign issue = sweeping && (!with_logits || 32'(groups_ahead) < GROUPS_AHEAD);
  assign waiting = sweeping && !issue;
  assign logit_enable  = issue;
  assign logit_address = tile_group;

  always_ff @(posedge clk) begin
    if (rst) begin
      sweeping     <= 1'b0;
      groups_ahead <= '0;
    end else begin
      if (start) sweeping <= 1'b1;
      else if (issue && tile_group == groups - 16'd1) sweeping <= 1'b0;
      if (with_logits) groups_ahead <= groups_ahead + 3'(issue) - 3'(group_written);
    end
    if (start) begin
      with_logits <= write_logits;
      ends        <= last;
      tile_group  <= '0;
      if (first) begin
        group     <= '0;
        base_word <= 32'(ENGINE);
      end
    end else if (issue) begin
      tile_group <= tile_group + 16'd1;
      group      <= group + 16'd1;
      base_word  <= base_word + 32'(SLOTS);
    end
  end

  logic valid_1, valid_2, valid_3;
  logic [31:0] base_word_1;
  always_ff @(posedge clk) begin
    valid_1     <= !rst && issue;
    valid_2     <= !rst && valid_1;
    valid_3     <= !rst && valid_2;
    base_word_1 <= base_word;
  end

  logic picking;  // the sweep is over, and the lanes' best move past each other
  logic signed [LANES-1:0][31:0] logit_3, lane_best;
  logic [LANES-1:0][31:0] lane_word;
  logic [LANES-1:0] lane_valid;

  for (genvar l = 0; l < LANES; l++) begin : g_lane
    logic [RECORD_BITS-1:0] record_1;
    assign record_1 = records_1[l];

    // -- stages 1 and 2, as in the neuron update; the shift in two steps, for the sum comes late from its memory
    logic signed [ACCUMULATOR_BITS:0] coarse_2, shifted_2;
    logic [1:0] fine_2;
    logic signed [15:0] bias_2;
    logic [31:0] word_2, word_3;
    logic in_vocabulary_3;
    assign shifted_2 = coarse_2 >>> fine_2;
    always_ff @(posedge clk) begin
      coarse_2 <= $signed({logit_sum[l], 1'b0}) >>> {record_1[19:18], 2'd0};
      fine_2   <= record_1[17:16];
      bias_2   <= record_1[15:0];
      logit_3[l] <= 32'($signed(shifted_2[ACCUMULATOR_BITS:1])) + $signed({31'd0, shifted_2[0]}) + 32'(bias_2);
      word_2          <= base_word_1 + 32'(l * ENGINES);
      word_3          <= word_2;
      in_vocabulary_3 <= word_2 < vocabulary;
    end

    // -- stage 3: words come in rising order, so a later one wins only if it is larger
    always_ff @(posedge clk) begin
      if (start) begin
        if (first) lane_valid[l] <= 1'b0;
      end else if (valid_3 && in_vocabulary_3
                   && (!lane_valid[l] || $signed(logit_3[l]) > $signed(lane_best[l]))) begin
        lane_valid[l] <= 1'b1;
        lane_best[l]  <= logit_3[l];
        lane_word[l]  <= word_3;
      end else if (picking) begin  // the sweep is over: the next lane's best moves up
        lane_valid[l] <= lane_valid[(l+1)%LANES];
        lane_best[l]  <= lane_best[(l+1)%LANES];
        lane_word[l]  <= lane_word[(l+1)%LANES];
      end
    end
  end

  // -- compare the lanes: pick one, a cycle later compare it
  logic sweep_over, comparing;
  logic [LANE_BITS-1:0] picked;
  logic picked_valid;
  logic signed [31:0] picked_logit;
  logic [31:0] picked_word;
  logic was_sweeping;
  assign sweep_over = was_sweeping && !(sweeping || valid_1 || valid_2 || valid_3);
  always_ff @(posedge clk) begin
    if (rst) begin
      was_sweeping <= 1'b0;
      picking      <= 1'b0;
      comparing    <= 1'b0;
      best_valid   <= 1'b0;
    end else begin
      was_sweeping <= start || sweeping || valid_1 || valid_2 || valid_3;
      if (start) best_valid <= 1'b0;
      if (sweep_over && ends) begin
        picking <= 1'b1;
        picked  <= '0;
      end else if (picking) begin
        picking <= 32'(picked) != LANES - 1;
        picked  <= picked + 1'b1;
      end
      comparing <= picking;
      if (comparing && picked_valid
          && (!best_valid || picked_logit > best_logit
              || (picked_logit == best_logit && picked_word < best_word))) begin
        best_valid <= 1'b1;
        best_logit <= picked_logit;
        best_word  <= picked_word;
      end
    end
    picked_valid <= lane_valid[0];
    picked_logit <= lane_best[0];
    picked_word  <= lane_word[0];
  end

  // -- logits out: a queue of groups, then one logit per cycle into a beat
  logic group_empty, unused_group_full, beat_full, beat_empty, beat_push;
  logic [LANES-1:0][31:0] group_logits;
  sync_fifo #(
      .WIDTH(32 * LANES),
      .DEPTH(GROUPS_AHEAD)
  ) group_queue (
      .clk,
      .rst,
      .push     (valid_3 && with_logits),
      .push_data(logit_3),
      .full     (unused_group_full),  // never: groups_ahead bounds what is under way
      .pop      (group_written),
      .head     (group_logits),
      .empty    (group_empty)
  );

  logic [LANE_BITS-1:0] packed_lane;
  logic [WORD_BITS-1:0] packed_word;
  logic [8*BUS_BYTES-1:0] partial_beat, next_beat;
  logic [15:0] groups_written;
  logic pack, last_logit;
  assign pack          = !group_empty && !beat_full;
  assign group_written = pack && 32'(packed_lane) == LANES - 1;
  assign last_logit    = group_written && ends && groups_written == groups - 16'd1;
  assign beat_push     = pack && (32'(packed_word) == WORDS - 1 || last_logit);
  always_comb begin
    next_beat = packed_word == '0 ? '0 : partial_beat;
    next_beat[32*packed_word+:32] = group_logits[packed_lane];
  end
  always_ff @(posedge clk) begin
    if (rst || start) begin
      packed_lane    <= '0;
      groups_written <= '0;
      if (rst || first) packed_word <= '0;
    end else if (pack) begin
      partial_beat <= next_beat;
      packed_word  <= beat_push ? '0 : packed_word + 1'b1;
      packed_lane  <= group_written ? '0 : packed_lane + 1'b1;
      if (group_written) groups_written <= groups_written + 16'd1;
    end
  end

  sync_fifo #(
      .WIDTH(8 * BUS_BYTES),
      .DEPTH(16)
  ) beat_queue (
      .clk,
      .rst,
      .push     (beat_push),
      .push_data(next_beat),
      .full     (beat_full),
      .pop      (beat_ready),
      .head     (beat_data),
      .empty    (beat_empty)
  );
  assign beat_valid = !beat_empty;

  assign busy = sweeping || was_sweeping || picking || comparing || !group_empty || !beat_empty;

endmodule
