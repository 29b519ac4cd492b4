// Types that the units of the kernel exchange. Field widths are upper bounds, the same for every build, so
// that they can be declared once; each unit uses the bits that its memories need and synthesis drops the rest.
package kernel_types_pkg;

  // Where the data beats of a read request go.
  typedef enum logic [2:0] {
    TO_LANES    = 3'd0,  // column entries
    TO_TABLE    = 3'd1,  // a row of the folded token table
    TO_TOKENS   = 3'd2,  // input tokens (engine 0)
    TO_HEADER   = 3'd3,  // image header (engine 0)
    TO_POINTERS = 3'd4,
    TO_NEURONS  = 3'd5,
    TO_DECODER  = 3'd6
  } destination_e;

  typedef enum logic [1:0] {
    REQUEST_COLUMN = 2'd0,  // look the column up in the column pointers and read it
    REQUEST_BLOCK  = 2'd1,  // read `beats` beats at the engine's request address
    REQUEST_MARK   = 2'd2   // report when everything requested before has been consumed
  } request_e;

  // Accumulator banks: layers alternate between two, so that one can be swept by the neuron update while the
  // other is being accumulated into; the decoder has its own.
  localparam logic [1:0] BANK_EVEN    = 2'd0;
  localparam logic [1:0] BANK_ODD     = 2'd1;
  localparam logic [1:0] BANK_DECODER = 2'd2;

  // What all engines are asked for in common; a block's address is each engine's own and stands beside it.
  typedef struct packed {
    request_e     kind;
    destination_e destination;
    logic [23:0]  beats;             // block: data beats, at least 1
    logic [15:0]  pointer;           // column: index of its first pointer
    logic [7:0]   value;             // column: event value
    logic [1:0]   bank;              // column: accumulators it goes to
    logic [15:0]  accumulator_base;  // column: accumulator of row 0
  } request_t;

  // A phase: all columns of one matrix for one layer's events.
  typedef struct packed {
    logic [2:0]  layer;              // whose events
    logic [15:0] pointer_base;       // pointer index of the matrix's column 0
    logic [1:0]  bank;
    logic [15:0] accumulator_base;
  } phase_t;

  // What a neuron update needs to know of its layer.
  typedef struct packed {
    logic [2:0]  layer;
    logic [15:0] neurons;
    logic [15:0] groups;             // rounds of ENGINES * LANES neurons
    logic [15:0] position_base;      // first record of the layer in each engine
    logic [1:0]  bank;
    logic [15:0] accumulator_base;
  } layer_t;

endpackage
