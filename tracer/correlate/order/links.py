"""Order of the hops of a journey: TTL first, then the way packets usually go, then time."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain, jit, jit_plain
from tracer.correlate.hashing import Codes, factorise, first_at_least, grouped, pair_keys
from tracer.correlate.packets.identity import Identity

Times = NDArray[np.int64]
TIE_NS = 200_000  # two stamps closer than this may have been taken in the wrong order
FAR_NS = 1_000_000
NEAR_NS = 200_000
OFTEN = 20  # packets that say how much the time between two links varies
SAMPLE = 100_000  # of their times that are looked at
MIXES = 3  # packets that came before one that left earlier
MOST_SPREADS = 16  # standard deviations: what is rare among those packets lies within


@dataclass(slots=True)
class LinkOrder:
    """What journeys beyond doubt say of pairs of links, and `link`, the code of each row's link.

    `name`: `Identity.link` by code, and `first`: the row at which each is first.

    `keys` (sorted uint64: code before << 32 | code after), `votes` for that order, `delay_ns` the
    usual time between the two, `far_ns` how far from it a packet that nothing but the time tells
    apart may be. `mixed`: those of `keys` between which packets overtake each other.
    """

    link: Codes
    keys: NDArray[np.uint64]
    votes: Codes
    delay_ns: Codes
    far_ns: Codes
    name: NDArray[np.uint64]
    first: Codes
    mixed: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    @property
    def usual(self) -> tuple[Codes, NDArray[np.uint64], Codes, Codes]:
        """What compiled functions take of it: `link`, `keys`, `votes` and `delay_ns`."""
        return self.link, self.keys, self.votes, self.delay_ns


@jit
def _steps(
    order: Codes, starts: Codes, doubt: NDArray[np.bool_], ttl: Codes, time: Times, link: Codes
) -> tuple[Codes, Codes, Codes, Codes, Codes]:
    # From row to row: links, since when, how long; and the groups in which rows of one TTL have
    # equal stamps: none of theirs.
    first = np.empty(len(order), np.int64)
    second = np.empty(len(order), np.int64)
    since = np.empty(len(order), np.int64)
    delay = np.empty(len(order), np.int64)
    tied = np.empty(len(starts), np.int64)
    count = ties = 0
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        if len(rows) < 2 or doubt[group]:
            continue
        before = count
        for i in range(1, len(rows)):
            a, b = rows[i - 1], rows[i]
            first[count], second[count] = link[a], link[b]
            since[count], delay[count] = time[a], time[b] - time[a]
            if delay[count] == 0 and ttl[a] == ttl[b]:
                tied[ties], count = group, before
                ties += 1
                break
            count += 1
    each = first[:count].copy(), second[:count].copy(), since[:count].copy(), delay[:count].copy()
    return *each, tied[:ties].copy()


@inner_plain
def _level(rows: Codes, i: int, ttl: Codes, time: Times) -> int:
    # Where those that follow row `i` with its TTL and stamp end.
    stop = i + 1
    while (
        stop < len(rows) and time[rows[stop]] == time[rows[i]] and ttl[rows[stop]] == ttl[rows[i]]
    ):
        stop += 1
    return stop


@inner_plain
def _walk(
    order: Codes, starts: Codes, tied: Codes, ttl: Codes, time: Times, link: Codes, out: Any
) -> int:
    # Counts steps, and fills in those that `out` (as of `_steps`) has room for.
    first, second, since, delay = out
    count = 0
    for group in tied:
        rows = order[starts[group] : starts[group + 1]]
        start, stop = 0, _level(rows, 0, ttl, time)
        while stop < len(rows):
            end = _level(rows, stop, ttl, time)
            if len(first) == 0:
                count += (stop - start) * (end - stop)
            else:
                for a in rows[start:stop]:
                    for b in rows[stop:end]:
                        first[count], second[count] = link[a], link[b]
                        since[count], delay[count] = time[a], time[b] - time[a]
                        count += 1
            start, stop = stop, end
    return count


@jit
def _tied_steps(
    order: Codes, starts: Codes, tied: Codes, ttl: Codes, time: Times, link: Codes
) -> tuple[Codes, Codes, Codes, Codes]:
    # Of equal stamps none was first: each is a step from all that have the stamp before.
    none = np.empty(0, np.int64)
    steps = _walk(order, starts, tied, ttl, time, link, (none, none, none, none))
    first, second = np.empty(steps, np.int64), np.empty(steps, np.int64)
    since, delay = np.empty(steps, np.int64), np.empty(steps, np.int64)
    _walk(order, starts, tied, ttl, time, link, (first, second, since, delay))
    return first, second, since, delay


def link_order(
    identity: Identity, order: Codes, starts: Codes, doubt: NDArray[np.bool_], time: Times
) -> LinkOrder:
    """Return what packets beyond `doubt` say of the order of links (groups by TTL, then time)."""
    link, named = factorise(identity.link)
    *steps, tied = _steps(order, starts, doubt, identity.ttl, time, link)
    if len(tied):
        more = _tied_steps(order, starts, tied, identity.ttl, time, link)
        steps = [np.concatenate(pair) for pair in zip(steps, more, strict=True)]
    first, second, since, delay = steps
    codes, where = factorise(pair_keys(first, second))
    votes = np.bincount(codes, minlength=len(where))
    total = np.bincount(codes, weights=delay, minlength=len(where))
    keys = pair_keys(first[where], second[where])
    by_key = np.argsort(keys)
    mean = (total / np.maximum(votes, 1)).astype(np.int64)
    far = 4 * np.abs(mean) + FAR_NS
    mixed = np.empty(0, np.uint64)
    if doubt.any():
        off = (delay - mean[codes]) ** 2.0
        square = np.bincount(codes, weights=off, minlength=len(where))
        spread = np.sqrt(square / np.maximum(votes, 1))
        seldom = np.int64(MOST_SPREADS * spread) + NEAR_NS
        far = np.where(votes >= OFTEN, np.minimum(far, seldom), far)
        varies = (spread > NEAR_NS) & (votes >= OFTEN)
        mean = _middles(codes, delay, mean, varies)
        mixed = np.sort(keys[_overtaken(codes, since, delay, varies)])
    return LinkOrder(
        link, keys[by_key], votes.astype(np.int64)[by_key], mean[by_key], far[by_key],
        identity.link[named], named, mixed,
    )  # fmt: skip


def _middles(codes: Codes, delay: Codes, mean: Codes, varies: NDArray[np.bool_]) -> Codes:
    # Where times vary, because packets queue, few are very late: the median is what is usual.
    some = np.flatnonzero(varies[codes])
    if not len(some):
        return mean
    some = some[:: 1 + len(some) // SAMPLE]
    order, starts = grouped(codes[some], len(mean))
    middles = mean.copy()
    for pair in np.flatnonzero(np.diff(starts) > 0):
        middles[pair] = np.median(delay[some[order[starts[pair] : starts[pair + 1]]]])
    return middles


def _overtaken(codes: Codes, since: Codes, delay: Codes, varies: NDArray[np.bool_]) -> Codes:
    # Pairs where some that left later came earlier.
    some = np.flatnonzero(varies[codes])
    if len(some) > SAMPLE:  # the first ones, for those that overtake each other are neighbours
        some = some[since[some] <= np.partition(since[some], SAMPLE)[SAMPLE]]
    some = some[np.lexsort((since[some], codes[some]))]
    came = since[some] + delay[some]
    earlier = (codes[some[1:]] == codes[some[:-1]]) & (came[1:] < came[:-1])
    return np.flatnonzero(np.bincount(codes[some[1:]][earlier], minlength=len(varies)) >= MIXES)


def usual_gap(links: LinkOrder) -> int:
    """Return a silence, in nanoseconds, that hardly any packet makes between two hops."""
    seen = links.delay_ns[links.votes >= 3]
    return int(min(max(20 * int(seen.max(initial=250_000)), 2_000_000), 100_000_000))


def surest_gaps(links: LinkOrder) -> Codes:
    """Return for each link how long a packet seen there is silent at most, nanoseconds.

    As far as OFTEN packets beyond doubt tell of all the links that it went to or came from often;
    without such a time that nothing reaches.
    """
    often = np.flatnonzero(links.votes >= OFTEN)
    longest = np.abs(links.delay_ns[often]) + links.far_ns[often]
    before = (links.keys[often] >> np.uint64(32)).astype(np.int64)
    after = (links.keys[often] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    gaps = np.zeros(len(links.name), np.int64)
    np.maximum.at(gaps, before, longest)
    np.maximum.at(gaps, after, longest)
    return np.where(gaps > 0, gaps, np.iinfo(np.int64).max)


def longest_gap(links: LinkOrder, gap_ns: int) -> int:
    """Return how long a packet is silent between two hops at most, where equal packets are near.

    A host sends the same again after 200 ms at the earliest (TCP), so what took longer than that
    and than is usual between any two links is another packet.
    """
    usual = int(links.delay_ns[links.votes >= 3].max(initial=0))
    return min(gap_ns, max(100_000_000, 4 * usual))


@inner_plain
def votes_of(keys: Any, votes: Codes, first: int, second: int) -> int:
    """Return the votes for link `first` before link `second`."""
    key = (np.uint64(first) << np.uint64(32)) | np.uint64(second)
    at = first_at_least(keys, key)
    return int(votes[at]) if at < len(keys) and keys[at] == key else 0


@inner_plain
def usual_delay(links: Any, before: int, row: int) -> int:
    """Return the mean time between the links of two rows, -1 where too few packets tell.

    `links`: link, keys, votes and delay_ns of a `LinkOrder`.
    """
    link, keys, votes, delays = links
    key = (np.uint64(link[before]) << np.uint64(32)) | np.uint64(link[row])
    at = first_at_least(keys, key)
    if at == len(keys) or keys[at] != key or votes[at] < 3:
        return -1
    return int(abs(delays[at]))


@inner_plain
def is_before(keys: Any, votes: Codes, first: int, second: int) -> bool:
    """Return whether the votes clearly put link `first` before link `second`."""
    forward = votes_of(keys, votes, first, second)
    return forward >= 2 and forward >= 2 * votes_of(keys, votes, second, first)


@inner_plain
def is_tied(rows: Codes, i: int, stop: int, ttl: Codes, time: Codes) -> bool:
    """Return whether two neighbours from place `i` on that have its TTL have one stamp."""
    while i + 1 < stop and ttl[rows[i + 1]] == ttl[rows[i]]:
        if time[rows[i + 1]] == time[rows[i]]:
            return True
        i += 1
    return False


@inner_plain
def _first_of(rows: Codes, start: int, i: int, ttl: Codes) -> int:
    while i > start and ttl[rows[i - 1]] == ttl[rows[i]]:
        i -= 1
    return i


@jit_plain
def settle(
    ttl: Codes,
    hops: Codes,
    starts: Codes,
    time: Times,
    link: Codes,
    netns: Codes,
    keys: Any,
    votes: Codes,
    of_stations: Any,
    tunnelled: NDArray[np.bool_],
    files: Any,
    early_ns: Codes,
) -> None:
    """Put neighbours whose stamps are too close to trust in the usual order, in place.

    Journeys are `hops[starts[j] : starts[j + 1]]`, rows by falling TTL, then time. With no usual
    order a tie goes to what one file has first (`files`: capture, frame and clock by row, and
    `Identity.several`), then to what other frames show of the way of the sender's or the
    receiver's (`of_stations`), then to the hop in the namespace that took the packet off its former
    TTL, and what is in a tunnel (`tunnelled`, by row; of no rows where nothing is) stays there
    while it can. Stamps of a file that shows several devices are one socket's, and in order.
    `early_ns`: by how much coarse stamps may be off, by row; no element where all resolve alike.
    """
    capture, frame, clock, several = files
    for journey in range(len(starts) - 1):
        start, stop = starts[journey], starts[journey + 1]
        for _ in range(stop - start - 1):
            moved = False
            for i in range(start + 1, stop):
                a, b = hops[i - 1], hops[i]
                tie = TIE_NS if len(early_ns) == 0 else max(TIE_NS, early_ns[a] + early_ns[b])
                if ttl[a] != ttl[b] or abs(time[b] - time[a]) > tie:
                    continue
                apart = time[a] != time[b]
                if apart and len(several) and several[a] and capture[a] == capture[b]:
                    continue
                swap = is_before(keys, votes, link[b], link[a])
                if swap and apart and clock[a] == clock[b]:
                    # Where devices share a stamp they are stacked: there others tell of others.
                    swap = not is_tied(hops, _first_of(hops, start, i, ttl), stop, ttl, time)
                if time[a] == time[b] and not swap and not is_before(keys, votes, link[a], link[b]):
                    turned = _by_stations(of_stations, link[a], link[b])
                    if capture[a] == capture[b]:
                        swap = frame[a] > frame[b]
                    elif turned != 0:
                        swap = turned < 0
                    else:
                        swap = _routed_first(ttl, hops, start, i, stop, netns)
                        swap = swap or _carried_first(tunnelled, hops, start, i, stop)
                if swap:
                    hops[i - 1], hops[i] = b, a
                    moved = True
            if not moved:
                break


@inner_plain
def _by_stations(of_stations: Any, one: int, other: int) -> int:
    # 1 where frames of the sender's are at one link before the other, or those for the receiver, -1
    # where they are after it, 0 where that is not known.
    sender, receiver, keys, votes = of_stations
    before = is_before(keys, votes, sender[one], sender[other])
    before = before or is_before(keys, votes, receiver[other], receiver[one])
    after = is_before(keys, votes, sender[other], sender[one])
    after = after or is_before(keys, votes, receiver[one], receiver[other])
    return int(before) - int(after)


@inner_plain
def _routed_first(ttl: Codes, hops: Codes, start: int, i: int, stop: int, netns: Codes) -> bool:
    a, b = hops[i - 1], hops[i]
    if netns[a] == netns[b]:
        return False
    if i - 2 >= start and ttl[hops[i - 2]] > ttl[a] and netns[hops[i - 2]] >= 0:
        return bool(netns[hops[i - 2]] == netns[b])
    if i + 1 < stop and ttl[hops[i + 1]] < ttl[b] and netns[hops[i + 1]] >= 0:
        return bool(netns[hops[i + 1]] == netns[a])
    return False


@inner_plain
def _carried_first(
    tunnelled: NDArray[np.bool_], hops: Codes, start: int, i: int, stop: int
) -> bool:
    # Whether a packet stays in, or out of, a tunnel on both sides the other way round.
    if len(tunnelled) == 0 or i - 2 < start or i + 1 >= stop:
        return False
    a, b = tunnelled[hops[i - 1]], tunnelled[hops[i]]
    return bool(a != b and tunnelled[hops[i - 2]] == b and tunnelled[hops[i + 1]] == a)
