"""Translations on both sides of a capture that no votes speak of: its rows lie inside others.

A capture that cut payloads, or shows packets twice, takes no part in votes; those before and behind
it were found to be one flow without it. Its rows then come between rows of that flow, each time.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain, jit
from tracer.correlate.hashing import Codes
from tracer.correlate.nat.tuples import is_same_tuple, keeps_numbers, may_translate
from tracer.correlate.nat.votes import is_adjacent

MOST_ROWS = 32  # of a group that is looked through


@inner_plain
def _fits(p: Any, time: Codes, before: int, after: int) -> int:
    # 0 where the second row cannot be the packet of the first, further on; 2 with equal numbers.
    if p[after].ttl > p[before].ttl or time[after] < time[before]:
        return 0
    if not may_translate(p, before, after):
        return 0
    if is_same_tuple(p, before, after) and not is_adjacent(p, before, after):  # of two tenants
        return 0
    return 2 if keeps_numbers(p, before, after) else 1


@inner_plain
def _around(p: Any, rows: Codes, segment: Codes, time: Codes, row: int) -> int:
    # The one class with rows before and after this one that fit, -1 for none or several.
    best, rank, several = -1, 0, False
    for a in rows:
        before = _fits(p, time, a, row) if segment[a] != segment[row] else 0
        if before == 0:
            continue
        for b in rows:
            if segment[b] != segment[a] or b == a:
                continue
            after = _fits(p, time, row, b)
            if after == 0 or before + after < rank:
                continue
            if before + after > rank:
                best, rank, several = segment[a], before + after, False
            several = several or segment[a] != best
    return -1 if several or _is_shown(p, rows, segment, row, best) else best


@inner_plain
def _is_shown(p: Any, rows: Codes, segment: Codes, row: int, other: int) -> bool:
    # Whether a class is seen where this row is, at its TTL, and does not come back to there.
    x = p[row]
    for b in rows:
        y = p[b]
        if segment[b] != other or x.point != y.point or x.ttl != y.ttl:
            continue
        if x.src_mac != y.dst_mac and x.dst_mac != y.src_mac:
            return True
    return False


@jit
def between(
    p: Any, order: Codes, starts: Codes, segment: Codes, stream: Codes, loose: NDArray[np.bool_],
    time: Codes,
) -> tuple[Codes, Codes]:  # fmt: skip
    """Return pairs of classes, one pair a vote that the second goes on before and after the first.

    Groups are rows of equal fingerprint; `loose`: streams that votes say little of.
    """
    left = np.empty(len(order), np.int64)
    right = np.empty(len(order), np.int64)
    count = 0
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        if len(rows) < 3 or len(rows) > MOST_ROWS:
            continue
        for row in rows:
            if not loose[stream[row]]:
                continue
            found = _around(p, rows, segment, time, row)
            if found >= 0:
                left[count], right[count] = segment[row], found
                count += 1
    return left[:count].copy(), right[:count].copy()
