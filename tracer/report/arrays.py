"""Arrow arrays from numpy's memory, mostly without a copy of it, and from texts.

`pyarrow.array` does the same, but looks whether it is given a pandas object, and imports pandas for
that: a quarter of a second in which small captures are done.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

TEXT = pa.dictionary(pa.int32(), pa.string())
SHARED_ROWS = 1 << 17  # of nulls, made once


def of(values: NDArray[Any], missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return an array of values (bool, int or float of any size), null where `missing`."""
    count = 0 if missing is None else int(np.count_nonzero(missing))
    valid = np.empty(0, np.uint8) if missing is None else _bits(~missing)
    if values.dtype == np.bool_:
        return _array(pa.bool_(), _bits(values), valid, count, len(values))
    kind = pa.from_numpy_dtype(values.dtype)
    return _array(kind, np.ascontiguousarray(values), valid, count, len(values))


def texts(values: Sequence[str | None]) -> pa.Array:
    """Return an array of texts."""
    missing = np.array([text is None for text in values], np.bool_)
    return utf8([b"" if text is None else text.encode() for text in values], missing)


def utf8(values: Sequence[bytes], missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return an array of texts that are UTF-8 already, null where `missing`."""
    ends = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, values), np.int32, len(values)), out=ends[1:])
    valid = None if missing is None or not missing.any() else pa.py_buffer(_bits(~missing))
    data = pa.py_buffer(b"".join(values))
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(ends), data, valid)


@cache
def text(value: str) -> pa.Scalar:
    """Return a text as a scalar."""
    return texts([value])[0]


def numbers(values: NDArray[np.int64], valid: NDArray[np.uint8], missing: int) -> pa.Array:
    """Return an int64 array of values, null where the bit of a value is not set (`missing` are)."""
    return _array(pa.int64(), values, valid, missing, len(values))


def encoded(
    codes: NDArray[np.int32], valid: NDArray[np.uint8], missing: int, values: pa.Array
) -> pa.DictionaryArray:
    """Return texts by code, null where the bit of a code is not set; codes are not checked."""
    indices = _array(pa.int32(), codes, valid, missing, len(codes))
    return pa.DictionaryArray.from_arrays(indices, values, safe=False)


def taken(values: pa.Array, indices: pa.Array) -> pa.Array:
    """Return values by index; of nulls alone, nulls that share their memory with others."""
    if values.null_count == len(values):
        return nulls(len(indices), values.type)
    return values.take(indices)


def nulls(count: int, kind: pa.DataType) -> pa.Array:
    """Return an array of nulls, which shares its memory with others."""
    return _nulls(kind)[:count] if count <= SHARED_ROWS else pa.nulls(count, kind)


@cache
def _nulls(kind: pa.DataType) -> pa.Array:
    return pa.nulls(SHARED_ROWS, kind)


def _bits(flags: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.packbits(flags, bitorder="little")


def _array(
    kind: pa.DataType, values: NDArray[Any], valid: NDArray[np.uint8], missing: int, count: int
) -> pa.Array:
    if count and missing == count:
        return nulls(count, kind)
    bits = pa.py_buffer(valid) if missing else None
    return pa.Array.from_buffers(kind, count, [bits, pa.py_buffer(values)], missing)
