"""How a journey ended: delivered, dropped, vanished, or cut by the edge of what was captured."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Outcome
from tracer.core.mixing import mixed
from tracer.correlate.exchange import ANSWERABLE
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys
from tracer.correlate.identity import Identity

END_SHARE = 0.05  # of a source's packets have to begin at a place for it to be an end
INTERRUPTED = 3  # packets that go past a silent capture: one may have been missed by chance


@dataclass(slots=True)
class Paths:
    """Journeys: `hops` (rows) and where each journey `starts` in them; `kind`, `reply`, `quoted`.

    `quoted`: whether an ICMP error quotes the packet.
    """

    hops: Codes
    starts: Codes
    kind: NDArray[np.int8]
    reply: Codes
    quoted: NDArray[np.bool_]

    @property
    def first(self) -> Codes:
        """First row of each journey."""
        return self.hops[self.starts[:-1]]

    @property
    def last(self) -> Codes:
        """Last row of each journey."""
        return self.hops[self.starts[1:] - 1]


def _address_at(hashes: Keys, packets: Any, rows: Codes, end: str) -> Keys:
    return mixed(mixed(hashes, packets[f"{end}_hi"][rows]), packets[f"{end}_lo"][rows])


def _is_end(packets: Any, identity: Identity, link: Codes, paths: Paths) -> NDArray[np.bool_]:
    # Whether the last hop is where packets from this destination begin their way. A packet whose
    # first hops were not captured begins on a link that most others only pass.
    first, last = paths.first, paths.last
    beginning = np.bincount(link[first], minlength=int(link.max(initial=-1)) + 1)
    passing = np.bincount(link[paths.hops], minlength=len(beginning))
    from_here = first[2 * beginning[link[first]] >= passing[link[first]]]
    none = np.full(len(from_here), 3, np.uint64)
    begins = _address_at(mixed(none, identity.place[from_here]), packets, from_here, "src")
    sources, _ = factorise(_address_at(none, packets, from_here, "src"))
    codes, where = factorise(begins)
    share = np.bincount(codes) / np.bincount(sources)[sources[where]]
    known = np.unique(begins[where[share >= END_SHARE]])
    there = mixed(np.full(len(last), 3, np.uint64), identity.place[last])
    return np.isin(_address_at(there, packets, last, "dst"), known)


@dataclass(slots=True)
class Onward:
    """Where packets that go on from each link are mostly seen next, and those that were not.

    `following`: the place, by link, -1 where none goes on. `skipped`: indices into the paths' hops,
    of those from which a packet went on without being seen there; with link, place and time.
    """

    following: Codes
    skipped: Codes
    skipped_link: Codes
    skipped_place: Codes
    skipped_ns: Codes


def _onward(identity: Identity, link: Codes, paths: Paths, time: Codes) -> Onward:
    inner = np.ones(len(paths.hops), np.bool_)
    inner[paths.starts[1:] - 1] = False
    at = np.flatnonzero(inner)
    here, there = link[paths.hops[at]], identity.place[paths.hops[at + 1]]
    moved = identity.place[paths.hops[at]] != there
    at, here, there = at[moved], here[moved], there[moved]
    codes, where = factorise(pair_keys(here, there))
    votes = np.bincount(codes, minlength=len(where))
    following = np.full(int(link.max(initial=-1)) + 1, -1, np.int64)
    rare_first = where[np.argsort(votes, kind="stable")]
    following[here[rare_first]] = there[rare_first]
    skipped = following[here] != there
    at, here = at[skipped], here[skipped]
    return Onward(following, at, here, following[here], time[paths.hops[at]])


def _capture_state(
    identity: Identity, onward: Onward, links: Codes, time: Codes, at_ns: Codes
) -> NDArray[np.int8]:
    """Whether the place after each link was captured at a time.

    0: its capture had not begun or was over; 1: it was interrupted, for it showed nothing while
    several packets went on past it; 2: it was running.
    """
    state = np.full(len(links), 2, np.int8)
    places = onward.following[links]
    for place in np.unique(places):
        mine = np.flatnonzero(places == place)
        seen = np.sort(time[identity.place == place])
        after = np.searchsorted(seen, at_ns[mine])
        state[mine[(after == 0) | (after == len(seen))]] = 0
        for i in mine[(after > 0) & (after < len(seen))]:
            k = np.searchsorted(seen, at_ns[i])
            past = onward.skipped_ns[onward.skipped_link == links[i]]
            if ((past > seen[k - 1]) & (past < seen[k])).sum() >= INTERRUPTED:
                state[i] = 1
    return state


def outcomes(
    packets: Any, identity: Identity, link: Codes, paths: Paths, time: Codes, places: int
) -> tuple[NDArray[np.int8], Onward, Codes]:
    """Return `core.enums.Outcome` of each journey; `link` and `time` by row, `places` in all.

    Also where packets go on to, and the journeys that end where the next capture had not begun or
    was over.

    Delivered: answered, or last seen where its destination's packets begin, or where no packet was
    ever seen to go on. Vanished: others went on from there, and the next place was being captured.
    """
    first, last = paths.first, paths.last
    several = np.diff(paths.starts) > 1
    answered = paths.reply >= 0
    onward = _onward(identity, link, paths, time)
    following = onward.following[link[last]]
    silent = np.isin(paths.kind, ANSWERABLE) & ~answered
    outcome = np.full(len(first), Outcome.UNFINISHED, np.int8)
    outcome[several & (following < 0) & ~silent] = Outcome.DELIVERED
    elsewhere = np.diff(paths.starts) < places
    outcome[several & (following < 0) & silent & elsewhere] = Outcome.VANISHED
    ending = _is_end(packets, identity, link, paths)
    missing = np.flatnonzero((following >= 0) & ~ending & ~answered)
    outcome[missing] = Outcome.VANISHED
    state = _capture_state(identity, onward, link[last[missing]], time, time[last[missing]])
    outcome[missing[state == 0]] = Outcome.UNFINISHED
    outcome[missing[state == 1]] = Outcome.LOST_BY_TRACER
    outcome[(several | answered) & (ending | answered)] = Outcome.DELIVERED
    outcome[paths.quoted & ~answered] = Outcome.ANSWERED_ELSEWHERE
    outcome[paths.quoted & ending] = Outcome.DELIVERED
    edge = missing[state == 0]
    return outcome, onward, edge[outcome[edge] == Outcome.UNFINISHED]
