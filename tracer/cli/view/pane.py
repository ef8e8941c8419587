"""Widgets that show lines: one that scrolls, one with a row that is selected."""

import sys
from collections.abc import Sequence
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from tracer.report.line import Line

_PLAIN = str.maketrans("→←⇒µ±…·│─▸", "><>u+~.|->")
_SELECTED = Style(reverse=True)


@lru_cache(256)
def _style(words: str) -> Style:
    return Style.parse(words)


def strip_of(line: Line, width: int, *, is_selected: bool = False) -> Strip:
    """Return a line as textual draws it, cut or filled to `width` columns."""
    # textual takes sys.stdout away and writes to the original standard error.
    is_unicode = str(getattr(sys.__stderr__, "encoding", "")).lower().startswith("utf")
    segments = [
        Segment(
            text if is_unicode else text.translate(_PLAIN),
            _SELECTED if is_selected else _style(style),
        )
        for text, style in line.parts
    ]
    filling = _SELECTED if is_selected else Style.null()
    return Strip(segments, line.cell_len).adjust_cell_length(width, filling)


class Lines(Widget):
    """Shows lines from the top, as many as fit; `show` replaces them."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 -- textual's name
        super().__init__(id=id)
        self._lines: Sequence[Line] = ()

    def show(self, lines: Sequence[Line]) -> None:
        """Show these lines from now on."""
        self._lines = lines
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return what textual draws in a row."""
        if not 0 <= y < len(self._lines):
            return Strip.blank(self.size.width)
        return strip_of(self._lines[y], self.size.width)


class Scrolling(Widget, can_focus=True):
    """Lines under a heading that stays; keys move through them.

    `top` is the first line shown under the heading.
    """

    def __init__(self, *, id: str) -> None:  # noqa: A002 -- textual's name
        super().__init__(id=id)
        self._heads: Sequence[Line] = ()
        self._lines: Sequence[Line] = ()
        self.top = 0

    @property
    def room(self) -> int:
        """How many lines fit under the heading."""
        return max(1, self.size.height - len(self._heads))

    def show(self, heads: Sequence[Line], lines: Sequence[Line]) -> None:
        """Show these lines from now on."""
        self._heads, self._lines = heads, lines
        self._go(self.top)

    def render_line(self, y: int) -> Strip:
        """Return what textual draws in a row."""
        width = self.size.width
        if y < len(self._heads):
            return strip_of(self._heads[y], width)
        at = self.top + y - len(self._heads)
        return strip_of(self._lines[at], width) if at < len(self._lines) else Strip.blank(width)

    def hidden(self, height: int) -> tuple[int, int]:
        """Return how many lines are above and below those shown at a height."""
        room = max(0, height - len(self._heads))
        return self.top, max(0, len(self._lines) - self.top - room)

    def on_key(self, event: events.Key) -> None:
        """Scroll."""
        steps = {
            "up": -1, "k": -1, "down": 1, "j": 1, "pageup": -self.room, "pagedown": self.room,
            "home": -len(self._lines), "end": len(self._lines),
        }  # fmt: skip
        if event.key in steps:
            event.stop()
            self._go(self.top + steps[event.key])

    def _go(self, top: int) -> None:
        self.top = max(0, min(top, len(self._lines) - self.room))
        self.refresh()
