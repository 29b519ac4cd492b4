// Writes blocks of whole beats: splits a job (address, beats) into bursts (burst_split), takes the data from a stream, and
// waits for the responses. Data do not wait for their address to be taken: a subordinate may wait for them first.
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
  localparam int unsigned RESPONSES_AHEAD = egret_pkg::AXI_WRITES_IN_FLIGHT;

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

  logic [8:0] longest_burst;
  burst_split #(
      .BUS_BYTES(BUS_BYTES),
      .MAX_BURST_BEATS(MAX_BURST_BEATS)
  ) split (
      .page_position(address_low[11:BEAT_SHIFT]),
      .beats        (remaining),
      .burst_beats  (longest_burst)
  );

  logic address_issue, beat, response;
  assign job_ready     = state == IDLE;
  assign address_issue = state == ADDRESS && 32'(responses) < RESPONSES_AHEAD && (!m_axi_awvalid || m_axi_awready);
  assign m_axi_wvalid  = state == DATA && data_valid;
  assign m_axi_wdata   = data;
  assign m_axi_wstrb   = '1;
  assign m_axi_wlast   = beats_left == 9'd1;
  assign data_ready    = state == DATA && m_axi_wready;
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
