// event_queue: events go in, and a play gives each of them, in order, and no other. For any events, plays and stalls.
//
//   no loss, nothing made up
//                 a play asks for exactly as many columns, engine by engine, as events were appended to its layer's lists
//                 since the layer's last update began: those that were there and those that come while it goes on; it ends
//                 then, and not before the layer's update has ended
//   order         an engine's k-th request in a play is its k-th event, with its value and the pointer of its neuron
//   no overflow   an event overwrites none that can still be played, of its own layer or of another
//   steady        a request stays as it is until it is taken
//   no deadlock   a play that is not done asks or reads on in at most as many cycles as there are engines, unless its request is
//                 not taken, or it waits for the layer's update
// The memories of the lists are taken to be what block_memory's own proof says. prove.py puts it inside the module.

  localparam int unsigned CAPACITY = NEURON_DEPTH / MAX_LAYERS;  // positions of a layer

  logic started;
  initial started = 1'b0;
  always_ff @(posedge clk) started <= 1'b1;
  always_comb if (!started) assume (rst);

  // What the sequencer and the updates promise: one update at a time, with no more events than a layer has positions; one
  // play at a time; and no update of a layer begins while its list is being played.
  logic updating;
  logic [2:0] updated;
  kernel_types_pkg::play_t wanted;
  always_ff @(posedge clk) begin
    if (rst) updating <= 1'b0;
    else if (append_start) updating <= 1'b1;
    else if (event_last) updating <= 1'b0;
    if (append_start) updated <= append_layer;
    if (play_start) wanted <= play;
  end
  logic too_many;
  always_comb begin
    too_many = 1'b0;
    for (int e = 0; e < ENGINES; e++) if (event_valid[e] && 32'(length[e][event_layer]) >= CAPACITY) too_many = 1'b1;
    for (int l = 0; l < MAX_LAYERS; l++) assume (position_base[l] == 16'(l * CAPACITY));
    assume (clear == rst);
    assume (32'(append_layer) < MAX_LAYERS && 32'(play.layer) < MAX_LAYERS && event_layer == updated);
    assume (!append_start || (!updating && event_valid == '0 && !event_last));
    assume (updating || (event_valid == '0 && !event_last));
    assume (!too_many);
    assume (!play_start || (!play_busy && !append_start));
    assume (!(append_start && play_busy && append_layer == wanted.layer));
    for (int e = 0; e < ENGINES; e++) assume (event_neuron[e][15] == 1'b0);
  end

  // One event: engine, layer and place in the list are the solver's choice.
  (* anyconst *) logic [ENGINE_BITS-1:0] engine_of;
  (* anyconst *) logic [2:0] layer_of;
  (* anyconst *) logic [15:0] place_of;
  always_comb assume (32'(engine_of) < ENGINES && 32'(layer_of) < MAX_LAYERS && 32'(place_of) < CAPACITY);
  logic there, mine;
  logic [22:0] event_in, word;
  assign event_in = {event_neuron[engine_of][14:0], event_value[engine_of]};
  assign mine     = event_valid[engine_of] && event_layer == layer_of && length[engine_of][layer_of] == place_of;
  always_ff @(posedge clk) begin
    if (rst || (append_start && append_layer == layer_of)) there <= 1'b0;
    else if (mine) there <= 1'b1;
    if (mine) word <= event_in;
  end

  // Its place in the engine's memory, as block_memory's proof says that it behaves.
  logic [ENGINES-1:0][ADDRESS_BITS-1:0] writes_at, reads_at;
  for (genvar e = 0; e < ENGINES; e++) begin : g_at
    assign writes_at[e] = g_list[e].write_address[ADDRESS_BITS-1:0];
    assign reads_at[e]  = g_list[e].read_address[ADDRESS_BITS-1:0];
  end
  logic [ADDRESS_BITS-1:0] place, write_at, read_at;
  assign place    = ADDRESS_BITS'(position_base[layer_of] + place_of);
  assign write_at = writes_at[engine_of];
  assign read_at  = reads_at[engine_of];
  logic written, shown;
  logic [22:0] stored, expected;
  initial {written, shown} = 2'b00;
  always_ff @(posedge clk) begin
    if (event_valid[engine_of] && write_at == place) begin
      written <= 1'b1;
      stored  <= event_in;
    end
    if (read_enable[engine_of]) begin
      shown    <= written && read_at == place;
      expected <= stored;
    end
  end
  always_comb if (shown) assume (read_event[engine_of] == expected);

  // What was asked for in the play so far, by engine (which engine a request is of does not show on the port), and what
  // was appended; and how the registers stand to that.
  logic taken;
  assign taken = request_valid && request_ready;
  logic [ENGINES-1:0][15:0] out, appended;
  logic all_out, sizes_agree, copies_agree, reads_agree, nothing_unread;
  always_ff @(posedge clk) begin
    for (int e = 0; e < ENGINES; e++) begin
      if (rst || (append_start && append_layer == layer_of)) appended[e] <= '0;
      else if (event_valid[e] && event_layer == layer_of) appended[e] <= appended[e] + 16'd1;
      if (rst || play_start) out[e] <= '0;
      else if (taken && 32'(offered_engine) == e) out[e] <= out[e] + 16'd1;
    end
  end
  always_comb begin
    {all_out, sizes_agree, copies_agree, reads_agree, nothing_unread} = '1;
    for (int e = 0; e < ENGINES; e++) begin
      if (out[e] != appended[e]) all_out = 1'b0;
      if (appended[e] != length[e][layer_of] || 32'(appended[e]) > CAPACITY) sizes_agree = 1'b0;
      if (read_index[e] != out[e] + 16'(offering && 32'(offered_engine) == e)
          || read_index[e] > length[e][wanted.layer]) reads_agree = 1'b0;
      if (read_index[e] != length[e][wanted.layer]) nothing_unread = 1'b0;
      if (update_length[e] != (updating ? length[e][updated] : 16'd0)) copies_agree = 1'b0;
      if (next_length[e] != update_length[e] + 16'd1) copies_agree = 1'b0;
      if (play_busy && playing_length[e] != length[e][wanted.layer]) copies_agree = 1'b0;
    end
  end

  logic waits, was_busy;
  kernel_types_pkg::request_t request_before;
  initial {waits, was_busy} = 2'b00;
  always_ff @(posedge clk) begin
    waits          <= !rst && request_valid && !request_ready;
    request_before <= request;
    was_busy       <= !rst && play_busy;
  end

  // Cycles in a row in which the play could have read an event and did not.
  logic [3:0] still;
  logic passing;
  assign passing = can_read && left != '0 && read_enable == '0;
  always_ff @(posedge clk) begin
    if (rst || read_enable != '0 || !playing || left == '0) still <= '0;
    else if (passing) still <= still + 4'd1;
  end
  logic [3:0] turns;  // until the turn of the next engine with an event
  always_comb begin
    turns = '0;
    for (int d = ENGINES - 1; d >= 0; d--) if (left[(32'(engine) + d) % ENGINES]) turns = 4'(d);
  end

  always_ff @(posedge clk) begin
    if (started && !rst) begin
      if (waits) steady : assert (request_valid && request == request_before);
      if (request_valid) begin
        as_the_play_says : assert (request.kind == kernel_types_pkg::REQUEST_COLUMN
            && request.destination == kernel_types_pkg::TO_LANES
            && request.forward == wanted.forward && request.recurrent == wanted.recurrent
            && request.forward_bank == wanted.forward_bank && request.forward_base == wanted.forward_base
            && request.recurrent_bank == wanted.recurrent_bank && request.recurrent_base == wanted.recurrent_base);
        if (wanted.layer == layer_of) not_made_up : assert (out[offered_engine] < appended[offered_engine]);
        if (wanted.layer == layer_of && offered_engine == engine_of && out[engine_of] == place_of) begin
          in_order_and_unchanged : assert (there && request.value == word[7:0]
                                           && request.pointer == wanted.pointer_base
                                               + (wanted.alone ? {1'b0, word[22:8]} : {word[22:8], 1'b0}));
          what_is_shown : assert (shown && expected == word);
        end
      end
      if (was_busy && !play_busy) begin
        if (wanted.layer == layer_of) begin
          nothing_lost : assert (all_out);
          ends_after_the_update : assert (!(updating && updated == layer_of));
        end
      end
      no_overflow : assert (!there || (written && stored == word));
      if (playing && left != '0) no_deadlock : assert (32'(still) + 32'(turns) < ENGINES);

      // How the registers stand to that: induction starts from states that have it.
      is_there : assert (there == (appended[engine_of] > place_of));
      sizes : assert (sizes_agree);
      copies : assert (copies_agree && (!play_busy || playing_grows == growing[wanted.layer]));
      growing_is_right : assert (growing[layer_of] == (updating && updated == layer_of));
      layer_is_there : assert (!updating || 32'(updated) < MAX_LAYERS);
      if (play_busy || was_busy) begin
        play_is_kept : assert (reads_agree && current == wanted && 32'(wanted.layer) < MAX_LAYERS
                               && current_base == 16'(32'(wanted.layer) * CAPACITY) && 32'(engine) < ENGINES);
        if (!playing && play_busy && wanted.layer == layer_of) begin
          all_read : assert (nothing_unread && !(updating && updated == layer_of));
        end
        if (was_busy && !play_busy && wanted.layer == layer_of) all_done : assert (nothing_unread);
      end
      plays : cover (was_busy && !play_busy && out[0] == 16'd2 && all_out);
      plays_what_comes : cover (request_valid && updating && updated == wanted.layer);
    end
  end
