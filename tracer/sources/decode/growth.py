"""Arrays that grow without being copied: columns of a capture whose packet count is not known."""

import mmap
from typing import Any

import numpy as np

from tracer.core.records import empty
from tracer.core.reused import anonymous
from tracer.core.schema import StructuredArray


class GrowingRecords:
    """Records in anonymous memory: the kernel moves its pages on growth and gives them on use.

    The first `most` of them are in the heap, for those that are no more than so many: it has pages
    that were used before.
    """

    def __init__(self, dtype: np.dtype[Any], most: int = 0) -> None:
        self._dtype = dtype
        self._most = most
        self._few: StructuredArray = np.empty(0, dtype)
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
        self._few, self._memory = np.empty(0, self._dtype), None
        self._capacity, self._count = 0, 0
        return records

    def _resize(self, capacity: int) -> None:
        if capacity <= self._most:
            self._few, self._capacity = empty(self._most, self._dtype), self._most
            return
        length = capacity * self._dtype.itemsize
        if self._memory is None:
            self._memory = anonymous(length)
            few = self._few.view(np.uint8)
            self._memory[: len(few)] = few.data
            self._few = np.empty(0, self._dtype)
        else:
            self._memory = _grown(self._memory, length)
        self._capacity = capacity

    def _view(self) -> StructuredArray:
        if self._memory is None:
            return self._few[: self._count]
        return np.frombuffer(self._memory, self._dtype, self._count)


def _grown(memory: mmap.mmap, length: int) -> mmap.mmap:
    try:
        memory.resize(length)
    except BufferError:  # somebody still looks at the records; theirs stay where they are
        copy = anonymous(length)
        copy[: len(memory)] = memory
        return copy
    return memory
