// Counts, in every clock, how often each situation below came up: the coverage points that no port and no result can
// show a bench. Bound to the kernel's core; tb/coverage_points.py reads the counts by their names.
module kernel_coverage #(
    parameter int unsigned ENGINES         = 1,
    parameter int unsigned BUS_BYTES       = 8,
    parameter int unsigned MAX_BURST_BEATS = 16,
    parameter int unsigned READS_IN_FLIGHT = 8
) (
    input logic clk,
    input logic rst,
    input logic start,
    input logic [63:0] counters_address,

    input logic               request_wanted,
    input logic [ENGINES-1:0] request_room,     // an engine's queue of requests takes one more
    input logic               play_start,
    input logic               play_busy,
    input logic               column_request,
    input logic [ENGINES-1:0] event_valid,
    input logic               event_last,
    input logic               update_start,
    input logic               update_wave,
    input logic [2:0]         update_layer,
    input logic [ENGINES-1:0] update_busy,
    input logic               sweep_start,
    input logic               sweep_bank,
    input logic [ENGINES-1:0] sweep_busy,
    input logic [ENGINES-1:0] sweep_waiting,
    input logic               load_busy,
    input logic               load_abort,
    input logic               clear,
    input logic               record_waits,
    input logic               chunk_request,
    input logic               token_valid,
    input logic               forwarded_1,      // a lane adds to the sum made a cycle before,
    input logic               forwarded_2,      // or two

    input logic [ENGINES-1:0]       arvalid, arready, rvalid, rready, rlast,
    input logic [ENGINES-1:0]       awvalid, awready, wvalid, wready, bvalid,
    input logic [ENGINES-1:0][63:0] araddr, awaddr,
    input logic [ENGINES-1:0][7:0]  arlen, awlen
);

  `define POINT(name, condition) \
      int unsigned name = 0; \
      always_ff @(posedge clk) if (condition) name <= name + 1;

  // -- requests and events
  `POINT(requests_wait_for_a_full_queue, request_wanted && request_room != '1)
  `POINT(requests_wait_for_one_engine_of_several, request_wanted && request_room != '1 && request_room != '0)
  `POINT(columns_asked_for_while_neurons_fire, column_request && update_busy != '0)
  `POINT(play_waits_for_neurons_to_fire, play_busy && !column_request && update_busy != '0)
  `POINT(play_begins_after_the_update, play_start && update_busy == '0)
  `POINT(all_engines_fire_in_one_cycle, ENGINES > 1 && event_valid == '1)
  `POINT(last_neuron_of_a_layer_fires, event_last && event_valid != '0)
  `POINT(update_begins_while_one_is_in_the_pipeline, update_start && update_busy != '0)
  `POINT(update_beside_a_sweep, update_busy != '0 && sweep_busy != '0)
  `POINT(fetch_beside_an_update, update_busy != '0 && rvalid != '0)
  `POINT(sum_follows_itself_at_once, forwarded_1)
  `POINT(sum_follows_itself_after_one_other, forwarded_2)
  `POINT(tokens_are_read_ahead, chunk_request && token_valid)
  `POINT(record_waits_for_the_one_before, record_waits)

  // -- banks of accumulators, by the parity of the wave and of the layer; of the decoder, by that of the token
  `POINT(bank_of_even_wave_even_layer, update_start && !update_wave && !update_layer[0])
  `POINT(bank_of_even_wave_odd_layer, update_start && !update_wave && update_layer[0])
  `POINT(bank_of_odd_wave_even_layer, update_start && update_wave && !update_layer[0])
  `POINT(bank_of_odd_wave_odd_layer, update_start && update_wave && update_layer[0])
  `POINT(logit_bank_0, sweep_start && !sweep_bank)
  `POINT(logit_bank_1, sweep_start && sweep_bank)
  `POINT(sweep_waits_for_room_for_logits, sweep_waiting != '0)

  // -- bursts
  logic [ENGINES-1:0] read, write;
  assign read  = arvalid & arready;
  assign write = awvalid & awready;
  logic [ENGINES-1:0] read_at_end, read_at_begin, read_longest, read_single, read_split;
  logic [ENGINES-1:0] write_at_end, write_longest, write_split;
  logic [ENGINES-1:0] read_was_short_at_end, write_was_short_at_end;
  logic [ENGINES-1:0][63:0] read_end, write_end;  // of the port's burst before
  always_comb begin
    for (int p = 0; p < ENGINES; p++) begin
      read_longest[p]  = read[p] && 32'(arlen[p]) == MAX_BURST_BEATS - 1;
      read_single[p]   = read[p] && arlen[p] == '0;
      read_at_begin[p] = read[p] && araddr[p][11:0] == '0;
      read_at_end[p]   = read[p] && 32'(araddr[p][11:0]) + (32'(arlen[p]) + 1) * BUS_BYTES == 32'd4096;
      read_split[p]    = read[p] && read_was_short_at_end[p] && araddr[p] == read_end[p];
      write_longest[p] = write[p] && 32'(awlen[p]) == MAX_BURST_BEATS - 1;
      write_at_end[p]  = write[p] && 32'(awaddr[p][11:0]) + (32'(awlen[p]) + 1) * BUS_BYTES == 32'd4096;
      write_split[p]   = write[p] && write_was_short_at_end[p] && awaddr[p] == write_end[p];
    end
  end
  always_ff @(posedge clk) begin
    for (int p = 0; p < ENGINES; p++) begin
      if (read[p]) begin
        read_end[p]              <= araddr[p] + (64'(arlen[p]) + 1) * BUS_BYTES;
        read_was_short_at_end[p] <= read_at_end[p] && !read_longest[p];
      end
      if (write[p]) begin
        write_end[p]              <= awaddr[p] + (64'(awlen[p]) + 1) * BUS_BYTES;
        write_was_short_at_end[p] <= write_at_end[p] && !write_longest[p];
      end
    end
  end
  `POINT(read_of_the_longest_burst, read_longest != '0)
  `POINT(read_of_a_single_beat, read_single != '0)
  `POINT(read_begins_at_a_4_kb_boundary, read_at_begin != '0)
  `POINT(read_ends_at_a_4_kb_boundary, read_at_end != '0)
  `POINT(read_is_split_at_a_4_kb_boundary, read_split != '0)
  `POINT(read_of_one_beat_before_a_4_kb_boundary, (read_single & read_at_end) != '0)
  `POINT(write_of_the_longest_burst, write_longest != '0)
  `POINT(write_ends_at_a_4_kb_boundary, write_at_end != '0)
  `POINT(write_is_split_at_a_4_kb_boundary, write_split != '0)

  // -- what is under way, and stalls of every channel
  logic [ENGINES-1:0][7:0] reads, responses;  // bursts without their last beat; writes without their response
  logic [ENGINES-1:0] reading, writing, reads_full, responses_many;
  // Since the command's start: cycles, those with a read asked for or under way and no beat, those with an update or
  // sweep and no read anywhere, and those in which a sweep waited for room.
  int unsigned started, waited[8], updated, waited_for_room;
  always_comb begin
    for (int p = 0; p < ENGINES; p++) begin
      reading[p]        = reads[p] != '0;
      writing[p]        = responses[p] != '0;
      reads_full[p]     = 32'(reads[p]) == READS_IN_FLIGHT;
      responses_many[p] = responses[p] == 8'd4;
    end
  end
  always_ff @(posedge clk) begin
    started         <= start ? 0 : started + 1;
    updated         <= start ? 0 : updated + 32'((update_busy | sweep_busy) != '0 && (arvalid | reading) == '0);
    waited_for_room <= start ? 0 : waited_for_room + 32'(sweep_waiting != '0);
    for (int p = 0; p < ENGINES; p++) begin
      reads[p]     <= rst ? '0 : reads[p] + 8'(read[p]) - 8'(rvalid[p] && rready[p] && rlast[p]);
      responses[p] <= rst ? '0 : responses[p] + 8'(write[p]) - 8'(bvalid[p]);
      if (start) waited[p] <= 0;
      else if ((arvalid[p] || reading[p]) && !(rvalid[p] && rready[p])) waited[p] <= waited[p] + 1;
    end
  end
  int unsigned cycles_to_counters;  // from the command's start until the address of the counters stands at the port
  logic counters_written;
  always_ff @(posedge clk) begin
    if (start) counters_written <= 1'b0;
    else if (awvalid[0] && awaddr[0] == counters_address && !counters_written) begin
      counters_written   <= 1'b1;
      cycles_to_counters <= started;
    end
  end

  `POINT(reads_in_flight_at_the_limit, reads_full != '0)
  `POINT(four_responses_awaited, responses_many != '0)
  `POINT(every_port_gets_a_beat, ENGINES > 1 && (rvalid & rready) == '1)
  `POINT(one_port_reads_and_another_waits, ENGINES > 1 && (rvalid & rready) != '0 && (reading & ~rvalid) != '0)
  `POINT(read_and_write_beats_together, (rvalid & rready & wvalid & wready) != '0)
  `POINT(stall_of_ar, (arvalid & ~arready) != '0)
  `POINT(stall_of_r, (reading & ~rvalid) != '0)
  `POINT(stall_of_aw, (awvalid & ~awready) != '0)
  `POINT(stall_of_w, (wvalid & ~wready) != '0)
  `POINT(stall_of_b, (writing & ~wvalid & ~bvalid) != '0)
  `POINT(memory_waits_for_write_data, (writing & wready & ~wvalid) != '0)

  // -- errors: what is under way is awaited
  `POINT(error_while_reads_are_under_way, load_abort && reading != '0)
  `POINT(error_while_a_write_is_under_way, load_abort && writing != '0)
  `POINT(error_while_neurons_are_updated, load_abort && update_busy != '0)
  `POINT(error_in_a_load, load_abort && load_busy)

  // -- resets in the middle of something
  logic was_rst, reset_begins;
  always_ff @(posedge clk) was_rst <= rst;
  assign reset_begins = rst && !was_rst;
  `POINT(reset_while_reading, reset_begins && reading != '0)
  `POINT(reset_while_writing, reset_begins && writing != '0)
  `POINT(reset_while_loading, reset_begins && load_busy)
  `POINT(reset_while_clearing, reset_begins && clear)
  `POINT(reset_while_neurons_are_updated, reset_begins && update_busy != '0)
  `POINT(reset_while_sweeping, reset_begins && sweep_busy != '0)
  `POINT(reset_while_columns_are_asked_for, reset_begins && play_busy)
  `undef POINT

endmodule

bind egret_core kernel_coverage #(
    .ENGINES        (ENGINES),
    .BUS_BYTES      (BUS_BYTES),
    .MAX_BURST_BEATS(MAX_BURST_BEATS),
    .READS_IN_FLIGHT(READS_IN_FLIGHT)
) coverage (
    .clk           (ap_clk),
    .rst           (rst),
    .start         (start),
    .counters_address(counters_address),
    .request_wanted(wanted != '0),
    .request_room  (engine_request_ready),
    .play_start    (play_start),
    .play_busy     (play_busy),
    .column_request(column_request_valid),
    .event_valid   (event_valid),
    .event_last    (event_last[0]),
    .update_start  (update_start),
    .update_wave   (update_wave),
    .update_layer  (update_layer.layer),
    .update_busy   (update_busy),
    .sweep_start   (sweep_start),
    .sweep_bank   (sweep_bank),
    .sweep_busy    (sweep_busy),
    .sweep_waiting (sweep_waiting),
    .load_busy     (load_busy),
    .load_abort    (load_abort),
    .clear         (clear),
    .record_waits  (record_valid && token_interface_busy),
    .chunk_request (chunk_request),
    .token_valid   (token_valid),
    .forwarded_1   (g_engine[0].engine.layer_lanes.g_lane[0].lane.same_as_3
                    && g_engine[0].engine.layer_lanes.g_lane[0].lane.valid_2),
    .forwarded_2   (g_engine[0].engine.layer_lanes.g_lane[0].lane.same_as_4
                    && g_engine[0].engine.layer_lanes.g_lane[0].lane.valid_2),
    .arvalid(m_axi_arvalid),
    .arready(m_axi_arready),
    .araddr (m_axi_araddr),
    .arlen  (m_axi_arlen),
    .rvalid (m_axi_rvalid),
    .rready (m_axi_rready),
    .rlast  (m_axi_rlast),
    .awvalid(m_axi_awvalid),
    .awready(m_axi_awready),
    .awaddr (m_axi_awaddr),
    .awlen  (m_axi_awlen),
    .wvalid (m_axi_wvalid),
    .wready (m_axi_wready),
    .bvalid (m_axi_bvalid)
);
