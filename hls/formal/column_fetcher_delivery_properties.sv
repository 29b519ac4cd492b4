// column_fetcher as a whole, from reset: what is asked for comes, in order, and it does not stop on its own.
//
//   delivery      the beats of columns and blocks come out in the order of their requests, each with its number, value,
//                 destination, bank and base, and with the data that the memory sent; no beat is lost or made up
//   marks         every mark comes out, in order, and only after every beat of the requests before it
//   no deadlock   while the memory takes every address and owes no beat that it does not send, a fetcher that is busy takes
//                 a request, asks, passes on a beat or reports within STILL cycles
//   ready         a beat that the memory owes is always taken
// Bounded: for as many cycles from reset as units.py says. prove.py puts it inside the module.

  localparam int unsigned STILL = 8;

  logic started;
  initial started = 1'b0;
  always_ff @(posedge clk) started <= 1'b1;
  always_comb assume (rst == !started);

  always_comb begin
    assume (columns_address == 64'h1000 && columns_beats == 32'h10000);
    assume (!pointer_write);
    assume (request.kind != 2'd3);
    assume (request.beats != '0 && request.beats < 24'd8);
    assume (request.forward || request.recurrent);
    assume (request_address == 64'hff0);
    // What only passes through: a few bits stand for all.
    assume (request.forward_base[15:1] == '0 && request.recurrent_base[15:1] == '0 && request.value[7:1] == '0);
    assume (request.forward_bank[2:1] == '0 && request.recurrent_bank[2:1] == '0 && request.destination < 3'd2);
    assume (m_axi_rdata[8*BUS_BYTES-1:2] == '0);
  end

  // The memory: it owes the bursts that it was asked for, in order, RLAST on the last beat of each.
  logic [3:0] lengths[4];  // beats less one
  logic [1:0] first, next;
  logic [2:0] owed;  // bursts
  logic [3:0] sent;  // beats of the first one
  logic asked, complete, r_waits;
  assign asked    = m_axi_arvalid && m_axi_arready;
  assign complete = beat && m_axi_rlast;
  logic [8*BUS_BYTES-1:0] rdata_before;
  always_ff @(posedge clk) begin
    if (rst) begin
      {first, next, owed, sent, r_waits} <= '0;
    end else begin
      if (asked) begin
        lengths[next] <= m_axi_arlen[3:0];
        next          <= next + 2'd1;
      end
      if (beat) sent <= m_axi_rlast ? '0 : sent + 4'd1;
      if (complete) first <= first + 2'd1;
      owed    <= owed + 3'(asked) - 3'(complete);
      r_waits <= m_axi_rvalid && !m_axi_rready;
    end
    rdata_before <= m_axi_rdata;
  end
  always_comb begin
    assume (!m_axi_rvalid || owed != '0);
    if (owed != '0) assume (m_axi_rlast == (sent == lengths[first]));
    if (r_waits) assume (m_axi_rvalid && m_axi_rdata == rdata_before);
    assume (!m_axi_rresp[1]);
  end

  // Beats of the requests that passed the look-up and are to be read, less those that came.
  logic [7:0] due;
  logic wanted;
  logic [23:0] wanted_beats, split;
  always_comb begin
    wanted       = selected_advance && selected.kind == kernel_types_pkg::REQUEST_BLOCK;
    wanted_beats = selected.beats;
    split        = '1;
    if (selected.kind == kernel_types_pkg::REQUEST_COLUMN) begin
      wanted       = selected_advance && total_beats != '0 && after_beat <= columns_beats
                     && (!selected.forward || forward_beat <= recurrent_beat)
                     && (!selected.recurrent || recurrent_beat <= end_beat);
      wanted_beats = total_beats[23:0];
      split        = selected.forward ? recurrent_beat[23:0] - forward_beat[23:0] : '0;
    end
  end
  always_comb if (wanted) assume (total_beats < 32'd8 || selected.kind == kernel_types_pkg::REQUEST_BLOCK);
  always_ff @(posedge clk) begin
    if (rst) due <= '0;
    else due <= due + (wanted ? wanted_beats[7:0] : '0) - 8'(beat);
  end

  // One beat of the solver's choice.
  (* anyseq *) logic watch;
  (* anyconst *) logic [2:0] number;
  logic watching, now;
  logic [7:0] ahead;
  kernel_types_pkg::request_t asked_for;
  logic in_second, begins, passed;
  logic [8*BUS_BYTES-1:0] came;
  assign now = watching && beat && ahead == '0;
  always_ff @(posedge clk) begin
    if (rst) begin
      {watching, passed} <= '0;
    end else begin
      if (watch && wanted && !watching && !passed && 24'(number) < wanted_beats) begin
        watching  <= 1'b1;
        ahead     <= due - 8'(beat) + 8'(number);
        asked_for <= selected;
        in_second <= 24'(number) >= split;
        begins    <= number == '0 || 24'(number) == split;
      end else if (watching && beat) begin
        if (ahead == '0) watching <= 1'b0;
        ahead <= ahead - 8'd1;
      end
      passed <= now;
    end
    came <= m_axi_rdata;
  end

  // One mark of the solver's choice.
  (* anyseq *) logic watch_mark;
  logic mark_taken, watching_mark, mark_seen;
  logic [7:0] mark_ahead, marks_due, marks_before;
  assign mark_taken = selected_advance && selected.kind == kernel_types_pkg::REQUEST_MARK;
  always_ff @(posedge clk) begin
    if (rst) begin
      {watching_mark, mark_seen, marks_due} <= '0;
    end else begin
      marks_due <= marks_due + 8'(mark_taken) - 8'(mark_done);
      if (watch_mark && mark_taken && !watching_mark && !mark_seen) begin
        watching_mark <= 1'b1;
        mark_ahead    <= due - 8'(beat);
        marks_before  <= marks_due - 8'(mark_done);
      end else if (watching_mark) begin
        if (beat && mark_ahead != '0) mark_ahead <= mark_ahead - 8'd1;
        if (mark_done) marks_before <= marks_before - 8'd1;
        if (mark_done && marks_before == '0) {watching_mark, mark_seen} <= 2'b01;
      end
    end
  end

  // Cycles in a row in which the memory held nothing up and nothing happened.
  logic [3:0] still;
  logic generous, moved;
  assign generous = m_axi_arready && (owed == '0 || m_axi_rvalid);
  assign moved    = (request_valid && request_ready) || asked || beat || mark_done || column_error || !busy;
  always_ff @(posedge clk) begin
    if (rst || !generous || moved) still <= '0;
    else still <= still + 4'd1;
  end

  always_ff @(posedge clk) begin
    if (started && !rst) begin
      if (m_axi_rvalid) ready_for_what_is_owed : assert (m_axi_rready);
      if (beat) nothing_made_up : assert (due != '0);
      beat_follows : assert (beat_valid == $past(beat && !rst));
      if (passed) begin
        right_beat : assert (beat_valid && beat_data == came && beat_index == 24'(number) && beat_first == begins);
        right_place : assert (beat_destination == asked_for.destination && beat_value == asked_for.value
                              && beat_bank == (in_second ? asked_for.recurrent_bank : asked_for.forward_bank)
                              && beat_accumulator_base == (in_second ? asked_for.recurrent_base : asked_for.forward_base));
      end
      if (mark_done) no_mark_made_up : assert (marks_due != '0);
      if (mark_done && watching_mark && marks_before == '0) mark_after_its_beats : assert (mark_ahead == '0);
      if (!busy) nothing_is_left : assert (due == '0 && marks_due == '0 && owed == '0);
      no_deadlock : assert (32'(still) < STILL);
      beat_passes : cover (passed && number != '0);
      mark_passes : cover (mark_seen && beat_valid);
    end
  end
