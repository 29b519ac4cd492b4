"""The kernel's RTL and a board's memory, compiled by Verilator, as a Python object."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from egret.errors import EgretError, RunError
from egret.kernel import Board
from egret.virtual_board.build import library_path


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


class KernelModel:
    """A kernel fresh out of reset, with `memory` as the block of DDR that starts at address `base`.

    The kernel is the one of `board.build`, and `board.memory` and `board.clock_mhz` set latency, bandwidth
    and limits. `memory` is a contiguous uint8 array, which the kernel reads and writes in place while a
    method runs; it must be a multiple of 4096 bytes and so must `base`.

    The first use of a build compiles it (see egret.virtual_board.build) from the folder `rtl`, hls/rtl unless
    given. Every method raises RunError if the kernel breaks the AXI protocol or a limit of the board, or
    does not answer; the model is of no use after that.
    """

    def __init__(
        self, board: Board, memory: npt.NDArray[np.uint8], base: int, rtl: Path | None = None
    ) -> None:
        if memory.dtype != np.uint8 or not memory.flags.c_contiguous or memory.ndim != 1:
            raise EgretError(
                "The memory of a virtual board must be a contiguous one-dimensional uint8 array."
            )
        if memory.size == 0 or memory.size % 4096 or base % 4096 or base < 0 or base + memory.size > 1 << 64:
            raise EgretError("The memory of a virtual board must be whole pages of 4096 bytes, page-aligned.")
        profile = board.memory
        for name in ("latency_cycles", "bandwidth_bytes_per_second", "burst_beats", "reads_in_flight"):
            if getattr(profile, name) < 1:
                raise EgretError(f"{name} of a virtual board's memory must be at least 1.")
        self._library = _load(library_path(board.build, rtl))
        self._memory = memory  # keeps it alive
        self._ports = board.build.engines
        self._handle: int | None = self._library.egret_open(
            _MemoryProfile(
                base=base,
                bytes=memory.size,
                latency_cycles=profile.latency_cycles,
                burst_beats=profile.burst_beats,
                reads_in_flight=profile.reads_in_flight,
                bytes_per_second=profile.bandwidth_bytes_per_second,
                clock_hertz=board.clock_mhz * 1_000_000,
            ),
            memory.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)),
        )
        self._raise_error()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Free the model; calling it again does nothing."""
        if getattr(self, "_handle", None) is not None:  # __init__ may have failed before
            self._library.egret_close(self._handle)
        self._handle = None

    def write_register(self, offset: int, value: int) -> None:
        """Write a 32-bit register over AXI4-Lite."""
        self._check(self._library.egret_write(self._open(), offset, value & 0xFFFFFFFF))

    def read_register(self, offset: int) -> int:
        """Read a 32-bit register over AXI4-Lite, with the side effects the read has."""
        value = ctypes.c_uint32(0)
        self._check(self._library.egret_read(self._open(), offset, value))
        return value.value

    def poll_register(self, offset: int, mask: int, interval: int, cycles: int) -> int:
        """Read a register every `interval` cycles until a bit of `mask` is set; return the last value.

        After `cycles` clock cycles it returns whatever the register holds.
        """
        value = ctypes.c_uint32(0)
        self._check(self._library.egret_poll(self._open(), offset, mask, interval, cycles, value))
        return value.value

    def run(self, cycles: int) -> bool:
        """Let the clock run until the interrupt is high, but at most `cycles`; return the interrupt."""
        self._check(self._library.egret_run(self._open(), cycles))
        return self.interrupt

    @property
    def interrupt(self) -> bool:
        """Level of the kernel's interrupt pin."""
        return bool(self._library.egret_interrupt(self._open()))

    @property
    def cycles(self) -> int:
        """Clock cycles since the model was made, reset included."""
        return int(self._library.egret_cycles(self._open()))

    def statistics(self, port: int) -> PortStatistics:
        """Return what an m_axi port transferred; raises EgretError if the kernel has no such port."""
        if not 0 <= port < self._ports:
            raise EgretError(f"The kernel has ports 0 to {self._ports - 1}, no port {port}.")
        statistics = _PortStatistics()
        self._check(self._library.egret_statistics(self._open(), port, statistics))
        return PortStatistics(
            **{field.name: getattr(statistics, field.name) for field in fields(PortStatistics)}
        )

    def _open(self) -> int:
        if self._handle is None:
            raise EgretError("The simulated kernel was closed.")
        return self._handle

    def _check(self, status: int) -> None:
        if status != 0:
            self._raise_error()

    def _raise_error(self) -> None:
        reason = self._library.egret_error(self._handle).decode("utf-8", "replace")
        if reason:
            raise RunError(f"The simulation of the kernel failed: {reason}.")


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    handle, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    pointer = ctypes.POINTER
    for name, result, arguments in (
        ("egret_open", handle, [pointer(_MemoryProfile), pointer(ctypes.c_uint8)]),
        ("egret_close", None, [handle]),
        ("egret_error", ctypes.c_char_p, [handle]),
        ("egret_write", ctypes.c_int, [handle, u32, u32]),
        ("egret_read", ctypes.c_int, [handle, u32, pointer(u32)]),
        ("egret_poll", ctypes.c_int, [handle, u32, u32, u32, u64, pointer(u32)]),
        ("egret_run", ctypes.c_int, [handle, u64]),
        ("egret_interrupt", ctypes.c_int, [handle]),
        ("egret_cycles", u64, [handle]),
        ("egret_statistics", ctypes.c_int, [handle, u32, pointer(_PortStatistics)]),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library
