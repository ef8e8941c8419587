"""Durations counted in buckets: quantiles of any number of them, in fixed memory."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_PER_OCTAVE = 8  # a quantile is within 4.5 % of the exact one
BUCKETS = 36 * _PER_OCTAVE  # up to 2**36 ns, 68 s; longer ones count as that


def buckets_of(durations_ns: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return the bucket of each duration (ns, not negative), same shape."""
    exact = np.log2(np.maximum(durations_ns, 1)) * _PER_OCTAVE
    buckets: NDArray[np.int64] = np.minimum(exact, BUCKETS - 1).astype(np.int64)
    return buckets


def quantile(counts: NDArray[np.integer[Any]], share: float) -> int | None:
    """Return the duration (ns) that `share` of those counted do not exceed, None without any."""
    ends = np.cumsum(counts)
    if not len(ends) or ends[-1] == 0:
        return None
    bucket = int(np.searchsorted(ends, share * ends[-1]))
    return round(2 ** ((bucket + 0.5) / _PER_OCTAVE))
