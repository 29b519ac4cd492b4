// Stands in for the kernel in tests of the memory model: every port reads or writes bursts as its registers say
// and measures how long that takes, in cycles. It can also break the AXI protocol on purpose.
//
//   0x00  write bit 0: start; read: bit 1 done (clears on read), bit 2 idle
//   0x04  bit 0: interrupt on done
//   0x10  bit 0: write instead of read
//   0x14  ports that take part, a bit each
//   0x18  bursts per port         0x1c  beats per burst       0x20  byte strobes of each written beat
//   0x24  fault, see FAULT_*
//   0x28, 0x2c  address of port 0's first burst; bursts follow each other
//   0x30  bytes from one port's first address to the next port's
//   0x40 + 16 * port: cycles from the first address to the first data beat (write: from the last data beat to the
//         last response), cycles from the first address to the end, sum of the data read (32-bit words),
//         error responses
//
// A written beat holds its number in the port's run, from 1, in each 32-bit word.
module egret_core #(
    parameter int unsigned ENGINES           = 1,
    parameter int unsigned BUS_BYTES         = 8,
    // The other build parameters, which the top module passes on, mean nothing here.
    parameter int unsigned LANES             = 1,
    parameter int unsigned WEIGHT_BITS       = 8,
    parameter int unsigned GAP_BITS          = 4,
    parameter int unsigned DECODER_LANES     = 1,
    parameter int unsigned DECODER_WEIGHT_BITS = 8,
    parameter int unsigned DECODER_GAP_BITS  = 4,
    parameter int unsigned ACCUMULATOR_BITS  = 28,
    parameter int unsigned NEURON_DEPTH      = 16,
    parameter int unsigned ACCUMULATOR_DEPTH = 16,
    parameter int unsigned LOGIT_DEPTH       = 16,
    parameter int unsigned DECODER_DEPTH     = 16,
    parameter int unsigned POINTER_DEPTH     = 16,
    parameter int unsigned MAX_BURST_BEATS   = 16,
    parameter int unsigned READS_IN_FLIGHT   = 8
) (
    input  logic ap_clk,
    input  logic ap_rst_n,
    output logic interrupt,

    input  logic [6:0]  s_axi_control_awaddr,
    input  logic        s_axi_control_awvalid,
    output logic        s_axi_control_awready,
    input  logic [31:0] s_axi_control_wdata,
    input  logic [3:0]  s_axi_control_wstrb,
    input  logic        s_axi_control_wvalid,
    output logic        s_axi_control_wready,
    output logic [1:0]  s_axi_control_bresp,
    output logic        s_axi_control_bvalid,
    input  logic        s_axi_control_bready,
    input  logic [6:0]  s_axi_control_araddr,
    input  logic        s_axi_control_arvalid,
    output logic        s_axi_control_arready,
    output logic [31:0] s_axi_control_rdata,
    output logic [1:0]  s_axi_control_rresp,
    output logic        s_axi_control_rvalid,
    input  logic        s_axi_control_rready,

    output logic [ENGINES-1:0]                  m_axi_arvalid,
    input  logic [ENGINES-1:0]                  m_axi_arready,
    output logic [ENGINES-1:0][63:0]            m_axi_araddr,
    output logic [ENGINES-1:0][7:0]             m_axi_arlen,
    input  logic [ENGINES-1:0]                  m_axi_rvalid,
    output logic [ENGINES-1:0]                  m_axi_rready,
    input  logic [ENGINES-1:0][8*BUS_BYTES-1:0] m_axi_rdata,
    input  logic [ENGINES-1:0][1:0]             m_axi_rresp,
    input  logic [ENGINES-1:0]                  m_axi_rlast,
    output logic [ENGINES-1:0]                  m_axi_awvalid,
    input  logic [ENGINES-1:0]                  m_axi_awready,
    output logic [ENGINES-1:0][63:0]            m_axi_awaddr,
    output logic [ENGINES-1:0][7:0]             m_axi_awlen,
    output logic [ENGINES-1:0]                  m_axi_wvalid,
    input  logic [ENGINES-1:0]                  m_axi_wready,
    output logic [ENGINES-1:0][8*BUS_BYTES-1:0] m_axi_wdata,
    output logic [ENGINES-1:0][BUS_BYTES-1:0]   m_axi_wstrb,
    output logic [ENGINES-1:0]                  m_axi_wlast,
    input  logic [ENGINES-1:0]                  m_axi_bvalid,
    output logic [ENGINES-1:0]                  m_axi_bready,
    input  logic [ENGINES-1:0][1:0]             m_axi_bresp
);

  localparam logic [31:0] FAULT_EARLY_LAST     = 32'd1;  // WLAST on the first beat
  localparam logic [31:0] FAULT_MOVING_ADDRESS = 32'd2;  // the read address changes while it waits
  localparam logic [31:0] FAULT_SLOW_READER    = 32'd3;  // no fault: takes a beat only every fourth cycle
  localparam logic [31:0] FAULT_STOP           = 32'd4;  // $stop

  logic clk, rst;
  assign clk = ap_clk;
  assign rst = !ap_rst_n;

  // -- registers
  logic [31:0] registers[32];
  logic start, busy, was_busy, done;
  logic [ENGINES-1:0] port_busy;
  logic write_access, read_access;
  assign write_access          = s_axi_control_awvalid && s_axi_control_wvalid && !s_axi_control_bvalid;
  assign s_axi_control_awready = write_access;
  assign s_axi_control_wready  = write_access;
  assign s_axi_control_bresp   = 2'b00;
  assign read_access           = s_axi_control_arvalid && !s_axi_control_rvalid;
  assign s_axi_control_arready = read_access;
  assign s_axi_control_rresp   = 2'b00;
  assign start     = write_access && s_axi_control_awaddr == '0 && s_axi_control_wdata[0];
  assign busy      = port_busy != '0;
  assign interrupt = registers[1][0] && done;

  logic [31:0] results[16];
  always_ff @(posedge clk) begin
    was_busy <= !rst && busy;
    if (rst) begin
      s_axi_control_bvalid <= 1'b0;
      s_axi_control_rvalid <= 1'b0;
      done                 <= 1'b0;
      registers[1]         <= '0;
    end else begin
      if (s_axi_control_bready) s_axi_control_bvalid <= 1'b0;
      if (s_axi_control_rready) s_axi_control_rvalid <= 1'b0;
      if (write_access) begin
        s_axi_control_bvalid                     <= 1'b1;
        registers[s_axi_control_awaddr[6:2]] <= s_axi_control_wdata;
      end
      if (read_access) begin
        s_axi_control_rvalid <= 1'b1;
        s_axi_control_rdata  <= s_axi_control_araddr[6] ? results[s_axi_control_araddr[5:2]]
                                                        : registers[s_axi_control_araddr[6:2]];
        if (s_axi_control_araddr == '0) begin
          s_axi_control_rdata <= {29'd0, !busy, done, 1'b0};
          done                <= 1'b0;
        end
      end
      if (was_busy && !busy) done <= 1'b1;
      if (start && registers[9] == FAULT_STOP) $stop;
    end
  end

  logic writes;
  logic [31:0] bursts, beats, fault;
  assign writes = registers[4][0];
  assign bursts = registers[6];
  assign beats  = registers[7];
  assign fault  = registers[9];

  logic [1:0] phase;
  always_ff @(posedge clk) phase <= rst ? '0 : phase + 2'd1;

  // -- a traffic generator for each port
  for (genvar port = 0; port < ENGINES; port++) begin : g_port
    logic [31:0] addresses_left, data_left, beats_in_burst, responses_left;
    logic [63:0] address;
    logic [31:0] beat_number, cycle, first, last_data, sum, errors;
    logic started, first_seen;

    assign m_axi_arvalid[port] = addresses_left != '0 && !writes;
    assign m_axi_araddr[port]  = fault == FAULT_MOVING_ADDRESS ? address + 64'({phase, 6'd0}) : address;
    assign m_axi_arlen[port]   = 8'(beats - 32'd1);
    assign m_axi_rready[port]  = fault != FAULT_SLOW_READER || phase == '0;
    assign m_axi_awvalid[port] = addresses_left != '0 && writes;
    assign m_axi_awaddr[port]  = address;
    assign m_axi_awlen[port]   = 8'(beats - 32'd1);
    assign m_axi_wvalid[port]  = data_left != '0 && writes;
    assign m_axi_wdata[port]   = {(BUS_BYTES / 4) {beat_number}};
    assign m_axi_wstrb[port]   = registers[8][BUS_BYTES-1:0];
    assign m_axi_wlast[port]   = beats_in_burst == (fault == FAULT_EARLY_LAST ? beats : 32'd1);
    assign m_axi_bready[port]  = 1'b1;
    assign port_busy[port]     = responses_left != '0;

    logic address_taken, read_beat, write_beat;
    assign address_taken = (m_axi_arvalid[port] && m_axi_arready[port])
                           || (m_axi_awvalid[port] && m_axi_awready[port]);
    assign read_beat  = m_axi_rvalid[port] && m_axi_rready[port];
    assign write_beat = m_axi_wvalid[port] && m_axi_wready[port];

    logic [31:0] words;
    always_comb begin
      words = '0;
      for (int w = 0; w < BUS_BYTES / 4; w++) words += m_axi_rdata[port][32*w+:32];
    end

    always_ff @(posedge clk) begin
      cycle <= cycle + 32'd1;
      if (address_taken) begin
        addresses_left <= addresses_left - 32'd1;
        address        <= address + 64'(beats) * 64'(BUS_BYTES);
        started        <= 1'b1;
        if (!started) cycle <= 32'd1;  // the number of the next cycle, this one being 0
      end
      if (read_beat) begin
        if (!first_seen) first <= cycle;
        first_seen <= 1'b1;
        sum        <= sum + words;
        errors     <= errors + 32'(m_axi_rresp[port] != 2'b00);
        if (m_axi_rlast[port]) responses_left <= responses_left - 32'd1;
        last_data <= cycle;
      end
      if (write_beat) begin
        data_left      <= data_left - 32'd1;
        beat_number    <= beat_number + 32'd1;
        beats_in_burst <= beats_in_burst == 32'd1 ? beats : beats_in_burst - 32'd1;
        last_data      <= cycle;
      end
      if (m_axi_bvalid[port]) begin
        responses_left <= responses_left - 32'd1;
        first          <= cycle - last_data;
        errors         <= errors + 32'(m_axi_bresp[port] != 2'b00);
      end
      if (rst) begin
        addresses_left <= '0;
        data_left      <= '0;
        responses_left <= '0;
      end else if (start && registers[5][port]) begin
        addresses_left <= bursts;
        responses_left <= bursts;
        data_left      <= writes ? bursts * beats : '0;
        beats_in_burst <= beats;
        address        <= {registers[11], registers[10]} + 64'(port) * 64'(registers[12]);
        beat_number    <= 32'd1;
        started        <= 1'b0;
        first_seen     <= 1'b0;
        sum            <= '0;
        errors         <= '0;
      end
    end

    logic [31:0] total;
    always_ff @(posedge clk) if (port_busy[port] && started) total <= cycle;
    assign results[4*port]   = first;
    assign results[4*port+1] = total;
    assign results[4*port+2] = sum;
    assign results[4*port+3] = errors;
  end

  for (genvar unused = 4 * ENGINES; unused < 16; unused++) begin : g_unused
    assign results[unused] = '0;
  end

endmodule
