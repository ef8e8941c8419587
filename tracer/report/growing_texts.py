"""Texts that are kept to be taken again and again, without a Python object each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tracer.core.rows import Rows


class GrowingTexts:
    """Texts in UTF-8, one after the other in memory that grows by doubling."""

    def __init__(self) -> None:
        self._count = 0
        self._bounds = np.zeros(1, np.int64)  # the first `_count + 1` are in use: of each text
        self._data = np.empty(0, np.uint8)

    def __len__(self) -> int:
        return self._count

    def extend(self, texts: Sequence[bytes]) -> None:
        """Append texts, each of which is UTF-8."""
        first, begin = self._count + 1, int(self._bounds[self._count])
        self._count += len(texts)
        self._bounds = _grown(self._bounds, self._count + 1)
        ends = self._bounds[first : self._count + 1]
        np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=ends)
        ends += begin
        end = int(self._bounds[self._count])
        self._data = _grown(self._data, end)
        self._data[begin:end] = np.frombuffer(b"".join(texts), np.uint8)

    def take(self, numbers: Rows) -> pa.StringArray:
        """Return the texts of the given numbers (each below `len`), shape (numbers,): a copy."""
        bounds, data = pa.py_buffer(self._bounds), pa.py_buffer(self._data)
        texts = pa.LargeStringArray.from_buffers(self._count, bounds, data)
        indices = pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])
        return texts.take(indices).cast(pa.string())


def _grown(values: NDArray[Any], least: int) -> NDArray[Any]:
    if len(values) >= least:
        return values
    grown = np.empty(max(least, 2 * len(values)), values.dtype)
    grown[: len(values)] = values
    return grown
