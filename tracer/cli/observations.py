"""`tracer observations`: every decoded packet, a row each."""

import click

from tracer.cli import inputs
from tracer.cli.compiled import ready
from tracer.cli.options import Command, chosen_format, output_options
from tracer.cli.output import destination, write_lines, write_summary, write_table

FORMATS = ("csv", "jsonl", "parquet")


@click.command(cls=Command)
@inputs.captures_argument
@inputs.point_option
@output_options(*FORMATS)
def command(
    captures: tuple[str, ...],
    points: dict[str, str],
    format_: str | None,
    output: str | None,
    summary: str | None,
) -> None:
    """Write every packet of captures, decoded, a row each.

    `tracer schema observation` says what the columns are; what is not known is empty (null).

    \b
    Examples:
      tracer observations incident/ | head
      tracer observations qr.pcap --format jsonl
      tracer observations incident/ -o packets.parquet
      ssh compute03 tcpdump -i qr-1f6b0aa3-3d -w - | tracer observations - -o packets.csv
    """
    ready("decode")
    read = inputs.read_captures(captures, points)
    format_ = chosen_format(format_, output, FORMATS)
    with destination(output) as file:
        if format_ == "jsonl":
            from tracer.report.jsonl import observation_lines

            write_lines(observation_lines(read.batch), file)
        else:
            from tracer.report.tables import observation_tables

            write_table(observation_tables(read.batch), format_, file)
    from tracer.report.summary import observation_summary

    write_summary(observation_summary(read.batch, tuple(read.warnings)), summary)
