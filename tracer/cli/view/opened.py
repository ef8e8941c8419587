"""A selected exchange, opened to its hops."""

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen

from tracer.cli.view.kept import Exchange
from tracer.cli.view.pane import Lines, Scrolling
from tracer.core.values import journeys_of
from tracer.report.layout import Layout
from tracer.report.line import Line
from tracer.report.live.bars import key_line
from tracer.report.text import exchange_lines

_KEYS = (("↑↓", "scroll"), ("n/p", "next, previous"), ("Esc", "back"), ("?", "help"), ("q", "quit"))


class Opened(Screen[None]):
    """One exchange, every hop a line, as `tracer offline` shows it."""

    def __init__(self, exchange: Exchange, step: Callable[[int], Exchange | None]) -> None:
        super().__init__()
        self._exchange, self._step = exchange, step

    def compose(self) -> ComposeResult:
        """Yield the widgets."""
        yield Scrolling(id="hops")
        yield Lines(id="keys")

    def on_mount(self) -> None:
        """Show the hops."""
        self.query_one("#hops").focus()

    def on_resize(self) -> None:
        """Lay the hops out for the size of the screen."""
        self._show()

    def on_key(self, event: events.Key) -> None:
        """Go to another exchange, or back."""
        if event.key in ("escape", "enter", "backspace", "left"):
            event.stop()
            self.dismiss()
        elif event.key in ("n", "p"):
            event.stop()
            other = self._step(1 if event.key == "n" else -1)
            if other is not None:
                self._exchange = other
                self.query_one("#hops", Scrolling).top = 0
                self._show()

    def _show(self) -> None:
        width = self.size.width
        members = journeys_of(self._exchange.part, self._exchange.members)
        points = self._exchange.part.observations.points
        rows = [hop for journey in members for hop in journey.hops]
        devices = {(hop.observation.netns, hop.observation.device) for hop in rows}
        hooks = {hop.observation.hook for hop in rows}
        own = [
            p for p in points if (p.netns, p.device) in devices and (not p.hook or p.hook in hooks)
        ]
        lines = list(exchange_lines(members, Layout.of(own, width)))
        self.query_one("#hops", Scrolling).show((), lines or [Line("nothing kept")])
        self.query_one("#keys", Lines).show([key_line(_KEYS, width)])
