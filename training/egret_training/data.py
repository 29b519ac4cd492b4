"""Texts as streams of word numbers: reading them from a folder, zip or file, cutting them into windows."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

import torch
from torch import Tensor

from egret.errors import EgretError
from egret.text.vocabulary import UNKNOWN, TextConvention

_File = TypeVar("_File")

SPLITS = ("train", "valid", "test")
PENN_TREEBANK = "Penn Treebank (Mikolov's preprocessing), word level"

SPLIT_FILE = re.compile(r"(?:[\w-]+\.)?(train|valid|test)\.(?:txt|tokens)")

WHERE_TO_GET_IT = (
    "Egret reads three texts, one sentence a line, words between blanks: train.txt, valid.txt and test.txt, "
    "with any word and a dot before that (ptb.train.txt), in a folder or zip; or one text file, whose last "
    "tenth then is half valid, half test. The Penn Treebank in Mikolov's preprocessing (10 000 words) is in "
    "simple-examples.tgz, from the page of his RNNLM toolkit; it is licensed by the Linguistic Data "
    "Consortium (LDC99T42)."
)


@dataclass(eq=False)
class Corpus:
    """Three streams of word (or character) numbers and what they stand for."""

    name: str
    """What to call it in a model's metadata."""

    vocabulary: list[str]
    """V different words, the most frequent first (by the training text; ties in the order of appearance)."""
    train: Tensor
    """int64 [tokens], each below V; a sentence ends with the number of <eos>."""
    valid: Tensor
    test: Tensor
    texts: dict[str, str]
    """What each split was cut from."""
    convention: TextConvention = field(default_factory=TextConvention)
    """How."""

    def log_frequencies(self) -> Tensor:
        """Return the logarithm of each word's share of the training text, float32 [V], add-one smoothed."""
        counts = torch.bincount(self.train, minlength=len(self.vocabulary)).double() + 1.0
        return torch.log(counts / counts.sum()).float()


def load_corpus(
    source: str | os.PathLike[str], words: int | None = None, convention: TextConvention | None = None
) -> Corpus:
    """Read a corpus (see WHERE_TO_GET_IT), cut by a convention, with a vocabulary of at most `words` words.

    With a limit the most frequent words of the training text stay, and all others become UNKNOWN, which
    always is one of them; without one, every word of the training text does. Raises EgretError where a file
    is missing, is not UTF-8 or is empty, or where a text has a word that train lacks and there is no UNKNOWN.
    """
    convention = convention or TextConvention()
    texts = _read_texts(Path(source))
    words_of = {split: _units(f"{source}: {split}", text, convention) for split, text in texts.items()}
    counts: dict[str, int] = {}
    for word in words_of["train"]:
        counts[word] = counts.get(word, 0) + 1
    if words is not None:
        counts.setdefault(UNKNOWN, 0)
    vocabulary = sorted(counts, key=lambda word: -counts[word])
    if words is not None and len(vocabulary) > words:
        kept = [word for word in vocabulary if word != UNKNOWN][: words - 1]
        unknown = sum(counts.values()) - sum(counts[word] for word in kept)
        before = sum(counts[word] >= unknown for word in kept)
        vocabulary = [*kept[:before], UNKNOWN, *kept[before:]]
    numbers = {word: number for number, word in enumerate(vocabulary)}
    other = numbers.get(UNKNOWN)
    streams: dict[str, Tensor] = {}
    for split, text in words_of.items():
        found = [numbers.get(word, other) for word in text]
        if None in found:
            raise EgretError(
                f"{source}: {split} holds the word {text[found.index(None)]!r}, which train lacks. Set "
                f"`vocabulary` in the recipe (train has {len(vocabulary)} words), so that rare words become "
                f"{UNKNOWN}, or write {UNKNOWN} in the texts where a word is unknown."
            )
        streams[split] = torch.tensor(found, dtype=torch.int64)
    name = _name(Path(source), vocabulary)
    train, valid, test = (streams[split] for split in SPLITS)
    return Corpus(name, vocabulary, train, valid, test, texts, convention)


def _name(source: Path, vocabulary: list[str]) -> str:
    """Return PENN_TREEBANK for what has its 10 000 words with numbers as N, or else the file's own name."""
    return PENN_TREEBANK if len(vocabulary) == 10000 and "N" in vocabulary[:5] else source.stem


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
    """Return the text of each split."""
    try:
        if source.is_dir():
            raw = _splits({path.name: path for path in sorted(source.iterdir())}, source)
            texts = {split: path.read_bytes() for split, path in raw.items()}
        elif zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                members = _splits(
                    {PurePosixPath(member).name: member for member in archive.namelist()}, source
                )
                texts = {split: archive.read(member) for split, member in members.items()}
        elif source.is_file():
            return _cut(source.read_bytes().decode("utf-8-sig"), source)
        else:
            raise EgretError(f"There is no folder, zip or text at {source}. {WHERE_TO_GET_IT}")
        return {split: content.decode("utf-8-sig") for split, content in texts.items()}
    except UnicodeDecodeError as error:
        raise EgretError(f"{source}: a text is not UTF-8. {WHERE_TO_GET_IT}") from error
    except (OSError, zipfile.BadZipFile) as error:
        raise EgretError(f"{source} cannot be read: {error}. {WHERE_TO_GET_IT}") from error


def _splits(files: dict[str, _File], source: Path) -> dict[str, _File]:
    """Return the file of each split, from files by their names."""
    found: dict[str, _File] = {}
    for name, file in files.items():
        match = SPLIT_FILE.fullmatch(name)
        if match is not None:
            if match[1] in found:
                raise EgretError(f"{source} holds two files of {match[1]}. {WHERE_TO_GET_IT}")
            found[match[1]] = file
    for split in SPLITS:
        if split not in found:
            raise EgretError(
                f"{source} lacks {split}.txt: add it, or name one text file, which Egret then splits itself. "
                f"{WHERE_TO_GET_IT}"
            )
    return found


def _cut(text: str, source: Path) -> dict[str, str]:
    """Cut one text into splits: of its lines (words, if it has few), the last tenth half valid, half test."""
    lines = text.splitlines()
    between = "\n"
    if len(lines) < 20:
        lines, between = text.split(), " "
    ends = [len(lines) * 18 // 20, len(lines) * 19 // 20]
    parts = (lines[: ends[0]], lines[ends[0] : ends[1]], lines[ends[1] :])
    if not all(parts):
        raise EgretError(
            f"{source} has {len(lines)} words, too few to be split into train, valid and test; use a longer "
            "text, or three."
        )
    return {split: between.join(part) for split, part in zip(SPLITS, parts, strict=True)}


def _units(about: str, text: str, convention: TextConvention) -> list[str]:
    units = convention.units(text)
    if len(units) < 2:
        raise EgretError(f"{about} is empty. {WHERE_TO_GET_IT}")
    return units
