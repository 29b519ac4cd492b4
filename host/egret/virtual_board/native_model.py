"""What the models of a kernel in a shared library have in common: memory, registers, errors, closing."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from egret.errors import EgretError, RunError

HANDLE = ctypes.c_void_p
U32 = ctypes.c_uint32
U64 = ctypes.c_uint64

Signature = tuple[str, Any, Sequence[Any]]
"""A function's name without the library's prefix, its result type and its argument types."""

_COMMON: tuple[Signature, ...] = (
    ("close", None, [HANDLE]),
    ("error", ctypes.c_char_p, [HANDLE]),
    ("write", ctypes.c_int, [HANDLE, U32, U32]),
    ("read", ctypes.c_int, [HANDLE, U32, ctypes.POINTER(U32)]),
    ("interrupt", ctypes.c_int, [HANDLE]),
)


def check_memory(memory: npt.NDArray[np.uint8], base: int) -> None:
    """Raise EgretError unless `memory` at address `base` can be a virtual board's DDR."""
    if memory.dtype != np.uint8 or not memory.flags.c_contiguous or memory.ndim != 1:
        raise EgretError("The memory of a virtual board must be a contiguous one-dimensional uint8 array.")
    if memory.size == 0 or memory.size % 4096 or base % 4096 or base < 0 or base + memory.size > 1 << 64:
        raise EgretError("The memory of a virtual board must be whole pages of 4096 bytes, page-aligned.")


class NativeModel:
    """One kernel in a library whose C functions share the name PREFIX; a subclass opens it into `_handle`."""

    PREFIX: str

    def __init__(
        self, library: ctypes.CDLL, signatures: Iterable[Signature], memory: npt.NDArray[np.uint8]
    ) -> None:
        for name, result, arguments in (*_COMMON, *signatures):
            function = getattr(library, self.PREFIX + name)
            function.restype = result
            function.argtypes = arguments
        self._library = library
        self._memory = memory  # keeps it alive
        self._memory_pointer = memory.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        self._handle: int | None = None

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Free the model; calling it again does nothing."""
        if getattr(self, "_handle", None) is not None:  # __init__ may have failed before
            self._function("close")(self._handle)
        self._handle = None

    def write_register(self, offset: int, value: int) -> None:
        """Write a 32-bit register."""
        self._check(self._function("write")(self._open(), offset, value & 0xFFFFFFFF))

    def read_register(self, offset: int) -> int:
        """Read a 32-bit register, with the side effects the read has."""
        value = U32(0)
        self._check(self._function("read")(self._open(), offset, value))
        return value.value

    @property
    def interrupt(self) -> bool:
        """Level of the kernel's interrupt pin."""
        return bool(self._function("interrupt")(self._open()))

    def _function(self, name: str) -> Any:
        return getattr(self._library, self.PREFIX + name)

    def _open(self) -> int:
        if self._handle is None:
            raise EgretError("The simulated kernel was closed.")
        return self._handle

    def _check(self, status: int) -> None:
        if status != 0:
            self._fail(self._reason())

    def _reason(self) -> str:
        reason: str = self._function("error")(self._handle).decode("utf-8", "replace")
        return reason

    def _fail(self, reason: str) -> None:
        raise RunError(f"The simulation of the kernel failed: {reason}.")
