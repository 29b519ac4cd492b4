// Turns requests into AXI read bursts, several in flight, and routes the data beats that come back, in order.
//
//   look up   where a neuron's forward column begins, where it ends and the recurrent one begins, and where that
//             ends: three pointers in a row, each from another of four memories, so all in one cycle
//   check     two registers later: are the columns in order, and have they beats at all?
//   split     a job (address, beats) into bursts (burst_split), at most READS_IN_FLIGHT requested and not complete
//   route     each job left a descriptor in a queue; beats are matched with descriptors in order
//
// The two columns of a neuron stand side by side in memory and are one job: a port takes only so many bursts at a
// time, however short, and a small network's columns are short. Columns without beats cost no burst. Columns whose
// pointers are out of order or end outside the columns section are not read and raise `column_error`. Marks
// travel through the same queue and come out as `mark_done` once every beat before them has passed through the lanes.
module column_fetcher #(
    parameter int unsigned BUS_BYTES       = 8,
    parameter int unsigned POINTER_DEPTH   = 8192,
    parameter int unsigned MAX_BURST_BEATS = 16,
    parameter int unsigned READS_IN_FLIGHT = 8
) (
    input logic clk,
    input logic rst,

    input  logic     request_valid,
    output logic     request_ready,
    input  kernel_types_pkg::request_t request,
    input  logic [63:0] request_address,  // block: its first byte

    input logic [63:0] columns_address,  // first byte of the columns section
    input logic [31:0] columns_beats,

    input logic        pointer_write,
    input logic [15:0] pointer_write_index,
    input logic [31:0] pointer_write_data,

    output logic                   m_axi_arvalid,
    input  logic                   m_axi_arready,
    output logic [63:0]            m_axi_araddr,
    output logic [7:0]             m_axi_arlen,
    input  logic                   m_axi_rvalid,
    output logic                   m_axi_rready,
    input  logic [8*BUS_BYTES-1:0] m_axi_rdata,
    input  logic [1:0]             m_axi_rresp,
    input  logic                   m_axi_rlast,

    output logic                   beat_valid,
    output logic [8*BUS_BYTES-1:0] beat_data,
    output logic                   beat_first,  // first of its column or block
    output logic [23:0]            beat_index,  // within its column or block
    output kernel_types_pkg::destination_e           beat_destination,
    output logic [7:0]             beat_value,
    output logic [2:0]             beat_bank,    // of a table row: its buffer
    output logic [15:0]            beat_accumulator_base,

    output logic mark_done,
    output logic reading,       // a burst is requested and not complete
    output logic waiting,       // the same, and no data beat arrives in this cycle
    output logic busy,          // a request is somewhere between acceptance and its last beat's effect
    output logic column_error,  // pulse
    output logic read_error     // pulse
);

  localparam int unsigned BEAT_SHIFT = $clog2(BUS_BYTES);
  localparam int unsigned POINTER_BITS = $clog2(POINTER_DEPTH);
  // A beat's entries are added four cycles after it came, and can be read in the one after; a mark comes at the earliest
  // a cycle after the beat, and the first read of what was waiting for it a cycle after `mark_done`.
  localparam int unsigned MARK_DELAY = 3;

  initial if (BUS_BYTES != 8 && BUS_BYTES != 16) $error("column_fetcher: BUS_BYTES must be 8 or 16");

  typedef struct packed {
    kernel_types_pkg::destination_e destination;
    logic [7:0]   value;
    logic [2:0]   forward_bank;
    logic [15:0]  forward_base;
    logic [2:0]   recurrent_bank;
    logic [15:0]  recurrent_base;
    logic [23:0]  recurrent_index;  // of the first beat of the recurrent column, if it has any
    logic [23:0]  last_index;
  } descriptor_t;

  // -- requests wait here, so that one engine's stall does not hold up the others at once
  kernel_types_pkg::request_t head;
  logic [63:0] head_address;
  logic head_empty, head_pop, queue_full;
  assign request_ready = !queue_full;
  sync_fifo #(
      .WIDTH($bits(request) + 64),
      .DEPTH(8)
  ) request_queue (
      .clk,
      .rst,
      .push     (request_valid),
      .push_data({request, request_address}),
      .full     (queue_full),
      .pop      (head_pop),
      .head     ({head, head_address}),
      .empty    (head_empty)
  );

  // -- look up: pointer n is in memory n mod 4
  logic [POINTER_BITS-1:0] pointer_index;
  assign pointer_index = head.pointer[POINTER_BITS-1:0];

  // A pointer of more bits leads behind the largest section that the loader takes, and so does the largest that is kept.
  logic [3:0][egret_pkg::COLUMN_POINTER_BITS-1:0] read_pointer;
  logic [egret_pkg::COLUMN_POINTER_BITS-1:0] kept_pointer;
  assign kept_pointer = pointer_write_data[31:egret_pkg::COLUMN_POINTER_BITS] != '0 ? '1 : pointer_write_data[egret_pkg::COLUMN_POINTER_BITS-1:0];
  for (genvar m = 0; m < 4; m++) begin : g_pointers
    // The first of this memory's pointers at or after pointer_index.
    logic [POINTER_BITS:0] at_or_after;
    assign at_or_after = {1'b0, pointer_index} + (POINTER_BITS + 1)'(3 - m);
    block_memory #(
        .WIDTH(egret_pkg::COLUMN_POINTER_BITS),
        .DEPTH((POINTER_DEPTH + 3) / 4)
    ) pointers (
        .clk,
        .write_enable (pointer_write && pointer_write_index[1:0] == 2'(m)),
        .write_address(pointer_write_index[POINTER_BITS-1:2]),
        .write_data   (kept_pointer),
        .read_enable  (head_pop),
        .read_address (at_or_after[POINTER_BITS-1:2]),
        .read_data    (read_pointer[m])
    );
  end

  kernel_types_pkg::request_t lookup;
  logic [63:0] lookup_address;
  logic lookup_valid, lookup_advance;
  assign head_pop = !head_empty && (!lookup_valid || lookup_advance);

  always_ff @(posedge clk) begin
    if (rst) lookup_valid <= 1'b0;
    else if (head_pop) lookup_valid <= 1'b1;
    else if (lookup_advance) lookup_valid <= 1'b0;
    if (head_pop) begin
      lookup         <= head;
      lookup_address <= head_address;
    end
  end

  // A register between the memories and the arithmetic.
  kernel_types_pkg::request_t selected;
  logic [63:0] selected_address;
  logic selected_valid, selected_advance;
  logic [31:0] forward_beat, recurrent_beat, end_beat;  // where each column begins, and the second ends
  assign lookup_advance = lookup_valid && (!selected_valid || selected_advance);
  always_ff @(posedge clk) begin
    if (rst) selected_valid <= 1'b0;
    else if (lookup_advance) selected_valid <= 1'b1;
    else if (selected_advance) selected_valid <= 1'b0;
    if (lookup_advance) begin
      selected         <= lookup;
      selected_address <= lookup_address;
      forward_beat     <= 32'(read_pointer[lookup.pointer[1:0]]);
      recurrent_beat   <= 32'(read_pointer[lookup.pointer[1:0]+2'd1]);
      end_beat         <= 32'(read_pointer[lookup.pointer[1:0]+2'd2]);
    end
  end

  logic [31:0] first_beat, after_beat, total_beats;
  assign first_beat  = selected.forward ? forward_beat : recurrent_beat;
  assign after_beat  = selected.recurrent ? end_beat : recurrent_beat;
  assign total_beats = after_beat - first_beat;

  // -- check
  // The address is kept as a low half with a carry bit and a high half, which are added up only as a burst goes
  // out: a sum of 64 bits takes longer than anything else here.
  kernel_types_pkg::request_t checked;
  logic checked_valid, checked_advance;
  logic forward_reversed, recurrent_reversed, beyond_section;
  logic [23:0] checked_beats, checked_recurrent_index;
  logic [7:0] checked_beats_high;
  logic [32:0] checked_low;
  logic [31:0] checked_high;
  assign selected_advance = selected_valid && (!checked_valid || checked_advance);

  always_ff @(posedge clk) begin
    if (rst) checked_valid <= 1'b0;
    else if (selected_advance) checked_valid <= 1'b1;
    else if (checked_advance) checked_valid <= 1'b0;
    if (selected_advance) begin
      checked            <= selected;
      forward_reversed   <= recurrent_beat < forward_beat;
      recurrent_reversed <= end_beat < recurrent_beat;
      beyond_section     <= after_beat > columns_beats;
      if (selected.kind == kernel_types_pkg::REQUEST_COLUMN) begin
        {checked_beats_high, checked_beats} <= total_beats;
        checked_recurrent_index             <= selected.forward ? recurrent_beat[23:0] - forward_beat[23:0] : '0;
        // The columns section ends below 2^32 bytes from the image's start (the loader checked it).
        checked_low  <= {1'b0, columns_address[31:0]} + {1'b0, first_beat[31-BEAT_SHIFT:0], {BEAT_SHIFT{1'b0}}};
        checked_high <= columns_address[63:32];
      end else begin
        {checked_beats_high, checked_beats} <= {8'd0, selected.beats};
        checked_recurrent_index             <= '1;
        checked_low  <= {1'b0, selected_address[31:0]};
        checked_high <= selected_address[63:32];
      end
    end
  end

  // Longer than the beat counter holds is as wrong as out of order.
  logic column_bad, needs_job;
  assign column_bad = (forward_reversed && checked.forward) || (recurrent_reversed && checked.recurrent)
                      || beyond_section || checked_beats_high != '0;
  always_comb begin
    case (checked.kind)
      kernel_types_pkg::REQUEST_BLOCK:  needs_job = 1'b1;
      kernel_types_pkg::REQUEST_COLUMN: needs_job = !column_bad && checked_beats != '0;
      default:                          needs_job = 1'b0;
    endcase
  end

  // -- split
  logic        job_valid, job_ready, burst_known;
  logic [32:0] job_low;
  logic [31:0] job_high;
  logic [23:0] job_beats;
  logic [8:0]  burst_beats;
  logic        burst_issue, job_done;

  descriptor_t new_descriptor, descriptor;
  logic descriptor_push, descriptor_full, descriptor_pop, descriptor_empty, marks_full;
  assign checked_advance = checked_valid && !descriptor_full && !marks_full && (!needs_job || job_ready);
  assign descriptor_push = checked_advance && needs_job;
  always_ff @(posedge clk) begin
    column_error <= !rst && checked_advance && checked.kind == kernel_types_pkg::REQUEST_COLUMN && column_bad;
  end

  always_comb begin
    new_descriptor.destination     = checked.destination;
    new_descriptor.value           = checked.value;
    new_descriptor.forward_bank    = checked.forward_bank;
    new_descriptor.forward_base    = checked.forward_base;
    new_descriptor.recurrent_bank  = checked.recurrent_bank;
    new_descriptor.recurrent_base  = checked.recurrent_base;
    new_descriptor.recurrent_index = checked_recurrent_index;
    new_descriptor.last_index      = checked_beats - 24'd1;
  end

  sync_fifo #(
      .WIDTH($bits(new_descriptor)),
      .DEPTH(16)
  ) descriptor_queue (
      .clk,
      .rst,
      .push     (descriptor_push),
      .push_data(new_descriptor),
      .full     (descriptor_full),
      .pop      (descriptor_pop),
      .head     (descriptor),
      .empty    (descriptor_empty)
  );

  localparam int unsigned FLIGHT_BITS = $clog2(READS_IN_FLIGHT + 1);
  logic [FLIGHT_BITS-1:0] in_flight;
  logic burst_complete;
  assign burst_complete = m_axi_rvalid && m_axi_rready && m_axi_rlast;

  // A job's first burst is known with it, each next one the cycle after what it is made from.
  logic [8:0] first_burst, next_burst;
  burst_split #(
      .BUS_BYTES(BUS_BYTES),
      .MAX_BURST_BEATS(MAX_BURST_BEATS)
  ) split_first (
      .page_position(checked_low[11:BEAT_SHIFT]),
      .beats        (checked_beats),
      .burst_beats  (first_burst)
  );
  burst_split #(
      .BUS_BYTES(BUS_BYTES),
      .MAX_BURST_BEATS(MAX_BURST_BEATS)
  ) split_next (
      .page_position(job_low[11:BEAT_SHIFT]),
      .beats        (job_beats),
      .burst_beats  (next_burst)
  );

  assign burst_issue = job_valid && burst_known && (!m_axi_arvalid || m_axi_arready)
                       && in_flight < FLIGHT_BITS'(READS_IN_FLIGHT);
  assign job_done    = burst_issue && job_beats == 24'(burst_beats);
  assign job_ready   = !job_valid || job_done;

  always_ff @(posedge clk) begin
    if (job_ready) begin
      job_low   <= checked_low;
      job_high  <= checked_high;
      job_beats <= checked_beats;
    end else if (burst_issue) begin
      job_low   <= job_low + {{(24 - BEAT_SHIFT) {1'b0}}, burst_beats, {BEAT_SHIFT{1'b0}}};
      job_beats <= job_beats - 24'(burst_beats);
    end
    burst_beats <= job_ready ? first_burst : next_burst;
    if (burst_issue) begin
      m_axi_araddr <= {job_high + 32'(job_low[32]), job_low[31:0]};
      m_axi_arlen  <= 8'(burst_beats - 9'd1);
    end
    if (rst) begin
      job_valid     <= 1'b0;
      burst_known   <= 1'b0;
      m_axi_arvalid <= 1'b0;
      in_flight     <= '0;
    end else begin
      if (job_ready) job_valid <= checked_advance && needs_job;
      burst_known <= job_ready || !burst_issue;
      if (burst_issue) m_axi_arvalid <= 1'b1;
      else if (m_axi_arready) m_axi_arvalid <= 1'b0;
      case ({burst_issue, burst_complete})
        2'b10:   in_flight <= in_flight + 1'b1;
        2'b01:   in_flight <= in_flight - 1'b1;
        default: ;
      endcase
    end
  end

  // -- route: the lanes and memories always take a beat
  logic [23:0] index;
  logic beat, last_beat, in_recurrent;
  assign m_axi_rready   = !descriptor_empty;
  assign beat           = m_axi_rvalid && m_axi_rready;
  assign last_beat      = index == descriptor.last_index;
  assign in_recurrent   = index >= descriptor.recurrent_index;
  assign descriptor_pop = beat && last_beat;

  always_ff @(posedge clk) begin
    if (rst) index <= '0;
    else if (beat) index <= last_beat ? '0 : index + 24'd1;
  end

  always_ff @(posedge clk) begin
    beat_valid            <= !rst && beat;
    beat_data             <= m_axi_rdata;
    beat_first            <= index == '0 || index == descriptor.recurrent_index;
    beat_index            <= index;
    beat_destination      <= descriptor.destination;
    beat_value            <= descriptor.value;
    beat_bank             <= in_recurrent ? descriptor.recurrent_bank : descriptor.forward_bank;
    beat_accumulator_base <= in_recurrent ? descriptor.recurrent_base : descriptor.forward_base;
    read_error            <= !rst && beat && m_axi_rresp[1];  // SLVERR or DECERR
  end

  // -- marks: a mark is reached when as many descriptors are done as had been pushed before it, or more: one mark is
  //    taken a cycle, and those behind it may see a short column done meanwhile. At most 16 descriptors and 16 marks
  //    wait, so `past_mark` is -16 to 16.
  localparam int unsigned COUNT_BITS = 6;
  logic [COUNT_BITS-1:0] pushed, popped, marked_push, past_mark;
  logic mark_push, mark, marks_empty;
  assign mark_push = checked_advance && checked.kind == kernel_types_pkg::REQUEST_MARK;
  assign past_mark = popped - marked_push;
  assign mark      = !marks_empty && !past_mark[COUNT_BITS-1];
  sync_fifo #(
      .WIDTH(COUNT_BITS),
      .DEPTH(16)
  ) mark_queue (
      .clk,
      .rst,
      .push     (mark_push),
      .push_data(pushed),
      .full     (marks_full),
      .pop      (mark),
      .head     (marked_push),
      .empty    (marks_empty)
  );
  always_ff @(posedge clk) begin
    if (rst) begin
      pushed <= '0;
      popped <= '0;
    end else begin
      pushed <= pushed + COUNT_BITS'(descriptor_push);
      popped <= popped + COUNT_BITS'(descriptor_pop);
    end
  end

  logic [MARK_DELAY-1:0] mark_delay;
  always_ff @(posedge clk) begin
    if (rst) mark_delay <= '0;
    else mark_delay <= {mark_delay[MARK_DELAY-2:0], mark};
  end
  assign mark_done = mark_delay[MARK_DELAY-1];

  assign reading = in_flight != '0;
  assign waiting = reading && !beat;
  assign busy    = !head_empty || lookup_valid || selected_valid || checked_valid || job_valid || !descriptor_empty || beat_valid
                   || !marks_empty || mark_delay != '0;

endmodule
