"""A teacher: what a trained model expects at each word of the training text, stored once and learned from.

A file has a header of HEADER_BYTES, a line of JSON filled up with blanks, and then a record for each word of
the text but the last: the k most likely next words (uint16, or uint32 where there are more than 65 536) and
their probabilities (float16). That is 4 k bytes a word: 119 MB for the Penn Treebank and 32 words.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from egret.errors import EgretError
from egret_training.data import Corpus
from egret_training.execution import Execution
from egret_training.loss import SoftTargets
from egret_training.model import EgruLanguageModel

HEADER_BYTES = 4096
FORMAT = "egret soft targets 1"
STREAMS, STEPS = 20, 35


def record_type(words: int, k: int) -> np.dtype[Any]:
    """Return the type of a record: `k` of `words` words, and their probabilities."""
    return np.dtype([("words", "<u2" if words <= 1 << 16 else "<u4", (k,)), ("shares", "<f2", (k,))])


def text_digest(corpus: Corpus) -> str:
    """Return what tells the training text and its numbering from others."""
    digest = hashlib.sha256("\n".join(corpus.vocabulary).encode("utf-8"))
    digest.update(corpus.train.numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def write_targets(
    model: EgruLanguageModel, corpus: Corpus, path: str | os.PathLike[str], k: int, execution: Execution
) -> int:
    """Write what `model`, of this corpus, expects of its training text; return the size in bytes.

    The text is run as STREAMS streams, each from a state at rest. Raises EgretError where `k` is out of range
    or the file cannot be written; an unfinished file is removed.
    """
    words, tokens = len(corpus.vocabulary), corpus.train
    if not 1 <= k <= words:
        raise EgretError(f"--words must lie between 1 and {words}; it is {k}.")
    rows = -(-tokens.numel() // STREAMS)
    padded = torch.cat([tokens, tokens.new_zeros(rows * STREAMS - tokens.numel())])
    parallel = padded.reshape(STREAMS, rows).t().contiguous().to(execution.device)
    model.to(execution.device)
    state = model.initial_state(STREAMS)
    weights, bias = model.decoder()
    columns = weights.to(execution.product_type).t()
    records = np.zeros((STREAMS, rows), record_type(words, k))
    for first in tqdm(range(0, rows, STEPS), desc="teacher", dynamic_ncols=True):
        outputs, state = model.hidden(parallel[first : first + STEPS], state, execution.product_type)
        for row, output in enumerate(outputs[-1], first):
            logits = (output.to(execution.product_type) @ columns).float() + bias
            shares, likely = logits.softmax(1).topk(k, dim=1)
            records[:, row]["words"] = likely.cpu().numpy()
            records[:, row]["shares"] = shares.cpu().numpy()
    header = {
        "format": FORMAT,
        "text": text_digest(corpus),
        "vocabulary": words,
        "k": k,
        "records": tokens.numel() - 1,
    }
    unfinished = Path(f"{path}.tmp")
    try:
        with unfinished.open("wb") as file:
            file.write(json.dumps(header).encode("ascii").ljust(HEADER_BYTES))
            records.reshape(-1)[: tokens.numel() - 1].tofile(file)
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise EgretError(f"{path} cannot be written: {error.strerror}.") from error
    return Path(path).stat().st_size


class Teacher:
    """The soft targets of some of the streams that a training text is cut into."""

    def __init__(
        self,
        path: Path,
        corpus: Corpus,
        streams: int,
        first: int,
        count: int,
        weight: float,
        device: torch.device,
    ) -> None:
        """Open a file of `write_targets` for `count` of `streams` streams from `first` on.

        `weight` is the share of a target that the teacher's words make up. Raises EgretError where the file
        is missing, is no such file, or is of another text.
        """
        self.weight, self.device = weight, device
        header = _read_header(path)
        if header.get("text") != text_digest(corpus):
            raise EgretError(f"{path} holds the soft targets of another text or vocabulary; write them anew.")
        kind = record_type(header["vocabulary"], header["k"])
        if path.stat().st_size != HEADER_BYTES + header["records"] * kind.itemsize:
            raise EgretError(f"{path} is cut short; write it anew with `python -m egret_training teach`.")
        records = np.memmap(path, kind, "r", HEADER_BYTES, (header["records"],))
        length = corpus.train.numel() // streams
        starts = range(first * length, (first + count) * length, length)
        self.streams: Sequence[Any] = [records[start : start + length] for start in starts]

    def window(self, row: int, steps: int) -> SoftTargets:
        """Return what is expected after the rows from `row` on: words and shares, [steps, streams, k]."""
        records = np.stack([stream[row : row + steps] for stream in self.streams], axis=1)
        words = torch.from_numpy(records["words"].astype(np.int64)).to(self.device)
        shares = torch.from_numpy(records["shares"].astype(np.float32)).to(self.device)
        return words, shares * (self.weight / shares.sum(-1, keepdim=True))


def _read_header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(HEADER_BYTES))
    except OSError as error:
        raise EgretError(f"The soft targets {path} cannot be read: {error.strerror}.") from error
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise EgretError(f"{path} holds no soft targets; `python -m egret_training teach` writes them.")
    return header
