"""Parsed packets to an observation batch: one array per column, filled at the end."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.core.point import Point
from tracer.core.schema import PACKET_DTYPE, SECTION_DTYPES, StructuredArray, null_record
from tracer.sources.tcpdump_text.parsed import Parsed

_SECTIONS: dict[str, Callable[[Parsed], dict[str, int]]] = {
    "tunnel": lambda parsed: parsed.tunnel,
    "arp": lambda parsed: parsed.arp,
    "quoted": lambda parsed: parsed.quoted,
}


def to_batch(
    packets: Sequence[Parsed], times: Sequence[int], points: Sequence[Point], capture: str
) -> ObservationBatch:
    """Return the batch of one file; `times` in ns and `points` are one a packet."""
    codes: dict[Point, int] = {}
    table = _fill([parsed.packet for parsed in packets], PACKET_DTYPE)
    table["time_ns"] = times
    table["point"] = [codes.setdefault(point, len(codes)) for point in points]
    table["capture"] = 0
    table["frame"] = np.arange(1, len(packets) + 1)
    batch = ObservationBatch(packets=table, points=tuple(codes), captures=(capture,))
    for name, section_of in _SECTIONS.items():
        rows = [row for row, parsed in enumerate(packets) if section_of(parsed)]
        section = _fill([section_of(packets[row]) for row in rows], SECTION_DTYPES[name])
        section["row"] = rows
        batch.sections[name] = section
    return batch


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
