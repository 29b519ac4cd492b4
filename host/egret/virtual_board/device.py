"""A pynq device whose programmable logic is the kernel: its RTL in Verilator, or its C++ natively compiled.

It takes the place of the device that pynq finds on a board; Overlay, DefaultIP, MMIO, allocate(), Interrupt
and Clocks are pynq's own, on the code paths of a board (capability MEMORY_MAPPED).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pynq.interrupt import _InterruptController
from pynq.pl_server.device import Device
from pynqmetadata.frontends import Metadata
from pynqmetadata.views.runtime import RuntimeMetadataParser

from egret.contract import VLNV
from egret.errors import EgretError
from egret.hwh import clock_built_for
from egret.profiles import Board
from egret.virtual_board.csim_model import CsimModel
from egret.virtual_board.memory import BufferObject, ContiguousMemory, VirtualMemory
from egret.virtual_board.model import KernelModel
from egret.virtual_board.registers import (
    InterruptController,
    KernelRegisters,
    Peripheral,
    RegisterArray,
    clock_registers,
)

MEMORY_BASE = 0x1000_0000
"""Address of the memory that buffers come from."""

INTERRUPT_CYCLES = 5_000
"""Cycles that the kernel runs between two looks at the event loop while a program awaits an interrupt."""

_INTERRUPT_CONTROLLER = "xilinx.com:ip:axi_intc:4.1"


class VirtualDevice(Device):
    """A board of the given profile. Make one with egret.board.boards.open_board().

    `make_model` makes the kernel of a board and its memory: KernelModel for the RTL, CsimModel for the C++.
    `strict` keeps the host's copy of each buffer apart from the DDR, so that a flush() or invalidate() that a
    board would need is needed here too. Raises EgretError where the simulation fails or an address is
    accessed at which a board has nothing (there the program would die or hang).
    """

    def __init__(
        self,
        board: Board,
        strict: bool = True,
        make_model: Callable[..., KernelModel | CsimModel] = KernelModel,
    ) -> None:
        super().__init__(f"virtual_{board.name}")
        self.capabilities = {"MEMORY_MAPPED": True}
        self.name = f"virtual-{board.name}"
        self.arch = "armv7l" if board.part.startswith("xc7z") else "aarch64"
        self.board = board
        self.strict = strict
        self.memory = ContiguousMemory(MEMORY_BASE, board.memory.bytes)
        self._make_model = make_model
        self._model: KernelModel | CsimModel | None = None
        self._bus: dict[tuple[int, int], Peripheral] = {}
        self._reset_bus()

    @property
    def model(self) -> KernelModel | CsimModel:
        """The simulated kernel; raises EgretError before an overlay is downloaded."""
        if self._model is None:
            raise EgretError("No bitstream is loaded on the virtual board: download an overlay first.")
        return self._model

    # What pynq calls to load a bitstream

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        """Read the .hwh beside a bitstream; raises EgretError if there is none."""
        handoff = Path(bitfile_name).with_suffix(".hwh")
        if not handoff.is_file():
            raise EgretError(f"{handoff} is missing: pynq needs the hardware handoff beside the bitstream.")
        parser = RuntimeMetadataParser(Metadata(input=handoff))
        parser.mem_dict["PSDDR"] = {
            "base_address": 0,
            "size": MEMORY_BASE + self.board.memory.bytes,
            "used": 1,
            "idx": 0,
            "tag": "PSDDR",
            "streaming": False,
            "raw_type": 2,
            "type": "DDR4",
        }
        return parser

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """Put a new kernel, in reset state, behind the addresses that the design gives it."""
        if self._model is not None:
            self._model.close()
        # How many bytes the DDR gives in a cycle depends on the clock.
        board = replace(self.board, clock_mhz=clock_built_for(self.ip_dict) or self.board.clock_mhz)
        self._model = self._make_model(board, self.memory.data, self.memory.base)
        self._reset_bus()
        controllers = []
        for description in self.ip_dict.values():
            window = (description.get("phys_addr"), description.get("addr_range"))
            if description.get("type") == VLNV:
                self._bus[window] = KernelRegisters(self._model)
            elif description.get("type") == _INTERRUPT_CONTROLLER:
                controllers.append(InterruptController(self._interrupt_pin))
                self._bus[window] = controllers[-1]
        for description in self.interrupt_controllers.values():
            if "raw_irq" in description and controllers:
                events = _InterruptEvents(self, controllers[0])
                _InterruptController._uio_devices[description["raw_irq"]] = events
        bitstream.binfile_name = Path(bitstream.bitfile_name).stem + ".bin"
        super().post_download(bitstream, parser, self.name)

    def gen_cache(self, bitstream: Any, parser: Any = None) -> None:
        """Do nothing: a virtual board keeps no state between processes."""

    def shutdown(self) -> None:
        """Do nothing: there is no logic to quiesce before it is replaced."""

    def insert_device_tree(self, abs_dtbo: str) -> None:
        """Do nothing: no operating system runs on the virtual board."""

    def remove_device_tree(self, abs_dtbo: str) -> None:
        """Do nothing: no operating system runs on the virtual board."""

    def close(self) -> None:
        """Free the simulated kernel; registers answer no more, buffers stay."""
        if self._model is not None:
            self._model.close()
        self._model = None
        self._reset_bus()

    # What pynq calls to use memory

    def get_memory(self, description: dict[str, Any]) -> VirtualMemory:
        """Return the memory of a mem_dict entry."""
        return VirtualMemory(self, description)

    @property
    def default_memory(self) -> VirtualMemory:
        """The memory that pynq.allocate() uses; raises EgretError before an overlay is downloaded."""
        self.model  # noqa: B018 - on a board, too, there is no memory before a bitstream is loaded
        return self.get_memory(self.mem_dict["PSDDR"])

    def flush(self, bo: BufferObject, offset: int, virtual_address: int, size: int) -> None:
        """Copy part of a buffer from the host's copy to the DDR."""
        if self.strict:
            bo.flush(self.memory.view(bo.address + offset, size), offset)

    def invalidate(self, bo: BufferObject, offset: int, virtual_address: int, size: int) -> None:
        """Evict the dirty lines of part of a buffer, then copy it from the DDR to the host's copy."""
        if self.strict:
            bo.invalidate(self.memory.view(bo.address + offset, size), offset)

    # What pynq calls to reach registers

    def mmap(self, base_addr: int, length: int) -> RegisterArray:
        """Return what stands for an array of the registers at an address."""
        return RegisterArray(self, base_addr, length // 4)

    def read_registers(self, address: int, length: int) -> bytes:
        """Read `length` bytes of registers, a multiple of 4, little endian."""
        words = []
        for word_address in range(address, address + length, 4):
            peripheral, offset = self._find(word_address)
            words.append((peripheral.read(offset) & 0xFFFFFFFF).to_bytes(4, "little"))
        return b"".join(words)

    def write_registers(self, address: int, data: bytes) -> None:
        """Write registers, a multiple of 4 bytes, little endian."""
        for start in range(0, len(data), 4):
            peripheral, offset = self._find(address + start)
            peripheral.write(offset, int.from_bytes(data[start : start + 4], "little"))

    def _find(self, address: int) -> tuple[Peripheral, int]:
        for (base, size), peripheral in self._bus.items():
            if base <= address < base + size:
                return peripheral, address - base
        if self._model is None:
            self.model  # noqa: B018 - raises
        raise EgretError(f"Nothing on the virtual board answers at address {address:#x}.")

    def _reset_bus(self) -> None:
        # The processing system's clocks keep what was set when the logic is loaded anew.
        clocks = {base: block for base, block in self._bus.items() if base in self._clock_windows()}
        self._bus = {**clock_registers(self.board), **clocks}

    def _clock_windows(self) -> set[tuple[int, int]]:
        return set(clock_registers(self.board))

    def _interrupt_pin(self) -> bool:
        return self._model is not None and self._model.interrupt


class _InterruptEvents:
    """Stands where pynq has a UIO file: sets events when the interrupt controller raises its output."""

    def __init__(self, device: VirtualDevice, controller: InterruptController) -> None:
        self._device = device
        self._controller = controller
        self._events: list[Any] = []
        self._loop: asyncio.AbstractEventLoop | None = None  # the loop that look() is scheduled on

    def add_event(self, event: Any, number: int) -> None:
        """Call `event.set()` at the next interrupt; until then the kernel runs with the event loop."""
        self._events.append(event)
        loop = asyncio.get_event_loop()
        if self._loop is not loop:
            self._loop = loop
            loop.call_soon(self._look)

    def _look(self) -> None:
        if not self._controller.output:
            self._device.model.run(INTERRUPT_CYCLES)
        if not self._controller.output:
            asyncio.get_event_loop().call_soon(self._look)
            return
        self._loop = None
        events, self._events = self._events, []
        for event in events:
            event.set()
