"""Opens the board that a program runs on: the one it sits on, or a virtual one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from egret import virtual_board
from egret.board.real import bitstream_of, find_device, known_as, own_name
from egret.errors import EgretError
from egret.profiles import BOARDS, Board, Build

VIRTUAL = "virtual:"
"""What stands before the name of a board that is to be simulated, cycle by cycle."""

CSIM = "csim"
"""`virtual:csim-NAME` is a board whose kernel is the natively compiled C++: same bits, fast, no time."""

CSIM_BOARD = "pynq-z2"
"""The board that `virtual:csim` stands for."""


AUTO = "auto"
"""The board that the program runs on, or reaches through PYNQ.remote; on a PC without one, the virtual
CSIM_BOARD with the cycle-accurate kernel."""


@dataclass(frozen=True)
class OpenBoard:
    """A board that is pynq's active device."""

    board: Board
    """Its profile."""

    device: Any
    """The pynq device."""

    bitfile: Path
    """The bitstream with the kernel, for pynq.Overlay."""


def board_names() -> list[str]:
    """Return the names that open_board() takes."""
    csim = [f"{VIRTUAL}{CSIM}", *(f"{VIRTUAL}{CSIM}-{name}" for name in BOARDS if name != CSIM_BOARD)]
    return [*(VIRTUAL + name for name in BOARDS), *csim, *BOARDS]


def resolve_board(name: str) -> str:
    """Return `name` in lower case, or for "auto" the name of the board that it stands for here.

    Raises EgretError where this is a PYNQ image on a board that Egret does not know.
    """
    name = name.lower()
    if name != AUTO:
        return name
    here = own_name()
    if not here:
        return f"{VIRTUAL}{CSIM_BOARD}"
    if here in board_names():  # BOARD may also be one of ours: make takes a variable of that name
        return here
    known = known_as(here)
    if known is not None:
        return known
    raise EgretError(
        f"This board calls itself {here!r}; Egret knows {', '.join(BOARDS)}. Name a board, or a virtual one."
    )


def is_csim(name: str) -> bool:
    """Return whether a board of this name has the natively compiled kernel."""
    return name == f"{VIRTUAL}{CSIM}" or name.startswith(f"{VIRTUAL}{CSIM}-")


def _bare_name(name: str) -> str:
    """Return the name of the board that `name`, with or without a prefix, is a form of."""
    bare = name[len(VIRTUAL) :] if name.startswith(VIRTUAL) else name
    if not is_csim(name):
        return bare
    return CSIM_BOARD if bare == CSIM else bare[len(CSIM) + 1 :]


def board_profile(
    name: str,
    build: Build | None = None,
    latency_cycles: int | None = None,
    bandwidth_bytes_per_second: int | None = None,
    burst_beats: int | None = None,
    reads_in_flight: int | None = None,
    clock_mhz: float | None = None,
) -> Board:
    """Return a board's profile by name, with or without the prefix for a virtual one.

    What else is given replaces that part of the profile: the kernel's build parameters and clock, and the
    memory's figures (as in egret.profiles.Memory; of the bandwidth all is given). Raises EgretError if there
    is no such board.
    """
    bare = _bare_name(resolve_board(name))
    if bare not in BOARDS:
        raise EgretError(f"There is no board {name}; there are {', '.join(board_names())}.")
    board = BOARDS[bare]
    memory: dict[str, Any] = {
        "latency_cycles": latency_cycles,
        "peak_bytes_per_second": bandwidth_bytes_per_second,
        "efficiency": None if bandwidth_bytes_per_second is None else 1.0,
        "burst_beats": burst_beats,
        "reads_in_flight": reads_in_flight,
    }
    given = {field: value for field, value in memory.items() if value is not None}
    return replace(
        board,
        clock_mhz=clock_mhz or board.clock_mhz,
        build=build or board.build,
        memory=replace(board.memory, **given),
    )


@contextmanager
def open_board(
    name: str, *, bitfile: str | Path | None = None, strict: bool = True, **profile: Any
) -> Iterator[OpenBoard]:
    """Open a board and make it pynq's active device until the context ends.

    `virtual:NAME` is a simulated board, `virtual:csim` and `virtual:csim-NAME` the fast one with the natively
    compiled C++ (the first use compiles either); "auto" is what resolve_board() says.
    `profile` is handed to board_profile() and `strict` to VirtualDevice. Any other NAME is the board that the
    program runs on or reaches through PYNQ.remote, which then must be that board; its `bitfile` is
    bitstreams/NAME/egret.bit of this checkout unless given. Raises EgretError if there is no such board or no
    bitstream, and RunError if a remote board does not answer.
    """
    name = resolve_board(name)
    board = board_profile(name, **profile)
    if name.startswith(VIRTUAL):
        with _virtual(board, strict, is_csim(name)) as device:
            own = Path(virtual_board.__path__[0]) / f"{board.name}.bit"
            yield OpenBoard(board, device, Path(bitfile) if bitfile is not None else own)
        return
    if board != BOARDS[board.name]:
        raise EgretError("The memory and build of a real board cannot be chosen; those of a virtual one can.")
    device = find_device(board)
    path = bitstream_of(board, bitfile)
    from pynq import Device

    Device.active_device = device
    yield OpenBoard(board, device, path)


@contextmanager
def _virtual(board: Board, strict: bool, csim: bool) -> Iterator[Any]:
    from pynq import Clocks, Device, ps

    from egret.virtual_board.csim_model import CsimModel
    from egret.virtual_board.device import VirtualDevice
    from egret.virtual_board.model import KernelModel

    # pynq's setter stores the active device here; reading it through the property would look for boards.
    before = getattr(Device, "_active_device", None)
    device = VirtualDevice(board, strict, CsimModel if csim else KernelModel)
    Device.active_device = device
    _forget_clocks(Clocks)
    # pynq 3.0 takes the clocks of the machine's processor, later ones those of the device's.
    machine, ps.CPU_ARCH = ps.CPU_ARCH, device.arch
    try:
        yield device
    finally:
        device.close()
        _forget_clocks(Clocks)
        ps.CPU_ARCH = machine
        if before is None:
            del Device._active_device
        else:
            Device.active_device = before


def _forget_clocks(clocks: Any) -> None:
    # pynq makes its clock object once per process, for the device that is active at the time.
    clocks.device = None
    if hasattr(clocks, "_real_instance"):
        del clocks._real_instance
