"""A small board for tests of the driver: registers and DDR as the contract says, the reference model where
the kernel would be, and a switch for each way in which a board can fail.

Host and device copies of a buffer are separate, as behind a cache: a missing flush or invalidate shows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pynq.buffer import PynqBuffer

from egret import contract
from egret.board.identity import words_of
from egret.checkpoint import Checkpoint
from egret.image.layout import Layout
from egret.image.model_image import ModelImage
from egret.profiles import Build
from egret.reference.model import ReferenceModel, Trace

BASE = 0x1000_0000
REGISTERS_AT = 0x4000_0000
START, DONE, IDLE = 1, 2, 4

OFFSETS = {name: offset for name, (offset, _, _) in contract.REGISTERS.items()}


class ModelledBoard:
    """What pynq.DefaultIP and pynq.allocate need of a Device."""

    def __init__(self, build: Build, checkpoint: Checkpoint, memory_bytes: int = 1 << 22) -> None:
        self.build, self.model = build, ReferenceModel(checkpoint)
        self.ddr = np.zeros(memory_bytes, dtype=np.uint8)
        self.next_free, self.allocated = 0, 0
        self.misplace = 0  # bytes by which buffers miss their alignment
        self.registers: dict[int, int] = {}
        self.control, self.polls_left, self.polls = IDLE, 0, 3
        self.accesses = 0
        self.status = 0
        self.fail_with = 0  # status with which the next command ends
        self.identity = contract.MAGIC << 32 | contract.KERNEL_VERSION
        self.image: ModelImage | None = None
        self.commands: list[int] = []

    def driver_description(self) -> dict[str, Any]:
        """What pynq's overlay hands to a driver."""
        return {"phys_addr": REGISTERS_AT, "addr_range": 0x1000, "device": self}

    # The interface of pynq.Device

    def has_capability(self, capability: str) -> bool:
        return capability == "REGISTER_RW"

    def allocate(self, shape: tuple[int, ...], dtype: Any, **keywords: Any) -> PynqBuffer:
        assert keywords == {"cacheable": 1}, "the host would read this buffer past its caches"
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if self.next_free + size > self.ddr.size:
            raise RuntimeError("Failed to allocate memory")
        address = BASE + self.next_free + self.misplace
        self.next_free += -(-size // 4096) * 4096
        self.allocated += 1
        host = np.full(size, 0xA5, dtype=np.uint8)  # fresh memory holds whatever was there before
        buffer = PynqBuffer(
            shape, dtype, device=self, device_address=address, bo=(address, host), coherent=False, buffer=host
        )
        buffer.memory, buffer.pointer, buffer.return_to = self, (address, size), self
        buffer.freed = True
        return buffer

    def return_pointer(self, pointer: tuple[int, int]) -> None:
        self.allocated -= 1

    def flush(self, bo: tuple[int, Any], offset: int, virtual_address: int, size: int) -> None:
        address, host = bo
        self.memory(address + offset, size)[:] = host[offset : offset + size]

    def invalidate(self, bo: tuple[int, Any], offset: int, virtual_address: int, size: int) -> None:
        address, host = bo
        host[offset : offset + size] = self.memory(address + offset, size)

    def read_registers(self, address: int, length: int) -> bytes:
        assert length == 4
        self.accesses += 1
        offset = address - REGISTERS_AT
        value = self.status if offset == OFFSETS["status"] else 0
        if offset == OFFSETS["CTRL"]:
            if self.control & START:
                self.polls_left -= 1
                if self.polls_left == 0:
                    self._finish()
            value = self.control
            self.control &= ~DONE
        return value.to_bytes(4, "little")

    def write_registers(self, address: int, data: bytes) -> None:
        self.accesses += 1
        offset, value = address - REGISTERS_AT, int.from_bytes(bytes(data), "little")
        if offset == OFFSETS["CTRL"] and value & START:
            assert self.control & IDLE, "started while busy"
            self.control, self.polls_left = START, self.polls
        else:
            self.registers[offset] = value

    # The kernel

    def memory(self, address: int, size: int) -> np.ndarray:
        start = address - BASE
        assert 0 <= start <= self.ddr.size - size, f"access outside DDR at {address:#x}"
        return self.ddr[start : start + size]

    def register(self, name: str) -> int:
        offset = OFFSETS[name]
        high = self.registers.get(offset + 4, 0) if contract.REGISTERS[name][1] == 64 else 0
        return self.registers.get(offset, 0) | high << 32

    def _finish(self) -> None:
        command = self.register("command")
        self.commands.append(command)
        self.status, self.fail_with = self.fail_with, 0
        trace = None
        if self.status == 0 and command == contract.COMMAND_LOAD:
            address = self.register("image")
            size = int(self.memory(address, 16).view("<u4")[2])
            self.image = ModelImage.parse(self.memory(address, size).copy())
            self.model.reset()
        elif self.status == 0 and command == contract.COMMAND_RESET:
            self.model.reset()
        elif self.status == 0 and command in (contract.COMMAND_RUN, contract.COMMAND_GENERATE):
            trace = self._run(command == contract.COMMAND_GENERATE)
        self._write_counters(trace)
        self.control = DONE | IDLE

    def _run(self, generating: bool) -> Trace:
        count = self.register("token_count")
        tokens = self.memory(self.register("tokens"), 4 * (1 if generating else count)).view("<u4")
        trace = (
            self.model.generate(int(tokens[0]), count, True) if generating else self.model.run(tokens, True)
        )
        records = self.memory(self.register("results"), 32 * count).view("<u4").reshape(count, 8)
        records[:, 0], records[:, 1], records[:, 2] = trace.argmax, trace.logit.view(np.uint32), trace.tokens
        records[:, 3] = 100 + np.arange(count)
        events = np.zeros((count, 8), dtype=np.uint16)
        for layer, steps in enumerate(trace.events):
            events[:, layer] = [indices.size for indices, _ in steps]
        records[:, 4:] = events.view("<u4")
        if self.register("flags") & contract.FLAG_WRITE_LOGITS:
            assert trace.logits is not None
            self._write_logits(trace.logits)
        return trace

    def _write_logits(self, logits: np.ndarray) -> None:
        layout = Layout.of_decoder(self.build)
        dealt = layout.deal(np.ascontiguousarray(logits.T), fill=-1)  # [engines, positions, T]
        block = -(-4 * dealt.shape[1] // 64) * 64
        for token in range(logits.shape[0]):
            for engine in range(self.build.engines):
                address = self.register("logits") + (token * self.build.engines + engine) * block
                self.memory(address, 4 * dealt.shape[1]).view("<i4")[:] = dealt[engine, :, token]

    def _write_counters(self, trace: Trace | None) -> None:
        address, build = self.register("counters"), self.build
        words = np.zeros(contract.COUNTERS_BYTES // 8, dtype=np.uint64)
        values: dict[str, int] = {
            "identity": self.identity,
            **words_of(build),
            "status": self.status,
            "cycles": 1000,
            "write_cycles": 7,
        }
        for name, value in values.items():
            words[contract.COUNTERS[name][0]] = value
        if trace is not None:
            words[contract.COUNTERS["macs"][0]] = int(trace.macs.sum())
            for layer, steps in enumerate(trace.events):
                words[contract.COUNTERS["events"][0] + layer] = sum(indices.size for indices, _ in steps)
            for engine in range(build.engines):
                words[contract.COUNTERS["beats"][0] + engine] = 10 * (engine + 1) * trace.tokens.size
        if self.identity:
            self.memory(address, words.nbytes)[:] = words.view(np.uint8)
