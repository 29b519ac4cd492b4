// column_fetcher against what it may read and how: any requests, any pointers (sound or not), any memory.
//
//   inside        every burst lies within the columns section, or within the block that was asked for: whatever the column
//                 pointers say, and wherever the section is
//   protocol      address and length hold until taken; bursts are aligned, at most MAX_BURST_BEATS long and cross no 4 KB
//   in a row      each burst begins at the next address of its request, the first at the request's own
//   marks         a mark comes out MARK_DELAY cycles after everything before it has come in
//   in flight     `in_flight` is the number of bursts that were requested and are not complete, and at most READS_IN_FLIGHT
//   errors        a column whose pointers are out of order or end outside the section raises `column_error` and is not read
// prove.py puts it inside the module.

  logic started, live;
  initial {started, live} = 2'b00;
  always_ff @(posedge clk) begin
    started <= 1'b1;
    live    <= started && !rst;
  end
  always_comb if (!started) assume (rst);

  // What the loader has checked of the section, and what a request may be.
  (* anyconst *) logic [63:0] section;
  (* anyconst *) logic [31:0] section_beats;
  always_comb begin
    assume (columns_address == section && section[5:0] == '0 && section[63:48] == '0);
    assume (columns_beats == section_beats && section_beats[31:32-BEAT_SHIFT] == '0);
    if (request_valid) begin
      assume (request.kind != 2'd3);
      assume (request.kind != kernel_types_pkg::REQUEST_BLOCK || request.beats != '0);
      assume (request_address[BEAT_SHIFT-1:0] == '0 && request_address[63:48] == '0);
    end
    // The request queue gives what was put in (sync_fifo's proof).
    if (!head_empty) begin
      assume (head.kind != 2'd3);
      assume (head.kind != kernel_types_pkg::REQUEST_BLOCK || head.beats != '0);
      assume (head_address[BEAT_SHIFT-1:0] == '0 && head_address[63:48] == '0);
    end
  end

  // Bursts that the memory was asked for and has not completed; it sends no beat that it does not owe.
  logic [FLIGHT_BITS:0] reads;
  logic asked, complete;
  assign asked    = m_axi_arvalid && m_axi_arready;
  assign complete = m_axi_rvalid && m_axi_rready && m_axi_rlast;
  always_ff @(posedge clk) begin
    if (rst) reads <= '0;
    else reads <= reads + (FLIGHT_BITS + 1)'(asked) - (FLIGHT_BITS + 1)'(complete);
  end
  always_comb assume (!m_axi_rvalid || reads != '0);

  // What may be read for the request in each stage: from where to where.
  localparam int unsigned TOP = 50;  // bits of an address that can be reached
  logic [TOP-1:0] checked_from, checked_to, job_from, job_to, burst_from, burst_to;
  logic checked_sound, was_checked;
  always_ff @(posedge clk) begin
    if (selected_advance) begin
      if (selected.kind == kernel_types_pkg::REQUEST_COLUMN) begin
        checked_from <= TOP'(section);
        checked_to   <= TOP'(section) + (TOP'(section_beats) << BEAT_SHIFT);
      end else begin
        checked_from <= TOP'(selected_address);
        checked_to   <= TOP'(selected_address) + (TOP'(selected.beats) << BEAT_SHIFT);
      end
      // In order, and none that is wanted ends outside.
      checked_sound <= (!selected.forward || forward_beat <= recurrent_beat)
                       && (!selected.recurrent || recurrent_beat <= end_beat)
                       && (selected.recurrent ? end_beat : recurrent_beat) <= section_beats
                       && total_beats < 32'h1000000;
    end
    if (checked_advance && needs_job) {job_from, job_to} <= {checked_from, checked_to};
    if (burst_issue) {burst_from, burst_to} <= {job_from, job_to};
    was_checked <= !rst && checked_advance && checked.kind == kernel_types_pkg::REQUEST_COLUMN && !checked_sound;
  end

  logic [TOP-1:0] checked_at, job_at, burst_at;
  assign checked_at = {checked_high[TOP-33:0], 32'd0} + TOP'(checked_low);
  assign job_at     = {job_high[TOP-33:0], 32'd0} + TOP'(job_low);
  assign burst_at   = m_axi_araddr[TOP-1:0];

  // Where the next burst of the job belongs, counted from the request's first address by the bursts that went out.
  logic [TOP-1:0] next_at, burst_belongs_at;
  always_ff @(posedge clk) begin
    if (checked_advance && needs_job) next_at <= checked_at;
    else if (burst_issue) next_at <= next_at + (TOP'(burst_beats) << BEAT_SHIFT);
    if (burst_issue) burst_belongs_at <= next_at;
  end
  logic [2:0] marks_before;  // that were reached one, two and three cycles ago
  always_ff @(posedge clk) marks_before <= rst ? '0 : {marks_before[1:0], mark};

  logic ar_waits;
  logic [63:0] araddr_before;
  logic [7:0] arlen_before;
  always_ff @(posedge clk) begin
    ar_waits      <= !rst && m_axi_arvalid && !m_axi_arready;
    araddr_before <= m_axi_araddr;
    arlen_before  <= m_axi_arlen;
  end

  always_ff @(posedge clk) begin
    if (started && !rst) begin
      if (m_axi_arvalid) begin
        inside : assert (m_axi_araddr[63:TOP] == '0 && burst_at >= burst_from
                         && burst_at + ((TOP'(m_axi_arlen) + 1'b1) << BEAT_SHIFT) <= burst_to);
        aligned : assert (m_axi_araddr[BEAT_SHIFT-1:0] == '0);
        not_too_long : assert (32'(m_axi_arlen) < MAX_BURST_BEATS);
        within_4_kb : assert (32'(m_axi_araddr[11:0]) + ((32'(m_axi_arlen) + 32'd1) << BEAT_SHIFT) <= 32'd4096);
      end
      if (ar_waits && live) begin
        address_holds : assert (m_axi_arvalid && m_axi_araddr == araddr_before && m_axi_arlen == arlen_before);
      end
      if (m_axi_arvalid) in_a_row : assert (burst_at == burst_belongs_at);
      if (job_valid) next_is_right : assert (job_at == next_at);
      marks_wait : assert (mark_done == marks_before[2] && mark_delay == marks_before);
      in_flight_is_right : assert (32'(in_flight) == 32'(reads) + 32'(m_axi_arvalid));
      not_too_many : assert (32'(in_flight) <= READS_IN_FLIGHT);
      reading_is_right : assert (reading == (reads != '0 || m_axi_arvalid));
      if (live) unsound_columns_are_told : assert (column_error == was_checked);

      // How the stages stand to that: induction starts from states that have it.
      if (lookup_valid) begin
        lookup_is_a_request : assert (lookup.kind != 2'd3 && lookup_address[BEAT_SHIFT-1:0] == '0 && lookup_address[63:48] == '0
                                      && (lookup.kind != kernel_types_pkg::REQUEST_BLOCK || lookup.beats != '0));
      end
      if (selected_valid) begin
        selected_is_a_request : assert (selected.kind != 2'd3 && selected_address[BEAT_SHIFT-1:0] == '0
                                        && selected_address[63:48] == '0
                                        && (selected.kind != kernel_types_pkg::REQUEST_BLOCK || selected.beats != '0));
      end
      if (checked_valid) begin
        checked_is_a_request : assert (checked.kind != 2'd3);
        if (checked.kind == kernel_types_pkg::REQUEST_COLUMN) checks_agree : assert (column_bad == !checked_sound);
        if (needs_job) begin
          checked_is_inside : assert (checked_at >= checked_from && checked_beats != '0 && checked_high[31:16] == '0
                                      && checked_at[BEAT_SHIFT-1:0] == '0
                                      && checked_at + (TOP'(checked_beats) << BEAT_SHIFT) <= checked_to
                                      && {1'b0, checked_low} + (34'(checked_beats) << BEAT_SHIFT) <= 34'h1fffffff8);
        end
      end
      if (job_valid) begin
        job_is_inside : assert (job_at >= job_from && job_beats != '0 && job_high[31:16] == '0
                                && job_at[BEAT_SHIFT-1:0] == '0
                                && job_at + (TOP'(job_beats) << BEAT_SHIFT) <= job_to
                                && {1'b0, job_low} + (34'(job_beats) << BEAT_SHIFT) <= 34'h1fffffff8);
        if (burst_known) burst_is_known : assert (burst_beats == next_burst);
      end
      two_bursts : cover (m_axi_arvalid && 32'(reads) == 1);
      refuses : cover (column_error);
    end
  end
