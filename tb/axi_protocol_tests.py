"""The cocotb test of the AXI rules themselves: traffic that keeps them, then breaks the one in EGRET_RULE.

The rules are the top of the simulation; this is both the kernel and the memory.
"""

from __future__ import annotations

import os

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge

RULE = os.environ["EGRET_RULE"]
READ, WRITE = 0x1_0000_0F80, 0x2_0000_0FC0  # 16 beats of 8 bytes, and 8, up to a 4 KB boundary


class Port:
    """Sets signals in the middle of a clock, so that each edge sees what was set before it."""

    def __init__(self, dut) -> None:  # type: ignore[no-untyped-def]
        self.dut = dut
        for name in ("arvalid", "awvalid", "wvalid", "rvalid", "bvalid", "done", "status", "rresp", "bresp"):
            getattr(dut, name).value = 0
        for name in ("arready", "awready", "wready", "rready", "bready"):
            getattr(dut, name).value = 1

    async def cycle(self, **signals: int) -> None:
        """A clock with these values; valid signals among them are low again after it."""
        for name, value in signals.items():
            getattr(self.dut, name).value = value
        await FallingEdge(self.dut.clk)
        for name in signals:
            if name.endswith("valid") or name == "done":
                getattr(self.dut, name).value = 0

    async def beats(self, channel: str, count: int, last_at: int | None = None, **signals: int) -> None:
        """`count` beats of a burst; its last one (or `last_at`) says that it is."""
        for beat in range(count):
            last = int(beat == (count - 1 if last_at is None else last_at))
            await self.cycle(
                **{f"{channel}valid": 1, f"{channel}data": beat, f"{channel}last": last, **signals}
            )


async def sound_traffic(port: Port) -> None:
    """What AXI allows: channels that wait, bursts up to the boundary, as many in flight as there may be."""
    await port.cycle(arvalid=1, arready=0, araddr=READ, arlen=15)
    await port.cycle(arvalid=1, arready=1)
    for index in range(7):  # with the first one, eight
        await port.cycle(arvalid=1, araddr=READ + 0x1000 * index, arlen=index)
    await port.cycle(rvalid=1, rready=0, rdata=0, rlast=0)
    await port.beats("r", 16, rready=1)
    for index in range(7):
        await port.beats("r", index + 1)
    await port.cycle(awvalid=1, awready=0, awaddr=WRITE, awlen=7)
    await port.cycle(awvalid=1, awready=1)
    await port.cycle(wvalid=1, wready=0, wdata=0, wstrb=255, wlast=0)
    await port.beats("w", 8, wready=1)
    await port.cycle(bvalid=1, bready=0, bresp=2)
    await port.cycle(bvalid=1, bready=1, bresp=2)
    # Data ahead of their address, by a whole burst and beside it, and an address in the middle of its data.
    await port.beats("w", 3)
    await port.cycle(awvalid=1, awaddr=WRITE, awlen=2, wvalid=1, wlast=0)
    await port.cycle(awvalid=1, awaddr=WRITE, awlen=1, wvalid=1, wlast=1)
    await port.cycle(awvalid=1, awaddr=WRITE, awlen=0, wvalid=1, wlast=1)
    for _ in range(3):
        await port.cycle(bvalid=1)
    await port.cycle(done=1, status=10, bresp=0)
    await port.cycle(done=1, status=0)


async def break_rule(port: Port) -> None:
    """The shortest traffic that breaks RULE and no other before it."""
    match RULE:
        case "none":
            return
        case "no_valid_in_reset":
            port.dut.rst.value = 1
            await port.cycle(awvalid=1)
        case "arvalid_holds":
            await port.cycle(arvalid=1, arready=0, araddr=READ, arlen=3)
        case "read_address_holds":
            await port.cycle(arvalid=1, arready=0, araddr=READ, arlen=3)
            await port.cycle(arvalid=1, arlen=2)
        case "awvalid_holds":
            await port.cycle(awvalid=1, awready=0, awaddr=WRITE, awlen=3)
        case "write_address_holds":
            await port.cycle(awvalid=1, awready=0, awaddr=WRITE, awlen=3)
            await port.cycle(awvalid=1, awaddr=WRITE - 64)
        case "wvalid_holds" | "write_data_hold":
            await port.cycle(awvalid=1, awaddr=WRITE, awlen=3)
            await port.cycle(wvalid=1, wready=0, wdata=1, wstrb=255, wlast=0)
            if RULE == "write_data_hold":
                await port.cycle(wvalid=1, wdata=2)
        case "read_is_aligned":
            await port.cycle(arvalid=1, araddr=READ + 4, arlen=0)
        case "read_within_4_kb":
            await port.cycle(arvalid=1, araddr=READ + 8, arlen=15)
        case "read_not_too_long":
            await port.cycle(arvalid=1, araddr=READ & ~0xFFF, arlen=16)
        case "reads_in_flight":
            for _ in range(9):
                await port.cycle(arvalid=1, araddr=READ, arlen=0)
        case "write_is_aligned":
            await port.cycle(awvalid=1, awaddr=WRITE + 1, awlen=0)
        case "write_within_4_kb":
            await port.cycle(awvalid=1, awaddr=WRITE, awlen=8)
        case "write_not_too_long":
            await port.cycle(awvalid=1, awaddr=WRITE & ~0xFFF, awlen=16)
        case "writes_in_flight":
            for _ in range(9):  # of the eight that the rules' default allows
                await port.cycle(awvalid=1, awaddr=WRITE, awlen=0)
        case "address_is_as_long_as_its_data":
            await port.beats("w", 2)
            await port.cycle(awvalid=1, awaddr=WRITE, awlen=0)
        case "address_is_as_long_as_the_data_beside_it":
            await port.cycle(awvalid=1, awaddr=WRITE, awlen=1, wvalid=1, wlast=1)
        case "wlast_on_the_last_beat":
            await port.cycle(awvalid=1, awaddr=WRITE, awlen=3)
            await port.beats("w", 4, last_at=2)
        case "no_read_left_when_done":
            await port.cycle(arvalid=1, araddr=READ, arlen=0)
            await port.cycle(done=1)
        case "no_write_left_when_done":
            await port.cycle(awvalid=1, awaddr=WRITE, awlen=0)
            await port.beats("w", 1)
            await port.cycle(done=1)
        case "no_error_response_ignored":
            await port.cycle(arvalid=1, araddr=READ, arlen=1)
            await port.beats("r", 1, last_at=1, rresp=3)
            await port.beats("r", 1, rresp=0)
            await port.cycle(done=1, status=0)
        case "memory_sends_only_beats_owed":
            await port.beats("r", 1)
        case "memory_rlast_on_the_last_beat":
            await port.cycle(arvalid=1, araddr=READ, arlen=3)
            await port.beats("r", 3)
        case "memory_answers_complete_writes":
            await port.cycle(awvalid=1, awaddr=WRITE, awlen=0)
            await port.cycle(bvalid=1)
        case "memory_read_data_hold":
            await port.cycle(arvalid=1, araddr=READ, arlen=3)
            await port.cycle(rvalid=1, rready=0, rdata=1, rlast=0)
            await port.cycle(rvalid=1, rready=1, rdata=2)
        case "memory_response_holds":
            await port.cycle(awvalid=1, awaddr=WRITE, awlen=0)
            await port.beats("w", 1)
            await port.cycle(bvalid=1, bready=0)
        case _:
            raise ValueError(f"no traffic breaks {RULE}")


@cocotb.test()
async def rules_are_checked(dut) -> None:  # type: ignore[no-untyped-def]
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    port = Port(dut)
    dut.rst.value = 1
    await ClockCycles(dut.clk, 3)
    await FallingEdge(dut.clk)
    dut.rst.value = 0
    await port.cycle()
    await port.cycle()
    await sound_traffic(port)
    cocotb.log.info("sound traffic passed")
    await break_rule(port)
    await ClockCycles(dut.clk, 3)
