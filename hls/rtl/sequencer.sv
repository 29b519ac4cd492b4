// Walks the phases of each command. A run is a *layer wavefront*: wave w updates layer l at token w - l, for every
// layer for which there is such a token, so that layer l works on a token while the layer below works on the next.
// What the events of a wave feed is all due in the next wave. Three walks go on side by side, kept in step by credits:
//
//   issue    per wave: [the next token's table row], then for each layer: its events as they fire, mark
//   update   per wave: for each layer, once what it needs has been accumulated: neuron update
//   sweep    per token: once its decoder events have been accumulated: decoder sweep, result record
//
// A mark says that everything asked for before it has been accumulated. An update needs the marks of its own layer
// and of the layer below from the wave before; how many later marks may be outstanding then is its *slack*.
// A run ends by asking, for the last token of each layer, for forward columns only, and begins by playing all
// layers' lists for their recurrent columns: what a command leaves behind is events, not sums.
//
// Generating cannot overlap tokens, since each is the result of the one before: every token is a run of one
// token, a *batch*, whose recurrent columns are fetched when the token before leaves the bus idle: under a long
// decoder sweep, or, where there are few words, layer by layer while the layer above is being updated.
//
// Accumulator banks are never both swept and added to: a wave sweeps the banks of its own parity while the next
// wave's fill, and of two layers of one parity, the slack lets only one be fetched for or swept.
module sequencer #(
    parameter int unsigned ENGINES     = 2,
    parameter int unsigned BUS_BYTES   = 8,
    parameter int unsigned CLEAR_DEPTH = 2048  // the deepest memory that clearing must walk
) (
    input logic clk,
    input logic rst,

    // -- registers
    input  logic        start,
    output logic        done,
    output logic [31:0] status,
    input  logic [31:0] command,
    input  logic [31:0] flags,
    input  logic [31:0] token_count,
    input  logic [63:0] image_address,
    input  logic [63:0] tokens_address,
    input  logic [63:0] results_address,
    input  logic [63:0] logits_address,
    input  logic [63:0] counters_address,

    // -- model
    output logic                            load_start,
    output logic                            load_abort,
    input  logic                            load_done,
    input  logic [7:0]                      load_error,
    input  logic [3:0]                      layers,
    input  logic [31:0]                     vocabulary,
    input  kernel_types_pkg::layer_t [egret_pkg::IMAGE_MAX_LAYERS-1:0]   layer,
    input  logic [31:0]                     decoder_positions,
    input  logic [15:0]                     table_row_beats,
    input  logic [ENGINES-1:0][63:0]        table_address,

    // -- requests
    output logic [ENGINES-1:0]     request_valid,
    output kernel_types_pkg::request_t request,
    output logic [ENGINES-1:0][63:0] request_address,
    input  logic                   request_ready,
    output logic                   play_start,
    output kernel_types_pkg::play_t play,
    input  logic                   play_busy,
    input  logic [ENGINES-1:0]     mark_done,

    // -- engines
    output logic                      clear,
    output logic [15:0]               clear_address,
    output logic                      update_start,
    output kernel_types_pkg::layer_t  update_layer,
    output logic                      update_wave,
    input  logic [ENGINES-1:0]        update_ready,
    input  logic [ENGINES-1:0]        update_busy,
    output logic                      run_begin,
    output logic                      sweep_start,
    output logic                      sweep_token,
    output logic                      write_logits,
    input  logic [ENGINES-1:0]        sweep_busy,
    input  logic [ENGINES-1:0]        best_valid,
    input  logic [ENGINES-1:0][31:0]  best_logit,
    input  logic [ENGINES-1:0][31:0]  best_word,
    output logic [ENGINES-1:0]        logits_job_valid,
    input  logic [ENGINES-1:0]        logits_job_ready,
    output logic [ENGINES-1:0][63:0]  logits_job_address,
    output logic [23:0]               logits_job_beats,
    input  logic [ENGINES-1:0]        fetch_busy,
    input  logic [ENGINES-1:0]        write_busy,
    input  logic                      column_error,
    input  logic                      read_error,
    input  logic                      write_error,

    // -- tokens and results
    output logic        token_clear,
    output logic        chunk_request,
    input  logic        chunk_room,
    input  logic        token_valid,
    input  logic [31:0] token,
    output logic        token_take,
    output logic        record_valid,
    input  logic        record_ready,
    output logic [63:0] record_address,
    output logic [31:0] record_word,
    output logic [31:0] record_logit,
    output logic [31:0] record_token,
    output logic [31:0] record_cycles,
    output logic [3:0]  record_number,
    input  logic        token_interface_busy,

    // -- counters
    output logic        counters_clear,
    output logic        counters_running,
    output logic        counters_write,
    input  logic        counters_busy
);

  localparam int unsigned ENGINE_BITS = ENGINES > 1 ? $clog2(ENGINES) : 1;
  localparam int unsigned BEAT_SHIFT  = $clog2(BUS_BYTES);
  localparam int unsigned CHUNK_BYTES = 64;

  typedef enum logic [3:0] {
    IDLE,
    CHECK,
    LOAD,
    CLEAR,
    RUN,
    DRAIN,
    COUNT,
    COUNT_WAIT,
    DONE
  } state_e;
  state_e state;

  typedef enum logic [3:0] {
    ISSUE_IDLE,
    ISSUE_CHUNK,         // input tokens, if there is room for more
    ISSUE_REPLAY,        // a batch begins: the recurrent columns of all layers' last events
    ISSUE_TOKEN,
    ISSUE_CHECK,
    ISSUE_MULTIPLY,
    ISSUE_TABLE,
    ISSUE_BATCH_MARK,
    ISSUE_WAVE,
    ISSUE_EVENTS,
    ISSUE_EVENTS_MARK,
    ISSUE_REPLAY_EARLY   // a generated token: the recurrent columns of the layer just played, for the next token
  } issue_e;
  issue_e issue;

  logic updates_left;  // the update walk is not over

  typedef enum logic [2:0] {
    SWEEP_IDLE,
    SWEEP_WAIT_MARK,
    SWEEP_BEGIN,
    SWEEP_BUSY,
    SWEEP_REDUCE,
    SWEEP_RECORD
  } sweep_e;
  sweep_e sweep;

  logic [7:0] error;
  logic [23:0] error_position;
  logic loaded;
  assign status = {error_position, error};

  logic generating;
  assign generating   = command == egret_pkg::COMMAND_GENERATE;
  assign write_logits = flags[egret_pkg::FLAG_WRITE_LOGITS];

  // An array: simulation selects from it at once.
  logic [$bits(update_layer)-1:0] layer_list[egret_pkg::IMAGE_MAX_LAYERS];
  for (genvar l = 0; l < egret_pkg::IMAGE_MAX_LAYERS; l++) begin : g_layer
    assign layer_list[l] = layer[l];
  end

  logic [2:0] last_layer;
  logic [31:0] last_token;
  // Registers later than what they are made from, which changes once per model or command.
  always_ff @(posedge clk) begin
    last_layer <= 3'(layers - 4'd1);
    last_token <= token_count - 32'd1;
  end

  logic [31:0] tokens_after_first;  // in a batch
  assign tokens_after_first = generating ? '0 : last_token;

  // -- issue walk: state
  logic issue_parity, issue_tokens_follow, issue_wave_ends, issue_batch_ends;
  logic [2:0] issue_layer, issue_low, unused_issue_previous_high;
  logic issue_restart, issue_advance;
  logic [2:0] replay_layer;
  logic replay_due;                         // at the beginning of the batch
  logic short_sweep, replay_early;
  issue_e after_replay;
  logic batch_begins;                       // the token being fetched is the first of a batch
  logic [31:0] issued_tokens, chunks_left;  // tokens whose table row is asked for; chunks still to ask for
  logic [63:0] chunk_address;               // of the next chunk
  logic more_tokens;
  logic [31:0] current_token;
  logic [1:0] multiply_step;
  logic [31:0] tokens_under_way[16];        // whose record is not written; by number, modulo 16
  always_ff @(posedge clk) more_tokens <= issued_tokens != token_count;

  // A sweep of this many words in an engine (and the argmax after it) is worth keeping all recurrent columns for.
  localparam int unsigned SHORT_SWEEP_WORDS = 1024;
  always_ff @(posedge clk) short_sweep <= decoder_positions < SHORT_SWEEP_WORDS;
  assign replay_early = generating && short_sweep && more_tokens;

  // -- update walk: state
  logic unused_update_tokens_follow, unused_update_wave_ends, update_batch_ends;
  logic [2:0] updating_layer, update_low, update_previous_high;
  logic update_restart;
  logic [31:0] begun_batches;
  logic more_batches;
  logic [3:0] outstanding;   // marks that have to come for the updates begun so far (and for the batch's beginning)
  logic [3:0] updates_begun; // and not yet played by the issue walk
  always_ff @(posedge clk) more_batches <= generating && begun_batches != token_count;

  // -- marks: done by each engine and not yet by all; what each is the end of. A mark counts in the cycle it comes:
  //    on a small network, what is between the last sum and the update that waits for it is what a token costs.
  logic [ENGINES-1:0][3:0] marks;
  logic all_marked, mark_push, mark_of_decoder;
  always_comb begin
    all_marked = 1'b1;
    for (int e = 0; e < ENGINES; e++) all_marked &= marks[e] != '0 || mark_done[e];
  end
  logic unused_marks_full, unused_marks_empty;
  sync_fifo #(
      .WIDTH(1),
      .DEPTH(16)
  ) mark_queue (
      .clk,
      .rst      (rst || run_begin),
      .push     (mark_push),
      .push_data(issue == ISSUE_EVENTS_MARK && issue_layer == last_layer),
      .full     (unused_marks_full),  // never: there are fewer layers, and a mark for each
      .pop      (all_marked && running),
      .head     (mark_of_decoder),
      .empty    (unused_marks_empty)
  );

  // -- sweep walk: state
  logic [31:0] finished_tokens;
  logic [3:0] sweeps_due;       // decoder sums complete and not swept
  logic [1:0] logit_banks_used; // tokens whose decoder events are being fetched, or whose sums are not swept
  logic argmax_valid, argmax_take;
  logic [ENGINE_BITS-1:0] reduced;
  logic best_found;
  logic [31:0] best_word_all, best_logit_all;
  logic last_record, sweep_over;
  always_ff @(posedge clk) last_record <= finished_tokens == last_token;
  logic [ENGINES-1:0] logits_pending;

  // -- errors that stop a run or a load; the first one counts. They are acted on a cycle later, and so is
  //    everybody's being idle: an error and the idleness that it comes with stay together.
  logic fault, fault_now;
  logic [7:0] fault_code, fault_code_now;
  logic [23:0] fault_position;
  logic bad_token, token_too_large;
  always_ff @(posedge clk) token_too_large <= current_token >= vocabulary;
  assign bad_token = state == RUN && issue == ISSUE_MULTIPLY && multiply_step == '0 && token_too_large;
  always_comb begin
    fault_now      = 1'b1;
    fault_code_now = egret_pkg::ERROR_OK;
    if (read_error) fault_code_now = egret_pkg::ERROR_READ_ERROR;
    else if (write_error) fault_code_now = egret_pkg::ERROR_WRITE_ERROR;
    else if (column_error) fault_code_now = egret_pkg::ERROR_BAD_COLUMN;
    else if (bad_token) fault_code_now = egret_pkg::ERROR_BAD_TOKEN;
    else fault_now = 1'b0;
  end
  always_ff @(posedge clk) begin
    fault          <= !rst && fault_now;
    fault_code     <= fault_code_now;
    fault_position <= bad_token ? issued_tokens[23:0] : finished_tokens[23:0];
  end

  logic misaligned, counters_misaligned;
  always_comb begin
    counters_misaligned = counters_address[5:0] != '0;
    misaligned          = counters_misaligned;
    case (command)
      egret_pkg::COMMAND_LOAD: misaligned |= image_address[5:0] != '0;
      egret_pkg::COMMAND_RUN, egret_pkg::COMMAND_GENERATE:
        misaligned |= tokens_address[5:0] != '0 || results_address[5:0] != '0
                      || (write_logits && logits_address[5:0] != '0);
      default: ;
    endcase
  end

  logic everything_idle;
  always_ff @(posedge clk) begin
    everything_idle <= fetch_busy == '0 && write_busy == '0 && update_busy == '0 && sweep_busy == '0
                       && logits_pending == '0 && !play_busy && !token_interface_busy && !record_valid;
  end

  // -- commands
  always_ff @(posedge clk) begin
    if (rst) begin
      state          <= IDLE;
      loaded         <= 1'b0;
      error          <= egret_pkg::ERROR_OK;
      error_position <= '0;
    end else begin
      case (state)
        IDLE: if (start) state <= CHECK;

        CHECK: begin
          error          <= egret_pkg::ERROR_OK;
          error_position <= '0;
          clear_address  <= '0;
          state          <= COUNT;
          if (misaligned) begin
            error <= egret_pkg::ERROR_BAD_ADDRESS;
          end else begin
            case (command)
              egret_pkg::COMMAND_QUERY: ;
              egret_pkg::COMMAND_LOAD: begin
                loaded <= 1'b0;
                state  <= LOAD;
              end
              egret_pkg::COMMAND_RESET: if (loaded) state <= CLEAR; else error <= egret_pkg::ERROR_NOT_LOADED;
              egret_pkg::COMMAND_RUN, egret_pkg::COMMAND_GENERATE:
                if (!loaded) error <= egret_pkg::ERROR_NOT_LOADED;
                else if (token_count != '0) state <= RUN;
              default: error <= egret_pkg::ERROR_BAD_COMMAND;
            endcase
          end
        end

        LOAD:
          if (fault) begin
            error <= fault_code;
            state <= DRAIN;
          end else if (load_done) begin
            error <= load_error;
            state <= load_error == egret_pkg::ERROR_OK ? CLEAR : COUNT;
          end

        CLEAR: begin
          clear_address <= clear_address + 16'd1;
          if (clear_address == 16'(CLEAR_DEPTH - 1)) begin
            loaded <= 1'b1;
            state  <= COUNT;
          end
        end

        RUN:
          if (fault) begin
            error          <= fault_code;
            error_position <= fault_position;
            loaded         <= 1'b0;
            state          <= DRAIN;
          end else if (sweep == SWEEP_IDLE && everything_idle) begin
            state <= COUNT;
          end

        DRAIN: if (everything_idle) state <= COUNT;

        COUNT: state <= counters_address == '0 || counters_misaligned ? DONE : COUNT_WAIT;

        COUNT_WAIT: begin
          if (write_error && error == egret_pkg::ERROR_OK) error <= egret_pkg::ERROR_WRITE_ERROR;
          if (!counters_busy && write_busy == '0) state <= DONE;
        end

        default: state <= IDLE;  // DONE
      endcase
    end
  end

  assign done             = state == DONE;
  assign load_abort       = state == DRAIN;
  always_ff @(posedge clk) load_start <= !rst && state == CHECK && command == egret_pkg::COMMAND_LOAD && !misaligned;
  assign clear            = state == CLEAR;
  assign token_clear      = state == CHECK;
  assign counters_clear   = start;
  assign counters_running = state != IDLE && state != COUNT && state != COUNT_WAIT && state != DONE;
  assign counters_write   = state == COUNT && counters_address != '0 && !counters_misaligned;

  logic running;
  assign run_begin = state == CHECK && (command == egret_pkg::COMMAND_RUN || generating);
  assign running   = state == RUN && !fault;

  // -- issue walk
  issue_e after_mark;
  always_comb begin
    after_mark = ISSUE_EVENTS;
    if (issue_wave_ends) after_mark = ISSUE_WAVE;
    if (issue_batch_ends) after_mark = more_tokens ? ISSUE_CHUNK : ISSUE_IDLE;
  end

  assign issue_restart = running && issue == ISSUE_BATCH_MARK && request_ready;
  assign issue_advance = running && issue == ISSUE_EVENTS_MARK && !play_busy && request_ready;
  wavefront issue_wave (
      .clk,
      .restart      (issue_restart),
      .tokens_after_first,
      .last_layer,
      .advance      (issue_advance),
      .parity       (issue_parity),
      .layer        (issue_layer),
      .low          (issue_low),
      .previous_high(unused_issue_previous_high),
      .tokens_follow(issue_tokens_follow),
      .wave_ends    (issue_wave_ends),
      .batch_ends   (issue_batch_ends)
  );

  always_ff @(posedge clk) begin
    if (rst || run_begin) begin
      issue         <= ISSUE_CHUNK;
      replay_layer  <= '0;
      replay_due    <= 1'b1;
      issued_tokens <= '0;
      batch_begins  <= 1'b1;
      // generating reads one token only, and with it its chunk
      chunks_left   <= generating ? 32'd1 : 32'((33'(token_count) + 33'd15) >> 4);
    end else if (running) begin
      case (issue)
        ISSUE_CHUNK:
          if (chunks_left == '0 || !chunk_room) begin
            issue <= replay_due ? ISSUE_REPLAY : ISSUE_TOKEN;
          end else if (!play_busy && request_ready) begin
            chunks_left <= chunks_left - 32'd1;
            issue       <= replay_due ? ISSUE_REPLAY : ISSUE_TOKEN;
          end

        ISSUE_REPLAY:
          if (!play_busy) begin
            replay_layer <= replay_layer == last_layer ? '0 : replay_layer + 3'd1;
            if (replay_layer == last_layer) begin
              replay_due <= 1'b0;
              issue      <= ISSUE_TOKEN;
            end
          end

        ISSUE_TOKEN:
          if (token_take || argmax_take) begin
            current_token <= token_take ? token : best_word_all;
            issue         <= ISSUE_CHECK;
          end

        ISSUE_CHECK: begin
          multiply_step <= '0;
          issue         <= ISSUE_MULTIPLY;
        end

        // Registers below: (the product's two halves,) their sum, and the two halves of the row's address.
        ISSUE_MULTIPLY: begin
          multiply_step <= multiply_step + 2'd1;
          if (multiply_step == 2'd2) issue <= ISSUE_TABLE;
        end

        ISSUE_TABLE:
          if (!play_busy && request_ready) begin
            tokens_under_way[issued_tokens[3:0]] <= current_token;
            issued_tokens                        <= issued_tokens + 32'd1;
            issue                                <= batch_begins ? ISSUE_BATCH_MARK : ISSUE_EVENTS;
          end

        ISSUE_BATCH_MARK:
          if (request_ready) begin
            batch_begins <= 1'b0;
            issue        <= ISSUE_WAVE;
          end

        ISSUE_WAVE: issue <= issue_tokens_follow ? ISSUE_CHUNK : ISSUE_EVENTS;

        ISSUE_EVENTS: if (play_start) issue <= ISSUE_EVENTS_MARK;

        ISSUE_EVENTS_MARK:
          if (issue_advance) begin
            issue <= replay_early ? ISSUE_REPLAY_EARLY : after_mark;
            after_replay <= after_mark;
            replay_layer <= replay_early ? issue_layer : '0;
            if (issue_batch_ends) begin
              batch_begins <= 1'b1;
              replay_due   <= !replay_early;
            end
          end

        ISSUE_REPLAY_EARLY:
          if (!play_busy) begin
            replay_layer <= '0;
            issue        <= after_replay;
          end

        default: ;  // ISSUE_IDLE
      endcase
    end
  end

  logic from_memory;  // the next token is read from memory, not the last step's argmax
  assign from_memory   = !generating || issued_tokens == '0;
  assign token_take    = running && issue == ISSUE_TOKEN && from_memory && token_valid;
  assign argmax_take   = running && issue == ISSUE_TOKEN && !from_memory && argmax_valid;
  assign chunk_request = running && issue == ISSUE_CHUNK && chunks_left != '0 && chunk_room && !play_busy
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
  always_ff @(posedge clk) if (issue == ISSUE_CHECK || issue == ISSUE_MULTIPLY) begin
    row_low_product  <= 32'(current_token[15:0]) * 32'(table_row_beats);
    row_high_product <= current_token[31:16] * table_row_beats;
    row_beats_total  <= (32 - BEAT_SHIFT)'(row_low_product + {row_high_product, 16'd0});
    for (int e = 0; e < ENGINES; e++) begin
      row_low[e]     <= {1'b0, table_address[e][31:0]} + {1'b0, row_beats_total, {BEAT_SHIFT{1'b0}}};
      row_address[e] <= {table_address[e][63:32] + 32'(row_low[e][32]), row_low[e][31:0]};
    end
  end

  // The events of a layer and wave go to the next wave's sums, forward to the layer above and back to its own. At the
  // last token of a layer there is no next one: its recurrent columns are left to the replay.
  kernel_types_pkg::layer_t played_layer;
  logic replay, to_wave;
  assign replay       = issue == ISSUE_REPLAY || issue == ISSUE_REPLAY_EARLY;
  assign played_layer = layer_list[replay ? replay_layer : issue_layer];
  assign to_wave      = replay ? replay_layer[0] : !issue_parity;  // layer l has the first token in wave l
  assign play_start   = running && !play_busy && (replay || (issue == ISSUE_EVENTS && updates_begun != '0));
  always_comb begin
    play.layer          = played_layer.layer;
    play.pointer_base   = played_layer.pointer_base;
    play.forward        = !replay;
    play.recurrent      = replay || issue_tokens_follow || issue_layer != issue_low;
    play.forward_bank   = {1'b0, to_wave, !played_layer.layer[0]};
    play.forward_base   = played_layer.forward_base;
    play.recurrent_bank = {1'b0, to_wave, played_layer.layer[0]};
    play.recurrent_base = played_layer.recurrent_base;
    // The decoder's banks go by token: the last layer works on token w - last_layer.
    if (played_layer.last) play.forward_bank = {2'b10, issue_parity ^ last_layer[0]};
  end

  always_comb begin
    request_valid   = '0;
    request         = '0;
    request.kind    = kernel_types_pkg::REQUEST_BLOCK;
    request_address = '0;
    if (running && !play_busy) begin
      case (issue)
        ISSUE_CHUNK: begin
          request_valid[0]    = chunks_left != '0 && chunk_room;
          request.destination = kernel_types_pkg::TO_TOKENS;
          request.beats       = 24'(CHUNK_BYTES / BUS_BYTES);
          request_address[0]  = chunk_address;
        end
        ISSUE_TABLE: begin
          request_valid       = '1;
          request.destination = kernel_types_pkg::TO_TABLE;
          request.beats       = 24'(table_row_beats);
          request.forward_bank = {2'b00, !batch_begins && !issue_parity};
          request_address     = row_address;
        end
        ISSUE_BATCH_MARK, ISSUE_EVENTS_MARK: begin
          request_valid = '1;
          request.kind  = kernel_types_pkg::REQUEST_MARK;
        end
        default: ;
      endcase
    end
  end

  assign mark_push = request_valid != '0 && request_ready && request.kind == kernel_types_pkg::REQUEST_MARK;

  // -- update walk
  assign update_restart = state == CHECK || (update_start && update_batch_ends);
  wavefront updated_wave (
      .clk,
      .restart      (update_restart),
      .tokens_after_first,
      .last_layer,
      .advance      (update_start),
      .parity       (update_wave),
      .layer        (updating_layer),
      .low          (update_low),
      .previous_high(update_previous_high),
      .tokens_follow(unused_update_tokens_follow),
      .wave_ends    (unused_update_wave_ends),
      .batch_ends   (update_batch_ends)
  );

  // Marks that may be outstanding when the update begins: those of the updates between the same layer's in the wave
  // before and this one. Where a layer two above or higher exists, what the wave before feeds it goes to
  // the banks that this update sweeps: then only this wave's marks.
  logic [3:0] slack_above, slack_below, slack;
  logic bank_shared, update_may_begin, feeds_decoder;
  assign bank_shared = 4'(updating_layer) + 4'd2 <= 4'(last_layer);
  assign slack_below = 4'(updating_layer) - 4'(update_low);
  assign slack_above = bank_shared || update_previous_high < updating_layer
                       ? '0 : 4'(update_previous_high) - 4'(updating_layer);
  always_ff @(posedge clk) begin
    slack         <= slack_below + slack_above;
    feeds_decoder <= updating_layer == last_layer;
  end
  logic slack_known;  // the registers above are for this update
  assign update_may_begin = slack_known && outstanding <= slack + 4'(all_marked) && update_ready == '1
                            && !(feeds_decoder && logit_banks_used == 2'd2);
  assign update_start     = running && updates_left && update_may_begin;
  assign update_layer     = layer_list[updating_layer];

  always_ff @(posedge clk) begin
    if (rst || run_begin) begin
      updates_left  <= 1'b1;
      slack_known   <= 1'b0;
      begun_batches <= 32'd1;
    end else if (running) begin
      slack_known <= !update_start;
      if (update_start && update_batch_ends) begin
        begun_batches <= begun_batches + 32'd1;
        updates_left  <= more_batches;
      end
    end
  end

  always_ff @(posedge clk) begin
    if (rst || run_begin) begin
      marks            <= '0;
      outstanding      <= 4'd1;  // the mark of the batch's beginning
      updates_begun    <= '0;
      logit_banks_used <= '0;
    end else begin
      for (int e = 0; e < ENGINES; e++) marks[e] <= marks[e] + 4'(mark_done[e]) - 4'(all_marked && running);
      outstanding <= outstanding - 4'(all_marked && running)
                     + (update_start ? (update_batch_ends && more_batches ? 4'd2 : 4'd1) : 4'd0);
      updates_begun    <= updates_begun + 4'(update_start) - 4'(play_start && !replay);
      logit_banks_used <= logit_banks_used + 2'(update_start && feeds_decoder) - 2'(sweep_over);
    end
  end

  // -- sweep walk
  assign sweep_over = sweep == SWEEP_BUSY && sweep_busy == '0;
  always_ff @(posedge clk) begin
    if (rst || run_begin) begin
      sweep           <= SWEEP_WAIT_MARK;
      finished_tokens <= '0;
      sweeps_due      <= '0;
      argmax_valid    <= 1'b0;
      logits_pending  <= '0;
    end else begin
      sweeps_due <= sweeps_due + 4'(all_marked && running && mark_of_decoder) - 4'(sweep_start);
      if (argmax_take) argmax_valid <= 1'b0;
      logits_pending <= logits_pending & ~logits_job_ready;
      if (running) begin
        case (sweep)
          SWEEP_WAIT_MARK: if (sweeps_due != '0) sweep <= SWEEP_BEGIN;
          SWEEP_BEGIN: begin
            // The sweep and its write job begin together, so that neither is ever left waiting for the other.
            if (write_logits) logits_pending <= '1;
            reduced    <= '0;
            best_found <= 1'b0;
            sweep      <= SWEEP_BUSY;
          end
          SWEEP_BUSY: if (sweep_over) sweep <= SWEEP_REDUCE;
          SWEEP_REDUCE: begin
            reduced <= reduced + 1'b1;
            if (best_valid[reduced]
                && (!best_found || $signed(best_logit[reduced]) > $signed(best_logit_all)
                    || (best_logit[reduced] == best_logit_all && best_word[reduced] < best_word_all))) begin
              best_found     <= 1'b1;
              best_word_all  <= best_word[reduced];
              best_logit_all <= best_logit[reduced];
            end
            if (32'(reduced) == ENGINES - 1) begin
              argmax_valid <= generating;
              sweep        <= SWEEP_RECORD;
            end
          end
          SWEEP_RECORD:
            if (record_ready) begin
              finished_tokens <= finished_tokens + 32'd1;
              sweep           <= last_record ? SWEEP_IDLE : SWEEP_WAIT_MARK;
            end
          default: ;  // SWEEP_IDLE
        endcase
      end
    end
  end

  assign sweep_start = running && sweep == SWEEP_BEGIN;
  assign sweep_token = !generating && finished_tokens[0];

  assign logits_job_valid = logits_pending;
  assign logits_job_beats = 24'(((decoder_positions << 2) + 32'(BUS_BYTES - 1)) >> BEAT_SHIFT);

  assign record_valid   = running && sweep == SWEEP_RECORD;
  assign record_number  = finished_tokens[3:0];
  logic record_taken;
  assign record_taken   = record_valid && record_ready;
  assign record_word    = best_word_all;
  assign record_logit   = best_logit_all;
  assign record_token   = tokens_under_way[finished_tokens[3:0]];

  // Cycles since the record before, or since the command's start, a cycle before `run_begin`; saturating.
  always_ff @(posedge clk) begin
    if (run_begin || record_taken) record_cycles <= 32'd1;
    else if (record_cycles != '1) record_cycles <= record_cycles + 32'd1;
  end

  stepping_address records (
      .clk,
      .load        (run_begin),
      .load_address(results_address),
      .move        (record_taken),
      .step        (32'(egret_pkg::IMAGE_RESULT_BYTES)),
      .address     (record_address)
  );

  // Logits: a block per engine and token. What these registers are made from changes once per model or token.
  logic [31:0] logits_block;                // bytes
  logic [ENGINES:0][31:0] block_offset;     // of each engine's block in a token's; the last: of the next token's
  logic [63:0] token_logits_address;
  logic [ENGINES-1:0][32:0] logits_low;     // low half of the address, and its carry
  stepping_address token_logits (
      .clk,
      .load        (run_begin),
      .load_address(logits_address),
      .move        (record_taken),
      .step        (block_offset[ENGINES]),
      .address     (token_logits_address)
  );
  always_ff @(posedge clk) if (write_logits) begin
    logits_block    <= ((decoder_positions << 2) + 32'd63) & ~32'd63;
    block_offset[0] <= '0;
    for (int e = 0; e < ENGINES; e++) begin
      block_offset[e+1]     <= block_offset[e] + logits_block;
      logits_low[e]         <= {1'b0, token_logits_address[31:0]} + {1'b0, block_offset[e]};
      logits_job_address[e] <= {token_logits_address[63:32] + 32'(logits_low[e][32]), logits_low[e][31:0]};
    end
  end

endmodule
