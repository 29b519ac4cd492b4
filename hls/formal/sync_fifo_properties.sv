// sync_fifo against what a queue is, for pushes, pops and resets of any kind.
//
//   no overflow  it holds at most DEPTH words, and says full and empty exactly then
//   order, no loss, nothing made up
//                two words pushed one after the other, whichever they are, come out one after the other: at any time each
//                of them that is in the queue stands where its turn is, unchanged, and shows at the head in its turn
// prove.py puts it inside the module.

  logic started;
  initial started = 1'b0;
  always_ff @(posedge clk) started <= 1'b1;
  always_comb if (!started) assume (rst);

  // Words in the queue, and the place in the order of each word that comes or goes: both as a plain queue has them.
  logic [ADDRESS_BITS:0] count;
  logic accepted, taken;
  assign accepted = push && !full;
  assign taken    = pop && !empty;
  always_ff @(posedge clk) begin
    if (rst) count <= '0;
    else count <= count + (ADDRESS_BITS + 1)'(accepted) - (ADDRESS_BITS + 1)'(taken);
  end

  // Two words that follow each other, chosen by the solver: `watch` says when the first comes.
  (* anyseq *) logic watch;
  logic [WIDTH-1:0] first, second;
  logic first_in, second_in, awaiting;   // in the queue; the second is the next to come
  logic [ADDRESS_BITS:0] first_ahead, second_ahead;  // words before it
  always_ff @(posedge clk) begin
    if (rst) begin
      {first_in, second_in, awaiting} <= '0;
    end else begin
      if (accepted && watch && !first_in && !second_in && !awaiting) begin
        first       <= push_data;
        first_in    <= 1'b1;
        awaiting    <= 1'b1;
        first_ahead <= count - (ADDRESS_BITS + 1)'(taken);
      end else if (first_in && taken) begin
        if (first_ahead == '0) first_in <= 1'b0;
        else first_ahead <= first_ahead - 1'b1;
      end
      if (accepted && awaiting) begin
        second       <= push_data;
        second_in    <= 1'b1;
        awaiting     <= 1'b0;
        second_ahead <= count - (ADDRESS_BITS + 1)'(taken);
      end else if (second_in && taken) begin
        if (second_ahead == '0) second_in <= 1'b0;
        else second_ahead <= second_ahead - 1'b1;
      end
    end
  end

  // Where in the memory the solver finds them: without this, induction starts from states that are not reachable.
  logic [ADDRESS_BITS:0] first_place, second_place;
  assign first_place  = read_count + first_ahead;
  assign second_place = read_count + second_ahead;

  always_ff @(posedge clk) begin
    if (started && !rst) begin
      count_is_right : assert (count == (write_count - read_count));
      no_overflow : assert (32'(count) <= DEPTH);
      full_is_right : assert (full == (32'(count) == DEPTH));
      empty_is_right : assert (empty == (count == '0));
      if (first_in) begin
        first_is_inside : assert (first_ahead < count);
        first_is_kept : assert (memory[first_place[ADDRESS_BITS-1:0]] == first);
        if (first_ahead == '0) first_comes_out : assert (head == first);
      end
      if (second_in) begin
        second_is_inside : assert (second_ahead < count);
        second_is_kept : assert (memory[second_place[ADDRESS_BITS-1:0]] == second);
        if (second_ahead == '0) second_comes_out : assert (head == second);
      end
      if (first_in && second_in) in_order : assert (second_ahead == first_ahead + 1'b1);
      if (first_in && awaiting) none_between : assert (first_ahead + 1'b1 == count);
      if (!first_in && awaiting) second_comes_next : assert (count == '0);
      if (!first_in && second_in) second_is_next : assert (second_ahead == '0);
      fills : cover (full);
      passes : cover (second_in && !first_in);
    end
  end
