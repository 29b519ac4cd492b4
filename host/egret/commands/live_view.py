"""A run as it happens: a line for each token, with a bar for the events of each layer.

Only the kernel's result records are needed, so it works the same on every board. On a terminal the bars
have colours and eighths of a column; anywhere else a line is plain text.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from egret.board.results import Run
from egret.text.printable import fit

FULL_BAR = 1 / 3
"""Share of a layer's neurons that a full bar stands for; beyond it the bar ends with an arrow."""

_PAGE_WIDTH = 100
_POSITION, _WORD, _CYCLES = 6, 14, 9
_LEAST_BAR, _MOST_BAR = 4, 40
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_COLOURS = (36, 33, 35, 32, 34, 31)  # of the terminal's own sixteen, which suit its background
_DIM, _BOLD = 2, 1


@dataclass(frozen=True)
class Style:
    """What a stream can show."""

    width: int
    """Columns."""
    colour: bool
    blocks: bool
    """Whether it has the characters for eighths of a column."""
    encoding: str

    @classmethod
    def of(cls, stream: TextIO, environment: Mapping[str, str] = os.environ) -> Style:
        """Return the style for a stream: colours on a terminal, unless NO_COLOR or TERM=dumb forbids them."""
        encoding = getattr(stream, "encoding", None) or "ascii"
        terminal = stream.isatty()
        return cls(
            width=max(shutil.get_terminal_size((_PAGE_WIDTH, 24)).columns, 40) if terminal else _PAGE_WIDTH,
            colour=terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb",
            blocks=_can_encode(_EIGHTHS, encoding),
            encoding=encoding,
        )


class LiveView:
    """Makes the lines. `neurons`: of each layer; `words`: the vocabulary; `timed`: whether cycles count."""

    def __init__(self, neurons: Sequence[int], words: Sequence[str], timed: bool, style: Style) -> None:
        self._neurons, self._words, self._timed, self._style = neurons, words, timed, style
        self._position = 0
        around = _POSITION + 1 + _WORD + (_CYCLES if timed else 0)
        self._count = len(str(max(neurons))) + 1
        room = (style.width - 1 - around) // len(neurons) - self._count - 2
        self._bar = min(room, _MOST_BAR)

    def header(self) -> str:
        """Return the line over the others."""
        titles = []
        for layer, count in enumerate(self._neurons):
            name = f"layer {layer}"
            if len(name) + len(f" ({count})") <= self._cell:
                name += f" ({count})"
            titles.append(fit(name, self._cell))
        cycles = "cycles".rjust(_CYCLES) if self._timed else ""
        bars = "".join(f"  {title}" for title in titles)
        return self._paint(f"{'token':>{_POSITION}} {'word':<{_WORD}}{bars}{cycles}".rstrip(), _DIM)

    def lines(self, part: Run, given: int) -> Iterator[str]:
        """Return a line for each token of the next chunk; `given`: how many tokens of the run were given."""
        for index in range(len(part)):
            word = fit(self._words[int(part.tokens[index])], _WORD, self._style.encoding)
            if self._position >= given:
                word = self._paint(word, _BOLD)
            bars = "".join(
                f"  {self._layer(layer, int(events))}" for layer, events in enumerate(part.events[index])
            )
            cycles = f"{int(part.cycles[index]):>{_CYCLES},}" if self._timed else ""
            self._position += 1
            yield f"{self._position:>{_POSITION}} {word}{bars}{cycles}".rstrip()

    @property
    def _cell(self) -> int:
        """Columns of a layer."""
        return self._count + (self._bar if self._bar >= _LEAST_BAR else 0)

    def _layer(self, layer: int, events: int) -> str:
        count = f"{events:>{self._count}}"
        if self._bar < _LEAST_BAR:  # many layers on a narrow page
            return count
        bar = self._draw(events / self._neurons[layer] / FULL_BAR)
        return self._paint(bar, _COLOURS[layer % len(_COLOURS)]) + count

    def _draw(self, share: float) -> str:
        """Return a bar of which `share` is full; one event is always seen."""
        if share > 1.0:
            return ("█" if self._style.blocks else "#") * (self._bar - 1) + ">"
        if not self._style.blocks:
            length = round(share * self._bar)
            return ("#" * (length or (share > 0.0))).ljust(self._bar, ".")
        eighths = round(8 * share * self._bar) or int(share > 0.0)
        whole, rest = divmod(eighths, 8)
        return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(self._bar)

    def _paint(self, text: str, code: int) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._style.colour else text


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
