// Simple dual-port block RAM: one write port, one synchronous read port, read data one cycle later and held
// while `read_enable` is low. A read of the address being written returns the old word.
module block_memory #(
    parameter int unsigned WIDTH = 32,
    parameter int unsigned DEPTH = 1024,
    localparam int unsigned ADDRESS_BITS = $clog2(DEPTH)
) (
    input  logic                    clk,
    input  logic                    write_enable,
    input  logic [ADDRESS_BITS-1:0] write_address,
    input  logic [       WIDTH-1:0] write_data,
    input  logic                    read_enable,
    input  logic [ADDRESS_BITS-1:0] read_address,
    output logic [       WIDTH-1:0] read_data
);

  (* ram_style = "block" *)
  logic [WIDTH-1:0] memory[DEPTH];

  always_ff @(posedge clk) begin
    if (write_enable) memory[write_address] <= write_data;
    if (read_enable) read_data <= memory[read_address];
  end

endmodule
