"""How a journey ended: delivered, dropped, vanished, or cut by the edge of what was captured."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.enums import Kind, Outcome
from tracer.core.jit import jit
from tracer.core.mixing import mixed
from tracer.correlate.flows.exchange import ANSWERABLE
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys
from tracer.correlate.order.ways import ANSWERED, BEGAN, PASSED, Ways, most_seen
from tracer.correlate.packets.identity import Identity

NONE = np.empty(0, np.int64)
INTERRUPTED = 3  # packets that go past a silent capture: one may have been missed by chance


@dataclass(slots=True)
class Paths:
    """Journeys: `hops` (rows) and where each journey `starts` in them; kind, reply, flow of each.

    `parent`: the place (from 1) in its journey of the hop each came from, 0 for the first.
    `quoted`: whether an ICMP error quotes the packet. `end`: the index of the hop that says how the
    journey ended. `alike`: whether packets alike begin further on that may be the same one.
    `in_part`: whether some of its bytes went on from where it ended.
    """

    hops: Codes
    starts: Codes
    parent: Codes
    kind: NDArray[np.int8]
    reply: Codes
    flow: Codes
    quoted: NDArray[np.bool_]
    end: Codes
    alike: NDArray[np.bool_]
    in_part: NDArray[np.bool_]

    @property
    def first(self) -> Codes:
        """First row of each journey."""
        return self.hops[self.starts[:-1]]

    @property
    def last(self) -> Codes:
        """Row of each journey that says how it ended, mostly the last."""
        return self.hops[self.end]


def _address_at(hashes: Keys, packets: Any, rows: Codes, end: str) -> Keys:
    return mixed(mixed(hashes, packets[f"{end}_hi"][rows]), packets[f"{end}_lo"][rows])


def _is_end(
    packets: Any, identity: Identity, link: Codes, paths: Paths, time: Codes, ways: Ways,
    before: Codes,
) -> NDArray[np.bool_]:  # fmt: skip
    # Whether the last hop is where packets from this destination begin their way.
    first, last, names = paths.first, paths.last, identity.place_names
    ways.count(BEGAN, link[first])
    ways.count(PASSED, link[paths.hops])
    # Routers and firewalls reset in the name of those they answer for.
    own = first[paths.kind != Kind.TCP_RST]
    sources = _address_at(np.full(len(own), 3, np.uint64), packets, own, "src")
    begins = _address_at(names[identity.place[own]], packets, own, "src")
    there = _address_at(names[identity.place[last]], packets, last, "dst")
    sure = _was_watched(identity, before[link[own]], time, time[own], ways)
    ends, several = ways.begin(sources, begins, link[own], sure)
    if len(several):
        passing = np.ones(len(paths.hops), np.bool_)
        passing[paths.starts[:-1]] = False
        rows = paths.hops[passing]
        rows = rows[packets["ip_version"][rows] > 0]  # ARP has no such source
        passed = _address_at(names[identity.place[rows]], packets, rows, "src")
        ends = ways.without_passed(ends, several, passed)
    return np.isin(there, ends)


def _was_watched(
    identity: Identity, places: Codes, time: Codes, at_ns: Codes, ways: Ways
) -> NDArray[np.bool_]:
    # Whether a place (-1: nothing is there) was being captured at a time.
    last_ns = np.full(len(ways.since_ns) + 1, np.iinfo(np.int64).min)
    np.maximum.at(last_ns, identity.place, time)
    last_ns[-1] = np.iinfo(np.int64).max
    since_ns = np.append(ways.since_ns, np.iinfo(np.int64).min)
    watched: NDArray[np.bool_] = (since_ns[places] < at_ns) & (at_ns < last_ns[places])
    return watched


@dataclass(slots=True)
class Onward:
    """Where packets that go on are seen next, and those that passed it unseen.

    `expected`: the place each journey's next hop was expected at, -1 where none goes on. `passed`:
    indices into the paths' hops, of those from which a packet went past the usual next place to one
    beyond it, and not by another way that its flow takes; with that place and the time. `since_ns`:
    when each place was first seen, by code. `answered`: journeys that arrived, though not seen at
    the place they were expected at. `before`: the place that packets of each link come from, -1 for
    none.
    """

    expected: Codes
    passed: Codes
    passed_place: Codes
    passed_ns: Codes
    since_ns: Codes
    answered: Codes
    before: Codes


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


def _onward(identity: Identity, link: Codes, paths: Paths, time: Codes, ways: Ways) -> Onward:
    at, keys, *still = _moves(
        paths.hops, paths.starts, paths.parent, identity.place, identity.point, identity.several,
        link,
    )  # fmt: skip
    again = _come_again(identity, link, paths, still[0], still[1], ways)
    # Packets take few steps that differ: each is looked at once.
    step, which = factorise(keys)
    packets = np.bincount(step, minlength=len(which))
    first = (keys[which] >> np.uint64(32)).astype(np.int64)
    second = (keys[which] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    place = np.full(len(ways.links), -1)
    place[link] = identity.place
    following = ways.next_places(first, place[second], packets)
    before = ways.places_before(second, place[first], packets)
    skipped = following[first] != place[second]
    # Beyond it are places to which packets come from there; others lie on another way.
    beyond = before[second] == following[first]
    expected, passed = following[link[paths.last]], NONE
    if skipped.any():
        here, there = first[step], place[second][step]
        other = (skipped & ~beyond)[step]
        _on_other_ways(expected, paths, link, (at, here, there), other, skipped[step])
        passed = _unseen(
            identity, paths, (at, here, following[here]), skipped[step], beyond[step], time
        )
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
    return Onward(
        expected, passed, passed_place, time[paths.hops[passed]], ways.since_ns, NONE, before
    )


def _unseen(
    identity: Identity, paths: Paths, steps: tuple[Codes, Codes, Codes],
    skipped: NDArray[np.bool_], beyond: NDArray[np.bool_], time: Codes,
) -> Codes:  # fmt: skip
    # The hops from which packets passed a place unseen, without those of flows that go another way
    # to beyond it, as over equal routes: it never shows them, though it ran between two of them.
    at, here, usual = steps
    passing = skipped & beyond
    links = np.zeros(int(here.max(initial=-1)) + 1, np.bool_)
    links[here[passing]] = True
    chosen = np.flatnonzero(links[here] & (passing | ~skipped))
    owner = np.searchsorted(paths.starts, at[chosen], "right") - 1
    way, first = factorise(pair_keys(paths.flow[owner] + 1, here[chosen]))
    passing = passing[chosen]
    shown = np.bincount(way[~passing], minlength=len(first)) > 0
    way, chosen = way[passing], chosen[passing]
    silence, places = np.zeros(len(chosen), np.int64), usual[chosen]
    for place in np.unique(places):
        mine = np.flatnonzero(places == place)
        seen = np.sort(time[identity.place == place], kind="stable")
        silence[mine] = np.searchsorted(seen, time[paths.hops[at[chosen[mine]]]])
    _, once = factorise(pair_keys(way, silence))
    around = ~shown & (np.bincount(way[once], minlength=len(first)) > 1)
    hops: Codes = at[chosen[~around[way]]]
    return hops


def _come_again(
    identity: Identity, link: Codes, paths: Paths, at: Codes, to: Codes, ways: Ways
) -> Codes:
    # Journeys that ended at the only device of a router, of whose flow others went on from there:
    # routed, out by the same device. `at`, `to`: steps from hop to hop that stay at one place.
    a, b, last = paths.hops[at], paths.hops[to], paths.last
    routed = (identity.ttl[a] > identity.ttl[b]) & (identity.dst_mac[a] != identity.dst_mac[b])
    routed &= (identity.dst_mac[a] != NULL_U64) & (identity.dst_mac[b] != NULL_U64)
    a = a[routed]
    again = ways.come_again(link[a], identity.flow[a], link[last], identity.flow[last])
    found: Codes = np.flatnonzero(again)
    return found


def _hops_of(paths: Paths, journeys: Codes) -> tuple[Codes, Codes]:
    # All hops of some journeys: an index into `journeys`, and one into the paths' hops, of each.
    sizes = np.diff(paths.starts)[journeys]
    owner = np.repeat(np.arange(len(journeys)), sizes)
    at = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return owner, at + paths.starts[journeys[owner]]


def _not_again(identity: Identity, link: Codes, paths: Paths, steps: Keys, expected: Codes) -> None:
    # Nobody is expected on a link that it has passed already, as a bridge that is listened to takes
    # a copy of what it passes on, and shows it after the port; in place. `steps`: pairs of links.
    ends = np.flatnonzero(expected >= 0)
    owner, at = _hops_of(paths, ends)
    owner = ends[owner]
    rows, last = paths.hops[at], paths.last[owner]
    been = (identity.place[rows] == expected[owner]) & (identity.ttl[rows] == identity.ttl[last])
    been &= at < paths.end[owner]
    if not been.any():
        return
    again = np.isin(pair_keys(link[last[been]], link[rows[been]]), steps)
    expected[owner[been][again]] = -1


def _on_other_ways(
    expected: Codes, paths: Paths, link: Codes, steps: tuple[Codes, Codes, Codes],
    other: NDArray[np.bool_], skipped: NDArray[np.bool_],
) -> None:  # fmt: skip
    # Where flows go on from one link by several ways, as over equal routes, each packet is expected
    # where those of its own flow are seen; in place.
    at, here, there = steps
    forks = np.zeros(int(link.max(initial=-1)) + 1, np.bool_)
    forks[here[other]] = True
    ends = np.flatnonzero(forks[link[paths.last]] & (expected >= 0))
    if not len(ends):
        return
    chosen = np.flatnonzero(forks[here])
    owner = np.searchsorted(paths.starts, at[chosen], "right") - 1
    keys = pair_keys(paths.flow[owner] + 1, here[chosen])
    wanted = pair_keys(paths.flow[ends] + 1, link[paths.last[ends]])
    distinct, codes = np.unique(np.concatenate([keys, wanted]), return_inverse=True)
    of_step, of_end = codes[: len(keys)], codes[len(keys) :]
    usual = np.zeros(len(distinct), np.bool_)
    usual[of_step[~skipped[chosen]]] = True  # some of its flow came by the usual place
    ways = other[chosen]
    pairs, where = factorise(pair_keys(of_step[ways], there[chosen[ways]]))
    votes = np.bincount(pairs, minlength=len(where))
    instead = most_seen(of_step[ways][where], there[chosen[ways]][where], votes, len(distinct))
    found = np.where(usual[of_end], -1, instead[of_end])
    expected[ends[found >= 0]] = found[found >= 0]


def _capture_state(
    identity: Identity, onward: Onward, missing: Codes, time: Codes, at_ns: Codes
) -> NDArray[np.int8]:
    """Whether the place where each missing journey was expected was captured at a time.

    0: its capture had not begun or was over; 1: it was interrupted, for it showed nothing while
    several packets passed it; 2: it was running.
    """
    state = np.full(len(missing), 2, np.int8)
    places = onward.expected[missing]
    for place in np.unique(places):
        mine = np.flatnonzero(places == place)
        seen = np.sort(time[identity.place == place], kind="stable")  # they are, but for a few
        after = np.searchsorted(seen, at_ns[mine])
        edge = (at_ns[mine] <= onward.since_ns[place]) | (after == len(seen))
        state[mine[edge]] = 0
        edge |= after == 0  # what it showed before is in no window any more
        mine, after = mine[~edge], after[~edge]
        passed = np.sort(onward.passed_ns[onward.passed_place == place])
        first = np.searchsorted(passed, seen[after - 1], "right")
        last = np.searchsorted(passed, seen[after])
        state[mine[last - first >= INTERRUPTED]] = 1
    return state


def _expect_at_home(
    packets: Any, identity: Identity, paths: Paths, ending: NDArray[np.bool_], astray: Codes,
    expected: Codes,
) -> None:  # fmt: skip
    # Where nobody ever goes on, and nobody is answered from, a packet is expected where others for
    # its destination ended, as a router may lose all that takes one of several ways; in place. But
    # not one that a hub showed there, and elsewhere after it.
    home = np.flatnonzero(ending)
    ends = np.concatenate([astray, home])
    if not len(astray) or not len(home):
        return
    rows = paths.last[ends]
    code, first = factorise(_address_at(np.full(len(rows), 7, np.uint64), packets, rows, "dst"))
    of_astray, of_home = code[: len(astray)], code[len(astray) :]
    pairs, where = factorise(pair_keys(of_home, identity.place[paths.last[home]]))
    votes = np.bincount(pairs, minlength=len(where))
    places = identity.place[paths.last[home[where]]]
    found = most_seen(of_home[where], places, votes, len(first))[of_astray]
    owner, at = _hops_of(paths, astray)
    found[owner[identity.place[paths.hops[at]] == found[owner]]] = -1
    expected[astray] = found


def silenced(
    identity: Identity, paths: Paths, onward: Onward, beyond: Codes, vanished: Codes, time: Codes
) -> Codes:
    """Return which vanished journeys the next capture missed while it was interrupted.

    `beyond`: journeys that are known to have gone past it, though it does not show them; they tell
    that it was, where nobody watched beyond it.
    """
    ends = time[paths.last]
    known = replace(
        onward,
        passed_place=np.concatenate([onward.passed_place, onward.expected[beyond]]),
        passed_ns=np.concatenate([onward.passed_ns, ends[beyond]]),
    )
    state = _capture_state(identity, known, vanished, time, ends[vanished])
    found: Codes = vanished[state == 1]
    return found


def _reset_on_the_way(identity: Identity, paths: Paths, onward: Onward, time: Codes) -> Codes:
    # A rule that refuses TCP answers in the name of the host (REJECT with a reset): the answer
    # begins where the packet was last seen, and the captures beyond show neither.
    which = onward.answered[paths.kind[paths.reply[onward.answered]] == Kind.TCP_RST]
    begins, ends = paths.first[paths.reply[which]], paths.last[which]
    which = which[identity.place[begins] == identity.place[ends]]
    state = _capture_state(identity, onward, which, time, time[paths.last[which]])
    found: Codes = which[state == 2]
    return found


def outcomes(
    packets: Any, identity: Identity, link: Codes, paths: Paths, time: Codes, ways: Ways
) -> tuple[NDArray[np.int8], Onward, Codes]:
    """Return `core.enums.Outcome` of each journey; `link` and `time` by row.

    Also where packets go on to, and the journeys that end where the next capture had not begun or
    was over.

    Delivered: answered, or last seen where its destination's packets begin, or where no packet was
    ever seen to go on. Vanished: others went on from there, and the next place was being captured.
    Unfinished: nobody went on from there, and others were answered from beyond what was captured;
    or packets alike begin further on, one of which it may be.
    Answered elsewhere: an ICMP error quotes it, or a reset came from where others went on.
    """
    first, last = paths.first, paths.last
    several = np.diff(paths.starts) > 1
    answered = paths.reply >= 0
    onward = _onward(identity, link, paths, time, ways)
    following = onward.expected
    silent = np.isin(paths.kind, ANSWERABLE) & ~answered
    outcome = np.full(len(first), Outcome.UNFINISHED, np.int8)
    alone = several & (following < 0) & ~paths.alike
    outcome[alone & ~silent] = Outcome.DELIVERED
    elsewhere = np.diff(paths.starts) < len(ways.known.places)
    elsewhere &= ways.count(ANSWERED, link[last[answered]])[link[last]] == 0
    outcome[alone & silent & elsewhere] = Outcome.VANISHED
    # A router's device, by which it is to go out, too: it is not there that it was to end.
    again = (following >= 0) & (following == identity.place[last])
    ending = _is_end(packets, identity, link, paths, time, ways, onward.before) & ~again
    has_ip = packets["ip_version"][last] > 0  # ARP has no destination that others could share
    astray = several & (following < 0) & elsewhere & ~ending & ~answered & has_ip
    _expect_at_home(packets, identity, paths, ending & has_ip, np.flatnonzero(astray), following)
    onward.answered = np.flatnonzero((following >= 0) & ~ending & answered)
    missing = np.flatnonzero((following >= 0) & ~ending & ~answered & ~paths.alike)
    outcome[missing] = Outcome.VANISHED
    state = _capture_state(identity, onward, missing, time, time[last[missing]] + again[missing])
    outcome[missing[state == 0]] = Outcome.UNFINISHED
    outcome[missing[state == 1]] = Outcome.LOST_BY_TRACER
    outcome[(several | answered) & (ending | answered)] = Outcome.DELIVERED
    outcome[paths.quoted & ~answered] = Outcome.ANSWERED_ELSEWHERE
    outcome[paths.quoted & ending] = Outcome.DELIVERED
    outcome[_reset_on_the_way(identity, paths, onward, time)] = Outcome.ANSWERED_ELSEWHERE
    edge = missing[state == 0]
    return outcome, onward, edge[outcome[edge] == Outcome.UNFINISHED]
