"""Text to tokens and back, by the conventions of the Penn Treebank as language models use it.

The treebank's text is lower case, without punctuation, with numbers replaced by N and rare words by <unk>,
with clitics split off ("do n't", "company 's"), and every line ends with <eos>. Text that already is in that
form maps to itself, word for word, so that measuring on the treebank's own files measures the treebank.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from egret.errors import EgretError

UNKNOWN, END, NUMBER = "<unk>", "<eos>", "N"

_CLITIC = re.compile(r"(.+?)(n't|'(?:s|re|ve|m|ll|d))")
_NUMBER = re.compile(r"[+-]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")
_CURRENCY = re.compile(r"([$£€#])(.+)")
_PUNCTUATION = '.,;:!?"()[]{}`%…“”–—'
_QUOTES = str.maketrans({"’": "'", "‘": "'"})


class Vocabulary:
    """The words of a model, token t being words[t].

    Raises EgretError if <eos> is not among them.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self._token = {word: token for token, word in enumerate(self.words)}
        if END not in self._token:
            raise EgretError(f"The vocabulary has no {END}, the word that ends a line and starts a prompt.")
        self.end = self._token[END]

    def __len__(self) -> int:
        return len(self.words)

    def encode_lines(self, text: str) -> npt.NDArray[np.uint32]:
        """Return the tokens of a text, uint32 [T]: each line that is not empty, followed by <eos>."""
        tokens: list[int] = []
        for line in text.splitlines():
            if line.strip():
                tokens += self._line(line)
                tokens.append(self.end)
        return np.array(tokens, dtype=np.uint32)

    def encode_prompt(self, prompt: str) -> npt.NDArray[np.uint32]:
        """Return the tokens of the beginning of a line, uint32 [T]: <eos> (the line before) and the words."""
        return np.array([self.end, *self._line(prompt)], dtype=np.uint32)

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the words of the tokens with spaces between, a line break for each <eos>."""
        lines: list[list[str]] = [[]]
        for token in tokens:
            if int(token) == self.end:
                lines.append([])
            else:
                lines[-1].append(self.words[int(token)])
        return "\n".join(" ".join(line) for line in lines)

    def _line(self, line: str) -> list[int]:
        return [token for raw in line.translate(_QUOTES).split() for token in self._word(raw)]

    def _word(self, raw: str) -> list[int]:
        """Return the tokens of one blank-separated piece of text: none (punctuation), one, or several."""
        if raw in self._token:
            return [self._token[raw]]
        word = raw.lower()
        # A full stop may belong to the word ("mr.", "u.s."): marks come off only where the word is unknown.
        while word and word not in self._token:
            if word[-1] in _PUNCTUATION:
                word = word[:-1]
            elif word[0] in _PUNCTUATION and not _NUMBER.fullmatch(word):
                word = word[1:]
            else:
                break
        if word in self._token:
            return [self._token[word]]
        if not word.strip(_PUNCTUATION + "'-"):
            return []
        if _NUMBER.fullmatch(word) and NUMBER in self._token:
            return [self._token[NUMBER]]
        split = _CURRENCY.fullmatch(word) or _CLITIC.fullmatch(word)
        if split:
            return [token for part in split.groups() for token in self._word(part)]
        if word.strip("'") != word:
            return self._word(word.strip("'"))
        if UNKNOWN not in self._token:
            raise EgretError(
                f"The word {raw!r} is not in the vocabulary, which has no {UNKNOWN} to stand for it."
            )
        return [self._token[UNKNOWN]]
