"""Translations of flows whose packets are never alone: equal bytes, other hosts at the same time.

Where several packets of one fingerprint pass together, each flow's rows on one side of the NAT end
just before its rows on the other side begin. One such packet proves little; many of one pair do.
"""

from typing import Any

import numpy as np

from tracer.core.jit import inner, jit
from tracer.correlate.hashing import Codes
from tracer.correlate.nat import MOST_RELATED, is_translation

MARGIN_NS = 20_000  # the next best partner has to be at least this much, and twice, as far away


@inner
def _chains(
    p: Any, rows: Codes, segment: Codes, stream: Codes, first: Codes, last: Codes
) -> tuple[int, bool]:
    # First and last row of each class in a group; whether some class is there twice.
    count, twice = 0, False
    for row in rows:
        k = 0
        while k < count and segment[first[k]] != segment[row]:
            k += 1
        if k == count:
            first[k] = last[k] = row
            count += 1
            continue
        if stream[last[k]] == stream[row] and p[last[k]].ttl == p[row].ttl:
            twice = True
        last[k] = row
    return count, twice


@inner
def _distance(p: Any, time: Codes, a: int, b: int) -> int:
    # Time from the end `a` of one class to the beginning `b` of another, -1 where it cannot be.
    if p[b].ttl > p[a].ttl or time[b] < time[a] or not is_translation(p, a, b):
        return -1
    return int(time[b] - time[a])


@inner
def _nearest(
    p: Any, time: Codes, this: int, own: int, others: Codes, count: int, ahead: Any
) -> Any:
    best, best_ns, next_ns = -1, -1, -1
    for k in range(count):
        a, b = (this, others[k]) if ahead else (others[k], this)
        away = _distance(p, time, a, b)
        if away < 0 or k == own:
            continue
        if best < 0 or away < best_ns:
            best, best_ns, next_ns = k, away, best_ns
        elif next_ns < 0 or away < next_ns:
            next_ns = away
    clear = best >= 0 and (next_ns < 0 or next_ns > 2 * best_ns + MARGIN_NS)
    return best, clear


@jit
def guesses(
    p: Any, order: Codes, starts: Codes, segment: Codes, stream: Codes, time: Codes
) -> tuple[Codes, Codes]:
    """Return pairs of rows, one pair a vote that their classes are one flow before and after NAT.

    `segment` is the class of each row as far as it is known; groups are rows of equal fingerprint
    in order of travel. Each is the other's nearest in time, and no third is about as near.
    """
    left = np.empty(len(order), np.int64)
    right = np.empty(len(order), np.int64)
    first = np.empty(MOST_RELATED, np.int64)
    last = np.empty(MOST_RELATED, np.int64)
    count = 0
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        if len(rows) < 2 or len(rows) > MOST_RELATED:
            continue
        chains, twice = _chains(p, rows, segment, stream, first, last)
        if twice or chains < 2:
            continue
        for k in range(chains):
            to, clear = _nearest(p, time, last[k], k, first, chains, np.bool_(True))
            if not clear:
                continue
            back, mutual = _nearest(p, time, first[to], to, last, chains, np.bool_(False))
            if mutual and back == k:
                left[count], right[count] = last[k], first[to]
                count += 1
    return left[:count].copy(), right[:count].copy()


@jit
def unresolved(
    p: Any, order: Codes, starts: Codes, flow_class: Codes, stream: Codes, time: Codes
) -> Codes:
    """Return for each row how many continuations beyond a NAT its packet may have, 0 when clear.

    Counted are classes in a group of equal fingerprints that begin where the row's class ends, or
    end where it begins; one alone is clear, for then votes have decided.
    """
    choices = np.zeros(len(flow_class), np.int64)
    first = np.empty(MOST_RELATED, np.int64)
    last = np.empty(MOST_RELATED, np.int64)
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        if len(rows) < 3 or len(rows) > MOST_RELATED:
            continue
        chains, _ = _chains(p, rows, flow_class, stream, first, last)
        for k in range(chains):
            onward, back = 0, 0
            for other in range(chains):
                if other != k:
                    onward += _distance(p, time, last[k], first[other]) >= 0
                    back += _distance(p, time, last[other], first[k]) >= 0
            most = max(onward, back)
            for row in rows:
                if most > 1 and flow_class[row] == flow_class[first[k]]:
                    choices[row] = most
    return choices
