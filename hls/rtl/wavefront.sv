// Steps through the layer wavefront of a batch of tokens: wave w has layer l if there is a token w - l. At first ever
// more layers have one, from layer 0 up; when layer 0 has had the last token, ever fewer, until the last layer has.
module wavefront (
    input logic clk,

    input logic        restart,     // at wave 0, layer 0
    input logic [31:0] tokens_after_first,
    input logic [2:0]  last_layer,
    input logic        advance,     // to the wave's next layer, or to the next wave's first

    output logic       parity,         // of the wave
    output logic [2:0] layer,
    output logic [2:0] low,            // the wave's first layer
    output logic [2:0] previous_high,  // the last layer of the wave before
    output logic       tokens_follow,  // layer 0 has tokens after this wave's
    output logic       wave_ends,      // this is the wave's last layer
    output logic       batch_ends      // and the last of all
);

  logic [2:0] high;
  logic [31:0] left;
  assign wave_ends  = layer == high;
  assign batch_ends = wave_ends && !tokens_follow && low == last_layer;

  always_ff @(posedge clk) begin
    if (restart) begin
      parity        <= 1'b0;
      layer         <= '0;
      low           <= '0;
      high          <= '0;
      previous_high <= '0;
      left          <= tokens_after_first;
      tokens_follow <= tokens_after_first != '0;
    end else if (advance) begin
      if (!wave_ends) begin
        layer <= layer + 3'd1;
      end else begin
        parity        <= !parity;
        previous_high <= high;
        if (high != last_layer) high <= high + 3'd1;
        if (tokens_follow) begin
          left          <= left - 32'd1;
          tokens_follow <= left != 32'd1;
          layer         <= low;
        end else begin
          low   <= low + 3'd1;
          layer <= low + 3'd1;
        end
      end
    end
  end

endmodule
