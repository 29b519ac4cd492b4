// axi_writer against the rules of AXI and against what a job asks for: any jobs (of up to 2^24 - 1 beats, anywhere), any
// data, any stalls, responses at any time.
//
//   protocol      address and data hold until taken; bursts are aligned, at most MAX_BURST_BEATS long and cross no 4 KB;
//                 data come no earlier than their address does, and wait for nobody to take it; WLAST is on the last beat
//                 and on no other; at most four responses are awaited
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
  logic [2:0] addressed, complete;  // bursts without a response whose address was taken, and whose data were
  always_ff @(posedge clk) begin
    if (rst) begin
      addressed <= '0;
      complete  <= '0;
    end else begin
      addressed <= addressed + 3'(m_axi_awvalid && m_axi_awready) - 3'(response);
      complete  <= complete + 3'(beat && m_axi_wlast) - 3'(response);
    end
  end
  always_comb begin
    assume (!m_axi_bvalid || (addressed != '0 && complete != '0));
    if (job_valid) begin
      assume (job_beats != '0);
      assume (job_address[BEAT_SHIFT-1:0] == '0);
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

  // The job as its user sees it: where its next burst belongs, and how many beats are still to be announced and sent.
  // An address counts from the cycle in which it is first shown.
  logic [63:0] next_address, address_after;
  logic [23:0] beats_to_address, beats_to_address_after, beats_to_send;
  logic shown;
  assign shown                  = m_axi_awvalid && !aw_waits;
  assign address_after          = next_address + (shown ? (64'(m_axi_awlen) + 64'd1) << BEAT_SHIFT : 64'd0);
  assign beats_to_address_after = beats_to_address - (shown ? 24'(m_axi_awlen) + 24'd1 : 24'd0);
  always_ff @(posedge clk) begin
    if (rst) begin
      beats_to_address <= '0;
      beats_to_send    <= '0;
    end else if (job_valid && job_ready) begin
      next_address     <= job_address;
      beats_to_address <= job_beats;
      beats_to_send    <= job_beats;
    end else begin
      next_address     <= address_after;
      beats_to_address <= beats_to_address_after;
      if (beat) beats_to_send <= beats_to_send - 24'd1;
    end
  end

  // How the registers stand to that: induction starts from states that have it.
  logic [63:0] address;
  assign address = {address_high + 32'(address_low[32]), address_low[31:0]};

  always_ff @(posedge clk) begin
    if (started && !rst) begin
      if (state != IDLE) begin
        registers_agree : assert (
            beats_to_address_after == remaining
            && beats_to_send == remaining + (state == DATA ? 24'(beats_left) : '0)
            && address_after == address
            && {1'b0, address_low} + (34'(remaining) << BEAT_SHIFT) < (34'd1 << 32) + (34'd1 << (24 + BEAT_SHIFT))
            && address_low[BEAT_SHIFT-1:0] == '0);
      end
      no_more_than_a_job : assert (25'(remaining) + (state == DATA ? 25'(beats_left) : '0) < 25'h1000000);
      if (state == ADDRESS) burst_is_known : assert (burst_beats == longest_burst && burst_beats != '0);
      if (state == MEASURE || state == ADDRESS) something_is_left : assert (remaining != '0);
      if (state == DATA) beats_are_left : assert (beats_left != '0 && (!shown || 9'(m_axi_awlen) + 9'd1 == beats_left));
      if (state != DATA) no_address_is_new : assert (!shown);
      responses_are_counted : assert (32'(responses) == 32'(complete) + 32'(state == DATA)
                                      && 32'(responses) == 32'(addressed) + 32'(m_axi_awvalid));

      if (aw_waits && live) begin
        address_holds : assert (m_axi_awvalid && m_axi_awaddr == awaddr_before && m_axi_awlen == awlen_before);
      end
      if (w_waits && live) data_hold : assert (m_axi_wvalid && m_axi_wdata == data_before && m_axi_wlast == wlast_before);
      if (shown) begin
        consecutive_addresses : assert (m_axi_awaddr == next_address);
        no_beats_beyond_the_job : assert (24'(m_axi_awlen) < beats_to_address);
      end
      if (m_axi_awvalid) begin
        aligned : assert (m_axi_awaddr[BEAT_SHIFT-1:0] == '0);
        not_too_long : assert (32'(m_axi_awlen) < MAX_BURST_BEATS);
        within_4_kb : assert (32'(m_axi_awaddr[11:0]) + ((32'(m_axi_awlen) + 32'd1) << BEAT_SHIFT) <= 32'd4096);
      end
      responses_awaited : assert (32'(responses) <= RESPONSES_AHEAD);
      if (m_axi_wvalid) begin
        data_are_announced : assert (beats_to_send > beats_to_address_after);
        last_is_marked : assert (m_axi_wlast == (beats_to_send == beats_to_address_after + 24'd1));
        all_bytes_are_written : assert (m_axi_wstrb == '1 && m_axi_wdata == data);
      end
      word_is_taken_once : assert ((data_valid && data_ready) == beat);
      if (job_ready) jobs_are_whole : assert (beats_to_address_after == '0 && beats_to_send == '0);
      if (!busy) no_response_left : assert (addressed == '0 && complete == '0 && !m_axi_awvalid);
      error_is_reported : assert (write_error == (live && failed_before));
      if (state == ADDRESS && !address_issue) begin
        waits_for_the_memory : assert (responses != '0 && (aw_waits || m_axi_awvalid || 32'(responses) == RESPONSES_AHEAD));
      end
      if (state == DATA && data_valid && m_axi_wready) data_go_on : assert (beat);
      two_bursts : cover (state == IDLE && complete == 3'd2);
      four_responses : cover (complete == 3'd4);
      data_before_their_address : cover (m_axi_awvalid && !m_axi_awready && complete == 3'd1 && addressed == 3'd0);
    end
  end
