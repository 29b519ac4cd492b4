"""Perplexity and activity of a floating-point model."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from egret_training import data
from egret_training.model import EgruLanguageModel

STEPS = 256


@torch.no_grad()
def perplexity(model: EgruLanguageModel, parallel: Tensor, product_type: torch.dtype = torch.bfloat16) -> float:
    """Return exp of the mean cross-entropy over streams int64 [length, streams], the state carried throughout."""
    state = model.initial_state(parallel.shape[1])
    total, count = 0.0, 0
    for inputs, targets in data.windows(parallel, max(1, STEPS // parallel.shape[1])):
        outputs, state = model.hidden(inputs, state, product_type)
        hidden = outputs[-1].reshape(-1, outputs[-1].shape[-1])
        logits = (hidden.to(product_type) @ model.decoder_weights.to(product_type).t()).float() + model.decoder_bias
        total += float(torch.nn.functional.cross_entropy(logits, targets.reshape(-1), reduction="sum"))
        count += targets.numel()
    return math.exp(total / count)
