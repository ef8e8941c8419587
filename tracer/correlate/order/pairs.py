"""Which of two links packets cross first, by the times of all that crossed both.

Where stamps are too coarse to tell of one packet, many of them do: the stamps err both ways. Links
that are not neighbours are compared, too, as these are further apart than neighbours.
"""

from typing import Any

import numpy as np

from tracer.core.address import GROUP_BIT, NULL_U64
from tracer.core.jit import inner_plain, jit
from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys
from tracer.correlate.packets.identity import Identity

MOST_HOPS = 64  # of a journey that is looked at
GROUP = np.uint64(GROUP_BIT)


def votes_of_pairs(
    link: Codes, rows: Codes, starts: Codes, ttl: Codes, time: Codes, every: int = 1
) -> tuple[Keys, Codes]:
    """Return pairs of links as `LinkOrder.keys` has them, sorted, and the votes for that order.

    `rows` of journey j are those from `starts[j]` on, by falling TTL, then time; `link`, `ttl` and
    `time` (nanoseconds) by row. Links at which a packet has one TTL are compared, of one journey in
    `every`.
    """
    first, second = _pairs(link, rows, starts, ttl, time, every)
    keys, votes = np.unique(pair_keys(first, second), return_counts=True)
    return keys, votes.astype(np.int64)


@inner_plain
def _write(
    link: Codes, rows: Codes, starts: Codes, ttl: Codes, time: Codes, every: int, out: Any
) -> int:
    # Counts pairs, and writes those that `out` has room for.
    first, second = out
    count = 0
    for journey in range(0, len(starts) - 1, every):
        start, stop = starts[journey], starts[journey + 1]
        if stop - start > MOST_HOPS:
            continue
        for i in range(start, stop):
            j = i + 1
            while j < stop and ttl[rows[j]] == ttl[rows[i]]:
                if time[rows[j]] > time[rows[i]]:
                    if count < len(first):
                        first[count], second[count] = link[rows[i]], link[rows[j]]
                    count += 1
                j += 1
    return count


@jit
def _pairs(
    link: Codes, rows: Codes, starts: Codes, ttl: Codes, time: Codes, every: int
) -> tuple[Codes, Codes]:
    none = np.empty(0, np.int64)
    count = _write(link, rows, starts, ttl, time, every, (none, none))
    first, second = np.empty(count, np.int64), np.empty(count, np.int64)
    _write(link, rows, starts, ttl, time, every, (first, second))
    return first, second


def votes_of_stations(
    identity: Identity, first: Codes, keys: Keys, votes: Codes
) -> tuple[Codes, Codes, Keys, Codes]:
    """Return codes of each link's point and sender, and of its point and receiver; keys and votes.

    These say which frames of a station's come to one code before another. `first`: a row of each
    link; `keys` and `votes`: of links, as `votes_of_pairs` has them. Frames pass devices on the way
    to a station in the opposite order of those that come from it, as bridges have no loops; so
    what stamps leave open is known from other frames. Linux gives a received frame one stamp for
    all devices that are stacked on each other: a port and its bridge or bond.
    """
    point = identity.point[first]
    src, dst = identity.src_mac[first], identity.dst_mac[first]
    codes, _ = factorise(np.concatenate([mixed(mac, point) for mac in (src, dst)]))
    sender, receiver = np.split(codes, 2)
    before = (keys >> np.uint64(32)).astype(np.int64)
    after = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    sent, got = (
        (mac[before] == mac[after]) & (mac[before] != NULL_U64) & (mac[before] & GROUP == 0)
        for mac in (src, dst)
    )
    pairs = np.concatenate([
        pair_keys(sender[before[sent]], sender[after[sent]]),
        pair_keys(receiver[after[got]], receiver[before[got]]),
    ])  # fmt: skip
    codes, where = factorise(pairs)
    count = np.concatenate([votes[sent], votes[got]])
    total = np.bincount(codes, weights=count, minlength=len(where)).astype(np.int64)
    by_key = np.argsort(pairs[where])
    return sender, receiver, pairs[where][by_key], total[by_key]
