// What AXI and the kernel's own promises ask of one read and write port, checked in every clock. tb/axi_protocol_bind.sv
// binds one to each port of the kernel.
//
//   of the kernel   valid and payload hold until ready; bursts are aligned, at most MAX_BURST_BEATS long and do not cross
//                   4 KB; at most READS_IN_FLIGHT reads are incomplete; a write's data are as many as its address says, with
//                   WLAST on the last beat and nowhere else, whichever of the two comes first; at most WRITES_IN_FLIGHT
//                   responses are awaited; nothing is valid in a reset; no burst is under way when a command is done
//   of the memory   (a bench that breaks these proves nothing) no beat without a burst that it is owed to, RLAST on the
//                   last and nowhere else; no response without a complete write; R and B hold until ready
//   of `status`     a failed response is not ignored: when the command is done, it has an error code
module axi_protocol #(
    parameter int unsigned PORT             = 0,
    parameter int unsigned BUS_BYTES        = 8,
    parameter int unsigned MAX_BURST_BEATS  = 16,
    parameter int unsigned READS_IN_FLIGHT  = 8,
    parameter int unsigned WRITES_IN_FLIGHT = 8
) (
    input logic clk,
    input logic rst,

    input logic                   arvalid,
    input logic                   arready,
    input logic [63:0]            araddr,
    input logic [7:0]             arlen,
    input logic                   rvalid,
    input logic                   rready,
    input logic [8*BUS_BYTES-1:0] rdata,
    input logic [1:0]             rresp,
    input logic                   rlast,
    input logic                   awvalid,
    input logic                   awready,
    input logic [63:0]            awaddr,
    input logic [7:0]             awlen,
    input logic                   wvalid,
    input logic                   wready,
    input logic [8*BUS_BYTES-1:0] wdata,
    input logic [BUS_BYTES-1:0]   wstrb,
    input logic                   wlast,
    input logic                   bvalid,
    input logic                   bready,
    input logic [1:0]             bresp,

    input logic       done,   // a command ends in this cycle
    input logic [7:0] status  // with this error code
);

  localparam int unsigned QUEUE = 64;  // bursts that can be under way; the limits are far below

  // Beats of the bursts that are under way, oldest first; a burst is there from its address to its last beat.
  logic [7:0] read_lengths[QUEUE], write_lengths[QUEUE], data_lengths[QUEUE];
  logic [5:0] read_first, read_next, write_first, write_next;
  logic [6:0] reads;                     // without their last beat
  logic [6:0] addressed, complete;       // writes without their response whose address was taken, and whose last beat was
  logic address_leads, data_lead;        // of the burst that data come for, and of the one that an address comes for
  logic [7:0] read_beat, write_beat;
  logic failed;  // a response of this command was an error

  logic read_address, read_data, read_last, write_address, write_data, write_last, response;
  assign read_address  = arvalid && arready;
  assign read_data     = rvalid && rready;
  assign read_last     = read_beat == read_lengths[read_first];
  assign write_address = awvalid && awready;
  assign write_data    = wvalid && wready;
  assign write_last    = write_beat == write_lengths[write_first];
  assign response      = bvalid && bready;
  assign address_leads = addressed > complete;
  assign data_lead     = complete > addressed;

  always_ff @(posedge clk) begin
    if (rst) begin
      {read_first, read_next, write_first, write_next} <= '0;
      {reads, addressed, complete}                     <= '0;
      {read_beat, write_beat}                          <= '0;
      failed                                           <= 1'b0;
    end else begin
      if (read_address) begin
        read_lengths[read_next] <= arlen;
        read_next               <= read_next + 6'd1;
      end
      if (read_data) begin
        read_beat <= read_last ? 8'd0 : read_beat + 8'd1;
        if (read_last) read_first <= read_first + 6'd1;
      end
      if (write_address) begin
        write_lengths[write_next] <= awlen;
        write_next                <= write_next + 6'd1;
      end
      if (write_data) begin
        write_beat <= wlast ? 8'd0 : write_beat + 8'd1;
        if (wlast) write_first <= write_first + 6'd1;
        data_lengths[write_first] <= write_beat;
      end
      reads     <= reads + 7'(read_address) - 7'(read_data && read_last);
      addressed <= addressed + 7'(write_address) - 7'(response);
      complete  <= complete + 7'(write_data && wlast) - 7'(response);
      if (done) failed <= 1'b0;
      else if ((read_data && rresp[1]) || (response && bresp[1])) failed <= 1'b1;
    end
  end

  // What stood on a channel in the cycle before and was not taken.
  logic live, was_reset, ar_waits, r_waits, aw_waits, w_waits, b_waits;
  logic [63:0] araddr_before, awaddr_before;
  logic [7:0] arlen_before, awlen_before;
  logic [8*BUS_BYTES-1:0] rdata_before, wdata_before;
  logic [BUS_BYTES-1:0] wstrb_before;
  logic [1:0] rresp_before, bresp_before;
  logic rlast_before, wlast_before;
  initial live = 1'b0;  // nothing is promised before the first reset
  always_ff @(posedge clk) begin
    live      <= live || rst;
    was_reset <= rst;
    ar_waits  <= !rst && arvalid && !arready;
    r_waits   <= !rst && rvalid && !rready;
    aw_waits  <= !rst && awvalid && !awready;
    w_waits   <= !rst && wvalid && !wready;
    b_waits   <= !rst && bvalid && !bready;
    {araddr_before, arlen_before, awaddr_before, awlen_before} <= {araddr, arlen, awaddr, awlen};
    {rdata_before, rresp_before, rlast_before, bresp_before}   <= {rdata, rresp, rlast, bresp};
    {wdata_before, wstrb_before, wlast_before}                 <= {wdata, wstrb, wlast};
  end

  function automatic logic crosses(input logic [63:0] address, input logic [7:0] length);
    crosses = 32'(address[11:0]) + (32'(length) + 32'd1) * BUS_BYTES > 32'd4096;
  endfunction

  // Immediate assertions: simulators and formal tools read them alike.
`ifdef FORMAL
`define RULE(name, condition) name: assert (condition);
`else
`define RULE(name, condition) \
    name: assert (condition) else $error("AXI port %0d breaks the rule %s", PORT, `"name`");
`endif
  always @(posedge clk) begin
    // From the first clock of a reset to the one after it.
    if (live && (rst || was_reset)) begin
      `RULE(no_valid_in_reset, !arvalid && !awvalid && !wvalid)
    end
    if (live && !rst && !was_reset) begin
      if (ar_waits) begin
        `RULE(arvalid_holds, arvalid)
        `RULE(read_address_holds, araddr == araddr_before && arlen == arlen_before)
      end
      if (aw_waits) begin
        `RULE(awvalid_holds, awvalid)
        `RULE(write_address_holds, awaddr == awaddr_before && awlen == awlen_before)
      end
      if (w_waits) begin
        `RULE(wvalid_holds, wvalid)
        `RULE(write_data_hold, wdata == wdata_before && wstrb == wstrb_before && wlast == wlast_before)
      end
      if (arvalid) begin
        `RULE(read_is_aligned, araddr % 64'(BUS_BYTES) == 0)
        `RULE(read_within_4_kb, !crosses(araddr, arlen))
        `RULE(read_not_too_long, 32'(arlen) < MAX_BURST_BEATS)
        `RULE(reads_in_flight, 32'(reads) < READS_IN_FLIGHT)
      end
      if (awvalid) begin
        `RULE(write_is_aligned, awaddr % 64'(BUS_BYTES) == 0)
        `RULE(write_within_4_kb, !crosses(awaddr, awlen))
        `RULE(write_not_too_long, 32'(awlen) < MAX_BURST_BEATS)
        `RULE(writes_in_flight, 32'(addressed) < WRITES_IN_FLIGHT)
        if (data_lead) begin
          `RULE(address_is_as_long_as_its_data, awlen == data_lengths[write_next])
        end else if (!address_leads && wvalid) begin
          `RULE(address_is_as_long_as_the_data_beside_it, wlast ? awlen == write_beat : awlen > write_beat)
        end
      end
      if (wvalid && address_leads) begin
        `RULE(wlast_on_the_last_beat, wlast == write_last)
      end
      if (done) begin
        `RULE(no_read_left_when_done, reads == 0 && !arvalid)
        `RULE(no_write_left_when_done, addressed == 0 && complete == 0 && write_beat == 0 && !awvalid && !wvalid)
        `RULE(no_error_response_ignored, !failed || status != 0)
      end
`ifndef FORMAL
      if (rvalid) begin
        `RULE(memory_sends_only_beats_owed, reads != 0)
        if (reads != 0) begin
          `RULE(memory_rlast_on_the_last_beat, rlast == read_last)
        end
      end
      if (bvalid) begin
        `RULE(memory_answers_complete_writes, addressed != 0 && complete != 0)
      end
      if (r_waits) begin
        `RULE(memory_read_data_hold, rvalid && rdata == rdata_before && rresp == rresp_before && rlast == rlast_before)
      end
      if (b_waits) begin
        `RULE(memory_response_holds, bvalid && bresp == bresp_before)
      end
`endif
    end
  end
`undef RULE

endmodule
