// The AXI4-Lite register file, laid out as Vitis HLS lays it out for ap_ctrl_hs with s_axilite arguments
// (hls/kernel.json holds the offsets).
module control_registers (
    input logic clk,
    input logic rst,

    input  logic [6:0]  s_axi_awaddr,
    input  logic        s_axi_awvalid,
    output logic        s_axi_awready,
    input  logic [31:0] s_axi_wdata,
    input  logic [3:0]  s_axi_wstrb,
    input  logic        s_axi_wvalid,
    output logic        s_axi_wready,
    output logic [1:0]  s_axi_bresp,
    output logic        s_axi_bvalid,
    input  logic        s_axi_bready,
    input  logic [6:0]  s_axi_araddr,
    input  logic        s_axi_arvalid,
    output logic        s_axi_arready,
    output logic [31:0] s_axi_rdata,
    output logic [1:0]  s_axi_rresp,
    output logic        s_axi_rvalid,
    input  logic        s_axi_rready,
    output logic        interrupt,

    output logic        start,  // pulse
    input  logic        done,   // pulse: the command is over and `status` is valid
    input  logic [31:0] status,

    // -- of the command that was started last
    output logic [31:0] command,
    output logic        generating,  // it is GENERATE
    output logic [31:0] flags,
    output logic [31:0] token_count,
    output logic [63:0] image_address,
    output logic [63:0] tokens_address,
    output logic [63:0] results_address,
    output logic [63:0] logits_address,
    output logic [63:0] counters_address
);

  // -- arguments: what is written is for the next start; a command keeps those that it started with
  logic [31:0] next_command, next_flags, next_token_count;
  logic [63:0] next_image_address, next_tokens_address, next_results_address, next_logits_address, next_counters_address;
  always_ff @(posedge clk) begin
    if (start) begin
      command          <= next_command;
      generating       <= next_command == egret_pkg::COMMAND_GENERATE;
      flags            <= next_flags;
      token_count      <= next_token_count;
      image_address    <= next_image_address;
      tokens_address   <= next_tokens_address;
      results_address  <= next_results_address;
      logits_address   <= next_logits_address;
      counters_address <= next_counters_address;
    end
  end

  // -- write channel: address and data are taken together
  logic write;
  logic [31:0] mask;
  assign write         = s_axi_awvalid && s_axi_wvalid && (!s_axi_bvalid || s_axi_bready);
  assign s_axi_awready = write;
  assign s_axi_wready  = write;
  assign s_axi_bresp   = 2'b00;
  assign mask          = {{8{s_axi_wstrb[3]}}, {8{s_axi_wstrb[2]}}, {8{s_axi_wstrb[1]}}, {8{s_axi_wstrb[0]}}};

  always_ff @(posedge clk) begin
    if (rst) s_axi_bvalid <= 1'b0;
    else if (write) s_axi_bvalid <= 1'b1;
    else if (s_axi_bready) s_axi_bvalid <= 1'b0;
  end

  logic [6:0] write_offset, read_offset;
  assign write_offset = {s_axi_awaddr[6:2], 2'b00};
  assign read_offset  = {s_axi_araddr[6:2], 2'b00};

  always_ff @(posedge clk) begin
    if (rst) begin
      next_command          <= '0;
      next_flags            <= '0;
      next_token_count      <= '0;
      next_image_address    <= '0;
      next_tokens_address   <= '0;
      next_results_address  <= '0;
      next_logits_address   <= '0;
      next_counters_address <= '0;
    end else if (write) begin
      case (write_offset)
        egret_pkg::REG_COMMAND:     next_command <= (next_command & ~mask) | (s_axi_wdata & mask);
        egret_pkg::REG_FLAGS:       next_flags <= (next_flags & ~mask) | (s_axi_wdata & mask);
        egret_pkg::REG_TOKEN_COUNT: next_token_count <= (next_token_count & ~mask) | (s_axi_wdata & mask);
        egret_pkg::REG_IMAGE_1:     next_image_address[31:0] <= (next_image_address[31:0] & ~mask) | (s_axi_wdata & mask);
        egret_pkg::REG_IMAGE_2:     next_image_address[63:32] <= (next_image_address[63:32] & ~mask) | (s_axi_wdata & mask);
        egret_pkg::REG_TOKENS_1:    next_tokens_address[31:0] <= (next_tokens_address[31:0] & ~mask) | (s_axi_wdata & mask);
        egret_pkg::REG_TOKENS_2:    next_tokens_address[63:32] <= (next_tokens_address[63:32] & ~mask) | (s_axi_wdata & mask);
        egret_pkg::REG_RESULTS_1:   next_results_address[31:0] <= (next_results_address[31:0] & ~mask) | (s_axi_wdata & mask);
        egret_pkg::REG_RESULTS_2:   next_results_address[63:32] <= (next_results_address[63:32] & ~mask) | (s_axi_wdata & mask);
        egret_pkg::REG_LOGITS_1:    next_logits_address[31:0] <= (next_logits_address[31:0] & ~mask) | (s_axi_wdata & mask);
        egret_pkg::REG_LOGITS_2:    next_logits_address[63:32] <= (next_logits_address[63:32] & ~mask) | (s_axi_wdata & mask);
        egret_pkg::REG_COUNTERS_1:  next_counters_address[31:0] <= (next_counters_address[31:0] & ~mask) | (s_axi_wdata & mask);
        egret_pkg::REG_COUNTERS_2:  next_counters_address[63:32] <= (next_counters_address[63:32] & ~mask) | (s_axi_wdata & mask);
        default:         ;
      endcase
    end
  end

  // -- block control: what a write sets, what a read clears
  logic ap_start, ap_done, ap_ready, ap_idle, auto_restart, global_enable;
  logic [1:0] interrupt_enable, interrupt_status;
  logic status_valid;
  logic read;
  assign read      = s_axi_arvalid && s_axi_arready;
  assign start     = ap_start && ap_idle;
  assign interrupt = global_enable && interrupt_status != '0;

  always_ff @(posedge clk) begin
    if (rst) begin
      ap_start         <= 1'b0;
      ap_done          <= 1'b0;
      ap_ready         <= 1'b0;
      ap_idle          <= 1'b1;
      auto_restart     <= 1'b0;
      global_enable    <= 1'b0;
      interrupt_enable <= '0;
      interrupt_status <= '0;
      status_valid     <= 1'b0;
    end else begin
      if (read && read_offset == egret_pkg::REG_CTRL) begin
        ap_done  <= 1'b0;
        ap_ready <= 1'b0;
      end
      if (read && read_offset == egret_pkg::REG_STATUS_CTRL) status_valid <= 1'b0;
      if (write && s_axi_wstrb[0]) begin
        case (write_offset)
          egret_pkg::REG_CTRL: begin
            if (s_axi_wdata[0]) ap_start <= 1'b1;
            auto_restart <= s_axi_wdata[7];
          end
          egret_pkg::REG_GIER:   global_enable <= s_axi_wdata[0];
          egret_pkg::REG_IP_IER: interrupt_enable <= s_axi_wdata[1:0];
          egret_pkg::REG_IP_ISR: interrupt_status <= interrupt_status ^ s_axi_wdata[1:0];
          default:    ;
        endcase
      end
      if (start) ap_idle <= 1'b0;
      if (done) begin
        ap_done      <= 1'b1;
        ap_ready     <= 1'b1;
        ap_idle      <= 1'b1;
        ap_start     <= auto_restart;
        status_valid <= 1'b1;
        if (interrupt_enable[0]) interrupt_status[0] <= 1'b1;
        if (interrupt_enable[1]) interrupt_status[1] <= 1'b1;
      end
    end
  end

  // -- read channel
  assign s_axi_arready = !s_axi_rvalid || s_axi_rready;
  assign s_axi_rresp   = 2'b00;
  always_ff @(posedge clk) begin
    if (rst) begin
      s_axi_rvalid <= 1'b0;
    end else if (read) begin
      s_axi_rvalid <= 1'b1;
      case (read_offset)
        egret_pkg::REG_CTRL:
          s_axi_rdata <= {22'd0, interrupt, 1'b0, auto_restart, 3'd0, ap_ready, ap_idle, ap_done, ap_start};
        egret_pkg::REG_GIER:        s_axi_rdata <= {31'd0, global_enable};
        egret_pkg::REG_IP_IER:      s_axi_rdata <= {30'd0, interrupt_enable};
        egret_pkg::REG_IP_ISR:      s_axi_rdata <= {30'd0, interrupt_status};
        egret_pkg::REG_COMMAND:     s_axi_rdata <= next_command;
        egret_pkg::REG_FLAGS:       s_axi_rdata <= next_flags;
        egret_pkg::REG_TOKEN_COUNT: s_axi_rdata <= next_token_count;
        egret_pkg::REG_IMAGE_1:     s_axi_rdata <= next_image_address[31:0];
        egret_pkg::REG_IMAGE_2:     s_axi_rdata <= next_image_address[63:32];
        egret_pkg::REG_TOKENS_1:    s_axi_rdata <= next_tokens_address[31:0];
        egret_pkg::REG_TOKENS_2:    s_axi_rdata <= next_tokens_address[63:32];
        egret_pkg::REG_RESULTS_1:   s_axi_rdata <= next_results_address[31:0];
        egret_pkg::REG_RESULTS_2:   s_axi_rdata <= next_results_address[63:32];
        egret_pkg::REG_LOGITS_1:    s_axi_rdata <= next_logits_address[31:0];
        egret_pkg::REG_LOGITS_2:    s_axi_rdata <= next_logits_address[63:32];
        egret_pkg::REG_COUNTERS_1:  s_axi_rdata <= next_counters_address[31:0];
        egret_pkg::REG_COUNTERS_2:  s_axi_rdata <= next_counters_address[63:32];
        egret_pkg::REG_STATUS:      s_axi_rdata <= status;
        egret_pkg::REG_STATUS_CTRL: s_axi_rdata <= {31'd0, status_valid};
        default:         s_axi_rdata <= '0;
      endcase
    end else if (s_axi_rready) begin
      s_axi_rvalid <= 1'b0;
    end
  end

endmodule
