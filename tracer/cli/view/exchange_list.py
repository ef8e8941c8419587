"""The list of exchanges: the newest at the end, one of them selected."""

from bisect import bisect_left
from collections.abc import Sequence

from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tracer.cli.view.kept import Exchange, grouped
from tracer.cli.view.pane import strip_of
from tracer.report.live.exchange_lines import Glance, glances


class ExchangeList(Widget, can_focus=True):
    """Shows exchanges, a line each. At its end it goes on with what comes; elsewhere it stays."""

    class Opened(Message):
        """An exchange is to be opened to its hops."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 -- textual's name
        super().__init__(id=id)
        self._exchanges: Sequence[Exchange] = ()
        self._serial: int | None = None  # of the selected one; None follows the newest
        self._glances: dict[int, Glance] = {}

    @property
    def follows(self) -> bool:
        """Whether the newest exchange is the selected one, whichever that is."""
        return self._serial is None

    @property
    def selected(self) -> Exchange | None:
        """The exchange the cursor is on, None when there is none at all."""
        return self._exchanges[self._at()] if self._exchanges else None

    def show(self, exchanges: Sequence[Exchange]) -> None:
        """Show these exchanges, oldest first, from now on."""
        self._exchanges = exchanges
        if not exchanges:
            self._serial = None
        self._prepare()

    def select(self, steps: int) -> None:
        """Move the cursor by some exchanges; behind the last one it follows the newest."""
        if not self._exchanges:
            return
        at = max(0, self._at() + steps)
        self._serial = self._exchanges[at].serial if at < len(self._exchanges) - 1 else None
        self._prepare()

    def hold(self) -> None:
        """Stay on the selected exchange, even when it is the newest."""
        if self._exchanges:
            self._serial = self._exchanges[self._at()].serial

    def render_line(self, y: int) -> Strip:
        """Return what textual draws in a row."""
        width = self.size.width
        at = self._top() + y
        if at >= len(self._exchanges):
            return Strip.blank(width)
        glance = self._glances.get(self._exchanges[at].serial)
        if glance is None:
            return Strip.blank(width)
        return strip_of(glance.line(width), width, is_selected=at == self._at())

    def on_key(self, event: events.Key) -> None:
        """Move the cursor, or open the exchange it is on."""
        many = len(self._exchanges)
        page = max(1, self.size.height - 1)
        steps = {
            "up": -1, "k": -1, "down": 1, "j": 1, "pageup": -page, "pagedown": page,
            "home": -many, "end": many,
        }  # fmt: skip
        if event.key in steps:
            event.stop()
            self.select(steps[event.key])
        elif event.key == "enter" and self._exchanges:
            event.stop()
            self.hold()
            self.post_message(self.Opened())

    def on_resize(self) -> None:
        """Prepare the lines that are to be seen now."""
        self._prepare()

    def _at(self) -> int:
        if self._serial is None:
            return len(self._exchanges) - 1
        at = bisect_left(self._exchanges, self._serial, key=lambda each: each.serial)
        return min(at, len(self._exchanges) - 1)

    def _top(self) -> int:
        # The newest are shown down to the end; an earlier one is in the middle where it can be.
        height = max(1, self.size.height)
        last = max(0, len(self._exchanges) - height)
        return last if self._serial is None else max(0, min(self._at() - height // 2, last))

    def _prepare(self) -> None:
        # What a line says is worked out for the lines on the screen alone.
        top = self._top()
        shown = list(self._exchanges[top : top + max(1, self.size.height)])
        known = {item.serial: self._glances.get(item.serial) for item in shown}
        for part, items in grouped([item for item in shown if known[item.serial] is None]):
            found = glances(part, [item.members for item in items])
            known.update(zip((item.serial for item in items), found, strict=True))
        self._glances = {serial: glance for serial, glance in known.items() if glance is not None}
        self.refresh()
