"""Clocks that only ARP compares: a question asked again and again has no number of its own.

Its rhythm still tells by how much two clocks differ: at the right offset every question is seen by
both, at any other one few are, unless hosts ask in step. Where stamps disagree and no offset stands
out, each row has as many candidates as there are equal ones near it, and none is taken for sure.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.correlate.hashing import Codes, Keys, factorise, find_root, roots

Times = NDArray[np.int64]
FARTHEST_NS = 60_000_000_000  # clocks further apart, or questions, are not compared
ONE_QUESTION_NS = 10_000_000  # of equal rows of one clock: closer than this they are one packet
STAMPS_NS = 50_000_000  # stamps that agree as well as this are believed
WIDTHS_NS = (1_000_000, 4_000_000, 16_000_000)  # by how much delays and drift spread an offset
FEWEST = 3  # questions at one offset; fewer meet by chance
MOST_QUESTIONS, MOST_KEYS, MOST_PAIRS = 100, 50, 200  # half a million differences of two clocks
REQUEST = 1


@dataclass(frozen=True, slots=True)
class _Seen:
    """First rows of ARP packets by key, then clock, then time; `key` and `clock` are codes."""

    row: Codes
    key: Codes
    clock: Codes
    time: Times
    is_request: NDArray[np.bool_]


def asked_again(
    batch: ObservationBatch, packet: Keys, scale: Codes, time: Times, known: Codes
) -> tuple[Codes, Codes, Codes]:
    """Return pairs of rows (left, right) of one ARP packet, and how many candidates rows have.

    `known`: a number for each scale, equal where other packets compare them. The pairs are of
    scales where it differs, the lower one left; candidates (int64, shape (rows,)) are 0 where
    nothing is in doubt, and have no element where no row is.
    """
    nothing = np.empty(0, np.int64)
    seen = _seen(batch, packet, scale, time)
    parent = known.copy()
    left, right = [nothing], [nothing]
    for one, other in _scale_pairs(seen, known):
        if find_root(parent, one) == find_root(parent, other):
            continue
        a, b = _differences(seen, _shared(seen, one, other))
        found = _offset(seen, a, b)
        if found is None:
            continue
        parent[find_root(parent, one)] = find_root(parent, other)
        low, high = found
        apart = seen.time[b] - seen.time[a]
        matched = (apart >= low) & (apart <= high)
        left.append(seen.row[a[matched]])
        right.append(seen.row[b[matched]])
    return np.concatenate(left), np.concatenate(right), _choices(seen, roots(parent), packet, time)


def _seen(batch: ObservationBatch, packet: Keys, scale: Codes, time: Times) -> _Seen:
    arp = batch.sections["arp"]
    rows = arp["row"].astype(np.int64)
    key = factorise(packet[rows])[0]
    order = np.lexsort((time[rows], scale[rows], key))
    rows, key = rows[order], key[order]
    clock, at = scale[rows], time[rows]
    again = np.r_[False, (np.diff(key) == 0) & (np.diff(clock) == 0)]
    again &= np.r_[False, np.diff(at) < ONE_QUESTION_NS]
    kept = ~again
    asks = arp["arp_op"][order] == REQUEST
    return _Seen(rows[kept], key[kept], clock[kept], at[kept], asks[kept])


# Pairs of clocks that share a key and that nothing compares, those that share most keys first.
def _scale_pairs(seen: _Seen, known: Codes) -> list[tuple[int, int]]:
    both = np.unique(np.column_stack([seen.key, seen.clock]), axis=0)
    keys: dict[int, set[int]] = {}
    for key, clock in both.tolist():
        keys.setdefault(clock, set()).add(key)
    shared = [
        (len(keys[a] & keys[b]), a, b)
        for a, b in combinations(sorted(keys), 2)
        if known[a] != known[b]
    ]
    found = sorted((each for each in shared if each[0]), key=lambda each: (-each[0], each[1:]))
    return [(a, b) for _, a, b in found[:MOST_PAIRS]]


# The packets of each key that two clocks share, those of one and of the other, as places in `seen`.
def _shared(seen: _Seen, one: int, other: int) -> list[tuple[Codes, Codes]]:
    found = []
    mine, theirs = np.flatnonzero(seen.clock == one), np.flatnonzero(seen.clock == other)
    keys = np.intersect1d(seen.key[mine], seen.key[theirs])[:MOST_KEYS]
    for key in keys.tolist():
        sides = []
        for rows in (mine, theirs):
            low, high = np.searchsorted(seen.key[rows], [key, key + 1])
            sides.append(rows[low : min(high, low + MOST_QUESTIONS)])
        found.append((sides[0], sides[1]))
    return found


# Pairs of equal packets, one of each clock, whose stamps are not too far apart.
def _differences(seen: _Seen, shared: list[tuple[Codes, Codes]]) -> tuple[Codes, Codes]:
    left, right = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for mine, theirs in shared:
        near = seen.time[theirs][None, :] - seen.time[mine][:, None]
        a, b = np.nonzero(np.abs(near) <= FARTHEST_NS)
        left.append(mine[a])
        right.append(theirs[b])
    return np.concatenate(left), np.concatenate(right)


# The least and the most that the second clock may be ahead, None where no offset stands out.
def _offset(seen: _Seen, a: Codes, b: Codes) -> tuple[int, int] | None:
    asks = seen.is_request[a]  # an answer follows at once, and says the same again
    apart = np.sort((seen.time[b] - seen.time[a])[asks if asks.any() else slice(None)])
    for width in WIDTHS_NS:
        votes = np.searchsorted(apart, apart + width, side="right") - np.arange(len(apart))
        if not len(votes) or votes.max() < FEWEST:
            continue
        best = int(np.argmax(votes))
        low, high = int(apart[best]) - width // 2, int(apart[best]) + width * 3 // 2
        elsewhere = (apart < low - width) | (apart > high)
        if 2 * votes[elsewhere].max(initial=0) <= votes[best]:
            return low, high
    return None


def _choices(seen: _Seen, compared: Codes, packet: Keys, time: Times) -> Codes:
    # Equal packets of clocks that are still not compared, near each row's stamp; stamps that agree
    # need no other comparison.
    nothing = np.empty(0, np.int64)
    group = compared[seen.clock]
    starts = np.flatnonzero(np.r_[True, np.diff(seen.key) != 0])
    split = np.maximum.reduceat(group, starts) != np.minimum.reduceat(group, starts)
    stops = np.r_[starts[1:], len(seen.key)]
    parts = [np.arange(a, b) for a, b in zip(starts[split], stops[split], strict=True)]
    counts = np.zeros(len(seen.row), np.int64)
    for part in parts:
        _count(seen, group, part, counts)
    if not counts.any():
        return nothing
    # All rows of a key have what its most doubtful one has.
    most = np.maximum.reduceat(counts, starts)
    order = np.argsort(packet[seen.row[starts]])
    keys, most = packet[seen.row[starts]][order], most[order]
    at = np.minimum(np.searchsorted(keys, packet), len(keys) - 1)
    found: Codes = np.where(keys[at] == packet, most[at], 0)
    return found


def _count(seen: _Seen, group: Codes, part: Codes, counts: Codes) -> None:
    for clock in np.unique(group[part]).tolist():
        mine = part[group[part] == clock]
        theirs = np.sort(seen.time[part[group[part] != clock]])
        own = seen.time[mine]
        inside = (own >= theirs[0] - STAMPS_NS) & (own <= theirs[-1] + STAMPS_NS)
        agree = _near(theirs, own, STAMPS_NS) > 0
        if inside.any() and agree[inside].mean() >= 0.9:
            continue
        counts[mine] = _near(theirs, own, FARTHEST_NS)


def _near(times: Times, own: Times, within_ns: int) -> Codes:
    found: Codes = np.searchsorted(times, own + within_ns, side="right") - np.searchsorted(
        times, own - within_ns
    )
    return found
