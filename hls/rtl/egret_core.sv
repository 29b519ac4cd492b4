// The kernel without the flat port names: register file, sequencer, image loader, event queue, token interface,
// counters, and ENGINES engines with an AXI4 port each. hls/tools/generate.py makes the top module
// `egret_kernel` around it, with one set of ports per engine under the names that Vitis HLS would give them.
//
// Build parameters are described in hls/kernel.json, what the kernel does in docs/formats.md.
module egret_core #(
    parameter int unsigned ENGINES           = egret_pkg::DEFAULT_ENGINES,
    parameter int unsigned LANES             = egret_pkg::DEFAULT_LANES,
    parameter int unsigned BUS_BYTES         = egret_pkg::DEFAULT_BUS_BYTES,
    parameter int unsigned WEIGHT_BITS       = egret_pkg::DEFAULT_WEIGHT_BITS,
    parameter int unsigned GAP_BITS          = egret_pkg::DEFAULT_GAP_BITS,
    parameter int unsigned DECODER_LANES     = egret_pkg::DEFAULT_DECODER_LANES,
    parameter int unsigned DECODER_WEIGHT_BITS = egret_pkg::DEFAULT_DECODER_WEIGHT_BITS,
    parameter int unsigned DECODER_GAP_BITS  = egret_pkg::DEFAULT_DECODER_GAP_BITS,
    parameter int unsigned ACCUMULATOR_BITS  = egret_pkg::DEFAULT_ACCUMULATOR_BITS,
    parameter int unsigned NEURON_DEPTH      = egret_pkg::DEFAULT_NEURON_DEPTH,
    parameter int unsigned ACCUMULATOR_DEPTH = egret_pkg::DEFAULT_ACCUMULATOR_DEPTH,
    parameter int unsigned LOGIT_DEPTH       = egret_pkg::DEFAULT_LOGIT_DEPTH,
    parameter int unsigned DECODER_DEPTH     = egret_pkg::DEFAULT_DECODER_DEPTH,
    parameter int unsigned POINTER_DEPTH     = egret_pkg::DEFAULT_POINTER_DEPTH,
    parameter int unsigned MAX_BURST_BEATS   = egret_pkg::DEFAULT_MAX_BURST_BEATS,
    parameter int unsigned READS_IN_FLIGHT   = egret_pkg::DEFAULT_READS_IN_FLIGHT
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

  function automatic int unsigned maximum(input int unsigned a, input int unsigned b);
    maximum = a > b ? a : b;
  endfunction

  localparam int unsigned CLEAR_DEPTH = maximum(NEURON_DEPTH, maximum(ACCUMULATOR_DEPTH, LOGIT_DEPTH));
  localparam logic [63:0] BUILD = {
    8'(DECODER_LANES), 8'(egret_pkg::IMAGE_MAX_LAYERS), 8'(ACCUMULATOR_BITS), 8'(BUS_BYTES),
    8'(GAP_BITS), 8'(WEIGHT_BITS), 8'(LANES), 8'(ENGINES)
  };
  localparam logic [63:0] DECODER_BUILD = {32'd0, 16'(DECODER_DEPTH - 1), 8'(DECODER_GAP_BITS), 8'(DECODER_WEIGHT_BITS)};
  // Less one each, so that a depth of 65536 fits.
  localparam logic [63:0] LIMITS = {
    16'(POINTER_DEPTH - 1), 16'(LOGIT_DEPTH - 1), 16'(ACCUMULATOR_DEPTH - 1), 16'(NEURON_DEPTH - 1)
  };

  initial begin
    if (ENGINES < 1 || ENGINES > egret_pkg::IMAGE_MAX_ENGINES) begin
      $error("egret_core: ENGINES must be 1 to %0d", egret_pkg::IMAGE_MAX_ENGINES);
    end
    if (maximum(CLEAR_DEPTH, POINTER_DEPTH) > 65536) $error("egret_core: a memory may be at most 65536 deep");
  end

  logic clk, rst;
  assign clk = ap_clk;
  always_ff @(posedge ap_clk) rst <= !ap_rst_n;

  // -- registers
  logic start, done, generating;
  logic [31:0] status, command, flags, token_count;
  logic [63:0] image_address, tokens_address, results_address, logits_address, counters_address;
  logic registers_clk, bvalid, rvalid;
  assign s_axi_control_bvalid = ap_rst_n && bvalid;
  assign s_axi_control_rvalid = ap_rst_n && rvalid;
  clock_gate registers_gate (
      .clk,
      .run  (rst || s_axi_control_awvalid || s_axi_control_wvalid || s_axi_control_bvalid || s_axi_control_arvalid
             || s_axi_control_rvalid || start || done),
      .gated(registers_clk)
  );
  control_registers registers (
      .clk          (registers_clk),
      .rst,
      .s_axi_awaddr (s_axi_control_awaddr),
      .s_axi_awvalid(s_axi_control_awvalid),
      .s_axi_awready(s_axi_control_awready),
      .s_axi_wdata  (s_axi_control_wdata),
      .s_axi_wstrb  (s_axi_control_wstrb),
      .s_axi_wvalid (s_axi_control_wvalid),
      .s_axi_wready (s_axi_control_wready),
      .s_axi_bresp  (s_axi_control_bresp),
      .s_axi_bvalid (bvalid),
      .s_axi_bready (s_axi_control_bready),
      .s_axi_araddr (s_axi_control_araddr),
      .s_axi_arvalid(s_axi_control_arvalid),
      .s_axi_arready(s_axi_control_arready),
      .s_axi_rdata  (s_axi_control_rdata),
      .s_axi_rresp  (s_axi_control_rresp),
      .s_axi_rvalid (rvalid),
      .s_axi_rready (s_axi_control_rready),
      .interrupt,
      .start,
      .done,
      .status,
      .command,
      .generating,
      .flags,
      .token_count,
      .image_address,
      .tokens_address,
      .results_address,
      .logits_address,
      .counters_address
  );

  // -- model
  logic load_start, load_abort, load_busy, load_done;
  logic [7:0] load_error;
  logic [3:0] layers;
  logic [31:0] vocabulary, decoder_positions;
  kernel_types_pkg::tiles_t tiles;
  kernel_types_pkg::layer_t [egret_pkg::IMAGE_MAX_LAYERS-1:0] layer;
  logic [egret_pkg::IMAGE_MAX_LAYERS-1:0][15:0] position_base;
  logic [15:0] decoder_groups, tile_pointer_base, tile_pointers, table_plane_beats, table_row_beats;
  logic [ENGINES-1:0][63:0] table_address, columns_address;
  logic [ENGINES-1:0][31:0] columns_beats;
  logic [ENGINES-1:0] mark_done;
  logic [ENGINES-1:0] load_request_valid, walk_request_valid;
  kernel_types_pkg::request_t load_request, walk_request;
  logic [ENGINES-1:0][63:0] load_request_address, walk_request_address;
  logic request_accepted;

  // -- engines
  logic [ENGINES-1:0] engine_request_ready, engine_request_valid;
  kernel_types_pkg::request_t engine_request;
  logic [ENGINES-1:0][63:0] engine_request_address;
  logic clear, run_begin, update_start, update_wave, sweep_start, sweep_bank, sweep_first, sweep_last, write_logits;
  logic [15:0] clear_address, sweep_groups;
  kernel_types_pkg::layer_t update_layer;
  logic [ENGINES-1:0] update_ready, update_busy, sweep_busy, sweep_waiting, fetch_busy, write_busy, best_valid;
  logic [ENGINES-1:0][31:0] best_logit, best_word;
  logic [ENGINES-1:0] event_valid;
  logic [ENGINES-1:0][15:0] event_neuron;
  logic [ENGINES-1:0][7:0] event_value;
  // The engines' updates keep step, so engine 0's say for all of them whose the events are, and when they end.
  logic [ENGINES-1:0][2:0] event_layer;
  logic [ENGINES-1:0] event_last;
  logic [ENGINES-1:0] beat_valid;
  kernel_types_pkg::destination_e [ENGINES-1:0] beat_destination;
  logic [ENGINES-1:0][23:0] beat_index;
  logic [ENGINES-1:0][8*BUS_BYTES-1:0] beat_data;
  logic [ENGINES-1:0] logits_job_valid, logits_job_ready;
  logic [ENGINES-1:0][63:0] logits_job_address;
  logic [23:0] logits_job_beats;
  logic [ENGINES-1:0] extra_job_valid, extra_job_ready, extra_data_valid, extra_data_ready;
  logic [63:0] extra_job_address;
  logic [23:0] extra_job_beats;
  logic [8*BUS_BYTES-1:0] extra_data;
  logic [ENGINES-1:0] reading, waiting, counted_beat, column_error, read_error, write_error;
  logic [ENGINES-1:0][7:0] macs;

  logic loader_clk;
  clock_gate loader_gate (
      .clk,
      .run  (rst || load_start || load_busy),
      .gated(loader_clk)
  );
  image_loader #(
      .ENGINES(ENGINES),
      .LANES(LANES),
      .BUS_BYTES(BUS_BYTES),
      .WEIGHT_BITS(WEIGHT_BITS),
      .GAP_BITS(GAP_BITS),
      .DECODER_LANES(DECODER_LANES),
      .DECODER_WEIGHT_BITS(DECODER_WEIGHT_BITS),
      .DECODER_GAP_BITS(DECODER_GAP_BITS),
      .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
      .NEURON_DEPTH(NEURON_DEPTH),
      .ACCUMULATOR_DEPTH(ACCUMULATOR_DEPTH),
      .LOGIT_DEPTH(LOGIT_DEPTH),
      .DECODER_DEPTH(DECODER_DEPTH),
      .POINTER_DEPTH(POINTER_DEPTH)
  ) loader (
      .clk          (loader_clk),
      .rst,
      .start        (load_start),
      .image_address,
      .abort        (load_abort),
      .busy         (load_busy),
      .done         (load_done),
      .error        (load_error),
      .beat_valid   (beat_valid[0] && beat_destination[0] == kernel_types_pkg::TO_HEADER),
      .beat_index   (beat_index[0]),
      .beat_data    (beat_data[0]),
      .request_valid(load_request_valid),
      .request      (load_request),
      .request_address(load_request_address),
      .request_ready(request_accepted),
      .mark_done,
      .layers,
      .vocabulary,
      .layer,
      .position_base,
      .decoder_groups,
      .decoder_positions,
      .tiles,
      .tile_pointer_base,
      .tile_pointers,
      .table_plane_beats,
      .table_row_beats,
      .table_address,
      .columns_address,
      .columns_beats
  );

  // -- events
  logic play_start, play_busy, column_request_valid, column_request_ready;
  kernel_types_pkg::play_t play;
  logic [3:0] record_number;
  kernel_types_pkg::request_t column_request;
  logic [egret_pkg::IMAGE_MAX_LAYERS-1:0][15:0] events;
  event_queue #(
      .ENGINES(ENGINES),
      .NEURON_DEPTH(NEURON_DEPTH),
      .MAX_LAYERS(egret_pkg::IMAGE_MAX_LAYERS)
  ) queue (
      .clk,
      .rst,
      .layers,
      .clear,
      .run_begin,
      .append_start (update_start),
      .append_layer (update_layer.layer),
      .position_base,
      .event_valid,
      .event_layer  (event_layer[0]),
      .event_neuron,
      .event_value,
      .event_last   (event_last[0]),
      .play_start,
      .play,
      .play_busy,
      .request_valid(column_request_valid),
      .request      (column_request),
      .request_ready(column_request_ready),
      .record_token (record_number),
      .record_events(events)
  );

  // -- one request stream: a request is taken in one cycle by the engines that it is for, once every engine has room
  //    (whether or not it is for all: so readiness does not depend on what is asked). The loader, the sequencer and
  //    the event queue never ask at once.
  logic [ENGINES-1:0] wanted;
  logic all_ready;
  always_comb begin
    wanted                 = walk_request_valid;
    engine_request         = walk_request;
    engine_request_address = walk_request_address;
    if (load_busy) begin
      wanted                 = load_request_valid;
      engine_request         = load_request;
      engine_request_address = load_request_address;
    end
    if (column_request_valid) begin
      wanted         = '1;
      engine_request = column_request;
    end
  end
  assign all_ready            = &engine_request_ready;
  assign engine_request_valid = all_ready ? wanted : '0;
  assign request_accepted     = all_ready && !column_request_valid;
  assign column_request_ready = all_ready;

  // -- tokens and results
  logic token_clear, chunk_request, chunk_room, token_valid, token_take, record_valid, record_ready;
  logic [31:0] token, record_word, record_logit, record_token, record_cycles;
  logic [63:0] record_address;
  logic record_job_valid, record_job_ready, record_data_valid, record_data_ready, token_interface_busy;
  logic [63:0] record_job_address;
  logic [23:0] record_job_beats;
  logic [8*BUS_BYTES-1:0] record_data;
  logic token_beat, tokens_clk;
  assign token_beat = beat_valid[0] && beat_destination[0] == kernel_types_pkg::TO_TOKENS;
  clock_gate tokens_gate (
      .clk,
      .run  (rst || token_clear || token_take || chunk_request || record_valid || token_interface_busy
             || token_beat),
      .gated(tokens_clk)
  );
  token_interface #(
      .BUS_BYTES(BUS_BYTES)
  ) tokens (
      .clk          (tokens_clk),
      .rst,
      .token_clear,
      .beat_valid   (token_beat),
      .beat_data    (beat_data[0]),
      .chunk_request,
      .chunk_room,
      .token_valid,
      .token,
      .token_take,
      .record_valid,
      .record_ready,
      .record_address,
      .record_word,
      .record_logit,
      .record_token,
      .record_cycles,
      .record_events(events),
      .job_valid    (record_job_valid),
      .job_ready    (record_job_ready),
      .job_address  (record_job_address),
      .job_beats    (record_job_beats),
      .data_valid   (record_data_valid),
      .data         (record_data),
      .data_ready   (record_data_ready),
      .busy         (token_interface_busy)
  );

  // -- counters
  logic counters_clear, counters_running, counters_write, counters_busy;
  logic counters_job_valid, counters_data_valid;
  logic [63:0] counters_job_address;
  logic [23:0] counters_job_beats;
  logic [8*BUS_BYTES-1:0] counters_data;
  counters #(
      .ENGINES(ENGINES),
      .BUS_BYTES(BUS_BYTES),
      .BUILD(BUILD),
      .DECODER_BUILD(DECODER_BUILD),
      .LIMITS(LIMITS)
  ) counts (
      .clk,
      .rst,
      .clear          (counters_clear),
      .running        (counters_running),
      .beat           (counted_beat),
      .waiting,
      .unhidden_update((update_busy != '0 || sweep_busy != '0) && reading == '0),
      .write_waiting  (sweep_waiting != '0),
      .macs,
      .event_layer    (event_layer[0]),
      .event_valid,
      .write_start    (counters_write),
      .write_address  (counters_address),
      .status,
      .job_valid      (counters_job_valid),
      .job_ready      (extra_job_ready[0]),
      .job_address    (counters_job_address),
      .job_beats      (counters_job_beats),
      .data_valid     (counters_data_valid),
      .data           (counters_data),
      .data_ready     (extra_data_ready[0]),
      .busy           (counters_busy)
  );

  // Results and counters share engine 0's writer; counters go out when no result is left.
  always_comb begin
    extra_job_valid     = '0;
    extra_data_valid    = '0;
    extra_job_valid[0]  = counters_busy ? counters_job_valid : record_job_valid;
    extra_data_valid[0] = counters_busy ? counters_data_valid : record_data_valid;
  end
  assign extra_job_address = counters_busy ? counters_job_address : record_job_address;
  assign extra_job_beats   = counters_busy ? counters_job_beats : record_job_beats;
  assign extra_data        = counters_busy ? counters_data : record_data;
  assign record_job_ready  = !counters_busy && extra_job_ready[0];
  assign record_data_ready = !counters_busy && extra_data_ready[0];

  sequencer #(
      .ENGINES(ENGINES),
      .BUS_BYTES(BUS_BYTES),
      .CLEAR_DEPTH(CLEAR_DEPTH),
      .LOGIT_BANK_GROUPS(LOGIT_DEPTH / kernel_types_pkg::LOGIT_BANKS)
  ) walk (
      .clk,
      .rst,
      .start,
      .done,
      .status,
      .command,
      .generating,
      .flags,
      .token_count,
      .image_address,
      .tokens_address,
      .results_address,
      .logits_address,
      .counters_address,
      .load_start,
      .load_abort,
      .load_done,
      .load_error,
      .layers,
      .vocabulary,
      .layer,
      .decoder_positions,
      .tiles,
      .tile_pointer_base,
      .tile_pointers,
      .table_row_beats,
      .table_address,
      .request_valid(walk_request_valid),
      .request      (walk_request),
      .request_address(walk_request_address),
      .request_ready(request_accepted),
      .play_start,
      .play,
      .play_busy,
      .mark_done,
      .clear,
      .clear_address,
      .update_start,
      .update_layer,
      .update_wave,
      .update_ready,
      .update_busy,
      .run_begin,
      .sweep_start,
      .sweep_bank,
      .sweep_first,
      .sweep_last,
      .sweep_groups,
      .write_logits,
      .sweep_busy,
      .best_valid,
      .best_logit,
      .best_word,
      .logits_job_valid,
      .logits_job_ready,
      .logits_job_address,
      .logits_job_beats,
      .fetch_busy,
      .write_busy,
      .column_error (column_error != '0),
      .read_error   (read_error != '0),
      .write_error  (write_error != '0),
      .token_clear,
      .chunk_request,
      .chunk_room,
      .token_valid,
      .token,
      .token_take,
      .record_valid,
      .record_ready,
      .record_address,
      .record_word,
      .record_logit,
      .record_token,
      .record_cycles,
      .record_number,
      .token_interface_busy,
      .counters_clear,
      .counters_running,
      .counters_write,
      .counters_busy
  );

  // Valids fall with the reset; everything else hears of it a cycle later.
  logic [ENGINES-1:0] arvalid, awvalid, wvalid;
  assign m_axi_arvalid = ap_rst_n ? arvalid : '0;
  assign m_axi_awvalid = ap_rst_n ? awvalid : '0;
  assign m_axi_wvalid  = ap_rst_n ? wvalid : '0;

  for (genvar e = 0; e < ENGINES; e++) begin : g_engine
    engine #(
        .ENGINES(ENGINES),
        .ENGINE(e),
        .LANES(LANES),
        .BUS_BYTES(BUS_BYTES),
        .WEIGHT_BITS(WEIGHT_BITS),
        .GAP_BITS(GAP_BITS),
        .DECODER_LANES(DECODER_LANES),
        .DECODER_WEIGHT_BITS(DECODER_WEIGHT_BITS),
        .DECODER_GAP_BITS(DECODER_GAP_BITS),
        .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
        .NEURON_DEPTH(NEURON_DEPTH),
        .ACCUMULATOR_DEPTH(ACCUMULATOR_DEPTH),
        .LOGIT_DEPTH(LOGIT_DEPTH),
        .DECODER_DEPTH(DECODER_DEPTH),
        .POINTER_DEPTH(POINTER_DEPTH),
        .MAX_BURST_BEATS(MAX_BURST_BEATS),
        .READS_IN_FLIGHT(READS_IN_FLIGHT)
    ) engine (
        .clk,
        .rst,
        .request_valid     (engine_request_valid[e]),
        .request_ready     (engine_request_ready[e]),
        .request           (engine_request),
        .request_address   (engine_request_address[e]),
        .mark_done         (mark_done[e]),
        .columns_address   (columns_address[e]),
        .columns_beats     (columns_beats[e]),
        .table_plane_beats,
        .clear,
        .clear_address,
        .update_start,
        .layer             (update_layer),
        .update_wave,
        .update_ready      (update_ready[e]),
        .update_busy       (update_busy[e]),
        .sweep_start,
        .sweep_bank,
        .sweep_first,
        .sweep_last,
        .sweep_groups,
        .write_logits,
        .decoder_compact   (decoder_groups > 16'(DECODER_DEPTH)),
        .vocabulary,
        .sweep_busy        (sweep_busy[e]),
        .sweep_waiting     (sweep_waiting[e]),
        .best_valid        (best_valid[e]),
        .best_logit        (best_logit[e]),
        .best_word         (best_word[e]),
        .event_valid       (event_valid[e]),
        .event_neuron      (event_neuron[e]),
        .event_value       (event_value[e]),
        .event_layer       (event_layer[e]),
        .event_last        (event_last[e]),
        .beat_valid        (beat_valid[e]),
        .beat_destination  (beat_destination[e]),
        .beat_index        (beat_index[e]),
        .beat_data         (beat_data[e]),
        .logits_job_valid  (logits_job_valid[e]),
        .logits_job_ready  (logits_job_ready[e]),
        .logits_job_address(logits_job_address[e]),
        .logits_job_beats,
        .extra_job_valid   (extra_job_valid[e]),
        .extra_job_ready   (extra_job_ready[e]),
        .extra_job_address,
        .extra_job_beats,
        .extra_data_valid  (extra_data_valid[e]),
        .extra_data,
        .extra_data_ready  (extra_data_ready[e]),
        .reading           (reading[e]),
        .waiting           (waiting[e]),
        .counted_beat      (counted_beat[e]),
        .macs              (macs[e]),
        .fetch_busy        (fetch_busy[e]),
        .write_busy        (write_busy[e]),
        .column_error      (column_error[e]),
        .read_error        (read_error[e]),
        .write_error       (write_error[e]),
        .m_axi_arvalid     (arvalid[e]),
        .m_axi_arready     (m_axi_arready[e]),
        .m_axi_araddr      (m_axi_araddr[e]),
        .m_axi_arlen       (m_axi_arlen[e]),
        .m_axi_rvalid      (m_axi_rvalid[e]),
        .m_axi_rready      (m_axi_rready[e]),
        .m_axi_rdata       (m_axi_rdata[e]),
        .m_axi_rresp       (m_axi_rresp[e]),
        .m_axi_rlast       (m_axi_rlast[e]),
        .m_axi_awvalid     (awvalid[e]),
        .m_axi_awready     (m_axi_awready[e]),
        .m_axi_awaddr      (m_axi_awaddr[e]),
        .m_axi_awlen       (m_axi_awlen[e]),
        .m_axi_wvalid      (wvalid[e]),
        .m_axi_wready      (m_axi_wready[e]),
        .m_axi_wdata       (m_axi_wdata[e]),
        .m_axi_wstrb       (m_axi_wstrb[e]),
        .m_axi_wlast       (m_axi_wlast[e]),
        .m_axi_bvalid      (m_axi_bvalid[e]),
        .m_axi_bready      (m_axi_bready[e]),
        .m_axi_bresp       (m_axi_bresp[e])
    );
  end

endmodule
