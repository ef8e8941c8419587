"""Packets that a host passes on twice: bridged, and taken up by the bridge and routed as well.

A bridge that somebody listens to (tcpdump makes it promiscuous) gives its host a copy of what it
passes from port to port. Where filter rules see what is bridged (br_netfilter), the host routes
such a copy to the same station. Both arrive, the routed one with a lower TTL, and neither comes
after the other.
"""

from typing import Any

import numpy as np

from tracer.core.address import NULL_U64
from tracer.core.jit import inner_plain, jit
from tracer.correlate.hashing import Codes, Keys
from tracer.correlate.packets.duplicates import COPY_NS, SOON_NS

_NULL = np.uint64(NULL_U64)


@inner_plain
def is_taken_up(macs: Any, flow: Keys, time: Codes, a: int, b: int) -> bool:
    """Return whether row `b`, of the same place and TTL as `a`, may be the copy of a bridge.

    It has the MAC of the sender, which the bridge left out when it gave the packet to itself.
    """
    src_mac, dst_mac = macs
    one = src_mac[a] != src_mac[b] and dst_mac[a] == dst_mac[b] and dst_mac[a] != _NULL
    return bool(one and flow[a] == flow[b] and abs(time[b] - time[a]) <= SOON_NS)


@inner_plain
def is_routed_too(
    order: Codes, start: int, i: int, ttl: Codes, macs: Any, place: Codes, time: Codes
) -> bool:
    """Return whether the place of `order[i]` shows its packet on the way to one MAC before, too.

    With a higher TTL: it was bridged to that station as well as routed.
    """
    row, (_, dst_mac) = order[i], macs
    if dst_mac[row] == _NULL:
        return False
    for j in range(start, i):
        other = order[j]
        if place[other] == place[row] and ttl[other] > ttl[row] and dst_mac[other] == dst_mac[row]:
            return bool(abs(time[row] - time[other]) <= COPY_NS)
    return False


@inner_plain
def is_doubled(hops: Codes, start: int, stop: int, ttl: Codes, macs: Any, place: Codes) -> bool:
    """Return whether a place shows the packet of some hops twice on its way to one station.

    With other TTLs, or from other senders. Most packets are known at a glance to be at no place
    twice.
    """
    src_mac, dst_mac = macs
    seen, again = np.uint64(0), False
    for i in range(start, stop):
        bit = np.uint64(1) << np.uint64(place[hops[i]] & 63)
        again = again or seen & bit != 0
        seen |= bit
    if not again:
        return False
    for i in range(start, stop):
        for j in range(start, i):
            a, b = hops[i], hops[j]
            if place[a] != place[b] or dst_mac[a] != dst_mac[b] or dst_mac[a] == _NULL:
                continue
            if ttl[a] != ttl[b] or src_mac[a] != src_mac[b]:
                return True
    return False


@inner_plain
def came_from(
    hops: Codes, start: int, i: int, before: int, ttl: Codes, macs: Any, flow: Keys, copy_of: Codes
) -> int:
    """Return which hop of a doubled packet hop `i` came from; `before` where nothing tells.

    At its TTL the latest with the same MACs and tuple, else with one of them and the tuple, else
    with one of them; where it begins a TTL, the latest above that has its tuple.
    """
    src_mac, dst_mac = macs
    row, best, rank = hops[i], before, 0
    for j in range(i - 1, start - 1, -1):
        other = hops[j]
        if copy_of[other] >= 0:
            continue
        if ttl[other] != ttl[row]:
            if rank or flow[other] == flow[row]:
                return best if rank else j
            continue
        same = (src_mac[other] == src_mac[row]) + (dst_mac[other] == dst_mac[row])
        fits = 0 if same == 0 else 1 + (same + 1 if flow[other] == flow[row] else 0)
        if fits > rank:
            best, rank = j, fits
    return best


@jit
def ends_of_doubled(
    place: Codes, ttl: Codes, dst_mac: Keys, hops: Codes, starts: Codes, parent: Codes,
    doubled: Codes,
) -> Codes:  # fmt: skip
    """Return which hop (an index of `hops`) says how each of some doubled packets ended.

    Of its two ways that is the end of the one that came further: to a place from which neither
    went on; else, if it was last seen where its ways part, to where it was bridged on the way to
    the station that it is routed to as well, or what the bridge took a copy of.
    """
    ends = starts[doubled + 1] - 1
    for k in range(len(doubled)):
        start, stop = starts[doubled[k]], starts[doubled[k] + 1]
        last, bridged, found = hops[stop - 1], -1, False
        for i in range(stop - 1, start, -1):
            row = hops[i]
            if not found and not _is_left(hops, start, stop, parent, place, place[row]):
                ends[k], found = i, True
            same = dst_mac[row] == dst_mac[last] and ttl[row] > ttl[last]
            if bridged < 0 and same and place[row] != place[last]:
                bridged = i
        before = start + parent[stop - 1] - 1
        if found or place[last] != place[hops[before]]:
            continue
        if ttl[last] == ttl[hops[before]]:
            ends[k] = before
        elif bridged >= 0:
            ends[k] = bridged
    return ends


@inner_plain
def _is_left(hops: Codes, start: int, stop: int, parent: Codes, place: Codes, here: int) -> bool:
    left = False
    for i in range(start, stop):
        left = left or (parent[i] > 0 and place[hops[start + parent[i] - 1]] == here)
    return left
