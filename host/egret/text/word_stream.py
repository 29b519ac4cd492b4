"""Words on standard output as they come, behind a label, broken to the page's width and where a line ends."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Iterable

from egret.text.printable import printable

_PAGE_WIDTH, _LABEL_WIDTH = 100, 12


class WordStream:
    """Prints what `decode` makes of tokens: `add()` as often as there are some, then `end()`."""

    def __init__(self, label: str, decode: Callable[[Iterable[int]], str]) -> None:
        self._label, self._decode = label.ljust(_LABEL_WIDTH), decode
        self._before: list[int] = []  # the last token: whether a blank follows it depends on what comes
        self._column = _LABEL_WIDTH
        self._gap = ""  # owed before the next word

    def add(self, tokens: Iterable[int]) -> None:
        """Print the words of the next tokens, at once."""
        new = [int(token) for token in tokens]
        if not new:
            return
        print(self._label, end="")
        self._label = ""
        text = self._decode([*self._before, *new])[len(self._decode(self._before)) :]
        self._before = new[-1:]
        for piece in re.findall(r"\n|[^\S\n]+|\S+", text):
            if not piece.strip():
                self._gap = "\n" if "\n" in (self._gap, piece) else " "
                continue
            word = printable(piece)
            if self._gap == "\n" or (self._gap and self._column + 1 + len(word) > _PAGE_WIDTH):
                print("\n" + " " * _LABEL_WIDTH, end="")
                self._column = _LABEL_WIDTH
            elif self._gap and self._column > _LABEL_WIDTH:
                word = " " + word
            print(word, end="")
            self._column += len(word)
            self._gap = ""
        sys.stdout.flush()

    def end(self) -> None:
        """End the last line."""
        print(self._label.rstrip() if self._label else "")


def is_piped() -> bool:
    """Return whether standard output is a pipe, whose reader wants words as they come and no bar."""
    try:
        return stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode)
    except (OSError, ValueError):  # none that the system knows
        return False
