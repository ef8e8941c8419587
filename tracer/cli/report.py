"""`tracer report`: an incident report, as one HTML file or as tables."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from tracer.api.conditions import words_of
from tracer.api.joining import rules_of
from tracer.api.origin import origin_of, redacted
from tracer.cli import inputs
from tracer.cli.offline import joined, selected
from tracer.cli.options import Command, Option, filter_options, flow_filter
from tracer.cli.output import destination, write_summary, write_table
from tracer.cli.redaction import redaction_options, redactor_of
from tracer.core.errors import InputError
from tracer.core.filter import FlowFilter
from tracer.core.journeys import JourneySet
from tracer.core.subset import subset

if TYPE_CHECKING:
    from tracer.report.document.origin import Origin

FORMATS = ("html", "csv", "parquet", "json")


@click.command(cls=Command)
@click.argument(
    "captures", nargs=-1, type=click.Path(allow_dash=True, readable=False), metavar="INPUT..."
)
@inputs.point_option
@inputs.conntrack_option
@inputs.rules_option
@click.option(
    "--before", cls=Option, section="Input", multiple=True, metavar="FOLDER",
    type=click.Path(readable=False), callback=inputs.present,
    help="Captures of an earlier situation to compare with.",
)  # fmt: skip
@filter_options
@click.option(
    "-o", "--output", cls=Option, section="Output", required=True, metavar="FILE",
    type=click.Path(readable=False),
    help="FILE.html; .csv or .parquet (one row per hop); or .json.",
)  # fmt: skip
@click.option("--title", cls=Option, section="Output", metavar="TEXT", help="Title of the report.")
@click.option(
    "--summary", cls=Option, section="Output", type=click.Path(readable=False), metavar="FILE",
    help="Write the summary (counts, clocks, losses, warnings) as JSON.",
)  # fmt: skip
@redaction_options
def command(
    captures: tuple[str, ...],
    points: dict[str, str],
    conntrack: tuple[str, ...],
    rules: tuple[str, ...],
    before: tuple[str, ...],
    output: str,
    title: str | None,
    summary: str | None,
    redact: bool,
    redact_key: str | None,
    **conditions: Any,
) -> None:
    """Write an incident report: what happened, where, and on what evidence.

    An INPUT is a capture, a folder of captures, a recording made by `tracer follow --write`, or
    journeys written earlier (`tracer offline -o FILE.jsonl` or `FILE.parquet`). The HTML file needs
    no network and no other file. The .json holds the figures, the tables hold the hops.

    \b
    Examples:
      tracer report incident/ -o incident.html
      tracer report incident/ -o incident.html --before yesterday/ --title "Lost pings"
      tracer report recording.parquet -o incident.html --host 100.122.0.145
      tracer report incident/ -o incident.html --redact-key redact.key
      tracer report incident/ -o hops.parquet
    """
    format_ = _format(output)
    redactor = redactor_of(redact, redact_key)
    only = flow_filter(conditions)
    now = _chosen(_journeys(captures, points, conntrack, rules), only)
    earlier = _chosen(_journeys(before, {}, (), ()), only) if before else None
    origin = None
    if format_ in ("html", "json"):
        files = (*captures, *points.values(), *conntrack, *rules)
        origin = origin_of(
            shlex.join(["tracer", *sys.argv[1:]]),
            (now, files),
            None if earlier is None else (earlier, before),
            words_of(only),
        )
    if redactor is not None:
        now = redactor.journey_set(now)
        earlier = None if earlier is None else redactor.journey_set(earlier)
        origin = None if origin is None else redacted(origin, redactor)
    _write(now, earlier, origin, title, format_, output)
    from tracer.report.summary import summary_of

    write_summary(summary_of(now), summary)


def _journeys(
    captures: Sequence[str], points: Mapping[str, str], conntrack: Sequence[str],
    rules: Sequence[str],
) -> JourneySet:  # fmt: skip
    from tracer.sources.journeys import is_journeys, read_journeys

    written = [name for name in captures if Path(name).is_file() and is_journeys(Path(name))]
    if not written:
        return joined(captures, points, conntrack, rules)
    if len(captures) > 1 or points or conntrack:
        raise InputError(
            f"{written[0]} holds journeys that are joined already, so nothing can be added.",
            "Report on it alone, or on the captures it was made from.",
        )
    journey_set = read_journeys(Path(written[0]))
    nat_rules, damage = rules_of((), rules)
    journey_set.nat_rules = tuple(nat_rules)
    journey_set.warnings = (*journey_set.warnings, *damage)
    return journey_set


def _format(output: str) -> str:
    suffix = output.rpartition(".")[2].lower()
    suffix = {"htm": "html"}.get(suffix, suffix)
    if suffix not in FORMATS:
        names = ", ".join(f".{name}" for name in FORMATS)
        raise click.BadParameter(f"{output!r} ends in none of {names}.", param_hint="'-o'")
    return suffix


def _chosen(journey_set: JourneySet, only: FlowFilter) -> JourneySet:
    if only.is_empty:
        return journey_set
    numbers = selected(journey_set, only, None)
    rows = journey_set.hops["row"][np.isin(journey_set.hops["journey"], numbers)]
    found = subset(journey_set, numbers)
    found.lost = journey_set.lost
    kept = set(rows.tolist()) if journey_set.flow_paths else set()
    place = {row: at for at, row in enumerate(sorted(kept))}
    found.flow_paths = tuple(
        replace(path, hops=tuple(
            replace(hop, rows=tuple(place.get(row, -1) for row in hop.rows)) for hop in path.hops
        ))
        for path in journey_set.flow_paths
        if any(row in kept for hop in path.hops for row in hop.rows)
    )  # fmt: skip
    return found


def _write(
    now: JourneySet, earlier: JourneySet | None, origin: "Origin | None", title: str | None,
    format_: str, output: str,
) -> None:  # fmt: skip
    if origin is None:
        from tracer.report.tables import hop_tables

        with destination(output) as file:
            write_table(hop_tables(now), format_, file)
        return
    if format_ == "json":
        from tracer.report.document.figures_json import figures_json

        text = json.dumps(figures_json(now, origin, title, earlier), ensure_ascii=False, indent=2)
        text += "\n"
    else:
        from tracer.report.document.page import render

        text = render(now, origin, title, earlier)
    with destination(output) as file:
        file.write(text.encode("utf-8", "replace"))
