// The update walk: per wave, for each layer, starts the neuron update once what it needs has been accumulated.
//
// An update needs the marks of its own layer and of the layer below from the wave before; how many later marks may be
// outstanding then is its *slack*. Accumulator banks are never both swept and added to: a wave sweeps the banks of its
// own parity while the next wave's fill, and of two layers of one parity, the slack lets only one be fetched for or swept.
module update_walk (
    input logic clk,
    input logic rst,

    input logic        run_begin,
    input logic        running,
    input logic        generating,
    input logic [31:0] token_count,
    input logic [31:0] tokens_after_first,  // in a batch
    input logic [2:0]  last_layer,
    input kernel_types_pkg::layer_t [egret_pkg::IMAGE_MAX_LAYERS-1:0] layer,

    input  logic marked,        // a mark has been reached by all engines
    input  logic played,        // the issue walk plays the events of an update
    output logic update_begun,  // there is one that it has not played yet

    input  logic                     engines_ready,
    output logic                     update_start,
    output kernel_types_pkg::layer_t update_layer,
    output logic                     update_wave    // parity
);

  logic updates_left;  // the walk is not over
  logic unused_tokens_follow, unused_wave_ends, batch_ends;
  logic [2:0] updating_layer, low, previous_high;
  logic restart;
  logic [31:0] begun_batches;
  logic more_batches;
  logic [3:0] outstanding;       // marks that have to come for the updates begun so far (and for the batch's beginning)
  logic [3:0] updates_begun;     // and not yet played by the issue walk
  always_ff @(posedge clk) more_batches <= generating && begun_batches != token_count;
  assign update_begun = updates_begun != '0;

  // An array: simulation selects from it at once.
  logic [$bits(update_layer)-1:0] layer_list[egret_pkg::IMAGE_MAX_LAYERS];
  for (genvar l = 0; l < egret_pkg::IMAGE_MAX_LAYERS; l++) begin : g_layer
    assign layer_list[l] = layer[l];
  end

  assign restart = run_begin || (update_start && batch_ends);
  wavefront wave (
      .clk,
      .restart      (restart),
      .tokens_after_first,
      .last_layer,
      .advance      (update_start),
      .parity       (update_wave),
      .layer        (updating_layer),
      .low          (low),
      .previous_high(previous_high),
      .tokens_follow(unused_tokens_follow),
      .wave_ends    (unused_wave_ends),
      .batch_ends   (batch_ends)
  );

  // Marks that may be outstanding when the update begins: those of the updates between the same layer's in the wave
  // before and this one. Where a layer two above or higher exists, what the wave before feeds it goes to
  // the banks that this update sweeps: then only this wave's marks.
  logic [3:0] slack_above, slack_below, slack, outstanding_after;
  logic bank_shared, update_may_begin;
  assign bank_shared = 4'(updating_layer) + 4'd2 <= 4'(last_layer);
  assign slack_below = 4'(updating_layer) - 4'(low);
  assign slack_above = bank_shared || previous_high < updating_layer
                       ? '0 : 4'(previous_high) - 4'(updating_layer);
  // Whether few enough are outstanding, and would be if one mark fewer were: registers, which are wrong in the two cycles after
  // an update has started, when nothing is asked of them.
  logic few_outstanding, few_but_one, settled, known;
  assign outstanding_after = outstanding - 4'(marked && running);
  always_ff @(posedge clk) begin
    slack           <= slack_below + slack_above;
    few_outstanding <= outstanding_after <= slack;
    few_but_one     <= outstanding_after <= slack + 4'd1;
  end
  assign update_may_begin = known && (marked ? few_but_one : few_outstanding) && engines_ready;
  assign update_start     = running && updates_left && update_may_begin;
  assign update_layer     = layer_list[updating_layer];

  always_ff @(posedge clk) begin
    if (rst || run_begin) begin
      updates_left  <= 1'b1;
      settled       <= 1'b0;
      known         <= 1'b0;
      begun_batches <= 32'd1;
    end else if (running) begin
      settled <= !update_start;
      known   <= settled && !update_start;
      if (update_start && batch_ends) begin
        begun_batches <= begun_batches + 32'd1;
        updates_left  <= more_batches;
      end
    end
  end

  always_ff @(posedge clk) begin
    if (rst || run_begin) begin
      outstanding   <= 4'd1;  // the mark of the batch's beginning
      updates_begun <= '0;
    end else begin
      outstanding   <= outstanding_after + (update_start ? (batch_ends && more_batches ? 4'd2 : 4'd1) : 4'd0);
      updates_begun <= updates_begun + 4'(update_start) - 4'(played);
    end
  end

endmodule
