"""Order of hops of one TTL that were stamped by different clocks, told from all packets of a way.

What goes both ways tells it, whatever the clocks are off by (`level_ways`). Where nothing does and
the time between two links is within what the clocks may be off by, the time of one packet says
nothing: then packets take the order in which they change clocks least often, else the one that most
of their stamps show. It is one order for all, so that none of them seems to end elsewhere.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tracer.core.address import GROUP_BIT, NULL_U64
from tracer.core.batch import ObservationBatch
from tracer.core.jit import inner_plain, jit_plain
from tracer.core.mixing import mix
from tracer.correlate.clocks.alignment import Clocks
from tracer.correlate.clocks.level_ways import SURE, ways_of
from tracer.correlate.hashing import Codes, Keys, at_share, factorise, first_at_least, pair_keys
from tracer.correlate.packets.identity import Identity

MOST_HOPS = 64  # of a journey that is looked at
MOST_PAIRS = 200_000  # of hops, of all the time; more tell nothing more
CLEARLY = 0.5  # of what pairs of hops say: as many against each that is against it
_NULL, _GROUP = np.uint64(NULL_U64), np.uint64(GROUP_BIT)


@dataclass(frozen=True, slots=True)
class _Pairs:
    # Rows of one packet and TTL whose clocks differ, `left` of the lower scale; `nearer`: 1 where
    # the clock changes less often with the left one first, -1 with the right one, 0 if as often.
    left: Codes
    right: Codes
    nearer: Codes


def order_across(
    batch: ObservationBatch, identity: Identity, clocks: Clocks, link: Codes, rows: Codes,
    starts: Codes, copy_of: Codes,
) -> None:  # fmt: skip
    """Put hops of one TTL and of different clocks in the order that all packets show, in place.

    `rows` and `starts`: the hops of each journey by falling TTL, then time; `link`: the code of
    each row's link; `copy_of`: as `Assembly` has it. Links without MACs, which are the same both
    ways, and frames for groups, which go several ways, are left in order of time.
    """
    if not len(clocks.scale):
        return
    macs = (identity.src_mac, identity.dst_mac)
    own = (identity.ttl, clocks.scale, identity.place, macs, copy_of)
    pairs = _pairs_of(rows, starts, own)
    if not len(pairs.left):
        return
    before = _before(batch, identity, clocks, link, pairs)
    if len(before):
        settle_across(rows, starts, identity.ttl, clocks.scale, link, before)


def _pairs_of(rows: Codes, starts: Codes, own: Any) -> _Pairs:
    none = np.empty(0, np.int64)
    count = _write(rows, starts, own, np.uint64(1), (none, none, none))
    every = np.uint64(1 + count // MOST_PAIRS)
    if every > 1:
        count = _write(rows, starts, own, every, (none, none, none))
    found = _Pairs(*(np.empty(count, np.int64) for _ in range(3)))
    _write(rows, starts, own, every, (found.left, found.right, found.nearer))
    return found


@jit_plain
def _write(rows: Codes, starts: Codes, own: Any, every: Any, out: Any) -> int:
    # Counts pairs, and writes those that `out` has room for.
    ttl, scale, place, macs, copy_of = own
    left, right, nearer = out
    count = 0
    for journey in range(len(starts) - 1):
        start, stop = starts[journey], starts[journey + 1]
        if stop - start > MOST_HOPS or mix(np.uint64(3), np.uint64(journey)) % every != 0:
            continue
        for i in range(start, stop):
            j = i + 1
            while j < stop and ttl[rows[j]] == ttl[rows[i]]:
                a, b = rows[i], rows[j]
                if scale[a] != scale[b] and place[a] != place[b] and _tell(a, b, macs, copy_of):
                    if count < len(left):
                        near = _nearer(rows, start, stop, i, j, ttl, scale)
                        swap = scale[a] > scale[b]
                        left[count], right[count] = (b, a) if swap else (a, b)
                        nearer[count] = -near if swap else near
                    count += 1
                j += 1
    return count


@inner_plain
def _tell(a: int, b: int, macs: Any, copy_of: Codes) -> bool:
    if copy_of[a] >= 0 or copy_of[b] >= 0:
        return False
    # With other MACs it is on another link: what took it passed it on without lowering its TTL.
    src, dst = macs
    if src[a] == _NULL or src[a] != src[b] or dst[a] != dst[b]:
        return False
    return bool(dst[a] == _NULL or dst[a] & _GROUP == 0)


@inner_plain
def _nearer(rows: Codes, start: int, stop: int, i: int, j: int, ttl: Codes, scale: Codes) -> int:
    # 1 if clocks change less often with hop i before hop j than the other way round, as the hops
    # before and after those of their TTL show.
    first, last = i, j
    while first >= start and ttl[rows[first]] == ttl[rows[i]]:
        first -= 1
    while last < stop and ttl[rows[last]] == ttl[rows[i]]:
        last += 1
    votes = 0
    if first >= start:
        votes += int(scale[rows[first]] == scale[rows[i]])
        votes -= int(scale[rows[first]] == scale[rows[j]])
    if last < stop:
        votes += int(scale[rows[last]] == scale[rows[j]])
        votes -= int(scale[rows[last]] == scale[rows[i]])
    return min(max(votes, -1), 1)


def _before(
    batch: ObservationBatch, identity: Identity, clocks: Clocks, link: Codes, pairs: _Pairs
) -> Keys:
    # Keys of two links, sorted, of which the first is before the second for all packets.
    left, right, time, scale = pairs.left, pairs.right, clocks.time_ns, clocks.scale
    ways = ways_of(batch, identity.place, time, left, right)
    key, where = factorise(pair_keys(link[left], link[right]))
    count = len(where)
    delay = time[right] - time[left]
    a, b = left[where], right[where]
    loose = clocks.loose_ns[scale[a]] + clocks.loose_ns[scale[b]]
    within = np.abs(at_share(key, delay, count, 0.5)) <= loose
    found = np.zeros(count, np.int64)
    said = (
        (np.where(np.abs(ways) >= SURE, np.sign(ways), 0), np.ones(count, np.bool_)),
        (pairs.nearer, within), (np.sign(delay), within),
    )  # fmt: skip
    for votes, counts in said:
        total = np.bincount(key, votes, count)
        clear = np.abs(total) >= CLEARLY * np.bincount(key, votes != 0, count)
        use = counts & (found == 0) & (total != 0) & (clear | (votes is said[-1][0]))
        found = np.where(use, np.sign(total).astype(np.int64), found)
    forward, back = found > 0, found < 0
    keys = [pair_keys(link[a[forward]], link[b[forward]]), pair_keys(link[b[back]], link[a[back]])]
    return np.sort(np.concatenate(keys))


@jit_plain
def settle_across(
    rows: Codes, starts: Codes, ttl: Codes, scale: Codes, link: Codes, before: Any
) -> None:
    """Swap neighbours of one TTL and two scales of whose links the second is `before`, in place.

    `before`: sorted keys, first link << 32 | second link; the other columns by row.
    """
    for journey in range(len(starts) - 1):
        start, stop = starts[journey], starts[journey + 1]
        for _ in range(stop - start - 1):
            moved = False
            for i in range(start + 1, stop):
                a, b = rows[i - 1], rows[i]
                if ttl[a] != ttl[b] or scale[a] == scale[b]:
                    continue
                key = (np.uint64(link[b]) << np.uint64(32)) | np.uint64(link[a])
                at = first_at_least(before, key)
                if at < len(before) and before[at] == key:
                    rows[i - 1], rows[i] = b, a
                    moved = True
            if not moved:
                break
