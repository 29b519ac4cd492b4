// Walks the phases of each command. A run is two walks side by side, kept in step by credits:
//
//   issue    per token: [R_0 events] table row, mark | R_l+1 events, (update l done), W_l+1 events, mark | ...
//            | (last update done), decoder events, mark
//   update   per token: (mark) update 0, (mark) update 1, ..., (mark) decoder sweep, result record
//
// A mark says that all that an update needs has been accumulated. So a layer's recurrent columns are fetched
// while the layer below is being updated, and the next token's first-layer recurrent columns and table row
// under the decoder sweep (under the last update where the banks allow it): nothing drains the bus but a
// dependence. Accumulator banks are never both swept and added to: an update of layer l sweeps bank l mod 2
// while only layer l + 1, layer 0 of the next token, or the decoder is being fetched.
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
    input  kernel_types_pkg::phase_t [egret_pkg::IMAGE_MAX_LAYERS-1:0]   recurrent_phase,
    input  kernel_types_pkg::phase_t [egret_pkg::IMAGE_MAX_LAYERS-1:0]   forward_phase,
    input  logic [31:0]                     decoder_positions,
    input  logic [15:0]                     table_row_beats,
    input  logic [ENGINES-1:0][63:0]        table_address,

    // -- requests
    output logic [ENGINES-1:0]     request_valid,
    output kernel_types_pkg::request_t request,
    output logic [ENGINES-1:0][63:0] request_address,
    input  logic                   request_ready,
    output logic                   phase_start,
    output kernel_types_pkg::phase_t                 phase,
    output logic [15:0]            phase_base,
    input  logic                   phase_busy,
    input  logic [ENGINES-1:0]     mark_done,

    // -- engines
    output logic                      clear,
    output logic [15:0]               clear_address,
    output logic                      update_start,
    output kernel_types_pkg::layer_t                    update_layer,
    input  logic [ENGINES-1:0]        update_busy,
    output logic                      sweep_start,
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
    ISSUE_FIRST_RECURRENT,
    ISSUE_CHUNK,
    ISSUE_TOKEN,
    ISSUE_CHECK,
    ISSUE_MULTIPLY,
    ISSUE_TABLE,
    ISSUE_INPUT_MARK,
    ISSUE_RECURRENT,
    ISSUE_FIRST_RECURRENT_AHEAD,
    ISSUE_WAIT_UPDATE,
    ISSUE_FORWARD,
    ISSUE_FORWARD_MARK
  } issue_e;
  issue_e issue;

  typedef enum logic [2:0] {
    UPDATE_IDLE,
    UPDATE_WAIT_MARK,
    UPDATE_BEGIN,
    UPDATE_BUSY,
    UPDATE_REDUCE,
    UPDATE_RECORD
  } update_e;
  update_e update;

  logic [7:0] error;
  logic [23:0] error_position;
  logic loaded;
  assign status = {error_position, error};

  logic generating;
  assign generating   = command == egret_pkg::COMMAND_GENERATE;
  assign write_logits = flags[egret_pkg::FLAG_WRITE_LOGITS];

  // -- issue walk: state
  logic [2:0] issue_layer;
  logic [31:0] issued_tokens, chunks_left;  // tokens whose table row is asked for; chunks still to ask for
  logic [63:0] chunk_address;               // of the next chunk
  logic first_recurrent_ahead, more_tokens, last_layer;
  logic [31:0] current_token;
  logic [1:0] multiply_step;
  assign last_layer  = 4'(issue_layer) + 4'd1 == layers;
  // A register later than the count, which changes once per token.
  logic [31:0] last_token;
  always_ff @(posedge clk) begin
    last_token  <= token_count - 32'd1;
    more_tokens <= issued_tokens != last_token;
  end

  // -- update walk: state
  logic [3:0] update_step;
  logic [31:0] finished_tokens;
  logic [ENGINES-1:0][2:0] marks;  // done and not yet used
  logic all_marked, mark_take;
  logic [1:0] updates_done;  // and not yet used by the issue walk
  logic update_done, update_take;
  logic argmax_valid, argmax_take;
  logic [ENGINE_BITS-1:0] reduced;
  logic best_found;
  logic [31:0] best_word_all, best_logit_all;
  logic [31:0] token_in_update;
  logic last_record;
  always_ff @(posedge clk) last_record <= finished_tokens == last_token;
  logic [ENGINES-1:0] logits_pending;

  always_comb begin
    all_marked = 1'b1;
    for (int e = 0; e < ENGINES; e++) all_marked &= marks[e] != '0;
  end
  assign mark_take   = update == UPDATE_WAIT_MARK && all_marked;
  assign update_done = update == UPDATE_BUSY && update_busy == '0 && update_step != layers;
  assign update_take = issue == ISSUE_WAIT_UPDATE && updates_done != '0;

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
                       && logits_pending == '0 && !phase_busy && !token_interface_busy && !record_valid;
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
          end else if (update == UPDATE_IDLE && finished_tokens == token_count && everything_idle) begin
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

  logic run_begin, running;
  assign run_begin = state == CHECK && (command == egret_pkg::COMMAND_RUN || generating);
  assign running   = state == RUN && !fault;

  // -- issue walk
  always_ff @(posedge clk) begin
    if (rst || run_begin) begin
      issue                 <= ISSUE_FIRST_RECURRENT;
      issue_layer           <= '0;
      issued_tokens         <= '0;
      first_recurrent_ahead <= 1'b0;
      // generating reads one token only, and with it its chunk
      chunks_left           <= generating ? 32'd1 : 32'((33'(token_count) + 33'd15) >> 4);
    end else if (running) begin
      case (issue)
        ISSUE_FIRST_RECURRENT: if (!phase_busy) issue <= ISSUE_CHUNK;

        ISSUE_CHUNK:
          if (chunks_left == '0 || !chunk_room) begin
            issue <= ISSUE_TOKEN;
          end else if (!phase_busy && request_ready) begin
            chunks_left <= chunks_left - 32'd1;
            issue       <= ISSUE_TOKEN;
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

        ISSUE_TABLE: if (!phase_busy && request_ready) issue <= ISSUE_INPUT_MARK;

        ISSUE_INPUT_MARK:
          if (request_ready) begin
            issue_layer           <= '0;
            first_recurrent_ahead <= 1'b0;
            if (!last_layer_0) issue <= ISSUE_RECURRENT;
            else issue <= ISSUE_WAIT_UPDATE;
          end

        ISSUE_RECURRENT: if (!phase_busy) issue <= ISSUE_WAIT_UPDATE;

        ISSUE_FIRST_RECURRENT_AHEAD:
          if (!phase_busy) begin
            first_recurrent_ahead <= 1'b1;
            issue                 <= ISSUE_WAIT_UPDATE;
          end

        ISSUE_WAIT_UPDATE: if (updates_done != '0) issue <= ISSUE_FORWARD;

        ISSUE_FORWARD: if (!phase_busy) issue <= ISSUE_FORWARD_MARK;

        ISSUE_FORWARD_MARK:
          if (!phase_busy && request_ready) begin
            if (last_layer) begin
              issued_tokens <= issued_tokens + 32'd1;
              if (!more_tokens) issue <= ISSUE_IDLE;
              else issue <= first_recurrent_ahead ? ISSUE_CHUNK : ISSUE_FIRST_RECURRENT;
            end else begin
              issue_layer <= issue_layer + 3'd1;
              if (4'(issue_layer) + 4'd2 != layers) issue <= ISSUE_RECURRENT;
              // The last update sweeps an odd bank: layer 0's bank is free for the next token.
              else if (layers[0] == 1'b0 && more_tokens) issue <= ISSUE_FIRST_RECURRENT_AHEAD;
              else issue <= ISSUE_WAIT_UPDATE;
            end
          end

        default: ;  // ISSUE_IDLE
      endcase
    end
  end
  logic last_layer_0;
  assign last_layer_0 = layers == 4'd1;

  logic from_memory;  // the next token is read from memory, not the last step's argmax
  assign from_memory   = !generating || issued_tokens == '0;
  assign token_take    = running && issue == ISSUE_TOKEN && from_memory && token_valid;
  assign argmax_take   = running && issue == ISSUE_TOKEN && !from_memory && argmax_valid;
  assign chunk_request = running && issue == ISSUE_CHUNK && chunks_left != '0 && chunk_room && !phase_busy
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
  always_ff @(posedge clk) begin
    row_low_product  <= 32'(current_token[15:0]) * 32'(table_row_beats);
    row_high_product <= current_token[31:16] * table_row_beats;
    row_beats_total  <= (32 - BEAT_SHIFT)'(row_low_product + {row_high_product, 16'd0});
    for (int e = 0; e < ENGINES; e++) begin
      row_low[e]     <= {1'b0, table_address[e][31:0]} + {1'b0, row_beats_total, {BEAT_SHIFT{1'b0}}};
      row_address[e] <= {table_address[e][63:32] + 32'(row_low[e][32]), row_low[e][31:0]};
    end
  end

  logic [2:0] next_layer;
  assign next_layer = issue_layer + 3'd1;
  kernel_types_pkg::layer_t phase_layer;
  always_comb begin
    phase_start = 1'b0;
    phase       = recurrent_phase[0];
    case (issue)
      ISSUE_FIRST_RECURRENT, ISSUE_FIRST_RECURRENT_AHEAD: phase_start = running && !phase_busy;
      ISSUE_RECURRENT: begin
        phase_start = running && !phase_busy;
        phase       = recurrent_phase[next_layer];
      end
      ISSUE_FORWARD: begin
        phase_start = running && !phase_busy;
        phase       = forward_phase[issue_layer];
      end
      default: ;
    endcase
    phase_layer = layer[phase.layer];
    phase_base  = phase_layer.position_base;
  end

  always_comb begin
    request_valid   = '0;
    request         = '0;
    request.kind    = kernel_types_pkg::REQUEST_BLOCK;
    request_address = '0;
    if (running && !phase_busy) begin
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
          request_address     = row_address;
        end
        ISSUE_INPUT_MARK, ISSUE_FORWARD_MARK: begin
          request_valid = '1;
          request.kind  = kernel_types_pkg::REQUEST_MARK;
        end
        default: ;
      endcase
    end
  end

  // -- update walk
  always_ff @(posedge clk) begin
    if (rst || run_begin) begin
      update              <= UPDATE_WAIT_MARK;
      update_step         <= '0;
      finished_tokens     <= '0;
      marks               <= '0;
      updates_done        <= '0;
      argmax_valid        <= 1'b0;
      logits_pending      <= '0;
    end else begin
      for (int e = 0; e < ENGINES; e++) marks[e] <= marks[e] + 3'(mark_done[e]) - 3'(mark_take);
      updates_done <= updates_done + 2'(update_done) - 2'(update_take);
      if (argmax_take) argmax_valid <= 1'b0;
      logits_pending <= logits_pending & ~logits_job_ready;
      if (running) begin
        case (update)
          UPDATE_WAIT_MARK:
            if (all_marked) begin
              if (update_step == '0) token_in_update <= current_token;
              update <= UPDATE_BEGIN;
            end
          UPDATE_BEGIN: begin
            // The sweep and its write job begin together, so that neither is ever left waiting for the other.
            if (update_step == layers && write_logits) logits_pending <= '1;
            reduced    <= '0;
            best_found <= 1'b0;
            update     <= UPDATE_BUSY;
          end
          UPDATE_BUSY:
            if (update_step == layers) begin
              if (sweep_busy == '0) update <= UPDATE_REDUCE;
            end else if (update_busy == '0) begin
              update_step <= update_step + 4'd1;
              update      <= UPDATE_WAIT_MARK;
            end
          UPDATE_REDUCE: begin
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
              update       <= UPDATE_RECORD;
            end
          end
          UPDATE_RECORD:
            if (record_ready) begin
              finished_tokens <= finished_tokens + 32'd1;
              update_step     <= '0;
              update          <= last_record ? UPDATE_IDLE : UPDATE_WAIT_MARK;
            end
          default: ;  // UPDATE_IDLE
        endcase
      end
    end
  end

  assign update_start = running && update == UPDATE_BEGIN && update_step != layers;
  assign update_layer = layer[update_step[2:0]];
  assign sweep_start  = running && update == UPDATE_BEGIN && update_step == layers;

  assign logits_job_valid = logits_pending;
  assign logits_job_beats = 24'(((decoder_positions << 2) + 32'(BUS_BYTES - 1)) >> BEAT_SHIFT);

  assign record_valid   = running && update == UPDATE_RECORD;
  logic record_taken;
  assign record_taken   = record_valid && record_ready;
  assign record_word    = best_word_all;
  assign record_logit   = best_logit_all;
  assign record_token   = token_in_update;

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
  always_ff @(posedge clk) begin
    logits_block    <= ((decoder_positions << 2) + 32'd63) & ~32'd63;
    block_offset[0] <= '0;
    for (int e = 0; e < ENGINES; e++) begin
      block_offset[e+1]     <= block_offset[e] + logits_block;
      logits_low[e]         <= {1'b0, token_logits_address[31:0]} + {1'b0, block_offset[e]};
      logits_job_address[e] <= {token_logits_address[63:32] + 32'(logits_low[e][32]), logits_low[e][31:0]};
    end
  end

endmodule
