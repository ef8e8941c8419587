"""The live view of `tracer follow`: paths on top, exchanges below, one opened to its hops."""

import time
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import events, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from tracer.cli.view.condition import HELP as FILTER_HELP
from tracer.cli.view.exchange_list import ExchangeList
from tracer.cli.view.feed import Feed, Picture
from tracer.cli.view.help import Help
from tracer.cli.view.kept import Exchange
from tracer.cli.view.opened import Opened
from tracer.cli.view.pane import Lines, Scrolling
from tracer.cli.view.saving import SUFFIXES, save
from tracer.core.errors import InputError
from tracer.report.line import Line
from tracer.report.live.bars import count_line, key_line, state_line, title_line
from tracer.report.live.path_lines import path_table, path_title
from tracer.report.live.units import count
from tracer.report.words import clock_time, date

_KEYS = (
    ("↑↓", "select"), ("Enter", "hops"), ("Space", "pause"), ("f", "filter"), ("s", "save"),
    ("q", "quit"), ("?", "help"), ("Tab", "pane"), ("z", "zoom"), ("[ ]", "path"), ("r", "restart"),
)  # fmt: skip
_REFRESH_S = 0.25


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is being asked for on the last line."""

    kind: str  # "filter" or "save"
    label: str


class View(App[None]):
    """The screen. It shows pictures of a feed four times a second until it is quit."""

    CSS = """
    Screen { layout: vertical; background: ansi_default; color: ansi_default; }
    Lines { height: 1; }
    #path { height: 10; }
    #list { height: 1fr; }
    #prompt { height: 1; border: none; padding: 0; display: none; background: ansi_default; }
    #hops { height: 1fr; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c", "finish", priority=False),
        Binding("space", "pause"),
        Binding("f,slash", "filter"),
        Binding("s", "save"),
        Binding("r", "restart"),
        Binding("z", "zoom"),
        Binding("right_square_bracket,right", "path(1)"),
        Binding("left_square_bracket,left", "path(-1)"),
        Binding("question_mark,h,f1", "help"),
        Binding("tab,shift+tab", "other_pane", priority=False),
        Binding("escape", "clear"),
    ]

    def __init__(self, feed: Feed, what: str) -> None:
        super().__init__(ansi_color=True)
        self._feed, self._what = feed, what
        self._picture = Picture()
        self._paused: Picture | None = None
        self._path = 0
        self._zoomed = False
        self._prompt: Prompt | None = None
        self._message: Line | None = None
        self._filter = ""
        self._finishing = False

    def compose(self) -> ComposeResult:
        """Yield the widgets, top to bottom."""
        yield Lines(id="state")
        yield Lines(id="counts")
        yield Lines(id="path-title")
        yield Scrolling(id="path")
        yield Lines(id="list-title")
        yield ExchangeList(id="list")
        yield Lines(id="keys")
        yield Input(id="prompt", compact=True)

    def on_mount(self) -> None:
        """Start to show what comes."""
        self.theme = "ansi-dark"
        self.query_one("#list").focus()
        self.set_interval(_REFRESH_S, self._refresh)
        self._refresh()

    def on_resize(self) -> None:
        """Lay everything out for the new size."""
        self.call_after_refresh(self._draw)

    def _refresh(self) -> None:
        if self._feed.has_ended and (self._finishing or not self._is_read):
            self.exit()
            return
        self._picture = self._feed.picture()
        if self.screen is self.screen_stack[0]:
            self._draw()

    @property
    def _is_read(self) -> bool:
        # Somebody is looking at something: it does not vanish under their eyes.
        own = self.screen_stack[0].query_one("#list", ExchangeList)
        return self._paused is not None or len(self.screen_stack) > 1 or not own.follows

    def _draw(self) -> None:
        root = self.screen_stack[0]
        width = root.size.width
        picture = self._paused or self._picture
        state, style = self._state()
        first = state_line(self._what, state, style, self._picture.elapsed_ns, width)
        now = self._picture
        counts = count_line(now.observations, now.events_rate, now.outcomes, now.lost, width)
        root.query_one("#state", Lines).show([first])
        root.query_one("#counts", Lines).show([counts])
        self._draw_path(picture, width)
        self._draw_list(picture, width)
        line = self._message or key_line(_KEYS, width)
        root.query_one("#keys", Lines).show([line])

    def _state(self) -> tuple[str, str]:
        if self._feed.has_ended:
            return "ENDED, q quits", "bold yellow"
        if self._finishing:
            return "ENDING", "bold yellow"
        if self._paused is not None:
            more = self._picture.total - self._paused.total
            return f"PAUSED, {count(more)} exchanges since", "bold reverse"
        return "LIVE", "bold green"

    def _draw_path(self, picture: Picture, width: int) -> None:
        root = self.screen_stack[0]
        pane, title = root.query_one("#path", Scrolling), root.query_one("#path-title", Lines)
        paths = picture.paths
        self._path = max(0, min(self._path, len(paths) - 1))
        if paths:
            path = paths[self._path]
            table = path_table(path, width)
            height = self._path_height(len(table.heads) + len(table.rows))
            pane.show(table.heads, table.rows)
            text = path_title(path, self._path + 1, len(paths))
        else:
            height = self._path_height(1)
            seen = self._picture.observations
            words = (
                f"joining {count(seen)} observations" if seen else "waiting for packets that match"
            )
            pane.show((), [Line(f"  {words} ...", "dim")])
            text = "path"
        pane.styles.height = height
        above, below = pane.hidden(height)
        aside = f"↑{above} ↓{below}" if above or below else ""
        since = f"since {clock_time(picture.since_ns)[:8]}"
        aside = f"{since}  {aside}".strip() if width >= 120 else aside
        title.show([title_line(text, width, is_focused=pane.has_focus, aside=aside)])

    def _path_height(self, wanted: int) -> int:
        root = self.screen_stack[0]
        free = max(4, root.size.height - 5)
        if self._zoomed:
            return free if root.query_one("#path").has_focus else 0
        return max(1, min(wanted, free * 11 // 20))

    def _draw_list(self, picture: Picture, width: int) -> None:
        root = self.screen_stack[0]
        pane = root.query_one("#list", ExchangeList)
        pane.show(picture.exchanges)
        chosen = f" matching {self._filter!r}" if self._filter else ""
        shown = count(len(picture.exchanges))
        text = f"exchanges: {shown}{chosen} of {count(picture.total)}"
        if picture.kept < picture.total:
            text += f", newest {count(picture.kept)} kept"
        aside = "" if pane.follows else "End: newest"
        line = title_line(text, width, is_focused=pane.has_focus, aside=aside)
        root.query_one("#list-title", Lines).show([line])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave all keys but those that leave to a question that is being asked."""
        if self._prompt is not None and action not in ("clear", "finish"):
            return False
        return super().check_action(action, parameters)

    def action_finish(self) -> None:
        """End following; the view closes once everything is counted."""
        self._finishing = True
        self._feed.stop()
        self._refresh()

    def action_pause(self) -> None:
        """Keep the screen as it is, or go on; counting never stops."""
        self._paused = None if self._paused is not None else self._feed.picture()
        self._refresh()

    def action_restart(self) -> None:
        """Count the paths anew."""
        self._feed.restart()
        self._say("the counts of the paths are reset")

    def action_path(self, steps: int) -> None:
        """Show another path."""
        self._path += steps
        self._draw()

    def action_zoom(self) -> None:
        """Give the focused pane the whole screen, or share it again."""
        self._zoomed = not self._zoomed
        self._draw()
        self.call_after_refresh(self._draw)

    def action_other_pane(self) -> None:
        """Put the keys to use in the other pane."""
        root = self.screen_stack[0]
        pane = root.query_one("#list" if root.query_one("#path").has_focus else "#path")
        pane.focus()
        self.call_after_refresh(self._draw)

    def action_help(self) -> None:
        """Show the keys and what the columns mean."""
        if not isinstance(self.screen, Help):
            self.push_screen(Help())

    def action_filter(self) -> None:
        """Ask for a filter."""
        self._ask(Prompt("filter", f"filter by {FILTER_HELP}"), self._filter)

    def action_save(self) -> None:
        """Ask where to save what the list shows."""
        now_ns = time.time_ns()
        stamp = f"{date(now_ns)}-{clock_time(now_ns)[:8]}".replace(":", "").replace("-", "", 2)
        self._ask(
            Prompt("save", f"save to a new file {', '.join(SUFFIXES)}"), f"tracer-{stamp}.txt"
        )

    def action_clear(self) -> None:
        """Leave the question, else drop the filter."""
        if self._prompt is not None:
            self._answered()
        elif self._filter:
            self._choose("")
        self._message = None
        self._draw()

    def on_exchange_list_opened(self) -> None:
        """Open the selected exchange."""
        own = self.screen_stack[0].query_one("#list", ExchangeList)
        if own.selected is not None:
            self.push_screen(Opened(own.selected, self._step))

    def _step(self, steps: int) -> Exchange | None:
        own = self.screen_stack[0].query_one("#list", ExchangeList)
        own.show((self._paused or self._feed.picture()).exchanges)
        own.select(steps)
        own.hold()
        return own.selected

    def _ask(self, prompt: Prompt, value: str) -> None:
        if self.screen is not self.screen_stack[0]:
            return
        self._prompt = prompt
        field = self.query_one("#prompt", Input)
        field.value, field.placeholder = value, prompt.label
        field.display = True
        self.screen.set_focus(field)  # at once: what is typed next is meant for it
        self._say(f"{prompt.label}  (Enter: done, Esc: leave)")

    def _answered(self) -> None:
        self._prompt = None
        field = self.query_one("#prompt", Input)
        field.display = False
        self.screen.set_focus(self.query_one("#list"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Filter or save."""
        prompt, text = self._prompt, event.value.strip()
        if prompt is not None and prompt.kind == "filter":
            if self._choose(text):
                self._answered()
        elif prompt is not None:
            self._answered()
            if text:
                self._say(f"saving to {text} ...")
                self._save(text)
        self._draw()

    def _choose(self, text: str) -> bool:
        try:
            self._feed.choose(text)
        except ValueError as error:
            self._say(f"{error}", "bold red")
            return False
        self._filter = text
        self._message = None
        if self._paused is not None:
            picture = self._feed.picture()
            self._paused = replace(self._paused, exchanges=picture.exchanges, total=picture.total)
        self._picture = self._feed.picture()
        return True

    @work(thread=True)
    def _save(self, name: str) -> None:
        picture = self._paused or self._feed.picture()
        try:
            saved = save(list(picture.exchanges), name)
        except (InputError, OSError) as error:
            self.call_from_thread(self._say, f"not saved: {error}", "bold red")
        else:
            self.call_from_thread(self._say, f"{count(saved)} exchanges saved to {name}", "green")

    def _say(self, text: str, style: str = "bold") -> None:
        self._message = Line(text[: max(self.size.width, 20)], style)
        self._draw()

    def on_key(self, event: events.Key) -> None:
        """Any key makes room for the keys' names again."""
        if self._prompt is None and self._message is not None:
            self._message = None
            self._draw()
