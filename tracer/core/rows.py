"""Values of columns at chosen rows, whether stored for every packet or in a sparse section."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.schema import (
    BY_NAME,
    PACKET_COLUMNS,
    SECTIONS,
    Column,
    StructuredArray,
    null_of,
)

Rows = NDArray[np.int64]
_PACKET = frozenset(column.name for column in PACKET_COLUMNS)
_SECTION = {column.name: name for name, columns in SECTIONS.items() for column in columns}


def values_at(batch: ObservationBatch, name: str, rows: Rows) -> tuple[NDArray[Any], ...]:
    """Return a column's stored values at the rows, shape (rows,): (hi, lo) of an address, else one.

    A row of -1 gives null, as does a row without a record in the column's section.
    """
    column = BY_NAME[name]
    section = batch.packets if name in _PACKET else batch.sections[_SECTION[name]]
    places, found = _places(batch, column, rows)
    return tuple(
        _pick(section, part, places, found, null_of(column)) for part in stored_parts(column)
    )


def stored_parts(column: Column) -> tuple[str, ...]:
    """Return the names of the stored fields of a column: both halves of an address, else one."""
    name = column.name
    return (f"{name}_hi", f"{name}_lo") if column.kind == "ip" else (name,)


def has_record(batch: ObservationBatch, section: str, rows: Rows) -> NDArray[np.bool_]:
    """Return whether each row has a record in a section, shape (rows,)."""
    return _search(batch.sections[section]["row"], rows)[1]


def is_packet_column(name: str) -> bool:
    """Return whether a column is stored for every packet, not in a sparse section."""
    return name in _PACKET


def is_stored(batch: ObservationBatch, name: str) -> bool:
    """Return whether any row of the batch can have a value in a column."""
    return name in _PACKET or len(batch.sections[_SECTION[name]]) > 0


def nulls(column: Column, stored: tuple[NDArray[Any], ...]) -> NDArray[np.bool_]:
    """Return which of the values `values_at` gave are null, shape (rows,)."""
    missing: NDArray[np.bool_] = stored[0] == null_of(column)
    for part in stored[1:]:
        missing &= part == null_of(column)
    return missing


def _places(batch: ObservationBatch, column: Column, rows: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    if column.name in _PACKET:
        return rows, rows >= 0
    return _search(batch.sections[_SECTION[column.name]]["row"], rows)


def _search(keys: Rows, rows: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    if len(keys) == 0:
        return np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
    places = np.minimum(np.searchsorted(keys, rows), len(keys) - 1)
    return places, keys[places] == rows


def _pick(
    records: StructuredArray, name: str, places: Rows, found: NDArray[np.bool_], null: int
) -> NDArray[Any]:
    if found.all() and len(records):
        return records[name][places]
    values = np.full(len(places), null, records.dtype[name])
    values[found] = records[name][places[found]]
    return values
