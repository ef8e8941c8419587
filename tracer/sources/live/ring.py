"""A BPF ring buffer read in bulk: its pages are mapped and viewed by numpy, without a callback.

Records have one fixed size. The kernel writes an 8-byte header before each: the length, bit 31
while the record is being filled, bit 30 when it was discarded (Documentation/bpf/ringbuf.rst). The
reading position is written back only after the records were copied. The loads rely on the order
that x86 keeps between them.
"""

import mmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BUSY, _DISCARDED = 1 << 31, 1 << 30


class Ring:
    """Reader of one ring buffer map, `size` bytes (a power of two), records of `record` bytes."""

    def __init__(self, fd: int, size: int, record: int) -> None:
        if record % 8:
            raise ValueError("records are whole 64-bit words")
        page = mmap.PAGESIZE
        self._size = size
        self._stride = (record + 8 + 7) & ~7
        self._consumer = mmap.mmap(fd, page)
        # The kernel offers the data twice in a row; mapped once it counts once as ours.
        self._producer = mmap.mmap(fd, page + size, prot=mmap.PROT_READ, offset=page)
        self._read_position = memoryview(self._consumer)[:8].cast("Q")
        self._write_position = memoryview(self._producer)[:8].cast("Q")

    @property
    def pending(self) -> int:
        """Bytes written and not read yet."""
        return self._write_position[0] - self._read_position[0]

    def read(self, limit: int = 1 << 18) -> "NDArray[np.uint64]":
        """Return the complete records, at most `limit`: uint64, shape (n, record / 8), a copy."""
        import numpy as np

        start = self._read_position[0]
        words = self._stride // 8
        count = min((self._write_position[0] - start) // self._stride, limit)
        if count <= 0:
            return np.empty((0, words - 1), np.uint64)
        view = self._words(start, count * words).reshape(count, words)
        header = view[:, 0]
        busy = np.flatnonzero(header & np.uint64(_BUSY))
        if len(busy):
            count = int(busy[0])
            view, header = view[:count], header[:count]
        discarded = (header & np.uint64(_DISCARDED)) != 0
        records = view[~discarded, 1:] if discarded.any() else view[:, 1:].copy()
        self._read_position[0] = start + count * self._stride
        return records

    def _words(self, start: int, count: int) -> "NDArray[np.uint64]":
        # The words from a position on: a view, or a copy where they go round the end.
        import numpy as np

        offset = start & (self._size - 1)
        before_end = min(count, (self._size - offset) // 8)
        page = mmap.PAGESIZE
        first = np.frombuffer(self._producer, np.uint64, before_end, page + offset)
        if before_end == count:
            return first
        rest = np.frombuffer(self._producer, np.uint64, count - before_end, page)
        return np.concatenate([first, rest])

    def close(self) -> None:
        """Unmap the buffer."""
        self._read_position.release()
        self._write_position.release()
        self._consumer.close()
        self._producer.close()
