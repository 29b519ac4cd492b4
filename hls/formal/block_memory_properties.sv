// block_memory against what a memory is: a read shows what was last written at its address, a cycle later, until the next
// read; a write in the same cycle shows only at the next one. For any writes and reads, at an address of the solver's choice.
// prove.py puts it inside the module.

  (* anyconst *) logic [ADDRESS_BITS-1:0] chosen;
  always_comb assume (32'(chosen) < DEPTH);
  logic written, shown;
  logic [WIDTH-1:0] stored, expected;
  initial {written, shown} = 2'b00;
  always_ff @(posedge clk) begin
    if (write_enable && write_address == chosen) begin
      written <= 1'b1;
      stored  <= write_data;
    end
    if (read_enable) begin
      shown    <= written && read_address == chosen;
      expected <= stored;
    end
    if (written) content_is_kept : assert (memory[chosen] == stored);
    if (shown) reads_what_was_written : assert (read_data == expected);
    reads_the_old_word : cover (shown && expected != stored);
  end
