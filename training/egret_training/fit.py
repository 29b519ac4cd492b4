"""Whether a board will run what a recipe trains: asked before the first step, not after the last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.image.limits import Limit, check_memory, image_bytes, memory_limit, most_words, size_limits
from egret.image.packer import pack
from egret.profiles import BOARDS, Board
from egret_training.recipe import Recipe


def check_recipe(
    recipe: Recipe, vocabulary: Sequence[str], masks: Mapping[str, Tensor] | None = None
) -> list[str]:
    """Return a sentence for each board that will not run the model of a recipe, with what would fit it.

    `masks`: of the model that training begins with, where no phase prunes. Raises EgretError where no board
    will. Cells that no kernel has (GRU, LSTM) are not asked about.
    """
    if recipe.model.cell != "egru":
        return []
    return _some_board(
        {name: _against(recipe, vocabulary, masks or {}, board) for name, board in BOARDS.items()}
    )


def check_checkpoint(checkpoint: Checkpoint) -> list[str]:
    """Return a sentence for each board that does not run a checkpoint: it is packed for each."""
    sentences = []
    for name, board in BOARDS.items():
        try:
            check_memory(pack(checkpoint, board.build), board)
        except EgretError as error:
            sentences.append(f"{name} does not run this model: {error}")
    return sentences


def _some_board(found: dict[str, str]) -> list[str]:
    sentences = [f"{name} will not run this recipe's model: {why}" for name, why in found.items() if why]
    if len(sentences) == len(found):
        raise EgretError(f"{' '.join(sentences)} (--no-board trains it all the same.)")
    return sentences


def _against(recipe: Recipe, vocabulary: Sequence[str], masks: Mapping[str, Tensor], board: Board) -> str:
    """Return what keeps a board from running a recipe's model, and what would fit; "" if nothing does."""
    neurons, words, build = recipe.model.layers, len(vocabulary), board.build
    density, of_decoder = _densities(recipe, masks)
    limits = size_limits(neurons, words, build)
    if recipe.phases[-1].quantized:
        last = recipe.phases[-1]
        limits += [
            Limit("bits of a weight", last.weight_bits, build.weight_bits, "WEIGHT_BITS"),
            Limit(
                "bits of a decoder weight",
                last.decoder_weight_bits,
                build.decoder_weight_bits,
                "DECODER_WEIGHT_BITS",
            ),
        ]
    text = sum(len(word.encode("utf-8")) + 1 for word in vocabulary)
    size = image_bytes(neurons, words, build, text, density, of_decoder)
    memory = memory_limit(size, neurons, words, board)
    broken = [limit for limit in (*limits, memory) if not limit.kept]
    if not broken:
        return ""
    cures = [
        f"`{limit.parameter.lower()} = {limit.most}`"
        for limit in broken
        if limit.what.startswith("bits of a")
    ]
    if any(limit is memory or limit.what == "words" for limit in broken):
        word_bytes = math.ceil(text / words)
        fitting = most_words(neurons, board, 1.0 - max(density, of_decoder), word_bytes)
        cures += [f"`vocabulary = {fitting}`"] if fitting else []
    if any(limit.what.startswith(("neurons", "layers")) for limit in broken):
        cures.append("smaller `layers`")
    return f"it has {'; and '.join(map(str, broken))}. {' and '.join(cures) or 'Smaller `layers`'} would fit."


def _densities(recipe: Recipe, masks: Mapping[str, Tensor]) -> tuple[float, float]:
    """Return the share of weights of layers and of the decoder that the recipe keeps."""
    prunings = [phase.pruning for phase in recipe.phases if phase.pruning is not None]
    if prunings:
        return 1.0 - prunings[-1].sparsity, 1.0 - prunings[-1].of_decoder
    total = sum(mask.numel() for mask in masks.values())
    kept = sum(int(mask.sum()) for mask in masks.values()) / total if total else 1.0
    return kept, kept
