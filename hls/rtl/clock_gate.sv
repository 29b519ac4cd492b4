// Passes a unit's clock on. In hardware it is a wire, and so it is in the testbenches. Where simulation must be fast (the
// virtual board), a unit's clock stands still while the unit has nothing to do: an idle unit would cost as much
// time there as a busy one. Both give the same results if `run` is high in every cycle that changes what the
// unit will ever show.
module clock_gate (
    input  logic clk,
    input  logic run,
    output logic gated
);

  logic unused_run;
  assign unused_run = run;
  assign gated = clk;

endmodule
