"""Which of two links packets cross first, by the times of all that crossed both.

Where stamps are too coarse to tell of one packet, many of them do: the stamps err both ways. Links
that are not neighbours are compared, too, as these are further apart than neighbours.
"""

from typing import Any

import numpy as np

from tracer.core.jit import inner_plain, jit
from tracer.correlate.hashing import Codes, Keys, pair_keys

MOST_HOPS = 64  # of a journey that is looked at


def votes_of_pairs(
    link: Codes, rows: Codes, starts: Codes, ttl: Codes, time: Codes
) -> tuple[Keys, Codes]:
    """Return pairs of links as `LinkOrder.keys` has them, sorted, and the votes for that order.

    `rows` of journey j are those from `starts[j]` on, by falling TTL, then time; `link`, `ttl` and
    `time` (nanoseconds) by row. Links at which a packet has one TTL are compared.
    """
    first, second = _pairs(link, rows, starts, ttl, time)
    keys, votes = np.unique(pair_keys(first, second), return_counts=True)
    return keys, votes.astype(np.int64)


@inner_plain
def _write(link: Codes, rows: Codes, starts: Codes, ttl: Codes, time: Codes, out: Any) -> int:
    # Counts pairs, and writes those that `out` has room for.
    first, second = out
    count = 0
    for journey in range(len(starts) - 1):
        start, stop = starts[journey], starts[journey + 1]
        if stop - start > MOST_HOPS:
            continue
        for i in range(start, stop):
            j = i + 1
            while j < stop and ttl[rows[j]] == ttl[rows[i]]:
                if time[rows[j]] > time[rows[i]]:
                    if count < len(first):
                        first[count], second[count] = link[rows[i]], link[rows[j]]
                    count += 1
                j += 1
    return count


@jit
def _pairs(link: Codes, rows: Codes, starts: Codes, ttl: Codes, time: Codes) -> tuple[Codes, Codes]:
    none = np.empty(0, np.int64)
    count = _write(link, rows, starts, ttl, time, (none, none))
    first, second = np.empty(count, np.int64), np.empty(count, np.int64)
    _write(link, rows, starts, ttl, time, (first, second))
    return first, second
