"""The segments of flows as an Arrow table: a row each flow, way and pair of points."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from tracer.core.journeys import NO_TIME
from tracer.core.protocols import protocol_name
from tracer.core.rows import stored_parts
from tracer.core.schema import BY_NAME, StructuredArray, null_of
from tracer.report import arrays
from tracer.report.columns import distinct_values, integers, stored_column, taken
from tracer.report.json_text import joined, json_objects, line_bytes
from tracer.report.roles import point_label
from tracer.report.statistics.flow_segments import FlowSegments

LINES = 1 << 15
WAYS = ("request", "reply")
SEGMENT_COLUMNS = {
    "flow": "number of the flow, null: of none",
    "proto": "protocol of the flow by name, or its number as text",
    "src": "source address of the flow, in the direction of its first packet, before NAT",
    "sport": "source port",
    "dst": "destination address",
    "dport": "destination port",
    "icmp_id": "echo identifier",
    "way": "in the direction of the flow's addresses, or back",
    "n": "place of the segment on the way, from 1",
    "from_point": "point it begins at: host/netns/device",
    "to_point": "point it ends at, null: beyond the last one that saw the packets",
    "packets": "packets that came to its end",
    "lost": "packets that were seen at its beginning, not at its end, and should have been",
    "loss": "the lost ones as a part of those that left",
    "missed": "packets seen no further because the capture at its end missed them (lost-by-tracer)",
    "resent": "packets that repeat TCP bytes lost here",
    "reordered": "packets overtaken here by one that left later (RFC 4737)",
    "p50_ns": "median time from its beginning to its end",
    "p90_ns": "90th percentile of it",
    "p99_ns": "99th percentile of it",
    "max_ns": "the longest",
    "error": "how far percentiles may be off, as a part of them; 0 where they are exact",
}


def segment_table(segments: FlowSegments, flows: StructuredArray) -> pa.Table:
    """Return `SEGMENT_COLUMNS` of the segments; `flows` are what they name by number."""
    found = segments.table()
    known = (found["flow"] >= 0) & (found["flow"] < len(flows))
    records = flows[np.where(known, found["flow"], 0)] if len(flows) else flows[:0]
    labels = [point_label(point) for point in segments.points]
    columns = {
        "flow": integers(found["flow"], -1, add=1),
        **_identity(records, known),
        "way": taken(WAYS, found["way"]),
        "n": integers(found["n"]),
        "from_point": taken(labels, found["from_point"]),
        "to_point": taken(labels, found["to_point"]),
        **{name: integers(found[name]) for name in ("packets", "lost")},
        "loss": arrays.of(found["lost"] / np.maximum(found["packets"] + found["lost"], 1)),
        **{name: integers(found[name]) for name in ("missed", "resent", "reordered")},
        **{name: integers(found[name], NO_TIME) for name in SEGMENT_COLUMNS if name[-3:] == "_ns"},
        "error": arrays.of(np.full(len(found), segments.error)),
    }
    return pa.table({name: columns[name] for name in SEGMENT_COLUMNS})


def segment_lines(table: pa.Table) -> Iterator[bytes]:
    """Yield the rows of a segment table as UTF-8 lines of JSON, many at a time."""
    for start in range(0, len(table), LINES):
        part = table.slice(start, LINES).combine_chunks()
        columns = {name: part.column(name).chunk(0) for name in part.column_names}
        yield line_bytes(joined(json_objects(columns), "\n"))


def _identity(records: StructuredArray, known: Any) -> dict[str, pa.Array]:
    # What tells the flow, null where there is none.
    if not len(records):
        texts, numbers = arrays.nulls(len(known), arrays.TEXT), arrays.nulls(len(known), pa.int64())
        return {"proto": texts, "src": texts, "dst": texts, "sport": numbers, "dport": numbers,
                "icmp_id": numbers}  # fmt: skip
    codes, distinct = distinct_values((records["proto"],))
    names = [protocol_name(number) for (number,) in distinct]
    found = {"proto": taken(names, np.where(known, codes, -1))}
    for name in ("src", "dst"):
        column = BY_NAME[name]
        null = np.uint64(null_of(column))
        parts = (np.where(known, records[part], null) for part in stored_parts(column))
        found[name] = stored_column(column, tuple(parts))
    for name in ("sport", "dport", "icmp_id"):
        found[name] = integers(np.where(known, records[name], -1), -1)
    return found
