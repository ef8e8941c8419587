"""Where packets of each source begin their way: what goes there has arrived."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Kind
from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, Keys, are_among, factorise, pair_keys
from tracer.correlate.order.ways import BEGAN, PASSED, Ways
from tracer.correlate.outcomes.onward import NONE, several_silences
from tracer.correlate.outcomes.paths import Paths
from tracer.correlate.packets.identity import Identity
from tracer.correlate.packets.mirrors import apart


@dataclass(slots=True)
class Ends:
    """Where packets of each source begin their way.

    `reached`, of each journey: whether it ended where packets of its destination begin.
    `late`: journeys that begin elsewhere than their source's packets do. `packets` of the batch.
    `only`: names of places with a source (`address_at`), of those sources that begin at one place
    alone; `some`: of those that begin at several. `before`, of each of the late: the place that
    packets come from where it begins, -1 for none.
    """

    reached: NDArray[np.bool_]
    late: Codes
    packets: Any
    only: Keys
    some: Keys
    before: Codes

    def passed_unseen(
        self, identity: Identity, paths: Paths, asked: Codes, time: Codes
    ) -> tuple[Codes, Codes]:
        """Return journeys that did not show the place where their source's packets begin, and that
        place, one of those `asked` for; not of flows that begin elsewhere by a way of their own.
        """
        first = paths.first[self.late]
        at, which = NONE, NONE
        for place in np.unique(asked) if len(first) else NONE:
            name = np.full(len(first), identity.place_names[place])
            begins = address_at(name, self.packets, identity, first, "src")
            # Tenants may have equal addresses: of these it is the place before.
            mine = np.isin(begins, self.only)
            mine |= (self.before == place) & np.isin(begins, self.some)
            at = np.concatenate([at, np.full(int(mine.sum()), place)])
            which = np.concatenate([which, self.late[mine]])
        if not len(which):
            return NONE, NONE
        rows = np.flatnonzero(np.isin(identity.place[paths.hops], at))
        owner, place = paths.owner(rows), identity.place[paths.hops[rows]]
        unseen = ~np.isin(pair_keys(which, at), pair_keys(owner, place))
        which, at = which[unseen], at[unseen]
        way, once = factorise(pair_keys(paths.flow[which] + 1, at))
        shown = np.isin(
            pair_keys(paths.flow[which] + 1, at)[once], pair_keys(paths.flow[owner] + 1, place)
        )
        other = ~shown & several_silences(
            identity, way, len(once), at, time[paths.first[which]], time
        )
        return which[~other[way]], at[~other[way]]


def address_at(hashes: Keys, packets: Any, identity: Identity, rows: Codes, end: str) -> Keys:
    """Return hashes with an address of rows mixed in, `end`: "src" or "dst"; uint64, (rows,)."""
    found = mixed(mixed(hashes, packets[f"{end}_hi"][rows]), packets[f"{end}_lo"][rows])
    return apart(found, identity.mirrored[rows]) if len(identity.mirrored) else found


def apart_over_loopback(identity: Identity, rows: Codes, hashes: Keys) -> Keys:
    """Return hashes of addresses, apart for each place where they are those of a loopback device.

    Those, whose frames have no MACs, are each host's own: they say nothing of where equal ones of
    another host are.
    """
    own = (identity.src_mac[rows] == 0) & (identity.dst_mac[rows] == 0)
    if not own.any():
        return hashes
    return np.where(own, mixed(hashes, identity.place_names[identity.place[rows]]), hashes)


def ends_of(
    packets: Any, identity: Identity, link: Codes, paths: Paths, time: Codes, ways: Ways,
    before: Codes,
) -> Ends:  # fmt: skip
    """Return where packets of each source begin their way; `link` and `time` by row.

    `before`: the place that packets of each link come from, -1 for none. The ways are learned.
    """
    first, last, names = paths.first, paths.last, identity.place_names
    ways.count(BEGAN, link[first], np.arange(len(first)))
    owner = np.repeat(np.arange(len(first)), np.diff(paths.starts))
    ways.count(PASSED, link[paths.hops], owner)
    # Routers and firewalls reset in the name of those they answer for.
    of = np.flatnonzero(paths.kind != Kind.TCP_RST)
    own = first[of]
    sources = address_at(np.full(len(own), 3, np.uint64), packets, identity, own, "src")
    sources = apart_over_loopback(identity, own, sources)
    begins = address_at(names[identity.place[own]], packets, identity, own, "src")
    there = address_at(names[identity.place[last]], packets, identity, last, "dst")
    sure = _was_watched(identity, before[link[own]], time, time[own], ways)

    def came(links: Codes) -> tuple[Keys, Codes, Codes]:
        at = np.flatnonzero(np.isin(link[paths.hops], links))
        at = at[(at != paths.starts[owner[at]]) & (packets["ip_version"][paths.hops[at]] > 0)]
        rows = paths.hops[at]
        there = address_at(names[identity.place[rows]], packets, identity, rows, "src")
        return there, link[rows], owner[at]

    ends, several = ways.begin(sources, begins, link[own], sure, of, came)
    if len(several):
        passing = np.ones(len(paths.hops), np.bool_)
        passing[paths.starts[:-1]] = False
        passing &= packets["ip_version"][paths.hops] > 0  # ARP has no such source
        rows = paths.hops[passing]
        passed = address_at(names[identity.place[rows]], packets, identity, rows, "src")
        ends = ways.without_passed(ends, several, passed, owner[passing])
    late = of[~are_among(begins, ends) & (packets["ip_version"][own] > 0)]
    is_some = np.isin(ends, several)
    reached, previous = are_among(there, ends), before[link[first[late]]]
    return Ends(reached, late, packets, ends[~is_some], ends[is_some], previous)


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
