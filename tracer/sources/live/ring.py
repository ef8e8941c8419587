"""A BPF ring buffer read in bulk: its pages are mapped and viewed by numpy, without a callback.

Records have one fixed size. The kernel writes an 8-byte header before each: the length, bit 31
while the record is being filled, bit 30 when it was discarded (Documentation/bpf/ringbuf.rst). The
reading position is written back only after the records were copied. The loads rely on the order
that x86 keeps between them.

The kernel maps a whole buffer at once, touched or not, and it counts as this process's memory: so
it is mapped in windows, one at a time.
"""

import mmap
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]

_BUSY, _DISCARDED = 1 << 31, 1 << 30
_WINDOW = 1 << 20
_DATA = 2 * mmap.PAGESIZE  # behind a page with the reading and one with the writing position


class Ring:
    """Reader of one ring buffer map, `size` bytes (a power of two), records of `record` bytes.

    `until_ns` (CLOCK_MONOTONIC): every record with an earlier time was read. A record has its place
    before it has its time: what has none when a reading begins has a later time.
    """

    def __init__(self, fd: int, size: int, record: int) -> None:
        if record % 8:
            raise ValueError("records are whole 64-bit words")
        page = mmap.PAGESIZE
        self._fd, self._size = fd, size
        self._stride = (record + 8 + 7) & ~7
        self._consumer = mmap.mmap(fd, page)
        self._producer = mmap.mmap(fd, page, prot=mmap.PROT_READ, offset=page)
        self._read_position = memoryview(self._consumer)[:8].cast("Q")
        self._write_position = memoryview(self._producer)[:8].cast("Q")
        self._window: mmap.mmap | None = None
        self._window_start = -1
        self.until_ns = 0
        self._mark: tuple[int, int] | None = None  # a time, and the writing position just after it

    @property
    def pending(self) -> int:
        """Bytes written and not read yet."""
        return self._write_position[0] - self._read_position[0]

    def read(self, limit: int = 1 << 18) -> "Words":
        """Return the complete records, at most `limit`: uint64, shape (n, record / 8), a copy."""
        import numpy as np

        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        pending = self.pending
        if self._mark is None:
            self._mark = now, self._read_position[0] + pending
        count = max(0, min(pending // self._stride, limit))
        records = np.empty((count, self._stride // 8 - 1), np.uint64)
        filled = seen = 0
        while seen < count:
            wanted, passed, kept = self._copy(count - seen, records[filled:])
            self._read_position[0] += passed * self._stride
            seen, filled = seen + passed, filled + kept
            if passed < wanted:
                break
        if self._read_position[0] >= self._mark[1]:
            self.until_ns, self._mark = self._mark[0], None
        return records[:filled]

    def _copy(self, most: int, records: "Words") -> tuple[int, int, int]:
        # Copies what one window has: how many records it has, were complete, were not discarded.
        import numpy as np

        view = self._view(most)
        header = view[:, 0]
        busy = np.flatnonzero(header & np.uint64(_BUSY))
        passed = int(busy[0]) if len(busy) else len(view)
        kept = (header[:passed] & np.uint64(_DISCARDED)) == 0
        if kept.all():
            records[:passed] = view[:passed, 1:]
            return len(view), passed, passed
        number = int(kept.sum())
        records[:number] = view[:passed][kept, 1:]
        return len(view), passed, number

    def _view(self, most: int) -> "Words":
        # The records from the reading position on that begin in one window, at most so many.
        import numpy as np

        at = self._read_position[0] & (self._size - 1)
        length = min(_WINDOW, self._size)
        start = at & ~(length - 1)
        if start != self._window_start:
            self._map(start, length)
        assert self._window is not None
        count = min(most, -(-(start + length - at) // self._stride))
        words = self._stride // 8
        flat = np.frombuffer(self._window, np.uint64, count * words, at - start)
        return flat.reshape(count, words)

    def _map(self, start: int, length: int) -> None:
        # The last record goes on behind the window; behind the end the kernel has the data again.
        more = -(-self._stride // mmap.PAGESIZE) * mmap.PAGESIZE
        length = min(length + more, 2 * self._size - start)
        if self._window is not None:
            self._window.close()
        self._window = mmap.mmap(self._fd, length, prot=mmap.PROT_READ, offset=_DATA + start)
        self._window_start = start

    def close(self) -> None:
        """Unmap the buffer."""
        self._read_position.release()
        self._write_position.release()
        for part in (self._consumer, self._producer, self._window):
            if part is not None:
                part.close()
