"""Memory is given again once nothing refers to what had it, and not before."""

import numpy as np

from tracer.core.reused import ReusedMemory
from tracer.core.schema import PACKET_DTYPE


def place(records: np.ndarray) -> int:
    return int(records.ctypes.data)


def test_memory_is_reused_when_nothing_refers_to_it() -> None:
    memory = ReusedMemory()
    records = memory.empty(1000, PACKET_DTYPE)
    first = place(records)
    del records
    assert place(memory.empty(1100, PACKET_DTYPE)) == first


def test_a_view_keeps_its_memory() -> None:
    memory = ReusedMemory()
    records = memory.empty(1000, PACKET_DTYPE)
    records["ttl"] = 64
    first, ttl = place(records), records["ttl"][10:]
    del records
    other = memory.empty(1000, PACKET_DTYPE)
    other["ttl"] = 1
    assert place(other) != first
    assert np.all(ttl == 64)


def test_larger_records_get_other_memory() -> None:
    memory = ReusedMemory()
    assert len(memory.empty(10, PACKET_DTYPE)) == 10
    assert len(memory.empty(100_000, PACKET_DTYPE)) == 100_000
    assert len(memory.empty(0, PACKET_DTYPE)) == 0
