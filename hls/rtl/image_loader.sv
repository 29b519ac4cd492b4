// Loads a model image: reads the header, checks it against this build and against itself, works out where
// everything of each layer lives, and fills the engines' memories (docs/formats.md, section 4).
//
// Nothing outside the first `image bytes` of the image is ever asked for: every section's end is checked here,
// every column's end by the column fetcher.
module image_loader
  import egret_pkg::ERROR_BAD_IMAGE;
  import egret_pkg::ERROR_LIMIT;
  import egret_pkg::ERROR_OK;
  import egret_pkg::ERROR_WRONG_BUILD;
  import egret_pkg::IMAGE_FORMAT_VERSION;
  import egret_pkg::IMAGE_HEADER_BYTES;
  import egret_pkg::IMAGE_MAGIC;
  import egret_pkg::IMAGE_MAX_LAYERS;
  import kernel_types_pkg::*;
#(
    parameter int unsigned ENGINES           = 2,
    parameter int unsigned LANES             = 5,
    parameter int unsigned BUS_BYTES         = 8,
    parameter int unsigned WEIGHT_BITS       = 8,
    parameter int unsigned GAP_BITS          = 4,
    parameter int unsigned ACCUMULATOR_BITS  = 28,
    parameter int unsigned NEURON_DEPTH      = 2048,
    parameter int unsigned ACCUMULATOR_DEPTH = 1024,
    parameter int unsigned LOGIT_DEPTH       = 1024,
    parameter int unsigned POINTER_DEPTH     = 8192
) (
    input logic clk,
    input logic rst,

    input  logic        start,
    input  logic [63:0] image_address,
    input  logic        abort,          // a read failed
    output logic        busy,
    output logic        done,           // pulse
    output logic [7:0]  error,          // with done

    input  logic                   beat_valid,  // header beats, from engine 0
    input  logic [23:0]            beat_index,
    input  logic [8*BUS_BYTES-1:0] beat_data,

    output logic [ENGINES-1:0]     request_valid,
    output request_t [ENGINES-1:0] request,
    input  logic                   request_ready,
    input  logic [ENGINES-1:0]     mark_done,

    output logic [3:0]                              layers,
    output logic [31:0]                             vocabulary,
    output layer_t [IMAGE_MAX_LAYERS-1:0]           layer,
    output phase_t [IMAGE_MAX_LAYERS-1:0]           recurrent_phase,  // R_l: the layer's own events
    output phase_t [IMAGE_MAX_LAYERS-1:0]           forward_phase,    // W_l+1, or the decoder for the last layer
    output logic [15:0]                             decoder_groups,
    output logic [31:0]                             decoder_positions,  // decoder_groups * LANES
    output logic [15:0]                             table_plane_beats,
    output logic [15:0]                             table_row_beats,
    output logic [ENGINES-1:0][63:0]                table_address,
    output logic [ENGINES-1:0][63:0]                columns_address,
    output logic [ENGINES-1:0][31:0]                columns_beats
);

  localparam int unsigned SLOTS         = ENGINES * LANES;
  localparam int unsigned BEAT_SHIFT    = $clog2(BUS_BYTES);
  localparam int unsigned HEADER_BEATS  = IMAGE_HEADER_BYTES / BUS_BYTES;
  localparam int unsigned HEADER_BITS   = $clog2(HEADER_BEATS);
  localparam int unsigned WORD_BITS     = BEAT_SHIFT - 2;  // bits that select a word in a beat
  localparam int unsigned ENGINE_BITS   = ENGINES > 1 ? $clog2(ENGINES) : 1;
  localparam int unsigned TABLE_SHIFT   = BEAT_SHIFT - 1;  // int16 entries in a beat, as a shift
  localparam logic [31:0] BUILD_WORD =
      {8'(GAP_BITS), 8'(WEIGHT_BITS), 8'(LANES), 8'(ENGINES)};
  localparam logic [31:0] BUS_WORD = {16'd0, 8'(ACCUMULATOR_BITS), 8'(BUS_BYTES)};

  typedef enum logic [3:0] {
    IDLE,
    READ_HEADER,
    MARK_HEADER,
    WAIT_HEADER,
    CHECK_FIXED,       // words 0 to 7
    CHECK_LAYER,       // words 8 to 15
    COUNT_GROUPS,      // of the layer: a round of SLOTS neurons per cycle
    COUNT_WORDS,       // of the decoder, likewise
    MEASURE_TABLE,
    CHECK_ENGINE,      // words 32 + 8 e to 38 + 8 e
    CHECK_SECTION,     // the section that the word begins: does it end in the image?
    FILL,              // ask for pointers, neuron records, decoder records, a mark
    WAIT_FILL,
    FINISH
  } state_e;
  state_e state;

  logic [8*BUS_BYTES-1:0] header[HEADER_BEATS];
  logic [6:0] word_index;
  logic [31:0] word;
  always_ff @(posedge clk) if (beat_valid) header[beat_index[HEADER_BITS-1:0]] <= beat_data;
  assign word = header[word_index[6:WORD_BITS]][32*word_index[WORD_BITS-1:0]+:32];

  logic [31:0] image_bytes;
  logic [3:0] index;                      // layer being checked
  logic [15:0] neurons;                   // of the layer being counted
  logic [31:0] covered;                   // neurons or words in the groups counted so far
  logic [15:0] groups;
  logic [31:0] positions;                 // all layers so far
  logic [1:0][15:0] accumulators;         // per bank, all layers so far
  logic [31:0] pointers;                  // all matrices so far
  logic [47:0] table_beats;               // of an engine's whole table
  logic [ENGINE_BITS-1:0] engine;
  logic [2:0] field;                      // word of the engine's header entry
  logic [47:0] section_beats;
  logic [ENGINES-1:0][31:0] pointers_offset, neurons_offset, decoder_offset;
  logic [1:0] filling;
  logic [ENGINES-1:0] marks_awaited;

  logic last_engine;
  assign last_engine = 32'(engine) == ENGINES - 1;

  // End of the section that starts at `word`, in a sum too wide to wrap.
  logic [52:0] section_end;
  assign section_end = 53'(word) + (53'(section_beats) << BEAT_SHIFT);

  always_comb begin
    case (field)
      3'd0:    section_beats = 48'(pointers);
      3'd2:    section_beats = 48'(positions) << (BUS_BYTES == 8 ? 1 : 0);  // records of 16 bytes
      3'd3:    section_beats = 48'(decoder_positions);
      3'd4:    section_beats = table_beats;
      default: section_beats = 48'(columns_beats[engine]);
    endcase
  end

  logic [31:0] next_covered;
  logic counted;
  assign next_covered = covered + 32'(SLOTS);
  assign counted = next_covered >= (state == COUNT_GROUPS ? 32'(neurons) : vocabulary);

  logic bank;
  assign bank = index[0];

  task automatic fail(input logic [7:0] code);
    error <= code;
    state <= FINISH;
  endtask

  always_ff @(posedge clk) begin
    if (rst) begin
      state <= IDLE;
    end else if (abort && state != IDLE) begin
      state <= IDLE;  // the sequencer reports the read error
    end else begin
      case (state)
        IDLE:
          if (start) begin
            error        <= ERROR_OK;
            word_index   <= '0;
            index        <= '0;
            positions    <= '0;
            accumulators <= '0;
            pointers     <= '0;
            engine       <= '0;
            field        <= '0;
            filling      <= '0;
            state        <= READ_HEADER;
          end

        READ_HEADER: if (request_ready) state <= MARK_HEADER;
        MARK_HEADER: if (request_ready) state <= WAIT_HEADER;
        WAIT_HEADER: if (mark_done[0]) state <= CHECK_FIXED;

        CHECK_FIXED: begin
          word_index <= word_index + 7'd1;
          case (word_index[2:0])
            3'd0: if (word != IMAGE_MAGIC) fail(ERROR_BAD_IMAGE);
            3'd1: if (word != IMAGE_FORMAT_VERSION) fail(ERROR_BAD_IMAGE);
            3'd2: begin
              image_bytes <= word;
              if (word < IMAGE_HEADER_BYTES) fail(ERROR_BAD_IMAGE);
            end
            3'd3: ;  // checksum: the host's business
            3'd4: if (word != BUILD_WORD) fail(ERROR_WRONG_BUILD);
            3'd5: if (word != BUS_WORD) fail(ERROR_WRONG_BUILD);
            3'd6: begin
              layers <= word[3:0];
              if (word == '0 || word > IMAGE_MAX_LAYERS) fail(ERROR_BAD_IMAGE);
            end
            default: begin
              vocabulary <= word;
              if (word == '0) fail(ERROR_BAD_IMAGE);
              else state <= CHECK_LAYER;
            end
          endcase
        end

        CHECK_LAYER: begin
          covered <= '0;
          groups  <= '0;
          neurons <= word[15:0];
          if (index == layers) begin
            state <= COUNT_WORDS;
            decoder_positions <= '0;
          end else if (word == '0) begin
            fail(ERROR_BAD_IMAGE);
          end else if (word > 32'd65535) begin
            fail(ERROR_LIMIT);
          end else begin
            layer[index[2:0]].layer            <= index[2:0];
            layer[index[2:0]].neurons          <= word[15:0];
            layer[index[2:0]].position_base    <= positions[15:0];
            layer[index[2:0]].bank             <= bank ? BANK_ODD : BANK_EVEN;
            layer[index[2:0]].accumulator_base <= accumulators[bank];
            state <= COUNT_GROUPS;
          end
        end

        COUNT_GROUPS: begin
          covered            <= next_covered;
          groups             <= groups + 16'd1;
          positions          <= positions + 32'(LANES);
          accumulators[bank] <= accumulators[bank] + 16'd4;
          // Checked every round, so nothing here can wrap.
          if (positions + 32'(LANES) > NEURON_DEPTH || 32'(accumulators[bank]) + 32'd4 > ACCUMULATOR_DEPTH) begin
            fail(ERROR_LIMIT);
          end else if (counted) begin
            if (pointers + 2 * (32'(neurons) + 32'd1) > POINTER_DEPTH) begin
              fail(ERROR_LIMIT);
            end else begin
              layer[index[2:0]].groups                     <= groups + 16'd1;
              recurrent_phase[index[2:0]].layer            <= index[2:0];
              recurrent_phase[index[2:0]].pointer_base     <= pointers[15:0];
              recurrent_phase[index[2:0]].bank             <= bank ? BANK_ODD : BANK_EVEN;
              // gx stands first in memory; the recurrent matrix has z, r, gr
              recurrent_phase[index[2:0]].accumulator_base <= layer[index[2:0]].accumulator_base + groups + 16'd1;
              forward_phase[index[2:0]].layer              <= index[2:0];
              forward_phase[index[2:0]].pointer_base       <= pointers[15:0] + neurons + 16'd1;
              if (index + 4'd1 == layers) begin
                forward_phase[index[2:0]].bank             <= BANK_DECODER;
                forward_phase[index[2:0]].accumulator_base <= '0;
              end else begin
                forward_phase[index[2:0]].bank             <= bank ? BANK_EVEN : BANK_ODD;
                // what the layers before have taken in the next layer's bank: its own base, gx first
                forward_phase[index[2:0]].accumulator_base <= accumulators[~bank];
              end
              pointers   <= pointers + 2 * (32'(neurons) + 32'd1);
              index      <= index + 4'd1;
              word_index <= word_index + 7'd1;
              if (index + 4'd1 == 4'(IMAGE_MAX_LAYERS)) begin
                covered           <= '0;
                groups            <= '0;
                decoder_positions <= '0;
                state             <= COUNT_WORDS;
              end else begin
                state <= CHECK_LAYER;
              end
            end
          end
        end

        COUNT_WORDS: begin
          covered           <= next_covered;
          groups            <= groups + 16'd1;
          decoder_positions <= decoder_positions + 32'(LANES);
          if (32'(groups) + 32'd1 > LOGIT_DEPTH) begin
            fail(ERROR_LIMIT);
          end else if (counted) begin
            decoder_groups <= groups + 16'd1;
            // a plane of the table: int16 entries for the positions of layer 0
            table_plane_beats <= (16'(layer0_positions) + 16'((1 << TABLE_SHIFT) - 1)) >> TABLE_SHIFT;
            state <= MEASURE_TABLE;
          end
        end

        MEASURE_TABLE: begin
          table_row_beats <= 16'd3 * table_plane_beats;
          table_beats     <= vocabulary * 32'(16'd3 * table_plane_beats);
          word_index      <= 7'd32;
          state           <= CHECK_ENGINE;
        end

        CHECK_ENGINE: begin
          state <= CHECK_SECTION;
          case (field)
            3'd0: pointers_offset[engine] <= word;
            3'd1: begin
              if (word != pointers) fail(ERROR_BAD_IMAGE);
              else begin
                field      <= 3'd2;
                word_index <= word_index + 7'd1;
                state      <= CHECK_ENGINE;
              end
            end
            3'd2: neurons_offset[engine] <= word;
            3'd3: decoder_offset[engine] <= word;
            3'd4: table_address[engine] <= image_address + 64'(word);
            3'd5: columns_address[engine] <= image_address + 64'(word);
            default: begin  // 6: the columns' beats; then the section's start is checked with them
              columns_beats[engine] <= word;
              word_index            <= word_index - 7'd1;
            end
          endcase
          if (field == 3'd5) begin
            field      <= 3'd6;
            word_index <= word_index + 7'd1;
            state      <= CHECK_ENGINE;
          end
        end

        CHECK_SECTION: begin
          if (word[5:0] != '0 || section_end > 53'(image_bytes)) begin
            fail(ERROR_BAD_IMAGE);
          end else if (field == 3'd6) begin
            field      <= '0;
            word_index <= word_index + 7'd3;  // past the columns' beats and a zero, to the next engine
            engine     <= engine + 1'b1;
            state      <= last_engine ? FILL : CHECK_ENGINE;
          end else begin
            field      <= field + 3'd1;
            word_index <= word_index + 7'd1;
            state      <= CHECK_ENGINE;
          end
        end

        FILL:
          if (request_ready) begin
            filling <= filling + 2'd1;
            if (filling == 2'd3) begin
              marks_awaited <= '1;
              state         <= WAIT_FILL;
            end
          end

        WAIT_FILL: begin
          marks_awaited <= marks_awaited & ~mark_done;
          if ((marks_awaited & ~mark_done) == '0) state <= FINISH;
        end

        default: state <= IDLE;  // FINISH
      endcase
    end
  end

  logic [15:0] layer0_positions;  // groups of layer 0, times LANES: where layer 1 starts, or all there are
  assign layer0_positions = layers == 4'd1 ? positions[15:0] : layer[1].position_base;

  assign busy = state != IDLE;
  assign done = state == FINISH;

  // -- requests
  always_comb begin
    request_valid = '0;
    for (int e = 0; e < ENGINES; e++) request[e] = '0;
    case (state)
      READ_HEADER: begin
        request_valid[0]       = 1'b1;
        request[0].kind        = REQUEST_BLOCK;
        request[0].destination = TO_HEADER;
        request[0].address     = image_address;
        request[0].beats       = 24'(HEADER_BEATS);
      end
      MARK_HEADER: begin
        request_valid[0] = 1'b1;
        request[0].kind  = REQUEST_MARK;
      end
      FILL:
        for (int e = 0; e < ENGINES; e++) begin
          request_valid[e] = 1'b1;
          request[e].kind  = REQUEST_BLOCK;
          case (filling)
            2'd0: begin
              request[e].destination = TO_POINTERS;
              request[e].address     = image_address + 64'(pointers_offset[e]);
              request[e].beats       = pointers[23:0];
            end
            2'd1: begin
              request[e].destination = TO_NEURONS;
              request[e].address     = image_address + 64'(neurons_offset[e]);
              request[e].beats       = BUS_BYTES == 8 ? {positions[22:0], 1'b0} : positions[23:0];
            end
            2'd2: begin
              request[e].destination = TO_DECODER;
              request[e].address     = image_address + 64'(decoder_offset[e]);
              request[e].beats       = decoder_positions[23:0];
            end
            default: request[e].kind = REQUEST_MARK;
          endcase
        end
      default: ;
    endcase
  end

endmodule
