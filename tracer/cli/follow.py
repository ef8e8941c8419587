"""`tracer follow`: journeys live from the kernel."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from tracer.api.keeping import WRITERS, Keeping, copied
from tracer.api.stop import Stop
from tracer.cli.numbers import Decimal, Whole
from tracer.cli.options import (
    FORMATS,
    Command,
    Option,
    chosen_format,
    filter_options,
    flow_filter,
    output_options,
)
from tracer.cli.redaction import redaction_options, redactor_of
from tracer.core.errors import InputError

if TYPE_CHECKING:
    from tracer.api.live_loop import Following
    from tracer.core.journeys import JourneySet
    from tracer.sources.live.engine import Attached, Engine
    from tracer.sources.live.session import Session

_STOPPING, _KERNEL = "When to stop", "Kernel"


def writable(_: click.Context, parameter: click.Parameter, file: str | None) -> str | None:
    """Return the file when there is a writer for its suffix; bad usage otherwise."""
    if file is not None and Path(file).suffix not in WRITERS:
        known = " or ".join(WRITERS)
        raise click.BadParameter(f"{file!r} does not end in {known}.", param=parameter)
    return file


@click.command(cls=Command)
@filter_options
@click.option(
    "--count", cls=Option, section=_STOPPING, type=Whole(1), metavar="N",
    help="Stop after N exchanges (a packet and its replies).",
)  # fmt: skip
@click.option(
    "--duration", cls=Option, section=_STOPPING, type=Decimal(0, min_open=True),
    metavar="S", help="Stop after S seconds.",
)  # fmt: skip
@click.option(
    "--settle", cls=Option, section=_STOPPING, type=Decimal(0.01), default=1.0,
    show_default=True, metavar="S",
    help="Show an unanswered packet after S seconds in which nothing new was seen of it.",
)  # fmt: skip
@click.option(
    "--engine", cls=Option, section=_KERNEL, type=click.Choice(["auto", "core", "bcc"]),
    default="auto", show_default=True, help="core: precompiled object; bcc: compiled on this host.",
)  # fmt: skip
@click.option(
    "--ring-size", cls=Option, section=_KERNEL, type=Whole(1, 1024), default=16,
    show_default=True, metavar="MIB", help="Size of the buffer between kernel and tracer.",
)  # fmt: skip
@click.option(
    "--map-size", cls=Option, section=_KERNEL, type=Whole(16, 1 << 24), default=1 << 16,
    show_default=True, metavar="N", help="How many flows and packets in flight can be followed.",
)  # fmt: skip
@click.option(
    "--snap", cls=Option, section=_KERNEL, type=Whole(0, 1500), default=0, metavar="N",
    help="Copy the first N bytes of each packet, payload included, for --write FILE.pcapng.",
)  # fmt: skip
@click.option(
    "--ready-file", cls=Option, section="Output", type=click.Path(readable=False), metavar="FILE",
    help="Create FILE once everything is attached, for scripts to wait for.",
)  # fmt: skip
@click.option(
    "--write", cls=Option, section="Output", type=click.Path(readable=False), metavar="FILE",
    callback=writable,
    help="Keep every observation in FILE.parquet or FILE.pcapng (headers, without payload) for"
    " `tracer offline` and `tracer report`.",
)  # fmt: skip
@click.option(
    "--plain", cls=Option, section="Output", is_flag=True,
    help="Print lines instead of the live view (--count and COMMAND always print lines).",
)  # fmt: skip
@output_options(*FORMATS)
@redaction_options
@click.argument("command_line", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
def command(
    command_line: tuple[str, ...],
    format_: str | None,
    output: str | None,
    summary: str | None,
    write: str | None,
    ready_file: str | None,
    plain: bool,
    redact: bool,
    redact_key: str | None,
    **options: Any,
) -> int:
    """Show the journeys of packets while they travel, through NAT and back.

    Filter for the packet as you know it: its translations and replies are followed inside the
    kernel. COMMAND runs once everything is attached, and following ends after it. On a terminal, a
    live view shows paths and exchanges (press ? for its keys); otherwise, lines are printed.

    \b
    Examples:
      sudo tracer follow --icmp-id 22344
      sudo tracer follow --host 100.122.0.145 --proto tcp --dport 443 --duration 60
      sudo tracer follow --proto icmp --count 1 -- ping -c 1 100.121.0.75
      sudo tracer follow --host 192.168.3.69 --format jsonl --write incident.parquet
    """
    kind = chosen_format(format_, output, FORMATS)
    stopping = [options.pop(name) for name in ("count", "duration", "settle")]
    redactor = redactor_of(redact, redact_key)
    engine, conditions = _loaded(options, write)
    with engine, Stop() as stop:
        attached = engine.attach()
        _ready(engine, attached, ready_file)
        # Only now: numpy and what compiles take longer to import than the kernel needs to load.
        from tracer.api.live_loop import Following, Limits
        from tracer.cli import view
        from tracer.sources.live.session import Session

        with Session(engine) as session:
            session.attach()
            following = Following(session, conditions, Limits(*stopping), redactor)
            if command_line:
                following.start(command_line)
            try:
                with Keeping(write, session, redactor) as keep:
                    if view.is_wanted(plain, kind, output, stopping[0], command_line):
                        shown = None if redactor else conditions
                        tally = view.run(following, stop, keep, session, shown)
                    else:
                        tally = _write(following.journeys(stop, keep), kind, output)
            finally:
                following.close()
            _finish(tally, session, following, attached, summary)
    return following.exit_status or 0


def _loaded(options: dict[str, Any], write: str | None) -> "tuple[Engine, Any]":
    from tracer.sources.live.engine import Config, open_engine

    name, ring, maps, snap = (options.pop(k) for k in ("engine", "ring_size", "map_size", "snap"))
    conditions = flow_filter(options)
    config = Config(conditions, ring_bytes=ring << 20, followed=maps, tracked=maps, snap=snap)
    return open_engine(name, copied(config, write)), conditions


def _ready(engine: "Engine", attached: "Attached", ready_file: str | None) -> None:
    from tracer.sources.live.engine import namespaces

    nat = {
        "netfilter": "NAT seen at netfilter hooks",
        "kprobe": "NAT seen by kprobe",
        "conntrack": "NAT from conntrack tuples",
    }[attached.nat]
    stats = engine.stats()
    if stats.unwatched:
        nat += f", but not in {namespaces(stats.unwatched)}"
    click.echo(f"tracer: ready ({engine.name} engine, {nat}); Ctrl-C ends", err=True)
    if stats.unwatched_text:
        click.echo(f"tracer: {stats.unwatched_text}", err=True)
    if ready_file:
        try:
            Path(ready_file).touch()
        except OSError as error:
            raise InputError(
                f"{ready_file} cannot be made: {error.strerror}.", "Name another --ready-file."
            ) from error


def _write(found: "Iterator[JourneySet]", format_: str, output: str | None) -> Any:
    from tracer.cli.compiled import ready
    from tracer.cli.output import destination, write_table

    ready("correlate")
    from tracer.report.running import RunningSummary

    tally = RunningSummary()
    with destination(output) as file:
        if format_ in ("csv", "parquet"):
            from tracer.report.tables import hop_tables

            tables = (table for part in tally.counted(found) for table in hop_tables(part))
            write_table(tables, format_, file)
        else:
            for part in tally.counted(found):
                _write_part(part, format_, output, file)
                file.flush()
    return tally


def _write_part(part: "JourneySet", format_: str, output: str | None, file: IO[bytes]) -> None:
    from tracer.cli.output import is_coloured, terminal_width, write_lines, write_text

    if format_ == "jsonl":
        from tracer.report.jsonl import journey_lines

        write_lines(journey_lines(part), file)
        return
    from tracer.report.text import journey_text

    lines = journey_text(part, terminal_width(output))
    write_text(lines, file, coloured=is_coloured(output))


def _finish(
    tally: Any, session: "Session", following: "Following", attached: "Attached", file: str | None
) -> None:
    from tracer.api.live_loop import live_summary
    from tracer.cli.output import write_summary

    value = live_summary(tally, following.observations, session.stats(), attached)
    sys.stdout.flush()
    write_summary(value, file)
