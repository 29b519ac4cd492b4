// axi_writer against the rules of AXI and against what a job asks for: any jobs (of up to 2^24 - 1 beats, anywhere), any
// data, any stalls, responses at any time.
//
//   protocol      address and data hold until taken; bursts are aligned, at most MAX_BURST_BEATS long and cross no 4 KB;
//                 data follow their address; WLAST is on the last beat and on no other; at most four responses are awaited
//   whole jobs    bursts go to consecutive addresses from the job's on, no beat beyond its end, and the next job is taken
//                 only when all beats of this one went out
//   no response lost
//                 `busy` falls only when every response came, and each error response raises `write_error`
//   it goes on    a job that is not done waits for its data, the memory's ready or its responses, and for nothing else
// prove.py puts it inside the module.

  logic started;
  initial started = 1'b0;
  always_ff @(posedge clk) started <= 1'b1;
  always_comb if (!started) assume (rst);

  // What the module asks of its user and of the memory.
  logic [2:0] owed;  // complete bursts without a response
  always_ff @(posedge clk) begin
    if (rst) owed <= '0;
    else owed <= owed + 3'(beat && m_axi_wlast) - 3'(response);
  end
  always_comb begin
    assume (!m_axi_bvalid || owed != '0);
    if (job_valid) begin
      assume (job_beats != '0);
      assume (job_address[BEAT_SHIFT-1:0] == '0);
    end
  end

  // The job as its user sees it: where its next burst belongs, and how many beats are still to be announced and sent.
  logic [63:0] next_address;
  logic [23:0] beats_to_address, beats_to_send;
  always_ff @(posedge clk) begin
    if (rst) begin
      beats_to_address <= '0;
      beats_to_send    <= '0;
    end else if (job_valid && job_ready) begin
      next_address     <= job_address;
      beats_to_address <= job_beats;
      beats_to_send    <= job_beats;
    end else begin
      if (m_axi_awvalid && m_axi_awready) begin
        next_address     <= next_address + ((64'(m_axi_awlen) + 64'd1) << BEAT_SHIFT);
        beats_to_address <= beats_to_address - 24'(m_axi_awlen) - 24'd1;
      end
      if (beat) beats_to_send <= beats_to_send - 24'd1;
    end
  end

  // What stood on a channel in the cycle before and was not taken.
  logic aw_waits, w_waits, data_waits, failed_before, live;
  logic [63:0] awaddr_before;
  logic [7:0] awlen_before;
  logic [8*BUS_BYTES-1:0] data_before;
  logic wlast_before;
  always_ff @(posedge clk) begin
    live          <= started && !rst;
    aw_waits      <= !rst && m_axi_awvalid && !m_axi_awready;
    w_waits       <= !rst && m_axi_wvalid && !m_axi_wready;
    data_waits    <= !rst && data_valid && !data_ready;
    failed_before <= !rst && response && m_axi_bresp[1];
    awaddr_before <= m_axi_awaddr;
    awlen_before  <= m_axi_awlen;
    data_before   <= data;
    wlast_before  <= m_axi_wlast;
  end
  initial {live, aw_waits, w_waits, data_waits} = '0;
  // A stream holds its word until it is taken.
  always_comb if (data_waits) assume (data_valid && data == data_before);

  // How the registers stand to that: induction starts from states that have it.
  logic [63:0] address;
  assign address = {address_high + 32'(address_low[32]), address_low[31:0]};
  logic [23:0] announced;  // beats of a burst that stands on AW
  assign announced = m_axi_awvalid ? 24'(m_axi_awlen) + 24'd1 : '0;

  always_ff @(posedge clk) begin
    if (started && !rst) begin
      if (state != IDLE) begin
        registers_agree : assert (
            beats_to_address == remaining + announced
            && beats_to_send == remaining + (state == DATA ? 24'(beats_left) : '0)
            && next_address + (64'(announced) << BEAT_SHIFT) == address
            && {1'b0, address_low} + (34'(remaining) << BEAT_SHIFT) < (34'd1 << 32) + (34'd1 << (24 + BEAT_SHIFT))
            && address_low[BEAT_SHIFT-1:0] == '0);
      end
      no_more_than_a_job : assert (25'(remaining) + (state == DATA ? 25'(beats_left) : '0) < 25'h1000000);
      if (state == ADDRESS) burst_is_known : assert (burst_beats == longest_burst && burst_beats != '0);
      if (state == MEASURE || state == ADDRESS) something_is_left : assert (remaining != '0 && !m_axi_awvalid);
      if (state == DATA) beats_are_left : assert (beats_left != '0 && (!m_axi_awvalid || 9'(m_axi_awlen) + 9'd1 == beats_left));
      responses_are_counted : assert (32'(responses) == 32'(owed) + 32'(state == DATA));

      if (aw_waits && live) begin
        address_holds : assert (m_axi_awvalid && m_axi_awaddr == awaddr_before && m_axi_awlen == awlen_before);
      end
      if (w_waits && live) data_hold : assert (m_axi_wvalid && m_axi_wdata == data_before && m_axi_wlast == wlast_before);
      if (m_axi_awvalid) begin
        consecutive_addresses : assert (m_axi_awaddr == next_address);
        no_beats_beyond_the_job : assert (24'(m_axi_awlen) < beats_to_address);
        aligned : assert (m_axi_awaddr[BEAT_SHIFT-1:0] == '0);
        not_too_long : assert (32'(m_axi_awlen) < MAX_BURST_BEATS);
        within_4_kb : assert (32'(m_axi_awaddr[11:0]) + ((32'(m_axi_awlen) + 32'd1) << BEAT_SHIFT) <= 32'd4096);
      end
      responses_awaited : assert (32'(responses) <= RESPONSES_AHEAD);
      if (m_axi_wvalid) begin
        data_follow_their_address : assert (beats_to_send > beats_to_address);
        last_is_marked : assert (m_axi_wlast == (beats_to_send == beats_to_address + 24'd1));
      end
      if (job_ready) jobs_are_whole : assert (beats_to_address == '0 && beats_to_send == '0 && !m_axi_awvalid);
      if (!busy) no_response_left : assert (owed == '0);
      error_is_reported : assert (write_error == (live && failed_before));
      if (state == ADDRESS && !address_issue) waits_for_responses : assert (owed != '0);
      if (state == DATA && !m_axi_awvalid && data_valid && m_axi_wready) data_go_on : assert (beat);
      two_bursts : cover (state == IDLE && owed == 3'd2);
      four_responses : cover (owed == 3'd4);
    end
  end
