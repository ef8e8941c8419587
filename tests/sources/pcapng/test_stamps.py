"""Stamps of any resolution against Python's own integers."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracer.sources.pcapng.stamps import to_ns

LAST = 9_223_372_035


def exact(stamp: int, is_binary: int, exponent: int, offset_s: int) -> int:
    seconds, nanos = divmod(stamp * 10**9 // (2 if is_binary else 10) ** exponent, 10**9)
    if seconds > LAST or abs(offset_s) > LAST or not 0 <= seconds + offset_s < 2**32:
        return -1
    return (seconds + offset_s) * 10**9 + nanos


@settings(max_examples=500, deadline=None)
@given(
    st.integers(0, 2**64 - 1) | st.integers(0, 2**40),
    st.integers(0, 1),
    st.integers(0, 127),
    st.just(0) | st.integers(-(2**63), 2**63 - 1) | st.integers(-LAST, LAST),
)
@example(2**64 - 1, 1, 64, 0)
@example(2**64 - 1, 0, 19, 0)
@example(2**63, 1, 32, -1)
@example(2**32 * 10**6, 0, 6, 0)
@example(0, 0, 6, -1)
def test_stamps_are_exact(stamp: int, is_binary: int, exponent: int, offset_s: int) -> None:
    found = to_ns(stamp >> 32, stamp & 0xFFFF_FFFF, is_binary, exponent, offset_s)
    assert found == exact(stamp, is_binary, exponent, offset_s)
