// One lane: unpacks (weight, gap) entries and adds weight * event value to the accumulators of its rows, one
// entry per cycle without a stall, whichever rows follow each other.
//
//   step 0  number = the one before + 1 + gap (or base + gap at the start of a column)
//   step 1  read the accumulator; multiply
//   step 2  add, to the sum just made if one of the two entries ahead went to the same accumulator
//   step 3  write back
//
// What is the same in all lanes comes from lane_group.
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
    input  logic [$clog2(BANKS*DEPTH)-1:0]  base,
    output logic                            mac,          // last cycle's entry had a non-zero weight

    input logic       beat_1,   // there is an entry in step 1
    input logic [7:0] value_1,

    input  logic [BANKS-1:0]            sweep_enable,
    input  logic [$clog2(DEPTH)-1:0]    sweep_address,
    input  logic [BANKS-1:0]            sweeping,      // a cycle later
    input  logic [$clog2(DEPTH)-1:0]    swept_address,
    input  logic [$clog2(BANKS)-1:0]    swept_bank,
    output logic [ACCUMULATOR_BITS-1:0] sweep_sum
);

  localparam int unsigned ADDRESS_BITS = $clog2(DEPTH);
  localparam int unsigned BANK_BITS    = $clog2(BANKS);
  localparam int unsigned NUMBER_BITS  = BANK_BITS + ADDRESS_BITS;
  localparam int unsigned PRODUCT_BITS = WEIGHT_BITS + 9;

  // -- step 0: the accumulator of the entry's row
  wire signed [WEIGHT_BITS-1:0] entry_weight = entry[WEIGHT_BITS-1:0];

  logic [NUMBER_BITS-1:0] number, next_number, number_before_gap;
  assign number_before_gap = entry_first ? base : number + 1'b1;
  if (GAP_BITS == 0) begin : g_no_gap
    assign next_number = number_before_gap;
  end else begin : g_gap
    wire [GAP_BITS-1:0] entry_gap = entry[WEIGHT_BITS+:GAP_BITS];
    assign next_number = number_before_gap + NUMBER_BITS'(entry_gap);
  end

  logic                          valid_1;
  logic signed [WEIGHT_BITS-1:0] weight_1;
  always_ff @(posedge clk) begin
    valid_1 <= entry_valid && entry_weight != '0;  // a zero weight changes nothing, wherever it points
    if (entry_valid) begin
      number   <= next_number;
      weight_1 <= entry_weight;
    end
  end
  assign mac = valid_1;

  // -- step 1: read and multiply
  logic                           valid_2, valid_3;
  logic [NUMBER_BITS-1:0]         number_2, number_3;
  logic                           same_as_3, same_as_4;
  logic signed [PRODUCT_BITS-1:0] product_2;
  logic [ACCUMULATOR_BITS-1:0]    sum_3, sum_4;

  always_ff @(posedge clk) begin
    valid_2   <= valid_1;
    number_2  <= number;
    product_2 <= weight_1 * $signed({1'b0, value_1});
    // The entry now in step 2 will be in step 3 when this one adds, the one in step 3 will just have left.
    same_as_3 <= valid_2 && number_2 == number;
    same_as_4 <= valid_3 && number_3 == number;
  end

  // -- step 2: add
  logic [ACCUMULATOR_BITS-1:0] read_sum[BANKS];  // an array: simulation selects from it at once
  logic [ACCUMULATOR_BITS-1:0] old_sum;
  always_comb begin
    old_sum = read_sum[number_2[ADDRESS_BITS+:BANK_BITS]];
    if (same_as_4) old_sum = sum_4;
    if (same_as_3) old_sum = sum_3;
  end

  always_ff @(posedge clk) begin
    valid_3  <= valid_2;
    number_3 <= number_2;
    sum_3    <= old_sum + ACCUMULATOR_BITS'(product_2);
    sum_4    <= sum_3;
  end

  // -- step 3: write back; sweeps share the ports. A read for an entry that turns out to have no weight is harmless.
  logic [BANKS-1:0] bank_1, bank_3;  // a bit per bank
  always_comb begin
    bank_1 = '0;
    bank_3 = '0;
    bank_1[number[ADDRESS_BITS+:BANK_BITS]]   = beat_1;
    bank_3[number_3[ADDRESS_BITS+:BANK_BITS]] = valid_3;
  end
  assign sweep_sum = read_sum[swept_bank];
  for (genvar b = 0; b < BANKS; b++) begin : g_bank
    block_memory #(
        .WIDTH(ACCUMULATOR_BITS),
        .DEPTH(DEPTH)
    ) accumulators (
        .clk,
        .write_enable (sweeping[b] || bank_3[b]),
        .write_address(sweeping[b] ? swept_address : number_3[ADDRESS_BITS-1:0]),
        .write_data   (sweeping[b] ? '0 : sum_3),
        .read_enable  (sweep_enable[b] || bank_1[b]),
        .read_address (sweep_enable[b] ? sweep_address : number[ADDRESS_BITS-1:0]),
        .read_data    (read_sum[b])
    );
  end

endmodule
