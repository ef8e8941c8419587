"""Where bytes of a packet that is several segments elsewhere went no further."""

from typing import Any

import numpy as np

from tracer.core.jit import inner_plain, jit
from tracer.core.journeys import GONE_DTYPE
from tracer.correlate.hashing import Codes, filled
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.joining.piece_order import is_here

Layout = tuple[Codes, Codes]
_FEW = 64  # ranges that there is room for to begin with


def settle_segment_ends(packets: Any, place: Codes, found: Assembly, layout: Layout) -> None:
    """Set `ends`, `within`, `lost_bytes` and `gone` of journeys that have segments, in place.

    Such a journey ended at the last hop some of whose bytes nobody shows further on, where others
    went on: there a segment was lost. Bytes may go on in a packet of another journey, if GRO put
    segments of several together. `place` by row; `layout`: the rows of the hops in order, and where
    each journey starts in them.
    """
    used = found.journey >= 0
    which = found.parted & used if len(found.parted) else np.zeros(len(used), np.bool_)
    carrier = found.carrier if len(found.carrier) else np.full(len(used), -1)
    which |= used & (carrier >= 0)
    if not which.any():
        return
    found.within = np.full(found.journeys, -1)
    found.lost_bytes = np.zeros(found.journeys, np.int64)
    carried, *gone = _settle(
        packets, found.numbers, *layout, np.unique(found.journey[which]), place, found.copy_of,
        carrier,
        found.ends, found.lost_bytes,
    )  # fmt: skip
    found.gone = np.zeros(len(gone[0]), GONE_DTYPE)
    for name, values in zip(("journey", "n", "begin", "bytes", "segments"), gone, strict=True):
        found.gone[name] = values
    has = np.flatnonzero(carried >= 0)
    has = has[found.journey[carried[has]] != has]
    found.within[has] = found.journey[carried[has]]


@inner_plain
def _ahead(numbers: Codes, row: int, other: int) -> int:
    # Bytes from the start of one packet to that of another; negative: it begins before.
    return int((numbers[other] - numbers[row] + (1 << 31)) % (1 << 32) - (1 << 31))


@jit
def _settle(
    p: Any, numbers: Codes, rows: Codes, starts: Codes, which: Codes, place: Codes, copy_of: Codes,
    carrier: Codes, ends: Codes, lost: Codes,
) -> tuple[Codes, Codes, Codes, Codes, Codes, Codes]:  # fmt: skip
    # Returns for each journey a row of what all that was left of it went on in, -1 for none; and
    # the columns of GONE_DTYPE.
    carried = filled(len(starts) - 1, -1)
    gone_in = np.empty((_FEW, 5), np.int64)
    count = 0
    for journey in which:
        start, stop = starts[journey], starts[journey + 1]
        last = rows[stop - 1]
        if _is_carried(p, numbers, rows, start, stop, last, place, carrier):
            carried[journey] = carrier[last]
        for i in range(stop - 1, start - 1, -1):
            row = rows[i]
            if copy_of[row] >= 0 or is_here(p, row, last, place):
                continue
            if count + stop - i + 1 > len(gone_in):
                more = np.empty((2 * len(gone_in) + stop - i + 1, 5), np.int64)
                more[:count] = gone_in[:count]
                gone_in = more
            before, count = count, _gone(p, numbers, rows, i, stop, place, carrier, gone_in, count)
            if before == count:
                continue
            gone_in[before:count, 0], gone_in[before:count, 1] = journey, i - start + 1
            if lost[journey] and not is_here(p, row, rows[ends[journey]], place):
                continue
            if not lost[journey]:
                ends[journey] = i
            lost[journey] += gone_in[before:count, 3].sum()
    g = gone_in[:count]
    return (
        carried, g[:, 0].copy(), g[:, 1].copy(), g[:, 2].copy(), g[:, 3].copy(), g[:, 4].copy()
    )  # fmt: skip


@inner_plain
def _is_carried(
    p: Any, numbers: Codes, rows: Codes, start: int, stop: int, last: int, place: Codes,
    carrier: Codes,
) -> bool:  # fmt: skip
    # Whether all that was seen at the last place went on in packets of others.
    for i in range(start, stop):
        row = rows[i]
        if (
            is_here(p, row, last, place)
            and _taken_along(p, numbers, row, carrier) < p[row].payload_len
        ):
            return False
    return True


@inner_plain
def _taken_along(p: Any, numbers: Codes, row: int, carrier: Codes) -> int:
    other = carrier[row]
    return 0 if other < 0 else _ahead(numbers, row, other) + int(p[other].payload_len)


@inner_plain
def _gone(
    p: Any, numbers: Codes, rows: Codes, i: int, stop: int, place: Codes, carrier: Codes,
    out: Codes, count: int,
) -> int:  # fmt: skip
    # Adds to `out`, which has `count`, ranges of the bytes of hop i that no later hop elsewhere
    # has: where each begins in it, its length, and how many segments it was; returns the new count.
    row = rows[i]
    size = int(p[row].payload_len)
    at = max(_taken_along(p, numbers, row, carrier), 0)
    segment = 0  # the longest of those it is elsewhere
    while at < size:
        reached, following = at, size
        for k in range(i + 1, stop):
            other = rows[k]
            if is_here(p, row, other, place):
                continue
            begin = _ahead(numbers, row, other)
            length = int(p[other].payload_len)
            if length < size and 0 <= begin < size:
                segment = max(segment, length)
            if begin <= at:
                reached = max(reached, begin + length)
            else:
                following = min(following, begin)
        if reached == at:
            gone = following - at
            out[count, 2], out[count, 3] = at, gone
            out[count, 4] = (gone + segment - 1) // segment if segment else 1
            count += 1
            reached = following
        at = reached
    return count
