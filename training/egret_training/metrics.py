"""The measured figures of a model: what ships beside it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.matrices import FOLDED, Matrix
from egret.text.vocabulary import TextConvention
from egret_training.data import Corpus
from egret_training.evaluation import evaluate_brevitas, evaluate_reference, perplexity, renumber
from egret_training.macs import mac_table
from egret_training.model_file import load_model


def weight_metrics(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return sizes and sparsity of each matrix, and of all together."""
    sizes = {name: int(matrix.size) for name, matrix in checkpoint.matrices().items()}
    nonzeros = checkpoint.nonzeros()
    total, kept = sum(sizes.values()), sum(nonzeros.values())
    return {
        "weights": total,
        "nonzero_weights": kept,
        "sparsity": round(1 - kept / total, 4),
        "sparsity_by_matrix": {name: round(1 - nonzeros[name] / sizes[name], 4) for name in sizes},
    }


def expected_macs(checkpoint: Checkpoint, activity: list[float]) -> dict[str, float]:
    """Return MACs per token of a dense machine, and with both sparsities (activity times non-zeros).

    The product of the embedding with the first layer's input weights is folded into a table and takes no
    MACs; what it would take with its zero weights skipped is given apart.
    """
    nonzeros = checkpoint.nonzeros()
    folded = nonzeros.pop(FOLDED.name)
    sparse = sum(count * Matrix.named(name).activity(activity) for name, count in nonzeros.items())
    return {
        "dense": checkpoint.dense_macs_per_token(),
        "sparse_theoretical": round(sparse, 1),
        "folded_away": folded,
    }


def integer_metrics(
    checkpoint: Checkpoint, corpus: Corpus, split: str, brevitas: bool = True
) -> dict[str, Any]:
    """Return perplexity, activity and MACs of the integer reference on a split, run as one stream.

    With `brevitas`, also run the Brevitas model in evaluation; raises EgretError unless both agree exactly.
    """
    convention = TextConvention.of_metadata(checkpoint.metadata)
    tokens = renumber(corpus, checkpoint.vocabulary, split, convention)
    reference = evaluate_reference(checkpoint, tokens, f"reference, {split}")
    assert reference.events is not None
    result: dict[str, Any] = {
        "tokens": reference.tokens,
        "perplexity_reference": reference.perplexity,
        "activity": [round(share, 5) for share in reference.activity],
        "macs_per_token": {
            **expected_macs(checkpoint, reference.activity),
            "counted": round(reference.macs_per_token or 0.0, 1),
        },
        "macs_by_count": mac_table(checkpoint.matrices(), reference.events),
    }
    if brevitas:
        exact = evaluate_brevitas(checkpoint, tokens, f"Brevitas, {split}")
        result["perplexity_brevitas"] = exact.perplexity
        if dataclasses.replace(reference, macs_per_token=None, events=None) != exact:
            raise EgretError(
                f"The Brevitas model ({exact}) and the reference ({reference}) differ on {split}."
            )
    return result


def float_metrics(run: Path, phase: str, corpus: Corpus, split: str) -> float:
    """Return the perplexity of a phase's float model on a split, one stream, products in float32."""
    model, saved = load_model(run / f"{phase}.pt")
    tokens = renumber(corpus, saved["vocabulary"], split, TextConvention.of_metadata(saved))
    return perplexity(model, tokens[:, None], torch.float32)
