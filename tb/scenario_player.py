"""Plays a scenario of the regression on the kernel, checks everything and samples the coverage points."""

from __future__ import annotations

import random

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from egret import contract
from egret.reference.model import ReferenceModel, Trace
from tb import coverage_points as points
from tb.kernel_bench import ENDS, BenchRun, CountersBlock, KernelBench
from tb.kernel_cases import THRESHOLD_TOKEN
from tb.provoked_errors import PROVOKE
from tb.random_scenarios import MEMORY_BYTES, Scenario
from tb.scene import KERNEL, Scene

BOUNDARIES = {"4 KB": 1 << 12, "4 GB": 1 << 32}
RESET_AFTER = {"QUERY": 60, "LOAD": 3000, "RESET": 250, "RUN": 2000, "GENERATE": 2000}
"""Cycles from a command's start within which a reset interrupts it."""


class Player:
    """A kernel, the networks it is given in turn, and the scenario."""

    def __init__(self, dut, scenario: Scenario) -> None:  # type: ignore[no-untyped-def]
        self.dut = dut
        self.scenario = scenario
        self.draw = random.Random(f"{scenario.network_seed} {scenario.number}")
        self.bench = KernelBench(dut, scenario.networks[0].build, MEMORY_BYTES, scenario.memory_base)
        noise = np.random.default_rng(scenario.network_seed)
        self.bench.memory.bytes[:] = noise.integers(0, 256, MEMORY_BYTES, dtype=np.uint8)
        self.bench.set_timing(scenario.timing, scenario.network_seed)
        if scenario.control_stalls:
            self.bench.set_control_stalls(scenario.network_seed, scenario.control_stalls)
        self.bench.choose_address = self.choose_address
        self.bench.choose_end = self.choose_end
        self.scenes = [
            Scene(dut, network, scenario.network_seed + index, self.bench)
            for index, network in enumerate(scenario.networks)
        ]
        self.features = [points.column_features(scene.image) for scene in self.scenes]
        self.turn = 0
        self.run_count = 0
        self.before: str | None = None
        self.counts_before = self.read_kernel_counts()

    async def play(self) -> None:
        """Everything in the scenario, in order."""
        cocotb.log.info("scenario %s", self.scenario)
        await self.bench.reset()
        await self.registers_hold_what_is_written()
        await self.command("LOAD")
        for name in self.scenario.commands:
            await self.command(name)
        self.before = None
        for name in self.scenario.errors:
            await self.provoke(name)
        for name in self.scenario.resets:
            await self.interrupt(name)

    @property
    def scene(self) -> Scene:
        """The network that is loaded, or was last."""
        return self.scenes[self.turn]

    # -- commands

    async def command(self, name: str) -> None:
        """A command that must succeed, with its coverage."""
        await {
            "QUERY": self.query,
            "LOAD": self.load,
            "RESET": self.reset_state,
            "RUN": self.run,
            "GENERATE": self.generate,
        }[name]()
        if self.before is not None:
            points.sample_commands(self.before, name)
        self.before = name

    async def query(self) -> None:
        status, counters = await self.bench.execute(contract.COMMAND_QUERY)
        build = self.bench.build
        assert status == 0 and counters.status == 0
        assert counters.identity == contract.MAGIC << 32 | contract.KERNEL_VERSION
        assert counters.build & 0xFFFF == build.engines | build.lanes << 8
        assert counters.macs == 0 and not any(counters.events) and not any(counters.beats)
        self.check_times(counters)
        # written since the last read, and read
        assert [await self.bench.read_register("status_ctrl") for _ in range(2)] == [1, 0]

    async def load(self) -> None:
        self.turn = self.draw.randrange(2)
        self.bench.next_free = self.bench.memory.base  # whatever was there is no longer used
        scene = self.scene
        await self.bench.load(scene.image)
        scene.forget()
        case = scene.case
        points.sample_network(scene.image, case.weight_sparsity == 1.0, case.weight_sparsity == 0.0)

    async def reset_state(self) -> None:
        await self.bench.reset_state()
        self.scene.forget()

    async def run(self, count: int | None = None) -> None:
        if count is None:
            lengths = self.scenario.run_lengths
            count = lengths[self.run_count % len(lengths)]
            self.run_count += 1
        scene = self.scene
        tokens, logits = self.draw_tokens(count), self.draw.random() < 0.5
        if count and scene.case.on_threshold and scene.last_fired is None:
            tokens[0] = THRESHOLD_TOKEN  # the first one after a reset of the state
            points.sample_threshold("the state on the threshold")
        cocotb.log.info("RUN of %d tokens, logits %s, network %d", count, logits, self.turn)
        run = await self.bench.run(tokens, logits)
        self.check("RUN", run, logits, scene.reference.run(np.array(tokens, dtype=np.uint32), True))

    async def generate(self) -> None:
        scene, count = self.scene, self.draw.choice((1, 2, 3, 5))
        first, logits = self.draw_tokens(1)[0], self.draw.random() < 0.5
        cocotb.log.info("GENERATE of %d tokens, logits %s, network %d", count, logits, self.turn)
        run = await self.bench.generate(first, count, logits)
        self.check("GENERATE", run, logits, scene.reference.generate(first, count, True))

    def check(self, command: str, run: BenchRun, logits: bool, trace: Trace) -> None:
        """Hold a run against the reference's trace, which has the logits in any case."""
        scene = self.scene
        scene.check(run, trace)
        self.check_times(run.counters)
        if not logits:
            assert run.counters.write_cycles == 0, "nothing had to wait for room for logits"
        points.sample_run(command, logits, trace, scene.image, self.features[self.turn])

    def check_times(self, counters: CountersBlock) -> None:
        """Hold the counters of time against counts made at the ports."""
        assert max(counters.wait_cycles) <= counters.cycles and counters.update_cycles <= counters.cycles
        assert counters.write_cycles <= counters.cycles
        if KERNEL != "rtl":
            return
        watched = self.dut.core.coverage
        waited = tuple(int(watched.waited[port].value) for port in range(8))
        assert counters.wait_cycles == waited, "cycles that engines waited for a beat"
        assert counters.update_cycles == int(watched.updated.value), "cycles of updates with no read"
        assert counters.write_cycles == int(watched.waited_for_room.value), "cycles that sweeps waited"
        # the counters' address goes out when the counting is over and the writer has come to it
        late = int(watched.cycles_to_counters.value) - counters.cycles
        assert 0 <= late <= 16, f"{counters.cycles} cycles, {late} before the counters' address went out"

    def draw_tokens(self, count: int) -> list[int]:
        words = self.scene.case.vocabulary
        tokens: list[int] = []
        for _ in range(count):
            repeated = tokens[-1:] or [0]
            tokens.append(self.draw.choice((0, words - 1, repeated[0], *self.scene.tokens(3))))
        return tokens

    # -- errors and resets

    async def provoke(self, name: str) -> None:
        """An error, then a kernel that works: loaded anew, but where nothing may have changed."""
        await PROVOKE[name](self)
        code = name.split()[0]
        if code in ("BAD_COMMAND", "BAD_ADDRESS"):
            await self.run(3)
            points.sample_recovery(f"{code} then RUN")
            return
        await self.command("LOAD")
        await self.run(3)
        points.sample_recovery(f"{code} then LOAD")
        if " " in name:
            points.sample_error_place(name)

    async def interrupt(self, name: str) -> None:
        """A reset in the middle of a command: registers at rest, no model, and then a kernel that works."""
        bench, scene = self.bench, self.scene
        image = bench.memory.base if name != "LOAD" else bench.place(scene.image.data, "image")
        tokens = bench.place(np.array(self.draw_tokens(64), dtype=np.uint32).view(np.uint8), "tokens")
        await bench.start(
            getattr(contract, f"COMMAND_{name}"),
            counters=bench.allocate(contract.COUNTERS_BYTES),
            image=image,
            tokens=tokens,
            token_count=64,
            results=bench.allocate(64 * contract.RESULT_BYTES),
            logits=bench.allocate(1 << 17),
            flags=self.draw.choice((0, contract.FLAG_WRITE_LOGITS)),
        )
        cycles = round(RESET_AFTER[name] ** self.draw.uniform(0.3, 1.0))  # early ones too
        await ClockCycles(self.dut.ap_clk, cycles)
        if not self.dut.interrupt.value:
            points.sample_reset(name)
        await bench.reset()
        for register in ("CTRL", "GIER", "IP_IER", "IP_ISR", "command", "counters", "status"):
            expected = 0b100 if register == "CTRL" else 0  # idle
            value = await bench.read_register(register)
            assert value == expected, f"after a reset in the middle of {name}, {register} is {value:#x}"
        await self.is_not_loaded()
        await self.command("LOAD")
        await self.run(3)
        self.before = None

    async def is_not_loaded(self) -> None:
        """RESET, RUN and GENERATE say that there is no model."""
        for command in (contract.COMMAND_RESET, contract.COMMAND_RUN, contract.COMMAND_GENERATE):
            status, counters = await self.bench.execute(command, token_count=1)
            assert contract.ERRORS[status & 0xFF][0] == "NOT_LOADED" and counters.status == status

    async def registers_hold_what_is_written(self) -> None:
        """The argument registers, written in pieces of one to all bytes."""
        inputs = {name: bits // 8 for name, (_, bits, kind) in contract.REGISTERS.items() if kind == "input"}
        expected = {name: bytearray(size) for name, size in inputs.items()}
        for name, size in inputs.items():
            for _ in range(2):
                first = self.draw.randrange(size)
                data = self.draw.randbytes(self.draw.randint(1, size - first))
                expected[name][first : first + len(data)] = data
                await self.bench.control.write(contract.REGISTERS[name][0] + first, data)
        for name, wanted in expected.items():
            value = await self.bench.read_register(name)
            assert value == int.from_bytes(wanted, "little"), (
                f"{name} is {value:#x}, not {wanted[::-1].hex()}"
            )

    def fresh_trace(self, tokens: list[int]) -> Trace:
        """What the loaded network would do with `tokens` from its resting state."""
        return ReferenceModel(self.scene.checkpoint).run(np.array(tokens, dtype=np.uint32))

    # -- where buffers go, and how commands end

    def choose_end(self) -> str:
        end = self.draw.choice(tuple(ENDS))
        points.sample_end(end)
        return end

    def choose_address(self, purpose: str, free: int, size: int) -> int:
        """Put a buffer across a boundary, or up to one, as often as not."""
        address = self._choose_address(purpose, free, size)
        for name, boundary in BOUNDARIES.items():
            if purpose and size and address // boundary != (address + size - 1) // boundary:
                points.sample_boundary(f"{name} inside {purpose}")
        return address

    def _choose_address(self, purpose: str, free: int, size: int) -> int:
        lines = (size - 1) // 64
        if purpose and purpose == self.scenario.across_4_gb and lines > 0:
            address = (1 << 32) - 64 * self.draw.randint(1, lines)
            if address >= free:
                return address
        boundary = (free // 4096 + 1) * 4096
        kind = self.draw.random()
        if kind < 0.4 and 0 < lines:
            address = boundary - 64 * self.draw.randint(1, min(lines, 63))
        elif kind < 0.6:
            address = boundary - 64 * (lines + 1)
        else:
            address = free + 64 * self.draw.randrange(8)
        while address < free:
            address += 4096
        return address

    # -- coverage counted in the kernel

    def read_kernel_counts(self) -> dict[str, int]:
        if KERNEL != "rtl":
            return {}
        return {name: int(getattr(self.dut.core.coverage, name).value) for name in points.IN_KERNEL}

    def sample_kernel(self) -> None:
        """Sample what came up in the kernel since the scenario's beginning."""
        for name, count in self.read_kernel_counts().items():
            if count > self.counts_before[name]:
                points.sample_in_kernel(name)
