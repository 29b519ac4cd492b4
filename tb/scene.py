"""A kernel and the reference model side by side, on the same network."""

from __future__ import annotations

import os
import random

import cocotb
import numpy as np

from egret.account.fetched_beats import fetched_beats, fired_neurons
from egret.reference.model import ReferenceModel, Trace
from tb.kernel_bench import BenchRun, KernelBench
from tb.kernel_cases import CASES, Case, make_checkpoint

CASE = next(case for case in CASES if case.name == os.environ["EGRET_CASE"])
SEED = int(os.environ["EGRET_SEED"])
KERNEL = os.environ.get("EGRET_KERNEL", "rtl")


class Scene:
    """A kernel beside a reference model of a case's network; a bench may serve several scenes."""

    def __init__(  # type: ignore[no-untyped-def]
        self, dut, case: Case = CASE, seed: int = SEED, bench: KernelBench | None = None
    ) -> None:
        self.case = case
        self.seed = seed
        self.bench = bench or KernelBench(dut, case.build)
        self.checkpoint = make_checkpoint(case, seed)
        self.reference = ReferenceModel(self.checkpoint)
        self.image = case.pack(self.checkpoint)
        self.draw = random.Random(seed)
        self.last_fired: list[np.ndarray] | None = None

    async def start(self) -> None:
        cocotb.log.info("case %s, seed %d", self.case.name, self.seed)
        await self.bench.reset()
        await self.bench.load(self.image)

    def tokens(self, count: int) -> list[int]:
        return [self.draw.randrange(self.case.vocabulary) for _ in range(count)]

    def forget(self) -> None:
        self.reference.reset()
        self.last_fired = None

    def check(self, run: BenchRun, trace: Trace) -> None:
        """Hold everything that a run reports against the reference's trace of the same tokens."""
        layers, count = len(self.case.layers), trace.tokens.size
        assert run.status == 0, f"status {run.status:#x}"
        np.testing.assert_array_equal(run.tokens, trace.tokens, "input tokens")
        np.testing.assert_array_equal(run.events[:, :layers], trace.event_counts().T, "events per layer")
        assert not run.events[:, layers:].any()
        if run.logits is not None:
            assert trace.logits is not None
            np.testing.assert_array_equal(run.logits, trace.logits, "logits")
        np.testing.assert_array_equal(run.argmax, trace.argmax, "argmax")
        np.testing.assert_array_equal(run.logit, trace.logit, "logit of the argmax")
        assert run.counters.macs == trace.macs.sum(), "MACs"
        assert run.counters.events[:layers] == tuple(trace.event_counts().sum(axis=1)), "events counted"
        assert run.counters.beats[: self.case.build.engines] == self.expected_beats(trace), "beats"
        if KERNEL == "rtl":  # the HLS kernel cannot count time and reports none
            assert run.counters.cycles >= max(run.counters.beats)
        assert sum(int(cycles) for cycles in run.cycles) <= run.counters.cycles
        assert len(run.cycles) == count

    def expected_beats(self, trace: Trace) -> tuple[int, ...]:
        """Data beats of each engine: a table row per token and the columns of every event."""
        if trace.tokens.size == 0:
            return (0,) * self.case.build.engines
        fired = fired_neurons([trace], self.case.layers)
        beats = fetched_beats(self.image, fired, self.last_fired).sum(axis=(0, 2))
        self.last_fired = [layer[-1] for layer in fired]
        return tuple(beats.tolist())
