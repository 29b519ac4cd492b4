// An engine: one AXI read port, the lanes behind it with their accumulators, and the neuron update and decoder
// sweep of the neurons and words dealt to it. Also writes logits (every engine), results and counters (engine
// 0: `extra` job) through the port's write channel.
module engine #(
    parameter int unsigned ENGINES           = 2,
    parameter int unsigned ENGINE            = 0,
    parameter int unsigned LANES             = 5,
    parameter int unsigned BUS_BYTES         = 8,
    parameter int unsigned WEIGHT_BITS       = 8,
    parameter int unsigned GAP_BITS          = 4,
    parameter int unsigned DECODER_LANES     = 5,
    parameter int unsigned DECODER_WEIGHT_BITS = 8,
    parameter int unsigned DECODER_GAP_BITS  = 4,
    parameter int unsigned ACCUMULATOR_BITS  = 28,
    parameter int unsigned NEURON_DEPTH      = 2048,
    parameter int unsigned ACCUMULATOR_DEPTH = 1024,
    parameter int unsigned LOGIT_DEPTH       = 1024,
    parameter int unsigned DECODER_DEPTH     = 1024,
    parameter int unsigned POINTER_DEPTH     = 8192,
    parameter int unsigned MAX_BURST_BEATS   = 16,
    parameter int unsigned READS_IN_FLIGHT   = 8
) (
    input logic clk,
    input logic rst,

    input  logic     request_valid,
    output logic     request_ready,
    input  kernel_types_pkg::request_t request,
    input  logic [63:0] request_address,
    output logic     mark_done,

    input logic [63:0] columns_address,
    input logic [31:0] columns_beats,
    input logic [15:0] table_plane_beats,

    input logic        clear,          // zero the state and accumulators at clear_address
    input logic [15:0] clear_address,

    input  logic   update_start,
    input  kernel_types_pkg::layer_t layer,
    input  logic   update_wave,     // parity of the wave that the update belongs to
    output logic   update_ready,    // the next update may start
    output logic   update_busy,

    input  logic               sweep_start,
    input  logic               sweep_bank,     // where the tile's sums begin
    input  logic               sweep_first,    // the token's first tile
    input  logic               sweep_last,
    input  logic [15:0]        sweep_groups,   // of the tile
    input  logic               write_logits,
    input  logic               decoder_compact,
    input  logic [31:0]        vocabulary,
    output logic               sweep_busy,
    output logic               sweep_waiting,  // for room to write logits
    output logic               best_valid,
    output logic signed [31:0] best_logit,
    output logic [31:0]        best_word,

    output logic        event_valid,
    output logic [15:0] event_neuron,
    output logic [7:0]  event_value,
    output logic [2:0]  event_layer,
    output logic        event_last,   // pulse: the update is over, no more events of it will come

    // -- header and token beats, for whoever asked
    output logic                   beat_valid,
    output kernel_types_pkg::destination_e           beat_destination,
    output logic [23:0]            beat_index,
    output logic [8*BUS_BYTES-1:0] beat_data,

    // -- write jobs: logits (data from the decoder sweep), and one with data of its own
    input  logic                   logits_job_valid,
    output logic                   logits_job_ready,
    input  logic [63:0]            logits_job_address,
    input  logic [23:0]            logits_job_beats,
    input  logic                   extra_job_valid,
    output logic                   extra_job_ready,
    input  logic [63:0]            extra_job_address,
    input  logic [23:0]            extra_job_beats,
    input  logic                   extra_data_valid,
    input  logic [8*BUS_BYTES-1:0] extra_data,
    output logic                   extra_data_ready,

    output logic       reading,
    output logic       waiting,
    output logic       counted_beat,  // of a column or a table row
    output logic [7:0] macs,          // done for the beat two cycles ago
    output logic       fetch_busy,
    output logic       write_busy,
    output logic       column_error,
    output logic       read_error,
    output logic       write_error,

    output logic                   m_axi_arvalid,
    input  logic                   m_axi_arready,
    output logic [63:0]            m_axi_araddr,
    output logic [7:0]             m_axi_arlen,
    input  logic                   m_axi_rvalid,
    output logic                   m_axi_rready,
    input  logic [8*BUS_BYTES-1:0] m_axi_rdata,
    input  logic [1:0]             m_axi_rresp,
    input  logic                   m_axi_rlast,
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
    input  logic [1:0]             m_axi_bresp
);

  localparam int unsigned ENTRY_BITS         = WEIGHT_BITS + GAP_BITS;
  localparam int unsigned DECODER_ENTRY_BITS = DECODER_WEIGHT_BITS + DECODER_GAP_BITS;
  localparam int unsigned ACCUMULATOR_ADDRESS_BITS = $clog2(ACCUMULATOR_DEPTH);
  localparam int unsigned LOGIT_ADDRESS_BITS       = $clog2(LOGIT_DEPTH / kernel_types_pkg::LOGIT_BANKS);

  initial begin
    if (LANES * ENTRY_BITS > 8 * BUS_BYTES) $error("engine: LANES entries of %0d bits do not fit a beat", ENTRY_BITS);
    if (DECODER_LANES * DECODER_ENTRY_BITS > 8 * BUS_BYTES) begin
      $error("engine: DECODER_LANES entries of %0d bits do not fit a beat", DECODER_ENTRY_BITS);
    end
  end

  // -- fetch
  logic beat_first;
  logic [7:0] beat_value;
  logic [2:0] beat_bank;
  logic [15:0] beat_accumulator_base;

  column_fetcher #(
      .BUS_BYTES(BUS_BYTES),
      .POINTER_DEPTH(POINTER_DEPTH),
      .MAX_BURST_BEATS(MAX_BURST_BEATS),
      .READS_IN_FLIGHT(READS_IN_FLIGHT)
  ) fetcher (
      .clk,
      .rst,
      .request_valid,
      .request_ready,
      .request,
      .request_address,
      .columns_address,
      .columns_beats,
      .pointer_write      (beat_valid && beat_destination == kernel_types_pkg::TO_POINTERS),
      .pointer_write_index(beat_index[15:0]),
      .pointer_write_data (beat_data[31:0]),
      .m_axi_arvalid,
      .m_axi_arready,
      .m_axi_araddr,
      .m_axi_arlen,
      .m_axi_rvalid,
      .m_axi_rready,
      .m_axi_rdata,
      .m_axi_rresp,
      .m_axi_rlast,
      .beat_valid,
      .beat_data,
      .beat_first,
      .beat_index,
      .beat_destination,
      .beat_value,
      .beat_bank,
      .beat_accumulator_base,
      .mark_done,
      .waiting,
      .reading,
      .busy               (fetch_busy),
      .column_error,
      .read_error
  );

  assign counted_beat = beat_valid && (beat_destination == kernel_types_pkg::TO_LANES
                                       || beat_destination == kernel_types_pkg::TO_TABLE);

  // -- lanes: those of the layers and those of the decoder, each with its own entries and accumulators
  logic column_beat, decoder_beat;
  assign column_beat  = beat_valid && beat_destination == kernel_types_pkg::TO_LANES;
  assign decoder_beat = beat_bank[kernel_types_pkg::BANK_DECODER_BIT];

  logic [kernel_types_pkg::LAYER_BANKS-1:0] sweep_enable, update_sweep_enable;
  logic [15:0] update_sweep_address;
  logic [LANES-1:0][ACCUMULATOR_BITS-1:0] layer_sum;
  logic [7:0] layer_macs, decoder_macs;
  assign sweep_enable = clear ? '1 : update_sweep_enable;
  lane_group #(
      .LANES(LANES),
      .WEIGHT_BITS(WEIGHT_BITS),
      .GAP_BITS(GAP_BITS),
      .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
      .BANKS(kernel_types_pkg::LAYER_BANKS),
      .DEPTH(ACCUMULATOR_DEPTH)
  ) layer_lanes (
      .clk,
      .rst,
      .beat_valid   (column_beat && !decoder_beat),
      .beat_first,
      .entries      (beat_data[LANES*ENTRY_BITS-1:0]),
      .value        (beat_value),
      .base         ({beat_bank[1:0], beat_accumulator_base[ACCUMULATOR_ADDRESS_BITS-1:0]}),
      .macs         (layer_macs),
      .sweep_enable,
      .sweep_address(clear ? clear_address : update_sweep_address),
      .sweep_sum    (layer_sum)
  );

  logic [kernel_types_pkg::LOGIT_BANKS-1:0] logit_enable;
  logic sweep_logit_enable, bank_swept, swept_bank;
  logic [15:0] sweep_logit_address;
  logic [DECODER_LANES-1:0][ACCUMULATOR_BITS-1:0] logit_sum;
  always_ff @(posedge clk) if (sweep_start) bank_swept <= sweep_bank;
  assign swept_bank   = bank_swept ^ sweep_logit_address[LOGIT_ADDRESS_BITS];
  assign logit_enable = clear ? '1 : sweep_logit_enable ? {swept_bank, !swept_bank} : '0;
  lane_group #(
      .LANES(DECODER_LANES),
      .WEIGHT_BITS(DECODER_WEIGHT_BITS),
      .GAP_BITS(DECODER_GAP_BITS),
      .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
      .BANKS(kernel_types_pkg::LOGIT_BANKS),
      .DEPTH(LOGIT_DEPTH / kernel_types_pkg::LOGIT_BANKS)
  ) decoder_lanes (
      .clk,
      .rst,
      .beat_valid   (column_beat && decoder_beat),
      .beat_first,
      .entries      (beat_data[DECODER_LANES*DECODER_ENTRY_BITS-1:0]),
      .value        (beat_value),
      .base         ({beat_bank[0], beat_accumulator_base[LOGIT_ADDRESS_BITS-1:0]}),
      .macs         (decoder_macs),
      .sweep_enable (logit_enable),
      .sweep_address(clear ? clear_address : sweep_logit_address),
      .sweep_sum    (logit_sum)
  );
  assign macs = layer_macs | decoder_macs;  // a beat is for one of them only

  // -- clocks of the units that idle most of the time (in simulation, see clock_gate)
  logic memory_beat, memory_beat_before, update_clk, sweep_clk;
  assign memory_beat = beat_valid && beat_destination != kernel_types_pkg::TO_LANES;
  always_ff @(posedge clk) memory_beat_before <= memory_beat;
  clock_gate update_gate (
      .clk,
      .run  (rst || update_start || update_busy || clear || memory_beat),
      .gated(update_clk)
  );
  clock_gate sweep_gate (
      .clk,
      .run  (rst || sweep_start || sweep_busy || memory_beat || memory_beat_before),
      .gated(sweep_clk)
  );

  // -- neuron records: 16 bytes, of which the last four are zero
  logic record_write;
  logic [15:0] record_write_position;
  logic [95:0] record_write_data;
  if (BUS_BYTES == 16) begin : g_record_in_a_beat
    assign record_write          = beat_valid && beat_destination == kernel_types_pkg::TO_NEURONS;
    assign record_write_position = beat_index[15:0];
    assign record_write_data     = beat_data[95:0];
  end else begin : g_record_in_two_beats
    logic [63:0] biases;
    always_ff @(posedge clk) if (beat_valid) biases <= beat_data[63:0];
    assign record_write          = beat_valid && beat_destination == kernel_types_pkg::TO_NEURONS && beat_index[0];
    assign record_write_position = beat_index[16:1];
    assign record_write_data     = {beat_data[31:0], biases};
  end

  // -- table rows: three planes of table_plane_beats
  logic table_beat;
  logic [1:0] table_plane, table_plane_now;
  logic [15:0] table_word, table_word_now;
  assign table_beat      = beat_valid && beat_destination == kernel_types_pkg::TO_TABLE;
  assign table_plane_now = beat_first ? 2'd0 : table_plane;
  assign table_word_now  = beat_first ? 16'd0 : table_word;
  always_ff @(posedge clk) begin
    if (table_beat) begin
      if (table_word_now == table_plane_beats - 16'd1) begin
        table_plane <= table_plane_now + 2'd1;
        table_word  <= '0;
      end else begin
        table_plane <= table_plane_now;
        table_word  <= table_word_now + 16'd1;
      end
    end
  end

  neuron_update #(
      .ENGINES(ENGINES),
      .ENGINE(ENGINE),
      .LANES(LANES),
      .BUS_BYTES(BUS_BYTES),
      .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
      .NEURON_DEPTH(NEURON_DEPTH)
  ) update (
      .clk              (update_clk),
      .rst,
      .start            (update_start),
      .layer,
      .wave             (update_wave),
      .ready            (update_ready),
      .busy             (update_busy),
      .sweep_enable     (update_sweep_enable),
      .sweep_address    (update_sweep_address),
      .sweep_sum        (layer_sum),
      .record_write,
      .record_write_position,
      .record_write_data,
      .table_write      (table_beat),
      .table_write_buffer(beat_bank[0]),
      .table_write_plane(table_plane_now),
      .table_write_word (table_word_now),
      .table_write_data (beat_data),
      .clear_state      (clear),
      .clear_position   (clear_address),
      .event_valid,
      .event_neuron,
      .event_value,
      .event_layer,
      .event_last
  );

  // -- decoder
  logic logits_valid, logits_ready;
  logic [8*BUS_BYTES-1:0] logits_data;
  decoder_sweep #(
      .ENGINES(ENGINES),
      .ENGINE(ENGINE),
      .LANES(DECODER_LANES),
      .BUS_BYTES(BUS_BYTES),
      .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
      .DECODER_DEPTH(DECODER_DEPTH)
  ) decoder (
      .clk               (sweep_clk),
      .rst,
      .start             (sweep_start),
      .first             (sweep_first),
      .last              (sweep_last),
      .groups            (sweep_groups),
      .compact           (decoder_compact),
      .write_logits,
      .vocabulary,
      .busy              (sweep_busy),
      .waiting           (sweep_waiting),
      .logit_enable      (sweep_logit_enable),
      .logit_address     (sweep_logit_address),
      .logit_sum,
      .record_write      (beat_valid && beat_destination == kernel_types_pkg::TO_DECODER),
      .record_write_first(beat_first),
      .record_write_data (beat_data[19:0]),
      .best_valid,
      .best_logit,
      .best_word,
      .beat_valid        (logits_valid),
      .beat_data         (logits_data),
      .beat_ready        (logits_ready)
  );

  // -- write: one job at a time; its data comes from whoever brought the job
  logic job_ready, data_ready, writing_logits;
  assign logits_job_ready = job_ready;
  assign extra_job_ready  = job_ready && !logits_job_valid;
  assign logits_ready     = data_ready && writing_logits && logits_valid;
  assign extra_data_ready = data_ready && !writing_logits && extra_data_valid;
  always_ff @(posedge clk) begin
    if (job_ready) writing_logits <= logits_job_valid;
  end

  logic writer_clk;
  clock_gate writer_gate (
      .clk,
      .run  (rst || logits_job_valid || extra_job_valid || write_busy || write_error),
      .gated(writer_clk)
  );
  axi_writer #(
      .BUS_BYTES(BUS_BYTES),
      .MAX_BURST_BEATS(MAX_BURST_BEATS)
  ) writer (
      .clk        (writer_clk),
      .rst,
      .job_valid  (logits_job_valid || extra_job_valid),
      .job_ready,
      .job_address(logits_job_valid ? logits_job_address : extra_job_address),
      .job_beats  (logits_job_valid ? logits_job_beats : extra_job_beats),
      .data_valid (writing_logits ? logits_valid : extra_data_valid),
      .data_ready,
      .data       (writing_logits ? logits_data : extra_data),
      .m_axi_awvalid,
      .m_axi_awready,
      .m_axi_awaddr,
      .m_axi_awlen,
      .m_axi_wvalid,
      .m_axi_wready,
      .m_axi_wdata,
      .m_axi_wstrb,
      .m_axi_wlast,
      .m_axi_bvalid,
      .m_axi_bready,
      .m_axi_bresp,
      .busy       (write_busy),
      .write_error
  );

endmodule
