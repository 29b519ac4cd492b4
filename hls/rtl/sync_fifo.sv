// First-in first-out queue on one clock; the head is visible without a pop (first word falls through).
//
// A push while `full` or a pop while `empty` is the caller's mistake; both are ignored.
module sync_fifo #(
    parameter int unsigned WIDTH = 8,
    parameter int unsigned DEPTH = 4  // a power of two, at least 2
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             push,
    input  logic [WIDTH-1:0] push_data,
    output logic             full,
    input  logic             pop,
    output logic [WIDTH-1:0] head,
    output logic             empty
);

  localparam int unsigned ADDRESS_BITS = $clog2(DEPTH);

  initial begin
    if (DEPTH < 2 || (1 << ADDRESS_BITS) != DEPTH) $error("sync_fifo: DEPTH must be a power of two, at least 2");
  end

  logic [WIDTH-1:0] memory[DEPTH];
  // One bit more than an address tells a full queue from an empty one.
  logic [ADDRESS_BITS:0] write_count, read_count, next_write_count, next_read_count;

  assign empty = write_count == read_count;
  assign head  = memory[read_count[ADDRESS_BITS-1:0]];

  always_ff @(posedge clk) begin
    if (push && !full) memory[write_count[ADDRESS_BITS-1:0]] <= push_data;
  end

  always_comb begin
    next_write_count = write_count;
    next_read_count  = read_count;
    if (push && !full) next_write_count = write_count + 1'b1;
    if (pop && !empty) next_read_count = read_count + 1'b1;
  end
  // `full` is a register: half of the kernel waits for that of a request queue.
  always_ff @(posedge clk) begin
    if (rst) begin
      write_count <= '0;
      read_count  <= '0;
      full        <= 1'b0;
    end else begin
      write_count <= next_write_count;
      read_count  <= next_read_count;
      full        <= next_write_count == (next_read_count ^ {1'b1, {ADDRESS_BITS{1'b0}}});
    end
  end

endmodule
