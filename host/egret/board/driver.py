"""The PYNQ driver: an overlay and the registers of the kernel in it.

Nothing here knows whether the board is real. egret.board.session runs a model with it.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynq

from egret import contract
from egret.board.interrupt import KernelInterrupt
from egret.errors import EgretError, RunError
from egret.profiles import Board

_START, _DONE, _IDLE = 1 << 0, 1 << 1, 1 << 2  # bits of CTRL

_COMMANDS = {
    contract.COMMAND_QUERY: "QUERY",
    contract.COMMAND_LOAD: "LOAD",
    contract.COMMAND_RESET: "RESET",
    contract.COMMAND_RUN: "RUN",
    contract.COMMAND_GENERATE: "GENERATE",
}


class KernelError(RunError):
    """The kernel ended a command with an error code.

    `code` and `name` are those of hls/kernel.json, `token` the position in the command's tokens where it
    stopped (0 for commands without tokens).
    """

    def __init__(self, command: int, status: int) -> None:
        self.code, self.token = status & 0xFF, status >> 8
        self.name, about = contract.ERRORS.get(
            self.code, ("UNKNOWN", "an error code this driver does not know")
        )
        place = (
            f" at token {self.token}" if command in (contract.COMMAND_RUN, contract.COMMAND_GENERATE) else ""
        )
        name = _COMMANDS.get(command, f"command {command}")
        super().__init__(f"The kernel stopped {name}{place} with {self.name} (code {self.code}): {about}.")


class KernelTimeout(RunError):
    """The kernel did not end a command in the time that it was given; `command` is which one."""

    def __init__(self, command: int, timeout_s: float) -> None:
        self.command = command
        name = _COMMANDS.get(command, f"command {command}")
        super().__init__(
            f"The kernel did not finish {name} within {timeout_s:g} s: either it needs more time, or its "
            "memory does not answer; then load the bitstream anew, by Session.recover() or by opening the "
            "board again."
        )


class EgretKernel(pynq.DefaultIP):  # type: ignore[misc]
    """The registers of one Egret kernel: starts commands and waits for them."""

    bindto = [contract.VLNV]

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__(description)
        self._interrupt = KernelInterrupt(self)
        self._written: dict[int, int] = {}  # what the argument registers hold, to write only what changes
        self._running: int | None = None  # the command under way
        self._started_s = 0.0  # when it was started
        self._reload: Callable[[], None] | None = None
        self._board: Board | None = None
        self.timed_out = False
        """Whether the last wait() ended without the command's end: the kernel may never come back."""
        self.busy_s = 0.0
        """Seconds from starts to their ends as wait() saw them, summed: all else is the host's own time."""

    @property
    def board(self) -> Board:
        """The profile of its board, with its actual clock; EgretError if open_kernel() did not open it."""
        if self._board is None:
            raise EgretError("Only a kernel that open_kernel() or open_session() has opened knows its board.")
        return self._board

    @board.setter
    def board(self, board: Board) -> None:
        self._board = board

    @property
    def running(self) -> bool:
        """Whether a command was started whose end nobody has seen yet."""
        return self._running is not None

    def start(self, command: int, **arguments: int) -> None:
        """Write the argument registers that change (names as in egret.contract.REGISTERS) and start
        `command`.

        Raises RunError while a command is running, and EgretError for a value that its register cannot hold.
        """
        if not self._written:
            self._take_over()
        if self.running:
            raise RunError("The kernel is still running; wait for it before starting another command.")
        for name, value in {"command": command, **arguments}.items():
            self._write(name, int(value))
        self._running = int(command)
        self._started_s = time.monotonic()
        self.mmio.write(contract.REGISTERS["CTRL"][0], _START)

    def wait(self, timeout_s: float) -> None:
        """Poll until the command is done; raise KernelTimeout if that takes longer than `timeout_s` seconds.

        After a time-out the kernel is still running: it may write to its buffers, and starts no other command
        before a later wait() has seen it end, or reload() has replaced it.
        """
        self._wait(time.monotonic() + timeout_s, timeout_s)

    def _wait(self, deadline: float, timeout_s: float) -> None:
        control = contract.REGISTERS["CTRL"][0]
        while True:
            state = int(self.mmio.read(control))
            # AP_DONE clears on read. What remains if a wait() interrupted after its read took it away is a
            # kernel that is idle and has no start pending.
            if state & _DONE or state & (_IDLE | _START) == _IDLE:
                break
            if time.monotonic() > deadline:
                self.timed_out = True
                raise KernelTimeout(self._running or 0, timeout_s)
        if self.running:
            self.busy_s += time.monotonic() - self._started_s
        self._running, self.timed_out = None, False

    @property
    def reloadable(self) -> bool:
        """Whether reload() can: the kernel is that of an EgretOverlay."""
        return self._reload is not None

    def reload(self) -> None:
        """Load the bitstream anew: whatever the kernel was doing is gone, and it holds no model.

        Nothing else stops a kernel. Its registers have no abort, and after a reset of the kernel alone
        the data of reads under way would reach the next reader. Loading a whole bitstream resets the
        processing system's AXI ports too (Linux's driver for a Zynq-7000 does). Raises EgretError if the
        kernel is not that of an EgretOverlay.
        """
        if self._reload is None:
            raise EgretError(
                "Only a kernel of an EgretOverlay can be loaded again; load its overlay by hand."
            )
        self._reload()
        self._written.clear()
        self._interrupt.forget()
        self._running, self.timed_out = None, False

    async def wait_async(self, timeout_s: float) -> None:
        """As wait(), but let the event loop run meanwhile: until the interrupt, or from poll to poll."""
        deadline = time.monotonic() + timeout_s
        await self._interrupt.until(self._is_idle, deadline)
        self._wait(deadline, timeout_s)

    def _is_idle(self) -> bool:
        # This read may take AP_DONE away; wait() then goes by the other two bits, which stay.
        return int(self.mmio.read(contract.REGISTERS["CTRL"][0])) & (_IDLE | _START) == _IDLE

    def read_status(self) -> int:
        """Return the status register: the error code in bits 7:0, the token position in bits 31:8."""
        return int(self.mmio.read(contract.REGISTERS["status"][0]))

    def _take_over(self) -> None:
        """Make sure, before the first command, that no program before us left the kernel running."""
        # The read also takes away an AP_DONE that nobody waited for.
        if not int(self.mmio.read(contract.REGISTERS["CTRL"][0])) & _IDLE:
            raise RunError("The kernel is busy with a command of another program; load the overlay again.")

    def _write(self, name: str, value: int) -> None:
        offset, bits, kind = contract.REGISTERS[name]
        if kind != "input" or not 0 <= value < 1 << bits:
            raise EgretError(
                f"Register {name} takes no value {value}; it is an {kind} register of {bits} bits."
            )
        for word in range(bits // 32):
            address, part = offset + 4 * word, (value >> 32 * word) & 0xFFFFFFFF
            if self._written.get(address) != part:
                self.mmio.write(address, part)
                self._written[address] = part


def load_overlay(bitfile: Path, device: Any) -> EgretOverlay:
    """Load a bitstream with an Egret kernel onto a pynq device.

    Raises EgretError if it has no Egret kernel, and RunError where pynq cannot load it.
    """
    try:
        if not device.has_capability("REMOTE"):
            return EgretOverlay(str(bitfile), device=device)
        # PYNQ.remote sends a bitstream only if the board has no file of its name: so it gets one of its own.
        overlay = EgretOverlay(str(bitfile), download=False, device=device)
        overlay.binfile_name = f"egret-{hashlib.sha256(bitfile.read_bytes()).hexdigest()[:16]}.bin"
        overlay.download()
        return overlay
    except (OSError, RuntimeError, ValueError) as error:
        raise RunError(f"pynq cannot load {bitfile} ({error}).") from error


class EgretOverlay(pynq.Overlay):  # type: ignore[misc]
    """A bitstream with an Egret kernel in it."""

    after_download: Callable[[], Any] | None = None
    """Sets the clock, for one: pynq sets it by the .hwh at each download."""

    def __init__(self, bitfile_name: str, *args: Any, **keywords: Any) -> None:
        """Load a bitstream (arguments as for pynq.Overlay); raise EgretError if it has no Egret kernel."""
        super().__init__(bitfile_name, *args, **keywords)
        names = [
            name for name, description in self.ip_dict.items() if description.get("type") == contract.VLNV
        ]
        if not names:
            raise EgretError(
                f"{bitfile_name} holds no Egret kernel ({contract.VLNV}); it holds "
                f"{', '.join(sorted(self.ip_dict)) or 'no addressable IP'}."
            )
        self.kernel_name = names[0]

    def download(self, *args: Any, **keywords: Any) -> None:
        """Load the bitstream (anew), then call `after_download`."""
        super().download(*args, **keywords)
        if self.after_download is not None:
            self.after_download()

    @property
    def egret_kernel(self) -> EgretKernel:
        """The kernel's driver."""
        with warnings.catch_warnings():
            # PYNQ.remote's: it has no interrupts, so the kernel is polled.
            warnings.filterwarnings("ignore", "Interrupts are not yet implemented")
            found = getattr(self, self.kernel_name)
        assert isinstance(found, EgretKernel)
        found._reload = self.download
        return found
