"""The kernel's HLS C++, natively compiled, and a memory without time, as a Python object."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from egret.errors import EgretError, RunError
from egret.kernel import Board
from egret.virtual_board.csim_build import csim_library_path


class CsimModel:
    """A kernel fresh out of reset, with `memory` as the block of DDR that starts at address `base`.

    It stands where a board has KernelModel (the RTL): the same registers, the same bits. A command is over
    when the write that starts it returns, and no time passes: the counters of cycles are 0. What needs more
    than bits and counts needs the RTL.

    `memory` is a contiguous uint8 array, read and written in place. `library` is the compiled kernel, that of
    `board.build` unless given. Every method raises RunError if the kernel breaks a rule of its streams or
    ports (hls/csim/include); the model is of no use after that.
    """

    def __init__(
        self, board: Board, memory: npt.NDArray[np.uint8], base: int, library: Path | None = None
    ) -> None:
        if memory.dtype != np.uint8 or not memory.flags.c_contiguous or memory.ndim != 1:
            raise EgretError(
                "The memory of a virtual board must be a contiguous one-dimensional uint8 array."
            )
        if memory.size == 0 or memory.size % 4096 or base % 4096 or base < 0 or base + memory.size > 1 << 64:
            raise EgretError("The memory of a virtual board must be whole pages of 4096 bytes, page-aligned.")
        self._library = _load_copy(library or csim_library_path(board.build))
        self._memory = memory  # keeps it alive
        self._handle: int | None = self._library.egret_csim_open(
            base, memory.size, memory.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        )

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Free the model; calling it again does nothing."""
        if getattr(self, "_handle", None) is not None:  # __init__ may have failed before
            self._library.egret_csim_close(self._handle)
        self._handle = None

    def write_register(self, offset: int, value: int) -> None:
        """Write a 32-bit register; a write that starts a command returns when it is done."""
        self._check(self._library.egret_csim_write(self._open(), offset, value & 0xFFFFFFFF))

    def read_register(self, offset: int) -> int:
        """Read a 32-bit register, with the side effects the read has."""
        value = ctypes.c_uint32(0)
        self._check(self._library.egret_csim_read(self._open(), offset, value))
        return value.value

    def poll_register(self, offset: int, mask: int, interval: int, cycles: int) -> int:
        """Read a register: nothing would change by waiting."""
        return self.read_register(offset)

    def run(self, cycles: int) -> bool:
        """Let no time pass; return the interrupt."""
        return self.interrupt

    @property
    def interrupt(self) -> bool:
        """Level of the kernel's interrupt pin."""
        return bool(self._library.egret_csim_interrupt(self._open()))

    def set_faulty(self, addresses: range | None) -> None:
        """From now on give reads and writes of these byte addresses error responses; None: of none."""
        begin, end = (addresses.start, addresses.stop) if addresses else (0, 0)
        self._library.egret_csim_set_faulty(self._open(), begin, end)

    def take_accesses(self) -> tuple[range, range]:
        """Return the smallest address ranges with all reads, and all writes, since the last call."""
        ranges = (ctypes.c_uint64 * 4)()
        self._library.egret_csim_take_accesses(self._open(), ranges)
        read, written = (
            range(begin, end) if begin < end else range(0) for begin, end in (ranges[:2], ranges[2:])
        )
        return read, written

    def _open(self) -> int:
        if self._handle is None:
            raise EgretError("The simulated kernel was closed.")
        return self._handle

    def _check(self, status: int) -> None:
        if status != 0:
            reason = self._library.egret_csim_error(self._open()).decode("utf-8", "replace")
            raise RunError(f"The simulation of the kernel failed: {reason}.")


def _load_copy(path: Path) -> ctypes.CDLL:
    # The kernel's memories are static variables of the library: a kernel of one's own is a copy of the file.
    with tempfile.TemporaryDirectory(prefix="egret-csim-") as folder:
        copy = shutil.copy(path, folder)
        library = ctypes.CDLL(str(copy))
    handle, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    pointer = ctypes.POINTER
    for name, result, arguments in (
        ("egret_csim_open", handle, [u64, u64, pointer(ctypes.c_uint8)]),
        ("egret_csim_close", None, [handle]),
        ("egret_csim_error", ctypes.c_char_p, [handle]),
        ("egret_csim_write", ctypes.c_int, [handle, u32, u32]),
        ("egret_csim_read", ctypes.c_int, [handle, u32, pointer(u32)]),
        ("egret_csim_interrupt", ctypes.c_int, [handle]),
        ("egret_csim_set_faulty", None, [handle, u64, u64]),
        ("egret_csim_take_accesses", None, [handle, u64 * 4]),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library
