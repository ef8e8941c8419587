"""Places that frames between two stations come to once they have passed the whole way.

A bridge that is captured itself (tcpdump makes it promiscuous) gets a copy of what its ports hand
on to each other, often after the port that sends. Where frames of both directions show that, the
copy is no part of the way.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import GROUP_BIT, NULL_U64
from tracer.core.jit import inner_plain, jit_plain
from tracer.correlate.hashing import Codes, Keys, factorise, first_at_least, pair_keys
from tracer.correlate.order.pairs import PairVotes
from tracer.correlate.packets.identity import Identity

Mask = NDArray[np.bool_]
ENOUGH, CLEARLY = 3, 10  # packets for an order, and as many times more than against it
_MOST = 1 << 16  # places that a key has room for
_HALF = np.uint64(1 << 32)


def beyond_ends(identity: Identity, first: Codes, of_links: PairVotes) -> Mask:
    """Return for each link whether frames come there after both ends of their way, both ways.

    `first`: a row of each link. Frames with equal stamps do not count: these are of one moment. Two
    places that frames cross one way round and answers the other way lie on the way; what is after
    the second of them, and in answers after the first, would be beyond either end.
    """
    out = np.zeros(len(first), np.bool_)
    votes = of_links.votes - of_links.tied
    before, after = (each.astype(np.int64) for each in np.divmod(of_links.keys, _HALF))
    one, other = first[before], first[after]
    src, dst, place = identity.src_mac, identity.dst_mac, identity.place
    told = (src[one] == src[other]) & (dst[one] == dst[other]) & (src[one] != dst[one])
    told &= (src[one] != NULL_U64) & (dst[one] & np.uint64(GROUP_BIT) == 0)
    told &= (identity.clock[one] == identity.clock[other]) & (place[one] != place[other])
    told &= (place[one] >= 0) & (place[other] >= 0) & (votes > 0)
    if len(identity.tunnel):
        told &= (identity.tunnel[one] == 0) & (identity.tunnel[other] == 0)
    if not told.any() or int(place.max()) >= _MOST:
        return out
    one, other, after = one[told], other[told], after[told]
    source, target = np.split(factorise(np.concatenate([src[one], dst[one]]))[0], 2)
    pair, _ = factorise(pair_keys(np.minimum(source, target), np.maximum(source, target)))
    way = (2 * pair + (source > target)).astype(np.uint64) << np.uint64(32)
    here, there = place[one].astype(np.uint64), place[other].astype(np.uint64)
    steps, turned = (way | a << np.uint64(16) | b for a, b in ((here, there), (there, here)))
    codes, where = factorise(steps)  # links of several VLANs are one way
    total = np.bincount(codes, weights=votes[told], minlength=len(where))
    by_key = np.argsort(steps[where])
    known, total = steps[where][by_key], total[by_key]
    at = np.minimum(np.searchsorted(known, turned[where][by_key]), len(known) - 1)
    against = np.where(known[at] == turned[where][by_key], total[at], 0)
    clear = known[(total >= ENOUGH) & (total >= CLEARLY * against)]
    beyond = np.empty(len(clear), np.bool_)
    _beyond(clear, beyond)
    out[after[np.isin(steps, clear[beyond])]] = True
    return out


@inner_plain
def _holds(steps: Keys, way: Any, one: Any, other: Any) -> bool:
    key = way | one << np.uint64(16) | other
    at = first_at_least(steps, key)
    return bool(at < len(steps) and steps[at] == key)


@jit_plain
def _beyond(steps: Keys, beyond: Mask) -> None:
    # Of sorted steps (way, place before, place after), which lead off the way: the place before is
    # the far end of one to which there is another, and so for answers.
    low = np.uint64(0xFFFF)
    beyond[:] = False
    for i in range(len(steps)):
        way = steps[i] & ~np.uint64(0xFFFFFFFF)
        back = way ^ (np.uint64(1) << np.uint64(32))
        end, place = (steps[i] >> np.uint64(16)) & low, steps[i] & low
        for j in range(first_at_least(steps, back | end << np.uint64(16)), len(steps)):
            if steps[j] >> np.uint64(16) != (back | end << np.uint64(16)) >> np.uint64(16):
                break
            near = steps[j] & low
            if _holds(steps, way, near, end) and _holds(steps, back, near, place):
                beyond[i] = True
                break
