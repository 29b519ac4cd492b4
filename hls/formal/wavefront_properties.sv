// wavefront against what it is for: every (layer, token) of a batch, each once, and then the end.
//
//   each once    a (layer, token) of the solver's choice comes up exactly when its turn is: waves in order, a wave's layers
//                upwards, and layer l of wave w is about token w - l, which is a token of the batch
//   all of them  wave w has every layer for which token w - l exists: none is left out at either end
//   it ends      `batch_ends` is at the last layer's last token and nowhere before
// prove.py puts it inside the module.

  localparam int unsigned MOST_TOKENS = 1 << 16;

  logic started, ended;
  initial started = 1'b0;
  always_ff @(posedge clk) started <= 1'b1;
  always_comb if (!started) assume (restart);
  always_comb assume (!restart || tokens_after_first < MOST_TOKENS);

  // A batch's size and the number of layers do not change under way; after its end comes a restart.
  logic [31:0] last_token;
  logic [2:0] top;
  always_ff @(posedge clk) begin
    if (restart) begin
      last_token <= tokens_after_first;
      top        <= last_layer;
      ended      <= 1'b0;
    end else if (advance && batch_ends) begin
      ended <= 1'b1;
    end
  end
  always_comb if (started && !restart) assume (last_layer == top);

  // The plain loop: for each wave, for each layer that has a token in it.
  logic [31:0] wave;
  logic [2:0] expected_layer;
  logic [31:0] first_layer, high_layer;
  assign first_layer = wave > last_token ? wave - last_token : 32'd0;
  assign high_layer  = wave < 32'(top) ? wave : 32'(top);
  always_ff @(posedge clk) begin
    if (restart) begin
      wave           <= '0;
      expected_layer <= '0;
    end else if (advance && !ended) begin
      if (32'(expected_layer) == high_layer) begin
        wave           <= wave + 32'd1;
        expected_layer <= wave + 32'd1 > last_token ? 3'(wave + 32'd1 - last_token) : 3'd0;
      end else begin
        expected_layer <= expected_layer + 3'd1;
      end
    end
  end

  // How often the chosen (layer, token) came up.
  (* anyconst *) logic [2:0] chosen_layer;
  (* anyconst *) logic [31:0] chosen_token;
  logic seen;
  logic now;
  assign now = layer == chosen_layer && wave == chosen_token + 32'(chosen_layer);
  always_ff @(posedge clk) begin
    if (restart) seen <= 1'b0;
    else if (advance && !ended && now) seen <= 1'b1;
  end

  logic exists, passed;
  assign exists = chosen_layer <= top && chosen_token <= last_token;
  assign passed = wave > chosen_token + 32'(chosen_layer)
                  || (wave == chosen_token + 32'(chosen_layer) && layer > chosen_layer);
  always_comb assume (chosen_token < MOST_TOKENS);

  always_ff @(posedge clk) begin
    if (started && !ended && !restart) begin
      wave_exists : assert (wave <= last_token + 32'(top) && last_token < MOST_TOKENS);
      in_turn : assert (layer == expected_layer);
      token_exists : assert (32'(layer) >= first_layer && 32'(layer) <= high_layer);
      low_is_right : assert (32'(low) == first_layer);
      high_is_right : assert (32'(high) == high_layer);
      previous_high_is_right : assert (wave == '0 || 32'(previous_high) == (wave - 32'd1 < 32'(top) ? wave - 32'd1 : 32'(top)));
      parity_is_right : assert (parity == wave[0]);
      tokens_follow_is_right : assert (tokens_follow == (wave < last_token));
      left_is_right : assert (!tokens_follow || left == last_token - wave);
      wave_ends_is_right : assert (wave_ends == (32'(layer) == high_layer));
      ends_at_the_last : assert (batch_ends == (layer == top && wave == last_token + 32'(top)));
      seen_is_past : assert (!seen || passed);
      at_most_once : assert (!(now && seen));
      none_left_out : assert (!(exists && passed) || seen);
      none_made_up : assert (!seen || exists);
    end
    if (started && ended) all_came : assert (!exists || seen);
    ends : cover (started && ended && top == 3'd2 && last_token == 32'd2);
  end
