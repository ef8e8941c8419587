"""Where packets that a capture may have missed would have been seen next: beyond it."""

import numpy as np

from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, factorise, pair_keys
from tracer.correlate.order.ways import most_seen
from tracer.correlate.outcomes.paths import Paths


def beyond_of(
    paths: Paths, link: Codes, expected: Codes, passed: Codes, unseen: Codes, there: Codes
) -> Codes:
    """Return the place beyond the one each journey was `expected` at, by index, -1 for none.

    It is the one where others of its flow were seen that came from the same link and passed the
    expected place unseen: they know the way. `passed`: hops from which those went (indices of the
    paths' hops), `unseen` the place they passed, `there` where they were seen next; `link` by row.
    """
    found = np.full(len(expected), -1, np.int64)
    ends = np.flatnonzero(expected >= 0)
    if not len(passed) or not len(ends):
        return found
    flow = np.concatenate([paths.flow[paths.owner(passed)], paths.flow[ends]])
    rows = np.concatenate([paths.hops[passed], paths.last[ends]])
    next_ = np.concatenate([unseen, expected[ends]])
    codes, first = factorise(mixed(pair_keys(flow + 1, link[rows]), next_))
    of_passed, of_end = codes[: len(passed)], codes[len(passed) :]
    pairs, where = factorise(pair_keys(of_passed, there))
    votes = np.bincount(pairs, minlength=len(where))
    found[ends] = most_seen(of_passed[where], there[where], votes, len(first))[of_end]
    return found
