"""`tracer report`: an incident report, as one HTML file or as tables."""

import hashlib
import json
import platform
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from tracer import __version__
from tracer.cli import inputs
from tracer.cli.offline import joined, selected
from tracer.cli.options import Command, Option, filter_options, flow_filter
from tracer.cli.output import destination, write_summary, write_table
from tracer.core.filter import FlowFilter
from tracer.core.journeys import JourneySet
from tracer.core.subset import subset

if TYPE_CHECKING:
    from tracer.report.document.origin import InputFile, Origin

FORMATS = ("html", "csv", "parquet", "json")
_PACKAGES = ("numpy", "pandas", "pyarrow", "numba")


@click.command(cls=Command)
@click.argument("captures", nargs=-1, type=click.Path(allow_dash=True), metavar="INPUT...")
@inputs.point_option
@inputs.conntrack_option
@click.option(
    "--before", cls=Option, section="Input", multiple=True, metavar="FOLDER",
    type=click.Path(exists=True),
    help="Captures of another situation, to compare with: what changed since.",
)  # fmt: skip
@filter_options
@click.option(
    "-o", "--output", cls=Option, section="Output", required=True, metavar="FILE",
    type=click.Path(dir_okay=False), help="FILE.html, .csv, .parquet (a row each hop) or .json.",
)  # fmt: skip
@click.option("--title", cls=Option, section="Output", metavar="TEXT", help="Title of the report.")
@click.option(
    "--summary", cls=Option, section="Output", type=click.Path(dir_okay=False), metavar="FILE",
    help="Write the summary (counts, clocks, losses, warnings) as JSON.",
)  # fmt: skip
def command(
    captures: tuple[str, ...],
    points: dict[str, str],
    conntrack: tuple[str, ...],
    before: tuple[str, ...],
    output: str,
    title: str | None,
    summary: str | None,
    **conditions: Any,
) -> None:
    """Write an incident report: what happened, where, and on what evidence.

    An INPUT is a capture, a folder of captures, or a recording that `tracer follow --write` made.
    The HTML file needs no network and no other file; figures are in the .json, hops in the tables.

    \b
    Examples:
      tracer report incident/ -o incident.html
      tracer report incident/ -o incident.html --before yesterday/ --title "Pings lost at 9:29"
      tracer report recording.parquet -o incident.html --host 100.122.0.145
      tracer report incident/ -o hops.parquet
    """
    format_ = _format(output)
    only = flow_filter(conditions)
    now = _chosen(joined(captures, points, conntrack), only)
    earlier = _chosen(joined(before, {}, ()), only) if before else None
    if format_ in ("csv", "parquet"):
        from tracer.report.tables import hop_tables

        with destination(output) as file:
            write_table(hop_tables(now), format_, file)
    else:
        files = (*captures, *points.values(), *conntrack)
        origin = _origin(now, files, earlier, before, only)
        _write_document(now, earlier, origin, title, format_, output)
    from tracer.report.summary import summary_of

    write_summary(summary_of(now), summary)


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


def _write_document(
    now: JourneySet, earlier: JourneySet | None, origin: "Origin", title: str | None,
    format_: str, output: str,
) -> None:  # fmt: skip
    if format_ == "json":
        from tracer.report.document.figures_json import figures_json

        text = json.dumps(figures_json(now, origin, title, earlier), ensure_ascii=False, indent=2)
        text += "\n"
    else:
        from tracer.report.document.page import render

        text = render(now, origin, title, earlier)
    with destination(output) as file:
        file.write(text.encode("utf-8", "replace"))


def _origin(
    now: JourneySet,
    files: Sequence[str],
    earlier: JourneySet | None,
    before: Sequence[str],
    only: FlowFilter,
) -> "Origin":
    from tracer.report.document.origin import Origin

    versions = {"tracer": __version__, "Python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in _PACKAGES}
    return Origin(
        command=shlex.join(["tracer", *sys.argv[1:]]),
        made_ns=time.time_ns(),
        versions=versions,
        inputs=tuple(_input_files(files, _packets(now))),
        before=tuple(_input_files(before, _packets(earlier))) if earlier else (),
        filter_words=_filter_words(only),
    )


def _filter_words(only: FlowFilter) -> str:
    found = {name: value for name, value in asdict(only).items() if value not in (None, ())}
    values = {
        name: " or ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for name, value in found.items()
    }
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def _packets(journey_set: JourneySet | None) -> Mapping[str, int]:
    if journey_set is None:
        return {}
    batch = journey_set.observations
    codes = batch.packets["capture"]
    counts = np.bincount(codes[codes >= 0], minlength=len(batch.captures))
    return dict(zip(batch.captures, counts.tolist(), strict=True))


def _input_files(names: Sequence[str], packets: Mapping[str, int]) -> "list[InputFile]":
    from tracer.report.document.origin import InputFile

    found = []
    for name in names:
        path = Path(name)
        files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else (
            [path] if path.is_file() else []
        )  # fmt: skip
        for file in files:
            shown = str(file.relative_to(path.parent)) if path.is_dir() else str(file)
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            kind = file.suffix.lstrip(".") or "text"
            found.append(
                InputFile(shown, file.stat().st_size, digest, kind, packets.get(file.name))
            )
        if not files:
            found.append(InputFile(name, None, None, "stream", packets.get(name)))
    return found
