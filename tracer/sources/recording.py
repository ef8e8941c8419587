"""Observations kept in a Parquet file: what `follow --write` leaves for `offline` and `report`.

One column a field of the record and of every section in use, as stored (`core.schema`); the
footer says the version, the points, the captures, the labels and what the tracer lost.
"""

import dataclasses
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tracer.core.batch import ObservationBatch, concat
from tracer.core.errors import InputError
from tracer.core.point import Direction, Point
from tracer.core.schema import PACKET_DTYPE, SECTION_DTYPES, StructuredArray, null_record
from tracer.core.warnings import InputWarning

VERSION = 1
_KEY = b"tracer"
MAGIC = b"PAR1"


class RecordingWriter:
    """Writes batches to a recording as they come; the file is complete once closed.

    `lost` is what the tracer itself lost and `watched_ns` until when it watched (UTC); set them
    before closing. Raises InputError where the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.lost: dict[str, int] = {}
        self.watched_ns: int | None = None
        self._points: dict[Point, int] = {}
        self._captures: dict[str, int] = {}
        self._labels: dict[str, dict[int, str]] = {}
        try:
            self._writer = pq.ParquetWriter(path, _arrow_schema(), compression="zstd")
        except OSError as error:
            raise InputError(
                f"{path} cannot be written: {error.strerror}.", "Name another file with --write."
            ) from error

    def write(self, batch: ObservationBatch) -> None:
        """Append a batch; its points and captures are coded anew over the whole file."""
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
        self._writer.write_table(pa.table(columns, schema=_arrow_schema()))

    def close(self) -> None:
        """Write the footer; nothing can be written after it."""
        footer = {
            "version": VERSION,
            "points": [dataclasses.asdict(point) for point in self._points],
            "captures": list(self._captures),
            "labels": self._labels,
            "lost": self.lost,
            "watched_ns": self.watched_ns,
        }
        self._writer.add_key_value_metadata({_KEY: json.dumps(footer).encode()})
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
    """A recording read back: its observations, what the tracer lost then, and what is wrong now."""

    batch: ObservationBatch
    lost: dict[str, int]
    warnings: tuple[InputWarning, ...] = ()


def read_recording(path: Path) -> Recording:
    """Return what a recording holds; raises InputError when it is none or newer than this."""
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"{path} is not a complete recording: {error}.",
            "Record it again with `tracer follow --write`.",
        ) from error
    raw = (file.schema_arrow.metadata or {}).get(_KEY) or (file.metadata.metadata or {}).get(_KEY)
    if raw is None:
        raise InputError(
            f"{path} is Parquet, but no recording of observations.",
            "Give the file that `tracer follow --write` made.",
        )
    footer = json.loads(raw)
    if footer["version"] > VERSION:
        raise InputError(
            f"{path} was written by a newer tracer (recording version {footer['version']}).",
            "Update tracer to read it.",
        )
    points = tuple(_point(values) for values in footer["points"])
    captures = tuple(footer["captures"])
    labels = {
        column: {int(number): word for number, word in words.items()}
        for column, words in footer["labels"].items()
    }
    parts = [_batch(file.read_row_group(n)) for n in range(file.num_row_groups)]
    for part in parts:
        part.points, part.captures = points, captures
    batch = concat(parts) if parts else ObservationBatch(points=points, captures=captures)
    batch.labels, batch.watched_ns = labels, footer.get("watched_ns")
    return Recording(batch, footer["lost"])


def _arrow_schema() -> Any:
    fields = [(name, _arrow_type(PACKET_DTYPE[name])) for name in PACKET_DTYPE.names or ()]
    for section, dtype in SECTION_DTYPES.items():
        fields.append((f"has_{section}", pa.bool_()))
        fields += [(f"{section}.{n}", _arrow_type(dtype[n])) for n in (dtype.names or ())[1:]]
    return pa.schema(fields)


def _arrow_type(dtype: np.dtype[Any]) -> Any:
    return pa.from_numpy_dtype(dtype)


def _point(values: dict[str, Any]) -> Point:
    return Point(**{**values, "direction": Direction(values["direction"])})


def _batch(table: Any) -> ObservationBatch:
    packets = _records(table, PACKET_DTYPE, "", np.arange(table.num_rows))
    sections = {}
    for section, dtype in SECTION_DTYPES.items():
        rows = np.flatnonzero(table.column(f"has_{section}").to_numpy())
        sections[section] = _records(table, dtype, f"{section}.", rows)
        sections[section]["row"] = rows
    return ObservationBatch(packets, sections)


def _records(
    table: Any, dtype: np.dtype[Any], prefix: str, rows: StructuredArray
) -> StructuredArray:
    records = np.repeat(null_record(dtype), len(rows))
    for name in dtype.names or ():
        # A column that an older version did not have stays null.
        if prefix + name in table.column_names:
            records[name] = table.column(prefix + name).to_numpy()[rows]
    return records
