"""Stored columns to pandas arrays: nullable integers, categories, UTC times."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tracer.api.columns import CATEGORY, DELTA, FLAG, TEXT, TIME, FrameColumn
from tracer.core.rows import Rows, nulls
from tracer.core.schema import Column
from tracer.report.columns import stored_column

NAT = np.iinfo(np.int64).min  # NaT of numpy's times
CHUNK_ROWS = 1 << 17
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), "S2").view(np.uint8)


def integers(values: NDArray[Any], dtype: str, missing: NDArray[np.bool_] | None = None) -> Any:
    """Return integers of a nullable dtype (`Int8` … `Int64`), `<NA>` where `missing`."""
    mask = np.zeros(len(values), np.bool_) if missing is None else missing
    return pd.arrays.IntegerArray(values.astype(dtype.lower(), copy=True), mask)


def flags(values: NDArray[Any], missing: NDArray[np.bool_]) -> Any:
    """Return nullable truth values."""
    return pd.arrays.BooleanArray(values > 0, missing)


def times(values_ns: NDArray[np.int64]) -> Any:
    """Return UTC times of nanoseconds since the epoch, `NaT` for -1."""
    stamps = np.where(values_ns == -1, NAT, values_ns).view("M8[ns]")
    return pd.DatetimeIndex(stamps).tz_localize("UTC")


def deltas(values_ns: NDArray[np.int64]) -> Any:
    """Return durations of nanoseconds, `NaT` for `core.journeys.NO_TIME`."""
    return pd.TimedeltaIndex(values_ns.astype(np.int64).view("m8[ns]"))


def quantile_deltas(values_ns: NDArray[np.float64]) -> Any:
    """Return durations of nanoseconds, `NaT` for nan."""
    known = ~np.isnan(values_ns)
    whole = np.full(len(values_ns), NAT)
    whole[known] = values_ns[known].astype(np.int64)
    return deltas(whole)


def categories(column: pa.Array) -> Any:
    """Return Arrow's dictionary-encoded text as categories, in the dictionary's order."""
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return pd.Categorical.from_codes(codes, column.dictionary.to_pandas())


def texts(column: pa.Array | pa.ChunkedArray) -> Any:
    """Return text, None where null."""
    return column.to_pandas()


def stored(column: Column, values: tuple[NDArray[Any], ...], dtype: str) -> Any:
    """Return stored values (as `core.rows.values_at` gives them) as a DataFrame's column."""
    if dtype == CATEGORY:
        return categories(stored_column(column, values))
    missing = nulls(column, values)
    if dtype == TEXT:
        return texts(_hexadecimal(values[0], missing))
    return flags(values[0], missing) if dtype == FLAG else integers(values[0], dtype, missing)


def absent(dtype: str, count: int) -> Any:
    """Return a column of nothing but nulls."""
    if dtype == CATEGORY:
        return pd.Categorical.from_codes(np.full(count, -1, np.int8), pd.Index([], dtype="str"))
    if dtype == TEXT:
        return texts(pa.nulls(count, pa.large_string()))
    nothing = np.ones(count, np.bool_)
    zeros = np.zeros(count, np.int64)
    return flags(zeros, nothing) if dtype == FLAG else integers(zeros, dtype, nothing)


def chunked_text(make: Callable[[Rows], pa.Array], rows: Rows) -> Any:
    """Return text made from the rows a part at a time, so that Arrow's offsets suffice."""
    parts = [make(part) for part in _parts(rows)]
    return texts(pa.chunked_array([_plain(part) for part in parts], pa.large_string()))


def frame(columns: tuple[FrameColumn, ...], arrays: Mapping[str, Any]) -> pd.DataFrame:
    """Return a DataFrame of the documented columns in their order."""
    return pd.DataFrame({each.name: arrays[each.name] for each in columns}, copy=False)


def frame_of_records(
    columns: tuple[FrameColumn, ...], records: list[dict[str, Any]]
) -> pd.DataFrame:
    """Return a DataFrame of few records (dicts), each column in its dtype; times are in ns."""
    return pd.DataFrame(
        {each.name: _typed([record[each.name] for record in records], each.dtype)
         for each in columns}
    )  # fmt: skip


def _typed(values: list[Any], dtype: str) -> Any:
    if dtype in (TIME, DELTA):
        whole = np.array([NAT if value is None else value for value in values], np.int64)
        return times(whole) if dtype == TIME else deltas(whole)
    if dtype == CATEGORY:
        return pd.Categorical(values)
    return pd.Series(values, dtype=dtype)


def _parts(rows: Rows) -> Iterator[Rows]:
    for start in range(0, max(len(rows), 1), CHUNK_ROWS):
        yield rows[start : start + CHUNK_ROWS]


def _plain(column: pa.Array) -> pa.Array:
    return column.cast(pa.large_string())


def _hexadecimal(values: NDArray[np.uint64], missing: NDArray[np.bool_]) -> pa.Array:
    # Sixteen digits each, without a Python object a value.
    digits = _HEX.reshape(256, 2)[values.astype(">u8").view(np.uint8).reshape(-1, 8)]
    offsets = np.arange(len(values) + 1, dtype=np.int64) * 16
    valid = np.packbits(~missing, bitorder="little")
    buffers = [pa.py_buffer(part) for part in (valid, offsets, np.ascontiguousarray(digits))]
    return pa.Array.from_buffers(pa.large_string(), len(values), buffers)
