"""Memory that large arrays take one after the other, apart from the heap.

In the heap, what one leaves is soon in parts that are too small for the next one.
"""

import mmap
import weakref
from contextlib import suppress
from typing import Any

import numpy as np

from tracer.core.schema import StructuredArray

_PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
_SPARE = 4  # a quarter more addresses than asked for: the next array is about as large


def anonymous(length: int) -> mmap.mmap:
    """Return memory of its own, in huge pages where the kernel has any."""
    memory = mmap.mmap(-1, length, flags=_PRIVATE)
    with suppress(OSError):  # built without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


class ReusedMemory:
    """Gives memory for records, the same again once nothing refers to the records that had it."""

    def __init__(self) -> None:
        self._free: list[mmap.mmap] = []

    def empty(self, count: int, dtype: np.dtype[Any]) -> StructuredArray:
        """Return `count` records, not initialised, that begin with a page."""
        size = count * dtype.itemsize
        found = self._taken(size)
        memory = np.frombuffer(found, np.uint8)
        # All views of these records have this array as their base.
        weakref.finalize(memory, self._free.append, found).atexit = False
        records: StructuredArray = memory[:size].view(dtype)
        return records

    def _taken(self, size: int) -> mmap.mmap:
        while self._free:
            memory = self._free.pop()
            if len(memory) >= size:
                return memory  # others are too small from now on
        return anonymous(max(size + size // _SPARE, 1))
