// control_registers against AXI4-Lite and against what Vitis HLS's register layout promises, for any traffic.
//
//   one response for each request
//                 a write is taken with its data, and answered once; a read is answered once; nothing is answered unasked;
//                 responses hold until they are taken, and are OKAY
//   it goes on    a request is taken at once unless the response before it waits for the host
//   registers     an argument register, whichever, is what the writes to it have made of it, byte by byte (strobes), and
//                 changes by nothing else; a read gives it, and from a start on its port shows what it was then
//   start         once for each AP_START that is written while the kernel is idle, and after each end with AUTO_RESTART;
//                 never while a command runs
//   done          a read of CTRL gives AP_DONE, AP_READY and AP_IDLE as they are, and clears the first two; no end is lost,
//                 even if it comes in the cycle of the read; status_ctrl likewise
//   interrupt     is up while GIER and a bit of ISR are set; an end sets the bits that IER enables, a write toggles
// prove.py puts it inside the module.

  logic started;
  initial started = 1'b0;
  always_ff @(posedge clk) started <= 1'b1;
  always_comb if (!started) assume (rst);

  // What the core promises: a command ends only while it runs.
  logic running;
  always_ff @(posedge clk) begin
    if (rst) running <= 1'b0;
    else if (start) running <= 1'b1;
    else if (done) running <= 1'b0;
  end
  always_comb assume (!done || running);

  // -- the plain registers: one argument register of the solver's choice
  (* anyconst *) logic [6:0] chosen;
  logic is_argument;
  logic [31:0] port, word, word_at_start;
  logic has_started;
  always_comb begin
    is_argument = 1'b1;
    port        = '0;
    case (chosen)
      egret_pkg::REG_COMMAND:     port = command;
      egret_pkg::REG_FLAGS:       port = flags;
      egret_pkg::REG_TOKEN_COUNT: port = token_count;
      egret_pkg::REG_IMAGE_1:     port = image_address[31:0];
      egret_pkg::REG_IMAGE_2:     port = image_address[63:32];
      egret_pkg::REG_TOKENS_1:    port = tokens_address[31:0];
      egret_pkg::REG_TOKENS_2:    port = tokens_address[63:32];
      egret_pkg::REG_RESULTS_1:   port = results_address[31:0];
      egret_pkg::REG_RESULTS_2:   port = results_address[63:32];
      egret_pkg::REG_LOGITS_1:    port = logits_address[31:0];
      egret_pkg::REG_LOGITS_2:    port = logits_address[63:32];
      egret_pkg::REG_COUNTERS_1:  port = counters_address[31:0];
      egret_pkg::REG_COUNTERS_2:  port = counters_address[63:32];
      default:                    is_argument = 1'b0;
    endcase
  end

  logic [31:0] register;
  always_comb begin
    case (chosen)
      egret_pkg::REG_COMMAND:     register = next_command;
      egret_pkg::REG_FLAGS:       register = next_flags;
      egret_pkg::REG_TOKEN_COUNT: register = next_token_count;
      egret_pkg::REG_IMAGE_1:     register = next_image_address[31:0];
      egret_pkg::REG_IMAGE_2:     register = next_image_address[63:32];
      egret_pkg::REG_TOKENS_1:    register = next_tokens_address[31:0];
      egret_pkg::REG_TOKENS_2:    register = next_tokens_address[63:32];
      egret_pkg::REG_RESULTS_1:   register = next_results_address[31:0];
      egret_pkg::REG_RESULTS_2:   register = next_results_address[63:32];
      egret_pkg::REG_LOGITS_1:    register = next_logits_address[31:0];
      egret_pkg::REG_LOGITS_2:    register = next_logits_address[63:32];
      egret_pkg::REG_COUNTERS_1:  register = next_counters_address[31:0];
      default:                    register = next_counters_address[63:32];
    endcase
  end

  logic taken, asked;  // a write, a read
  assign taken = s_axi_awvalid && s_axi_awready;
  assign asked = s_axi_arvalid && s_axi_arready;

  always_ff @(posedge clk) begin
    if (rst) has_started <= 1'b0;
    else if (start) has_started <= 1'b1;
    if (start) word_at_start <= word;
    if (rst) begin
      word <= '0;
    end else if (taken && {s_axi_awaddr[6:2], 2'b00} == chosen) begin
      for (int b = 0; b < 4; b++) if (s_axi_wstrb[b]) word[8*b+:8] <= s_axi_wdata[8*b+:8];
    end
  end

  // -- the control registers, as the layout describes them
  logic to_control, to_enable, to_mask, to_status;
  assign to_control = taken && s_axi_wstrb[0] && {s_axi_awaddr[6:2], 2'b00} == egret_pkg::REG_CTRL;
  assign to_enable  = taken && s_axi_wstrb[0] && {s_axi_awaddr[6:2], 2'b00} == egret_pkg::REG_GIER;
  assign to_mask    = taken && s_axi_wstrb[0] && {s_axi_awaddr[6:2], 2'b00} == egret_pkg::REG_IP_IER;
  assign to_status  = taken && s_axi_wstrb[0] && {s_axi_awaddr[6:2], 2'b00} == egret_pkg::REG_IP_ISR;
  logic from_control, from_valid;
  assign from_control = asked && {s_axi_araddr[6:2], 2'b00} == egret_pkg::REG_CTRL;
  assign from_valid   = asked && {s_axi_araddr[6:2], 2'b00} == egret_pkg::REG_STATUS_CTRL;

  logic due;  // a start
  logic restart, enabled, ended, told;
  logic [1:0] enables, statuses;
  always_ff @(posedge clk) begin
    if (rst) begin
      {due, restart, enabled, ended, told, enables, statuses} <= '0;
    end else begin
      if (running || start) due <= done && restart;
      else if (to_control && s_axi_wdata[0]) due <= 1'b1;
      if (to_control) restart <= s_axi_wdata[7];
      if (to_enable) enabled <= s_axi_wdata[0];
      if (to_mask) enables <= s_axi_wdata[1:0];
      ended    <= done || (ended && !from_control);
      told     <= done || (told && !from_valid);
      statuses <= (statuses ^ (to_status ? s_axi_wdata[1:0] : 2'b00)) | (done ? enables : 2'b00);
    end
  end

  // -- what is answered
  logic answers, reads, live, b_waits, r_waits;  // owed to the host
  logic [31:0] answer, rdata_before;
  always_ff @(posedge clk) begin
    live         <= started && !rst;
    b_waits      <= !rst && s_axi_bvalid && !s_axi_bready;
    r_waits      <= !rst && s_axi_rvalid && !s_axi_rready;
    rdata_before <= s_axi_rdata;
    if (rst) begin
      {answers, reads} <= '0;
    end else begin
      if (taken) answers <= 1'b1;
      else if (s_axi_bready) answers <= 1'b0;
      if (asked) reads <= 1'b1;
      else if (s_axi_rready) reads <= 1'b0;
    end
    if (asked) begin
      case ({s_axi_araddr[6:2], 2'b00})
        egret_pkg::REG_CTRL:
          answer <= {22'd0, enabled && statuses != '0, 1'b0, restart, 3'd0, ended, !running, ended, due || running};
        egret_pkg::REG_GIER:        answer <= {31'd0, enabled};
        egret_pkg::REG_IP_IER:      answer <= {30'd0, enables};
        egret_pkg::REG_IP_ISR:      answer <= {30'd0, statuses};
        egret_pkg::REG_STATUS:      answer <= status;
        egret_pkg::REG_STATUS_CTRL: answer <= {31'd0, told};
        default:                    answer <= {s_axi_araddr[6:2], 2'b00} == chosen && is_argument ? word : s_axi_rdata;
      endcase
    end
  end
  initial {live, b_waits, r_waits} = '0;

  // Which of the answers above is meant: the one to a read of an argument register other than the chosen one is not.
  logic foreseen;
  always_ff @(posedge clk) if (asked)
    foreseen <= ({s_axi_araddr[6:2], 2'b00} == chosen && is_argument)
                || {s_axi_araddr[6:2], 2'b00} < egret_pkg::REG_COMMAND || {s_axi_araddr[6:2], 2'b00} >= egret_pkg::REG_STATUS
                   && {s_axi_araddr[6:2], 2'b00} <= egret_pkg::REG_STATUS_CTRL;

  always_ff @(posedge clk) begin
    if (started && !rst) begin
      taken_together : assert (taken == (s_axi_wvalid && s_axi_wready));
      written_once : assert (s_axi_bvalid == answers);
      read_once : assert (s_axi_rvalid == reads);
      if (taken && answers) writes_one_by_one : assert (s_axi_bready);
      if (asked && reads) reads_one_by_one : assert (s_axi_rready);
      all_is_okay : assert (s_axi_bresp == 2'b00 && s_axi_rresp == 2'b00);
      if (b_waits && live) response_holds : assert (s_axi_bvalid);
      if (r_waits && live) data_hold : assert (s_axi_rvalid && s_axi_rdata == rdata_before);
      if (s_axi_awvalid && s_axi_wvalid && (!s_axi_bvalid || s_axi_bready)) writes_are_taken : assert (taken);
      if (s_axi_arvalid && (!s_axi_rvalid || s_axi_rready)) reads_are_taken : assert (asked);
      if (is_argument && has_started) argument_is_what_was_written : assert (port == word_at_start);
      if (chosen == egret_pkg::REG_COMMAND && has_started) begin
        generating_is_decoded : assert (generating == (word_at_start == egret_pkg::COMMAND_GENERATE));
      end
      if (is_argument) register_is_what_was_written : assert (register == word);
      if (s_axi_rvalid && foreseen) answer_is_right : assert (s_axi_rdata == answer);
      starts_when_due : assert (start == (due && !running));
      not_while_running : assert (!(start && running));
      interrupt_is_right : assert (interrupt == (enabled && statuses != '0));
      // How the registers stand to that: induction starts from states that have it.
      idle_agrees : assert (ap_idle == !running && ap_start == (due || running) && !(due && running));
      rest_agrees : assert (auto_restart == restart && ap_done == ended && ap_ready == ended && status_valid == told
                            && global_enable == enabled && interrupt_enable == enables && interrupt_status == statuses);
      ends_and_starts_again : cover (start && restart && ended);
      interrupts : cover (interrupt && s_axi_rvalid);
    end
  end
