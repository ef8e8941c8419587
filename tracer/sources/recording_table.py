"""Observations as Arrow tables, as recordings keep them: one column a stored field.

A table holds PACKET_DTYPE and every section, spread over all rows with a `has_` column that says
which rows have a record there. Points, captures and labels are coded once for a whole recording.
"""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa

from tracer.core.batch import ObservationBatch
from tracer.core.point import Direction, Point
from tracer.core.schema import PACKET_DTYPE, SECTION_DTYPES, StructuredArray, null_record


class Codes:
    """Points, captures and labels of all batches of a recording."""

    def __init__(self) -> None:
        self._points: dict[Point, int] = {}
        self._captures: dict[str, int] = {}
        self._labels: dict[str, dict[int, str]] = {}

    def table(self, batch: ObservationBatch) -> Any:
        """Return a batch as an Arrow table (`arrow_schema`), its points and captures coded anew."""
        codes = [self._points.setdefault(point, len(self._points)) for point in batch.points]
        files = [self._captures.setdefault(name, len(self._captures)) for name in batch.captures]
        for column, words in batch.labels.items():
            self._labels.setdefault(column, {}).update(words)
        columns = {name: batch.packets[name] for name in PACKET_DTYPE.names or ()}
        columns["point"] = np.array([*codes, -1], np.int32)[batch.packets["point"]]
        columns["capture"] = np.array([*files, -1], np.int32)[batch.packets["capture"]]
        for section, dtype in SECTION_DTYPES.items():
            present = np.zeros(len(batch), bool)
            present[batch.rows_with(section)] = True
            columns[f"has_{section}"] = present
            for name in (dtype.names or ())[1:]:
                columns[f"{section}.{name}"] = batch.column(name)
        return pa.table(columns, schema=arrow_schema())

    def footer(self) -> dict[str, Any]:
        """Return them as JSON values."""
        return {
            "points": [dataclasses.asdict(point) for point in self._points],
            "captures": list(self._captures),
            "labels": self._labels,
        }


def arrow_schema() -> Any:
    """Return the Arrow schema of the tables."""
    fields = [(name, _arrow_type(PACKET_DTYPE[name])) for name in PACKET_DTYPE.names or ()]
    for section, dtype in SECTION_DTYPES.items():
        fields.append((f"has_{section}", pa.bool_()))
        fields += [(f"{section}.{n}", _arrow_type(dtype[n])) for n in (dtype.names or ())[1:]]
    return pa.schema(fields)


def batch_of(table: Any, footer: dict[str, Any]) -> ObservationBatch:
    """Return the batch a table holds, with the points, captures and labels of the footer.

    A column that an older version did not have stays null. Raises ValueError or the like for a
    table or footer that is damaged.
    """
    packets = _records(table, PACKET_DTYPE, "", np.arange(table.num_rows))
    for name in ("point", "capture"):
        codes, known = packets[name], len(footer[f"{name}s"])
        if len(codes) and not -1 <= codes.min() <= codes.max() < known:
            raise ValueError(f"a packet's {name} is none of the {known} there are")
    sections = {}
    for section, dtype in SECTION_DTYPES.items():
        rows = np.flatnonzero(table.column(f"has_{section}").to_numpy())
        sections[section] = _records(table, dtype, f"{section}.", rows)
        sections[section]["row"] = rows
    points = tuple(_point(values) for values in footer["points"])
    labels = {
        column: {int(number): word for number, word in words.items()}
        for column, words in footer["labels"].items()
    }
    return ObservationBatch(packets, sections, points, tuple(footer["captures"]), labels)


def _arrow_type(dtype: np.dtype[Any]) -> Any:
    return pa.from_numpy_dtype(dtype)


def _point(values: dict[str, Any]) -> Point:
    return Point(**{**values, "direction": Direction(values["direction"])})


def _records(
    table: Any, dtype: np.dtype[Any], prefix: str, rows: StructuredArray
) -> StructuredArray:
    records = np.repeat(null_record(dtype), len(rows))
    for name in dtype.names or ():
        if prefix + name in table.column_names:
            records[name] = table.column(prefix + name).to_numpy()[rows]
    return records
