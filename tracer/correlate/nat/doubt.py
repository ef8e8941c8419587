"""Which rows of equal fingerprint are one packet beyond doubt."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.jit import inner_plain, jit
from tracer.correlate.hashing import Codes, Keys
from tracer.correlate.nat.streams import Groups
from tracer.correlate.packets.duplicates import SOON_NS
from tracer.correlate.packets.identity import OWN, Identity
from tracer.correlate.packets.taken_up import is_routed_too, is_taken_up

Times = NDArray[np.int64]
MOST_ROWS_OF_ONE_PACKET = 512
NULL = np.uint64(NULL_U64)


@inner_plain
def _is_bridged(macs: Any, flow: Keys, a: int, b: int) -> bool:
    # What is from two stations to one, or from one to two, is two packets where tuples differ, too.
    src_mac, dst_mac = macs
    if src_mac[a] == NULL or src_mac[b] == NULL:
        return True
    src, dst = src_mac[a] == src_mac[b], dst_mac[a] == dst_mac[b]
    return bool(src or dst if flow[a] == flow[b] else src and dst)


@inner_plain
def differ(body: Keys, rows: Codes) -> bool:
    """Return whether rows have other bytes (`Identity.body`), as far as they are known."""
    if len(body) == 0:
        return False
    seen = np.uint64(0)
    for row in rows:
        if body[row] != 0 and seen != 0 and body[row] != seen:
            return True
        if body[row] != 0:
            seen = body[row]
    return False


@inner_plain
def _may_be_again(
    where: Any, flow: Keys, macs: Any, traits: NDArray[np.int8], time: Times, a: int, b: int
) -> bool:
    # Bridges with filter rules translate and leave the TTL as it is. The port and the bridge show
    # such a packet at once, as one where devices have no names. If the new destination is where it
    # came from, it is sent back: in and out are told, or the MAC that sent it gets it. Balancers
    # and inspectors on one device only pass it on: the MAC that got it sends it.
    place, point, several = where
    own = traits[b] & OWN
    if place[b] >= several:
        return bool(flow[a] != flow[b] and (own or abs(time[b] - time[a]) <= SOON_NS))
    src_mac, dst_mac = macs
    returned = src_mac[a] == dst_mac[b] and src_mac[a] != NULL and flow[a] != flow[b]
    passed_on = dst_mac[a] == src_mac[b] and dst_mac[a] != NULL and src_mac[a] != dst_mac[a]
    again = returned or passed_on or point[a] != point[b]
    return bool(own and (again or is_taken_up(macs, flow, time, a, b)))


@jit
def in_doubt(
    order: Codes, starts: Codes, ttl: Codes, macs: Any, where: Any, flow: Keys, body: Keys,
    time: Times, slack_ns: int, traits: NDArray[np.int8],
) -> NDArray[np.bool_]:  # fmt: skip
    """Return which groups (by falling TTL, then time) are not one packet beyond doubt.

    One packet is shown by no place twice at one TTL; times agree with the TTLs. MACs (source,
    destination) do, too. Packets that nothing else is equal to may come back where they were, and
    need not agree with MACs: some firewalls and tunnels leave the TTL as it is. `where`: `spot` and
    `point` of the rows, and from which spot on a point is several devices.
    """
    place = where[0]
    out = np.zeros(len(starts) - 1, np.bool_)
    for group in range(len(out)):
        start, stop = starts[group], starts[group + 1]
        level = start  # first row of this TTL
        before = latest = np.iinfo(np.int64).min // 2  # last time of higher TTLs, and of this too
        doubt = stop - start > MOST_ROWS_OF_ONE_PACKET or differ(body, order[start:stop])
        for i in range(start, start if doubt else stop):
            row = order[i]
            if ttl[row] != ttl[order[level]]:
                level, before = i, latest
            if not doubt and before > time[row] + slack_ns:
                own = traits[row] & OWN
                doubt = not (own and is_routed_too(order, start, i, ttl, macs, place, time))
            if i > level and not traits[row] & OWN:
                doubt = doubt or not _is_bridged(macs, flow, order[i - 1], row)
            for j in range(level, i):
                if place[order[j]] == place[row]:
                    again = _may_be_again(where, flow, macs, traits, time, order[j], row)
                    doubt = doubt or not again
            if doubt:
                break
            latest = max(latest, time[row])
        out[group] = doubt
    return out


def doubts(identity: Identity, groups: Groups, time: Codes, slack_ns: int) -> NDArray[np.bool_]:
    """Return `in_doubt` of groups of an identity's rows."""
    of = identity
    where = (of.spot, of.point, len(of.place_names))
    macs = (of.src_mac, of.dst_mac)
    found: NDArray[np.bool_] = in_doubt(
        *groups, of.ttl, macs, where, of.flow, of.body, time, slack_ns, of.traits
    )
    return found
