"""`tracer observations`: every decoded packet, one row each."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

import click

from tracer.cli import inputs
from tracer.cli.compiled import ready
from tracer.cli.options import Command, chosen_format, output_options
from tracer.cli.output import destination, write_lines, write_summary, write_table
from tracer.cli.progress import Progress
from tracer.cli.redaction import redaction_options, redactor_of
from tracer.report.summary import ObservationCounts

if TYPE_CHECKING:
    from tracer.core.batch import ObservationBatch

FORMATS = ("csv", "jsonl", "parquet")


@click.command(cls=Command)
@inputs.captures_argument
@inputs.point_option
@output_options(*FORMATS)
@redaction_options
def command(
    captures: tuple[str, ...],
    points: dict[str, str],
    format_: str | None,
    output: str | None,
    summary: str | None,
    redact: bool,
    redact_key: str | None,
) -> None:
    """Write every packet of the captures, decoded, one row each.

    `tracer schema observation` describes the columns. Unknown values are empty (null).

    \b
    Examples:
      tracer observations incident/ | head
      tracer observations qr.pcap --format jsonl
      tracer observations incident/ -o packets.parquet
      ssh compute03 tcpdump -i qr-1f6b0aa3-3d -w - | tracer observations - -o packets.csv
    """
    format_ = chosen_format(format_, output, FORMATS)
    redactor = redactor_of(redact, redact_key)
    ready("decode")
    counts = ObservationCounts()
    with Progress() as progress:
        reading = inputs.reading_of(captures, points, progress)
        batches = _started(counts.counted(reading.batches()))
        if redactor is not None:
            batches = map(redactor.batch, batches)
        _write(batches, format_, output)
    warnings = reading.warnings if redactor is None else redactor.warnings(reading.warnings)
    write_summary(counts.summary(warnings), summary)


def _started(batches: Iterator["ObservationBatch"]) -> Iterator["ObservationBatch"]:
    """The same batches, the first one read now: before a file is overwritten for nothing."""
    first = next(batches, None)
    return batches if first is None else chain((first,), batches)


def _write(batches: Iterable["ObservationBatch"], format_: str, output: str | None) -> None:
    with destination(output) as file:
        if format_ == "jsonl":
            from tracer.report.jsonl import observation_lines

            write_lines((part for batch in batches for part in observation_lines(batch)), file)
        else:
            from tracer.report.tables import observation_tables

            tables = (table for batch in batches for table in observation_tables(batch))
            write_table(tables, format_, file)
