"""Numbers in narrow columns: how they read, and that they never grow wider."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.report.live.units import count, duration, elapsed, percent, rate


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(None, ""), (0, "0ns"), (999, "999ns"), (1000, "1.0µs"), (31_040, "31.0µs"),
     (166_700, "167µs"), (999_600, "1.0ms"), (12_345_678, "12.3ms"), (2_500_000_000, "2.5s")],
)  # fmt: skip
def test_durations(nanoseconds: int | None, text: str) -> None:
    assert duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("per_second", "text"),
    [(0, "0"), (0.01, "<0.1"), (1, "1.0"), (99.96, "100"), (999.6, "1.0k"), (9_998, "10.0k")],
)
def test_rates(per_second: float, text: str) -> None:
    assert rate(per_second) == text


@pytest.mark.parametrize(
    ("share", "packets", "text"),
    [(0.0, 0, ""), (0.0, 5, "0"), (1e-6, 9, "<.01%"), (0.0125, 80, "1.25%"), (1 / 3, 3, "33.3%"),
     (0.9999, 10_000, "99.9%"), (1.0, 3, "100%")],
)  # fmt: skip
def test_shares(share: float, packets: int, text: str) -> None:
    assert percent(share, packets) == text


@given(st.integers(0, 10**13), st.floats(0, 9e10), st.floats(0, 1))
def test_columns_hold_whatever_comes(nanoseconds: int, per_second: float, share: float) -> None:
    assert len(duration(nanoseconds)) <= 6
    assert len(rate(per_second)) <= 5
    assert len(percent(share, 1)) <= 5


def test_counts_and_times() -> None:
    assert count(1234567) == "1,234,567"
    assert elapsed(45_296_999_999_999) == "12:34:56"
