from tracer.core.schema import PACKET_DTYPE
from tracer.sources.memory import row_limit


def test_half_of_the_free_memory_is_for_columns() -> None:
    assert row_limit(1 << 30) == (1 << 29) // PACKET_DTYPE.itemsize
    assert row_limit(0) == 1
    assert row_limit() > 1000
