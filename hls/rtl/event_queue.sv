// Keeps the events (neuron, value) of every layer, a list per layer and engine, and plays the lists of a layer to the
// column fetchers as column requests.
//
// Each engine's neuron update appends to its own list, so that all of them may fire in one cycle. A list may be
// played while it grows: each event is asked for as soon as its neuron has fired, and the play ends with the
// update. A list stays until the layer's next update begins, so it can be played again, at the start of the
// next command or of the next generated token, for the layer's recurrent weights.
module event_queue #(
    parameter int unsigned ENGINES      = 2,
    parameter int unsigned NEURON_DEPTH = 2048,
    parameter int unsigned MAX_LAYERS   = 8
) (
    input logic clk,
    input logic rst,

    input logic [3:0] layers,

    input logic clear,      // forget all events
    input logic run_begin,  // tokens are counted from here

    input logic                            append_start,  // an update of this layer begins: empty its lists
    input logic [2:0]                      append_layer,
    input logic [MAX_LAYERS-1:0][15:0]     position_base,  // of each layer
    input logic [ENGINES-1:0]              event_valid,
    input logic [2:0]                      event_layer,
    input logic [ENGINES-1:0][15:0]        event_neuron,
    input logic [ENGINES-1:0][7:0]         event_value,
    input logic                            event_last,     // no more events of the layer's update will come

    input  logic                    play_start,
    input  kernel_types_pkg::play_t play,
    output logic                    play_busy,

    output logic                       request_valid,
    output kernel_types_pkg::request_t request,
    input  logic                       request_ready,

    input  logic [3:0]                  record_token,   // number of a token, modulo 16
    output logic [MAX_LAYERS-1:0][15:0] record_events   // how many events it caused in each layer
);

  localparam int unsigned ADDRESS_BITS = $clog2(NEURON_DEPTH);
  localparam int unsigned ENGINE_BITS  = ENGINES > 1 ? $clog2(ENGINES) : 1;

  // -- lists
  logic [ENGINES-1:0][MAX_LAYERS-1:0][15:0] length;
  logic [ENGINES-1:0][15:0] update_length, next_length;  // that of the layer whose update is under way, and one more
  logic [MAX_LAYERS-1:0] growing;  // an update may still append
  logic [ENGINES-1:0] read_enable;
  logic [ENGINES-1:0][15:0] read_index;
  kernel_types_pkg::play_t current;
  logic [15:0] current_base;
  logic [ENGINES-1:0][22:0] read_event;  // a layer has fewer than 2^15 neurons: its pointers are twice as many

  always_ff @(posedge clk) begin
    if (rst || clear) begin
      length   <= '0;
      growing  <= '0;
      update_length <= '0;
      for (int e = 0; e < ENGINES; e++) next_length[e] <= 16'd1;
    end else begin
      for (int e = 0; e < ENGINES; e++) begin
        if (event_valid[e]) length[e][event_layer] <= next_length[e];
        if (append_start) length[e][append_layer] <= '0;
        if (event_last) update_length[e] <= '0;
        else if (event_valid[e]) update_length[e] <= next_length[e];
        next_length[e] <= event_last ? 16'd1 : next_length[e] + 16'(event_valid[e]);
      end
      if (event_last) growing[event_layer] <= 1'b0;
      if (append_start) growing[append_layer] <= 1'b1;
    end
  end

  for (genvar e = 0; e < ENGINES; e++) begin : g_list
    logic [15:0] write_address, read_address;
    assign write_address = position_base[event_layer] + update_length[e];
    assign read_address  = current_base + read_index[e];
    block_memory #(
        .WIDTH(23),
        .DEPTH(NEURON_DEPTH)
    ) list (
        .clk,
        .write_enable (event_valid[e]),
        .write_address(write_address[ADDRESS_BITS-1:0]),
        .write_data   ({event_neuron[e][14:0], event_value[e]}),
        .read_enable  (read_enable[e]),
        .read_address (read_address[ADDRESS_BITS-1:0]),
        .read_data    (read_event[e])
    );
  end

  // -- play: engines in turn, an event per cycle
  logic playing, offering;
  logic [ENGINE_BITS-1:0] engine, offered_engine;
  logic can_read, nothing_left;
  logic [ENGINES-1:0] left;
  // The lengths of the lists being played, and whether they grow, once more: to select them takes long.
  logic [ENGINES-1:0][15:0] playing_length;
  logic playing_grows;
  always_ff @(posedge clk) begin
    for (int e = 0; e < ENGINES; e++) begin
      if (play_start) begin
        playing_length[e] <= length[e][play.layer] + 16'(event_valid[e] && event_layer == play.layer);
      end else if (event_valid[e] && event_layer == current.layer) begin
        playing_length[e] <= playing_length[e] + 16'd1;
      end
    end
    if (play_start) playing_grows <= growing[play.layer] && !(event_last && event_layer == play.layer);
    else if (event_last && event_layer == current.layer) playing_grows <= 1'b0;
  end
  always_comb begin
    for (int e = 0; e < ENGINES; e++) left[e] = read_index[e] != playing_length[e];
  end
  assign nothing_left = left == '0 && !playing_grows;
  assign can_read     = playing && (!offering || request_ready);
  always_comb begin
    read_enable         = '0;
    read_enable[engine] = can_read && left[engine];
  end
  assign play_busy = playing || offering;

  always_ff @(posedge clk) begin
    if (rst) begin
      playing  <= 1'b0;
      offering <= 1'b0;
    end else begin
      if (play_start) begin
        playing      <= 1'b1;
        current      <= play;
        current_base <= position_base[play.layer];
        engine       <= '0;
        read_index   <= '0;
      end else if (can_read) begin
        engine <= 32'(engine) == ENGINES - 1 ? '0 : engine + 1'b1;
        for (int e = 0; e < ENGINES; e++) read_index[e] <= read_index[e] + 16'(read_enable[e]);
        if (nothing_left) playing <= 1'b0;
      end
      if (can_read && left[engine]) begin
        offering       <= 1'b1;
        offered_engine <= engine;
      end else if (request_ready) begin
        offering <= 1'b0;
      end
    end
  end

  // Pointer 2 j is where the forward column of neuron j begins, and pointer 2 j + 1 where its recurrent column does; in a
  // later tile of the decoder, pointer j is where its only column does.
  logic [22:0] offered;
  assign offered       = read_event[offered_engine];
  assign request_valid = offering;
  always_comb begin
    request                = '0;
    request.kind           = kernel_types_pkg::REQUEST_COLUMN;
    request.destination    = kernel_types_pkg::TO_LANES;
    request.pointer        = current.pointer_base + (current.alone ? {1'b0, offered[22:8]} : {offered[22:8], 1'b0});
    request.value          = offered[7:0];
    request.forward        = current.forward;
    request.recurrent      = current.recurrent;
    request.forward_bank   = current.forward_bank;
    request.forward_base   = current.forward_base;
    request.recurrent_bank = current.recurrent_bank;
    request.recurrent_base = current.recurrent_base;
  end

  // -- events of the tokens that are under way: layers are ahead of each other, and all of them of the record
  logic counted;
  logic [2:0] counted_layer;
  logic [MAX_LAYERS-1:0][3:0] token;  // that each layer's next update is for
  logic [15:0] count;
  logic count_clk;
  clock_gate count_gate (
      .clk,
      .run  (rst || run_begin || event_last || counted),
      .gated(count_clk)
  );
  always_comb begin
    count = '0;
    for (int e = 0; e < ENGINES; e++) count += length[e][counted_layer];
  end
  always_ff @(posedge count_clk) begin
    counted       <= !rst && event_last;
    counted_layer <= event_layer;
    if (run_begin) token <= '0;
    else if (counted) token[counted_layer] <= token[counted_layer] + 4'd1;
  end
  for (genvar l = 0; l < MAX_LAYERS; l++) begin : g_count
    logic [15:0] counts[16];
    always_ff @(posedge count_clk) begin
      if (counted && 32'(counted_layer) == l) counts[token[l]] <= count;
    end
    assign record_events[l] = l < 32'(layers) ? counts[record_token] : '0;
  end

endmodule
