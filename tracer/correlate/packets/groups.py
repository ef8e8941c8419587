"""Rows that may be one packet: equal fingerprints, close in time, in order of travel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner, inner_plain, jit, jit_plain
from tracer.correlate.hashing import Codes, factorise, grouped

Times = NDArray[np.int64]
SMALL = 24


@inner_plain
def _is_after(a: int, b: int, major: Codes, minor: Times, tie: Codes) -> bool:
    if major[a] != major[b]:
        return bool(major[a] > major[b])
    if minor[a] != minor[b]:
        return bool(minor[a] > minor[b])
    return bool(tie[a] > tie[b])


@inner_plain
def _sort_few(order: Codes, start: int, stop: int, major: Codes, minor: Times, tie: Codes) -> None:
    # By insertion.
    for i in range(start + 1, stop):
        row, j = order[i], i - 1
        while j >= start and _is_after(order[j], row, major, minor, tie):
            order[j + 1] = order[j]
            j -= 1
        order[j + 1] = row


@inner
def sort_rows(order: Codes, start: int, stop: int, major: Codes, minor: Times, tie: Codes) -> None:
    """Sort `order[start:stop]` in place by (major, minor, tie), each indexed by row; stable.

    Insertion for runs of SMALL, which most groups are not longer than; runs are then merged.
    """
    for low in range(start, stop, SMALL):
        _sort_few(order, low, min(low + SMALL, stop), major, minor, tie)
    size = SMALL
    while size < stop - start:
        for low in range(start, stop - size, 2 * size):
            high = min(low + 2 * size, stop)
            left, i, j = order[low : low + size].copy(), 0, low + size
            for k in range(low, high):
                if i == size:
                    break
                if j < high and _is_after(left[i], order[j], major, minor, tie):
                    order[k] = order[j]
                    j += 1
                else:
                    order[k] = left[i]
                    i += 1
        size *= 2


@inner_plain
def first_at(order: Codes, low: int, high: int, time: Times, since: int) -> int:
    """Return where in `order[low:high]`, rows by time, those are that are not before `since`."""
    while low < high:
        middle = (low + high) >> 1
        if time[order[middle]] < since:
            low = middle + 1
        else:
            high = middle
    return low


def sort_groups(order: Codes, starts: Codes, major: Codes, minor: Times, tie: Codes) -> None:
    """Sort the rows of each group in place by (major, minor, tie), each indexed by row."""
    if _sort_small(order, starts, major, minor, tie):
        _sort_large(order, starts, major, minor, tie)


@jit_plain
def _sort_small(order: Codes, starts: Codes, major: Codes, minor: Times, tie: Codes) -> bool:
    # Groups of up to SMALL rows; whether there are larger ones.
    larger = False
    for group in range(len(starts) - 1):
        if starts[group + 1] - starts[group] > SMALL:
            larger = True
        else:
            _sort_few(order, starts[group], starts[group + 1], major, minor, tie)
    return larger


@jit
def _sort_large(order: Codes, starts: Codes, major: Codes, minor: Times, tie: Codes) -> None:
    for group in range(len(starts) - 1):
        if starts[group + 1] - starts[group] > SMALL:
            sort_rows(order, starts[group], starts[group + 1], major, minor, tie)


@jit
def _split_at_gaps(order: Codes, starts: Codes, time: Times, gap_ns: int) -> Codes:
    out = np.empty(len(order) + 1, np.int64)
    count = 0
    for group in range(len(starts) - 1):
        for i in range(starts[group], starts[group + 1]):
            if i == starts[group] or time[order[i]] - time[order[i - 1]] > gap_ns:
                out[count] = i
                count += 1
    out[count] = len(order)
    return out[: count + 1].copy()


def packet_groups(packet: Any, usable: NDArray[np.bool_]) -> tuple[Codes, Codes]:
    """Return (order, starts) of the usable rows gathered by packet hash."""
    codes, firsts = factorise(packet)
    codes[~usable] = -1
    return grouped(codes, len(firsts))


def bursts(
    order: Codes, starts: Codes, time: Times, tie: Codes, gap_ns: int
) -> tuple[Codes, Codes]:
    """Return (order, starts) split wherever a group is silent for more than `gap_ns`.

    Inside a burst rows are in time order; `time` is one time scale for all rows.
    """
    order = order.copy()
    sort_groups(order, starts, np.zeros(len(time), np.int64), time, tie)
    return order, _split_at_gaps(order, starts, time, gap_ns)


@jit
def finer(
    order: Codes, starts: Codes, time: Times, link: Codes, gap_ns: Codes, most: int
) -> tuple[Codes, Codes]:
    """Return (order, starts) with groups of more than `most` rows split at shorter silences.

    `gap_ns`, of each link: how long a packet that was seen there is silent at most. Rows of a
    group are in time order; the longest of what its links say holds.
    """
    out = np.empty(len(order) + 1, np.int64)
    count = 0
    for group in range(len(starts) - 1):
        start, stop = starts[group], starts[group + 1]
        longest = np.int64(0)
        if stop - start > most:
            for i in range(start, stop):
                longest = max(longest, gap_ns[link[order[i]]])
        for i in range(start, stop):
            silent = i > start and time[order[i]] - time[order[i - 1]] > longest
            if i == start or (silent and stop - start > most):
                out[count] = i
                count += 1
    out[count] = len(order)
    return order, out[: count + 1].copy()


@jit
def chunks(
    p: Any, order: Codes, starts: Codes, time: Times, most: int
) -> tuple[Codes, Codes, NDArray[np.bool_]]:
    """Return (order, starts) with no group of datagrams larger than `most` rows, and their rows.

    Those are cut at long silences, which may be while packets are on their way. Rows of a group are
    in time order.
    """
    out = np.empty(len(order) + 1, np.int64)
    rough = np.zeros(len(time), np.bool_)
    count = 0
    for group in range(len(starts) - 1):
        at, stop = starts[group], starts[group + 1]
        large = stop - at > most and p[order[at]].sport >= 0
        for i in range(at, stop if large else at):
            rough[order[i]] = True
        while True:
            out[count] = at
            count += 1
            if stop - at <= most or not large:
                break
            cut = at + most // 2
            for i in range(cut + 1, at + most + 1):
                here, there = time[order[i]] - time[order[i - 1]], time[order[cut]]
                if here > there - time[order[cut - 1]]:
                    cut = i
            at = cut
    out[count] = len(order)
    return order, out[: count + 1].copy(), rough


def together(a: tuple[Codes, Codes], b: tuple[Codes, Codes]) -> tuple[Codes, Codes]:
    """Return (order, starts) of the groups of one and those of another."""
    return np.concatenate([a[0], b[0]]), np.concatenate([a[1][:-1], b[1] + len(a[0])])


@jit
def chosen(order: Codes, starts: Codes, which: NDArray[np.bool_]) -> tuple[Codes, Codes]:
    """Return (order, starts) of some of the groups."""
    rows = np.empty(len(order), np.int64)
    begins = np.zeros(len(starts), np.int64)
    count = groups = 0
    for group in range(len(starts) - 1):
        if which[group]:
            for i in range(starts[group], starts[group + 1]):
                rows[count] = order[i]
                count += 1
            groups += 1
            begins[groups] = count
    return rows[:count].copy(), begins[: groups + 1].copy()
