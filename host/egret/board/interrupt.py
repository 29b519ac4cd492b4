"""The kernel's interrupt for programs that use asyncio, and polling where there is none."""

from __future__ import annotations

import asyncio
import inspect
import time
import warnings
from collections.abc import Callable
from typing import Any

from egret import contract

LONGEST_WAIT_S = 0.25
"""After this the kernel is asked whether it is done even if no interrupt came: none may come any more."""

MISSES = 3
"""How often in a row the kernel may be done without an interrupt before it is polled instead."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 50e-6, 2e-3  # between polls: about the time of a token, and of a chunk

_ENABLE, _AP_DONE = 1, 1  # GIER; bit 0 of IP_IER and IP_ISR


class KernelInterrupt:
    """Sleeps until the kernel has ended a command, and lets the event loop run meanwhile.

    `ip` is the kernel's pynq driver. If pynq finds the kernel's interrupt in the design, it is
    `ip.interrupt`, whose wait() is a coroutine. If there is none (PYNQ.remote, a design without an interrupt
    controller), or it does not come, the kernel is polled with pauses of at most 2 ms.
    """

    def __init__(self, ip: Any) -> None:
        self._mmio = ip.mmio
        line = getattr(ip, "interrupt", None)
        self._line = line if inspect.iscoroutinefunction(getattr(line, "wait", None)) else None
        self._enabled = False
        self._misses = 0

    @property
    def usable(self) -> bool:
        """Whether the interrupt is waited for; else the kernel is polled."""
        return self._line is not None

    def forget(self) -> None:
        """Take note that the logic was loaded anew: nothing is enabled in it."""
        self._enabled = False

    async def until(self, ended: Callable[[], bool], deadline: float) -> None:
        """Return once `ended()` is true, or after `deadline` (of time.monotonic()).

        `ended` reads CTRL. An interrupt is only the reason to ask it: one that comes too early, or that
        another command left behind, does no harm.
        """
        came, pause = True, 0.0
        while True:
            # Enabled and cleared before CTRL is read: whatever ends after the reading raises it again.
            self._prepare()
            if ended():
                self._misses = 0 if came else self._misses + 1
                break
            if time.monotonic() > deadline:
                break
            if self.usable:
                came = await self._comes()
            else:
                came = True
                await asyncio.sleep(pause)
                pause = min(max(2 * pause, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        if self._misses >= MISSES and self.usable:
            self._give_up("did not come, although the kernel was done")

    def _prepare(self) -> None:
        if not self.usable:
            return
        if not self._enabled:
            self._mmio.write(contract.REGISTERS["IP_IER"][0], _AP_DONE)
            self._mmio.write(contract.REGISTERS["GIER"][0], _ENABLE)
            self._enabled = True
        status = contract.REGISTERS["IP_ISR"][0]
        if int(self._mmio.read(status)) & _AP_DONE:  # a written 1 toggles: it would set one that is clear
            self._mmio.write(status, _AP_DONE)

    async def _comes(self) -> bool:
        """Wait for the interrupt; return whether it came in time."""
        assert self._line is not None
        try:
            await asyncio.wait_for(self._line.wait(), LONGEST_WAIT_S)
        except asyncio.TimeoutError:
            return False
        except RuntimeError as error:  # pynq's, and asyncio's where another event loop owns the interrupt
            self._give_up(f"cannot be waited for ({error})")
        return True

    def _give_up(self, why: str) -> None:
        self._line = None
        warnings.warn(
            f"The kernel's interrupt {why}: it is polled from now on. (An interrupt belongs to the event "
            "loop in which the board was opened; open it in the coroutine that uses it.)",
            RuntimeWarning,
            stacklevel=2,
        )
