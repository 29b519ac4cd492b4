// Walks the phases of each command, and in RUN and GENERATE sets three walks going side by side, kept in step by credits.
// A run is a *layer wavefront*: wave w updates layer l at token w - l, for every layer for which there is such a token, so
// that layer l works on a token while the layer below works on the next. What the events of a wave feed is all due
// in the next wave.
//
//   issue_walk   per wave: [the next token's table row], then for each layer: its events as they fire, mark
//   update_walk  per wave: for each layer, once what it needs has been accumulated: neuron update
//   sweep_walk   per tile of the decoder: once a token's events have been accumulated: sweep; per token: result record
//
// A mark says that everything asked for before it has been accumulated. Generating cannot overlap tokens, since each is the
// result of the one before: every token is a run of one token, a *batch*.
module sequencer #(
    parameter int unsigned ENGINES     = 2,
    parameter int unsigned BUS_BYTES   = 8,
    parameter int unsigned CLEAR_DEPTH = 2048,  // the deepest memory that clearing must walk
    parameter int unsigned LOGIT_BANK_GROUPS = 512  // decoder rows of a lane whose sums a bank holds
) (
    input logic clk,
    input logic rst,

    // -- registers
    input  logic        start,
    output logic        done,
    output logic [31:0] status,
    input  logic [31:0] command,
    input  logic        generating,  // the command is GENERATE
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
    input  kernel_types_pkg::tiles_t        tiles,
    input  logic [15:0]                     tile_pointer_base,
    input  logic [15:0]                     tile_pointers,
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
    output logic                      sweep_bank,
    output logic                      sweep_first,
    output logic                      sweep_last,
    output logic [15:0]               sweep_groups,
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

  typedef enum logic [3:0] {
    IDLE,
    ACCEPT,  // registers take up what they are made from: the arguments
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

  logic [7:0] error;
  logic [23:0] error_position;
  logic loaded;
  assign status = {error_position, error};

  logic running, run_ends;
  assign write_logits = flags[egret_pkg::FLAG_WRITE_LOGITS];

  logic [2:0] last_layer;
  logic [31:0] last_token;
  // Registers later than what they are made from, which changes once per model or command.
  logic [31:0] tokens_after_first;  // in a batch
  logic command_runs;
  logic tile_in_one_bank;  // and not in both
  always_ff @(posedge clk) begin
    last_layer         <= 3'(layers - 4'd1);
    last_token         <= token_count - 32'd1;
    tokens_after_first <= generating ? '0 : token_count - 32'd1;
    tile_in_one_bank   <= tiles.groups <= 16'(LOGIT_BANK_GROUPS);
    command_runs       <= generating || command == egret_pkg::COMMAND_RUN;
  end

  // -- marks: done by each engine and not yet by all; what each is the end of. A mark counts in the cycle it comes:
  //    on a small network, what is between the last sum and the update that waits for it is what a token costs.
  logic [ENGINES-1:0][3:0] marks;
  logic all_marked, mark_taken, mark_taken_of_layer, mark_taken_of_decoder, mark_of_layer, mark_of_decoder;
  always_comb begin
    all_marked = 1'b1;
    for (int e = 0; e < ENGINES; e++) all_marked &= marks[e] != '0 || mark_done[e];
  end
  always_ff @(posedge clk) begin
    if (rst || run_begin) marks <= '0;
    else for (int e = 0; e < ENGINES; e++) marks[e] <= marks[e] + 4'(mark_done[e]) - 4'(all_marked && running);
  end
  logic unused_marks_full, unused_marks_empty;
  sync_fifo #(
      .WIDTH(2),
      .DEPTH(16)
  ) mark_queue (
      .clk,
      .rst      (rst || run_begin),
      .push     (mark_taken),
      .push_data({mark_taken_of_layer, mark_taken_of_decoder}),
      .full     (unused_marks_full),  // never: there are fewer layers, a mark for each, and two banks for tiles
      .pop      (all_marked && running),
      .head     ({mark_of_layer, mark_of_decoder}),
      .empty    (unused_marks_empty)
  );

  // -- the walks
  logic update_begun, swept, argmax_valid, argmax_take, bad_token, all_records_taken;
  logic [23:0] issued_position, finished_position;

  issue_walk #(
      .ENGINES(ENGINES),
      .BUS_BYTES(BUS_BYTES)
  ) issue (
      .clk,
      .rst,
      .run_begin,
      .running,
      .generating,
      .token_count,
      .tokens_after_first,
      .tokens_address,
      .last_layer,
      .vocabulary,
      .layer,
      .tile_count      (tiles.count),
      .last_tile_groups(tiles.last_groups),
      .tile_in_one_bank,
      .tile_pointer_base,
      .tile_pointers,
      .table_row_beats,
      .table_address,
      .request_valid,
      .request,
      .request_address,
      .request_ready,
      .mark_taken,
      .mark_of_layer  (mark_taken_of_layer),
      .mark_of_decoder(mark_taken_of_decoder),
      .update_begun,
      .swept,
      .play_start,
      .play,
      .play_busy,
      .chunk_request,
      .chunk_room,
      .token_valid,
      .token,
      .token_take,
      .argmax_valid,
      .argmax         (record_word),
      .argmax_take,
      .bad_token,
      .issued_position,
      .record_number,
      .record_token
  );

  update_walk update (
      .clk,
      .rst,
      .run_begin,
      .running,
      .generating,
      .token_count,
      .tokens_after_first,
      .last_layer,
      .layer,
      .marked       (all_marked && mark_of_layer),
      .played       (play_start && play.forward && !play.alone),
      .update_begun,
      .engines_ready(update_ready == '1),
      .update_start,
      .update_layer,
      .update_wave
  );

  sweep_walk #(
      .ENGINES(ENGINES),
      .BUS_BYTES(BUS_BYTES)
  ) sweep (
      .clk,
      .rst,
      .run_begin,
      .running,
      .generating,
      .last_token,
      .write_logits,
      .results_address,
      .logits_address,
      .decoder_positions,
      .tiles,
      .tile_in_one_bank,
      .decoder_marked(all_marked && running && mark_of_decoder),
      .sweep_start,
      .sweep_bank,
      .sweep_first,
      .sweep_last,
      .sweep_groups,
      .swept,
      .sweep_busy,
      .best_valid,
      .best_logit,
      .best_word,
      .argmax_valid,
      .argmax        (record_word),
      .argmax_take,
      .logits_job_valid,
      .logits_job_ready,
      .logits_job_address,
      .logits_job_beats,
      .record_valid,
      .record_ready,
      .record_address,
      .record_logit,
      .record_cycles,
      .finished_position,
      .over          (all_records_taken)
  );
  assign record_number = finished_position[3:0];

  // -- errors that stop a run or a load; the first one counts. They are acted on a cycle later, and so is
  //    everybody's being idle: an error and the idleness that it comes with stay together.
  logic fault, fault_now;
  logic [7:0] fault_code, fault_code_now;
  logic [23:0] fault_position, fault_position_now;
  always_comb begin
    fault_now          = 1'b1;
    fault_code_now     = egret_pkg::ERROR_OK;
    fault_position_now = finished_position;
    if (read_error) fault_code_now = egret_pkg::ERROR_READ_ERROR;
    else if (write_error) fault_code_now = egret_pkg::ERROR_WRITE_ERROR;
    else if (column_error) fault_code_now = egret_pkg::ERROR_BAD_COLUMN;
    else if (bad_token) begin
      fault_code_now     = egret_pkg::ERROR_BAD_TOKEN;
      fault_position_now = issued_position;
    end else fault_now = 1'b0;
  end
  always_ff @(posedge clk) begin
    fault          <= !rst && fault_now;
    fault_code     <= fault_code_now;
    fault_position <= fault_position_now;
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
                       && logits_job_valid == '0 && !play_busy && !token_interface_busy && !record_valid;
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
        IDLE: if (start) state <= ACCEPT;

        ACCEPT: state <= CHECK;

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
          end else if (run_ends) begin
            state <= COUNT;
          end

        DRAIN: if (everything_idle) state <= COUNT;

        COUNT: state <= counters_address == '0 || counters_misaligned ? DONE : COUNT_WAIT;

        COUNT_WAIT: begin
          if (write_error && error == egret_pkg::ERROR_OK) begin
            error  <= egret_pkg::ERROR_WRITE_ERROR;
            loaded <= 1'b0;
          end
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

  // The state is RUN and no fault is known: a register of its own, as half of the kernel waits for it.
  assign run_begin = state == CHECK && command_runs;
  assign run_ends  = all_records_taken && everything_idle;
  always_ff @(posedge clk) begin
    if (rst || fault_now) running <= 1'b0;
    else if (state == CHECK) running <= run_begin && !misaligned && loaded && token_count != '0;
    else running <= running && !run_ends;
  end

endmodule
