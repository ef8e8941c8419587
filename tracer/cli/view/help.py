"""The help of the live view."""

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen

from tracer.cli.view.kept import MOST_EXCHANGES, MOST_HOPS
from tracer.cli.view.pane import Lines, Scrolling
from tracer.report.line import Line
from tracer.report.live.bars import key_line

_KEYS = (
    ("↑ ↓ PgUp PgDn Home", "select an exchange, scroll a pane"),
    ("End", "go on with the newest"),
    ("Enter", "open the selected exchange; then n, p: next, previous"),
    ("Space", "pause the screen; counting goes on"),
    ("f or /", "filter the exchanges; Esc drops the filter"),
    ("s", "save those shown as .txt, .jsonl, .csv or .parquet"),
    ("[ ]", "the previous, the next path"),
    ("Tab, z", "the other pane; the pane alone on the screen"),
    ("r", "reset the counts of the paths"),
    ("q or Ctrl-C", "end, with the summary"),
)
_FILTER = (
    ("100.121.0.75", "an address or 10.0.0.0/8, on either side of NAT"),
    ("443", "a port or echo id"),
    ("dport 443", "also port, sport, id, host, src, dst"),
    ("icmp tcp udp arp", "a protocol"),
    ("dropped", "an outcome; lost means dropped or vanished"),
    ("!delivered", "not so; several words have to hold together"),
)
_COLUMNS = (
    ("→ ←", "what goes out, downwards; what comes back, upwards"),
    ("pkt/s", "packets a second over the last 5 seconds"),
    ("lost, loss", "seen here and not after: dropped or vanished"),
    ("p50 p99", "time since the hop before; the slowest in bold"),
    ("exchanges", "time to the reply, where both were seen first"),
    ("lost by tracer", "missed by the tracer itself, not by the network"),
    ("kept", f"the newest {MOST_EXCHANGES:,}, or {MOST_HOPS:,} hops; all are counted"),
)


class Help(Screen[None]):
    """Keys, words of the filter, and what the columns mean."""

    def compose(self) -> ComposeResult:
        """Yield the widgets."""
        yield Scrolling(id="hops")
        yield Lines(id="keys")

    def on_mount(self) -> None:
        """Show the text."""
        lines: list[Line] = []
        for title, entries in (("Keys", _KEYS), ("Filter", _FILTER), ("Columns", _COLUMNS)):
            lines += [Line(title, "bold")]
            lines += [Line(f"  {name:<19}", "bold").append(f" {text}") for name, text in entries]
            lines += [Line()]
        text = self.query_one("#hops", Scrolling)
        text.show((), lines[:-1])
        text.focus()

    def on_resize(self) -> None:
        """Show the keys that leave."""
        keys = (("↑↓", "scroll"), ("Esc", "back"), ("q", "quit"))
        self.query_one("#keys", Lines).show([key_line(keys, self.size.width)])

    def on_key(self, event: events.Key) -> None:
        """Go back."""
        if event.key in ("escape", "enter", "question_mark", "h", "space", "backspace"):
            event.stop()
            self.dismiss()
