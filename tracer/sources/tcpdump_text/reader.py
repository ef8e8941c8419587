"""One file of tcpdump text to one batch."""

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Decode
from tracer.core.errors import unreadable
from tracer.core.point import Direction, Point
from tracer.core.printable import sound
from tracer.core.warnings import InputWarning
from tracer.sources.tcpdump_text.columns import BatchBuilder
from tracer.sources.tcpdump_text.frames import parse_frame
from tracer.sources.tcpdump_text.parsed import DAMAGE, Parsed
from tracer.sources.tcpdump_text.records import Record, Transcript, records
from tracer.sources.tcpdump_text.sequence import Segment, resolve_sequences
from tracer.sources.tcpdump_text.stamps import WARNINGS, decode_stamps

CHUNK = 1 << 14  # packets that are objects at a time
LINE_LIMIT = 1 << 16  # longer lines are split: memory stays bounded on a file without newlines
_ABSOLUTE = re.compile(r"(?:^|\s)-[a-zA-Z#]*S|absolute-tcp-sequence")

Source = Path | str | bytes | BinaryIO | list[str] | tuple[str, ...]


def read_text(
    source: Source,
    *,
    point: Point | None = None,
    capture: str | None = None,
    device_hint: str | None = None,
) -> tuple[ObservationBatch, list[InputWarning]]:
    """Return the packets of one tcpdump text and what was wrong with it.

    `source` is a path, bytes, a binary stream or lines. What `point` (from points.toml) leaves open
    comes from the line itself (`-i any`), then from the transcript: `listening on DEV`, the
    prompt's host, `ip netns exec NS`; a device still unknown is `device_hint`. Raises InputError
    when the file cannot be opened.
    """
    name = capture or (str(source) if isinstance(source, (str, Path)) else "-")
    transcript = Transcript()
    reading = _Reading(point, device_hint)
    found = records(_lines(source), transcript)
    while chunk := list(islice(found, CHUNK)):
        reading.add(chunk)
    times, about_times = reading.times(name)
    batch = reading.builder.finish(times, reading.segments_absolute(), name)
    return batch, [*about_times, *reading.damage_warnings(name), *_around(name, transcript)]


@dataclass(frozen=True, slots=True)
class _Run:
    """What is kept of one tcpdump run in the text."""

    options: str
    from_start: bool
    offset: int
    stamps: list[str | None] = field(default_factory=list)
    gaps: list[bool] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)


class _Reading:
    """One text being read, a chunk of records at a time."""

    def __init__(self, point: Point | None, hint: str | None) -> None:
        self.builder = BatchBuilder()
        self._point, self._hint = point or Point(), hint
        self._runs: dict[int, _Run] = {}
        self._damage: Counter[str] = Counter()
        self._first: dict[str, int] = {}

    def add(self, chunk: Sequence[Record]) -> None:
        packets = [_parse(record) for record in chunk]
        for row, (record, parsed) in enumerate(zip(chunk, packets, strict=True)):
            self._note(self.builder.rows + row, record, parsed)
        pairs = zip(chunk, packets, strict=True)
        self.builder.add(packets, [_place(r, p, self._point, self._hint) for r, p in pairs])

    def _note(self, row: int, record: Record, parsed: Parsed) -> None:
        run = self._runs.get(record.section)
        if run is None:
            run = _Run(record.options, record.from_start, record.offset)
            self._runs[record.section] = run
        run.stamps.append(record.stamp)
        run.gaps.append(record.gap)
        segment = Segment.of(row, parsed)
        if segment is not None:
            run.segments.append(segment)
        for kind in parsed.damage:
            self._damage[kind] += 1
            self._first.setdefault(kind, record.offset)

    def times(self, name: str) -> tuple[list[int], list[InputWarning]]:
        values: list[int] = []
        kinds: Counter[str] = Counter()
        first: dict[str, int] = {}
        for run in self._runs.values():
            times, counts = decode_stamps(run.stamps, run.gaps, run.options)
            values += times
            kinds.update(counts)
            first |= {kind: run.offset for kind in counts if kind not in first}
        return values, [InputWarning(k, WARNINGS[k], name, first[k], n) for k, n in kinds.items()]

    def segments_absolute(self) -> list[Segment]:
        # tcpdump's table of conversations is one a run, and so is -S.
        for run in self._runs.values():
            absolute = True if _ABSOLUTE.search(run.options) else None
            unknown = resolve_sequences(run.segments, absolute, run.from_start)
            if unknown:
                self._damage["relative-sequence"] += unknown
                self._first.setdefault("relative-sequence", run.offset)
        return [segment for run in self._runs.values() for segment in run.segments]

    def damage_warnings(self, name: str) -> list[InputWarning]:
        found = self._damage.items()
        return [InputWarning(k, DAMAGE[k], name, self._first[k], n) for k, n in found]


def _lines(source: Source) -> Iterator[str]:
    if isinstance(source, (Path, str)):
        try:
            with Path(source).open("rb") as stream:
                yield from _decoded(stream)
        except OSError as error:
            raise unreadable(source, error) from error
    elif isinstance(source, bytes):
        yield from _decoded(io.BytesIO(source))
    elif isinstance(source, (list, tuple)):
        yield from source
    else:
        yield from _decoded(source)


def _decoded(stream: BinaryIO) -> Iterator[str]:
    while line := stream.readline(LINE_LIMIT):
        yield line.decode("utf-8", "surrogateescape")


def _parse(record: Record) -> Parsed:
    parsed = Parsed()
    try:
        parse_frame("\n".join(record.lines), parsed)
    except (ValueError, OverflowError):
        parsed.damage.add("unparsed-line")
        parsed.packet["decode"] = int(Decode.MALFORMED)
    return parsed


def _place(record: Record, parsed: Parsed, base: Point, hint: str | None) -> Point:
    said = None if record.device == "any" else record.device
    direction = base.direction if parsed.direction is Direction.UNKNOWN else parsed.direction
    device = parsed.device or base.device or said or hint or record.device
    names = (base.host or record.host, base.netns or record.netns, device)
    host, netns, device = (None if name is None else sound(name) for name in names)
    return replace(base, host=host, netns=netns, device=device, direction=direction)


def _around(name: str, transcript: Transcript) -> list[InputWarning]:
    warnings = []
    if transcript.ignored:
        message = "lines that are not tcpdump output were passed over"
        offset = transcript.ignored_offset
        warnings.append(InputWarning("ignored-line", message, name, offset, transcript.ignored))
    if transcript.dropped:
        message = "packets the capturing kernel dropped are missing from this capture"
        warnings.append(InputWarning("capture-dropped", message, name, None, transcript.dropped))
    return warnings
