"""The Penn Treebank, word level: reading it from a folder or zip, and cutting it into training windows."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from egret.errors import EgretError

END_OF_SENTENCE = "<eos>"
SPLITS = ("train", "valid", "test")

WHERE_TO_GET_IT = (
    "Egret reads the Penn Treebank in Mikolov's preprocessing (10 000 words, numbers as N, rare words as "
    "<unk>): ptb.train.txt, ptb.valid.txt and ptb.test.txt of simple-examples.tgz, from the page of his "
    "RNNLM toolkit. The text is licensed by the Linguistic Data Consortium (LDC99T42). "
    "Name the folder or a zip that holds the three files."
)


@dataclass(eq=False)
class Corpus:
    """A word-level corpus: three streams of word numbers and the words they stand for."""

    vocabulary: list[str]
    """V different words, the most frequent first (by the training text; ties in the order of appearance)."""
    train: Tensor
    """int64 [tokens], each below V; a sentence ends with the number of END_OF_SENTENCE."""
    valid: Tensor
    test: Tensor

    def log_frequencies(self) -> Tensor:
        """Return the logarithm of each word's share of the training text, float32 [V], add-one smoothed."""
        counts = torch.bincount(self.train, minlength=len(self.vocabulary)).double() + 1.0
        return torch.log(counts / counts.sum()).float()


def load_penn_treebank(source: str | os.PathLike[str]) -> Corpus:
    """Read ptb.{train,valid,test}.txt from a folder, or from a zip with them at any depth.

    Raises EgretError where a file is missing, is not UTF-8, is empty, or holds a word that the
    training text lacks (as the published preprocessing never does).
    """
    texts = _read_texts(Path(source))
    words = {split: _words(split, text) for split, text in texts.items()}
    counts: dict[str, int] = {}
    for word in words["train"]:
        counts[word] = counts.get(word, 0) + 1
    vocabulary = sorted(counts, key=lambda word: -counts[word])
    numbers = {word: number for number, word in enumerate(vocabulary)}
    streams: dict[str, Tensor] = {}
    for split in SPLITS:
        try:
            streams[split] = torch.tensor([numbers[word] for word in words[split]], dtype=torch.int64)
        except KeyError as error:
            raise EgretError(
                f"{source}: ptb.{split}.txt holds the word {error.args[0]!r}, which ptb.train.txt "
                f"lacks, so the three files are not of one preprocessing. {WHERE_TO_GET_IT}"
            ) from error
    return Corpus(vocabulary, streams["train"], streams["valid"], streams["test"])


def streams(tokens: Tensor, count: int) -> Tensor:
    """Cut a stream of tokens into `count` equally long ones, int64 [length, count] (the rest is dropped)."""
    length = tokens.numel() // count
    if length < 2:
        raise EgretError(f"{tokens.numel()} tokens are too few for {count} parallel streams.")
    return tokens[: length * count].reshape(count, length).t().contiguous()


def windows(parallel: Tensor, steps: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield windows from row `start` on: (inputs, targets), int64 [up to `steps`, streams] each."""
    for first in range(start, parallel.shape[0] - 1, steps):
        last = min(first + steps, parallel.shape[0] - 1)
        yield parallel[first:last], parallel[first + 1 : last + 1]


def _read_texts(source: Path) -> dict[str, str]:
    names = {split: f"ptb.{split}.txt" for split in SPLITS}
    try:
        if source.is_dir():
            raw = {
                split: (source / name).read_bytes()
                for split, name in names.items()
                if (source / name).is_file()
            }
        elif source.is_file():
            with zipfile.ZipFile(source) as archive:
                members = {PurePosixPath(member).name: member for member in archive.namelist()}
                raw = {split: archive.read(members[name]) for split, name in names.items() if name in members}
        else:
            raise EgretError(f"There is neither a folder nor a zip at {source}. {WHERE_TO_GET_IT}")
    except zipfile.BadZipFile as error:
        raise EgretError(f"{source} is neither a folder nor a zip archive. {WHERE_TO_GET_IT}") from error
    except OSError as error:
        raise EgretError(f"{source} cannot be read: {error.strerror or error}. {WHERE_TO_GET_IT}") from error
    for split, name in names.items():
        if split not in raw:
            raise EgretError(f"{source} lacks {name}. {WHERE_TO_GET_IT}")
    try:
        return {split: content.decode("utf-8") for split, content in raw.items()}
    except UnicodeDecodeError as error:
        raise EgretError(f"{source}: a file is not UTF-8 text. {WHERE_TO_GET_IT}") from error


def _words(split: str, text: str) -> list[str]:
    words: list[str] = []
    for line in text.splitlines():
        words += line.split()
        words.append(END_OF_SENTENCE)
    if len(words) < 2:
        raise EgretError(f"ptb.{split}.txt is empty. {WHERE_TO_GET_IT}")
    return words
