"""Text to tokens and back, by the convention of the model's own training text.

A convention says how text is cut into units (words or characters) and what is done to them. Training writes
it into a model's metadata (docs/formats.md, section 2). Every command, the notebooks and the Python API
follow it: a text has the same tokens everywhere.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from egret.errors import EgretError

UNKNOWN, END, NUMBER = "<unk>", "<eos>", "N"
BYTE_ORDER_MARK = "\ufeff"

METADATA_KEY = "text"
"""Of the convention in a checkpoint's metadata."""

_CHOICES = {
    "unit": ("word", "character"),
    "punctuation": ("attached", "apart"),
    "prompts": ("plain", "penn-treebank"),
}
_PIECES = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


@dataclass(frozen=True)
class TextConvention:
    """How a text becomes units; the default is that of texts prepared beforehand, as the Penn Treebank's are.

    A unit that the vocabulary lacks becomes <unk>, if that is one of its words.
    """

    unit: str = "word"
    """`word`: what stands between blanks; `character`: each character of a line, blanks too."""
    lower_case: bool = False
    punctuation: str = "attached"
    """`attached`: marks stay with their word, as in the text; `apart`: each mark is a unit of its own."""
    blank_lines: bool = True
    """Whether a line without words is a sentence, and so gives an <eos>."""
    prompts: str = "plain"
    """`plain`: a prompt is cut as a text is; `penn-treebank`: after what that treebank's preprocessing did
    (lower case, no punctuation, N for numbers, clitics apart). A word of the vocabulary maps to itself."""

    def __post_init__(self) -> None:
        for key, choices in _CHOICES.items():
            if getattr(self, key) not in choices:
                raise EgretError(
                    f"A text convention's {key} is {getattr(self, key)!r}; it must be {' or '.join(choices)}."
                )
        for key in ("lower_case", "blank_lines"):
            if not isinstance(getattr(self, key), bool):
                raise EgretError(f"A text convention's {key} must be true or false.")

    @classmethod
    def of_metadata(cls, metadata: Mapping[str, Any]) -> TextConvention:
        """Return the convention in a checkpoint's metadata; the default where there is none.

        Raises EgretError if the metadata's convention is not valid.
        """
        found = metadata.get(METADATA_KEY, {})
        known = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(found, dict) or set(found) - set(known):
            raise EgretError(
                f"The model's text convention must be an object of {', '.join(known)}; it is {found!r}."
            )
        return cls(**found)

    def as_metadata(self) -> dict[str, Any]:
        """Return what `of_metadata` reads under METADATA_KEY."""
        return dataclasses.asdict(self)

    def units(self, text: str) -> list[str]:
        """Return the units of a text: those of each line, and END behind each."""
        units: list[str] = []
        for line in text.removeprefix(BYTE_ORDER_MARK).splitlines():
            in_line = self.line(line)
            if in_line or self.blank_lines:
                units += in_line
                units.append(END)
        return units

    def line(self, line: str) -> list[str]:
        """Return the units of a line, without END."""
        if self.lower_case:
            line = line.lower()
        if self.unit == "character":
            return list(line)
        if self.punctuation == "attached":
            return line.split()
        # (A word in angle brackets is a special one, whatever it is made of.)
        return [
            piece
            for word in line.split()
            for piece in ([word] if word in (UNKNOWN, END) else _PIECES.findall(word))
        ]


class Vocabulary:
    """The words of a model, token t being words[t], and its text convention.

    Raises EgretError if <eos> is not among them.
    """

    def __init__(self, words: Sequence[str], convention: TextConvention | None = None) -> None:
        self.words = list(words)
        self.convention = convention or TextConvention()
        self._token = {word: token for token, word in enumerate(self.words)}
        if END not in self._token:
            raise EgretError(f"The vocabulary has no {END}, the word that ends a line and starts a prompt.")
        self.end = self._token[END]
        self.unknown = self._token.get(UNKNOWN)
        """The token of <unk>; None where the vocabulary has none."""

    def __len__(self) -> int:
        return len(self.words)

    def encode_text(self, text: str) -> npt.NDArray[np.uint32]:
        """Return the tokens of a text, uint32 [T], as the model's training would have cut it.

        Raises EgretError where a unit is not in the vocabulary and no <unk> stands for it.
        """
        return self.encode_units(self.convention.units(text))

    def encode_units(self, units: Iterable[str]) -> npt.NDArray[np.uint32]:
        """Return the tokens, uint32 [T], of units; raises EgretError as encode_text."""
        return np.array([self._token_of(unit) for unit in units], dtype=np.uint32)

    def encode_prompt(self, prompt: str) -> npt.NDArray[np.uint32]:
        """Return the tokens of the beginning of a line, uint32 [T]: <eos> (the line before) and the words."""
        prompt = prompt.removeprefix(BYTE_ORDER_MARK)
        if self.convention.prompts == "penn-treebank":
            return np.array([self.end, *_PennTreebank(self._token).tokens(prompt)], dtype=np.uint32)
        lines = prompt.splitlines() or [""]
        units = [unit for line in lines[:-1] for unit in [*self.convention.line(line), END]]
        return self.encode_units([END, *units, *self.convention.line(lines[-1])])

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the words of the tokens with spaces between (characters without), a line for each <eos>."""
        lines: list[list[str]] = [[]]
        for token in tokens:
            if int(token) == self.end:
                lines.append([])
            else:
                lines[-1].append(self.words[int(token)])
        between = "" if self.convention.unit == "character" else " "
        return "\n".join(between.join(line) for line in lines)

    def count_unknown(self, tokens: npt.NDArray[np.uint32]) -> int:
        """Return how many of the tokens are <unk>."""
        return 0 if self.unknown is None else int(np.count_nonzero(tokens == self.unknown))

    def _token_of(self, unit: str) -> int:
        token = self._token.get(unit, self.unknown)
        if token is None:
            raise _not_there(unit)
        return token


def read_tokens(path: str, words: int) -> npt.NDArray[np.uint32]:
    """Return the tokens, uint32 [T], of a NumPy .npy file; EgretError where they are not of `words` words."""
    try:
        array = np.load(path, allow_pickle=False, mmap_mode="r")
    except OSError as error:
        raise EgretError(f"{path} cannot be read: {error.strerror or error}.") from error
    # What NumPy raises for a file that is not its own depends on how it is broken.
    except Exception as error:
        raise EgretError(f"{path} is no NumPy file of numbers.") from error
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "iu":
        raise EgretError(f"{path} must hold integers in one dimension.")
    outside = np.flatnonzero((array < 0) | (array >= words))
    if outside.size:
        position = int(outside[0])
        raise EgretError(
            f"{path} has token {int(array[position])} at position {position}; the model's are 0 to "
            f"{words - 1}."
        )
    return array.astype(np.uint32)


def read_text(name: str) -> str:
    """Return the text of a file, or of standard input if `name` is '-'; EgretError if it is not text."""
    if not name:
        raise EgretError("The name of the text is empty; name a file, or '-' for standard input.")
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise EgretError(f"{name} is not UTF-8 text.") from error
        raise EgretError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def _not_there(word: str) -> EgretError:
    shown = word if len(word) <= 40 else word[:40] + "..."
    return EgretError(f"The word {shown!r} is not in the vocabulary, which has no {UNKNOWN} to stand for it.")


class _PennTreebank:
    """What the treebank's preprocessing makes of a prompt in plain English.

    The treebank's text is lower case, without punctuation, with numbers replaced by N and rare words by
    <unk>, with clitics split off ("do n't", "company 's").
    """

    CLITIC = re.compile(r"(.+?)(n't|'(?:s|re|ve|m|ll|d))")
    NUMBER = re.compile(r"[+-]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")
    CURRENCY = re.compile(r"([$£€#])(.+)")
    PUNCTUATION = '.,;:!?"()[]{}`%…“”–—'
    QUOTES = str.maketrans({"’": "'", "‘": "'"})
    LONGEST = 100
    """Characters of a piece that is looked into: a longer one is no word, whatever it is made of."""

    def __init__(self, token_of: Mapping[str, int]) -> None:
        self._token = token_of

    def tokens(self, prompt: str) -> list[int]:
        """Return the tokens of a prompt."""
        return [token for raw in prompt.translate(self.QUOTES).split() for token in self._word(raw)]

    def _word(self, raw: str) -> list[int]:
        """Return the tokens of one blank-separated piece of text: none (punctuation), one, or several."""
        if raw in self._token:
            return [self._token[raw]]
        word = raw.lower()
        if len(word) > self.LONGEST:
            return self._unknown(raw) if word.strip(self.PUNCTUATION + "'-") else []
        # A full stop may belong to the word ("mr.", "u.s."): marks come off only where the word is unknown.
        while word and word not in self._token:
            if word[-1] in self.PUNCTUATION:
                word = word[:-1]
            elif word[0] in self.PUNCTUATION and not self.NUMBER.fullmatch(word):
                word = word[1:]
            else:
                break
        if word in self._token:
            return [self._token[word]]
        if not word.strip(self.PUNCTUATION + "'-"):
            return []
        if self.NUMBER.fullmatch(word) and NUMBER in self._token:
            return [self._token[NUMBER]]
        split = self.CURRENCY.fullmatch(word) or self.CLITIC.fullmatch(word)
        if split:
            return [token for part in split.groups() for token in self._word(part)]
        if word.strip("'") != word:
            return self._word(word.strip("'"))
        return self._unknown(raw)

    def _unknown(self, raw: str) -> list[int]:
        if UNKNOWN not in self._token:
            raise _not_there(raw)
        return [self._token[UNKNOWN]]
