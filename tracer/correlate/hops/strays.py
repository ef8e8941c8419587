"""Links by which a frame to one station did not get there: a bridge flooded it, not knowing where.

A bridge sends a frame to where the station that it is for was heard (IEEE 802.1D), and by all ports
as long as it was not. What that station sends comes back the same way, for a bridged network has no
loops. So where others hear the station, a place that does not, and shows few of the frames to it
that others show, is not on the way. Neither is what lies beyond both ends of it (`beyond_ends`).
"""

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import GROUP_BIT, NULL_U64
from tracer.core.jit import inner_plain, jit_plain
from tracer.correlate.hashing import Codes, factorise, pair_keys
from tracer.correlate.hops.beyond_ends import beyond_ends
from tracer.correlate.order.links import LinkOrder
from tracer.correlate.order.pairs import SAMPLE, votes_of_pairs
from tracer.correlate.packets.identity import Identity

Mask = NDArray[np.bool_]


def strays(identity: Identity, links: LinkOrder, layout: tuple[Codes, Codes], time: Codes) -> Mask:
    """Return for each link (`LinkOrder.link`) whether it is off the way to the station.

    `layout`: rows of each journey, by falling TTL, then `time` (nanoseconds, by row). No element
    where no link is off its way, or nothing tells.
    """
    votes = votes_of_pairs(links.link, layout, identity.ttl, time, SAMPLE)
    out = _unheard(identity, links) | beyond_ends(identity, links.first, votes)
    return out if out.any() else out[:0]


def _unheard(identity: Identity, links: LinkOrder) -> Mask:
    # Links that show frames to a station, and none of it, where others do.
    first = links.first
    src, dst, place = (each[first] for each in (identity.src_mac, identity.dst_mac, identity.place))
    known = (src != NULL_U64) & (dst != NULL_U64) & (src != dst) & (dst & np.uint64(GROUP_BIT) == 0)
    known &= place >= 0
    if len(identity.tunnel):
        known &= identity.tunnel[first] == 0
    out = np.zeros(len(first), np.bool_)
    if not known.any():
        return out
    stations, _ = factorise(np.concatenate([src[known], dst[known]]))
    source, target = np.split(stations, 2)
    at, shown = place[known], np.bincount(links.link, minlength=len(first))[known]
    pairs, _ = factorise(np.concatenate([pair_keys(source, target), pair_keys(target, source)]))
    pair, back = np.split(pairs, 2)
    most = np.zeros(int(pair.max()) + 1, np.int64)
    np.maximum.at(most, pair, shown)
    # What it sends to somebody else goes another way, unless nothing else is known.
    speaks, answers = np.isin(target, source), np.isin(back, pair)
    heard = np.where(answers, _shared(at, back, pair), _shared(at, target, source))
    both_ways = np.isin(at, at[heard])
    seldom = 2 * shown <= most[pair]
    seldom |= (most[pair] == 1) & answers & both_ways
    out[known] = speaks & ~heard & seldom
    return out


def _shared(at: Codes, these: Codes, those: Codes) -> Mask:
    # Whether the place that shows one of `these` shows the same among `those`.
    found: Mask = np.isin(pair_keys(at, these), pair_keys(at, those))
    return found


@inner_plain
def is_astray(stray: Mask, rows: Codes, start: int, stop: int) -> bool:
    """Return whether some hops of a journey are off its way, and others are not."""
    some, others = False, False
    for i in range(start, stop):
        some, others = some or stray[rows[i]], others or not stray[rows[i]]
    return some and others


@inner_plain
def last_on_way(stray: Mask, rows: Codes, start: int, before: int, copy_of: Codes) -> int:
    """Return the last hop up to `before` that is on the way and no copy; `before` if none is."""
    j = before
    while j >= start and (stray[rows[j]] or copy_of[rows[j]] >= 0):
        j -= 1
    return j if j >= start else before


@jit_plain
def end_on_way(stray: Mask, rows: Codes, starts: Codes, copy_of: Codes, ends: Codes) -> None:
    """Let journeys end on their way, not where they were flooded to as well: `ends`, in place."""
    for journey in range(len(starts) - 1):
        start, stop = starts[journey], starts[journey + 1]
        if is_astray(stray, rows, start, stop) and stray[rows[ends[journey]]]:
            ends[journey] = last_on_way(stray, rows, start, stop - 1, copy_of)
