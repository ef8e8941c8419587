"""The live view of `tracer follow` on a terminal; imported only when there is one."""

import dataclasses
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from tracer.core.protocols import protocol_name

if TYPE_CHECKING:
    from tracer.api.live_loop import Following
    from tracer.api.stop import Stop
    from tracer.core.batch import ObservationBatch
    from tracer.core.filter import FlowFilter
    from tracer.report.running import RunningSummary
    from tracer.sources.live.session import Session


def is_wanted(plain: bool, format_: str, output: str | None, *takes_lines: object) -> bool:
    """Return whether to show the live view rather than lines.

    It is for text on a terminal that can move its cursor, with nothing redirected (keys come from
    there), and not with what `takes_lines`: a command that uses the terminal, a count to wait for.
    Says so in a sentence where only textual is missing.
    """
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if plain or (format_, output) != ("text", None) or any(takes_lines):
        return False
    if os.environ.get("TERM", "dumb") == "dumb" or not all(
        each is not None and each.isatty() for each in streams
    ):
        return False
    if importlib.util.find_spec("textual") is None:
        missing = "lines instead of the live view, as textual is missing; pip install textual"
        click.echo(f"tracer: {missing}", err=True)
        return False
    return True


def run(
    following: "Following",
    stop: "Stop",
    keep: "Callable[[ObservationBatch], None]",
    session: "Session",
    conditions: "FlowFilter | None",
) -> "RunningSummary":
    """Show the live view until it is quit or following has ended, and return the counts.

    Conditions that are None are not to be shown.
    """
    from tracer.cli.compiled import ready

    ready("correlate")
    from tracer.cli.view.feed import Feed

    feed = Feed(following, stop, keep, session)
    feed.start()  # before the screen: what it takes to load must not cost events
    try:
        from tracer.cli.view.app import View

        words = "what a filter chose (redacted)" if conditions is None else _words(conditions)
        View(feed, words).run(mouse=False)
    finally:
        tally = feed.end()
    _leave_paths(feed)
    return tally


def _words(conditions: "FlowFilter") -> str:
    words = []
    for name, value in dataclasses.asdict(conditions).items():
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        for each in values:
            shown = protocol_name(each) or each if name == "proto" else each
            words.append(f"--{name.replace('_', '-')} {shown}")
    return " ".join(words) or "everything"


def _leave_paths(feed: Any) -> None:
    # What was on the screen is gone with it; the paths are left behind.
    from tracer.cli.output import is_coloured, terminal_width, write_text
    from tracer.report.line import Line
    from tracer.report.live.path_lines import path_table, path_title

    paths = feed.picture().paths
    for number, path in enumerate(paths[:3], 1):
        table = path_table(path, terminal_width(None))
        lines = [Line(path_title(path, number, len(paths)), "bold"), *table.heads, *table.rows]
        write_text([*lines, Line()], sys.stdout.buffer, coloured=is_coloured(None))
    sys.stdout.flush()
