"""One file of tcpdump text to one batch."""

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Decode
from tracer.core.errors import InputError
from tracer.core.point import Direction, Point
from tracer.core.warnings import InputWarning
from tracer.sources.tcpdump_text.columns import to_batch
from tracer.sources.tcpdump_text.frames import parse_frame
from tracer.sources.tcpdump_text.parsed import DAMAGE, Parsed
from tracer.sources.tcpdump_text.records import Record, Transcript, records
from tracer.sources.tcpdump_text.sequence import resolve_sequences
from tracer.sources.tcpdump_text.stamps import WARNINGS, decode_stamps

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
    found = list(records(_lines(source), transcript))
    packets = [_parse(record) for record in found]
    damage = [damage for parsed in packets for damage in parsed.damage]
    times, kinds = _times(found)
    damage += ["relative-sequence"] * _sequences(found, packets)
    points = [_point(r, p, point, device_hint) for r, p in zip(found, packets, strict=True)]
    warnings = _warnings(name, found, packets, Counter(damage), kinds)
    return to_batch(packets, times, points, name), warnings + _around(name, transcript)


def _lines(source: Source) -> Iterator[str]:
    if isinstance(source, (Path, str)):
        try:
            with Path(source).open("rb") as stream:
                yield from _decoded(stream)
        except OSError as error:
            raise InputError(f"{source} cannot be read: {error.strerror}.") from error
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


def _times(found: Sequence[Record]) -> tuple[list[int], dict[str, int]]:
    times: list[int] = []
    kinds: Counter[str] = Counter()
    for _, group in groupby(found, key=lambda record: record.section):
        part = list(group)
        stamps = [record.stamp for record in part]
        values, counts = decode_stamps(stamps, [r.gap for r in part], part[0].options)
        times += values
        kinds.update(counts)
    return times, dict(kinds)


# tcpdump's table of conversations is one a run, and so is -S.
def _sequences(found: Sequence[Record], packets: Sequence[Parsed]) -> int:
    unknown = 0
    both = zip(found, packets, strict=True)
    for _, group in groupby(both, key=lambda pair: pair[0].section):
        part = list(group)
        absolute = True if _ABSOLUTE.search(part[0][0].options) else None
        unknown += len(
            resolve_sequences([p.inner or p for _, p in part], absolute, part[0][0].from_start)
        )
    for parsed in packets:
        if parsed.inner and "tcp_seq" in parsed.inner.packet:
            parsed.quoted["inner_tcp_seq"] = parsed.inner.packet["tcp_seq"]
    return unknown


def _point(record: Record, parsed: Parsed, given: Point | None, hint: str | None) -> Point:
    base = given or Point()
    said = None if record.device == "any" else record.device
    direction = base.direction if parsed.direction is Direction.UNKNOWN else parsed.direction
    return replace(
        base,
        host=base.host or record.host,
        netns=base.netns or record.netns,
        device=parsed.device or base.device or said or hint or record.device,
        direction=direction,
    )


def _warnings(
    name: str,
    found: Sequence[Record],
    packets: Sequence[Parsed],
    damage: Counter[str],
    kinds: dict[str, int],
) -> list[InputWarning]:
    first: dict[str, int] = {}
    for record, parsed in zip(found, packets, strict=True):
        for kind in parsed.damage:
            first.setdefault(kind, record.offset)
    start = found[0].offset if found else None
    warnings = [InputWarning(k, WARNINGS[k], name, start, n) for k, n in kinds.items()]
    warnings += [InputWarning(k, DAMAGE[k], name, first.get(k), n) for k, n in damage.items()]
    return warnings


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
