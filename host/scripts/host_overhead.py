"""Measure what the host adds to the kernel's time, in microseconds a token, by tokens a start of the kernel.

The real driver and pynq run, with the virtual board's registers and buffers; in the kernel's place stands one
that answers at once, whose own time is not counted. So all that is measured is Python, in processor time, and
the least of several repeats: what else the machine does only adds to it.

    python -m host.scripts.host_overhead
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pynq

from egret import contract
from egret.board.driver import EgretOverlay
from egret.board.identity import words_of
from egret.board.session import IDENTITY, Session
from egret.image.packer import pack
from egret.network import Network
from egret.profiles import BOARDS, Board
from egret.synthetic.calibrated import random_checkpoint
from egret.virtual_board.device import VirtualDevice

CHUNKS = (1, 16, 256)
BOARD = BOARDS["pynq-z2"]
BITFILE = Path(contract.__file__).parent / "virtual_board" / f"{BOARD.name}.bit"
OFFSETS = {name: offset for name, (offset, _, _) in contract.REGISTERS.items()}
IDLE_AND_DONE = 0b110


class InstantKernel:
    """A kernel that is done, with results of zeros, when the write that starts it returns.

    `seconds`: its own time. It stands where VirtualDevice has a KernelModel.
    """

    def __init__(self, board: Board, memory: Any, base: int) -> None:
        build = board.build
        self.memory, self.base, self.seconds = memory, base, 0.0
        self.registers: dict[int, int] = {}
        self.block = np.zeros(contract.COUNTERS_BYTES // 8, dtype=np.uint64)
        for name, value in {"identity": IDENTITY, **words_of(build)}.items():
            self.block[contract.COUNTERS[name][0]] = value

    def write_register(self, offset: int, value: int) -> None:
        begin = time.process_time()
        self.registers[offset] = value
        if offset == OFFSETS["CTRL"] and value & 1:
            at = self.registers[OFFSETS["counters"]] - self.base
            self.memory[at : at + self.block.nbytes] = self.block.view(np.uint8)
            self.registers[OFFSETS["IP_ISR"]] = self.registers.get(OFFSETS["IP_IER"], 0)
        elif offset == OFFSETS["IP_ISR"]:
            self.registers[offset] = 0
        self.seconds += time.process_time() - begin

    def read_register(self, offset: int) -> int:
        return IDLE_AND_DONE if offset == OFFSETS["CTRL"] else self.registers.get(offset, 0)

    def poll_register(self, offset: int, mask: int, interval: int, cycles: int) -> int:
        return self.read_register(offset)

    def run(self, cycles: int) -> bool:
        return self.interrupt

    @property
    def interrupt(self) -> bool:
        return bool(self.registers.get(OFFSETS["GIER"], 0) and self.registers.get(OFFSETS["IP_ISR"], 0))

    def close(self) -> None:
        pass


def main() -> None:
    """Run the command line: print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15, help="of each figure; the least is given (15)")
    arguments = parser.parse_args()
    print("microseconds a token".ljust(44) + "".join(f"{chunk:>5} a start" for chunk in CHUNKS))
    for words, logits in ((100, False), (10_000, True)):
        about = f"{words:,} words{', all logits' if logits else ''}"
        for name, use in (("run(), arrays", _run), ("stream(), Steps", _stream), ("astream()", _astream)):
            row = [
                1e6 * seconds_per_token(partial(use, logits=logits), chunk, words, arguments.repeats)
                for chunk in CHUNKS
            ]
            print(f"{name + ', ' + about:<44}" + "".join(f"{figure:13.1f}" for figure in row), flush=True)


def seconds_per_token(
    use: Callable[[Network, Any], None], chunk: int, words: int, repeats: int = 15
) -> float:
    """Return the least over `repeats` runs of the host's seconds a token."""
    device = VirtualDevice(BOARD, make_model=InstantKernel)  # type: ignore[arg-type]
    pynq.Device.active_device = device
    overlay = EgretOverlay(str(BITFILE), device=device)
    checkpoint = random_checkpoint([32, 32], 16, words, 0.85, decoder_weight_bits=4)
    with Session(overlay.egret_kernel, chunk=chunk) as session:
        session.load(pack(checkpoint, session.build))
        net = Network(session, BOARD, ExitStack())
        tokens = np.zeros(max(chunk, 64), dtype=np.uint32)
        kernel: Any = device.model
        taken = []
        for _ in range(repeats):
            begin, own = time.process_time(), kernel.seconds
            use(net, tokens)
            taken.append(time.process_time() - begin - (kernel.seconds - own))
            net.reset()
    device.close()
    return min(taken) / tokens.size


def _run(net: Network, tokens: Any, logits: bool) -> None:
    net.run(tokens, logits=logits)


def _stream(net: Network, tokens: Any, logits: bool) -> None:
    for step in net.stream(tokens, logits=logits):
        step.argmax  # noqa: B018 - what a program would look at


def _astream(net: Network, tokens: Any, logits: bool) -> None:
    async def whole() -> None:
        async for step in net.astream(tokens, logits=logits):
            step.argmax  # noqa: B018

    asyncio.run(whole())


if __name__ == "__main__":
    main()
