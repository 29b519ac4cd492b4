// burst_split against AXI's rule for bursts, for every job: a burst goes to the job's end, to the limit or to the boundary, to
// whichever comes first.
// prove.py puts it inside the module.

  logic [31:0] to_boundary, expected;
  always_comb begin
    assume (beats != '0);
    to_boundary = (32'd1 << BOUNDARY_BITS) - 32'(page_position);
    expected    = 32'(beats);
    if (expected > MAX_BURST_BEATS) expected = MAX_BURST_BEATS;
    if (expected > to_boundary) expected = to_boundary;
    longest_there_is : assert (32'(burst_beats) == expected);
    cut_at_the_boundary : cover (32'(burst_beats) == to_boundary && 32'(beats) > to_boundary);
  end
