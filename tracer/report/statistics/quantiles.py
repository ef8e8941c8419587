"""Quantiles and histograms of many groups at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
BINS_PER_DECADE = 10
LOWEST_NS, DECADES = 100, 9  # 100 ns to 100 s; what lies outside is counted in the outermost bins
BINS = BINS_PER_DECADE * DECADES


def grouped_quantiles(
    groups: NDArray[np.integer[Any]], values: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    """Return `QUANTILES` of the values of each group, (count, quantiles), nan for an empty group.

    They are values that occur: the smallest one that the fraction of the values does not exceed.
    """
    result = np.full((count, len(QUANTILES)), np.nan)
    order = np.lexsort((values, groups))
    ordered, sizes = values[order], np.bincount(groups, minlength=count)
    starts, filled = np.cumsum(sizes) - sizes, np.flatnonzero(sizes)
    for column, quantile in enumerate(QUANTILES):
        rank = np.maximum(np.ceil(sizes[filled] * quantile).astype(np.int64) - 1, 0)
        result[filled, column] = ordered[starts[filled] + rank]
    return result


def grouped_histograms(
    groups: NDArray[np.integer[Any]], values: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Return how many values of each group fall into each logarithmic bin, (count, BINS)."""
    exponent = np.log10(np.maximum(values, LOWEST_NS) / LOWEST_NS)
    bins = np.minimum((exponent * BINS_PER_DECADE).astype(np.int64), BINS - 1)
    counts = np.bincount(groups * BINS + bins, minlength=count * BINS)
    return counts.reshape(count, BINS)


def bin_edges_ns() -> NDArray[np.float64]:
    """Return the edges of the bins in nanoseconds, (BINS + 1,)."""
    return LOWEST_NS * 10 ** (np.arange(BINS + 1) / BINS_PER_DECADE)
