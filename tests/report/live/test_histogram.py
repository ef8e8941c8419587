"""Quantiles from buckets against numpy's exact ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.report.live.histogram import BUCKETS, buckets_of, quantile

DURATIONS = st.lists(st.integers(1, 60_000_000_000), min_size=1, max_size=200)


@given(DURATIONS, st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_is_near_the_exact_one(durations: list[int], share: float) -> None:
    counts = np.bincount(buckets_of(np.array(durations)), minlength=BUCKETS)
    exact = np.quantile(durations, share, method="inverted_cdf")
    assert quantile(counts, share) == pytest.approx(exact, abs=0.045 * exact + 0.5)


def test_nothing_counted_has_no_quantile() -> None:
    assert quantile(np.zeros(BUCKETS, np.int64), 0.5) is None


def test_what_is_too_long_or_nothing_has_a_bucket_all_the_same() -> None:
    assert buckets_of(np.array([0, 1, 1 << 62])).tolist() == [0, 0, BUCKETS - 1]
