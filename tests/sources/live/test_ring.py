"""The ring reader on a file that is laid out as the kernel lays out a ring buffer."""

import mmap
import os
import struct
import time
from collections.abc import Iterator

import numpy as np
import pytest

from tracer.sources.live.ring import Ring

SIZE, RECORD = 4096, 24
STRIDE = RECORD + 8
BUSY, DISCARDED = 1 << 31, 1 << 30


class Written:
    """The writer's side: pages as in kernel/bpf/ringbuf.c, the data mapped twice in a row."""

    def __init__(self, size: int = SIZE, words: int = RECORD // 8) -> None:
        self.size, self.words = size, words
        self.fd = os.memfd_create("ring")
        os.truncate(self.fd, 2 * mmap.PAGESIZE + 2 * size)
        self.position = 0

    def put(self, number: int, flags: int = 0) -> None:
        values = (number, *[0] * (self.words - 2), number)
        record = struct.pack("<II", 8 * self.words | flags, 0)
        record += struct.pack(f"<{self.words}Q", *values)
        for copy in (0, self.size, -self.size):
            at = self.position % self.size + copy
            if -len(record) < at < 2 * self.size:
                start = max(0, -at)
                end = min(len(record), 2 * self.size - at)
                os.pwrite(self.fd, record[start:end], 2 * mmap.PAGESIZE + max(at, 0))
        self.position += len(record)
        os.pwrite(self.fd, struct.pack("<Q", self.position), mmap.PAGESIZE)


@pytest.fixture
def written() -> Iterator[Written]:
    ring = Written()
    yield ring
    os.close(ring.fd)


def test_records_come_once_in_order_and_across_the_edge(written: Written) -> None:
    ring = Ring(written.fd, SIZE, RECORD)
    seen: list[int] = []
    for number in range(1, 500):
        written.put(number)
        if number % 37 == 0:
            seen += ring.read()[:, 0].tolist()
    seen += ring.read()[:, 0].tolist()
    assert seen == list(range(1, 500))
    assert len(ring.read()) == 0
    assert ring.pending == 0
    ring.close()


def test_reading_stops_at_a_record_that_is_not_complete(written: Written) -> None:
    ring = Ring(written.fd, SIZE, RECORD)
    written.put(1)
    written.put(2, BUSY)
    written.put(3)
    assert ring.read()[:, 0].tolist() == [1]
    assert ring.pending == 2 * STRIDE
    os.pwrite(written.fd, struct.pack("<I", RECORD), 2 * mmap.PAGESIZE + STRIDE)
    assert ring.read()[:, 0].tolist() == [2, 3]
    ring.close()


def test_it_says_until_when_all_was_read(written: Written) -> None:
    ring = Ring(written.fd, SIZE, RECORD)
    ring.read()
    empty_ns = ring.until_ns
    written.put(1)
    written.put(2, BUSY)
    held_ns = time.monotonic_ns()
    written.put(3)
    ring.read()
    assert empty_ns <= ring.until_ns < held_ns  # what 2 waits for may be older than now
    os.pwrite(written.fd, struct.pack("<I", RECORD), 2 * mmap.PAGESIZE + STRIDE)
    written.put(4, BUSY)
    first = ring.until_ns
    ring.read()
    assert first < ring.until_ns  # some CPU is always writing, but not the same record
    before_ns = time.monotonic_ns()
    os.pwrite(written.fd, struct.pack("<I", RECORD), 2 * mmap.PAGESIZE + 3 * STRIDE)
    ring.read()
    ring.read()
    assert before_ns <= ring.until_ns <= time.monotonic_ns()
    ring.close()


def test_not_all_is_read_where_a_limit_stops_it(written: Written) -> None:
    ring = Ring(written.fd, SIZE, RECORD)
    before_ns = time.monotonic_ns()
    for number in range(6):
        written.put(number)
    ring.read(limit=4)
    assert ring.until_ns < before_ns
    ring.read(limit=4)
    assert ring.until_ns >= before_ns
    ring.close()


def test_discarded_records_are_passed_over(written: Written) -> None:
    ring = Ring(written.fd, SIZE, RECORD)
    for number in range(6):
        written.put(number, DISCARDED if number % 2 else 0)
    records = ring.read()
    assert records[:, 0].tolist() == [0, 2, 4]
    assert records.dtype == np.uint64
    ring.close()


def test_a_limit_leaves_the_rest(written: Written) -> None:
    ring = Ring(written.fd, SIZE, RECORD)
    for number in range(5):
        written.put(number)
    assert ring.read(3)[:, 2].tolist() == [0, 1, 2]
    assert ring.read(3)[:, 2].tolist() == [3, 4]
    ring.close()


def test_records_are_copies(written: Written) -> None:
    ring = Ring(written.fd, SIZE, RECORD)
    written.put(7)
    records = ring.read()
    for number in range(SIZE // STRIDE):
        written.put(number + 100)
    assert records[0, 0] == 7
    ring.close()  # and closing does not fail because of them


def test_records_are_whole_words(written: Written) -> None:
    with pytest.raises(ValueError, match="64-bit"):
        Ring(written.fd, SIZE, 20)


@pytest.mark.parametrize("words", [3, 4, 48])
def test_a_ring_is_read_window_by_window(words: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracer.sources.live.ring._WINDOW", mmap.PAGESIZE)
    written = Written(8 * mmap.PAGESIZE, words)
    ring = Ring(written.fd, written.size, 8 * words)
    seen: list[tuple[int, int]] = []
    for number in range(5000):
        written.put(number, DISCARDED if number % 7 == 3 else 0)
        if number % 67 == 0:
            seen += [(row[0], row[-1]) for row in ring.read().tolist()]
    for limit in (11, 100_000):
        seen += [(row[0], row[-1]) for row in ring.read(limit).tolist()]
    assert seen == [(number, number) for number in range(5000) if number % 7 != 3]
    ring.close()
    os.close(written.fd)
