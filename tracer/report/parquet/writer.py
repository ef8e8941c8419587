"""Tables of one schema as one Parquet file, a row group each."""

import base64
from collections.abc import Collection, Iterable
from importlib.metadata import version
from typing import IO

import pyarrow as pa

from tracer.report.parquet.columns import BYTE_ARRAY, INT64, TYPES, Chunk, Columns
from tracer.report.parquet.thrift import HOLE64, I64, Hole, Struct, Template, Value, struct

_MAGIC = b"PAR1"
_VERSION, _OPTIONAL, _UTF8 = 2, 1, 0


def is_written(schema: pa.Schema) -> bool:
    """Return whether tables of a schema can be written here."""
    return all(field.type in TYPES for field in schema)


class Writer:
    """Writes tables to a file that need not be seekable; `close` writes what readers begin with."""

    def __init__(
        self, file: IO[bytes], schema: pa.Schema, deltas: Collection[str], limits: Collection[str]
    ) -> None:
        """`deltas`: columns most values of which differ. Of those in `limits` it is told how many
        nulls there are in a row group, and the least and the greatest value. Both: of int64."""
        self._file, self._schema = file, schema
        numbers = {field.name for field in schema if TYPES[field.type] == INT64}
        self._deltas, self._limits = numbers.intersection(deltas), numbers.intersection(limits)
        self._columns = Columns()
        self._templates: dict[tuple[str, int, int, tuple[int, ...]], Template] = {}
        self._at = self._rows = 0
        self._groups: list[Struct] = []
        self._write(_MAGIC)

    def write(self, table: pa.Table) -> None:
        """Write a table of the schema, as a row group; of no rows none is written.

        ValueError: its schema is another one.
        """
        if table.schema != self._schema:
            raise ValueError("a table's schema is not that of the file")
        if not table.num_rows:
            return
        told: list[Struct] = []
        pages: list[bytes] = []
        size = raw = 0
        for field, column in zip(self._schema, table.columns, strict=True):
            name, kind = field.name, TYPES[field.type]
            chunk = self._columns.chunk(
                column, kind, delta=name in self._deltas, limits=name in self._limits
            )
            told.append(self._told(chunk, name, kind, self._at + size))
            pages.append(chunk.pages)
            size += len(chunk.pages)
            raw += chunk.raw
        rows = I64(table.num_rows)
        group = struct([(1, told), (2, I64(raw)), (3, rows), (5, I64(self._at)), (6, I64(size))])
        self._groups.append(group)
        self._rows += rows
        self._write(b"".join(pages))

    def close(self) -> None:
        """Write the footer: the schema, and where each column of each row group lies."""
        elements = [_element(field) for field in self._schema]
        root = struct([(4, b"schema"), (5, len(elements))])
        # What Arrow's types are, beyond those of Parquet, as its readers look for it.
        arrow = base64.b64encode(self._schema.serialize().to_pybytes())
        by_type = struct([(1, struct([]))])  # how the least and the greatest are found
        footer = struct(
            [
                (1, _VERSION), (2, [root, *elements]), (3, I64(self._rows)), (4, self._groups),
                (5, [struct([(1, b"ARROW:schema"), (2, arrow)])]),
                (6, f"tracer version {version('tracer')}".encode()),
                (7, [by_type] * len(elements)),
            ]
        ).data  # fmt: skip
        self._write(footer + len(footer).to_bytes(4, "little") + _MAGIC)

    def _told(self, chunk: Chunk, name: str, kind: int, at: int) -> Struct:
        # What the footer says of a chunk that begins there.
        numbers = [at, chunk.values, chunk.raw, len(chunk.pages), at + chunk.data_at]
        numbers += [at] if chunk.data_at else []
        if name in self._limits:
            return _of_chunk(chunk, name, kind, _statistics(chunk)).filled(*numbers)
        key = name, kind, chunk.codec, chunk.encodings
        if key not in self._templates:
            self._templates[key] = _of_chunk(chunk, name, kind)
        return self._templates[key].filled(*numbers)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._at += len(data)


def _element(field: pa.Field) -> Struct:
    kind = TYPES[field.type]
    fields: list[tuple[int, Value]] = [(1, kind), (3, _OPTIONAL), (4, field.name.encode())]
    if kind == BYTE_ARRAY:
        fields += [(6, _UTF8), (10, struct([(1, struct([]))]))]  # LogicalType.STRING
    return struct(fields)


def _statistics(chunk: Chunk) -> Struct:
    fields: list[tuple[int, Value]] = [(3, I64(chunk.nulls))]
    if chunk.limits is not None:
        least, greatest = (each.to_bytes(8, "little", signed=True) for each in chunk.limits)
        fields += [(5, greatest), (6, least)]
    return struct(fields)


def _of_chunk(chunk: Chunk, name: str, kind: int, statistics: Struct | None = None) -> Template:
    fields: list[tuple[int, Value | Hole]] = [
        (1, kind), (2, list(chunk.encodings)), (3, [name.encode()]), (4, chunk.codec),
        (5, HOLE64), (6, HOLE64), (7, HOLE64), (9, HOLE64),
    ]  # fmt: skip
    fields += [(11, HOLE64)] if chunk.data_at else []
    fields += [(12, statistics)] if statistics is not None else []
    return Template([(2, HOLE64), (3, Template(fields))])


def write(
    tables: Iterable[pa.Table], file: IO[bytes], deltas: Collection[str], limits: Collection[str]
) -> None:
    """Write tables of one schema, for which `is_written` holds, as `Writer` does."""
    writer = None
    for table in tables:
        writer = writer or Writer(file, table.schema, deltas, limits)
        writer.write(table)
    if writer is not None:
        writer.close()
