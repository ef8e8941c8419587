"""`tracer offline`: journeys from captures."""

from collections.abc import Mapping, Sequence
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from tracer.cli import inputs, windows
from tracer.cli.ahead import ahead, load_ahead
from tracer.cli.compiled import ready, settled
from tracer.cli.numbers import Whole
from tracer.cli.options import (
    FORMATS,
    Command,
    Option,
    chosen_format,
    filter_options,
    flow_filter,
    output_options,
)
from tracer.cli.output import (
    destination,
    is_coloured,
    terminal_width,
    write_lines,
    write_summary,
    write_table,
    write_text,
)
from tracer.cli.redaction import redaction_options, redactor_of
from tracer.cli.segments import SegmentsFile, checked
from tracer.core.exchanges import first_exchanges
from tracer.core.filter import FlowFilter
from tracer.core.journeys import JourneySet
from tracer.process_memory import keep

_FORMATS = (*FORMATS, "pcapng")
# What writes a format, and takes a while to load.
_WRITERS = {
    "jsonl": "tracer.report.jsonl",
    "csv": "tracer.report.tables",
    "parquet": "tracer.report.tables",
}


@click.command(cls=Command)
@inputs.captures_argument
@inputs.point_option
@inputs.conntrack_option
@inputs.rules_option
@filter_options
@click.option(
    "--count", cls=Option, section="Output", type=Whole(1), metavar="N",
    help="Show only the first N exchanges (a packet and its replies).",
)  # fmt: skip
@click.option(
    "--explain-joins", "explain", cls=Option, section="Output", type=Whole(1),
    metavar="JOURNEY", help="Show only that journey, and why each of its hops was joined.",
)  # fmt: skip
@click.option(
    "--segments", cls=Option, section="Output", type=click.Path(readable=False), metavar="FILE",
    callback=checked,
    help="Write each flow's losses, retransmissions, reordering and delays from one point to the "
         "next: FILE.csv, .parquet or .jsonl.",
)  # fmt: skip
@output_options(*_FORMATS)
@redaction_options
def command(
    captures: tuple[str, ...],
    points: dict[str, str],
    conntrack: tuple[str, ...],
    rules: tuple[str, ...],
    count: int | None,
    explain: int | None,
    segments: str | None,
    format_: str | None,
    output: str | None,
    summary: str | None,
    redact: bool,
    redact_key: str | None,
    **conditions: Any,
) -> None:
    """Show the journeys of the packets in captures.

    A CAPTURE is a pcap or pcapng file (also .gz, .xz, .zst), text that tcpdump printed, - for
    standard input, or a folder of these; points.toml in the folder says where each was taken.

    Captures that add up to 400 MB or more are joined in windows of time, in bounded memory.
    Exchanges are then written as they end, with the same numbers, but captures that share no packet
    give no flow paths, and an answer or retransmission more than four seconds late (less where
    packets come faster than 30,000 a second) may not be recognised as one. Captures that say they
    dropped packets are read twice; so are, when writing to a file, captures in which packets go on
    from a point only after others had ended there. --explain-joins and pcapng output hold all
    packets in memory instead.

    \b
    Examples:
      tracer offline incident/
      tracer offline incident/ --icmp-id 22344
      tracer offline incident/ --host 100.122.0.145 --proto tcp --count 3
      tracer offline qr.pcap --point compute03/eth0=nic.pcap --conntrack table.txt
      tracer offline incident/ -o hops.parquet --summary summary.json
      tracer offline incident/ -o hops.parquet --segments segments.csv
      tracer offline incident/ --explain-joins 17
      tracer offline incident/ -o journeys.pcapng
      tracer offline incident/ --redact-key redact.key -o hops.csv
    """
    keep()
    redactor = redactor_of(redact, redact_key)
    format_ = chosen_format(format_, output, _FORMATS)
    if explain is not None and format_ != "text":
        raise click.UsageError(f"--explain-joins writes text, not {format_}")
    in_parts = explain is None and format_ != "pcapng"
    if in_parts and windows.is_large(captures, points):
        ready("decode", "correlate", "windows")
        found = windows.Windows(captures, points, redactor, segments)
        _in_windows(found, captures, conntrack, rules, flow_filter(conditions), count, format_,
                    output, summary)  # fmt: skip
        return
    journey_set = joined(captures, points, conntrack, rules, _WRITERS.get(format_))
    chosen = selected(journey_set, flow_filter(conditions), count)
    if redactor is not None:
        journey_set = redactor.journey_set(journey_set)
    if explain is not None:
        chosen = np.array([explain - journey_set.first_journey])
        _explain(journey_set, explain, chosen, output)
    elif format_ == "pcapng":
        from tracer.cli.packets import write_packets
        from tracer.sources.originals import Originals

        originals = Originals(captures, points=points) if redactor is None else None
        write_packets(journey_set, chosen, output, originals)
    else:
        write(journey_set, chosen, format_, output)
    table = SegmentsFile(segments)
    table.add(journey_set, chosen)
    table.write()
    from tracer.report.summary import summary_of

    write_summary(summary_of(journey_set, len(chosen)), summary)


def _explain(
    journey_set: JourneySet, journey: int, one: NDArray[np.int64], output: str | None
) -> None:
    from tracer.cli.explained import explained
    from tracer.report.line import Line
    from tracer.report.text import journey_text

    reasons = [Line(text) for text in explained(journey_set, journey)]
    with destination(output) as file:
        lines = [*journey_text(journey_set, terminal_width(output), one), *reasons]
        write_text(lines, file, coloured=is_coloured(output))


def _in_windows(
    found: windows.Windows, captures: Sequence[str], conntrack: Sequence[str],
    rules: Sequence[str], conditions: FlowFilter, count: int | None, format_: str,
    output: str | None, summary: str | None,
) -> None:  # fmt: skip
    from tracer.api.joining import conntrack_of, rules_of

    load_ahead("tracer.correlate.windows.stream")  # while the decoder's compiled code is loaded
    entries, damage = conntrack_of(captures, conntrack)
    found.nat_rules, more = rules_of(captures, rules)
    found.begin()
    settled()
    windows.write_parts(found.parts(entries, conditions, count), format_, output)
    if found.judged_early and found.is_repeatable and windows.is_file(output):
        found = found.again()
        windows.write_parts(found.parts(entries, conditions, count), format_, output)
    found.segments.write()
    write_summary(found.summary([*damage, *more]), summary)


def joined(
    captures: Sequence[str],
    points: Mapping[str, str],
    conntrack: Sequence[str],
    rules: Sequence[str] = (),
    needed_next: str | None = None,
) -> JourneySet:
    """Return the journeys of everything the captures hold; a module may be loaded meanwhile."""
    from tracer.api.joining import conntrack_of, rules_of
    from tracer.api.joining import joined as joined_of

    ready("decode", "correlate")
    entries, damage = conntrack_of(captures, conntrack)
    nat_rules, more = rules_of(captures, rules)
    read = inputs.read_captures(captures, points)
    settled()
    if needed_next is not None:
        load_ahead(needed_next)
    return joined_of(read, entries, nat_rules, (*damage, *more))


def selected(
    journey_set: JourneySet, conditions: FlowFilter, count: int | None
) -> NDArray[np.int64]:
    """Return the journeys that pass the filter, of the first `count` exchanges, ascending."""
    from tracer.correlate.select import select

    return first_exchanges(journey_set, select(journey_set, conditions), count)[0]


def write(
    journey_set: JourneySet, chosen: NDArray[np.int64], format_: str, output: str | None
) -> None:
    """Write the chosen journeys in a format to a file or standard output."""
    with destination(output) as file:
        if format_ == "text":
            from tracer.report.text import text_of

            lines = text_of(journey_set, terminal_width(output), chosen)
            write_text(lines, file, coloured=is_coloured(output))
        elif format_ == "jsonl":
            from tracer.report.jsonl import journey_lines

            write_lines(journey_lines(journey_set, chosen), file)
        else:
            from tracer.report.tables import hop_tables

            write_table(ahead(hop_tables(journey_set, chosen)), format_, file)
