// The lanes that share a beat: one of each beat's entries goes to each. All entries of a beat have one event value, one
// bank of accumulators and one step of the pipeline, so those are kept here.
//
// A sweep (neuron update, decoder sweep, clearing) reads an accumulator of every lane and writes zero to it a cycle
// later. It takes both ports of a bank: whoever orders sweeps keeps entries away from that bank meanwhile.
module lane_group #(
    parameter int unsigned LANES            = 5,
    parameter int unsigned WEIGHT_BITS      = 8,
    parameter int unsigned GAP_BITS         = 4,    // 0: an entry for every row
    parameter int unsigned ACCUMULATOR_BITS = 28,
    parameter int unsigned BANKS            = 4,    // a power of two, at least 2
    parameter int unsigned DEPTH            = 1024  // accumulators of a lane and bank
) (
    input logic clk,
    input logic rst,

    input  logic                                        beat_valid,
    input  logic                                        beat_first,  // of a column
    input  logic [LANES*(WEIGHT_BITS+GAP_BITS)-1:0]     entries,
    input  logic [7:0]                                  value,
    input  logic [$clog2(BANKS)-1:0]                    bank,
    input  logic [15:0]                                 base,        // accumulator of row 0
    output logic [7:0]                                  macs,        // done for last cycle's beat

    input  logic [BANKS-1:0]                            sweep_enable,  // a bit per bank; several only to clear
    input  logic [15:0]                                 sweep_address,
    output logic [LANES-1:0][ACCUMULATOR_BITS-1:0]      sweep_sum      // a cycle later
);

  localparam int unsigned ENTRY_BITS   = WEIGHT_BITS + GAP_BITS;
  localparam int unsigned ADDRESS_BITS = $clog2(DEPTH);
  localparam int unsigned BANK_BITS    = $clog2(BANKS);

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

  logic [7:0] value_1;
  logic [BANKS-1:0] bank_1, bank_2, bank_3;  // a bit per bank; none if there is no beat in that step
  logic [BANK_BITS-1:0] bank_number_1, bank_number_2;
  logic same_bank_2, same_bank_3;
  assign same_bank_2 = bank_2 == bank_1;
  assign same_bank_3 = bank_3 == bank_1;
  always_ff @(posedge lanes_clk) begin
    if (beat_valid) begin
      value_1       <= value;
      bank_number_1 <= bank;
    end
    for (int b = 0; b < BANKS; b++) bank_1[b] <= beat_valid && bank == BANK_BITS'(b);
    bank_number_2 <= bank_number_1;
    bank_2        <= bank_1;
    bank_3        <= bank_2;
  end

  logic [BANKS-1:0] sweeping;
  logic [ADDRESS_BITS-1:0] swept_address;
  logic [BANK_BITS-1:0] swept_bank;
  always_ff @(posedge lanes_clk) begin
    sweeping      <= sweep_enable;
    swept_address <= sweep_address[ADDRESS_BITS-1:0];
    for (int b = 0; b < BANKS; b++) if (sweep_enable[b]) swept_bank <= BANK_BITS'(b);
  end

  // A read on behalf of an entry that turns out to have no weight is harmless, so all lanes read alike.
  logic [BANKS-1:0] read_bank;
  assign read_bank = sweep_enable | bank_1;

  logic [LANES-1:0] mac;
  always_comb begin
    macs = '0;
    for (int l = 0; l < LANES; l++) macs += 8'(mac[l]);
  end

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
        .value_1,
        .bank_number_2,
        .same_bank_2,
        .same_bank_3,
        .bank_3,
        .read_bank,
        .sweep_enable,
        .sweep_address(sweep_address[ADDRESS_BITS-1:0]),
        .sweeping,
        .swept_address,
        .swept_bank,
        .sweep_sum    (sweep_sum[l])
    );
  end

endmodule
