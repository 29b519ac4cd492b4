"""The models of several runs side by side: perplexity, activity, multiply-accumulates, bytes.

Cells that are compared (EGRU, GRU, LSTM) are counted alike. What is always active, as a GRU's outputs are, is
wanted at every token; the table that the product with the embedding is folded into serves any cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from egret.errors import EgretError
from egret.text.vocabulary import TextConvention
from egret_training import data
from egret_training.data import Corpus
from egret_training.evaluation import STEPS, evaluate_reference, renumber
from egret_training.export import checkpoint_of
from egret_training.macs import InputEvents, mac_table
from egret_training.model import EgruLanguageModel
from egret_training.model_file import load_model
from egret_training.pruning_cost import streamed_columns
from egret_training.recipe import KERNEL, Pruning

PHASES = ("dense", "pruned", "quantized")
"""What runs save."""


@dataclass(frozen=True)
class Row:
    """A phase of a run, on one split of a text."""

    run: str
    cell: str
    phase: str
    perplexity: dict[str, float]
    """By split."""
    activity: list[float]
    """Of each layer, on the last split: the share of outputs that are not zero."""
    sparsity: float
    """The share of zeros among all weights but the embedding."""
    macs: dict[str, dict[str, float]]
    """macs.mac_table()'s, on the last split."""
    bytes_per_token: float
    """Of columns in the PYNQ-Z2's format, on the last split."""


def compare(run: Path, phase: str, corpus: Corpus, splits: list[str], decoder_weight_bits: int = 4) -> Row:
    """Measure the model that `run` saved after `phase` on splits of a corpus, each one stream.

    In floating point products are float32; a model trained in integers is measured as the checkpoint that it
    exports. Raises EgretError where there is no such model, or its vocabulary is not the corpus's.
    """
    model, saved = load_model(run / f"{phase}.pt")
    integers = checkpoint_of(model, saved) if _quantized(phase, saved) else None
    matrices: dict[str, npt.NDArray[Any]]
    if integers is None:
        matrices = {name: weights.detach().numpy() for name, weights in model.matrices().items()}
    else:
        matrices = dict(integers.weights())
    found: dict[str, float] = {}
    events = InputEvents(0, [], [])
    for split in splits:
        tokens = renumber(corpus, saved["vocabulary"], split, TextConvention.of_metadata(saved))
        about = f"{run.name}, {phase}, {split}"
        if integers is None:
            found[split], events = _run(model, tokens[:, None], about)
        else:
            figures = evaluate_reference(integers, tokens, about)
            assert figures.events is not None
            found[split], events = figures.perplexity, figures.events
    kept = sum(int(np.count_nonzero(matrix)) for matrix in matrices.values())
    total = sum(matrix.size for matrix in matrices.values())
    return Row(
        run.name,
        model.shape.cell,
        phase,
        found,
        [float(layer.mean()) / events.tokens for layer in events.upward],
        1.0 - kept / total,
        mac_table(matrices, events),
        _bytes_per_token(matrices, events, decoder_weight_bits),
    )


def phases_of(run: Path) -> list[str]:
    """Return the phases that a run has saved, in order; raises EgretError where there is none."""
    names = [name for name in PHASES if (run / f"{name}.pt").is_file()]
    if not names:
        raise EgretError(
            f"There is no {', '.join(f'{name}.pt' for name in PHASES)} in {run}; "
            "`python -m egret_training train` makes them."
        )
    return names


def _quantized(phase: str, saved: dict[str, Any]) -> bool:
    """Return whether a phase trained in integers."""
    return any(other["name"] == phase and other["quantized"] for other in saved["recipe"]["phases"])


@torch.no_grad()
def _run(model: EgruLanguageModel, stream: Tensor, about: str) -> tuple[float, InputEvents]:
    """Return perplexity and events of int64 [T, 1]."""
    state = model.initial_state(1)
    weights, bias = model.decoder()
    every: list[Tensor] = []
    last: list[Tensor] = []
    loss, count = 0.0, 0
    windows = tqdm(
        data.windows(stream, STEPS), total=-(-(len(stream) - 1) // STEPS), desc=about, dynamic_ncols=True
    )
    for inputs, targets in windows:
        outputs, state = model.hidden(inputs, state, torch.float32)
        logits = outputs[-1][:, 0] @ weights.t() + bias
        loss += float(torch.nn.functional.cross_entropy(logits, targets[:, 0], reduction="sum"))
        count += targets.numel()
        fired = [(output[:, 0] != 0) for output in outputs]
        sums = [layer.sum(0) for layer in fired]
        every = [total + layer for total, layer in zip(every, sums, strict=True)] if every else sums
        last = [layer[-1] for layer in fired]
    upward = [total.numpy().astype(np.int64) for total in every]
    recurrent = [total - layer.numpy().astype(np.int64) for total, layer in zip(upward, last, strict=True)]
    return math.exp(loss / count), InputEvents(count, recurrent, upward)


def _bytes_per_token(
    matrices: dict[str, npt.NDArray[Any]], events: InputEvents, decoder_weight_bits: int
) -> float:
    """Return the bytes of columns in the format of the PYNQ-Z2's kernel."""
    pruning = Pruning(0.0, slots=KERNEL.slots, decoder_slots=KERNEL.decoder_slots)
    masks = {name: torch.from_numpy(weights != 0) for name, weights in matrices.items()}
    result = 0.0
    for matrix, layout, part in streamed_columns(masks, pruning, decoder_weight_bits):
        beats = float(np.diff(part.pointers) @ events.wanted(matrix))
        result += beats * layout.bus_bytes / events.tokens
    return result


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    splits = list(rows[0].perplexity)
    head = ["model", *(f"perplexity, {split}" for split in splits), "active", "zero weights"]
    head += ["MACs, paper's count: dense", "zeros skipped", "both"]
    head += ["MACs, Egret's count: dense", "both", "bytes"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        paper, egret = row.macs["paper"], row.macs["egret"]
        cells = [f"{row.run}, {row.phase}", *(f"{row.perplexity[split]:.2f}" for split in splits)]
        cells += [" / ".join(f"{share:.1%}" for share in row.activity), f"{row.sparsity:.1%}"]
        cells += [f"{paper[way]:,.0f}" for way in ("dense", "weight_sparse", "both_sparse")]
        cells += [f"{egret[way]:,.0f}" for way in ("dense", "both_sparse")]
        cells += [f"{row.bytes_per_token:,.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
