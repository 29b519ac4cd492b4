"""Which units are proven, and which small faults each proof must see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from egret.virtual_board.rtl_files import rtl_files

HERE = Path(__file__).resolve().parent
RTL = HERE.parent / "rtl"


@dataclass(frozen=True)
class Unit:
    """A module of hls/rtl and properties that are put inside it."""

    name: str
    depth: int
    """Of a proof for all time: steps that an induction starts from; of a bounded one: cycles from reset."""
    faults: tuple[tuple[str, str], ...] = ()
    """Text of the module, and what makes it wrong."""
    parameters: tuple[tuple[str, int], ...] = ()
    bounded: bool = False
    """Proven for `depth` cycles from reset, whatever the inputs are; otherwise for all time."""
    helpers: tuple[str, ...] = ()
    """The packages, and the modules that it or its properties use."""
    aspect: str = ""
    """Which of a module's properties these are, where it has several files of them."""
    slow: bool = False
    """Left out with --quick."""
    cover_depth: int = 20
    """Cycles from reset in which every cover point must be reached."""

    @property
    def properties(self) -> Path:
        """The file of its properties."""
        return HERE / f"{self.name}{'_' if self.aspect else ''}{self.aspect}_properties.sv"

    @property
    def sources(self) -> list[Path]:
        """Its helpers in the order of the kernel's list of files, then the module."""
        helpers = [path for path in rtl_files(RTL) if path.stem in self.helpers]
        assert len(helpers) == len(self.helpers), f"{self.title}: hls/rtl/files.f lacks one of its helpers"
        return [*helpers, RTL / f"{self.name}.sv"]

    @property
    def title(self) -> str:
        return " ".join(
            [self.name, *([self.aspect] if self.aspect else []), *(f"{n}={v}" for n, v in self.parameters)]
        )


_FETCHER = ("egret_pkg", "kernel_types_pkg", "block_memory", "sync_fifo", "burst_split")

UNITS = (
    Unit(
        "sync_fifo",
        3,
        (
            ("if (push && !full) memory", "if (push) memory"),
            ("if (push && !full) next_write_count", "if (push) next_write_count"),
            ("if (pop && !empty)", "if (pop)"),
            ("memory[read_count[ADDRESS_BITS-1:0]]", "memory[write_count[ADDRESS_BITS-1:0]]"),
            ("empty = write_count == read_count", "empty = write_count == read_count + 1'b1"),
        ),
    ),
    Unit("sync_fifo", 3, parameters=(("WIDTH", 4), ("DEPTH", 16))),
    Unit(
        "wavefront",
        3,
        (
            ("tokens_follow <= left != 32'd1", "tokens_follow <= left != 32'd0"),
            ("tokens_follow <= tokens_after_first != '0", "tokens_follow <= 1'b1"),
            ("if (high != last_layer) high", "high"),
            ("layer <= low + 3'd1", "layer <= low"),
            ("&& low == last_layer", ""),
            ("previous_high <= high", "previous_high <= low"),
        ),
    ),
    Unit(
        "burst_split",
        1,
        (
            ("if (near_boundary) burst_beats = 9'(beats_to_boundary);", ""),
            ("beats < 24'(MAX_BURST_BEATS)", "beats < 24'(MAX_BURST_BEATS - 1)"),
            ("{1'b0, page_position} > ", "{1'b0, page_position} > 1 + "),
            ("end_in_page[24:BOUNDARY_BITS] == '0", "end_in_page[24:BOUNDARY_BITS+1] == '0"),
        ),
        cover_depth=2,
    ),
    Unit("burst_split", 1, parameters=(("BUS_BYTES", 16), ("MAX_BURST_BEATS", 64)), cover_depth=2),
    Unit(
        "axi_writer",
        2,
        (
            ("32'(responses) < RESPONSES_AHEAD", "32'(responses) <= RESPONSES_AHEAD"),
            ("&& (!m_axi_awvalid || m_axi_awready)", ""),
            ("assign data_ready    = state == DATA && m_axi_wready;", "assign data_ready = m_axi_wready;"),
            ("m_axi_wstrb   = '1", "m_axi_wstrb   = '1 >> 1"),
            # a burst begins a beat early after a cut
            (
                "{1'b0}}, burst_beats, {BEAT_SHIFT",
                "{1'b0}}, burst_beats - 9'(burst_beats < 9'(MAX_BURST_BEATS)), {BEAT_SHIFT",
            ),
            ("beats_left == 9'd1", "beats_left == 9'd2"),
            ("if (m_axi_awready) m_axi_awvalid", "m_axi_awvalid"),
            ("remaining == '0 ? IDLE : MEASURE", "IDLE"),
            ("state != IDLE || responses != '0", "state != IDLE"),
            ("m_axi_bresp[1];", "m_axi_bresp == 2'b11;"),
        ),
        parameters=(("MAX_BURST_BEATS", 4),),
        helpers=("egret_pkg", "burst_split"),
        cover_depth=28,
    ),
    # As on the boards.
    *(
        Unit(
            "axi_writer",
            2,
            parameters=(("BUS_BYTES", bus_bytes), ("MAX_BURST_BEATS", beats)),
            helpers=("egret_pkg", "burst_split"),
            cover_depth=28,
        )
        for bus_bytes, beats in ((8, 16), (16, 64))
    ),
    Unit(
        "control_registers",
        2,
        (
            ("(!s_axi_bvalid || s_axi_bready);", "1'b1;"),
            ("assign s_axi_wready  = write;", "assign s_axi_wready  = 1'b1;"),
            ("else if (s_axi_rready) begin", "else begin"),
            ("next_flags <= (next_flags & ~mask) | (s_axi_wdata & mask)", "next_flags <= s_axi_wdata"),
            ("if (start) begin", "begin"),
            (
                "next_tokens_address[63:32] <= (next_tokens_address[63:32]",
                "next_tokens_address[63:32] <= (next_tokens_address[31:0]",
            ),
            ("s_axi_rdata <= next_logits_address[63:32]", "s_axi_rdata <= next_logits_address[31:0]"),
            ("ap_start && ap_idle", "ap_start"),
            ("ap_start     <= auto_restart", "ap_start     <= 1'b0"),
            ("interrupt_status ^ s_axi_wdata[1:0]", "interrupt_status & ~s_axi_wdata[1:0]"),
            ("if (interrupt_enable[0]) interrupt_status[0]", "interrupt_status[0]"),
            ("== egret_pkg::REG_STATUS_CTRL) status_valid", "== egret_pkg::REG_STATUS) status_valid"),
        ),
        helpers=("egret_pkg",),
    ),
    Unit(
        "column_fetcher",
        2,
        (
            ("after_beat > columns_beats", "after_beat > columns_beats + 32'd1"),
            ("recurrent_beat < forward_beat", "1'b0"),
            ("|| beyond_section ||", "||"),
            ("|| checked_beats_high != '0", ""),
            ("in_flight < FLIGHT_BITS'(READS_IN_FLIGHT)", "in_flight <= FLIGHT_BITS'(READS_IN_FLIGHT)"),
            ("m_axi_rready && m_axi_rlast;", "m_axi_rlast;"),
            ("job_high + 32'(job_low[32])", "job_high"),
            ("else if (m_axi_arready) m_axi_arvalid", "else m_axi_arvalid"),
            ("burst_known <= job_ready || !burst_issue", "burst_known <= 1'b1"),
            # a burst begins a beat early after a cut
            (
                "{1'b0}}, burst_beats, {BEAT_SHIFT",
                "{1'b0}}, burst_beats - 9'(burst_beats < 9'(MAX_BURST_BEATS)), {BEAT_SHIFT",
            ),
            ("mark_done = mark_delay[MARK_DELAY-1]", "mark_done = mark_delay[MARK_DELAY-2]"),
        ),
        parameters=(("MAX_BURST_BEATS", 4), ("READS_IN_FLIGHT", 2), ("POINTER_DEPTH", 16)),
        helpers=_FETCHER,
    ),
    # As on the boards.
    *(
        Unit(
            "column_fetcher",
            2,
            parameters=(("BUS_BYTES", bus_bytes), ("MAX_BURST_BEATS", beats), ("POINTER_DEPTH", 16)),
            helpers=_FETCHER,
        )
        for bus_bytes, beats in ((8, 16), (16, 64))
    ),
    Unit(
        "column_fetcher",
        12,
        (
            ("index >= descriptor.recurrent_index", "index > descriptor.recurrent_index"),
            ("last_beat ? '0 : index + 24'd1", "index + 24'd1"),
            ("checked_beats - 24'd1", "checked_beats"),
            ("beat && last_beat;", "beat && m_axi_rlast;"),
            ("marked_push == popped", "1'b1"),
            ("descriptor_push = checked_advance && needs_job", "descriptor_push = checked_advance"),
            ("&& (!needs_job || job_ready)", "&& job_ready && !burst_known"),
            ("mark_delay <= {mark_delay[MARK_DELAY-2:0], mark};", "mark_delay <= '0;"),
        ),
        parameters=(("MAX_BURST_BEATS", 4), ("READS_IN_FLIGHT", 2), ("POINTER_DEPTH", 16)),
        bounded=True,
        slow=True,
        cover_depth=16,
        helpers=_FETCHER,
        aspect="delivery",
    ),
    Unit(
        "block_memory",
        2,
        (
            ("if (read_enable) read_data", "read_data"),
            ("if (write_enable) memory[write_address]", "if (write_enable) memory[read_address]"),
        ),
        parameters=(("WIDTH", 4), ("DEPTH", 8)),
    ),
    Unit(
        "event_queue",
        2,
        (
            ("if (append_start) length[e][append_layer] <= '0;", ""),
            ("position_base[event_layer] + update_length", "update_length"),
            ("left == '0 && !playing_grows", "left == '0"),
            ("current_base <= position_base[play.layer]", "current_base <= '0"),
            ("playing && (!offering || request_ready)", "playing"),
            ("if (can_read && left[engine]) begin", "if (can_read) begin"),
            ("request.value          = offered[7:0]", "request.value          = event_value[0]"),
            ("32'(engine) == ENGINES - 1 ? '0 : engine + 1'b1", "engine"),
        ),
        parameters=(("ENGINES", 2), ("NEURON_DEPTH", 8), ("MAX_LAYERS", 2)),
        helpers=("kernel_types_pkg", "block_memory", "clock_gate"),
    ),
)
