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

  // Accumulator banks. A layer's sums for a token are in one of four banks: bit 1 is the parity of the wave that will
  // sweep them, bit 0 that of the layer. The decoder's (bit 2 set) are in one of two, in turn: a tile's each time.
  // So what a wave fires is added to the sums of the next wave while its own are being swept, and the next
  // tile's logits while the last one's are being read. A tile with more rows than a bank takes both, and the
  // next one's columns wait for the sweep.
  localparam int unsigned BANK_DECODER_BIT = 2;
  localparam int unsigned LAYER_BANKS      = 4;
  localparam int unsigned LOGIT_BANKS      = 2;

  // What all engines are asked for in common; a block's address is each engine's own and stands beside it. A column
  // request is for what one neuron feeds: its forward column, its recurrent column, or both, which are one block.
  typedef struct packed {
    request_e     kind;
    destination_e destination;
    logic [23:0]  beats;           // block: data beats, at least 1
    logic [15:0]  pointer;         // column: index of the neuron's first pointer
    logic [7:0]   value;           // column: event value
    logic         forward;         // column: which of the two
    logic         recurrent;
    logic [2:0]   forward_bank;    // accumulators each goes to (table row: the buffer, bit 0)
    logic [15:0]  forward_base;    // accumulator of row 0
    logic [2:0]   recurrent_bank;
    logic [15:0]  recurrent_base;
  } request_t;

  // A layer of the loaded model.
  typedef struct packed {
    logic [2:0]  layer;
    logic [15:0] neurons;
    logic [15:0] groups;             // rounds of ENGINES * LANES neurons
    logic [15:0] position_base;      // first record of the layer in each engine
    logic [15:0] accumulator_base;   // first accumulator: gx; z, r and gr follow, `groups` each
    logic [15:0] recurrent_base;     // that of z, where rows of the recurrent matrix begin
    logic [15:0] forward_base;       // where rows of the matrix above begin: the next layer's first, or 0
    logic [15:0] pointer_base;       // index of the first column pointer
    logic        last;               // the matrix above is the decoder
  } layer_t;

  // The decoder's rows are cut into tiles, which are fetched and swept one after another.
  typedef struct packed {
    logic [15:0] count;
    logic [15:0] groups;             // rows of a lane, of every tile but the last
    logic [15:0] last_groups;
  } tiles_t;

  // The events of a layer, to be played as column requests.
  typedef struct packed {
    logic [2:0]  layer;              // whose events
    logic [15:0] pointer_base;
    logic        alone;              // the forward columns stand alone, a pointer each: a later tile of the decoder
    logic        forward;            // ask for the columns of the matrix above,
    logic        recurrent;          // and for those of the layer's recurrent matrix
    logic [2:0]  forward_bank;
    logic [15:0] forward_base;
    logic [2:0]  recurrent_bank;
    logic [15:0] recurrent_base;
  } play_t;

endpackage
