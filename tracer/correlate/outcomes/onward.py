"""Where packets go on to from each link, and where each journey's next hop was expected."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.jit import jit
from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, Keys, at_share, factorise, pair_keys
from tracer.correlate.order.ways import Ways, most_seen
from tracer.correlate.outcomes.beyond import beyond_of
from tracer.correlate.outcomes.paths import Paths, hops_of
from tracer.correlate.packets.identity import Identity

NONE = np.empty(0, np.int64)
_USUAL, _UNKNOWN = -1, -2
NEARLY_ALL = 0.99


@dataclass(slots=True)
class Onward:
    """Where packets that go on are seen next, and those that passed it unseen.

    `expected`: the place each journey's next hop was expected at, -1 where none goes on. `passed`:
    indices into the paths' hops, of those from which a packet went past the usual next place to one
    beyond it, and not by another way that its flow takes, and of first ones before which it did not
    show where its source begins; with that place and the time. `since_ns`:
    when each place was first seen, by code. `answered`: journeys that arrived, though not seen at
    the place they were expected at. `before`: the place that packets of each link come from, -1 for
    none. `beyond`: the place where each journey would have been seen if the expected one had missed
    it, as `beyond_of` tells, -1 where nothing does. `took_ns` gives how long nearly all
    packets take from links to the next place.
    """

    expected: Codes
    passed: Codes
    passed_place: Codes
    passed_ns: Codes
    since_ns: Codes
    answered: Codes
    before: Codes
    beyond: Codes
    took_ns: Callable[[Codes], Codes]

    def add_passed(self, paths: Paths, journeys: Codes, places: Codes, time: Codes) -> None:
        """Add journeys that had passed a place unseen before their first hop."""
        self.passed = np.concatenate([self.passed, paths.starts[journeys]])
        self.passed_place = np.concatenate([self.passed_place, places])
        self.passed_ns = np.concatenate([self.passed_ns, time[paths.first[journeys]]])


@jit
def _moves(
    hops: Codes, starts: Codes, parent: Codes, place: Codes, point: Codes,
    several: NDArray[np.bool_], link: Codes,
) -> tuple[Codes, Keys, Codes, Codes]:  # fmt: skip
    # Steps that lead elsewhere: the hop each begins at, and the links of both ends; then the ends
    # of those that do not. A flooded frame goes on from the port it came by, not from one branch
    # to the next; what came in by a point of several devices is seen there to go out again.
    at, keys = np.empty(len(hops), np.int64), np.empty(len(hops), np.uint64)
    still = np.empty(len(hops), np.int64), np.empty(len(hops), np.int64)
    moves = stays = 0
    for journey in range(len(starts) - 1):
        for to in range(starts[journey], starts[journey + 1]):
            if parent[to] <= 0:
                continue
            begin = starts[journey] + parent[to] - 1
            a, b = hops[begin], hops[to]
            again = len(several) > 0 and several[b] and point[a] != point[b]
            if place[a] == place[b] and not again:
                still[0][stays], still[1][stays] = begin, to
                stays += 1
                continue
            at[moves] = begin
            keys[moves] = (np.uint64(link[a]) << np.uint64(32)) | np.uint64(link[b])
            moves += 1
    return at[:moves], keys[:moves], still[0][:stays].copy(), still[1][:stays].copy()


def onward_of(
    packets: Any, identity: Identity, link: Codes, paths: Paths, time: Codes, ways: Ways
) -> Onward:
    """Return where packets go on to; `link` and `time` by row. The ways they take are learned."""
    at, keys, *still = _moves(
        paths.hops, paths.starts, paths.parent, identity.place, identity.point, identity.several,
        link,
    )  # fmt: skip
    again = _come_again(identity, link, paths, still[0], still[1], ways)
    # Packets take few steps that differ: each is looked at once.
    step, which = factorise(keys)
    often = ways.counts(step, paths.owner(at), len(which))
    first = (keys[which] >> np.uint64(32)).astype(np.int64)
    second = (keys[which] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    place = np.full(len(ways.links), -1)
    place[link] = identity.place
    following = ways.next_places(first, place[second], often)
    before = ways.places_before(second, place[first], often)
    skipped = following[first] != place[second]
    # Beyond it are places to which packets come from there; others lie on another way.
    beyond = before[second] == following[first]
    expected, passed, came_to = following[link[paths.last]], NONE, NONE
    if skipped.any():
        here, there = first[step], place[second][step]
        other = (skipped & ~beyond)[step]
        _on_other_ways(packets, expected, paths, link, (at, here, there), other, skipped[step])
        steps = _unseen(
            identity, paths, (at, here, following[here]), skipped[step], beyond[step], time
        )
        passed, came_to = at[steps], there[steps]
    # Without MACs a link is the same both ways: nobody is expected where it came from.
    parent = paths.parent[paths.end]
    from_ = paths.hops[paths.starts[:-1] + np.maximum(parent, 1) - 1]
    came_from = np.where(parent > 0, identity.place[from_], -1)
    turned = (expected == came_from) & (identity.src_mac[paths.last] == NULL_U64)
    if len(identity.several):
        turned &= ~identity.several[paths.last]
    expected[turned] = -1
    _not_again(identity, link, paths, keys[which], expected)
    expected[again] = identity.place[paths.last[again]]
    passed_place = following[link[paths.hops[passed]]]
    beyond_it = beyond_of(paths, link, expected, passed, passed_place, came_to)

    def took_ns(links: Codes) -> Codes:
        steps = at, place[second][step], following
        return _most_took(paths, link, steps, identity.place, time, links)

    return Onward(
        expected, passed, passed_place, time[paths.hops[passed]], ways.since_ns, NONE, before,
        beyond_it, took_ns,
    )  # fmt: skip


def _most_took(
    paths: Paths, link: Codes, steps: tuple[Codes, Codes, Codes], place: Codes, time: Codes,
    links: Codes,
) -> Codes:  # fmt: skip
    # How long nearly all packets take from each of `links` to the next place, 0: none is known.
    at, there, following = steps
    wanted = np.zeros(len(following), np.bool_)
    wanted[links] = True
    begin, end = paths.hops[at], paths.hops[np.minimum(at + 1, len(paths.hops) - 1)]
    chosen = wanted[link[begin]] & (place[end] == there) & (following[link[begin]] == there)
    begin, end = begin[chosen], end[chosen]
    took = at_share(link[begin], time[end] - time[begin], len(following), NEARLY_ALL)
    return np.maximum(took, 0)[links]


def _unseen(
    identity: Identity, paths: Paths, steps: tuple[Codes, Codes, Codes],
    skipped: NDArray[np.bool_], beyond: NDArray[np.bool_], time: Codes,
) -> Codes:  # fmt: skip
    # The steps by which packets passed a place unseen, without those of flows that go another way
    # to beyond it, as over equal routes: it never shows them, though it ran between two of them.
    at, here, usual = steps
    passing = skipped & beyond
    links = np.zeros(int(here.max(initial=-1)) + 1, np.bool_)
    links[here[passing]] = True
    chosen = np.flatnonzero(links[here] & (passing | ~skipped))
    owner = paths.owner(at[chosen])
    way, first = factorise(pair_keys(paths.flow[owner] + 1, here[chosen]))
    passing = passing[chosen]
    shown = np.bincount(way[~passing], minlength=len(first)) > 0
    way, chosen = way[passing], chosen[passing]
    at_ns = time[paths.hops[at[chosen]]]
    around = ~shown & several_silences(identity, way, len(first), usual[chosen], at_ns, time)
    found: Codes = chosen[~around[way]]
    return found


def several_silences(
    identity: Identity, way: Codes, ways: int, places: Codes, at_ns: Codes, time: Codes
) -> NDArray[np.bool_]:
    """Return which ways, shape (ways,), have packets in more than one silence of a place.

    `way` (a code), place and time of each packet; `time` by row. Such a place ran between them.
    """
    silence = np.zeros(len(way), np.int64)
    for place in np.unique(places):
        mine = np.flatnonzero(places == place)
        seen = np.sort(time[identity.place == place], kind="stable")
        silence[mine] = np.searchsorted(seen, at_ns[mine])
    _, once = factorise(pair_keys(way, silence))
    found: NDArray[np.bool_] = np.bincount(way[once], minlength=ways) > 1
    return found


def _come_again(
    identity: Identity, link: Codes, paths: Paths, at: Codes, to: Codes, ways: Ways
) -> Codes:
    # Journeys that ended at the only device of a router, of whose flow others went on from there:
    # routed, out by the same device. `at`, `to`: steps from hop to hop that stay at one place.
    a, b, last = paths.hops[at], paths.hops[to], paths.last
    routed = (identity.ttl[a] > identity.ttl[b]) & (identity.dst_mac[a] != identity.dst_mac[b])
    routed &= (identity.dst_mac[a] != NULL_U64) & (identity.dst_mac[b] != NULL_U64)
    a, of = a[routed], paths.owner(at[routed])
    again = ways.come_again(link[a], identity.flow[a], of, link[last], identity.flow[last])
    found: Codes = np.flatnonzero(again)
    return found


def _not_again(identity: Identity, link: Codes, paths: Paths, steps: Keys, expected: Codes) -> None:
    # Nobody is expected on a link that it has passed already, as a bridge that is listened to takes
    # a copy of what it passes on, and shows it after the port; in place. `steps`: pairs of links.
    ends = np.flatnonzero(expected >= 0)
    owner, at = hops_of(paths, ends)
    owner = ends[owner]
    rows, last = paths.hops[at], paths.last[owner]
    been = (identity.place[rows] == expected[owner]) & (identity.ttl[rows] == identity.ttl[last])
    been &= at < paths.end[owner]
    if not been.any():
        return
    again = np.isin(pair_keys(link[last[been]], link[rows[been]]), steps)
    expected[owner[been][again]] = -1


def _on_other_ways(
    packets: Any, expected: Codes, paths: Paths, link: Codes, steps: tuple[Codes, Codes, Codes],
    other: NDArray[np.bool_], skipped: NDArray[np.bool_],
) -> None:  # fmt: skip
    # Where flows go on from one link by several ways, as over equal routes or to several hosts,
    # each packet is expected where those of its own flow for its destination are seen, else where
    # any for its destination are; in place. ICMP errors for many hosts may be one flow before NAT.
    at, here, there = steps
    forks = np.zeros(int(link.max(initial=-1)) + 1, np.bool_)
    forks[here[other]] = True
    ends = np.flatnonzero(forks[link[paths.last]] & (expected >= 0))
    chosen = np.flatnonzero(forks[here])
    if not len(ends):
        return
    owner, rows, last = paths.owner(at[chosen]), paths.hops[at[chosen]], paths.last[ends]
    here, there, other, came = here[chosen], there[chosen], other[chosen], ~skipped[chosen]
    left = np.arange(len(ends))
    to = _destinations(packets, np.concatenate([rows, last]))
    of = mixed(to, np.concatenate([paths.flow[owner], paths.flow[ends]]))
    for codes in (factorise(of)[0], factorise(to)[0]):
        of_steps, of_ends = codes[: len(rows)], codes[len(rows) :]
        keys = pair_keys(of_steps, here)
        wanted = pair_keys(of_ends[left], link[last[left]])
        found = _instead(keys, wanted, there, other, came)
        expected[ends[left[found >= 0]]] = found[found >= 0]
        left = left[found == _UNKNOWN]
        if not len(left):
            return


def _destinations(packets: Any, rows: Codes) -> Keys:
    found = np.full(len(rows), 17, np.uint64)
    return mixed(mixed(found, packets["dst_hi"][rows]), packets["dst_lo"][rows])


def _instead(
    keys: Keys, wanted: Keys, there: Codes, other: NDArray[np.bool_], came: NDArray[np.bool_]
) -> Codes:
    # Of each wanted key the place that most of its steps lead to by another way; _USUAL where some
    # `came` by the usual one, _UNKNOWN where there is no step.
    codes, first = factorise(np.concatenate([keys, wanted]))
    of_step, of_end = codes[: len(keys)], codes[len(keys) :]
    usual = np.zeros(len(first), np.bool_)
    usual[of_step[came]] = True
    pairs, where = factorise(pair_keys(of_step[other], there[other]))
    votes = np.bincount(pairs, minlength=len(where))
    found = most_seen(of_step[other][where], there[other][where], votes, len(first))
    found = np.where(found < 0, _UNKNOWN, found)
    return np.where(usual, _USUAL, found)[of_end]
