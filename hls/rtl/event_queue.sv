// Keeps the events (neuron, value) of every layer, a list per layer and engine, and plays the lists of a layer to the
// column fetchers as column requests.
//
// Each engine's neuron update appends to its own list, so that all of them may fire in one cycle. A list stays
// until the layer's next update overwrites it: it is played for the layer above, for the decoder, and, one
// token later, for the layer's own recurrent weights.
module event_queue #(
    parameter int unsigned ENGINES      = 2,
    parameter int unsigned NEURON_DEPTH = 2048,
    parameter int unsigned MAX_LAYERS   = 8
) (
    input logic clk,
    input logic rst,

    input logic clear,  // forget all events

    input logic                            append_start,  // an update of this layer begins: empty its lists
    input logic [2:0]                      append_layer,
    input logic [15:0]                     append_base,   // the layer's first position
    input logic [ENGINES-1:0]              event_valid,
    input logic [ENGINES-1:0][15:0]        event_neuron,
    input logic [ENGINES-1:0][7:0]         event_value,

    input  logic        phase_start,
    input  kernel_types_pkg::phase_t      phase,
    input  logic [15:0] phase_base,  // the first position of the phase's layer
    output logic        phase_busy,

    output logic     request_valid,
    output kernel_types_pkg::request_t request,
    input  logic     request_ready,

    output logic [MAX_LAYERS-1:0][15:0] events  // in each layer's lists, all engines
);

  localparam int unsigned ADDRESS_BITS = $clog2(NEURON_DEPTH);
  localparam int unsigned ENGINE_BITS  = ENGINES > 1 ? $clog2(ENGINES) : 1;
  localparam int unsigned LAYER_BITS   = $clog2(MAX_LAYERS);

  // -- lists
  logic [ENGINES-1:0][MAX_LAYERS-1:0][15:0] length;
  logic [LAYER_BITS-1:0] writing;
  logic [15:0] write_base;
  logic read_enable;
  logic [15:0] read_index;
  kernel_types_pkg::phase_t current;
  logic [15:0] current_base;
  logic [ENGINES-1:0][23:0] read_event;

  always_ff @(posedge clk) begin
    if (append_start) begin
      writing    <= append_layer[LAYER_BITS-1:0];
      write_base <= append_base;
    end
  end

  always_ff @(posedge clk) begin
    if (rst || clear) begin
      length <= '0;
    end else begin
      for (int e = 0; e < ENGINES; e++) begin
        if (append_start) length[e][append_layer[LAYER_BITS-1:0]] <= '0;
        else if (event_valid[e]) length[e][writing] <= length[e][writing] + 16'd1;
      end
    end
  end

  for (genvar e = 0; e < ENGINES; e++) begin : g_list
    logic [15:0] write_address, read_address;
    assign write_address = write_base + length[e][writing];
    assign read_address  = current_base + read_index;
    block_memory #(
        .WIDTH(24),
        .DEPTH(NEURON_DEPTH)
    ) list (
        .clk,
        .write_enable (event_valid[e]),
        .write_address(write_address[ADDRESS_BITS-1:0]),
        .write_data   ({event_neuron[e], event_value[e]}),
        .read_enable,
        .read_address (read_address[ADDRESS_BITS-1:0]),
        .read_data    (read_event[e])
    );
  end

  always_comb begin
    events = '0;
    for (int l = 0; l < MAX_LAYERS; l++) for (int e = 0; e < ENGINES; e++) events[l] += length[e][l];
  end

  // -- play: engine after engine, an event every second cycle (a column takes longer to fetch than that)
  typedef enum logic [1:0] {
    IDLE,
    READ,
    OFFER
  } state_e;
  state_e state;
  logic [ENGINE_BITS-1:0] engine;
  logic [15:0] current_length;
  assign current_length = length[engine][current.layer[LAYER_BITS-1:0]];
  assign read_enable    = state == READ && read_index < current_length;
  assign phase_busy     = state != IDLE;

  always_ff @(posedge clk) begin
    if (rst) begin
      state <= IDLE;
    end else begin
      case (state)
        IDLE:
          if (phase_start) begin
            current      <= phase;
            current_base <= phase_base;
            engine       <= '0;
            read_index   <= '0;
            state        <= READ;
          end
        READ:
          if (read_enable) begin
            state <= OFFER;
          end else if (32'(engine) == ENGINES - 1) begin
            state <= IDLE;
          end else begin
            engine     <= engine + 1'b1;
            read_index <= '0;
          end
        default:  // OFFER
          if (request_ready) begin
            read_index <= read_index + 16'd1;
            state      <= READ;
          end
      endcase
    end
  end

  assign request_valid = state == OFFER;
  always_comb begin
    request                  = '0;
    request.kind             = kernel_types_pkg::REQUEST_COLUMN;
    request.destination      = kernel_types_pkg::TO_LANES;
    request.pointer          = current.pointer_base + read_event[engine][23:8];
    request.value            = read_event[engine][7:0];
    request.bank             = current.bank;
    request.accumulator_base = current.accumulator_base;
  end

endmodule
