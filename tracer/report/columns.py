"""Columns of observations and hops as Arrow arrays of public values.

Addresses, MACs and words are formatted once per distinct value and then taken by index.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Label
from tracer.core.observation import PLACE_FIELDS
from tracer.core.point import Point
from tracer.core.rows import Rows, is_packet_column, is_stored, nulls, stored_parts, values_at
from tracer.core.schema import BY_NAME, Column
from tracer.core.spread import Spread
from tracer.report.column_texts import column_texts

_TEXT_KINDS = ("ip", "mac", "digest", "enum")


def observation_columns(
    batch: ObservationBatch, names: Iterable[str], rows: Rows
) -> dict[str, pa.Array]:
    """Return public columns at the given rows, by name: int64, bool, or dictionary-encoded text."""
    packets = Spread(batch.packets, rows)
    return {name: _column(batch, name, rows, packets.of) for name in names}


def observation_column(batch: ObservationBatch, name: str, rows: Rows) -> pa.Array:
    """Return one public column at the given rows, as `observation_columns` does."""
    return _column(batch, name, rows, lambda field: batch.packets[field][rows])


def _column(
    batch: ObservationBatch, name: str, rows: Rows, packets: Callable[[str], NDArray[Any]]
) -> pa.Array:
    if name in PLACE_FIELDS:
        return point_column(batch.points, packets("point"), place_value(name))
    if name == "capture":
        return taken(batch.captures, packets("capture"))
    column = BY_NAME[name]
    if is_packet_column(name):
        return stored_column(column, tuple(packets(part) for part in stored_parts(column)))
    if not is_stored(batch, name):
        return _unknown(column, len(rows))
    return stored_column(column, values_at(batch, name, rows))


def _unknown(column: Column, count: int) -> pa.Array:
    if column.kind in _TEXT_KINDS:
        return pa.nulls(count, pa.dictionary(pa.int32(), pa.string()))
    return pa.nulls(count, pa.bool_() if column.kind == "bool" else pa.int64())


def stored_column(column: Column, stored: tuple[NDArray[Any], ...]) -> pa.Array:
    """Return stored values (as `core.rows.values_at` gives them) as public values."""
    if column.kind in _TEXT_KINDS:
        return _distinct(column, stored)
    missing = nulls(column, stored)
    if column.kind == "bool":
        return pa.array(stored[0] > 0, mask=missing)
    return _numbers(stored[0].astype(np.int64, copy=False), missing)


def _numbers(values: NDArray[np.int64], missing: NDArray[np.bool_] | None) -> pa.Array:
    # Without a mask Arrow takes the memory as it is.
    if missing is None or not missing.any():
        return pa.array(values)
    return pa.nulls(len(values), pa.int64()) if missing.all() else pa.array(values, mask=missing)


def integers(values: NDArray[Any], null: int | None = None, add: int = 0) -> pa.Array:
    """Return an int64 array of values + `add`, null where a value equals `null`."""
    mask = None if null is None else values == null
    return _numbers(values.astype(np.int64) + add, mask)


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
    distinct = list(dict.fromkeys(text for text in texts if text is not None))
    place = {text: index for index, text in enumerate(distinct)}
    lookup = np.array([*(-1 if text is None else place[text] for text in texts), -1], np.int32)
    return _by_index(lookup[codes], pa.array(distinct, pa.string()))


def _by_index(indices: NDArray[np.int32], texts: pa.Array) -> pa.Array:
    missing = indices < 0
    mask = missing if missing.any() else None
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=mask), texts)


def _distinct(column: Column, stored: tuple[NDArray[Any], ...]) -> pa.Array:
    codes, parts = distinct_parts(stored)
    missing = nulls(column, parts)
    texts = column_texts(column, parts)
    indices = np.where(missing, -1, np.arange(len(missing))).astype(np.int32)[codes]
    if not missing.any():
        return _by_index(indices, texts)
    # Nulls are no texts: those after one move up.
    kept = np.append(np.cumsum(~missing) - 1, -1).astype(np.int32)
    return _by_index(kept[indices], texts.filter(pa.array(~missing)))


def distinct_values(
    stored: tuple[NDArray[Any], ...],
) -> tuple[NDArray[np.int64], list[tuple[int, ...]]]:
    """Return (code of each row, the distinct values), found by hashing, not by sorting."""
    codes, parts = distinct_parts(stored)
    return codes, list(zip(*(part.tolist() for part in parts), strict=True))


def distinct_parts(
    stored: tuple[NDArray[Any], ...],
) -> tuple[NDArray[np.int64], tuple[NDArray[Any], ...]]:
    """Return (code of each row, the distinct values' columns), as `distinct_values` does."""
    codes, first = _encoded(stored[0])
    parts: tuple[NDArray[Any], ...] = (first,)
    for part in stored[1:]:
        further, values = _encoded(part)
        if len(parts[0]) == 1:  # as the upper half of addresses mostly is
            codes, parts = further, (*(p.repeat(len(values)) for p in parts), values)
            continue
        pairs, kept = _encoded(codes * max(len(values), 1) + further)
        parts = (*(p[kept // len(values)] for p in parts), values[kept % len(values)])
        codes = pairs
    return codes, parts


def _encoded(part: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    if len(part) and part[0] == part[-1] and (part == part[0]).all():  # as most halves are
        return np.zeros(len(part), np.int64), part[:1]
    encoded = pc.dictionary_encode(pa.array(part))
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_numpy()
