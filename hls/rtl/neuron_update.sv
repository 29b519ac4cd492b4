// Neuron update of one engine: sweeps a layer's accumulators, a neuron per cycle, through gates, state and
// threshold, and emits an event for each neuron that fires (docs/formats.md, section 1).
//
// The sweep goes group by group: LANES neurons (one per lane) share an address, and a neuron has four sums
// (gx, z, r, gr), one after the other in its lane's memory. So a group is read in four cycles, all lanes at
// once, gathered, and then passed to the pipeline one lane per cycle while the next group is being read:
// max(4, LANES) cycles per group. The next sweep may start as soon as the last group is on its way: what a stage
// needs to know of its neuron's layer travels with the neuron.
//
//   stage 0   address the record, the state and the table row; pick the lane's sums
//   stage 1   shift each sum right to 11 fractional bits
//   stage 2   round, add the bias
//   stage 3   saturate to a gate input
//   stage 4   look z and r up
//   stage 5   r * sum_gr
//   stage 6   round, add to sum_gx
//   stage 7   saturate to a gate input
//   stage 8   look g up
//   stage 9   z * c and (1 - z) * g
//   stage 10  add, round: the new state c~
//   stage 11  compare with the threshold
//   stage 12  write the state back, emit the event
module neuron_update #(
    parameter int unsigned ENGINES          = 2,
    parameter int unsigned ENGINE           = 0,     // which one this is
    parameter int unsigned LANES            = 5,
    parameter int unsigned BUS_BYTES        = 8,
    parameter int unsigned ACCUMULATOR_BITS = 28,
    parameter int unsigned NEURON_DEPTH     = 2048
) (
    input logic clk,
    input logic rst,

    input  logic   start,
    input  kernel_types_pkg::layer_t layer,
    input  logic   wave,     // parity of the wave: which banks to sweep, and which table row is the token's
    output logic   ready,    // the next update may start
    output logic   busy,

    output logic [kernel_types_pkg::LAYER_BANKS-1:0] sweep_enable,
    output logic [15:0]                             sweep_address,
    input  logic [LANES-1:0][ACCUMULATOR_BITS-1:0]  sweep_sum,      // of the layer's bank, a cycle later

    input logic         record_write,
    input logic [15:0]  record_write_position,
    input logic [95:0]  record_write_data,

    input logic                   table_write,
    input logic                   table_write_buffer,
    input logic [1:0]             table_write_plane,  // 0 z, 1 r, 2 gx
    input logic [15:0]            table_write_word,
    input logic [8*BUS_BYTES-1:0] table_write_data,

    input logic        clear_state,
    input logic [15:0] clear_position,

    output logic        event_valid,
    output logic [15:0] event_neuron,
    output logic [7:0]  event_value,
    output logic [2:0]  event_layer,
    output logic        event_last   // pulse: the layer's last neuron is through, whether it fired or not
);

  localparam int unsigned POSITION_BITS = $clog2(NEURON_DEPTH);
  localparam int unsigned SLOTS         = ENGINES * LANES;
  localparam int unsigned STEPS         = LANES > 4 ? LANES : 4;
  localparam int unsigned STEP_BITS     = $clog2(STEPS);
  localparam int unsigned LANE_BITS     = LANES > 1 ? $clog2(LANES) : 1;
  localparam int unsigned TABLE_ENTRIES = BUS_BYTES / 2;  // int16 in a word of the table buffer
  localparam int unsigned TABLE_SHIFT   = $clog2(TABLE_ENTRIES);
  // Two rows are held, this token's and the next one's; layer 0 has at most half of the positions.
  localparam int unsigned ROW_WORDS     = (NEURON_DEPTH / 2 + TABLE_ENTRIES - 1) / TABLE_ENTRIES;
  localparam int unsigned WORD_BITS     = ROW_WORDS > 1 ? $clog2(ROW_WORDS) : 1;
  // Sums after the shift and the bias: no wider than the accumulator plus one.
  localparam int unsigned WIDE_BITS     = ACCUMULATOR_BITS + 2;
  localparam int unsigned LAST_STAGE    = 12;

  typedef logic signed [WIDE_BITS-1:0] sum_t;

  // Gate input: Q3.8 from a sum of 11 fractional bits to which ROUNDING was added, so that dropping three bits
  // rounds half up; saturated: in range are the sums whose high bits all repeat the sign.
  localparam int unsigned ROUNDING = 4;
  function automatic logic [11:0] gate_input(input sum_t sum);
    logic sign;
    sign = sum[WIDE_BITS-1];
    if (sum[WIDE_BITS-2:14] != {(WIDE_BITS - 15) {sign}}) gate_input = {sign, {11{~sign}}};
    else gate_input = sum[14:3];
  endfunction

  // -- sweep: read four sums per group
  logic sweeping;
  kernel_types_pkg::layer_t current;
  logic current_wave;
  logic [15:0] group;
  logic [STEP_BITS-1:0] step;
  logic [15:0] group_address, address;
  logic last_step;
  assign last_step = step == STEP_BITS'(STEPS - 1);

  always_ff @(posedge clk) begin
    if (rst) begin
      sweeping <= 1'b0;
    end else if (start) begin
      sweeping      <= 1'b1;
      current       <= layer;
      current_wave  <= wave;
      group         <= '0;
      step          <= '0;
      group_address <= layer.accumulator_base;
      address       <= layer.accumulator_base;
    end else if (sweeping) begin
      step    <= last_step ? '0 : step + 1'b1;
      address <= address + current.groups;  // the same group in the next sum's section
      if (last_step) begin
        group         <= group + 16'd1;
        group_address <= group_address + 16'd1;
        address       <= group_address + 16'd1;
        if (group == current.groups - 16'd1) sweeping <= 1'b0;
      end
    end
  end

  logic reading;
  assign reading       = sweeping && 32'(step) < 4;
  assign sweep_address = address;
  always_comb begin
    sweep_enable = '0;
    sweep_enable[{current_wave, current.layer[0]}] = reading;
  end

  // -- gather the group's sums, then hold them while they go into the pipeline
  logic [3:0] arriving;       // one bit per section
  logic first_arriving, first_read;  // the group is the layer's first
  logic group_gathered;
  logic [2:0][LANES-1:0][ACCUMULATOR_BITS-1:0] gathered;  // the fourth sums go on as they arrive
  logic [3:0][LANES-1:0][ACCUMULATOR_BITS-1:0] held;

  always_ff @(posedge clk) begin
    for (int s = 0; s < 4; s++) arriving[s] <= !rst && reading && 32'(step) == s;
    for (int s = 0; s < 3; s++) if (arriving[s]) gathered[s] <= sweep_sum;
    first_arriving <= group == '0;
    group_gathered <= !rst && arriving[3];
  end
  assign first_read = arriving[3] && first_arriving;

  logic feed;  // the pipeline takes a lane's sums
  // The next lane's sums stand in place 0: a shift is smaller than picking one of LANES.
  always_ff @(posedge clk) begin
    for (int s = 0; s < 4; s++) begin
      if (arriving[3]) held[s] <= s == 3 ? sweep_sum : gathered[s%3];
      else if (feed) held[s] <= held[s] >> ACCUMULATOR_BITS;
    end
  end

  // What the pipeline is fed with follows the sweep when the layer's first group has been read.
  logic feeding;
  logic [LANE_BITS-1:0] lane;
  logic [15:0] position, neuron;  // position in the engine (all layers), neuron in the layer
  logic [15:0] fed_neurons, groups_to_feed;
  logic [2:0] fed_layer;
  logic fed_wave, last_lane;
  assign feed      = group_gathered || feeding;
  assign last_lane = 32'(lane) == LANES - 1;

  always_ff @(posedge clk) begin
    if (rst) begin
      feeding <= 1'b0;
      lane    <= '0;
    end else if (feed) begin
      feeding <= !last_lane;
      lane    <= last_lane ? '0 : lane + 1'b1;
    end
    if (first_read) begin
      position       <= current.position_base;
      neuron         <= 16'(ENGINE);
      fed_neurons    <= current.neurons;
      groups_to_feed <= current.groups - 16'd1;
      fed_layer      <= current.layer;
      fed_wave       <= current_wave;
    end else if (feed) begin
      position <= position + 16'd1;
      neuron   <= neuron + 16'(ENGINES);
      if (last_lane) groups_to_feed <= groups_to_feed - 16'd1;
    end
  end

  // -- memories
  logic [95:0] record_1;
  block_memory #(
      .WIDTH(96),
      .DEPTH(NEURON_DEPTH)
  ) records (
      .clk,
      .write_enable (record_write),
      .write_address(record_write_position[POSITION_BITS-1:0]),
      .write_data   (record_write_data),
      .read_enable  (1'b1),
      .read_address (position[POSITION_BITS-1:0]),
      .read_data    (record_1)
  );

  logic               valid     [1:LAST_STAGE];
  logic               last_d    [1:LAST_STAGE];
  logic [2:0]         layer_d   [1:LAST_STAGE];
  logic [15:0]        position_d[1:LAST_STAGE];
  logic [15:0]        neuron_d  [1:LAST_STAGE];
  logic signed [15:0] state_d   [1:9];
  logic signed [15:0] threshold_d[2:11];
  logic signed [15:0] new_state_12;

  logic [15:0] state_1;
  block_memory #(
      .WIDTH(16),
      .DEPTH(NEURON_DEPTH)
  ) states (
      .clk,
      .write_enable (clear_state || valid[LAST_STAGE]),
      .write_address(clear_state ? clear_position[POSITION_BITS-1:0] : position_d[LAST_STAGE][POSITION_BITS-1:0]),
      .write_data   (clear_state ? '0 : new_state_12),
      .read_enable  (1'b1),
      .read_address (position[POSITION_BITS-1:0]),
      .read_data    (state_1)
  );

  // Table rows belong to layer 0, whose positions start at 0. The wave of a token in layer 0 is its own number.
  logic [WORD_BITS-1:0] table_write_row_word, table_read_word;
  assign table_write_row_word = table_write_word[WORD_BITS-1:0];
  assign table_read_word      = position[TABLE_SHIFT+:WORD_BITS];
  logic [2:0][8*BUS_BYTES-1:0] table_1;
  for (genvar plane = 0; plane < 3; plane++) begin : g_table
    block_memory #(
        .WIDTH(8 * BUS_BYTES),
        .DEPTH(2 << WORD_BITS)
    ) entries (
        .clk,
        .write_enable (table_write && table_write_plane == 2'(plane)),
        .write_address({table_write_buffer, table_write_row_word}),
        .write_data   (table_write_data),
        .read_enable  (1'b1),
        .read_address ({fed_wave, table_read_word}),
        .read_data    (table_1[plane])
    );
  end

  // -- stage 0 to 1: pick the lane's sums (order in memory: gx, z, r, gr)
  logic [3:0][ACCUMULATOR_BITS-1:0] sum_1;
  always_ff @(posedge clk) begin
    for (int s = 0; s < 4; s++) sum_1[s] <= held[s][0];
    // Positions beyond the layer's neurons are padding: computed, never stored, never an event.
    valid[1]  <= !rst && feed && neuron < fed_neurons;
    last_d[1] <= !rst && feed && last_lane && groups_to_feed == '0;
    position_d[1] <= position;
    neuron_d[1]   <= neuron;
    layer_d[1]    <= fed_layer;
    for (int s = 2; s <= LAST_STAGE; s++) begin
      valid[s]      <= !rst && valid[s-1];
      last_d[s]     <= !rst && last_d[s-1];
      position_d[s] <= position_d[s-1];
      neuron_d[s]   <= neuron_d[s-1];
      layer_d[s]    <= layer_d[s-1];
    end
    state_d[2] <= state_d[1];
    for (int s = 3; s <= 9; s++) state_d[s] <= state_d[s-1];
    threshold_d[2] <= record_1[79:64];
    for (int s = 3; s <= 11; s++) threshold_d[s] <= threshold_d[s-1];
  end
  assign state_d[1] = state_1;

  // -- stage 1: shift; keep the bit below the last, which rounds half up
  logic [3:0][3:0] shift_1;        // per section: gx, z, r, gr
  logic signed [3:0][15:0] bias_1;
  assign shift_1 = {record_1[95:92], record_1[87:84], record_1[83:80], record_1[91:88]};
  always_comb begin
    bias_1[0] = record_1[47:32];
    bias_1[1] = record_1[15:0];
    bias_1[2] = record_1[31:16];
    bias_1[3] = record_1[63:48];
    if (layer_d[1] == '0) begin
      bias_1[0] = table_1[2][16*position_d[1][TABLE_SHIFT-1:0]+:16];
      bias_1[1] = table_1[0][16*position_d[1][TABLE_SHIFT-1:0]+:16];
      bias_1[2] = table_1[1][16*position_d[1][TABLE_SHIFT-1:0]+:16];
    end
  end

  logic signed [ACCUMULATOR_BITS:0] shifted_2[4];  // one fractional bit more than the sum
  logic signed [16:0] bias_2[4];
  always_ff @(posedge clk) begin
    for (int s = 0; s < 4; s++) begin
      shifted_2[s] <= $signed({sum_1[s], 1'b0}) >>> shift_1[s];
      // z and r are gate inputs next; gx and gr are not yet
      bias_2[s] <= 17'($signed(bias_1[s])) + (s == 1 || s == 2 ? 17'(ROUNDING) : 17'd0);
    end
  end

  // -- stage 2: round and add the bias
  sum_t sum_3[4];
  always_ff @(posedge clk) begin
    for (int s = 0; s < 4; s++)
      sum_3[s] <= sum_t'($signed(shifted_2[s][ACCUMULATOR_BITS:1])) + sum_t'($signed({1'b0, shifted_2[s][0]}))
                  + sum_t'(bias_2[s]);
  end

  // -- stage 3: saturate
  logic [11:0] index_z_4, index_r_4;
  logic signed [15:0] sum_gr_4, sum_gr_5;
  sum_t sum_gx_4, sum_gx_5, sum_gx_6;
  always_ff @(posedge clk) begin
    index_z_4 <= gate_input(sum_3[1]);
    index_r_4 <= gate_input(sum_3[2]);
    sum_gr_4  <= sum_3[3][15:0];
    if (sum_3[3][WIDE_BITS-2:15] != {(WIDE_BITS - 16) {sum_3[3][WIDE_BITS-1]}})
      sum_gr_4 <= {sum_3[3][WIDE_BITS-1], {15{~sum_3[3][WIDE_BITS-1]}}};
    sum_gr_5 <= sum_gr_4;
    sum_gx_4 <= sum_3[0];
    sum_gx_5 <= sum_gx_4;
    sum_gx_6 <= sum_gx_5 + sum_t'(ROUNDING);
  end

  // -- stage 4: z and r
  logic [9:0] z_5, r_5;
  logic [9:0] z_d[6:9];
  sigmoid_table sigmoid (
      .clk,
      .index_a(index_z_4),
      .index_b(index_r_4),
      .value_a(z_5),
      .value_b(r_5)
  );

  // -- stages 5 to 7: the reset gate scales the recurrent part of the candidate
  logic signed [26:0] product_6;
  sum_t sum_g_7;
  logic [11:0] index_g_8;
  always_ff @(posedge clk) begin
    product_6 <= $signed({1'b0, r_5}) * sum_gr_5;
    // rounded half up: the quotient, and one more if the highest bit that it drops is set
    sum_g_7   <= sum_gx_6 + sum_t'($signed(product_6[26:10])) + sum_t'($signed({1'b0, product_6[9]}));
    index_g_8 <= gate_input(sum_g_7);
    z_d[6]    <= z_5;
    for (int s = 7; s <= 9; s++) z_d[s] <= z_d[s-1];
  end

  // -- stage 8: the candidate
  logic signed [10:0] g_9;
  tanh_table tanh_lookup (
      .clk,
      .index(index_g_8),
      .value(g_9)
  );

  // -- stages 9 and 10: the new state, 25 fractional bits before it is rounded to 15
  logic signed [27:0] kept_10, added_10;
  logic signed [27:0] rounded_10;
  logic signed [15:0] new_state_11;
  assign rounded_10 = (kept_10 + added_10) >>> 10;  // |rounded| <= 32736: fits 16 bits
  always_ff @(posedge clk) begin
    // No casts around the products: the 28 bits of the left side are what makes them wide enough. Half of a unit of the
    // state, which rounds the sum, goes with the product whose operands come early: g comes late from its table.
    kept_10      <= $signed({1'b0, z_d[9]}) * state_d[9] + 28'sd512;
    added_10     <= $signed({1'b0, 11'd1024 - {1'b0, z_d[9]}}) * $signed({g_9, 5'd0});
    new_state_11 <= rounded_10[15:0];
  end

  // -- stage 11: threshold; the event's value is the state rounded to 8 bits
  logic signed [16:0] value_11;
  logic fires_11, fires_12;
  logic [7:0] value_12;
  assign fires_11 = new_state_11 > threshold_d[11];
  assign value_11 = (17'(new_state_11) + 17'sd64) >>> 7;
  always_ff @(posedge clk) begin
    fires_12     <= fires_11;
    new_state_12 <= fires_11 ? new_state_11 - threshold_d[11] : new_state_11;
    value_12     <= value_11 > 17'sd255 ? 8'd255 : value_11[7:0];
  end

  // -- stage 12: out
  assign event_valid  = valid[LAST_STAGE] && fires_12;
  assign event_neuron = neuron_d[LAST_STAGE];
  assign event_value  = value_12;
  assign event_layer  = layer_d[LAST_STAGE];
  assign event_last   = last_d[LAST_STAGE];

  logic in_pipeline;
  always_comb begin
    in_pipeline = 1'b0;
    for (int s = 1; s <= LAST_STAGE; s++) in_pipeline |= valid[s] || last_d[s];
  end
  // The layer's fields are passed on when its first group has been read; a layer may have only one.
  assign ready = !sweeping && arriving == '0;
  assign busy = sweeping || arriving != '0 || feed || in_pipeline;

  // Positions are dealt in rounds of SLOTS; the sequencer sized the layer with the same number.
  initial if (SLOTS * 4 > 65536) $error("neuron_update: ENGINES * LANES is too large");

endmodule
