"""Translations of flows whose packets are never alone: equal bytes, other hosts at the same time.

Where several packets of one fingerprint pass together, each flow's rows on one side of the NAT end
just before its rows on the other side begin, or as long before as other packets take there. One
such packet proves little; many of one pair do.
"""

from typing import Any

import numpy as np

from tracer.core.jit import inner, inner_plain, jit
from tracer.correlate.hashing import Codes, Keys, filled
from tracer.correlate.nat.doubt import NULL
from tracer.correlate.nat.tuples import (
    MOST_RELATED,
    are_echoes,
    is_same_tuple,
    keeps_numbers,
    may_translate,
)
from tracer.correlate.nat.votes import is_adjacent
from tracer.correlate.order.links import usual_delay

ROUNDS = 3
MARGIN_NS = 20_000  # the next best partner has to be at least this much, and twice, as far away


@inner_plain
def _chains(
    p: Any, rows: Codes, segment: Codes, stream: Codes, first: Codes, last: Codes
) -> tuple[int, bool]:
    # First and last row of each class in a group; whether some class is there twice.
    count, twice = 0, False
    for row in rows:
        k = 0
        while k < count and segment[first[k]] != segment[row]:
            k += 1
        if k == count:
            first[k] = last[k] = row
            count += 1
            continue
        if stream[last[k]] == stream[row] and p[last[k]].ttl == p[row].ttl:
            twice = True
        last[k] = row
    paired = count == 2 or _are_paired(p, first, count)
    return count, twice or (paired and _is_twice(p, rows, stream))


@inner_plain
def _are_paired(p: Any, first: Codes, count: int) -> bool:
    # Whether each class has the numbers of some other one, so that times need not tell which.
    for k in range(count):
        found = False
        for other in range(count):
            found = found or (other != k and keeps_numbers(p, first[k], first[other]))
        if not found:
            return False
    return True


@inner_plain
def _is_twice(p: Any, rows: Codes, stream: Codes) -> bool:
    # Whether some stream is there twice, with rows of others in between.
    for i in range(len(rows)):
        for j in range(i):
            if stream[rows[j]] == stream[rows[i]] and p[rows[j]].ttl == p[rows[i]].ttl:
                return True
    return False


@inner_plain
def _distance(p: Any, time: Codes, a: int, b: int, by_number: Any, links: Any) -> int:
    # Time from the end `a` of one class to the beginning `b` of another, -1 where it cannot be: as
    # far as it is not what packets beyond doubt take between the two.
    if p[b].ttl > p[a].ttl or time[b] < time[a]:
        return -1
    # What keeps nothing but its number passed several that translate, and so was routed.
    numbered = by_number and p[a].ttl > p[b].ttl and are_echoes(p, a, b)
    if not may_translate(p, a, b) and not numbered:
        return -1
    if is_same_tuple(p, a, b):
        if not is_adjacent(p, a, b):  # two tenants with equal addresses
            return -1
    elif _is_fan(p, a, b):
        return -1
    usual = usual_delay(links, a, b)
    return int(abs(time[b] - time[a] - max(usual, 0)))


@inner_plain
def _is_fan(p: Any, a: int, b: int) -> bool:
    # What two stations send to one, or one to two, and nothing routed in between, is two packets. A
    # bridge changes no MAC, and a firewall that leaves the TTL as it is both.
    x, y = p[a], p[b]
    if x.ttl != y.ttl or x.src_mac == NULL or y.src_mac == NULL:
        return False
    return bool((x.src_mac == y.src_mac) != (x.dst_mac == y.dst_mac))


@inner_plain
def _share_link(p: Any, rows: Codes, segment: Codes, one: int, other: int) -> bool:
    # Two classes that a device sends, or receives for one station, at one TTL are two packets: one
    # would pass there once.
    for a in rows:
        if segment[a] != one:
            continue
        for b in rows:
            if segment[b] != other or p[a].point != p[b].point or p[a].ttl != p[b].ttl:
                continue
            x, y = p[a], p[b]
            if x.src_mac == y.src_mac and (x.dst_mac == y.dst_mac or x.src_mac != NULL):
                return True
            if x.dst_mac == y.dst_mac and x.dst_mac != NULL:
                return True
    return False


@inner
def _distances(
    p: Any, time: Codes, rows: Codes, segment: Codes, ends: Any, count: int, twice: Any, away: Any,
    by_number: Any, links: Any,
) -> None:  # fmt: skip
    # away[k, other]: from the end of class k to the beginning of another, -1 where it cannot be. It
    # says nothing (0) where some class is there more than once.
    first, last = ends
    leaves, comes = filled(count, 0), filled(count, 0)  # whether a router may lie ahead, or behind
    for k in range(count):
        for other in range(count):
            away[k, other] = -1
            if other == k:
                continue
            begin = first[k] if twice else last[k]
            distance = _distance(p, time, begin, first[other], by_number, links)
            if twice and distance > 0:
                distance = 0
            if distance >= 0 and not _share_link(
                p, rows, segment, segment[last[k]], segment[first[other]]
            ):
                away[k, other] = distance
                if p[first[other]].ttl < p[begin].ttl:
                    leaves[k] = comes[other] = 1
    # A firewall that leaves the TTL as it is changes both MACs; so differ those of two hosts.
    for k in range(count):
        for other in range(count):
            begin = first[k] if twice else last[k]
            routed = leaves[k] or comes[other]
            if away[k, other] >= 0 and routed and not is_adjacent(p, begin, first[other]):
                away[k, other] = -1


@inner_plain
def _are_swapped(p: Any, time: Codes, away: Any, k: int, count: int, ends: Any, ahead: Any) -> Any:
    # Whether some class that may be the other side of class k has the numbers of a third one, which
    # is where class k is and cannot be its other side: it came too late. Numbers are then not kept.
    first, last = ends
    here = last[k] if ahead else first[k]
    for other in range(count):
        if (away[k, other] if ahead else away[other, k]) < 0:
            continue
        for third in range(count):
            a, b = (last[third], first[other]) if ahead else (last[other], first[third])
            row = a if ahead else b
            if third in (k, other) or p[row].point != p[here].point or p[row].ttl != p[here].ttl:
                continue
            if time[b] < time[a] and keeps_numbers(p, a, b):
                return True
    return False


@inner_plain
def _nearest(
    p: Any, away: Any, k: int, count: int, ends: Any, ahead: Any, swapped: Any
) -> Any:  # fmt: skip
    # The class that is nearest to the end (ahead) or the beginning of class k, and whether no other
    # is about as near. Those whose ports and ids are kept come first, unless they are `swapped`.
    # One that is reached from the nearest over a router is no other choice.
    first, last = ends
    best, best_ns, next_ns, kept = -1, np.int64(-1), np.int64(-1), False
    for other in range(count):
        distance = away[k, other] if ahead else away[other, k]
        if distance < 0:
            continue
        a, b = (k, other) if ahead else (other, k)
        keeps = not swapped and keeps_numbers(p, last[a], first[b])
        if best < 0 or (keeps and not kept) or (keeps == kept and distance < best_ns):
            best, best_ns, kept = other, distance, keeps
    for other in range(count):
        distance = away[k, other] if ahead else away[other, k]
        if distance < 0 or other == best:
            continue
        a, b = (k, other) if ahead else (other, k)
        if not swapped and keeps_numbers(p, last[a], first[b]) != kept:
            continue
        a, b = (best, other) if ahead else (other, best)
        beyond = away[a, b] >= 0 and p[first[b]].ttl < p[last[a]].ttl
        if not beyond and (next_ns < 0 or distance < next_ns):
            next_ns = distance
    clear = best >= 0 and (next_ns < 0 or next_ns > 2 * best_ns + MARGIN_NS)
    return best, clear


@inner_plain
def _found(
    p: Any, time: Codes, away: Any, k: int, count: int, ends: Any, ahead: Any, twice: Any
) -> Any:
    # `_nearest`, where times say something (not `twice`) by what they say of the numbers.
    swapped = not twice and count > 3 and _are_swapped(p, time, away, k, count, ends, ahead)
    return _nearest(p, away, k, count, ends, ahead, swapped)


@inner_plain
def _packets(p: Any, rows: Codes, segment: Codes, stream: Codes, row: int) -> int:
    # How many packets of a row's class are in the group.
    found = 0
    for other in rows:
        same = segment[other] == segment[row] and stream[other] == stream[row]
        found += same and p[other].ttl == p[row].ttl
    return found


@inner_plain
def _take_out(away: Any, segment: Codes, ends: Any, chains: int, left: Codes, right: Codes) -> None:
    # Classes that found each other are no longer there for others.
    first, last = ends
    for i in range(len(left)):
        for k in range(chains):
            if segment[last[k]] == segment[left[i]]:
                away[k, :chains] = -1
            if segment[first[k]] == segment[right[i]]:
                away[:chains, k] = -1


@jit
def guesses(
    p: Any, order: Codes, starts: Codes, segment: Codes, stream: Codes, time: Codes, links: Any
) -> tuple[Codes, Codes]:
    """Return pairs of rows, one pair a vote that their classes are one flow before and after NAT.

    `segment` is the class of each row as far as it is known; groups are rows of equal fingerprint
    in order of travel. Each is the other's nearest in time, and no third is about as near. `links`:
    link, keys, votes and delay_ns of a `LinkOrder`.
    """
    left = np.empty(2 * len(order), np.int64)
    right = np.empty(2 * len(order), np.int64)
    first = np.empty(MOST_RELATED, np.int64)
    last = np.empty(MOST_RELATED, np.int64)
    away = np.empty((MOST_RELATED, MOST_RELATED), np.int64)
    count = 0
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        if len(rows) < 2 or len(rows) > MOST_RELATED:
            continue
        chains, twice = _chains(p, rows, segment, stream, first, last)
        if chains < 2:
            continue
        ends = (first, last)
        _distances(p, time, rows, segment, ends, chains, twice, away, np.bool_(True), links)
        for _ in range(ROUNDS):
            before = count
            for k in range(chains):
                to, clear = _found(p, time, away, k, chains, ends, np.bool_(True), twice)
                if not clear:
                    continue
                back, mutual = _found(p, time, away, to, chains, ends, np.bool_(False), twice)
                if not mutual or back != k:
                    continue
                for _ in range(_packets(p, rows, segment, stream, last[k]) if twice else 1):
                    left[count], right[count] = last[k], first[to]
                    count += 1
            if count == before:
                break
            _take_out(away, segment, ends, chains, left[before:count], right[before:count])
    return left[:count].copy(), right[:count].copy()


@jit
def unresolved(
    p: Any, order: Codes, starts: Codes, flow_class: Codes, stream: Codes, time: Codes, links: Any,
    places: Keys,
) -> Codes:  # fmt: skip
    """Return for each row how many continuations beyond a NAT its packet may have, 0 when clear.

    Counted are classes in a group of equal fingerprints that begin where the row's class ends, or
    end where it begins, but for those that were seen where it was; one alone is clear, for then
    votes have decided. `places`: as `places_of` has them.
    """
    choices = np.zeros(len(flow_class), np.int64)
    first = np.empty(MOST_RELATED, np.int64)
    last = np.empty(MOST_RELATED, np.int64)
    away = np.empty((MOST_RELATED, MOST_RELATED), np.int64)
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        if len(rows) < 3 or len(rows) > MOST_RELATED:
            continue
        chains, _ = _chains(p, rows, flow_class, stream, first, last)
        no = np.bool_(False)
        _distances(p, time, rows, flow_class, (first, last), chains, no, away, no, links)
        for k in range(chains):
            onward, back = 0, 0
            for other in range(chains):
                if places[flow_class[first[k]]] & places[flow_class[first[other]]]:
                    continue
                onward += away[k, other] >= 0
                back += away[other, k] >= 0
            most = max(onward, back)
            for row in rows:
                if most > 1 and flow_class[row] == flow_class[first[k]]:
                    choices[row] = most
    return choices
