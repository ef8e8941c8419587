"""The ways that packets take, told from all that were seen: in this window and in former ones.

Where packets go on from a link, and where they begin and end, tells which of them vanished. A
window of a large capture shows a part of them: what broke before it began, or works only after it,
is not in it. Names are hashes that are the same in every window.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.mixing import mixed
from tracer.core.protocols import ETHERTYPE_ARP
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys
from tracer.correlate.order.kept_flows import KeptFlows
from tracer.correlate.order.links import LinkOrder
from tracer.correlate.packets.identity import IS_ARP, Identity

PASSED, BEGAN, ANSWERED = range(3)  # what is counted of links
END_SHARE = 0.05  # of a source's packets have to begin at a place for it to be an end
SURE = 3  # packets of a source that surely began somewhere; fewer may have lost their first hops
_NONE = np.empty(0, np.uint64)
#: How often something was seen of journeys that are over, and of those still to be given out.
Counts = tuple[Codes, Codes]
_THREE = np.uint64(3)


@dataclass(slots=True)
class Tally:
    """How often two hashes were seen together: `first`, `second` and `count`, a row each pair.

    Pairs are distinct, in order of appearance.
    """

    first: Keys = field(default_factory=_NONE.copy)
    second: Keys = field(default_factory=_NONE.copy)
    count: Codes = field(default_factory=lambda: np.empty(0, np.int64))

    def add(self, first: Keys, second: Keys, count: Codes) -> None:
        """Count more of some pairs."""
        first, second = np.concatenate([self.first, first]), np.concatenate([self.second, second])
        codes, where = factorise(mixed(first * _THREE, second))
        count = np.concatenate([self.count, count])
        total = np.bincount(codes, weights=count, minlength=len(where))  # exact below 2**53
        self.first, self.second, self.count = first[where], second[where], total.astype(np.int64)

    def codes(self, first: Keys, second: Keys) -> tuple[Codes, Codes, Codes]:
        """Return the pairs of which both have a place in `first` and `second`, and their counts."""
        one, other = places_of(first, self.first), places_of(second, self.second)
        known = (one >= 0) & (other >= 0)
        return one[known], other[known], self.count[known]

    def of(self, first: Keys, second: int) -> Codes:
        """Return how often each name was seen with a small number, shape (names,)."""
        mine = self.second == np.uint64(second)
        at = places_of(self.first[mine], first)
        return np.where(at >= 0, np.append(self.count[mine], 0)[at], 0)


def places_of(names: Keys, wanted: Keys) -> Codes:
    """Return where each wanted name is among (distinct) names, -1 for none."""
    if not len(names):
        return np.full(len(wanted), -1, np.int64)
    order = np.argsort(names)
    at = order[np.minimum(np.searchsorted(names[order], wanted), len(names) - 1)]
    found: Codes = np.where(names[at] == wanted, at, -1)
    return found


@dataclass(slots=True)
class KnownWays:
    """What packets showed of ways: counted on with each window, unless it `is_complete`.

    Of journeys that are over alone: others are joined again with the next window, and otherwise
    where it shows more. `going`: links that such went on from in the latest window.
    `onward` and `before`: links and the places that packets came to next, or from. `again`: hashes
    of links and tuples that packets had when they were routed out by the device they came in by.
    `begun`: hashes of source and place where packets began, and the links; `came`: how often others
    of that source came to such a link from elsewhere; `sources`: those hashes, and the source;
    `sure`: how many of those that began at a place did so while the one before was captured;
    `passing`: how many packets of a source passed one of several such places.
    `links`: what packets did there (PASSED, BEGAN, ANSWERED: ended there and were answered).
    `places`: when each was first seen, by name. `kept`: flows that ended at a host, of all windows.
    """

    is_complete: bool = False
    onward: Tally = field(default_factory=Tally)
    before: Tally = field(default_factory=Tally)
    again: Tally = field(default_factory=Tally)
    begun: Tally = field(default_factory=Tally)
    came: Tally = field(default_factory=Tally)
    sources: Tally = field(default_factory=Tally)
    sure: Tally = field(default_factory=Tally)
    passing: Tally = field(default_factory=Tally)
    links: Tally = field(default_factory=Tally)
    places: dict[int, int] = field(default_factory=dict)
    kept: KeptFlows = field(default_factory=KeptFlows)
    going: Keys = field(default_factory=_NONE.copy)
    _ends: Tally = field(default_factory=Tally)

    def add_places(self, names: Keys, first_ns: Codes) -> None:
        """Know that places were seen at a time."""
        if not self.is_complete:
            for name, time in zip(names.tolist(), first_ns.tolist(), strict=True):
                self.places[name] = min(time, self.places.get(name, time))

    def add(self, tally: Tally, first: Keys, second: Keys, count: Codes) -> None:
        """Count pairs in one of the tallies; zeros are left out."""
        if not self.is_complete:
            tally.add(first[count > 0], second[count > 0], count[count > 0])

    def add_ends(self, links: Keys) -> None:
        """Note links at which journeys ended that were given out, if nobody went on from there."""
        if not self.is_complete:
            links = links[~np.isin(links, [*self.onward.first, *self.going])]
            names, counts = np.unique(links, return_counts=True)
            self._ends.add(names, np.zeros(len(names), np.uint64), counts)

    def judged_early(self) -> int:
        """Return how many journeys ended at a link before anybody was seen to go on from it."""
        if self.is_complete:
            return 0
        return int(self._ends.count[np.isin(self._ends.first, self.onward.first)].sum())


class Ways:
    """Known ways in the codes of one batch; `links` are names by code, `time` is of each row.

    `judged`: which of its journeys are over, and which are still to be given out, (journeys,) each;
    None where all are over. What the latter show holds in this batch only.
    """

    def __init__(
        self, known: KnownWays, links: Keys, identity: Identity, time: Codes,
        judged: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None,
    ) -> None:  # fmt: skip
        self.known, self.links, self._places = known, links, identity.place_names
        self._judged = judged
        self._now: dict[str, Tally] = {}
        first = np.full(len(self._places), np.iinfo(np.int64).max)
        np.minimum.at(first, identity.place, time)
        known.add_places(self._places[:-1], first[:-1])

    def counts(self, codes: Codes, of: Codes, length: int) -> Counts:
        """Return how often each code below `length` is there; `of`: the journey of each."""
        if self._judged is None:
            return np.bincount(codes, minlength=length), np.zeros(length, np.int64)
        over, open_ = (codes[which[of]] for which in self._judged)
        return np.bincount(over, minlength=length), np.bincount(open_, minlength=length)

    def _learn(self, name: str, first: Keys, second: Keys, counts: Counts) -> Tally:
        # Counts pairs in a tally; what it is to this batch is `_tally` from then on.
        over, open_ = counts
        known = getattr(self.known, name)
        self.known.add(known, first, second, over)
        if open_.any() and not self.known.is_complete:
            now = self._tally(name)
            now = Tally(now.first, now.second, now.count)
            if name in self._now:
                self.known.add(now, first, second, over)
            self.known.add(now, first, second, open_)
            self._now[name] = now
        elif name in self._now:
            self.known.add(self._now[name], first, second, over)
        return self._tally(name)

    def _tally(self, name: str) -> Tally:
        known: Tally = getattr(self.known, name)
        return self._now.get(name, known)

    def next_places(self, link: Codes, place: Codes, packets: Counts) -> Codes:
        """Return the place most packets come to from each link, -1 for none; learns these steps,
        so many `packets` of each."""
        found = self._usual("onward", link, place, packets)
        self.known.going = self.links[link[packets[1] > 0]]
        return found

    def places_before(self, link: Codes, place: Codes, packets: Counts) -> Codes:
        """Return the place most packets of each link come from, -1 for none; learns these steps,
        so many `packets` of each."""
        return self._usual("before", link, place, packets)

    def _usual(self, name: str, link: Codes, place: Codes, packets: Counts) -> Codes:
        codes, where = factorise(pair_keys(link, place))
        over, open_ = (np.bincount(codes, n, len(where)).astype(np.int64) for n in packets)
        first, second = self.links[link[where]], self._places[place[where]]
        tally = self._learn(name, first, second, (over, open_))
        return most_seen(*tally.codes(self.links, self._places[:-1]), len(self.links))

    def come_again(self, link: Codes, flow: Keys, of: Codes, asked: Codes, asked_flow: Keys) -> Any:
        """Learn links at which packets of a tuple were on their way to be seen there again.

        `of`: the journey of each. Returns whether those of other links and tuples are, too, shape
        (asked,).
        """
        codes, where = factorise(mixed(self.links[link], flow))
        keys = mixed(self.links[link[where]], flow[where])
        none = np.zeros(len(keys), np.uint64)
        again = self._learn("again", keys, none, self.counts(codes, of, len(where)))
        if not len(again.first):
            return np.zeros(len(asked), np.bool_)
        return np.isin(mixed(self.links[asked], asked_flow), again.first)

    @property
    def since_ns(self) -> Codes:
        """When each place was first seen, by code."""
        names = self._places[:-1].tolist()
        return np.array([self.known.places.get(name, 0) for name in names], np.int64)

    def count(self, did: int, links: Codes, of: Codes) -> Codes:
        """Return how many packets did something (PASSED …) at each link; learns these.

        `of`: the journey of each.
        """
        now = self.counts(links, of, len(self.links))
        tally = self._learn("links", self.links, np.full(len(self.links), did, np.uint64), now)
        return tally.of(self.links, did)

    def begin(
        self, sources: Keys, there: Keys, link: Codes, sure: NDArray[np.bool_], of: Codes,
        came: Callable[[Codes], tuple[Keys, Codes, Codes]],
    ) -> tuple[Keys, Keys]:  # fmt: skip
        """Learn that packets began somewhere, and return where a share of their source's do.

        Also those of sources that have several such places. `there`: hashes of source and place;
        `link`: the first one of each; `of`: the journey. A packet whose first hops were not
        captured begins on a link that most others only pass: that is no beginning, unless most of
        its own source begin there, as those do of which nothing before was captured. `came`: of
        packets that came to some links from elsewhere, `there`, `link` and `of`. A beginning is not
        `sure` where the place before was not being captured; a source that surely begins somewhere
        is judged by that alone.
        """
        names = self.links[link]
        codes, where = factorise(mixed(there, names))
        counts = self.counts(codes, of, len(where))
        begun = self._learn("begun", there[where], names[where], counts)
        codes, where = factorise(there)
        counts = self.counts(codes, of, len(where))
        known = self._learn("sources", there[where], sources[where], counts)
        none = np.zeros(len(where), np.uint64)
        counts = self.counts(codes[sure], of[sure], len(where))
        surely_begun = self._learn("sure", there[where], none, counts)
        began, passed = (self._tally("links").of(begun.second, did) for did in (BEGAN, PASSED))
        here = 2 * began >= passed
        here |= self._always_begin(begun, np.flatnonzero(~here & (begun.count >= SURE)), came)
        codes, where = factorise(begun.first[here])
        count = np.bincount(codes, weights=begun.count[here])
        there = begun.first[here][where]
        source, _ = factorise(known.second[places_of(known.first, there)])
        surely = surely_begun.of(there, 0)
        count = np.where(np.bincount(source, weights=surely)[source] >= SURE, surely, count)
        share = count / np.bincount(source, weights=count)[source]
        ends = share >= END_SHARE
        several = np.bincount(source[ends], minlength=len(share))[source[ends]] > 1
        return there[ends], there[ends][several]

    def _always_begin(
        self, begun: Tally, which: Codes, came: Callable[[Codes], tuple[Keys, Codes, Codes]]
    ) -> NDArray[np.bool_]:
        # Of some pairs of `begun` whether the source's packets begin on that link, or come to it.
        found = np.zeros(len(begun.count), np.bool_)
        if not len(which):
            return found
        asked = mixed(begun.first[which], begun.second[which])
        links = places_of(self.links, np.unique(begun.second[which]))
        there, link, of = came(np.sort(links[links >= 0]))
        codes, where = factorise(mixed(there, self.links[link]))
        counts = self.counts(codes, of, len(where))
        tally = self._learn("came", there[where], self.links[link[where]], counts)
        keys = mixed(tally.first, tally.second)
        at = places_of(keys, asked)
        others = np.where(at >= 0, np.append(tally.count, 0)[at], 0)
        found[which] = begun.count[which] >= others
        return found

    def without_passed(self, ends: Keys, several: Keys, passing: Keys, of: Codes) -> Keys:
        """Return the ends without those that more of their source's packets pass than begin at.

        A router begins packets in the name of a host that it answers for (a proxy).
        `several`: which of them to ask of; `passing`: hashes of source and place of packets that
        came from elsewhere, `of` which journeys. Learns how many.
        """
        at = places_of(several, passing)
        counts = self.counts(at[at >= 0], of[at >= 0], len(several))
        tally = self._learn("passing", several, np.zeros(len(several), np.uint64), counts)
        passed = tally.of(several, 0) > self._tally("sure").of(several, 0)
        return ends[~np.isin(ends, several[passed])]


def links_of(identity: Identity, links: LinkOrder, rows: Codes | None = None) -> Codes:
    """Return the code of the link of each row (all by default), apart for ARP: see `names_of`.

    No router passes ARP on: it is expected where ARP goes, whatever else goes further.
    """
    link, traits = links.link, identity.traits
    if rows is not None:
        link, traits = link[rows], traits[rows]
    codes: Codes = 2 * link + (traits & IS_ARP > 0)
    return codes


def names_of(links: LinkOrder) -> Keys:
    """Return the names of the links that `links_of` gives the codes of."""
    names: Keys = np.stack([links.name, mixed(links.name, np.array(ETHERTYPE_ARP))], axis=1).ravel()
    return names


def most_seen(keys: Codes, values: Codes, votes: Codes, count: int) -> Codes:
    """Return the value most seen with each key below `count`, -1 for none; pairs are distinct."""
    rare_first = np.argsort(votes, kind="stable")
    found = np.full(count, -1, np.int64)
    found[keys[rare_first]] = values[rare_first]
    return found
