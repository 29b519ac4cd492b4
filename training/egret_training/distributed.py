"""Several processes that train one model, started by torchrun; each has its share of the streams."""

from __future__ import annotations

import os

import torch
import torch.distributed as torch_distributed
from torch import Tensor

from egret.errors import EgretError


class Group:
    """The processes of this run: one, unless torchrun started more."""

    def __init__(self) -> None:
        """Join the others, where torchrun's environment variables say that there are some."""
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        if self.size > 1 and not torch_distributed.is_initialized():
            both = torch_distributed.is_nccl_available() and torch.cuda.is_available()
            torch_distributed.init_process_group("cpu:gloo,cuda:nccl" if both else "gloo")

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files."""
        return self.rank == 0

    def share(self, streams: Tensor) -> Tensor:
        """Return this process's columns of [length, streams]; EgretError where they do not divide evenly."""
        if streams.shape[1] % self.size:
            raise EgretError(
                f"{streams.shape[1]} streams do not divide among {self.size} processes; "
                "change `streams` in the recipe or the number of processes."
            )
        return streams.chunk(self.size, dim=1)[self.rank].contiguous()

    def gather(self, own: Tensor) -> Tensor:
        """Return every process's tensor of the same shape [n, ...] one after the other: [size * n, ...]."""
        if self.size == 1:
            return own
        parts = [torch.empty_like(own) for _ in range(self.size)]
        torch_distributed.all_gather(parts, own.contiguous())
        return torch.cat(parts)

    def scatter(self, every: Tensor) -> Tensor:
        """Undo gather(): return this process's part; EgretError where the number of processes was another."""
        if every.shape[0] % self.size:
            raise EgretError(f"This run's state does not divide among {self.size} processes.")
        return every.chunk(self.size)[self.rank].clone()

    def sum(self, *values: float) -> list[float]:
        """Return the sum of each value over the processes."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        torch_distributed.all_reduce(total)
        return [float(value) for value in total]

    def agree(self, decision: bool) -> bool:
        """Return the first process's decision."""
        if self.size == 1:
            return decision
        flag = torch.tensor([decision])
        torch_distributed.broadcast(flag, 0)
        return bool(flag)

    def close(self) -> None:
        """Leave the others."""
        if self.size > 1 and torch_distributed.is_initialized():
            torch_distributed.destroy_process_group()
