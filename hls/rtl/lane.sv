// One lane: unpacks (weight, gap) entries and adds weight * event value to the accumulators of its rows, one
// entry per cycle without a stall, whichever rows follow each other.
//
//   step 0  row = previous row + 1 + gap (or base + gap at the start of a column)
//   step 1  read the accumulator; multiply
//   step 2  add, to the sum just made if one of the two entries ahead went to the same row
//   step 3  write back
//
// What is the same in all lanes, the value and the bank of each step, comes from lane_group.
module lane #(
    parameter int unsigned WEIGHT_BITS      = 8,
    parameter int unsigned GAP_BITS         = 4,    // 0: an entry for every row
    parameter int unsigned ACCUMULATOR_BITS = 28,
    parameter int unsigned BANKS            = 4,    // a power of two, at least 2
    parameter int unsigned DEPTH            = 1024  // accumulators of a bank
) (
    input logic clk,

    input  logic                            entry_valid,
    input  logic                            entry_first,  // first entry of a column
    input  logic [WEIGHT_BITS+GAP_BITS-1:0] entry,
    input  logic [15:0]                     base,
    output logic                            mac,          // last cycle's entry had a non-zero weight

    input logic [7:0]               value_1,
    input logic [$clog2(BANKS)-1:0] bank_number_2,
    input logic                     same_bank_2,   // steps 1 and 2 are about the same bank,
    input logic                     same_bank_3,   // steps 1 and 3 are
    input logic [BANKS-1:0]         bank_3,        // a bit per bank

    input  logic [BANKS-1:0]            read_bank,     // for step 1 or a sweep
    input  logic [BANKS-1:0]            sweep_enable,
    input  logic [$clog2(DEPTH)-1:0]    sweep_address,
    input  logic [BANKS-1:0]            sweeping,      // a cycle later
    input  logic [$clog2(DEPTH)-1:0]    swept_address,
    input  logic [$clog2(BANKS)-1:0]    swept_bank,
    output logic [ACCUMULATOR_BITS-1:0] sweep_sum
);

  localparam int unsigned ADDRESS_BITS = $clog2(DEPTH);
  localparam int unsigned PRODUCT_BITS = WEIGHT_BITS + 9;

  // -- step 0: the entry's row
  wire signed [WEIGHT_BITS-1:0] entry_weight = entry[WEIGHT_BITS-1:0];

  logic [15:0] row, next_row, row_before_gap;
  assign row_before_gap = entry_first ? base : row + 16'd1;
  if (GAP_BITS == 0) begin : g_no_gap
    assign next_row = row_before_gap;
  end else begin : g_gap
    wire [GAP_BITS-1:0] entry_gap = entry[WEIGHT_BITS+:GAP_BITS];
    assign next_row = row_before_gap + 16'(entry_gap);
  end

  logic                          valid_1;
  logic signed [WEIGHT_BITS-1:0] weight_1;
  always_ff @(posedge clk) begin
    valid_1 <= entry_valid && entry_weight != '0;  // a zero weight changes nothing, wherever it points
    if (entry_valid) begin
      row      <= next_row;
      weight_1 <= entry_weight;
    end
  end
  assign mac = valid_1;

  // -- step 1: read and multiply
  logic                           valid_2, valid_3;
  logic [15:0]                    row_2, row_3;
  logic                           same_as_3, same_as_4;
  logic signed [PRODUCT_BITS-1:0] product_2;
  logic [ACCUMULATOR_BITS-1:0]    sum_3, sum_4;

  always_ff @(posedge clk) begin
    valid_2   <= valid_1;
    row_2     <= row;
    product_2 <= weight_1 * $signed({1'b0, value_1});
    // The entry now in step 2 will be in step 3 when this one adds, the one in step 3 will just have left.
    same_as_3 <= valid_2 && same_bank_2 && row_2 == row;
    same_as_4 <= valid_3 && same_bank_3 && row_3 == row;
  end

  // -- step 2: add
  logic [ACCUMULATOR_BITS-1:0] read_sum[BANKS];  // an array: simulation selects from it at once
  logic [ACCUMULATOR_BITS-1:0] old_sum;
  always_comb begin
    old_sum = read_sum[bank_number_2];
    if (same_as_4) old_sum = sum_4;
    if (same_as_3) old_sum = sum_3;
  end

  always_ff @(posedge clk) begin
    valid_3 <= valid_2;
    row_3   <= row_2;
    sum_3   <= old_sum + ACCUMULATOR_BITS'(product_2);
    sum_4   <= sum_3;
  end

  // -- step 3: write back; sweeps share the ports
  assign sweep_sum = read_sum[swept_bank];
  for (genvar b = 0; b < BANKS; b++) begin : g_bank
    block_memory #(
        .WIDTH(ACCUMULATOR_BITS),
        .DEPTH(DEPTH)
    ) accumulators (
        .clk,
        .write_enable (sweeping[b] || (valid_3 && bank_3[b])),
        .write_address(sweeping[b] ? swept_address : row_3[ADDRESS_BITS-1:0]),
        .write_data   (sweeping[b] ? '0 : sum_3),
        .read_enable  (read_bank[b]),
        .read_address (sweep_enable[b] ? sweep_address : row[ADDRESS_BITS-1:0]),
        .read_data    (read_sum[b])
    );
  end

endmodule
