// The longest burst that a job may begin with: up to the job's end, MAX_BURST_BEATS, or the next 4 KB boundary, which no
// burst of AXI may cross. No registers.
module burst_split #(
    parameter int unsigned BUS_BYTES       = 8,
    parameter int unsigned MAX_BURST_BEATS = 16,
    localparam int unsigned BOUNDARY_BITS  = 12 - $clog2(BUS_BYTES)
) (
    input  logic [BOUNDARY_BITS-1:0] page_position,  // of the job's first beat, in beats from the page's start
    input  logic [23:0]              beats,          // of the job, at least 1
    output logic [8:0]               burst_beats
);

  logic [BOUNDARY_BITS-1:0] beats_to_boundary;  // 0 at the start of a page
  logic [24:0] end_in_page;
  logic near_boundary, job_is_shorter;
  always_comb begin
    beats_to_boundary = -page_position;
    near_boundary     = {1'b0, page_position} > (BOUNDARY_BITS + 1)'((32'd1 << BOUNDARY_BITS) - MAX_BURST_BEATS);
    end_in_page       = {1'b0, beats} + 25'(page_position);
    job_is_shorter    = near_boundary ? end_in_page[24:BOUNDARY_BITS] == '0 : beats < 24'(MAX_BURST_BEATS);
    burst_beats       = 9'(MAX_BURST_BEATS);
    if (near_boundary) burst_beats = 9'(beats_to_boundary);
    if (job_is_shorter) burst_beats = beats[8:0];
  end

  initial if (MAX_BURST_BEATS < 1 || MAX_BURST_BEATS > 256 || MAX_BURST_BEATS * BUS_BYTES > 4096) begin
    $error("burst_split: MAX_BURST_BEATS must be 1 to 256, and a burst fit in 4 KB");
  end

endmodule
