"""A recorder of windows that needs no GPU."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Operations(TorchDispatchMode):
    """Keeps every operation with the tensors it read and made."""

    def __init__(self):
        super().__init__()
        self.done: list[tuple[Any, ...]] = []

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        result = operation(*arguments, **(keywords or {}))
        self.done.append((operation, arguments, keywords or {}, result))
        return result


class Recorder:
    """Stands in for CUDA graphs: a replay repeats the recorded operations, each in its recorded place.

    So whatever is no tensor stays as it was when the window was recorded, as in a CUDA graph.
    """

    def __init__(self):
        self.recordings = self.replays = 0

    def __call__(self, compute):
        self.recordings += 1
        compute()  # a warm-up, which draws random numbers
        with Operations() as recorded:
            results = compute()

        @torch.no_grad()
        def replay():
            self.replays += 1
            for operation, arguments, keywords, places in recorded.done:
                found = operation(*arguments, **keywords)
                for place, value in zip(tree_leaves(places), tree_leaves(found), strict=True):
                    if isinstance(place, torch.Tensor) and place is not value:
                        place.copy_(value)

        return results, replay
