// A 64-bit address that moves on in steps, added up in two halves: the carry of the low half reaches the high half a
// cycle later, so that no carry runs through 64 bits at once. `address` is right two cycles after a load or step.
module stepping_address (
    input  logic        clk,
    input  logic        load,
    input  logic [63:0] load_address,
    input  logic        move,
    input  logic [31:0] step,  // bytes
    output logic [63:0] address
);

  logic [31:0] low, high;
  logic carry;
  assign address = {high, low};

  always_ff @(posedge clk) begin
    if (load) begin
      {high, low} <= load_address;
      carry       <= 1'b0;
    end else begin
      carry <= 1'b0;
      if (move) {carry, low} <= {1'b0, low} + {1'b0, step};
      high <= high + 32'(carry);
    end
  end

endmodule
