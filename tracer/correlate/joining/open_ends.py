"""Packets alike that end on one side of a translation, where others begin on the other side.

Where NAT rewrites all that tells packets alike apart, time is left. A journey that ends where one
of another tuple begins just as others go on there may be the same packet: it is, where each is the
only one for the other and no third is about as near. Else both are ambiguous.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain, jit, jit_plain
from tracer.core.mixing import mix, mixed
from tracer.correlate.hashing import (
    Codes,
    Keys,
    factorise,
    filled,
    first_at_least,
    pair_keys,
    unite,
)
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.nat.streams import Groups, Streams
from tracer.correlate.nat.tuples import began_apart, stays
from tracer.correlate.order.links import LinkOrder, usual_gap
from tracer.correlate.packets.groups import first_at, sort_rows
from tracer.correlate.packets.identity import Identity

ROUNDS = 3
MOST_CHOICES = 16  # of one end that are counted
MOST_NEAR = 128  # beginnings that are looked through for them
SURE = 3  # packets that tell where others go on
_SHOWN = np.uint64(23)


@dataclass(slots=True)
class Ways:
    """From which `spot` packets come to which other one (sorted `keys`), how long they take
    (`usual_ns`) and how far from it one may be (`far_ns`).

    Of each link: whether others are seen to go on from it (`leaves`), or to come to it (`comes`),
    and for how long a packet is not seen again after it at most (`silent_ns`).
    """

    keys: Keys
    usual_ns: Codes
    far_ns: Codes
    leaves: NDArray[np.bool_]
    comes: NDArray[np.bool_]
    silent_ns: Codes

    @property
    def known(self) -> tuple[Keys, Codes, Codes, NDArray[np.bool_], NDArray[np.bool_], Codes]:
        """What compiled functions take of it: all, in this order."""
        return self.keys, self.usual_ns, self.far_ns, self.leaves, self.comes, self.silent_ns


def _ways(identity: Identity, links: LinkOrder) -> Ways:
    spot = np.zeros(len(links.name), np.int64)
    spot[links.link] = identity.spot
    often = links.votes >= SURE
    first = (links.keys[often] >> np.uint64(32)).astype(np.int64)
    second = (links.keys[often] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    leaves, comes = (np.zeros(len(spot), np.bool_) for _ in range(2))
    leaves[first] = comes[second] = True
    codes, where = factorise(pair_keys(spot[first], spot[second]))
    votes = links.votes[often]
    total = np.bincount(codes, weights=votes * links.delay_ns[often], minlength=len(where))
    usual = (total / np.bincount(codes, weights=votes, minlength=len(where))).astype(np.int64)
    far = np.zeros(len(where), np.int64)
    apart = np.abs(links.delay_ns[often] - usual[codes])
    np.maximum.at(far, codes, links.far_ns[often] + apart)
    silent = np.zeros(int(spot.max()) + 2, np.int64)  # the last: unknown
    np.maximum.at(silent, spot[first][where], usual + far)
    silent = np.where(leaves, silent[spot], np.maximum(silent[spot], usual_gap(links)))
    keys = pair_keys(spot[first], spot[second])[where]
    order = np.argsort(keys)
    return Ways(keys[order], usual[order], far[order], leaves, comes, silent)


@jit
def _ends(
    order: Codes, starts: Codes, journey: Codes, of_class: Codes, ttl: Codes, time: Codes
) -> tuple[Codes, Codes, Codes]:
    # First and last rows of the journeys of groups with several classes, by time of the first rows,
    # and where those of each group begin.
    first, last = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    begins = np.empty(len(starts), np.int64)
    count = groups = 0
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        if len(rows) < 2 or of_class[rows[0]] == of_class[rows[-1]]:  # sorted by class
            continue
        low = high = journey[rows[0]]
        for row in rows:
            low, high = min(low, journey[row]), max(high, journey[row])
        head, tail = filled(high - low + 1, -1), filled(high - low + 1, -1)
        for row in rows:
            if head[journey[row] - low] < 0:
                head[journey[row] - low] = row
            tail[journey[row] - low] = row
        begins[groups] = count
        groups += 1
        sort_rows(head, 0, len(head), time, ttl, journey)
        for row in head:
            first[count], last[count] = row, tail[journey[row] - low]
            count += 1
    begins[groups] = count
    return first[:count].copy(), last[:count].copy(), begins[: groups + 1].copy()


@inner_plain
def _is_there(known: Keys, of_class: Any, spot: Any, ttl: Any) -> bool:
    key = mix(mix(mix(_SHOWN, np.uint64(of_class)), np.uint64(spot)), np.uint64(ttl))
    at = first_at_least(known, key)
    return bool(at < len(known) and known[at] == key)


@inner_plain
def _away(p: Any, a: int, b: int, seen: Any, ways: Any) -> tuple[int, int]:
    # How far the time from one end to a beginning is from what it usually is, -1 where the packet
    # cannot be the same; and how far hardly any is, 0 where nobody else is known to go that way.
    # What shows both tuples at one place, at one TTL, shows two flows.
    flow_class, spot, link, ttl, time, lifetime, shown = seen
    keys, usual_ns, far_ns, leaves, comes, silent_ns = ways
    if len(lifetime) and lifetime[a] >= 0 and lifetime[b] >= 0:
        return -1, 0
    key = (np.uint64(spot[a]) << np.uint64(32)) | np.uint64(spot[b])
    at = first_at_least(keys, key)
    if at < len(keys) and keys[at] == key:
        away = abs(time[b] - time[a] - usual_ns[at])
        far, near = far_ns[at], far_ns[at] // 4
    elif leaves[link[a]] or comes[link[b]]:
        return -1, 0
    else:
        away, far, near = time[b] - time[a], silent_ns[link[a]], np.int64(0)
    if away > far or time[b] < time[a]:
        return -1, 0
    if _is_there(shown, flow_class[a], spot[b], ttl[b]):
        return -1, 0
    if _is_there(shown, flow_class[b], spot[a], ttl[a]) or stays(p, a) or stays(p, b):
        return -1, 0
    if began_apart(p, a, b):
        return -1, 0
    return int(away), int(near)


@jit_plain
def _choices(
    p: Any, first: Codes, last: Codes, begins: Codes, of_class: Codes, seen: Any, ways: Any,
    out: Any,
) -> int:  # fmt: skip
    # Counts pairs of an end and a beginning that may be one packet, and fills in those (with how
    # far away from each other) that `out` has room for.
    ends, heads, distance, limit = out
    _, _, link, ttl, time, _, _ = seen
    _, _, _, _, _, silent_ns = ways
    count = 0
    for group in range(len(begins) - 1):
        for i in range(begins[group], begins[group + 1]):
            a = last[i]
            low = first_at(first, begins[group], begins[group + 1], time, time[a])
            found = 0
            for j in range(low, min(begins[group + 1], low + MOST_NEAR)):
                b = first[j]
                if found == MOST_CHOICES or time[b] - time[a] > silent_ns[link[a]]:
                    break
                if ttl[b] >= ttl[a] or of_class[b] == of_class[a]:
                    continue
                away, near = _away(p, a, b, seen, ways)
                if away < 0:
                    continue
                if count < len(ends):
                    ends[count], heads[count] = a, b
                    distance[count], limit[count] = away, near
                count += 1
                found += 1
    return count


def join_open_ends(
    packets: Any, identity: Identity, streams: Streams, of_class: Codes, groups: Groups,
    found: Assembly, time: Codes, links: LinkOrder, lifetime: Codes,
) -> None:  # fmt: skip
    """Give packets that end where others begin one journey and one class, in place, if each is the
    only one for the other; say of the rest how many they may be (`found.onward`, `found.back`).

    `groups`: rows of equal fingerprint by class, falling TTL and time.
    """
    pairs, size = _pairs(
        packets, identity, streams, of_class, groups, found.journey, time, links, lifetime
    )
    ends, heads = pairs[:2]
    if not len(ends):
        return
    sides = of_class[ends], of_class[heads]
    left = np.ones(len(ends), np.bool_)
    joined = np.zeros(len(ends), np.bool_)
    for _ in range(ROUNDS):
        sure = np.flatnonzero(left)[_only_ones(*(values[left] for values in pairs))]
        sure = _of_one_class(sure, joined, sides, size)
        if not len(sure):
            break
        joined[sure] = True
        left &= ~np.isin(ends, ends[sure]) & ~np.isin(heads, heads[sure])
        left &= ~_others(joined, sides)
    _unite(found, streams, of_class, ends[joined], heads[joined])
    found.onward = np.bincount(ends[left], minlength=len(time))
    found.back = np.bincount(heads[left], minlength=len(time))


def _only_ones(ends: Codes, heads: Codes, away: Codes, near: Codes) -> Codes:
    # Pairs of which each is the nearest to the other, and no third is about as near.
    clear = away <= near
    for side in (ends, heads):
        order = np.lexsort((away, side))
        first = np.r_[True, side[order][1:] != side[order][:-1]]
        only, beyond = np.r_[first[1:], True], np.append(away[order][1:], 0)
        nearest = first & (only | (beyond > 2 * away[order] + near[order]))
        clear[order] &= nearest
    found: Codes = np.flatnonzero(clear)
    return found


def _of_one_class(
    sure: Codes, joined: NDArray[np.bool_], sides: tuple[Codes, Codes], size: Codes
) -> Codes:
    # What is translated is so as a whole: a class goes on as one other, as most of its packets say.
    every = np.concatenate([np.flatnonzero(joined), sure])
    a, b = sides[0][every], sides[1][every]
    codes, where = factorise(pair_keys(a, b))
    votes = np.bincount(codes, minlength=len(where))
    allowed = 2 * votes > np.minimum(size[a[where]], size[b[where]])
    for side in (a, b):
        allowed &= 2 * votes > np.bincount(side)[side[where]]
    found: Codes = sure[allowed[codes[len(every) - len(sure) :]]]
    return found


def _others(joined: NDArray[np.bool_], sides: tuple[Codes, Codes]) -> NDArray[np.bool_]:
    # Pairs of which one's class is known to go on as, or to come from, another class.
    a, b = sides
    partner = np.full(int(max(a.max(), b.max())) + 1, -1)
    out = np.zeros(len(a), np.bool_)
    for one, other in ((a, b), (b, a)):
        partner[:] = -1
        partner[one[joined]] = other[joined]
        out |= (partner[one] >= 0) & (partner[one] != other)
    return out


def _unite(found: Assembly, streams: Streams, of_class: Codes, ends: Codes, heads: Codes) -> None:
    if not len(ends):
        return
    of = np.arange(found.journeys)
    unite(of, found.journey[ends], found.journey[heads])
    found.merge(of)
    for classes in (streams.flow_class, of_class):
        unite(classes, classes[ends], classes[heads])


def _pairs(
    packets: Any, identity: Identity, streams: Streams, of_class: Codes, groups: Groups,
    journey: Codes, time: Codes, links: LinkOrder, lifetime: Codes,
) -> tuple[tuple[Codes, ...], Codes]:  # fmt: skip
    # Rows where a journey ends and where one begins that may be the same packet, how far the time
    # between them is from what is usual there, and how far hardly any is; journeys of each class.
    first, last, begins = _ends(*groups, journey, of_class, identity.ttl, time)
    none = np.empty(0, np.int64)
    if not len(first):
        return (none, none, none, none), none
    ways = _ways(identity, links).known
    # What is shown where, of the classes whose packets may be such ends and beginnings.
    asked = np.zeros(int(streams.flow_class.max()) + 1, np.bool_)
    asked[streams.flow_class[first]] = asked[streams.flow_class[last]] = True
    at = streams.first[asked[streams.flow_class[streams.first]]]
    shown = mixed(np.full(len(at), _SHOWN), streams.flow_class[at])
    shown = np.unique(mixed(mixed(shown, identity.spot[at]), identity.ttl[at]))
    seen = (
        streams.flow_class, identity.spot, links.link, identity.ttl, time, lifetime, shown
    )  # fmt: skip
    out = tuple(np.empty(len(first), np.int64) for _ in range(4))
    count = _choices(packets, first, last, begins, of_class, seen, ways, out)
    if count > len(first):
        out = tuple(np.empty(count, np.int64) for _ in range(4))
        _choices(packets, first, last, begins, of_class, seen, ways, out)
    return tuple(values[:count] for values in out), np.bincount(of_class[first]).astype(np.int64)
