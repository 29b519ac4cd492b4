// Passes a unit's clock on only while the unit has something to do. It gates in simulation for speed alone, where
// EGRET_CLOCK_GATES is defined (the virtual board): there an idle unit costs as much time as a busy one. Otherwise, and in
// hardware always, it is a wire. Both give the same results if `run` is high in every cycle that changes what
// the unit will ever show.
module clock_gate (
    input  logic clk,
    input  logic run,
    output logic gated
);

`ifdef EGRET_CLOCK_GATES
  logic enable;
  always_ff @(negedge clk) enable <= run;  // it opens and closes while the clock is low
  assign gated = clk && enable;
`else
  logic unused_run;
  assign unused_run = run;
  assign gated = clk;
`endif

endmodule
