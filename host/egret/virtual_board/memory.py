"""The contiguous DDR of a virtual board, and the buffers that pynq.allocate() gives out of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pynq.buffer import PynqBuffer

from egret.errors import EgretError

PAGE_BYTES = 4096

CACHE_LINE_BYTES = 32
"""Of the Cortex-A9, the shortest of the boards' processors."""

UNWRITTEN = 0xA5
"""What a fresh host copy is full of, so that nothing relies on new memory being zero."""


class ContiguousMemory:
    """A block of DDR from address `base` and who has which part of it.

    `data` is the block itself, uint8 [size]: what the kernel reads and writes. The operating system gives it
    real memory page by page as it is touched.
    """

    def __init__(self, base: int, size: int) -> None:
        self.base = base
        self.data: npt.NDArray[np.uint8] = np.zeros(size, dtype=np.uint8)
        self._free = [(0, size)]  # (offset, bytes), sorted, never adjacent

    @property
    def free_bytes(self) -> int:
        """Bytes not given out, in all holes together."""
        return sum(size for _, size in self._free)

    def view(self, address: int, size: int) -> npt.NDArray[np.uint8]:
        """Return `size` bytes at an address; raises EgretError if they are not all in the block."""
        offset = address - self.base
        if offset < 0 or size < 0 or offset + size > self.data.size:
            raise EgretError(f"The virtual board has no memory at {address:#x} to {address + size:#x}.")
        return self.data[offset : offset + size]

    def take(self, size: int) -> tuple[int, int]:
        """Give out whole pages for `size` bytes, first fit; return their address and bytes.

        Raises MemoryError, as pynq does on a board, if no hole is large enough.
        """
        pages = -(-max(size, 1) // PAGE_BYTES) * PAGE_BYTES
        for position, (offset, hole) in enumerate(self._free):
            if hole >= pages:
                rest = [(offset + pages, hole - pages)] if hole > pages else []
                self._free[position : position + 1] = rest
                return self.base + offset, pages
        largest = max((hole for _, hole in self._free), default=0)
        raise MemoryError(f"{size} bytes of contiguous memory asked for, the largest hole has {largest}")

    def return_pointer(self, pointer: tuple[int, int]) -> None:
        """Take back what take() returned; the name is the one that PynqBuffer.freebuffer() calls."""
        address, size = pointer
        joined: list[tuple[int, int]] = []
        for offset, hole in sorted([*self._free, (address - self.base, size)]):
            if joined and joined[-1][0] + joined[-1][1] == offset:
                joined[-1] = (joined[-1][0], joined[-1][1] + hole)
            else:
                joined.append((offset, hole))
        self._free = joined


class BufferObject:
    """A buffer as behind a cache: the host's copy, and what the DDR and it had in common last."""

    def __init__(self, address: int, host: npt.NDArray[np.uint8], cached: bool) -> None:
        """`host`: uint8 [bytes], the DDR itself where the buffer is not `cached`."""
        self.address, self.host = address, host
        self._clean = host.copy() if cached else host

    def flush(self, memory: npt.NDArray[np.uint8], offset: int) -> None:
        """Write the host's copy to `memory`, the part of the DDR from `offset` on."""
        part = slice(offset, offset + memory.size)
        memory[:] = self._clean[part] = self.host[part]

    def invalidate(self, memory: npt.NDArray[np.uint8], offset: int) -> None:
        """Write back the lines that the host has changed and not flushed; then read all from `memory`.

        A cache may evict a dirty line at any time; this is when it does the most harm.
        """
        part = slice(offset, offset + memory.size)
        changed = np.flatnonzero(self.host[part] != self._clean[part])
        if changed.size:
            for line in np.unique((changed + offset) // CACHE_LINE_BYTES):
                begin = max(int(line) * CACHE_LINE_BYTES, offset)
                end = min((int(line) + 1) * CACHE_LINE_BYTES, offset + memory.size)
                memory[begin - offset : end - offset] = self.host[begin:end]
        self.host[part] = self._clean[part] = memory


class VirtualMemory:
    """The memory of a virtual board as overlay.PSDDR or the target of pynq.allocate() sees it."""

    def __init__(self, device: Any, description: dict[str, Any]) -> None:
        self.device = device
        self.desc = description
        self.idx = description["idx"]
        self.base_address = description["base_address"]
        self.size = description["size"]

    def allocate(self, shape: Any, dtype: Any, **_: Any) -> PynqBuffer:
        """Return a buffer, as pynq.allocate() does; raises MemoryError if the DDR is full.

        On a strict board it is a copy of its own, as behind a cache: flush() and invalidate() move data
        between the two, and so does the cache itself. What the host wrote and did not flush is written back
        (evicted) when it does the most harm: over what the kernel has written, just before invalidate().
        """
        dtype = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        memory = self.device.memory
        pointer = memory.take(size)
        if self.device.strict:
            host = np.full(size, UNWRITTEN, dtype=np.uint8)
        else:
            host = memory.view(pointer[0], size)
        buffer = PynqBuffer(
            shape,
            dtype,
            device=self.device,
            device_address=pointer[0],
            bo=BufferObject(pointer[0], host, self.device.strict),
            coherent=False,
            buffer=host,
        )
        buffer.memory, buffer.pointer, buffer.return_to = self, pointer, memory
        buffer.freed = True  # else freeing it twice would reach a munmap() of what was never mapped
        return buffer
