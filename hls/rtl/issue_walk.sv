// The issue walk: asks the engines for what a run reads, in the order in which it is needed. Per wave that is [the next
// token's table row], then for each layer its events as they fire, and a mark behind them. The last layer's events are
// played once for each tile of the decoder, with a mark behind each.
//
// A batch ends by asking, for the last token of each layer, for forward columns only, and begins by playing all layers'
// lists for their recurrent columns: what a command leaves behind is events, not sums. When generating, each token is a
// batch, whose recurrent columns are fetched when the token before leaves the bus idle: under a long decoder
// sweep, or, where there are few words, layer by layer while the layer above is being updated.
module issue_walk #(
    parameter int unsigned ENGINES   = 2,
    parameter int unsigned BUS_BYTES = 8
) (
    input logic clk,
    input logic rst,

    input logic        run_begin,
    input logic        running,
    input logic        generating,
    input logic [31:0] token_count,
    input logic [31:0] tokens_after_first,  // in a batch
    input logic [63:0] tokens_address,

    // -- model
    input logic [2:0]                last_layer,
    input logic [31:0]               vocabulary,
    input kernel_types_pkg::layer_t [egret_pkg::IMAGE_MAX_LAYERS-1:0] layer,
    input logic [15:0]               tile_count,
    input logic [15:0]               last_tile_groups,
    input logic                      tile_in_one_bank,
    input logic [15:0]               tile_pointer_base,
    input logic [15:0]               tile_pointers,
    input logic [15:0]               table_row_beats,
    input logic [ENGINES-1:0][63:0]  table_address,

    // -- requests
    output logic [ENGINES-1:0]         request_valid,
    output kernel_types_pkg::request_t request,
    output logic [ENGINES-1:0][63:0]   request_address,
    input  logic                       request_ready,
    output logic                       mark_taken,       // a mark has been asked for:
    output logic                       mark_of_layer,    // the end of what a layer's events feed, or of a table row,
    output logic                       mark_of_decoder,  // and that of a tile of the decoder
    input  logic                       update_begun,     // an update has begun that has not been played yet
    input  logic                       swept,            // a tile's sweep is over
    output logic                       play_start,
    output kernel_types_pkg::play_t    play,
    input  logic                       play_busy,

    // -- tokens
    output logic        chunk_request,
    input  logic        chunk_room,
    input  logic        token_valid,
    input  logic [31:0] token,
    output logic        token_take,
    input  logic        argmax_valid,
    input  logic [31:0] argmax,
    output logic        argmax_take,
    output logic        bad_token,
    output logic [23:0] issued_position,  // of the next token whose table row is asked for
    input  logic [3:0]  record_number,    // of a token that is under way, modulo 16
    output logic [31:0] record_token      // which word it is
);

  localparam int unsigned BEAT_SHIFT  = $clog2(BUS_BYTES);
  localparam int unsigned CHUNK_BYTES = 64;

  typedef enum logic [3:0] {
    IDLE,
    CHUNK,         // input tokens, if there is room for more
    REPLAY,        // a batch begins: the recurrent columns of all layers' last events
    TOKEN,
    CHECK,
    MULTIPLY,
    TABLE,
    BATCH_MARK,
    WAVE,
    EVENTS,
    EVENTS_MARK,
    TILE,          // the last layer's events once more, for the next tile of the decoder
    REPLAY_EARLY   // a generated token: the recurrent columns of the layer just played, for the next token
  } state_e;
  state_e state, after_replay, after_mark;

  logic parity, tokens_follow, wave_ends, batch_ends;
  logic tiles_follow;    // of the decoder, behind the one being fetched
  logic [2:0] wave_layer, low, unused_previous_high;
  logic restart, advance;
  logic [2:0] replay_layer;
  logic replay_due;      // at the beginning of the batch
  logic short_sweep, replay_early;
  logic batch_begins;    // the token being fetched is the first of a batch
  logic [31:0] chunks_left;    // still to ask for
  logic chunks_remain;         // at least one
  logic [63:0] chunk_address;  // of the next chunk
  logic more_tokens;
  logic [31:0] issued_tokens;  // whose table row is asked for
  logic [31:0] current_token;
  logic [1:0] multiply_step;
  logic [31:0] tokens_under_way[16];  // whose record is not written; by number, modulo 16
  always_ff @(posedge clk) more_tokens <= issued_tokens != token_count;
  assign issued_position = issued_tokens[23:0];
  assign record_token    = tokens_under_way[record_number];

  // A last sweep of this many groups (and the argmax after it) is worth keeping all recurrent columns for.
  localparam int unsigned SHORT_SWEEP_GROUPS = 128;
  always_ff @(posedge clk) short_sweep <= last_tile_groups < 16'(SHORT_SWEEP_GROUPS);
  assign replay_early = generating && short_sweep && more_tokens;

  logic token_too_large;
  always_ff @(posedge clk) token_too_large <= current_token >= vocabulary;
  assign bad_token = running && state == MULTIPLY && multiply_step == '0 && token_too_large;

  // An array: simulation selects from it at once.
  kernel_types_pkg::layer_t played_layer;
  logic [$bits(played_layer)-1:0] layer_list[egret_pkg::IMAGE_MAX_LAYERS];
  for (genvar l = 0; l < egret_pkg::IMAGE_MAX_LAYERS; l++) begin : g_layer
    assign layer_list[l] = layer[l];
  end

  always_comb begin
    after_mark = EVENTS;
    if (wave_ends) after_mark = WAVE;
    if (batch_ends) after_mark = more_tokens ? CHUNK : IDLE;
  end

  assign restart = running && state == BATCH_MARK && request_ready;
  assign advance = running && state == EVENTS_MARK && !play_busy && request_ready && !tiles_follow;
  wavefront wave (
      .clk,
      .restart      (restart),
      .tokens_after_first,
      .last_layer,
      .advance      (advance),
      .parity       (parity),
      .layer        (wave_layer),
      .low          (low),
      .previous_high(unused_previous_high),
      .tokens_follow(tokens_follow),
      .wave_ends    (wave_ends),
      .batch_ends   (batch_ends)
  );

  always_ff @(posedge clk) begin
    if (rst || run_begin) begin
      state         <= CHUNK;
      replay_layer  <= '0;
      replay_due    <= 1'b1;
      issued_tokens <= '0;
      batch_begins  <= 1'b1;
      // generating reads one token only, and with it its chunk
      chunks_remain <= 1'b1;
      chunks_left   <= generating ? 32'd1 : 32'((33'(token_count) + 33'd15) >> 4);
    end else if (running) begin
      case (state)
        CHUNK:
          if (!chunks_remain || !chunk_room) begin
            state <= replay_due ? REPLAY : TOKEN;
          end else if (!play_busy && request_ready) begin
            chunks_left   <= chunks_left - 32'd1;
            chunks_remain <= chunks_left != 32'd1;
            state         <= replay_due ? REPLAY : TOKEN;
          end

        REPLAY:
          if (!play_busy) begin
            replay_layer <= replay_layer == last_layer ? '0 : replay_layer + 3'd1;
            if (replay_layer == last_layer) begin
              replay_due <= 1'b0;
              state      <= TOKEN;
            end
          end

        TOKEN:
          if (token_take || argmax_take) begin
            current_token <= token_take ? token : argmax;
            state         <= CHECK;
          end

        CHECK: begin
          multiply_step <= '0;
          state         <= MULTIPLY;
        end

        // Registers below: (the product's two halves,) their sum, and the two halves of the row's address.
        MULTIPLY: begin
          multiply_step <= multiply_step + 2'd1;
          if (multiply_step == 2'd2) state <= TABLE;
        end

        TABLE:
          if (!play_busy && request_ready) begin
            tokens_under_way[issued_tokens[3:0]] <= current_token;
            issued_tokens                        <= issued_tokens + 32'd1;
            state                                <= batch_begins ? BATCH_MARK : EVENTS;
          end

        BATCH_MARK:
          if (request_ready) begin
            batch_begins <= 1'b0;
            state        <= WAVE;
          end

        WAVE: state <= tokens_follow ? CHUNK : EVENTS;

        EVENTS: if (play_start) state <= EVENTS_MARK;

        EVENTS_MARK:
          if (tiles_follow) begin
            if (!play_busy && request_ready) state <= TILE;
          end else if (advance) begin
            state <= replay_early ? REPLAY_EARLY : after_mark;
            after_replay <= after_mark;
            replay_layer <= replay_early ? wave_layer : '0;
            if (batch_ends) begin
              batch_begins <= 1'b1;
              replay_due   <= !replay_early;
            end
          end

        TILE: if (play_start) state <= EVENTS_MARK;

        REPLAY_EARLY:
          if (!play_busy) begin
            replay_layer <= '0;
            state        <= after_replay;
          end

        default: ;  // IDLE
      endcase
    end
  end

  logic from_memory;  // the next token is read from memory, not the last step's argmax
  assign from_memory   = !generating || issued_tokens == '0;
  assign token_take    = running && state == TOKEN && from_memory && token_valid;
  assign argmax_take   = running && state == TOKEN && !from_memory && argmax_valid;
  assign chunk_request = running && state == CHUNK && chunks_remain && chunk_room && !play_busy
                         && request_ready;

  stepping_address chunks (
      .clk,
      .load        (run_begin),
      .load_address(tokens_address),
      .move        (chunk_request),
      .step        (32'(CHUNK_BYTES)),
      .address     (chunk_address)
  );

  // The token's row in each engine's table. Its offset is below 2^32, since the image is.
  logic [31:0] row_low_product;
  logic [15:0] row_high_product;
  logic [31-BEAT_SHIFT:0] row_beats_total;
  logic [ENGINES-1:0][32:0] row_low;  // low half of the address, and its carry
  logic [ENGINES-1:0][63:0] row_address;
  always_ff @(posedge clk) if (state == CHECK || state == MULTIPLY) begin
    row_low_product  <= 32'(current_token[15:0]) * 32'(table_row_beats);
    row_high_product <= current_token[31:16] * table_row_beats;
    row_beats_total  <= (32 - BEAT_SHIFT)'(row_low_product + {row_high_product, 16'd0});
    for (int e = 0; e < ENGINES; e++) begin
      row_low[e]     <= {1'b0, table_address[e][31:0]} + {1'b0, row_beats_total, {BEAT_SHIFT{1'b0}}};
      row_address[e] <= {table_address[e][63:32] + 32'(row_low[e][32]), row_low[e][31:0]};
    end
  end

  // Tiles of the decoder that are being fetched, or whose sums are not swept, and where the next one's go.
  logic [1:0] logit_banks_used;
  logic logit_bank, logit_bank_free;
  logic feeds_decoder, tile_start;
  logic [15:0] tile;          // after the first: which
  logic [15:0] tile_pointer;  // where its pointers begin
  assign feeds_decoder   = wave_layer == last_layer;
  assign logit_bank_free = !logit_banks_used[1] && (tile_in_one_bank || !logit_banks_used[0]);
  assign tile_start      = play_start && (state == TILE || (state == EVENTS && feeds_decoder));
  always_ff @(posedge clk) begin
    if (rst || run_begin) begin
      logit_banks_used <= '0;
      logit_bank       <= 1'b0;
      tiles_follow     <= 1'b0;
    end else begin
      logit_banks_used <= logit_banks_used + 2'(tile_start) - 2'(swept);
      if (tile_start) begin
        logit_bank   <= tile_in_one_bank && !logit_bank;
        tile         <= state == TILE ? tile + 16'd1 : 16'd1;
        tile_pointer <= state == TILE ? tile_pointer + tile_pointers : tile_pointer_base;
        tiles_follow <= (state == TILE ? tile + 16'd1 : 16'd1) != tile_count;
      end
    end
  end

  // The events of a layer and wave go to the next wave's sums, forward to the layer above and back to its own. At the
  // last token of a layer there is no next one: its recurrent columns are left to the replay.
  logic replay, to_wave;
  assign replay       = state == REPLAY || state == REPLAY_EARLY;
  assign played_layer = layer_list[replay ? replay_layer : wave_layer];
  assign to_wave      = replay ? replay_layer[0] : !parity;  // layer l has the first token in wave l
  assign play_start   = running && !play_busy
                        && (replay || (state == TILE && logit_bank_free)
                            || (state == EVENTS && update_begun && (!feeds_decoder || logit_bank_free)));
  always_comb begin
    play.layer          = played_layer.layer;
    play.pointer_base   = state == TILE ? tile_pointer : played_layer.pointer_base;
    play.alone          = state == TILE;
    play.forward        = !replay;
    play.recurrent      = replay || (state != TILE && (tokens_follow || wave_layer != low));
    play.forward_bank   = {1'b0, to_wave, !played_layer.layer[0]};
    play.forward_base   = played_layer.forward_base;
    play.recurrent_bank = {1'b0, to_wave, played_layer.layer[0]};
    play.recurrent_base = played_layer.recurrent_base;
    if (played_layer.last) play.forward_bank = {2'b10, logit_bank};
  end

  always_comb begin
    request_valid   = '0;
    request         = '0;
    request.kind    = kernel_types_pkg::REQUEST_BLOCK;
    request_address = '0;
    if (running && !play_busy) begin
      case (state)
        CHUNK: begin
          request_valid[0]    = chunks_remain && chunk_room;
          request.destination = kernel_types_pkg::TO_TOKENS;
          request.beats       = 24'(CHUNK_BYTES / BUS_BYTES);
          request_address[0]  = chunk_address;
        end
        TABLE: begin
          request_valid       = '1;
          request.destination = kernel_types_pkg::TO_TABLE;
          request.beats       = 24'(table_row_beats);
          request.forward_bank = {2'b00, !batch_begins && !parity};
          request_address     = row_address;
        end
        BATCH_MARK, EVENTS_MARK: begin
          request_valid = '1;
          request.kind  = kernel_types_pkg::REQUEST_MARK;
        end
        default: ;
      endcase
    end
  end

  assign mark_taken      = request_valid != '0 && request_ready && request.kind == kernel_types_pkg::REQUEST_MARK;
  assign mark_of_decoder = state == EVENTS_MARK && feeds_decoder;
  // The last layer's events are needed until the last tile has been asked for.
  assign mark_of_layer   = state != EVENTS_MARK || !tiles_follow;

endmodule
