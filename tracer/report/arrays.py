"""Arrow arrays over numpy's memory, without a copy of it."""

from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

TEXT = pa.dictionary(pa.int32(), pa.string())
SHARED_ROWS = 1 << 17  # of nulls, made once


def numbers(values: NDArray[np.int64], valid: NDArray[np.uint8], missing: int) -> pa.Array:
    """Return an int64 array of values, null where the bit of a value is not set (`missing` are)."""
    return _array(pa.int64(), values, valid, missing)


def encoded(
    codes: NDArray[np.int32], valid: NDArray[np.uint8], missing: int, texts: pa.Array
) -> pa.DictionaryArray:
    """Return texts by code, null where the bit of a code is not set; codes are not checked."""
    indices = _array(pa.int32(), codes, valid, missing)
    return pa.DictionaryArray.from_arrays(indices, texts, safe=False)


def nulls(count: int, kind: pa.DataType) -> pa.Array:
    """Return an array of nulls, which shares its memory with others."""
    return _nulls(kind)[:count] if count <= SHARED_ROWS else pa.nulls(count, kind)


@cache
def _nulls(kind: pa.DataType) -> pa.Array:
    return pa.nulls(SHARED_ROWS, kind)


def _array(
    kind: pa.DataType, values: NDArray[np.generic], valid: NDArray[np.uint8], missing: int
) -> pa.Array:
    if missing == len(values):
        return nulls(len(values), kind)
    bits = pa.py_buffer(valid) if missing else None
    return pa.Array.from_buffers(kind, len(values), [bits, pa.py_buffer(values)], missing)
