"""What answers on the bus of a virtual board: kernel, interrupt controller and clock registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from egret.contract import REGISTERS
from egret.profiles import Board
from egret.virtual_board.csim_model import CsimModel
from egret.virtual_board.model import KernelModel

CONTROL = REGISTERS["CTRL"][0]
CONTROL_DONE_OR_IDLE = 0b110

KERNEL_OFFSET_MASK = 0x7F
"""The kernel decodes seven address bits; the rest of its window repeats them."""

POLL_INTERVAL_CYCLES = 64
POLL_CYCLES = 20_000
"""A read of CTRL returns when the kernel is done or after this time.

On a board the kernel runs while the processor does other things. Here it runs only while it is asked to, and
a poll is the time to: one call then serves thousands of cycles, and Python does not slow the simulation.
"""

ACCESS_CYCLES = 16
"""Kernel cycles that pass with any other register access, some hundred nanoseconds as on a board."""


class Peripheral(Protocol):
    """A block of 32-bit registers."""

    def read(self, offset: int) -> int:
        """Return the register at a byte offset."""

    def write(self, offset: int, value: int) -> None:
        """Write the register at a byte offset."""


class KernelRegisters:
    """The kernel's AXI4-Lite port."""

    def __init__(self, model: KernelModel | CsimModel) -> None:
        self._model = model

    def read(self, offset: int) -> int:
        """Read a register; polls of CTRL let the kernel run."""
        offset &= KERNEL_OFFSET_MASK
        if offset == CONTROL:
            return self._model.poll_register(offset, CONTROL_DONE_OR_IDLE, POLL_INTERVAL_CYCLES, POLL_CYCLES)
        self._model.run(ACCESS_CYCLES)
        return self._model.read_register(offset)

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        self._model.write_register(offset & KERNEL_OFFSET_MASK, value)


class InterruptController:
    """AMD's axi_intc as far as pynq uses it, with one level-sensitive input."""

    STATUS, PENDING, ENABLE, ACKNOWLEDGE = 0x00, 0x04, 0x08, 0x0C
    SET_ENABLE, CLEAR_ENABLE, MASTER_ENABLE = 0x10, 0x14, 0x1C

    def __init__(self, source: Callable[[], bool]) -> None:
        self._source = source
        self._enabled = 0
        self._master = 0

    def read(self, offset: int) -> int:
        """Read a register; those that pynq does not read are zero."""
        status = int(self._source())
        values = {
            self.STATUS: status,
            self.PENDING: status & self._enabled,
            self.ENABLE: self._enabled,
            self.MASTER_ENABLE: self._master,
        }
        return values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Write a register. An acknowledge changes nothing while the level stays."""
        if offset == self.ENABLE:
            self._enabled = value
        elif offset == self.SET_ENABLE:
            self._enabled |= value
        elif offset == self.CLEAR_ENABLE:
            self._enabled &= ~value
        elif offset == self.MASTER_ENABLE:
            self._master = value

    @property
    def output(self) -> bool:
        """The interrupt to the processor."""
        return self._master & 0b11 == 0b11 and bool(int(self._source()) & self._enabled)


class StoredRegisters:
    """Registers that hold what is written, as the clock registers of a processing system do."""

    def __init__(self, values: dict[int, int]) -> None:
        self._values = dict(values)

    def read(self, offset: int) -> int:
        """Return what was last written, or the value after boot."""
        return self._values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Store a value."""
        self._values[offset] = value


def clock_registers(board: Board) -> dict[tuple[int, int], StoredRegisters]:
    """Return the clock registers of a board, by base address and bytes, as they are after boot.

    The fabric clocks come from the board's PLL at 100 MHz or near it, as PYNQ images leave them.
    """
    mhz, source = board.clock_source_mhz, board.clock_source
    divisor = round(mhz / 100)
    if board.part.startswith("xc7z"):
        # 50 MHz times 26, 21, 20: 1300, 1050 and 1000 MHz from the ARM, DDR and IO PLL.
        pll = {0x100: 26 << 12, 0x104: 21 << 12, 0x108: 20 << 12}
        select, at = {"IO PLL": (0, 0x108), "ARM PLL": (2, 0x100), "DDR PLL": (3, 0x104)}[source]
        pll[at] = round(mhz / 50) << 12
        fabric = {0x170 + 16 * clock: divisor << 8 | 1 << 20 | select << 4 for clock in range(4)}
        return {(0xF800_0000, 0x1000): StoredRegisters({**pll, 0x120: 2 << 8, **fabric})}
    # 33.333 MHz times a number, halved: 1200 MHz for the processors, the board's rate from its PLL.
    halved = 1 << 16
    low = {0x20: 90 << 8 | halved, 0x30: 90 << 8 | halved}
    select, at = {"IOPLL": (0, 0x20), "RPLL": (2, 0x30)}[source]
    low[at] = round(2 * mhz / 33.333) << 8 | halved
    low.update({0xC0 + 4 * clock: divisor << 8 | 1 << 16 | 1 << 24 | select for clock in range(4)})
    full = {0x20: 72 << 8 | halved, 0x2C: 64 << 8 | halved, 0x38: 90 << 8 | halved, 0x60: 1 << 8}
    return {
        (0xFF5E_0000, 0x1000): StoredRegisters(low),
        (0xFD1A_0000, 0x1000): StoredRegisters(full),
    }


class RegisterArray:
    """Stands where a board has a NumPy array over mapped registers: an element access is a bus access."""

    def __init__(self, device: Any, address: int, length: int, dtype: Any = "u4") -> None:
        self._device = device
        self._address = address
        self._length = length  # elements
        self.dtype = np.dtype(dtype)

    def __len__(self) -> int:
        return self._length

    @property
    def nbytes(self) -> int:
        """Bytes of the range."""
        return self._length * self.dtype.itemsize

    def view(self, dtype: Any) -> RegisterArray:
        """Return the same range with elements of another size (4 or 8 bytes)."""
        return RegisterArray(self._device, self._address, self.nbytes // np.dtype(dtype).itemsize, dtype)

    def __getitem__(self, key: Any) -> Any:
        address, count = self._locate(key)
        if count is not None:
            return RegisterArray(self._device, address, count, self.dtype)  # read when an element is
        return np.frombuffer(self._device.read_registers(address, self.dtype.itemsize), self.dtype)[0]

    def __setitem__(self, key: Any, value: Any) -> None:
        address, count = self._locate(key)
        values = np.broadcast_to(np.asarray(value).astype(self.dtype), (1 if count is None else count,))
        self._device.write_registers(address, values.tobytes())

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        values = np.frombuffer(self._device.read_registers(self._address, self.nbytes), self.dtype)
        return values.astype(dtype or self.dtype)

    def _locate(self, key: Any) -> tuple[int, int | None]:
        """Return the address of an index or slice, and the number of elements of a slice."""
        if isinstance(key, slice):
            start, stop, step = key.indices(self._length)
            if step != 1:
                raise IndexError("registers can only be sliced with step 1")
            return self._address + start * self.dtype.itemsize, max(stop - start, 0)
        index = int(key)
        if not -self._length <= index < self._length:
            raise IndexError(f"index {index} is out of bounds for {self._length} registers")
        return self._address + (index % self._length) * self.dtype.itemsize, None
