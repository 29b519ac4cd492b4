// One axi_protocol for each memory port of the kernel.
module axi_protocol_ports #(
    parameter int unsigned ENGINES         = 1,
    parameter int unsigned BUS_BYTES       = 8,
    parameter int unsigned MAX_BURST_BEATS = 16,
    parameter int unsigned READS_IN_FLIGHT = 8,
    parameter int unsigned WRITES_IN_FLIGHT = egret_pkg::AXI_WRITES_IN_FLIGHT
) (
    input logic clk,
    input logic rst,
    input logic [ENGINES-1:0]                  arvalid, arready, rvalid, rready, rlast,
    input logic [ENGINES-1:0]                  awvalid, awready, wvalid, wready, wlast, bvalid, bready,
    input logic [ENGINES-1:0][63:0]            araddr, awaddr,
    input logic [ENGINES-1:0][7:0]             arlen, awlen,
    input logic [ENGINES-1:0][8*BUS_BYTES-1:0] rdata, wdata,
    input logic [ENGINES-1:0][BUS_BYTES-1:0]   wstrb,
    input logic [ENGINES-1:0][1:0]             rresp, bresp,
    input logic                                done,
    input logic [7:0]                          status
);

  for (genvar port = 0; port < ENGINES; port++) begin : g_port
    axi_protocol #(
        .PORT           (port),
        .BUS_BYTES      (BUS_BYTES),
        .MAX_BURST_BEATS(MAX_BURST_BEATS),
        .READS_IN_FLIGHT(READS_IN_FLIGHT),
        .WRITES_IN_FLIGHT(WRITES_IN_FLIGHT)
    ) rules (
        .clk,
        .rst,
        .arvalid(arvalid[port]),
        .arready(arready[port]),
        .araddr (araddr[port]),
        .arlen  (arlen[port]),
        .rvalid (rvalid[port]),
        .rready (rready[port]),
        .rdata  (rdata[port]),
        .rresp  (rresp[port]),
        .rlast  (rlast[port]),
        .awvalid(awvalid[port]),
        .awready(awready[port]),
        .awaddr (awaddr[port]),
        .awlen  (awlen[port]),
        .wvalid (wvalid[port]),
        .wready (wready[port]),
        .wdata  (wdata[port]),
        .wstrb  (wstrb[port]),
        .wlast  (wlast[port]),
        .bvalid (bvalid[port]),
        .bready (bready[port]),
        .bresp  (bresp[port]),
        .done,
        .status
    );
  end

endmodule

bind egret_core axi_protocol_ports #(
    .ENGINES        (ENGINES),
    .BUS_BYTES      (BUS_BYTES),
    .MAX_BURST_BEATS(MAX_BURST_BEATS),
    .READS_IN_FLIGHT(READS_IN_FLIGHT)
) axi_rules (
    .clk    (ap_clk),
    .rst    (!ap_rst_n),
    .arvalid(m_axi_arvalid),
    .arready(m_axi_arready),
    .araddr (m_axi_araddr),
    .arlen  (m_axi_arlen),
    .rvalid (m_axi_rvalid),
    .rready (m_axi_rready),
    .rdata  (m_axi_rdata),
    .rresp  (m_axi_rresp),
    .rlast  (m_axi_rlast),
    .awvalid(m_axi_awvalid),
    .awready(m_axi_awready),
    .awaddr (m_axi_awaddr),
    .awlen  (m_axi_awlen),
    .wvalid (m_axi_wvalid),
    .wready (m_axi_wready),
    .wdata  (m_axi_wdata),
    .wstrb  (m_axi_wstrb),
    .wlast  (m_axi_wlast),
    .bvalid (m_axi_bvalid),
    .bready (m_axi_bready),
    .bresp  (m_axi_bresp),
    .done   (done),
    .status (status[7:0])
);
