"""Pieces of a datagram whose bytes overlap, and which of them are one.

Pieces are columns (`parts`): the first byte and the one after the last, when it was first and last
seen, and whether more follow.
"""

from typing import Any

import numpy as np

from tracer.core.jit import inner_plain, jit
from tracer.correlate.hashing import Codes, Keys, filled, find

MOST_NEAR = 256  # pieces of datagrams with one id that are compared with each other
TIE_NS = 100_000  # times that far apart do not tell which of two pieces goes on


@inner_plain
def _apart(first: Codes, last: Codes, i: int, j: int) -> tuple[int, int]:
    # How long neither was seen between the two, and how far apart both began.
    silent = max(first[i] - last[j], first[j] - last[i], np.int64(0))
    return silent, abs(first[i] - first[j])


@inner_plain
def is_same_piece(parts: Any, i: int, j: int) -> bool:
    """Return whether two pieces have the same bytes of a datagram."""
    begin, end, _, _, more = parts
    return bool(begin[i] == begin[j] and end[i] == end[j] and more[i] == more[j])


@inner_plain
def may_overlap(parts: Any, i: int, j: int) -> bool:
    """Return whether two pieces have other bytes of a datagram, some of them the same.

    None may lie behind its last piece.
    """
    begin, end, _, _, more = parts
    if is_same_piece(parts, i, j):
        return False
    if begin[i] >= end[j] or begin[j] >= end[i]:
        return False
    return bool((more[i] or end[i] >= end[j]) and (more[j] or end[j] >= end[i]))


@inner_plain
def is_nearest(parts: Any, order: Codes, group: Codes, i: int, j: int, gap_ns: int) -> int:
    """Return how many pieces like that at j are about as near to that at i, 0 if one is nearer.

    `i` and `j` are places in `order`; pieces of one datagram have one `group`.
    """
    begin, end, first, last, _ = parts
    a, b = order[i], order[j]
    best = _apart(first, last, a, b)
    count = 1
    for step in (-1, 1):
        k = i + step
        while 0 <= k < len(order) and group[order[k]] == group[a] and abs(k - i) <= MOST_NEAR:
            c = order[k]
            k += step
            if abs(first[c] - first[a]) > gap_ns:
                break
            if c == b or begin[c] != begin[b] or end[c] != end[b]:
                continue
            other = _apart(first, last, a, c)
            if other < best:
                return 0
            count += int(other[0] <= 2 * best[0] + TIE_NS)
    return count


@jit
def overlaps(
    order: Codes, datagram: Codes, parts: Any, where: Keys, begins: Codes, gap_ns: int
) -> tuple[Codes, Codes]:
    """Return which pieces are one, as a union-find forest, and how many each might be one with.

    `order`: pieces by `datagram`, then time; `where` and `begins`: the links of each.
    """
    # Where flows of pieces are not seen to be one, as there are more pieces behind the cut than
    # before, one that nobody cut is two journeys: these are joined, too.
    first = parts[2]
    parent = np.arange(len(order))
    rivals = filled(len(order), 0)
    recut = np.zeros(int(datagram.max()) + 1, np.bool_)
    for whole in (False, True):
        for i in range(len(order)):
            j = i + 1
            a = order[i]
            if whole and not recut[datagram[a]]:
                continue
            while j < len(order) and j - i <= MOST_NEAR and datagram[order[j]] == datagram[a]:
                b = order[j]
                if first[b] - first[a] > gap_ns:
                    break
                fits = is_same_piece(parts, a, b) if whole else may_overlap(parts, a, b)
                if fits and not _share_link(where, begins, a, b):
                    there = is_nearest(parts, order, datagram, i, j, gap_ns)
                    back = is_nearest(parts, order, datagram, j, i, gap_ns)
                    if there and back:
                        rivals[a], rivals[b] = max(rivals[a], there), max(rivals[b], back)
                        recut[datagram[a]] = True
                        c, d = find(parent, a), find(parent, b)
                        parent[max(c, d)] = min(c, d)
                j += 1
    return parent, rivals


@inner_plain
def _share_link(where: Keys, begins: Codes, a: int, b: int) -> bool:
    for i in range(begins[a], begins[a + 1]):
        for j in range(begins[b], begins[b + 1]):
            if where[i] == where[j]:
                return True
    return False
