// Writes blocks of whole beats: splits a job (address, beats) into bursts of at most MAX_BURST_BEATS that do not
// cross a 4 KB boundary, takes the data from a stream, and waits for the responses.
module axi_writer #(
    parameter int unsigned BUS_BYTES       = 8,
    parameter int unsigned MAX_BURST_BEATS = 16
) (
    input logic clk,
    input logic rst,

    input  logic        job_valid,
    output logic        job_ready,
    input  logic [63:0] job_address,
    input  logic [23:0] job_beats,     // at least 1

    input  logic                   data_valid,
    output logic                   data_ready,
    input  logic [8*BUS_BYTES-1:0] data,

    output logic                   m_axi_awvalid,
    input  logic                   m_axi_awready,
    output logic [63:0]            m_axi_awaddr,
    output logic [7:0]             m_axi_awlen,
    output logic                   m_axi_wvalid,
    input  logic                   m_axi_wready,
    output logic [8*BUS_BYTES-1:0] m_axi_wdata,
    output logic [BUS_BYTES-1:0]   m_axi_wstrb,
    output logic                   m_axi_wlast,
    input  logic                   m_axi_bvalid,
    output logic                   m_axi_bready,
    input  logic [1:0]             m_axi_bresp,

    output logic busy,        // a job is under way or a response is awaited
    output logic write_error  // pulse
);

  localparam int unsigned BEAT_SHIFT = $clog2(BUS_BYTES);
  localparam int unsigned BOUNDARY_BITS = 12 - BEAT_SHIFT;
  localparam int unsigned RESPONSES_AHEAD = 4;

  typedef enum logic [1:0] {
    IDLE,
    MEASURE,  // find the burst's length
    ADDRESS,
    DATA
  } state_e;
  state_e state;

  // The low half has a carry bit; the halves are added up as a burst goes out.
  logic [32:0] address_low;
  logic [31:0] address_high;
  logic [23:0] remaining;
  logic [8:0] burst_beats, beats_left;
  logic [2:0] responses;

  logic [BOUNDARY_BITS-1:0] page_position, beats_to_boundary;  // the latter 0 at the start of a page
  logic [24:0] end_in_page;
  logic near_boundary, job_is_shorter;
  logic [8:0] longest_burst;
  assign page_position     = address_low[11:BEAT_SHIFT];
  assign beats_to_boundary = -page_position;
  assign near_boundary     = {1'b0, page_position} > (BOUNDARY_BITS + 1)'((32'd1 << BOUNDARY_BITS) - MAX_BURST_BEATS);
  assign end_in_page       = {1'b0, remaining} + 25'(page_position);
  assign job_is_shorter    = near_boundary ? end_in_page[24:BOUNDARY_BITS] == '0 : remaining < 24'(MAX_BURST_BEATS);
  always_comb begin
    longest_burst = 9'(MAX_BURST_BEATS);
    if (near_boundary) longest_burst = 9'(beats_to_boundary);
    if (job_is_shorter) longest_burst = remaining[8:0];
  end

  logic address_issue, beat, response;
  assign job_ready     = state == IDLE;
  assign address_issue = state == ADDRESS && 32'(responses) < RESPONSES_AHEAD;
  assign m_axi_wvalid  = state == DATA && data_valid && !m_axi_awvalid;
  assign m_axi_wdata   = data;
  assign m_axi_wstrb   = '1;
  assign m_axi_wlast   = beats_left == 9'd1;
  assign data_ready    = state == DATA && m_axi_wready && !m_axi_awvalid;
  assign beat          = m_axi_wvalid && m_axi_wready;
  assign m_axi_bready  = 1'b1;
  assign response      = m_axi_bvalid;
  assign busy          = state != IDLE || responses != '0;

  always_ff @(posedge clk) write_error <= !rst && response && m_axi_bresp[1];

  always_ff @(posedge clk) begin
    if (rst) begin
      state         <= IDLE;
      m_axi_awvalid <= 1'b0;
      responses     <= '0;
    end else begin
      responses <= responses + 3'(address_issue) - 3'(response);
      if (m_axi_awready) m_axi_awvalid <= 1'b0;
      case (state)
        IDLE:
          if (job_valid) begin
            address_low  <= {1'b0, job_address[31:0]};
            address_high <= job_address[63:32];
            remaining    <= job_beats;
            state        <= MEASURE;
          end
        MEASURE: begin
          burst_beats <= longest_burst;
          state       <= ADDRESS;
        end
        ADDRESS:
          if (address_issue) begin
            m_axi_awvalid <= 1'b1;
            m_axi_awaddr  <= {address_high + 32'(address_low[32]), address_low[31:0]};
            m_axi_awlen   <= 8'(burst_beats - 9'd1);
            beats_left    <= burst_beats;
            address_low   <= address_low + {{(24 - BEAT_SHIFT) {1'b0}}, burst_beats, {BEAT_SHIFT{1'b0}}};
            remaining     <= remaining - 24'(burst_beats);
            state         <= DATA;
          end
        default:  // DATA
          if (beat) begin
            beats_left <= beats_left - 9'd1;
            if (m_axi_wlast) state <= remaining == '0 ? IDLE : MEASURE;
          end
      endcase
    end
  end

endmodule
