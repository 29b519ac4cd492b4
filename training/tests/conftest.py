"""Every test computes on one thread.

Networks of a few neurons gain nothing from more, and on a busy machine the threads of such small products
wait for one another a thousand times longer than they compute.
"""

from __future__ import annotations

import torch

torch.set_num_threads(1)
