"""Which units are proven, and which small faults each proof must see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
    helpers: tuple[Path, ...] = ()
    """Files that come before the module's: packages, and modules that it or its properties use."""
    aspect: str = ""
    """Which of a module's properties these are, where it has several files of them."""
    cover_depth: int = 20
    """Cycles from reset in which every cover point must be reached."""

    @property
    def properties(self) -> Path:
        """The file of its properties."""
        return HERE / f"{self.name}{'_' if self.aspect else ''}{self.aspect}_properties.sv"

    @property
    def title(self) -> str:
        return " ".join(
            [self.name, *([self.aspect] if self.aspect else []), *(f"{n}={v}" for n, v in self.parameters)]
        )


UNITS = (
    Unit(
        "sync_fifo",
        3,
        (
            ("if (push && !full) memory", "if (push) memory"),
            ("if (push && !full) write_count", "if (push) write_count"),
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
        "axi_writer",
        2,
        (
            ("if (near_boundary) longest_burst = 9'(beats_to_boundary);", ""),
            ("32'(responses) < RESPONSES_AHEAD", "32'(responses) <= RESPONSES_AHEAD"),
            ("beats_left == 9'd1", "beats_left == 9'd2"),
            ("if (m_axi_awready) m_axi_awvalid", "m_axi_awvalid"),
            ("remaining == '0 ? IDLE : MEASURE", "IDLE"),
            ("state != IDLE || responses != '0", "state != IDLE"),
            ("m_axi_bresp[1];", "m_axi_bresp == 2'b11;"),
        ),
        parameters=(("MAX_BURST_BEATS", 4),),
        cover_depth=28,
    ),
    Unit(
        "control_registers",
        2,
        (
            ("(!s_axi_bvalid || s_axi_bready);", "1'b1;"),
            ("assign s_axi_wready  = write;", "assign s_axi_wready  = 1'b1;"),
            ("else if (s_axi_rready) begin", "else begin"),
            ("flags <= (flags & ~mask) | (s_axi_wdata & mask)", "flags <= s_axi_wdata"),
            ("tokens_address[63:32] <= (tokens_address[63:32]", "tokens_address[63:32] <= (tokens_address[31:0]"),
            ("s_axi_rdata <= logits_address[63:32]", "s_axi_rdata <= logits_address[31:0]"),
            ("ap_start && ap_idle", "ap_start"),
            ("ap_start     <= auto_restart", "ap_start     <= 1'b0"),
            ("interrupt_status ^ s_axi_wdata[1:0]", "interrupt_status & ~s_axi_wdata[1:0]"),
            ("if (interrupt_enable[0]) interrupt_status[0]", "interrupt_status[0]"),
            ("== egret_pkg::REG_STATUS_CTRL) status_valid", "== egret_pkg::REG_STATUS) status_valid"),
        ),
        helpers=(RTL / "egret_pkg.sv",),
    ),
)
