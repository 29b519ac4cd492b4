// A 64-bit counter in two halves: the carry of the low half reaches the high half a cycle later, so that no carry
// runs through 64 bits at once. `value` is right two cycles after the last increment.
module wide_counter (
    input  logic        clk,
    input  logic        clear,
    input  logic [15:0] increment,
    output logic [63:0] value
);

  logic [31:0] low, high;
  logic carry;
  assign value = {high, low};

  always_ff @(posedge clk) begin
    if (clear) begin
      low   <= '0;
      high  <= '0;
      carry <= 1'b0;
    end else if (increment != '0 || carry) begin
      {carry, low} <= {1'b0, low} + 33'(increment);
      high         <= high + 32'(carry);
    end
  end

endmodule
