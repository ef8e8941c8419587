"""Copies: the same packet shown twice at one point by a SPAN port or a second tcpdump.

What a point of several devices shows twice is a copy until hops are told: it is the next device.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain, jit
from tracer.core.protocols import ETHERTYPE_ARP, ICMPV6
from tracer.correlate.hashing import Codes, filled

MOST_ROWS = 64
JITTER_NS = 5_000
OFTEN = 5  # copies of numbered packets that make a point one that doubles
SHARE = 4  # of packets that TCP alone numbers, which it sends again, one of so many has to be twice
ENOUGH = 50  # numbered packets, of which hardly any came twice, that make it one that does not
FEW = 20  # numbered packets, none of which came twice, that do, too
BUCKETS = 32  # of how late copies are
SINGLE = -2
SOON_NS = 100_000  # without a number of its own, what comes later than this is another packet
COPY_NS = 1_000_000  # nobody sends two packets with one IP id this close: a second one is a copy
QUEUED_NS = 50_000_000  # between a bridge and its port: CNI's shaper holds packets for 25 ms


@inner_plain
def is_numbered(p: Any, row: int) -> bool:
    """Return whether equal is one: it has an IP id, an echo's number, or numbered TCP bytes."""
    return has_id(p, row) or bool(p[row].tcp_seq >= 0 and p[row].payload_len > 0)


@inner_plain
def has_id(p: Any, row: int) -> bool:
    """Return whether a packet has an IP id or an echo's number: TCP bytes may be sent again."""
    return bool(p[row].ip_id > 0 or p[row].icmp_seq >= 0)


@inner_plain
def _is_sent_once(p: Any, row: int) -> bool:
    # What nobody sends again at once: SYN and FIN have numbers of their own; ARP and ICMPv6 (which
    # finds neighbours, too) wait for a second.
    if p[row].ethertype == ETHERTYPE_ARP or p[row].proto == ICMPV6:
        return True
    return bool(p[row].tcp_flags >= 0 and p[row].tcp_flags & 0x03)


@inner_plain
def _are_all_pairs(
    order: Codes, start: int, stop: int, stream: Codes, time: Codes, of: int
) -> bool:
    # Whether the rows of one stream come two by two, each two at one moment.
    for i in range(start, stop):
        at_once = 0
        for j in range(start, stop):
            at_once += stream[order[j]] == stream[of] and time[order[j]] == time[order[i]]
        if stream[order[i]] == stream[of] and at_once != 2:
            return False
    return True


@inner_plain
def _is_partly_doubled(p: Any, order: Codes, start: int, stop: int, stream: Codes) -> bool:
    # Shown once on some links and twice on others: one packet that some captures doubled. Several
    # equal packets would mostly be several everywhere.
    if stop - start > MOST_ROWS:
        return False
    least, most = stop - start, 0
    for i in range(start, stop):
        same = 0
        for j in range(start, stop):
            a, b = order[i], order[j]
            same += stream[a] == stream[b] and p[a].ttl == p[b].ttl
        least, most = min(least, same), max(most, same)
    return least == 1 and most == 2


@inner_plain
def _bucket(late: int) -> int:
    bucket = 0
    while late >> bucket and bucket < BUCKETS - 1:
        bucket += 1
    return bucket


@inner_plain
def _usual(twice: Codes, total: Codes) -> int:
    # The mean of most: what is twice as late as half of them was sent again.
    half, count, late, bucket = twice.sum() // 2, np.int64(0), np.int64(0), 0
    while bucket < BUCKETS:
        is_last = count > half
        count, late = count + twice[bucket], late + total[bucket]
        if is_last:
            break
        bucket += 1
    return int(late // count)


@jit
def _habits(
    p: Any, order: Codes, starts: Codes, stream: Codes, time: Codes, points: int, several: Any
) -> Any:
    # How long after the packet each point shows a copy of it, as its numbered packets tell; SINGLE
    # where it shows hardly any of many twice, -1 where they are too few to tell. Those with an id
    # are asked first, if they are enough: no sender repeats them (row 0; row 1: all that have a
    # number). Where none has, what comes twice here mostly does so everywhere if hosts send it
    # twice.
    seen = np.zeros((2, points), np.int64)
    twice = np.zeros((2, points, BUCKETS), np.int64)  # by how late, in powers of two
    total = np.zeros((2, points, BUCKETS), np.int64)
    everywhere = np.zeros(points, np.int64)  # how often what has no number came twice on all links
    partly = np.zeros(points, np.int64)
    for group in range(len(starts) - 1):
        start, stop = starts[group], starts[group + 1]
        asked, doubled = False, False
        for i in range(start, stop):
            row = order[i]
            if not is_numbered(p, row):
                if _earlier(p, order, start, i, stream, time, SOON_NS, several) < 0:
                    continue
                if not asked:
                    asked = True
                    doubled = _is_partly_doubled(p, order, start, stop, stream)
                partly[p[row].point] += doubled
                everywhere[p[row].point] += not doubled
                continue
            longest = _longest(p, row, several)
            other = _earlier(p, order, start, i, stream, time, longest, several)
            for of in range(0 if has_id(p, row) else 1, 2):
                seen[of, p[row].point] += 1
                if other >= 0:
                    late = time[row] - time[other]
                    twice[of, p[row].point, _bucket(late)] += 1
                    total[of, p[row].point, _bucket(late)] += late
    usual = filled(points, -1)
    for point in range(points):
        of, share = (0, 50) if seen[0, point] >= ENOUGH else (1, SHARE)
        again = twice[of, point].sum()
        if again >= OFTEN and again * share >= seen[of, point]:
            usual[point] = _usual(twice[of, point], total[of, point])
            continue
        once = seen[of, point] >= (ENOUGH if again else FEW) and again * 50 < seen[of, point]
        if once or (everywhere[point] >= OFTEN and everywhere[point] > partly[point]):
            usual[point] = SINGLE
    return usual


@jit
def _paired(
    p: Any, order: Codes, starts: Codes, stream: Codes, time: Codes, habit: Codes, several: Any
) -> NDArray[np.bool_]:
    # Which streams two devices of a point show: packets come twice there, about each of them.
    streams = 0
    for row in order:
        streams = max(streams, stream[row] + 1)
    seen = np.zeros(streams, np.int64)
    twice = np.zeros(streams, np.int64)
    for group in range(len(starts) - 1):
        for i in range(starts[group], starts[group + 1]):
            row = order[i]
            if not several[p[row].point]:
                continue
            seen[stream[row]] += 1
            longest = _longest(p, row, several)
            other = _earlier(p, order, starts[group], i, stream, time, longest, several)
            most = 4 * max(habit[p[row].point], 0) + JITTER_NS
            twice[stream[row]] += other >= 0 and time[row] - time[other] <= most
    return 3 * twice >= seen


@inner_plain
def _longest(p: Any, row: int, several: Any) -> int:
    # How long before a packet that a row copies may have been shown.
    queued = len(several) > 0 and several[p[row].point] and p[row].ip_id > 0
    return QUEUED_NS if queued else COPY_NS


@inner_plain
def _earlier(
    p: Any, order: Codes, start: int, i: int, stream: Codes, time: Codes, longest: int, several: Any
) -> int:
    # The latest row of the group that shows the same at the same link, `longest` before at most. On
    # one link it has one IP id; a host of several devices may put it together and cut it again.
    row = order[i]
    shared = len(several) > 0 and several[p[row].point]
    j = i - 1
    while j >= start and time[row] - time[order[j]] <= longest:
        is_id = shared or p[order[j]].ip_id == p[row].ip_id
        if is_id and stream[order[j]] == stream[row] and p[order[j]].ttl == p[row].ttl:
            a, b = p[order[j]], p[row]
            cut = a.payload_digest == 0 or b.payload_digest == 0
            return int(order[j]) if cut or a.payload_digest == b.payload_digest else -1
        j -= 1
    return -1


@inner_plain
def _may_be_twice(order: Codes, start: int, stop: int, stream: Codes) -> bool:
    # Whether a stream may be there twice: never where it is not, hardly ever else (two bits each).
    low = high = np.uint64(0)
    for i in range(start, stop):
        number = np.uint64(stream[order[i]])
        a = np.uint64(1) << (number & np.uint64(63))
        b = np.uint64(1) << ((number >> np.uint64(6)) & np.uint64(63))
        if low & a and high & b:
            return True
        low |= a
        high |= b
    return False


@jit
def _copies(
    p: Any, order: Codes, starts: Codes, stream: Codes, time: Codes, habit: Codes, devices: Any
) -> tuple[Codes, bool]:
    # The copies, and whether some packets without an id may be some.
    copy_of = filled(len(p), -1)
    several, paired = devices
    mixed, longest = len(several) > 0, COPY_NS
    unknown = False
    for group in range(len(starts) - 1):
        asked, doubled = False, False
        start, stop = starts[group], starts[group + 1]
        if not _may_be_twice(order, start, stop, stream):
            continue
        for i in range(start + 1, stop):
            row = order[i]
            if mixed:
                longest = _longest(p, row, several)
            other = _earlier(p, order, start, i, stream, time, longest, several)
            if other < 0:
                continue
            usual = habit[p[row].point]
            numbered = is_numbered(p, row)
            soon = time[row] - time[other] <= SOON_NS
            if not numbered and not soon:
                continue
            unknown = unknown or not has_id(p, row)
            known = has_id(p, row) or (numbered and soon and usual == -1)
            shared = len(several) > 0 and several[p[row].point]
            known = known or (shared and _is_sent_once(p, row))
            if shared:
                usual = max(usual, 0) if paired[stream[row]] else -1
            known = known or (usual >= 0 and time[row] - time[other] <= 4 * usual + JITTER_NS)
            if shared and not known and time[row] == time[other] and stop - start <= MOST_ROWS:
                known = _are_all_pairs(order, start, stop, stream, time, row)
            maybe = not known and not shared and usual != SINGLE and soon
            if maybe and not asked:
                asked = True
                doubled = _is_partly_doubled(p, order, start, stop, stream)
            if known or (maybe and doubled):
                copy_of[row] = other if copy_of[other] < 0 else copy_of[other]
    return copy_of, unknown


def copies(
    p: Any, order: Codes, starts: Codes, stream: Codes, time: Codes, points: int,
    several: NDArray[np.bool_],
) -> tuple[Codes, NDArray[np.bool_]]:  # fmt: skip
    """Return for each row the earlier row it is a copy of, -1 for none, and rows that have none.

    Shapes (rows,). Groups are rows of equal fingerprint in time order; a copy is on the same link
    at the same TTL. A packet without a number of its own is a copy where its point is known to
    double others, and none where it is known to show others once; nor are TCP bytes without an IP
    id then, which are sent again within a millisecond where the way is short. `several`: whether
    each point is several devices; no element where none is.
    """
    groups = (p, order, starts, stream, time)
    paired = several
    habit = np.full(points, -1, np.int64)
    if len(several):
        paired = _paired(*groups, habit, several)
    found: Codes
    found, unknown = _copies(*groups, habit, (several, paired))
    if unknown:
        habit = _habits(*groups, points, several)
        if len(several):
            paired = _paired(*groups, habit, several)
        found, _ = _copies(*groups, habit, (several, paired))
    once = np.append(habit, -1) == SINGLE
    single: NDArray[np.bool_] = once[p["point"]] if once.any() else np.zeros(len(p), np.bool_)
    return found, single


@jit
def one_by_one(
    p: Any, stream: Codes, several: NDArray[np.bool_], single: NDArray[np.bool_]
) -> Codes:
    """Return `stream`, but a stream for each row that is no copy and has nothing that says which.

    Those are all rows without an id that `copies` says to be `single`; and those without a number
    of points that are `several` (no element where none is), which it would have named as shown
    again by another device.
    """
    out = stream.copy()
    for row in range(len(p)):
        shared = len(several) > 0 and several[row] and not _is_sent_once(p, row)
        if (single[row] and not has_id(p, row)) or (shared and not is_numbered(p, row)):
            out[row] = -1 - row
    return out


@jit
def without(order: Codes, starts: Codes, left_out: NDArray[np.bool_]) -> tuple[Codes, Codes]:
    """Return (order, starts) of the same groups without some rows."""
    kept = np.empty(len(order), np.int64)
    begins = np.zeros(len(starts), np.int64)
    count = 0
    for group in range(len(starts) - 1):
        for i in range(starts[group], starts[group + 1]):
            if not left_out[order[i]]:
                kept[count] = order[i]
                count += 1
        begins[group + 1] = count
    return kept[:count].copy(), begins
