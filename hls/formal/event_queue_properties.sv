// event_queue as a whole, from reset: events go in, and a play gives each of them, in order, and no other.
//
//   no loss, nothing made up
//                 a play asks for exactly as many columns as events were appended to its layer's lists since the layer's
//                 last update began: those that were there, and those that come while it goes on; then it ends
//   order         an engine's events come out in the order in which they went in, each with its value and the pointer of its
//                 neuron: the k-th of an engine's requests in a play is the k-th event of its list
//   no overflow   an event of a list that is not full overwrites no event of another layer or of its own
//   steady        a request stays as it is until it is taken; a play ends only after its layer's update
//   counts        the count of events kept for a token's record is that of the update that was for it
// Bounded: for as many cycles from reset as units.py says. prove.py puts it inside the module.

  localparam int unsigned CAPACITY = NEURON_DEPTH / MAX_LAYERS;  // positions of a layer

  logic started;
  initial started = 1'b0;
  always_ff @(posedge clk) started <= 1'b1;
  always_comb assume (rst == !started);

  // What the sequencer and the updates promise: one update at a time, and no more events than a layer has positions;
  // a play is started when none goes on, and no update of a layer begins while its list is being played.
  logic updating, ending;
  logic [2:0] updated, played;
  logic any_event;
  assign any_event = event_valid != '0;
  always_ff @(posedge clk) begin
    if (rst) updating <= 1'b0;
    else if (append_start) updating <= 1'b1;
    else if (event_last) updating <= 1'b0;
    if (append_start) updated <= append_layer;
    if (play_start) played <= play.layer;
  end
  always_comb begin
    for (int l = 0; l < MAX_LAYERS; l++) assume (position_base[l] == 16'(l * CAPACITY));
    assume (layers == 4'(MAX_LAYERS) && !clear && run_begin == rst);
    assume (32'(append_layer) < MAX_LAYERS && 32'(play.layer) < MAX_LAYERS);
    assume (event_layer == updated);
    assume (!(append_start && updating) && !(append_start && any_event) && !(append_start && event_last));
    assume (updating || (!any_event && !event_last));
    assume (!(play_start && (play_busy || append_start)));
    assume (!(append_start && play_busy && append_layer == played));
    for (int e = 0; e < ENGINES; e++) begin
      assume (event_neuron[e][15] == 1'b0);
      assume (!event_valid[e] || 32'(length[e][event_layer]) < CAPACITY);
    end
    // What only passes through: a few bits stand for all.
    for (int e = 0; e < ENGINES; e++) assume (event_value[e][7:3] == '0 && event_neuron[e][14:3] == '0);
    assume (play.pointer_base[15:2] == '0);
  end

  // The lists as plain counts, and one event of them: engine, layer and place are the solver's choice.
  (* anyconst *) logic [0:0] engine_of;
  (* anyconst *) logic [2:0] layer_of;
  (* anyconst *) logic [3:0] place_of;
  always_comb assume (32'(engine_of) < ENGINES && 32'(layer_of) < MAX_LAYERS);
  logic [ENGINES-1:0][MAX_LAYERS-1:0][4:0] appended;
  logic there;
  logic [22:0] word;
  logic mine;
  assign mine = event_valid[engine_of] && event_layer == layer_of && appended[engine_of][layer_of] == 5'(place_of);
  always_ff @(posedge clk) begin
    if (rst) begin
      appended <= '0;
      there    <= 1'b0;
    end else begin
      for (int e = 0; e < ENGINES; e++) begin
        if (event_valid[e]) appended[e][event_layer] <= appended[e][event_layer] + 5'd1;
        if (append_start) appended[e][append_layer] <= '0;
      end
      if (append_start && append_layer == layer_of) there <= 1'b0;
      else if (mine) there <= 1'b1;
      if (mine) word <= {event_neuron[engine_of][14:0], event_value[engine_of]};
    end
  end

  // The play: what was asked for so far, by engine. (Which engine a request is of does not show on the port.)
  logic taken;
  logic [ENGINES-1:0][4:0] out;
  kernel_types_pkg::play_t wanted;
  kernel_types_pkg::request_t request_before;
  logic waits, was_busy;
  logic [5:0] asked_for, in_lists;
  assign taken = request_valid && request_ready;
  always_comb begin
    asked_for = '0;
    in_lists  = '0;
    for (int e = 0; e < ENGINES; e++) begin
      asked_for += 6'(out[e]);
      in_lists  += 6'(appended[e][wanted.layer]);
    end
  end
  always_ff @(posedge clk) begin
    waits          <= !rst && request_valid && !request_ready;
    request_before <= request;
    was_busy       <= !rst && play_busy;
    if (rst) out <= '0;
    else if (play_start) out <= '0;
    else if (taken) out[offered_engine] <= out[offered_engine] + 5'd1;
    if (play_start) wanted <= play;
  end

  // The record of a token: how many events the chosen layer's updates had, by update.
  (* anyconst *) logic [3:0] token_of;
  logic [3:0] updates;
  logic [15:0] had, total;
  logic kept, kept_before, over;
  always_comb begin
    total = '0;
    for (int e = 0; e < ENGINES; e++) total += 16'(appended[e][layer_of]) + 16'(event_valid[e] && event_layer == layer_of);
  end
  always_ff @(posedge clk) begin
    if (rst) begin
      {updates, kept, kept_before} <= '0;
    end else begin
      if (event_last && event_layer == layer_of) begin
        updates <= updates + 4'd1;
        if (updates == token_of) {kept, had} <= {1'b1, total};
      end
      kept_before <= kept;
    end
  end
  always_comb assume (record_token == token_of);

  always_ff @(posedge clk) begin
    if (started && !rst) begin
      if (waits) steady : assert (request_valid && request == request_before);
      if (request_valid) begin
        not_made_up : assert (out[offered_engine] < appended[offered_engine][wanted.layer]);
        as_the_play_says : assert (request.kind == kernel_types_pkg::REQUEST_COLUMN
            && request.destination == kernel_types_pkg::TO_LANES
            && request.forward == wanted.forward && request.recurrent == wanted.recurrent
            && request.forward_bank == wanted.forward_bank && request.forward_base == wanted.forward_base
            && request.recurrent_bank == wanted.recurrent_bank && request.recurrent_base == wanted.recurrent_base);
        if (there && wanted.layer == layer_of && offered_engine == engine_of && out[engine_of] == 5'(place_of)) begin
          in_order_and_unchanged : assert (request.value == word[7:0]
                                           && request.pointer == wanted.pointer_base + {word[22:8], 1'b0});
        end
      end
      if (was_busy && !play_busy) begin
        nothing_lost : assert (asked_for == in_lists);
        ends_after_the_update : assert (!(updating && updated == wanted.layer));
      end
      no_overflow : assert (32'(length[engine_of][layer_of]) <= CAPACITY
                            && 16'(appended[engine_of][layer_of]) == length[engine_of][layer_of]);
      if (kept_before) record_is_right : assert (record_events[layer_of] == had);
      plays : cover (was_busy && !play_busy && asked_for == 6'd3);
      plays_what_comes : cover (request_valid && updating && updated == wanted.layer);
    end
  end
