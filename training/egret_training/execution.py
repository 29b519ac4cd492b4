"""Where and how a run computes: on the processor as it comes, on an NVIDIA GPU compiled and recorded."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from egret.errors import EgretError
from egret_training.egru import EAGER, ElementWise, fused

WARM_UP = 3
"""Runs ahead of a recording, in which libraries and compilers set themselves up."""

Compute = Callable[[], list[Tensor]]
Record = Callable[[Compute], tuple[list[Tensor], Callable[[], None]]]
"""Runs a function; returns its results, and what computes them anew into the same places."""


@dataclass(frozen=True)
class Execution:
    """A device, and how to use it."""

    device: torch.device = torch.device("cpu")
    element_wise: ElementWise = EAGER
    """What EGRU layers do between their matrix products."""
    product_type: torch.dtype = field(default_factory=lambda: fast_product_type(torch.device("cpu")))
    """The operands of matrix products; sums and everything between are float32."""
    record: Record | None = None
    """What records windows (bptt.RecordedWindow); None: each runs as it comes."""

    @property
    def device_name(self) -> str:
        """What to call the device in a report."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "processor"

    def wait(self) -> None:
        """Wait until all is computed that was asked for."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def choose_execution(name: str, eager: bool = False) -> Execution:
    """Return how to compute on "cpu", "cuda", or "auto": a GPU where torch finds one.

    Of several GPUs, each of the processes that torchrun started on a machine takes its own. With `eager`
    nothing is compiled or recorded. Raises EgretError where there is no such GPU.
    """
    found = torch.cuda.is_available()
    if name == "cpu" or (name == "auto" and not found):
        return Execution()
    if not found:
        raise EgretError(
            f"torch {torch.__version__} finds no GPU. Install a build of torch for CUDA and the GPU's "
            "driver, or say --device cpu."
        )
    own, present = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if own >= present:
        raise EgretError(
            f"There are {present} GPUs for more processes; start {present} with torchrun --nproc-per-node."
        )
    device = torch.device("cuda", own)
    torch.cuda.set_device(device)
    # Sums of bfloat16 products stay float32, as on a processor.
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    plain = Execution(device, product_type=fast_product_type(device))
    return plain if eager else replace(plain, element_wise=fused(), record=CudaGraphs())


def fast_product_type(device: torch.device) -> torch.dtype:
    """Return bfloat16 on a GPU and on a processor with instructions for it, else float32.

    (A processor without them was measured at 8 GFLOP/s in bfloat16 and 60 in float32.)
    """
    fast = device.type != "cpu" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


class CudaGraphs:
    """A Record that makes CUDA graphs.

    They share their memory: what one computes on the way, another overwrites. Results of one are to be read
    before the next is replayed.
    """

    def __init__(self) -> None:
        """Reserve nothing yet."""
        self.pool: Any = None

    def __call__(self, compute: Compute) -> tuple[list[Tensor], Callable[[], None]]:
        """Record a function."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                compute()
        torch.cuda.current_stream().wait_stream(aside)
        if self.pool is None:
            self.pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            results = compute()
        return results, graph.replay


def random_state(device: torch.device) -> list[Tensor]:
    """Return the states of what a run draws from: the processor's generator and a GPU's, uint8 [n] each."""
    own = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *own]


def set_random_state(device: torch.device, states: list[Tensor]) -> None:
    """Put back what `random_state` returned; what is not there (of another kind of device) stays as it is."""
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)
