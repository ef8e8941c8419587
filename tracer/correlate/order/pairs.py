"""Which of two links packets cross first, by the times of all that crossed both.

Where stamps are too coarse to tell of one packet, many of them do: the stamps err both ways. Links
that are not neighbours are compared, too, as these are further apart than neighbours.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import GROUP_BIT, NULL_U64
from tracer.core.jit import inner_plain, jit
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys
from tracer.correlate.order.links import is_tied
from tracer.correlate.packets.identity import Identity

MOST_HOPS = 64  # of a journey that is looked at
SAMPLE = 50_000  # journeys that tell in which order frames pass
ENOUGH = 2  # packets with equal stamps that tell of others
_GROUP, _HALF = np.uint64(GROUP_BIT), np.uint64(1 << 32)
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PairVotes:
    """Pairs of links as `LinkOrder.keys` has them, sorted, and the votes for that order of each.

    `tied`: how many of them come from packets of which, at that TTL, two stamps are equal.
    """

    keys: Keys
    votes: Codes
    tied: Codes


def votes_of_pairs(
    link: Codes, layout: tuple[Codes, Codes], ttl: Codes, time: Codes, most: int
) -> PairVotes:
    """Return in which order packets cross links at which they have one TTL, neighbours or not.

    `layout`: rows, those of journey j from `starts[j]` on, by falling TTL, then time; `link`, `ttl`
    and `time` (nanoseconds) by row. Of more than `most` journeys about as many are looked at.
    """
    every = 1 + (len(layout[1]) - 1) // most
    first, second, tied = _pairs(link, *layout, ttl, time, every)
    keys = pair_keys(first, second)
    codes, where = factorise(keys)
    votes = np.bincount(codes, minlength=len(where))
    of_tied = np.bincount(codes[tied], minlength=len(where))
    by_key = np.argsort(keys[where])
    return PairVotes(keys[where][by_key], votes[by_key], of_tied[by_key])


@inner_plain
def _write(
    link: Codes, rows: Codes, starts: Codes, ttl: Codes, time: Codes, every: int, out: Any
) -> int:
    # Counts pairs, and writes those that `out` has room for.
    first, second, tied = out
    count = 0
    for journey in range(0, len(starts) - 1, every):
        start, stop = starts[journey], starts[journey + 1]
        if stop - start > MOST_HOPS:
            continue
        for i in range(start, stop):
            if i == start or ttl[rows[i]] != ttl[rows[i - 1]]:
                of_tied = is_tied(rows, i, stop, ttl, time)
            j = i + 1
            while j < stop and ttl[rows[j]] == ttl[rows[i]]:
                if time[rows[j]] > time[rows[i]]:
                    if count < len(first):
                        first[count], second[count] = link[rows[i]], link[rows[j]]
                        tied[count] = of_tied
                    count += 1
                j += 1
    return count


@jit
def _pairs(
    link: Codes, rows: Codes, starts: Codes, ttl: Codes, time: Codes, every: int
) -> tuple[Codes, Codes, Mask]:
    none = np.empty(0, np.int64)
    count = _write(link, rows, starts, ttl, time, every, (none, none, np.empty(0, np.bool_)))
    first, second = np.empty(count, np.int64), np.empty(count, np.int64)
    tied = np.empty(count, np.bool_)
    _write(link, rows, starts, ttl, time, every, (first, second, tied))
    return first, second, tied


def votes_of_stations(
    identity: Identity, first: Codes, of_links: PairVotes
) -> tuple[Codes, Codes, Keys, Codes]:
    """Return codes of each link's point and sender, and of its point and receiver; keys and votes.

    These say which frames of a station's come to one code before another. `first`: a row of each
    link. Frames pass devices on the way to a station in the opposite order of those that come from
    it, as bridges have no loops; so what stamps leave open is known from other frames. Linux gives
    a received frame one stamp for all devices that are stacked on each other, a port and its bridge
    or bond, or a later one to each: frames of the first kind tell most of their kind.
    """
    point = identity.point[first]
    src, dst = identity.src_mac[first], identity.dst_mac[first]
    stations, _ = factorise(np.concatenate([src, dst]))
    sender, receiver = np.split(factorise(pair_keys(stations, np.tile(point, 2)))[0], 2)
    before, after = (each.astype(np.int64) for each in np.divmod(of_links.keys, _HALF))
    sent, got = (
        (mac[before] == mac[after]) & (mac[before] != NULL_U64) & (mac[before] & _GROUP == 0)
        for mac in (src, dst)
    )
    ends = [
        (sender[before[sent]], sender[after[sent]]),
        (receiver[after[got]], receiver[before[got]]),
    ]
    pairs, turned = (np.concatenate([pair_keys(*each[::way]) for each in ends]) for way in (1, -1))
    codes, where = factorise(np.concatenate([pairs, turned]))
    here, there = np.split(codes, 2)
    all_votes, tied = (
        np.bincount(here, np.concatenate([each[sent], each[got]]), len(where))
        for each in (of_links.votes, of_links.tied)
    )
    against = np.zeros(len(where), np.int64)
    against[here], against[there] = there, here
    votes = np.where(tied + tied[against] >= ENOUGH, tied, all_votes).astype(np.int64)
    keys = np.concatenate([pairs, turned])[where]
    by_key = np.argsort(keys)
    return sender, receiver, keys[by_key], votes[by_key]
