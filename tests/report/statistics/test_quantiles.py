"""Quantiles of groups against numpy's own, histograms against their edges."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.report.statistics.quantiles import (
    BINS,
    QUANTILES,
    bin_edges_ns,
    grouped_histograms,
    grouped_quantiles,
)

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 10**12)), max_size=60)


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_quantiles_are_numpys(values: list[tuple[int, int]]) -> None:
    groups = np.array([group for group, _ in values], np.int64)
    times = np.array([time for _, time in values], np.int64)
    found = grouped_quantiles(groups, times, 6)
    for group in range(6):
        own = times[groups == group]
        if len(own) == 0:
            assert np.isnan(found[group]).all()
            continue
        expected = np.quantile(own, QUANTILES, method="inverted_cdf")
        np.testing.assert_array_equal(found[group], expected)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(101, 10**11 - 1), min_size=1, max_size=30))
def test_a_value_lies_between_the_edges_of_its_bin(values: list[int]) -> None:
    edges = bin_edges_ns()
    for value in values:
        row = grouped_histograms(np.zeros(1, np.int64), np.array([value]), 1)[0]
        (at,) = np.flatnonzero(row)
        assert edges[at] * (1 - 1e-9) <= value <= edges[at + 1] * (1 + 1e-9)


def test_what_lies_outside_is_in_the_outermost_bins() -> None:
    row = grouped_histograms(np.zeros(2, np.int64), np.array([0, 10**15]), 1)[0]
    assert (row[0], row[BINS - 1], row.sum()) == (1, 1, 2)
