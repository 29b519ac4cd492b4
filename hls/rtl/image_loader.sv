// Loads a model image: reads the header, checks it against this build and against itself, works out where
// everything of each layer lives, and fills the engines' memories (docs/formats.md, section 4).
//
// Nothing outside the first `image bytes` of the image is ever asked for: every section's end is checked here,
// every column's end by the column fetcher.
module image_loader #(
    parameter int unsigned ENGINES           = 2,
    parameter int unsigned LANES             = 5,
    parameter int unsigned BUS_BYTES         = 8,
    parameter int unsigned WEIGHT_BITS       = 8,
    parameter int unsigned GAP_BITS          = 4,
    parameter int unsigned DECODER_LANES     = 5,
    parameter int unsigned DECODER_WEIGHT_BITS = 8,
    parameter int unsigned DECODER_GAP_BITS  = 4,
    parameter int unsigned ACCUMULATOR_BITS  = 28,
    parameter int unsigned NEURON_DEPTH      = 2048,
    parameter int unsigned ACCUMULATOR_DEPTH = 1024,
    parameter int unsigned LOGIT_DEPTH       = 1024,
    parameter int unsigned DECODER_DEPTH     = 1024,
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
    output kernel_types_pkg::request_t request,
    output logic [ENGINES-1:0][63:0] request_address,
    input  logic                   request_ready,
    input  logic [ENGINES-1:0]     mark_done,

    output logic [3:0]                              layers,
    output logic [31:0]                             vocabulary,
    output kernel_types_pkg::layer_t [egret_pkg::IMAGE_MAX_LAYERS-1:0] layer,
    output logic [egret_pkg::IMAGE_MAX_LAYERS-1:0][15:0] position_base,  // of each layer, in every engine
    output logic [15:0]                             decoder_groups,     // rows of a lane
    output logic [31:0]                             decoder_positions,  // decoder_groups * DECODER_LANES
    output kernel_types_pkg::tiles_t                tiles,
    output logic [15:0]                             tile_pointer_base,  // index of the second tile's first column pointer
    output logic [15:0]                             tile_pointers,      // of each tile behind the first
    output logic [15:0]                             table_plane_beats,
    output logic [15:0]                             table_row_beats,
    output logic [ENGINES-1:0][63:0]                table_address,
    output logic [ENGINES-1:0][63:0]                columns_address,
    output logic [ENGINES-1:0][31:0]                columns_beats
);

  localparam int unsigned SLOTS         = ENGINES * LANES;
  localparam int unsigned DECODER_SLOTS = ENGINES * DECODER_LANES;
  localparam int unsigned BEAT_SHIFT    = $clog2(BUS_BYTES);
  localparam int unsigned HEADER_BEATS  = egret_pkg::IMAGE_HEADER_BYTES / BUS_BYTES;
  localparam int unsigned HEADER_BITS   = $clog2(HEADER_BEATS);
  localparam int unsigned WORD_BITS     = BEAT_SHIFT - 2;  // bits that select a word in a beat
  localparam int unsigned ENGINE_BITS   = ENGINES > 1 ? $clog2(ENGINES) : 1;
  localparam int unsigned MOST_GROUPS   = 2 * DECODER_DEPTH + egret_pkg::COMPACT_EXTRA_ROWS;
  localparam int unsigned TILE_WORD     = 20;   // of the header
  localparam int unsigned TABLE_SHIFT   = BEAT_SHIFT - 1;  // int16 entries in a beat, as a shift
  localparam logic [31:0] BUILD_WORD =
      {8'(GAP_BITS), 8'(WEIGHT_BITS), 8'(LANES), 8'(ENGINES)};
  localparam logic [31:0] BUS_WORD = {
    4'(DECODER_GAP_BITS), 4'(DECODER_WEIGHT_BITS), 8'(DECODER_LANES), 8'(ACCUMULATOR_BITS), 8'(BUS_BYTES)
  };

  initial begin
    if (ACCUMULATOR_DEPTH > 32768 || MOST_GROUPS > 65535) $error("image_loader: its counts of accumulators and groups have 16 bits");
  end

  typedef enum logic [4:0] {
    IDLE,
    READ_HEADER,
    MARK_HEADER,
    WAIT_HEADER,
    CHECK_FIXED,       // words 0 to 7
    CHECK_LAYER,       // words 8 to 15
    COUNT_GROUPS,      // of the layer: a round of SLOTS neurons per cycle
    STORE_LAYER,
    CHECK_TILE,        // word 20
    COUNT_WORDS,       // of the decoder, likewise: DECODER_SLOTS words
    MEASURE_ROW,       // of the table
    MULTIPLY_TABLE,    // the two halves of the product
    MEASURE_TABLE,
    CHECK_ENGINE,      // words 32 + 8 e to 38 + 8 e
    MEASURE_SECTION,   // that the word begins
    ADD_SECTION,
    CHECK_SECTION,     // does it end in the image?
    FILL,              // ask for pointers, neuron records, decoder records, a mark
    WAIT_FILL,
    FINISH
  } state_e;
  state_e state;

  logic [8*BUS_BYTES-1:0] header[HEADER_BEATS];
  logic [6:0] word_index;
  logic [31:0] word;
  always_ff @(posedge clk) if (beat_valid) header[beat_index[HEADER_BITS-1:0]] <= beat_data;

  // What is checked stands in registers, and each state that checks lasts two cycles: in the first they take up
  // what the state before left, in the second (`settled`) they are acted on.
  logic settled, settling;
  always_ff @(posedge clk) begin
    word    <= header[word_index[6:WORD_BITS]][32*word_index[WORD_BITS-1:0]+:32];
    settled <= settling && !settled;
  end
  always_comb begin
    case (state)
      CHECK_FIXED, CHECK_LAYER, COUNT_GROUPS, STORE_LAYER, CHECK_TILE, COUNT_WORDS, CHECK_ENGINE, MEASURE_SECTION:
        settling = 1'b1;
      default: settling = 1'b0;
    endcase
  end

  logic [31:0] image_bytes;
  logic [3:0] index;                      // layer being checked
  logic [15:0] neurons;                   // of the layer being counted
  logic [31:0] uncounted;                 // neurons or words that are in none of the groups counted so far
  logic [15:0] groups;
  logic [15:0] first_position, accumulator_base;  // where the layer being counted begins
  logic [16:0] positions;                 // all layers so far
  logic [1:0][15:0] accumulators;         // per bank, all layers so far
  logic [17:0] pointers, next_pointers;   // all layers so far; with those of the layer being counted
  logic [47:0] table_beats;               // of an engine's whole table
  logic [ENGINE_BITS-1:0] engine;
  logic [2:0] field;                      // word of the engine's header entry
  logic [47:0] section_beats;
  logic [ENGINES-1:0][63:0] pointers_address, neurons_address, decoder_address;
  logic [1:0] filling;
  logic [ENGINES-1:0] marks_awaited;

  logic last_engine;
  assign last_engine = 32'(engine) == ENGINES - 1;

  // The section that starts at `word`. Sums of 64 bits are made in two halves, one a cycle.
  logic section_too_long;  // 2^32 bytes or more
  logic [31:0] section_offset, section_bytes;
  logic [32:0] section_end, section_low;
  logic [63:0] section_address;
  assign section_address = {image_address[63:32] + 32'(section_low[32]), section_low[31:0]};

  always_comb begin
    case (field)
      3'd0:    section_beats = 48'(pointers);
      3'd2:    section_beats = 48'(positions) << (BUS_BYTES == 8 ? 1 : 0);  // records of 16 bytes
      3'd3:    section_beats = 48'(decoder_positions);
      3'd4:    section_beats = table_beats;
      default: section_beats = 48'(columns_beats[engine]);
    endcase
  end

  logic bank;
  logic counted, no_room;  // no_room: the next group would not fit the engines' memories
  logic words_counted, too_many_words, too_many_pointers;
  logic [15:0] tile_rows;  // groups in the tile being counted
  logic tile_full, no_room_for_tile;
  always_ff @(posedge clk) begin
    counted           <= uncounted <= 32'(SLOTS);
    words_counted     <= uncounted <= 32'(DECODER_SLOTS);
    too_many_words    <= groups > 16'(MOST_GROUPS - 1);
    tile_full         <= tile_rows == tiles.groups;
    no_room_for_tile  <= pointers + 18'(tile_pointers) > 18'(POINTER_DEPTH);
    too_many_pointers <= next_pointers > 18'(POINTER_DEPTH);
    // Layer 0 may take half of the positions only: two of its table rows are held.
    no_room <= NEURON_DEPTH < LANES || positions > 17'(NEURON_DEPTH - LANES)
               || (index == '0 && (NEURON_DEPTH / 2 < LANES || positions > 17'(NEURON_DEPTH / 2 - LANES)))
               || accumulators[bank] > 16'(ACCUMULATOR_DEPTH - 4);
  end
  logic [15:0] layer0_positions;  // groups of layer 0, times LANES: where layer 1 starts, or all there are
  logic [31:0] table_low_product, table_high_product;

  // What the layer being counted comes to, in STORE_LAYER.
  kernel_types_pkg::layer_t counted_layer;
  logic last_layer;
  assign bank       = index[0];
  assign last_layer = index + 4'd1 == layers;
  always_comb begin
    counted_layer.layer            = index[2:0];
    counted_layer.neurons          = neurons;
    counted_layer.groups           = groups;
    counted_layer.position_base    = first_position;
    counted_layer.accumulator_base = accumulator_base;
    // gx stands first in memory; the recurrent matrix has z, r, gr
    counted_layer.recurrent_base   = accumulator_base + groups;
    counted_layer.pointer_base     = pointers[15:0];
    counted_layer.last             = last_layer;
    // what the layers before have taken in the next layer's banks: its own base, gx first
    counted_layer.forward_base     = last_layer ? '0 : accumulators[~bank];
  end

  task automatic fail(input logic [7:0] code);
    error <= code;
    state <= FINISH;
  endtask

  always_ff @(posedge clk) begin
    next_pointers      <= pointers + 18'd1 + {1'b0, neurons, 1'b0};
    table_low_product  <= 32'(vocabulary[15:0]) * 32'(table_row_beats);
    table_high_product <= 32'(vocabulary[31:16]) * 32'(table_row_beats);
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      state <= IDLE;
    end else if (abort && state != IDLE) begin
      state <= IDLE;  // the sequencer reports the read error
    end else if (!settling || settled) begin
      case (state)
        IDLE:
          if (start) begin
            error        <= egret_pkg::ERROR_OK;
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
            3'd0: if (word != egret_pkg::IMAGE_MAGIC) fail(egret_pkg::ERROR_BAD_IMAGE);
            3'd1: if (word != egret_pkg::IMAGE_FORMAT_VERSION) fail(egret_pkg::ERROR_BAD_IMAGE);
            3'd2: begin
              image_bytes <= word;
              if (word < egret_pkg::IMAGE_HEADER_BYTES) fail(egret_pkg::ERROR_BAD_IMAGE);
            end
            3'd3: ;  // checksum: the host's business
            3'd4: if (word != BUILD_WORD) fail(egret_pkg::ERROR_WRONG_BUILD);
            3'd5: if (word != BUS_WORD) fail(egret_pkg::ERROR_WRONG_BUILD);
            3'd6: begin
              layers <= word[3:0];
              if (word == '0 || word > egret_pkg::IMAGE_MAX_LAYERS) fail(egret_pkg::ERROR_BAD_IMAGE);
            end
            default: begin
              vocabulary <= word;
              if (word == '0) fail(egret_pkg::ERROR_BAD_IMAGE);
              else state <= CHECK_LAYER;
            end
          endcase
        end

        CHECK_LAYER: begin
          uncounted <= word;
          groups    <= '0;
          if (index != layers) neurons <= word[15:0];  // those of the last layer stay
          if (index == layers) begin
            word_index <= 7'(TILE_WORD);
            state      <= CHECK_TILE;
          end else if (word == '0) begin
            fail(egret_pkg::ERROR_BAD_IMAGE);
          end else if (word > 32'd65535) begin
            fail(egret_pkg::ERROR_LIMIT);
          end else begin
            first_position   <= positions[15:0];
            accumulator_base <= accumulators[bank];
            state            <= COUNT_GROUPS;
          end
        end

        COUNT_GROUPS: begin
          uncounted          <= uncounted - 32'(SLOTS);
          groups             <= groups + 16'd1;
          positions          <= positions + 17'(LANES);
          accumulators[bank] <= accumulators[bank] + 16'd4;
          // Checked every round, so nothing here can wrap.
          if (no_room) begin
            fail(egret_pkg::ERROR_LIMIT);
          end else if (counted) begin
            state <= STORE_LAYER;
          end
        end

        STORE_LAYER: begin
          layer[index[2:0]]         <= counted_layer;
          position_base[index[2:0]] <= first_position;
          pointers                  <= next_pointers;
          index                     <= index + 4'd1;
          word_index                <= word_index + 7'd1;
          if (too_many_pointers) begin
            fail(egret_pkg::ERROR_LIMIT);
          end else if (index + 4'd1 == 4'(egret_pkg::IMAGE_MAX_LAYERS)) begin
            word_index <= 7'(TILE_WORD);
            state      <= CHECK_TILE;
          end else begin
            state <= CHECK_LAYER;
          end
        end

        CHECK_TILE: begin
          uncounted            <= vocabulary;
          groups               <= '0;
          tile_rows            <= '0;
          decoder_positions    <= '0;
          tiles.count        <= 16'd1;
          tiles.groups  <= word[15:0];
          tile_pointer_base <= pointers[15:0];
          tile_pointers <= neurons + 16'd1;
          state                <= COUNT_WORDS;
          if (word == '0) fail(egret_pkg::ERROR_BAD_IMAGE);
          else if (word > 32'(LOGIT_DEPTH)) fail(egret_pkg::ERROR_LIMIT);
        end

        COUNT_WORDS: begin
          uncounted         <= uncounted - 32'(DECODER_SLOTS);
          groups            <= groups + 16'd1;
          tile_rows         <= tile_rows + 16'd1;
          decoder_positions <= decoder_positions + 32'(DECODER_LANES);
          if (tile_full) begin  // here another begins
            tile_rows     <= 16'd1;
            tiles.count <= tiles.count + 16'd1;
            pointers      <= pointers + 18'(tile_pointers);
          end
          if (too_many_words || (tile_full && no_room_for_tile)) begin
            fail(egret_pkg::ERROR_LIMIT);
          end else if (words_counted) begin
            decoder_groups           <= groups + 16'd1;
            tiles.last_groups <= tile_full ? 16'd1 : tile_rows + 16'd1;
            // a plane of the table: int16 entries for the positions of layer 0
            table_plane_beats <= (16'(layer0_positions) + 16'((1 << TABLE_SHIFT) - 1)) >> TABLE_SHIFT;
            state <= MEASURE_ROW;
          end
        end

        MEASURE_ROW: begin
          table_row_beats <= 16'd3 * table_plane_beats;
          state           <= MULTIPLY_TABLE;
        end

        MULTIPLY_TABLE: state <= MEASURE_TABLE;

        MEASURE_TABLE: begin
          table_beats <= 48'(table_low_product) + {table_high_product, 16'd0};
          word_index  <= 7'd32;
          state       <= CHECK_ENGINE;
        end

        CHECK_ENGINE: begin
          state <= MEASURE_SECTION;
          case (field)
            3'd1: begin
              if (word != 32'(pointers)) begin
                fail(egret_pkg::ERROR_BAD_IMAGE);
              end else begin
                field      <= 3'd2;
                word_index <= word_index + 7'd1;
                state      <= CHECK_ENGINE;
              end
            end
            3'd5: begin  // the columns' beats come first: they say how long the section is
              field      <= 3'd6;
              word_index <= word_index + 7'd1;
              state      <= CHECK_ENGINE;
            end
            3'd6: begin
              columns_beats[engine] <= word;
              word_index            <= word_index - 7'd1;
            end
            default: ;
          endcase
        end

        MEASURE_SECTION: begin
          section_offset   <= word;
          section_bytes    <= {section_beats[31-BEAT_SHIFT:0], {BEAT_SHIFT{1'b0}}};
          // A pointer to the end of the columns has all its bits, and is not the one that means more.
          section_too_long <= section_beats[47:32-BEAT_SHIFT] != '0
                              || (field == 3'd6 && section_beats >= 48'((64'd1 << egret_pkg::COLUMN_POINTER_BITS) - 64'd1));
          state            <= ADD_SECTION;
        end

        ADD_SECTION: begin
          section_end <= {1'b0, section_offset} + {1'b0, section_bytes};
          section_low <= {1'b0, image_address[31:0]} + {1'b0, section_offset};
          state       <= CHECK_SECTION;
        end

        CHECK_SECTION: begin
          case (field)
            3'd0:    pointers_address[engine] <= section_address;
            3'd2:    neurons_address[engine] <= section_address;
            3'd3:    decoder_address[engine] <= section_address;
            3'd4:    table_address[engine] <= section_address;
            default: columns_address[engine] <= section_address;
          endcase
          if (section_offset[5:0] != '0 || section_too_long || section_end > {1'b0, image_bytes}) begin
            fail(egret_pkg::ERROR_BAD_IMAGE);
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

  assign layer0_positions = layers == 4'd1 ? positions[15:0] : position_base[1];

  assign busy = state != IDLE;
  assign done = state == FINISH;

  // -- requests
  always_comb begin
    request_valid = '0;
    request         = '0;
    request_address = '0;
    case (state)
      READ_HEADER: begin
        request_valid[0]    = 1'b1;
        request.kind        = kernel_types_pkg::REQUEST_BLOCK;
        request.destination = kernel_types_pkg::TO_HEADER;
        request.beats       = 24'(HEADER_BEATS);
        request_address[0]  = image_address;
      end
      MARK_HEADER: begin
        request_valid[0] = 1'b1;
        request.kind     = kernel_types_pkg::REQUEST_MARK;
      end
      FILL: begin
        request_valid = '1;
        request.kind  = kernel_types_pkg::REQUEST_BLOCK;
        case (filling)
          2'd0: begin
            request.destination = kernel_types_pkg::TO_POINTERS;
            request.beats       = 24'(pointers);
          end
          2'd1: begin
            request.destination = kernel_types_pkg::TO_NEURONS;
            request.beats       = 24'(positions) << (BUS_BYTES == 8 ? 1 : 0);
          end
          2'd2: begin
            request.destination = kernel_types_pkg::TO_DECODER;
            request.beats       = decoder_positions[23:0];
          end
          default: request.kind = kernel_types_pkg::REQUEST_MARK;
        endcase
        for (int e = 0; e < ENGINES; e++) begin
          case (filling)
            2'd0:    request_address[e] = pointers_address[e];
            2'd1:    request_address[e] = neurons_address[e];
            default: request_address[e] = decoder_address[e];
          endcase
        end
      end
      default: ;
    endcase
  end

endmodule
