"""The kernel's HLS C++, natively compiled, and a memory without time, as a Python object."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from egret.profiles import Board
from egret.virtual_board.csim_build import csim_library_path
from egret.virtual_board.native_model import HANDLE, U64, NativeModel, Signature, check_memory

_SIGNATURES: tuple[Signature, ...] = (
    ("open", HANDLE, [U64, U64, ctypes.POINTER(ctypes.c_uint8)]),
    ("set_faulty", None, [HANDLE, U64, U64]),
    ("stop_memory", None, [HANDLE, U64, U64]),
    ("take_accesses", None, [HANDLE, U64 * 4]),
)


class CsimModel(NativeModel):
    """A kernel fresh out of reset, with `memory` as the block of DDR that starts at address `base`.

    It stands where a board has KernelModel (the RTL): the same registers, the same bits. A command is over
    when the write that starts it returns, and no time passes: the counters of cycles are 0. What needs more
    than bits and counts needs the RTL.

    `memory` is a contiguous uint8 array, read and written in place. `library` is the compiled kernel, that of
    `board.build` unless given. Every method raises RunError if the kernel breaks a rule of its streams or
    ports (hls/csim/include); the model is of no use after that.
    """

    PREFIX = "egret_csim_"

    def __init__(
        self, board: Board, memory: npt.NDArray[np.uint8], base: int, library: Path | None = None
    ) -> None:
        check_memory(memory, base)
        super().__init__(_load_copy(library or csim_library_path(board.build)), _SIGNATURES, memory)
        self._handle = self._function("open")(base, memory.size, self._memory_pointer)

    def poll_register(self, offset: int, mask: int, interval: int, cycles: int) -> int:
        """Read a register: nothing would change by waiting."""
        return self.read_register(offset)

    def run(self, cycles: int) -> bool:
        """Let no time pass; return the interrupt."""
        return self.interrupt

    def set_faulty(self, addresses: range | None) -> None:
        """From now on give reads and writes of these byte addresses error responses; None: of none."""
        begin, end = (addresses.start, addresses.stop) if addresses else (0, 0)
        self._function("set_faulty")(self._open(), begin, end)

    def stop_memory(self, read_beats: int | None = None, write_responses: int | None = None) -> None:
        """Have the memory send so many more read beats and write responses, and then no more; None: all.

        A command that waits for what is not sent stays busy until the model is made anew.
        """
        left = [(1 << 64) - 1 if count is None else count for count in (read_beats, write_responses)]
        self._function("stop_memory")(self._open(), *left)

    def take_accesses(self) -> tuple[range, range]:
        """Return the smallest address ranges with all reads, and all writes, since the last call."""
        ranges = (ctypes.c_uint64 * 4)()
        self._function("take_accesses")(self._open(), ranges)
        read, written = (
            range(begin, end) if begin < end else range(0) for begin, end in (ranges[:2], ranges[2:])
        )
        return read, written


def _load_copy(path: Path) -> ctypes.CDLL:
    # The kernel's memories are static variables of the library: a kernel of one's own is a copy of the file.
    with tempfile.TemporaryDirectory(prefix="egret-csim-") as folder:
        copy = shutil.copy(path, folder)
        return ctypes.CDLL(str(copy))
