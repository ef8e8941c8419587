"""Columns of observations and hops as Arrow arrays of public values.

Addresses, MACs and words are formatted once per distinct value and then taken by index.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.distinct import distinct
from tracer.core.enums import Label
from tracer.core.observation import PLACE_FIELDS
from tracer.core.point import Point
from tracer.core.rows import Rows, is_packet_column, is_stored, nulls, stored_parts, values_at
from tracer.core.schema import BY_NAME, PACKET_DTYPE, Column, null_of
from tracer.core.spread import Layout, Spread
from tracer.report import arrays
from tracer.report.column_texts import column_texts

_TEXT_KINDS = ("ip", "mac", "digest", "enum")
_ALL_BITS = (1 << 64) - 1


def _null_of_field(field: str) -> int:
    column = BY_NAME.get(field) or BY_NAME[field.removesuffix("_hi").removesuffix("_lo")]
    return null_of(column)


_PACKET = Layout(PACKET_DTYPE, _null_of_field)


def observation_columns(
    batch: ObservationBatch, names: Sequence[str], rows: Rows
) -> dict[str, pa.Array]:
    """Return public columns at the given rows, by name: int64, bool, or dictionary-encoded text."""
    fields = dict.fromkeys(field for name in names for field in _fields(name))
    packets = Spread(_PACKET, batch.packets, rows, fields)
    return {name: _column(batch, name, rows, packets) for name in names}


def observation_column(batch: ObservationBatch, name: str, rows: Rows) -> pa.Array:
    """Return one public column at the given rows, as `observation_columns` does."""
    return observation_columns(batch, (name,), rows)[name]


def _fields(name: str) -> tuple[str, ...]:
    # The fields of a packet's record that a public column is made of.
    if name in PLACE_FIELDS:
        return ("point",)
    if name == "capture":
        return ("capture",)
    return stored_parts(BY_NAME[name]) if is_packet_column(name) else ()


def _column(batch: ObservationBatch, name: str, rows: Rows, packets: Spread) -> pa.Array:
    if name in PLACE_FIELDS:
        return point_column(batch.points, packets.of("point"), place_value(name))
    if name == "capture":
        return taken(batch.captures, packets.of("capture"))
    column = BY_NAME[name]
    if is_packet_column(name):
        if column.kind == "int":
            return arrays.numbers(packets.of(name), packets.valid(name), packets.missing(name))
        return stored_column(column, tuple(packets.of(part) for part in stored_parts(column)))
    if not is_stored(batch, name):
        return arrays.nulls(len(rows), _type_of(column))
    return stored_column(column, values_at(batch, name, rows))


def _type_of(column: Column) -> pa.DataType:
    if column.kind in _TEXT_KINDS:
        return arrays.TEXT
    return pa.bool_() if column.kind == "bool" else pa.int64()


def stored_column(column: Column, stored: tuple[NDArray[Any], ...]) -> pa.Array:
    """Return stored values (as `core.rows.values_at` gives them) as public values."""
    if column.kind in _TEXT_KINDS:
        return _distinct(column, stored)
    missing = nulls(column, stored)
    if column.kind == "bool":
        return arrays.of(stored[0] > 0, missing)
    return arrays.of(stored[0].astype(np.int64, copy=False), missing)


def integers(values: NDArray[Any], null: int | None = None, add: int = 0) -> pa.Array:
    """Return an int64 array of values + `add`, null where a value equals `null`."""
    missing = None if null is None else values == null
    return arrays.of(values.astype(np.int64) + add, missing)


def labels(words: type[Label], values: NDArray[Any]) -> pa.Array:
    """Return enum numbers as their words, null where a number is not one of the enum's members."""
    texts = _words(words)
    return taken(texts, np.where((values < 0) | (values >= len(texts)), -1, values))


@cache
def _words(words: type[Label]) -> tuple[str | None, ...]:
    known = {int(word): word.label for word in words}
    return tuple(known.get(number) for number in range(max(known) + 1))


def point_column(
    points: Sequence[Point], codes: NDArray[Any], value: Callable[[Point], str | None]
) -> pa.Array:
    """Return a text of each row's point, null where the point is not known (-1)."""
    return taken([value(point) for point in points], codes)


def place_value(name: str) -> Callable[[Point], str | None]:
    """Return the function that reads a place column (`host` … `clock`) from a point."""
    if name == "direction":
        return lambda point: point.direction.label
    if name == "clock":
        return lambda point: point.clock_name
    return lambda point: getattr(point, name)


def taken(texts: Sequence[str | None], codes: NDArray[Any]) -> pa.Array:
    """Return texts by index as a dictionary-encoded array; a code of -1 or a None text is null."""
    known = list(dict.fromkeys(text for text in texts if text is not None))
    place = {text: index for index, text in enumerate(known)}
    lookup = np.array([*(-1 if text is None else place[text] for text in texts), -1], np.int32)
    indices = lookup.take(codes)
    missing = indices < 0 if len(codes) and indices.min() < 0 else None
    return pa.DictionaryArray.from_arrays(
        arrays.of(indices, missing), arrays.texts(known), safe=False
    )


def _distinct(column: Column, stored: tuple[NDArray[Any], ...]) -> pa.Array:
    words = [_words_of(part) for part in stored]
    null = null_of(column) & _ALL_BITS
    codes, firsts, valid, missing = distinct(words[0], words[-1], null)
    texts = column_texts(column, tuple(part[firsts] for part in stored))
    return arrays.encoded(codes, valid, missing, texts)


def _words_of(part: NDArray[Any]) -> NDArray[np.uint64]:
    # Numbers as eight bytes each, with their sign.
    wide = part if part.dtype.itemsize == 8 else part.astype(np.int64)
    return np.ascontiguousarray(wide).view(np.uint64)


def distinct_values(
    stored: tuple[NDArray[Any], ...],
) -> tuple[NDArray[np.int64], list[tuple[int, ...]]]:
    """Return (code of each row, the distinct values), found by hashing, not by sorting."""
    codes = np.zeros(len(stored[0]), np.int32)
    for part in stored:
        codes, firsts, *_ = distinct(_words_of(codes), _words_of(part), _ALL_BITS)
    values = (part[firsts].tolist() for part in stored)
    return codes.astype(np.int64), list(zip(*values, strict=True))
