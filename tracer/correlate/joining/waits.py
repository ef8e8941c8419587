"""Packets that waited for a neighbour's address: what goes on seconds later is the same journey.

A router keeps a packet while it asks for the MAC of the next hop: RFC 4861, 7.2.2, and Linux for
ARP, too, three times, a second apart (`mcast_solicit`, `retrans_time_ms`). Then all that waited
goes out at once, in order, and nothing went to that neighbour before.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner, inner_plain, jit
from tracer.core.protocols import ICMPV6
from tracer.correlate.hashing import Codes, filled, pair_keys, roots, unite
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.nat.streams import Groups, Streams
from tracer.correlate.order.links import LinkOrder, is_before
from tracer.correlate.packets.groups import sort_rows
from tracer.correlate.packets.identity import OWN, Identity

LONGEST_NS = 3_500_000_000  # three questions, and the time to say so
AT_ONCE_NS = 20_000_000  # what waited goes out within this
MOST_WAITING = 64  # equal packets that are looked at
MOST_NEAR = 256  # rows of equal packets before one that are looked at
LATER, RIVAL = 1, 2  # what makes a pair ambiguous
_SOLICITATION, _REDIRECT = 133, 137

Mask = NDArray[np.bool_]


def merge_waits(
    packets: Any, identity: Identity, streams: Streams, lifetime: Codes, found: Assembly,
    groups: Groups, time: Codes, links: LinkOrder, least_ns: int,
) -> None:  # fmt: skip
    """Give what goes on after `least_ns` or more the journey that ended before it, in place.

    It begins where packets usually go on from that end, at no point where the former was seen,
    with no higher TTL, and together with the first of all that went to the neighbour since. It has
    the tuple of that end, or the one known to come of it; a packet that hardly another is equal to
    may have a new one at one end, and tells that it came of it. Where several equal packets may be
    it, they go on in their order and are ambiguous.

    `groups`: rows of equal fingerprint; `lifetime`: of the kernel buffer of each row, -1 for none
    (no element: no kernel was watched).
    """
    usual = links.votes >= 2
    goes_on, comes_on = np.zeros(len(links.name), np.bool_), np.zeros(len(links.name), np.bool_)
    goes_on[(links.keys[usual] >> np.uint64(32)).astype(np.int64)] = True
    comes_on[(links.keys[usual] & np.uint64(0xFFFFFFFF)).astype(np.int64)] = True
    of_rows = (streams.flow_class, links.link, time, lifetime, streams.named, identity.traits)
    journeys = (found.journey, found.copy_of, found.journeys)
    ends, begins, rival = _pairs(
        packets, *groups, journeys, of_rows, (links.keys, links.votes, goes_on, comes_on), least_ns
    )
    if not len(ends):
        return
    chosen = _are_first(packets, links.link, time, ends, begins)
    chosen &= _may_be_one_flow(streams.flow_class, links.link, ends, begins)
    ends, begins, rival = ends[chosen], begins[chosen], rival[chosen]
    if len(ends):
        merged = _merge(found, time, ends, begins, rival)
        classes = streams.flow_class  # what is one packet is of one class
        unite(classes, classes[ends[merged]], classes[begins[merged]])


@inner_plain
def _ends_of(
    p: Any, rows: Codes, journey: Codes, copy_of: Codes, time: Codes, begin: Codes, end: Codes
) -> None:
    # The first and the last row of each journey: by falling TTL, then time. -2 where time does not
    # say the same.
    for row in rows:
        if journey[row] < 0 or copy_of[row] >= 0:
            continue
        j = journey[row]
        a, b = begin[j], end[j]
        if a == -1:
            begin[j] = end[j] = row
            continue
        if a >= 0 and (p[row].ttl > p[a].ttl or (p[row].ttl == p[a].ttl and time[row] < time[a])):
            begin[j] = row
        if b >= 0 and (p[row].ttl < p[b].ttl or (p[row].ttl == p[b].ttl and time[row] > time[b])):
            end[j] = row
    for row in rows:
        j = journey[row]
        if j >= 0 and copy_of[row] < 0:
            if begin[j] >= 0 and time[row] < time[begin[j]]:
                begin[j] = -2
            if end[j] >= 0 and time[row] > time[end[j]]:
                end[j] = -2


@inner_plain
def _share_link(p: Any, rows: Codes, prev: Codes, e: int, last: int, link: Codes) -> bool:
    # Whether the journeys that end at two places of `rows` were seen at one link at one TTL.
    while e >= 0:
        i = last
        while i >= 0:
            if link[rows[e]] == link[rows[i]] and p[rows[e]].ttl == p[rows[i]].ttl:
                return True
            i = prev[i]
        e = prev[e]
    return False


@inner_plain
def _is_overtaken(rows: Codes, prev: Codes, e: int, b: int, of_rows: Any) -> bool:
    # Whether an equal packet that came later than the one at `e` left earlier than the one at `b`.
    flow_class, link, time, _, _, _ = of_rows
    for i in range(b - 1, max(b - MOST_NEAR, e), -1):
        if link[rows[i]] != link[rows[b]] or flow_class[rows[i]] != flow_class[rows[b]]:
            continue
        k = prev[i]
        while k >= 0 and link[rows[k]] != link[rows[e]]:
            k = prev[k]
        if k >= 0 and time[rows[k]] > time[rows[e]]:
            return True
    return False


@inner_plain
def _may_go_on(p: Any, e: int, b: int, of_rows: Any, ways: Any) -> bool:
    flow_class, link, _, lifetime, named, traits = of_rows
    keys, votes, _, _ = ways
    if p[e].ttl < p[b].ttl:
        return False
    if flow_class[e] != flow_class[b] and named[e] != named[b]:
        x, y = p[e], p[b]
        src = x.src_hi == y.src_hi and x.src_lo == y.src_lo
        dst = x.dst_hi == y.dst_hi and x.dst_lo == y.dst_lo
        if not (src or dst) or not traits[e] & traits[b] & OWN or x.ip_id != y.ip_id:
            return False
    if len(lifetime) and lifetime[e] >= 0 and lifetime[b] >= 0:
        return False
    return is_before(keys, votes, link[e], link[b])


@inner
def _chains(rows: Codes, journey: Codes, copy_of: Codes, latest: Codes) -> Codes:
    # The place in `rows` before each of the same journey, -1 for none; `latest`: of each journey.
    prev = filled(len(rows), -1)
    for row in rows:
        if journey[row] >= 0:
            latest[journey[row]] = -1
    for i in range(len(rows)):
        if journey[rows[i]] >= 0 and copy_of[rows[i]] < 0:
            prev[i] = latest[journey[rows[i]]]
            latest[journey[rows[i]]] = i
    return prev


@jit
def _pairs(
    p: Any, order: Codes, starts: Codes, journeys: Any, of_rows: Any, ways: Any, least_ns: int
) -> tuple[Codes, Codes, Codes]:
    # Rows that end a journey, rows that begin one that may be its further way, and LATER where an
    # equal packet came later and left earlier; RIVAL where the row's own journey waited, too.
    journey, copy_of, journey_count = journeys
    flow_class, link, time, _, _, _ = of_rows
    _, _, goes_on, comes_on = ways
    begin, end = filled(journey_count, -1), filled(journey_count, -1)
    latest = filled(journey_count, -1)
    ends, begins = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    rival = np.zeros(len(order), np.int64)
    zeros = np.zeros(len(time), np.int64)
    count = 0
    for group in range(len(starts) - 1):
        start, stop = starts[group], starts[group + 1]
        several = False
        for i in range(start + 1, stop):
            several = several or journey[order[i]] != journey[order[start]]
        if not several:
            continue
        rows = order[start:stop].copy()
        none: Any = np.int64(0)  # as in all other calls: one compilation
        sort_rows(rows, none, len(rows), zeros, time, link)
        _ends_of(p, rows, journey, copy_of, time, begin, end)
        prev = _chains(rows, journey, copy_of, latest)
        waiting = np.empty(len(rows), np.int64)
        waits = 0
        for i in range(len(rows)):
            b = rows[i]
            if journey[b] < 0 or copy_of[b] >= 0:
                continue
            a = rows[prev[i]] if prev[i] >= 0 else -1
            may_come = begin[journey[b]] == b or (a >= 0 and time[b] - time[a] > AT_ONCE_NS)
            if may_come and comes_on[link[b]]:
                for k in range(waits - 1, max(waits - MOST_WAITING, 0) - 1, -1):
                    e = rows[waiting[k]]
                    gap = time[b] - time[e]
                    if gap > LONGEST_NS or count == len(ends):
                        break
                    if a >= 0:
                        found = link[e] == link[a] and flow_class[e] == flow_class[b]
                        kind = RIVAL
                    else:
                        found = gap > least_ns and _may_go_on(p, e, b, of_rows, ways)
                        last = latest[journey[b]]
                        found = found and not _share_link(p, rows, prev, waiting[k], last, link)
                        kind = 0
                        if found and _is_overtaken(rows, prev, waiting[k], i, of_rows):
                            kind = LATER
                    if found:
                        ends[count], begins[count], rival[count] = e, b, kind
                        count += 1
            if end[journey[b]] == b and goes_on[link[b]]:
                waiting[waits] = i
                waits += 1
    return ends[:count].copy(), begins[:count].copy(), rival[:count].copy()


def _are_first(packets: Any, link: Codes, time: Codes, ends: Codes, begins: Codes) -> Mask:
    # Whether each of `begins` goes out with the first that went over its link since `ends`.
    out = np.ones(len(ends), np.bool_)
    rows = np.flatnonzero(np.isin(link, link[begins]) & (packets["ip_version"] > 0))
    kind = packets["icmp_type"][rows]
    asks = (packets["proto"][rows] == ICMPV6) & (kind >= _SOLICITATION) & (kind <= _REDIRECT)
    rows = rows[~asks]  # they go to neighbours by other addresses of theirs
    version = packets["ip_version"]
    for of in np.unique(link[begins]):
        for family in (4, 6):
            mine = np.flatnonzero((link[begins] == of) & (version[begins] == family))
            seen = np.sort(time[rows[(link[rows] == of) & (version[rows] == family)]])
            after = np.searchsorted(seen, time[ends[mine]], "right")
            first = seen[np.minimum(after, len(seen) - 1)]
            out[mine] = time[begins[mine]] - first <= AT_ONCE_NS
    return out


def _may_be_one_flow(flow_class: Codes, link: Codes, ends: Codes, begins: Codes) -> Mask:
    # Where two classes are to be one, neither is known where the other one is.
    two = np.flatnonzero(flow_class[ends] != flow_class[begins])
    out = np.ones(len(ends), np.bool_)
    if len(two):
        seen = pair_keys(np.maximum(flow_class, 0), link)
        there = np.isin(pair_keys(flow_class[ends[two]], link[begins[two]]), seen)
        there |= np.isin(pair_keys(flow_class[begins[two]], link[ends[two]]), seen)
        out[two] = ~there
    return out


def _merge(found: Assembly, time: Codes, ends: Codes, begins: Codes, rival: Codes) -> Codes:
    # Returns which of the pairs are one.
    before, after = found.journey[ends], found.journey[begins]
    rivals = np.maximum(_counts(before), _counts(after)) + (rival > 0)
    parent = np.arange(found.journeys)
    doubtful = np.zeros(found.journeys, np.bool_)
    taken: set[int] = set()
    merged = []
    # A queue gives up its oldest packet where it is full: the last to come are the last to go.
    for i in np.lexsort((-time[ends], -time[begins])).tolist():
        e, b = int(before[i]), int(after[i])
        if rival[i] == RIVAL:
            doubtful[[e, b]] = True
            found.candidates[begins[i]] = max(found.candidates[begins[i]], rivals[i])
            continue
        if parent[b] != b or e in taken:
            continue
        parent[b] = e
        taken.add(e)
        merged.append(i)
        if rivals[i] > 1:
            doubtful[[e, b]] = True
            found.candidates[begins[i]] = max(found.candidates[begins[i]], rivals[i])
    used = found.journey >= 0
    unsure = np.flatnonzero(used)[doubtful[found.journey[used]]]
    found.ambiguous[unsure] = found.repeated[unsure] = True
    found.merge(roots(parent))
    return np.array(merged, np.int64)


def _counts(codes: Codes) -> Codes:
    _, of, counts = np.unique(codes, return_inverse=True, return_counts=True)
    return counts[of]
