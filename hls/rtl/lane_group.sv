// The lanes that share a beat: one of each beat's entries goes to each. All entries of a beat have one event value and one
// step of the pipeline, so those are kept here.
//
// A lane's accumulators are numbered through its banks, each a memory of its own: the bank is in a number's high bits.
// A sweep (neuron update, decoder sweep, clearing) reads an accumulator of every lane and writes zero to it a cycle
// later. It takes both ports of a bank: whoever orders sweeps keeps entries away from that bank meanwhile.
module lane_group #(
    parameter int unsigned LANES            = 5,
    parameter int unsigned WEIGHT_BITS      = 8,
    parameter int unsigned GAP_BITS         = 4,    // 0: an entry for every row
    parameter int unsigned ACCUMULATOR_BITS = 28,
    parameter int unsigned BANKS            = 4,    // a power of two, at least 2
    parameter int unsigned DEPTH            = 1024  // accumulators of a lane and bank, a power of two
) (
    input logic clk,
    input logic rst,

    input  logic                                        beat_valid,
    input  logic                                        beat_first,  // of a column
    input  logic [LANES*(WEIGHT_BITS+GAP_BITS)-1:0]     entries,
    input  logic [7:0]                                  value,
    input  logic [$clog2(BANKS*DEPTH)-1:0]              base,        // number of row 0's accumulator
    output logic [7:0]                                  macs,        // done for the beat two cycles ago

    input  logic [BANKS-1:0]                            sweep_enable,  // a bit per bank; several only to clear
    input  logic [15:0]                                 sweep_address,
    output logic [LANES-1:0][ACCUMULATOR_BITS-1:0]      sweep_sum      // a cycle later
);

  localparam int unsigned ENTRY_BITS   = WEIGHT_BITS + GAP_BITS;
  localparam int unsigned ADDRESS_BITS = $clog2(DEPTH);
  localparam int unsigned BANK_BITS    = $clog2(BANKS);

  initial if (BANKS != 1 << BANK_BITS || DEPTH != 1 << ADDRESS_BITS) $error("lane_group: a power of two is needed");

  // The pipeline is empty four cycles after the last beat or sweep.
  logic work, lanes_clk;
  logic [3:0] worked;
  assign work = beat_valid || sweep_enable != '0;
  always_ff @(posedge clk) worked <= {worked[2:0], work};
  clock_gate gate (
      .clk,
      .run  (rst || work || worked != '0),
      .gated(lanes_clk)
  );

  logic beat_1;
  logic [7:0] value_1;
  always_ff @(posedge lanes_clk) begin
    beat_1 <= beat_valid;
    if (beat_valid) value_1 <= value;
  end

  logic [BANKS-1:0] sweeping;
  logic [ADDRESS_BITS-1:0] swept_address;
  logic [BANK_BITS-1:0] swept_bank;
  always_ff @(posedge lanes_clk) begin
    sweeping      <= sweep_enable;
    swept_address <= sweep_address[ADDRESS_BITS-1:0];
    for (int b = 0; b < BANKS; b++) if (sweep_enable[b]) swept_bank <= BANK_BITS'(b);
  end

  logic [LANES-1:0] mac;
  logic [7:0] macs_1;
  always_comb begin
    macs_1 = '0;
    for (int l = 0; l < LANES; l++) macs_1 += 8'(mac[l]);
  end
  always_ff @(posedge lanes_clk) macs <= macs_1;

  for (genvar l = 0; l < LANES; l++) begin : g_lane
    lane #(
        .WEIGHT_BITS(WEIGHT_BITS),
        .GAP_BITS(GAP_BITS),
        .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
        .BANKS(BANKS),
        .DEPTH(DEPTH)
    ) lane (
        .clk          (lanes_clk),
        .entry_valid  (beat_valid),
        .entry_first  (beat_first),
        .entry        (entries[ENTRY_BITS*l+:ENTRY_BITS]),
        .base,
        .mac          (mac[l]),
        .beat_1,
        .value_1,
        .sweep_enable,
        .sweep_address(sweep_address[ADDRESS_BITS-1:0]),
        .sweeping,
        .swept_address,
        .swept_bank,
        .sweep_sum    (sweep_sum[l])
    );
  end

endmodule
