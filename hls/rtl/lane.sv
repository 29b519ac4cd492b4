// One lane: unpacks (weight, gap) entries and adds weight * event value to the accumulators of its rows, one
// entry per cycle without a stall, whichever rows follow each other.
//
//   step 0  row = previous row + 1 + gap (or base + gap at the start of a column)
//   step 1  read the accumulator; multiply
//   step 2  add, to the sum just made if one of the two entries ahead went to the same row
//   step 3  write back
//
// A sweep (neuron update, decoder sweep, clearing) reads an accumulator and writes zero to it a cycle later.
// It takes both ports of a bank: whoever orders sweeps keeps entries away from that bank meanwhile.
module lane #(
    parameter int unsigned WEIGHT_BITS       = 8,
    parameter int unsigned GAP_BITS          = 4,
    parameter int unsigned ACCUMULATOR_BITS  = 28,
    parameter int unsigned ACCUMULATOR_DEPTH = 1024,
    parameter int unsigned LOGIT_DEPTH       = 1024
) (
    input logic clk,

    input  logic                              entry_valid,
    input  logic                              entry_first,  // first entry of a column
    input  logic [WEIGHT_BITS+GAP_BITS-1:0]   entry,
    input  logic [7:0]                        value,
    input  logic [1:0]                        bank,
    input  logic [15:0]                       base,
    output logic                              mac,          // last cycle's entry had a non-zero weight

    input  logic [1:0]                        sweep_enable,   // one bit per layer bank
    input  logic [15:0]                       sweep_address,
    output logic [1:0][ACCUMULATOR_BITS-1:0]  sweep_sum,      // a cycle later, per bank
    input  logic                              logit_enable,
    input  logic [15:0]                       logit_address,
    output logic [ACCUMULATOR_BITS-1:0]       logit_sum       // a cycle later
);

  localparam int unsigned LAYER_BITS = $clog2(ACCUMULATOR_DEPTH);
  localparam int unsigned LOGIT_BITS = $clog2(LOGIT_DEPTH);
  localparam int unsigned PRODUCT_BITS = WEIGHT_BITS + 9;

  // -- step 0: the entry's row
  wire signed [WEIGHT_BITS-1:0] entry_weight = entry[WEIGHT_BITS-1:0];
  wire [GAP_BITS-1:0] entry_gap = entry[WEIGHT_BITS+:GAP_BITS];

  logic [15:0] row, next_row;
  assign next_row = (entry_first ? base : row + 16'd1) + 16'(entry_gap);

  logic                          valid_1;
  logic signed [WEIGHT_BITS-1:0] weight_1;
  logic [7:0]                    value_1;
  logic [1:0]                    bank_1;

  always_ff @(posedge clk) begin
    if (entry_valid) row <= next_row;
    valid_1  <= entry_valid && entry_weight != '0;  // a zero weight changes nothing, wherever it points
    weight_1 <= entry_weight;
    value_1  <= value;
    bank_1   <= bank;
  end
  assign mac = valid_1;

  // -- step 1: read and multiply
  logic                             valid_2, valid_3;
  logic [15:0]                      row_2, row_3;
  logic [1:0]                       bank_2, bank_3;
  logic                             same_as_3, same_as_4;
  logic signed [PRODUCT_BITS-1:0]   product_2;
  logic [ACCUMULATOR_BITS-1:0]      sum_3, sum_4;

  always_ff @(posedge clk) begin
    valid_2   <= valid_1;
    row_2     <= row;
    bank_2    <= bank_1;
    product_2 <= weight_1 * $signed({1'b0, value_1});
    // The entry now in step 2 will be in step 3 when this one adds, the one in step 3 will just have left.
    same_as_3 <= valid_2 && row_2 == row && bank_2 == bank_1;
    same_as_4 <= valid_3 && row_3 == row && bank_3 == bank_1;
  end

  // -- step 2: add
  logic [2:0][ACCUMULATOR_BITS-1:0] read_sum;
  logic [ACCUMULATOR_BITS-1:0] old_sum;
  always_comb begin
    old_sum = read_sum[0];
    if (bank_2 == kernel_types_pkg::BANK_ODD) old_sum = read_sum[1];
    if (bank_2 == kernel_types_pkg::BANK_DECODER) old_sum = read_sum[2];
    if (same_as_4) old_sum = sum_4;
    if (same_as_3) old_sum = sum_3;
  end

  always_ff @(posedge clk) begin
    valid_3 <= valid_2;
    row_3   <= row_2;
    bank_3  <= bank_2;
    sum_3   <= old_sum + ACCUMULATOR_BITS'(product_2);
    sum_4   <= sum_3;
  end

  // -- step 3: write back; sweeps share the ports
  for (genvar b = 0; b < 2; b++) begin : g_layer_bank
    logic sweeping;
    logic [LAYER_BITS-1:0] swept_address;
    always_ff @(posedge clk) begin
      sweeping      <= sweep_enable[b];
      swept_address <= sweep_address[LAYER_BITS-1:0];
    end
    block_memory #(
        .WIDTH(ACCUMULATOR_BITS),
        .DEPTH(ACCUMULATOR_DEPTH)
    ) accumulators (
        .clk,
        .write_enable (sweeping || (valid_3 && bank_3 == 2'(b))),
        .write_address(sweeping ? swept_address : row_3[LAYER_BITS-1:0]),
        .write_data   (sweeping ? '0 : sum_3),
        .read_enable  (sweep_enable[b] || (valid_1 && bank_1 == 2'(b))),
        .read_address (sweep_enable[b] ? sweep_address[LAYER_BITS-1:0] : row[LAYER_BITS-1:0]),
        .read_data    (read_sum[b])
    );
    assign sweep_sum[b] = read_sum[b];
  end

  logic logit_sweeping;
  logic [LOGIT_BITS-1:0] swept_logit_address;
  always_ff @(posedge clk) begin
    logit_sweeping      <= logit_enable;
    swept_logit_address <= logit_address[LOGIT_BITS-1:0];
  end
  block_memory #(
      .WIDTH(ACCUMULATOR_BITS),
      .DEPTH(LOGIT_DEPTH)
  ) logit_accumulators (
      .clk,
      .write_enable (logit_sweeping || (valid_3 && bank_3 == kernel_types_pkg::BANK_DECODER)),
      .write_address(logit_sweeping ? swept_logit_address : row_3[LOGIT_BITS-1:0]),
      .write_data   (logit_sweeping ? '0 : sum_3),
      .read_enable  (logit_enable || (valid_1 && bank_1 == kernel_types_pkg::BANK_DECODER)),
      .read_address (logit_enable ? logit_address[LOGIT_BITS-1:0] : row[LOGIT_BITS-1:0]),
      .read_data    (read_sum[2])
  );
  assign logit_sum = read_sum[2];

endmodule
