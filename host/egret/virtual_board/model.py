"""The kernel's RTL and a board's memory, compiled by Verilator, as a Python object."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from egret.errors import EgretError
from egret.profiles import Board
from egret.virtual_board.build import library_path
from egret.virtual_board.native_model import HANDLE, U32, U64, NativeModel, Signature, check_memory


class _MemoryProfile(ctypes.Structure):
    """MemoryProfile of harness/memory_model.hpp."""

    _fields_ = [
        ("base", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("latency_cycles", ctypes.c_uint32),
        ("burst_beats", ctypes.c_uint32),
        ("reads_in_flight", ctypes.c_uint32),
        ("bytes_per_second", ctypes.c_uint64),
        ("clock_hertz", ctypes.c_uint64),
    ]


class _PortStatistics(ctypes.Structure):
    """PortStatistics of harness/memory_model.hpp."""

    _fields_ = [
        ("read_bursts", ctypes.c_uint64),
        ("read_beats", ctypes.c_uint64),
        ("write_bursts", ctypes.c_uint64),
        ("write_beats", ctypes.c_uint64),
        ("most_reads_in_flight", ctypes.c_uint64),
    ]


@dataclass(frozen=True)
class PortStatistics:
    """What one m_axi port transferred since the model was made."""

    read_bursts: int
    read_beats: int
    write_bursts: int
    write_beats: int
    most_reads_in_flight: int


_SIGNATURES: tuple[Signature, ...] = (
    ("open", HANDLE, [ctypes.POINTER(_MemoryProfile), ctypes.POINTER(ctypes.c_uint8)]),
    ("poll", ctypes.c_int, [HANDLE, U32, U32, U32, U64, ctypes.POINTER(U32)]),
    ("run", ctypes.c_int, [HANDLE, U64]),
    ("cycles", U64, [HANDLE]),
    ("statistics", ctypes.c_int, [HANDLE, U32, ctypes.POINTER(_PortStatistics)]),
    ("stop_memory", ctypes.c_int, [HANDLE, U64, U64]),
    ("fail_memory", ctypes.c_int, [HANDLE, U64, U64, U32]),
)


def _or_never(count: int | None) -> int:
    """Return what stands for a count in harness/memory_model.hpp."""
    return (1 << 64) - 1 if count is None else count


class KernelModel(NativeModel):
    """A kernel fresh out of reset, with `memory` as the block of DDR that starts at address `base`.

    The kernel is the one of `board.build`, and `board.memory` and `board.clock_mhz` set latency, bandwidth
    and limits. `memory` is a contiguous uint8 array, which the kernel reads and writes in place while a
    method runs; it must be a multiple of 4096 bytes and so must `base`.

    The first use of a build compiles it from the folder `rtl`, hls/rtl unless given, with `clock_gates` or
    without (see egret.virtual_board.build). Every method raises RunError if the kernel breaks the AXI
    protocol or a limit of the board, or does not answer; the model is of no use after that.
    """

    PREFIX = "egret_"

    def __init__(
        self,
        board: Board,
        memory: npt.NDArray[np.uint8],
        base: int,
        rtl: Path | None = None,
        clock_gates: bool = True,
    ) -> None:
        check_memory(memory, base)
        profile = board.memory
        for name in ("latency_cycles", "bandwidth_bytes_per_second", "burst_beats", "reads_in_flight"):
            if getattr(profile, name) < 1:
                raise EgretError(f"{name} of a virtual board's memory must be at least 1.")
        library = library_path(board.build, rtl, clock_gates)
        super().__init__(ctypes.CDLL(str(library)), _SIGNATURES, memory)
        self._ports = board.build.engines
        self._handle = self._function("open")(
            _MemoryProfile(
                base=base,
                bytes=memory.size,
                latency_cycles=profile.latency_cycles,
                burst_beats=profile.burst_beats,
                reads_in_flight=profile.reads_in_flight,
                bytes_per_second=profile.bandwidth_bytes_per_second,
                clock_hertz=round(board.clock_mhz * 1_000_000),
            ),
            self._memory_pointer,
        )
        if reason := self._reason():
            self._fail(reason)

    def poll_register(self, offset: int, mask: int, interval: int, cycles: int) -> int:
        """Read a register every `interval` cycles until a bit of `mask` is set; return the last value.

        After `cycles` clock cycles it returns whatever the register holds.
        """
        value = U32(0)
        self._check(self._function("poll")(self._open(), offset, mask, interval, cycles, value))
        return value.value

    def run(self, cycles: int) -> bool:
        """Let the clock run until the interrupt is high, but at most `cycles`; return the interrupt."""
        self._check(self._function("run")(self._open(), cycles))
        return self.interrupt

    @property
    def cycles(self) -> int:
        """Clock cycles since the model was made, reset included."""
        return int(self._function("cycles")(self._open()))

    def stop_memory(self, read_beats: int | None = None, write_responses: int | None = None) -> None:
        """Have the memory send so many more read beats and write responses, of all ports, and then no more.

        None: it goes on sending them.
        """
        self._check(
            self._function("stop_memory")(self._open(), _or_never(read_beats), _or_never(write_responses))
        )

    def fail_memory(
        self, read_beats: int | None = None, write_responses: int | None = None, decode_error: bool = False
    ) -> None:
        """Have the memory answer one read beat or write with an error, after so many more that are right.

        The error is SLVERR, or DECERR with `decode_error`, and a beat's data are wrong. None: no error.
        """
        response = 3 if decode_error else 2
        self._check(
            self._function("fail_memory")(
                self._open(), _or_never(read_beats), _or_never(write_responses), response
            )
        )

    def statistics(self, port: int) -> PortStatistics:
        """Return what an m_axi port transferred; raises EgretError if the kernel has no such port."""
        if not 0 <= port < self._ports:
            raise EgretError(f"The kernel has ports 0 to {self._ports - 1}, no port {port}.")
        statistics = _PortStatistics()
        self._check(self._function("statistics")(self._open(), port, statistics))
        return PortStatistics(
            **{field.name: getattr(statistics, field.name) for field in fields(PortStatistics)}
        )
