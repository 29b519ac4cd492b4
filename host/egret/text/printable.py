"""Words of a model's vocabulary, made safe to show: they may hold anything but a line break."""

from __future__ import annotations

import unicodedata

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(word: str) -> str:
    """Return the word with a replacement character for each that is not to be printed.

    Control characters can move a terminal's cursor or change its settings, and HTML has no place for them.
    """
    return "".join(character if character.isprintable() else REPLACEMENT for character in word)


def fit(word: str, width: int, encoding: str = "utf-8") -> str:
    """Return the word, made printable, in exactly `width` >= 1 columns of a terminal: cut, or padded.

    What `encoding` cannot express becomes "?". East Asian wide characters take two columns, marks that
    combine with the one before none.
    """
    safe = printable(word).encode(encoding, "replace").decode(encoding)
    if sum(map(_columns, safe)) > width:
        while sum(map(_columns, safe)) > width - 1:
            safe = safe[:-1]
        safe += "~"
    return safe + " " * (width - sum(map(_columns, safe)))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
