"""Parsed packets to an observation batch, some thousands at a time so that few stay objects."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.core.point import Point
from tracer.core.schema import PACKET_DTYPE, SECTION_DTYPES, StructuredArray, null_record
from tracer.sources.tcpdump_text.parsed import Parsed
from tracer.sources.tcpdump_text.sequence import Segment

_SECTIONS: dict[str, Callable[[Parsed], dict[str, int]]] = {
    "tunnel": lambda parsed: parsed.tunnel,
    "arp": lambda parsed: parsed.arp,
    "quoted": lambda parsed: parsed.quoted,
}


class BatchBuilder:
    """Gathers one file's packets, in order, as columns."""

    def __init__(self) -> None:
        self.rows = 0
        self._tables: list[StructuredArray] = []
        self._sections: dict[str, list[StructuredArray]] = {name: [] for name in _SECTIONS}
        self._points: dict[Point, int] = {}

    def add(self, packets: Sequence[Parsed], points: Sequence[Point]) -> None:
        """Append packets, each with the point it was seen at."""
        table = _fill([parsed.packet for parsed in packets], PACKET_DTYPE)
        codes = self._points
        table["point"] = [codes.setdefault(point, len(codes)) for point in points]
        table["frame"] = np.arange(self.rows + 1, self.rows + len(packets) + 1)
        self._tables.append(table)
        for name, section_of in _SECTIONS.items():
            rows = [row for row, parsed in enumerate(packets) if section_of(parsed)]
            section = _fill([section_of(packets[row]) for row in rows], SECTION_DTYPES[name])
            section["row"] = np.array(rows, np.int64) + self.rows
            self._sections[name].append(section)
        self.rows += len(packets)

    def finish(
        self, times: Sequence[int], segments: Sequence[Segment], capture: str
    ) -> ObservationBatch:
        """Return the batch; `times` in ns are one a packet, `segments` have their final numbers."""
        packets = np.concatenate([np.empty(0, PACKET_DTYPE), *self._tables])
        packets["time_ns"] = times
        packets["capture"] = 0
        sections = {name: np.empty(0, dtype) for name, dtype in SECTION_DTYPES.items()}
        for name, parts in self._sections.items():
            sections[name] = np.concatenate([sections[name], *parts])
        _number(packets, sections["quoted"], segments)
        return ObservationBatch(packets, sections, tuple(self._points), (capture,))


def _number(packets: StructuredArray, quoted: StructuredArray, segments: Sequence[Segment]) -> None:
    own = [segment for segment in segments if not segment.is_quoted]
    rows = [segment.row for segment in own]
    for name in ("tcp_seq", "tcp_ack"):
        values = [getattr(segment, name) for segment in own]
        packets[name][rows] = [-1 if value is None else value for value in values]
    for segment in segments:
        if segment.is_quoted:
            at = np.searchsorted(quoted["row"], segment.row)
            quoted["inner_tcp_seq"][at] = -1 if segment.tcp_seq is None else segment.tcp_seq


def _fill(records: Sequence[dict[str, int]], dtype: np.dtype[Any]) -> StructuredArray:
    table = np.repeat(null_record(dtype), len(records))
    columns: dict[str, tuple[list[int], list[int]]] = {}
    for row, record in enumerate(records):
        for name, value in record.items():
            rows, values = columns.setdefault(name, ([], []))
            rows.append(row)
            values.append(value)
    for name, (rows, values) in columns.items():
        table[name][rows] = np.array(values, dtype[name])
    return table
