"""Packets alike that were sent with different TTLs, as traceroute does: each a packet of its own.

A router lowers the TTL and sends with a MAC of its own, so that a packet is on one link, with the
same two MACs, at one TTL. Only in a routing loop the same sender has it again, and between the two
somebody sent it back: the TTL is then lower by two at least. What a link shows at TTLs that are one
apart is therefore several packets. By how much the TTL falls from one link to another is told by
other packets, and with it which TTLs belong together.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.jit import inner_plain, jit
from tracer.core.mixing import mixed
from tracer.correlate.hashing import (
    Codes,
    Keys,
    factorise,
    filled,
    first_at_least,
    grouped,
    pair_keys,
)
from tracer.correlate.packets.identity import OWN, Identity

Groups = tuple[Codes, Codes]
Mask = NDArray[np.bool_]
MOST_LINKS = 128  # that packets alike are looked at on
_TTLS = 256
_APART = 4 * _TTLS  # more than any two TTLs and falls
_SURE = 20  # of so many packets one may show another difference
_NULL = np.uint64(NULL_U64)


@jit
def _sent_apart(
    order: Codes, starts: Codes, ttl: Codes, link: Keys, macs: Any, traits: NDArray[np.int8]
) -> Mask:
    # Which groups show one link at TTLs that are one apart. Where a MAC is not known, or one
    # station talks to itself, nothing tells.
    src_mac, dst_mac = macs
    out = np.zeros(len(starts) - 1, np.bool_)
    links = np.empty(MOST_LINKS, np.uint64)
    seen = np.zeros((MOST_LINKS, _TTLS + 2), np.bool_)
    for group in range(len(starts) - 1):
        start, stop = starts[group], starts[group + 1]
        if stop - start < 2 or traits[order[start]] & OWN:
            continue
        least = most = ttl[order[start]]
        for i in range(start, stop):
            least, most = min(least, ttl[order[i]]), max(most, ttl[order[i]])
        if least == most or least < 0:
            continue
        count, apart = 0, False
        for i in range(start, stop):
            row = order[i]
            if src_mac[row] == dst_mac[row] or src_mac[row] == _NULL or dst_mac[row] == _NULL:
                apart = False
                break
            k = 0
            while k < count and links[k] != link[row]:
                k += 1
            if k == MOST_LINKS:
                continue
            if k == count:
                links[count] = link[row]
                for each in range(_TTLS + 2):
                    seen[count, each] = False
                count += 1
            seen[k, ttl[row] + 1] = True
            apart = apart or seen[k, ttl[row]] or seen[k, ttl[row] + 2]
        out[group] = apart
    return out


@jit
def _steps(
    order: Codes, starts: Codes, doubt: Mask, ttl: Codes, link: Codes
) -> tuple[Codes, Codes, Codes]:
    # From link to link that packets beyond doubt have, and by how much the TTL falls.
    first, second = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    fall = np.empty(len(order), np.int64)
    count = 0
    for group in range(len(starts) - 1):
        before = -1
        for i in range(starts[group], starts[group] if doubt[group] else starts[group + 1]):
            row = order[i]
            if link[row] < 0:
                continue
            if before >= 0 and link[row] != link[before]:
                first[count], second[count] = link[before], link[row]
                fall[count] = ttl[before] - ttl[row]
                count += 1
            before = row
    return first[:count].copy(), second[:count].copy(), fall[:count].copy()


def _falls(first: Codes, second: Codes, fall: Codes) -> tuple[Keys, Codes]:
    # Sorted keys of two links, and by how much the TTL falls between them: always the same.
    keys = pair_keys(first, second)
    codes, where = factorise(mixed(keys, fall))
    votes = np.bincount(codes, minlength=len(where))
    of, firsts = factorise(keys[where])
    every = np.bincount(of, weights=votes, minlength=len(firsts))
    kept = where[votes * _SURE >= every[of] * (_SURE - 1)]
    kept = kept[np.argsort(keys[kept])]
    return keys[kept], fall[kept]


@inner_plain
def _fall(keys: Keys, falls: Codes, a: int, b: int) -> int:
    # From one link to another, -1 where it is not known.
    key = (np.uint64(a) << np.uint64(32)) | np.uint64(b)
    at = first_at_least(keys, key)
    return int(falls[at]) if at < len(keys) and keys[at] == key else -1


@inner_plain
def _lift(known: Any, links: Codes, lift: Codes, of: Codes, a: int, b: int) -> bool:
    # Tells from link a by how much link b is below it; whether that is news.
    keys, falls = known
    fall = _fall(keys, falls, links[a], links[b])
    if fall < 0:
        back = _fall(keys, falls, links[b], links[a])
        if back < 0:
            return False
        fall = -back
    if of[b] >= 0:
        return bool(lift[b] != lift[a] + fall)
    lift[b], of[b] = lift[a] + fall, of[a]
    return True


@inner_plain
def _lift_all(known: Any, links: Codes, count: int, lift: Codes, of: Codes) -> bool:
    # By how much each link is below the first of those that are known to go together (`of`);
    # whether no two ways differ in length.
    for k in range(count):
        if of[k] >= 0:
            continue
        of[k] = k
        found, rounds = True, 0
        while found:
            found, rounds = False, rounds + 1
            for a in range(count):
                for b in range(count if of[a] == k else 0):
                    found = _lift(known, links, lift, of, a, b) or found
            if rounds > count:
                return False
    return True


@jit
def _levels(order: Codes, starts: Codes, apart: Mask, ttl: Codes, link: Codes, known: Any) -> Codes:
    # A number for each row of groups that are `apart`, one for rows that may be of one packet: of
    # those that were sent with one TTL, of links between which the fall is known.
    out = np.zeros(len(link), np.int64)
    links = np.empty(MOST_LINKS, np.int64)
    for group in range(len(starts) - 1):
        if not apart[group]:
            continue
        rows = order[starts[group] : starts[group + 1]]
        count: Any = np.int64(0)  # not a literal, for which callees would be compiled apart
        for row in rows:
            k = 0
            while k < count and links[k] != link[row]:
                k += 1
            if k == count and count < MOST_LINKS:
                links[count] = link[row]
                count += 1
        lift, of = filled(count, 0), filled(count, -1)
        agree = _lift_all(known, links, count, lift, of)
        for row in rows if agree else rows[:0]:
            k = 0
            while k < count and links[k] != link[row]:
                k += 1
            if k < count:
                out[row] = _APART * (of[k] + 1) + ttl[row] + lift[k]
    return out


def levels(identity: Identity, alike: Groups, by_ttl: Groups, doubt: Mask) -> Codes:
    """Return a number for each row, other numbers for rows alike that were sent with other TTLs.

    0 where nothing tells; no element where nothing tells of any row. `alike`: rows of equal
    fingerprint; `by_ttl`: such by falling TTL and time, of which those not in `doubt` are sure.
    """
    ttl, links = identity.ttl, identity.link
    macs = identity.src_mac, identity.dst_mac
    apart = _sent_apart(*alike, ttl, links, macs, identity.traits)
    if not apart.any():
        return np.empty(0, np.int64)
    told = np.zeros(len(ttl), np.bool_)
    told[alike[0][np.repeat(apart, np.diff(alike[1]))]] = True
    known = np.unique(links[told])
    link = np.minimum(np.searchsorted(known, links), len(known) - 1)
    link[known[link] != links] = -1
    falls = _falls(*_steps(*by_ttl, doubt, ttl, np.where(told, -1, link)))
    found: Codes = _levels(*alike, apart, ttl, link, falls)
    return found


def parted(groups: Groups, level: Codes) -> Groups:
    """Return groups of rows, in their order, of which each has one level."""
    order, starts = groups
    group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    codes, firsts = factorise(pair_keys(group, level[order]))
    at, begins = grouped(codes, len(firsts))
    return order[at], begins
