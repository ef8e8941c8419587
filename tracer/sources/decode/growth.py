"""Arrays that grow without being copied: columns of a capture whose packet count is not known."""

import mmap
from typing import Any

import numpy as np

from tracer.core.schema import StructuredArray

_PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


class GrowingRecords:
    """Records in anonymous memory: the kernel moves its pages on growth and gives them on use."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._memory: mmap.mmap | None = None
        self._capacity = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def extend(self, count: int) -> StructuredArray:
        """Return `count` new records to fill, not initialised; valid until the next call."""
        start, self._count = self._count, self._count + count
        if self._count > self._capacity:
            self._resize(max(self._count, 2 * self._capacity))
        return self._view()[start:]

    def finish(self) -> StructuredArray:
        """Return all records; the object is then empty."""
        records = self._view()
        self._memory, self._capacity, self._count = None, 0, 0
        return records

    def _resize(self, capacity: int) -> None:
        length = capacity * self._dtype.itemsize
        if self._memory is None:
            self._memory = _memory(length)
        else:
            self._memory = _grown(self._memory, length)
        self._capacity = capacity

    def _view(self) -> StructuredArray:
        if self._memory is None:
            return np.empty(0, self._dtype)
        return np.frombuffer(self._memory, self._dtype, self._count)


def _memory(length: int) -> mmap.mmap:
    memory = mmap.mmap(-1, length, flags=_PRIVATE)
    memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _grown(memory: mmap.mmap, length: int) -> mmap.mmap:
    try:
        memory.resize(length)
    except BufferError:  # somebody still looks at the records; theirs stay where they are
        copy = _memory(length)
        copy[: len(memory)] = memory
        return copy
    return memory
