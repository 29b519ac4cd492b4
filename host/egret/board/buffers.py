"""Buffers in a board's DDR that the kernel reads or writes, by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pynq

from egret.contract import ALIGNMENT
from egret.errors import EgretError, RunError
from egret.image.limits import DEFAULT_CHUNK


class Buffers:
    """The buffers of a session. The host flushes what it writes and invalidates what it reads."""

    def __init__(self, device: Any, chunk: int) -> None:
        """Begin without any; `chunk` is the session's tokens per start of the kernel."""
        self._device, self._chunk = device, chunk
        self._buffers: dict[str, Any] = {}
        self.addresses: dict[str, int] = {}
        """Of each buffer (asking the buffer is a message to a remote board)."""

    def __len__(self) -> int:
        return len(self._buffers)

    def __getitem__(self, name: str) -> Any:
        return self._buffers[name]

    def get(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the buffer `name`, allocated and zeroed at its first use; raises as allocate() does."""
        return self._buffers[name] if name in self._buffers else self.allocate(name, shape, dtype)

    def allocate(self, name: str, shape: tuple[int, ...], dtype: Any, content: Any = 0) -> Any:
        """Allocate a pynq buffer with this content under a new name, and return it.

        Raises EgretError where memory is short, and RunError where the board misaligns the buffer.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        # pynq's default is memory that the processor reads word by word, past its caches.
        try:
            buffer = pynq.allocate(shape, dtype=dtype, target=self._device, cacheable=1)
        except (RuntimeError, MemoryError, OSError, ValueError, OverflowError) as error:
            raise EgretError(
                f"The board has no {size:,} bytes of contiguous memory left for the {name} ({error}); "
                f"{', and '.join(self._cures(name))}."
            ) from error
        self._buffers[name], self.addresses[name] = buffer, int(buffer.device_address)
        if self.addresses[name] % ALIGNMENT:
            raise RunError(
                f"The board placed the {name} at {self.addresses[name]:#x}, which is no multiple of "
                f"{ALIGNMENT}."
            )
        # Also cleans the cache lines: none may be written back over what the kernel will put there.
        buffer[...] = content
        buffer.flush()
        return buffer

    def free(self, *names: str) -> None:
        """Free the buffers of these names that there are."""
        for name in names:
            if name in self._buffers:
                self._buffers.pop(name).freebuffer()

    def free_all(self) -> None:
        """Free every buffer."""
        self.free(*list(self._buffers))

    def _cures(self, name: str) -> list[str]:
        cures = []
        if name == "image":
            cures.append("a model with fewer words, a smaller layer 0 or more zeros takes less")
        if name != "image" or self._chunk > DEFAULT_CHUNK:
            cures.append(f"a chunk of fewer than {self._chunk} tokens takes less")
        return cures
