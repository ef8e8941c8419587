from tracer.core.schema import PACKET_DTYPE
from tracer.sources.memory import row_limit


def test_a_packet_takes_four_times_its_columns_until_it_is_shown() -> None:
    assert row_limit(1 << 30) == (1 << 30) // (4 * PACKET_DTYPE.itemsize)
    assert row_limit(0) == 1
    assert row_limit() > 1000
