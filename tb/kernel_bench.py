"""The bench around the kernel: clock and reset, an AXI4-Lite master, an AXI4 memory per port.

It drives registers and ports only, under the names that Vitis HLS gives them, so that it serves the RTL
kernel and the Verilog that Vitis HLS exports alike. Bus models are cocotbext-axi's.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cocotb
import numpy as np
import numpy.typing as npt
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import (
    AxiARBus,
    AxiAWBus,
    AxiBBus,
    AxiBus,
    AxiLiteBus,
    AxiLiteMaster,
    AxiRBus,
    AxiReadBus,
    AxiResp,
    AxiSlave,
    AxiWBus,
    AxiWriteBus,
)

from egret import contract
from egret.board.results import RESULT_WORDS, Counters, Run, deal_logits_back, parse_results
from egret.image.model_image import ModelImage
from egret.profiles import Build

CLOCK_NS = 10
MEMORY_BASE = 0x1000_0000
TIMEOUT_CYCLES = int(os.environ.get("EGRET_TIMEOUT_CYCLES", 2_000_000))
"""A command that takes longer hangs."""
ENDS = {"interrupt on done": 1, "interrupt on ready": 2, "polled": 0}
"""How a bench learns that a command is over, and what IP_IER is for it."""


class _WriteAddressBus(AxiAWBus):  # type: ignore[misc]
    """Vitis HLS's AWLOCK has the two bits of AXI3; the bus model expects one and needs none."""

    _optional_signals = [name for name in AxiAWBus._optional_signals if name != "awlock"]


class _ReadAddressBus(AxiARBus):  # type: ignore[misc]
    _optional_signals = [name for name in AxiARBus._optional_signals if name != "arlock"]


def memory_port(dut, prefix: str) -> AxiBus:  # type: ignore[no-untyped-def]
    return AxiBus(
        write=AxiWriteBus(
            aw=_WriteAddressBus.from_prefix(dut, prefix),
            w=AxiWBus.from_prefix(dut, prefix),
            b=AxiBBus.from_prefix(dut, prefix),
        ),
        read=AxiReadBus(ar=_ReadAddressBus.from_prefix(dut, prefix), r=AxiRBus.from_prefix(dut, prefix)),
    )


def answer_errors(port: AxiSlave, memory: Memory) -> None:
    """Let failed accesses be answered with `memory.error_response`; the bus model knows SLVERR only."""
    for channel, field in ((port.read_if.r_channel, "rresp"), (port.write_if.b_channel, "bresp")):

        async def send(response, send=channel.send, field=field) -> None:  # type: ignore[no-untyped-def]
            if int(getattr(response, field)) == AxiResp.SLVERR:
                setattr(response, field, memory.error_response)
            await send(response)

        channel.send = send


class Memory:
    """The DDR that all ports share. An access outside it, or in `faulty`, gets `error_response`."""

    def __init__(self, size: int, base: int = MEMORY_BASE) -> None:
        self.base = base
        self.size = size
        self.bytes = np.zeros(size, dtype=np.uint8)
        self.faulty: range | None = None
        self.error_response = AxiResp.SLVERR
        # the 64-byte lines that the kernel read and wrote, by their addresses
        self.read_lines: set[int] = set()
        self.written_lines: set[int] = set()

    def _offset(self, address: int, length: int) -> int:
        offset = address - self.base
        if offset < 0 or offset + length > self.size:
            raise IndexError(f"access outside the memory: {address:#x}")
        if self.faulty is not None and address in self.faulty:
            raise OSError(f"faulty address {address:#x}")
        return offset

    async def read(self, address: int, length: int) -> bytes:
        self.read_lines.add(address // 64 * 64)
        offset = self._offset(address, length)
        return self.bytes[offset : offset + length].tobytes()

    async def write(self, address: int, data: bytes, **_: object) -> None:
        self.written_lines.add(address // 64 * 64)
        offset = self._offset(address, len(data))
        self.bytes[offset : offset + len(data)] = np.frombuffer(data, dtype=np.uint8)


def stalls(seed: int, share: float) -> Iterator[bool]:
    """Pause a channel in `share` of the cycles, in runs of one to eight cycles."""
    draw = random.Random(seed)
    while True:
        paused = draw.random() < share
        for _ in range(draw.randint(1, 8)):
            yield paused


def until_data_come(channel) -> Iterator[bool]:  # type: ignore[no-untyped-def]
    """Pause a write address channel while its data channel neither offers a beat nor has one taken."""
    while True:
        yield channel.bus.wvalid.value != 1 and channel.empty()


@dataclass(frozen=True)
class MemoryTiming:
    """How a memory port behaves: stalls, latency, and how many bursts it takes ahead of its answers."""

    stalls: dict[str, float]
    """Share of the cycles in which a channel pauses, by its name: ar, r, aw, w, b."""
    latency: tuple[int, int] = (0, 0)
    """Cycles from taking a read burst to its first beat, the least and the most."""
    response_latency: tuple[int, int] = (0, 0)
    """The same from the last beat of a write to its response."""
    reads_ahead: int = 2
    writes_ahead: int = 2
    write_beats_ahead: int = 2
    address_waits_for_data: bool = False
    """Whether a write's address is taken only when data of it are there, as AXI allows."""


def delay_reads(channel, clock, latency: tuple[int, int], draw: random.Random) -> None:  # type: ignore[no-untyped-def]
    """Let a read burst's first beat come a random number of cycles after its address; bursts may overlap."""
    put, receive = channel.queue.put_nowait, channel.recv

    def stamp(burst) -> None:  # type: ignore[no-untyped-def]
        burst.due = get_sim_time("ns") + CLOCK_NS * draw.randint(*latency)
        put(burst)

    async def receive_late():  # type: ignore[no-untyped-def]
        burst = await receive()
        cycles = int(burst.due - get_sim_time("ns")) // CLOCK_NS
        if cycles > 0:
            await ClockCycles(clock, cycles)
        return burst

    channel.queue.put_nowait, channel.recv = stamp, receive_late


def delay_responses(channel, clock, latency: tuple[int, int], draw: random.Random) -> None:  # type: ignore[no-untyped-def]
    """Let each response come a random number of cycles after its write, or after the response before."""
    send = channel.send

    async def send_late(response) -> None:  # type: ignore[no-untyped-def]
        cycles = draw.randint(*latency)
        if cycles:
            await ClockCycles(clock, cycles)
        await send(response)

    channel.send = send_late


@dataclass(frozen=True)
class CountersBlock(Counters):
    """The whole counters block: what the driver takes of it, and what the kernel tells of itself."""

    identity: int
    build: int
    decoder_build: int
    limits: int
    status: int


@dataclass(frozen=True, eq=False)
class BenchRun(Run):
    """What a RUN or GENERATE left in memory; events [T, MAX_LAYERS] are all that a record holds."""

    counters: CountersBlock
    status: int


class KernelBench:
    """Owns the bus models; its coroutines are the commands of the kernel."""

    def __init__(  # type: ignore[no-untyped-def]
        self, dut, build: Build, memory_bytes: int = 1 << 20, base: int = MEMORY_BASE
    ) -> None:
        self.dut = dut
        self.build = build
        self.memory = Memory(memory_bytes, base)
        self.next_free = base
        self.choose_address: Callable[[str, int, int], int] = lambda purpose, free, size: free
        """From a buffer's purpose, the first free address and its size: where it goes, at or after that."""
        self.choose_end: Callable[[], str] = lambda: "interrupt on done"
        cocotb.start_soon(Clock(dut.ap_clk, CLOCK_NS, "ns").start())
        self.control = AxiLiteMaster(
            AxiLiteBus.from_prefix(dut, "s_axi_control"), dut.ap_clk, dut.ap_rst_n, reset_active_level=False
        )
        self.ports = [
            AxiSlave(
                memory_port(dut, f"m_axi_gmem{engine}"),
                dut.ap_clk,
                dut.ap_rst_n,
                target=self.memory,
                reset_active_level=False,
            )
            for engine in range(build.engines)
        ]
        for port in self.ports:
            answer_errors(port, self.memory)
            # a line per beat is too much, and so is one per beat that is to fail
            port.read_if.log.setLevel("ERROR")
            port.write_if.log.setLevel("ERROR")
        self.control.read_if.log.setLevel("WARNING")
        self.control.write_if.log.setLevel("WARNING")

    async def reset(self) -> None:
        self.dut.ap_rst_n.value = 0
        await ClockCycles(self.dut.ap_clk, 5)
        self.dut.ap_rst_n.value = 1
        await ClockCycles(self.dut.ap_clk, 2)

    def set_stalls(self, seed: int, share: float) -> None:
        """Pause every channel of every port, each with its own sequence, in `share` of the cycles."""
        for index, port in enumerate(self.ports):
            channels = (
                port.read_if.ar_channel,
                port.read_if.r_channel,
                port.write_if.aw_channel,
                port.write_if.w_channel,
                port.write_if.b_channel,
            )
            for number, channel in enumerate(channels):
                channel.set_pause_generator(stalls(seed + 16 * index + number, share))

    def set_timing(self, timing: MemoryTiming, seed: int) -> None:
        """Give every port this timing, each with its own sequence of random numbers; once in a simulation."""
        for index, port in enumerate(self.ports):
            channels = {
                "ar": port.read_if.ar_channel,
                "r": port.read_if.r_channel,
                "aw": port.write_if.aw_channel,
                "w": port.write_if.w_channel,
                "b": port.write_if.b_channel,
            }
            for number, (name, channel) in enumerate(channels.items()):
                if timing.stalls.get(name):
                    channel.set_pause_generator(stalls(seed + 16 * index + number, timing.stalls[name]))
            channels["ar"].queue_occupancy_limit = timing.reads_ahead
            channels["aw"].queue_occupancy_limit = timing.writes_ahead
            channels["w"].queue_occupancy_limit = timing.write_beats_ahead
            if timing.address_waits_for_data:
                channels["aw"].set_pause_generator(until_data_come(channels["w"]))
            draw = random.Random(seed + 16 * index + 5)
            clock = self.dut.ap_clk
            delay_reads(channels["ar"], clock, timing.latency, draw)
            delay_responses(channels["b"], clock, timing.response_latency, draw)

    def set_control_stalls(self, seed: int, share: float) -> None:
        """Pause the channels of the register port in `share` of the cycles: address and data come apart."""
        write, read = self.control.write_if, self.control.read_if
        channels = (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel)
        for number, channel in enumerate(channels):
            channel.set_pause_generator(stalls(seed + number, share))

    # -- memory

    def allocate(self, size: int, purpose: str = "") -> int:
        """Return the address of `size` bytes, 64-byte aligned, with a gap behind them."""
        address = self.choose_address(purpose, self.next_free, size)
        assert address >= self.next_free and address % 64 == 0
        self.next_free = address + -(-size // 64) * 64 + 64
        assert self.next_free <= self.memory.base + self.memory.size, "the bench's memory is too small"
        return address

    def view(self, address: int, size: int) -> npt.NDArray[np.uint8]:
        offset = address - self.memory.base
        return self.memory.bytes[offset : offset + size]

    def place(self, data: npt.NDArray[np.uint8], purpose: str = "") -> int:
        address = self.allocate(data.size, purpose)
        self.view(address, data.size)[:] = data
        return address

    # -- registers

    async def write_register(self, name: str, value: int) -> None:
        offset, bits, _ = contract.REGISTERS[name]
        await self.control.write(offset, int(value).to_bytes(bits // 8, "little"))

    async def read_register(self, name: str) -> int:
        offset, bits, _ = contract.REGISTERS[name]
        data = await self.control.read(offset, bits // 8)
        return int.from_bytes(data.data, "little")

    # -- commands

    async def start(self, command: int, end: str = "interrupt on done", **arguments: int) -> None:
        """Write the arguments and start the command, with the interrupt of `end` enabled."""
        for name, value in {"command": command, **arguments}.items():
            await self.write_register(name, value)
        await self.write_register("GIER", int(end != "polled"))
        await self.write_register("IP_IER", ENDS[end])
        await self.write_register("CTRL", 1)

    async def _wait(self, end: str, timeout_cycles: int) -> None:
        """Wait until CTRL says done, and check what it says then."""
        if end == "polled":
            control, begin = 0, get_sim_time("ns")
            while not control & 0b10 and get_sim_time("ns") - begin < timeout_cycles * CLOCK_NS:
                control = await self.read_register("CTRL")
            assert not self.dut.interrupt.value, "an interrupt that is not enabled"
        else:
            await with_timeout(RisingEdge(self.dut.interrupt), timeout_cycles * CLOCK_NS, "ns")
            control = await self.read_register("CTRL")
        assert control & 0b1110 == 0b1110, f"at its end CTRL is {control:#x}, not done, idle and ready"
        assert await self.read_register("CTRL") & 0b1010 == 0, (
            "a read of CTRL must clear AP_DONE and AP_READY"
        )
        if end != "polled":
            pending = await self.read_register("IP_ISR")
            assert pending == ENDS[end], f"IP_ISR is {pending:#x} with the {end} enabled"
            await self.write_register("IP_ISR", pending)
            assert not self.dut.interrupt.value, "a write to IP_ISR must end the interrupt"

    async def execute(
        self, command: int, timeout_cycles: int = TIMEOUT_CYCLES, **arguments: int
    ) -> tuple[int, CountersBlock]:
        """Start a command and wait for the interrupt; return the status and the counters block.

        The block is all zero if `arguments` sends the counters somewhere else.
        """
        counters = self.allocate(contract.COUNTERS_BYTES, "counters")
        self.view(counters, contract.COUNTERS_BYTES)[:] = 0
        end = self.choose_end()
        await self.start(command, end, **{"counters": counters, **arguments})
        await self._wait(end, timeout_cycles)
        status = await self.read_register("status")
        return status, CountersBlock.parse(self.view(counters, contract.COUNTERS_BYTES).view(np.uint64))

    async def load(self, image: ModelImage) -> None:
        self.image = image
        status, _ = await self.execute(contract.COMMAND_LOAD, image=self.place(image.data, "image"))
        assert status == 0, f"LOAD ended with {contract.ERRORS[status & 0xFF]}"

    async def reset_state(self) -> None:
        status, _ = await self.execute(contract.COMMAND_RESET)
        assert status == 0, f"RESET ended with {contract.ERRORS[status & 0xFF]}"

    async def run(self, tokens: npt.ArrayLike, logits: bool = False) -> BenchRun:
        tokens = np.asarray(tokens, dtype=np.uint32)
        return await self._run(contract.COMMAND_RUN, tokens, tokens.size, logits)

    async def generate(self, first_token: int, count: int, logits: bool = False) -> BenchRun:
        return await self._run(
            contract.COMMAND_GENERATE, np.array([first_token], dtype=np.uint32), count, logits
        )

    async def _run(self, command: int, tokens: npt.NDArray[np.uint32], count: int, logits: bool) -> BenchRun:
        words, engines = len(self.image.vocabulary), self.build.engines
        positions = -(-words // self.build.decoder_slots) * self.build.decoder_lanes
        block = -(-4 * positions // 64) * 64
        tokens_address = self.place(tokens.view(np.uint8), "tokens")
        results = self.allocate(contract.RESULT_BYTES * count, "results")
        logits_bytes = count * engines * block if logits else 0
        logits_address = self.allocate(logits_bytes, "logits") if logits else self.memory.base
        for address, size in ((results, contract.RESULT_BYTES * count), (logits_address, logits_bytes)):
            self.view(address, size)[:] = 0xA5  # what was there before must not pass for a result
        status, counters = await self.execute(
            command,
            token_count=count,
            tokens=tokens_address,
            results=results,
            logits=logits_address,
            flags=contract.FLAG_WRITE_LOGITS if logits else 0,
        )
        records = self.view(results, contract.RESULT_BYTES * count).view(np.uint32)
        dealt = None
        if logits:
            blocks = self.view(logits_address, logits_bytes).view(np.int32)
            dealt = deal_logits_back(blocks.reshape(count, engines, block // 4)[:, :, :positions], words)
        run = parse_results(records.reshape(count, RESULT_WORDS), contract.MAX_LAYERS, counters, dealt)
        return BenchRun(**{**vars(run), "counters": counters, "status": status})
