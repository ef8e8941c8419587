"""What a capture cannot show: packets of a kind that it never shows, though such packets arrived.

A capture filter, a tunnel, a snaplen that cuts their headers or a way around hides packets. That
such a packet is not seen there says nothing of it. The kinds are those that filters tell apart:
protocol, served port and address, and the later fragments, which have no ports; and those that take
ways of their own, as over equal routes: a flow's packets in one direction.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Outcome
from tracer.core.mixing import mixed
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys
from tracer.correlate.outcomes.onward import Onward
from tracer.correlate.outcomes.paths import Paths, hops_of
from tracer.correlate.packets.identity import Identity

ENOUGH = 3  # packets of a kind that arrived and that a point must have shown if it could
BLIND = "the next capture shows nothing of this {}, though others of it arrived"
KINDS = ("protocol", "port", "address", "kind: fragments after the first", "flow")
AROUND = "the next capture shows nothing of this flow, which came another way"


def unseen_kinds(
    packets: Any, identity: Identity, paths: Paths, onward: Onward, forward: NDArray[np.bool_],
    arrived: NDArray[np.bool_], journeys: StructuredArray,
) -> list[tuple[Codes, str]]:  # fmt: skip
    """Return journeys that the capture at the place where they were expected cannot show, and why.

    They vanished or `arrived`: were answered or acknowledged, as said of each journey.
    """
    expected = onward.expected
    vanished = (journeys["outcome"] == Outcome.VANISHED) | (arrived & (journeys["reply"] < 0))
    open_ = np.flatnonzero(vanished & (expected >= 0))
    proof = np.flatnonzero((arrived | (journeys["reply"] >= 0)) & (expected >= 0))
    found: list[tuple[Codes, str]] = []
    if not len(open_) or not len(proof):
        return found
    # Of all hops only those where something was expected.
    wanted = np.zeros(int(identity.place.max(initial=0)) + 1, np.bool_)
    wanted[expected[open_]] = True
    place = identity.place[paths.hops]
    at = np.flatnonzero(wanted[np.maximum(place, 0)] & (place >= 0))
    owner = np.searchsorted(paths.starts, at, "right") - 1
    way = (2 * (paths.flow + 1) + forward).astype(np.uint64)
    kinds = [*_kinds(packets, paths.first, forward), np.where(paths.flow >= 0, way, np.uint64(0))]
    for name, kind in zip(KINDS, kinds, strict=True):
        codes = factorise(kind)[0]
        known = kind[open_] != 0
        mine = pair_keys(expected[open_], codes[open_])
        shown = np.unique(pair_keys(place[at], codes[owner]))
        keys, where = factorise(pair_keys(expected[proof], codes[proof]))
        often = proof[where[np.bincount(keys, minlength=len(where)) >= ENOUGH]]
        proven = pair_keys(expected[often], codes[often])
        blind = known & np.isin(mine, proven) & ~np.isin(mine, shown)
        if blind.any():
            found.append((open_[blind], BLIND.format(name)))
            open_ = open_[~blind]
    return found


def gone_around(
    identity: Identity, paths: Paths, onward: Onward, forward: NDArray[np.bool_], time: Codes,
    journeys: StructuredArray,
) -> Codes:  # fmt: skip
    """Return the vanished journeys whose flow passes where they ended, and not where they go next.

    Packets of the other direction were seen where they ended while the place they were expected at
    was captured, which shows nothing of the flow either way: they came around it. `time` by row.
    """
    expected, flow = onward.expected, paths.flow
    open_ = np.flatnonzero(
        (journeys["outcome"] == Outcome.VANISHED) & (expected >= 0) & (flow >= 0)
    )
    if not len(open_):
        return open_
    asked = np.zeros(int(flow.max()) + 1, np.bool_)
    asked[flow[open_]] = True
    mine = np.flatnonzero(asked[np.maximum(flow, 0)] & (flow >= 0))
    owner, at = hops_of(paths, mine)
    rows, owner = paths.hops[at], mine[owner]
    place = identity.place[rows].astype(np.int64)
    shown = np.unique(pair_keys(place, flow[owner]))
    open_ = open_[~np.isin(pair_keys(expected[open_], flow[open_]), shown)]
    if not len(open_):
        return open_
    here = identity.place[paths.last[open_]].astype(np.int64)
    wanted = _passing(here, flow[open_], ~forward[open_])
    codes, first = factorise(wanted)
    next_ = expected[open_][first]
    by_key = np.argsort(wanted[first])
    keys = _passing(place, flow[owner], forward[owner])
    spot = np.searchsorted(wanted[first][by_key], keys)
    code = by_key[np.minimum(spot, len(first) - 1)]
    until = np.full(int(identity.place.max()) + 1, np.iinfo(np.int64).min)
    np.maximum.at(until, identity.place, time)
    passed = wanted[first][code] == keys
    passed &= (time[rows] >= onward.since_ns[next_][code]) & (time[rows] <= until[next_][code])
    often = np.bincount(code[passed], minlength=len(first)) >= ENOUGH
    found: Codes = open_[often[codes]]
    return found


def _passing(place: Codes, flow: Codes, forward: NDArray[np.bool_]) -> Keys:
    return pair_keys(place, 2 * flow + forward)


def can_show(
    packets: Any, identity: Identity, paths: Paths, onward: Onward, forward: NDArray[np.bool_],
    asked: Codes,
) -> NDArray[np.bool_]:  # fmt: skip
    """Return whether the place each asked journey was expected at shows others of all its kinds."""
    place = identity.place[paths.hops]
    owner = np.repeat(np.arange(len(paths.first)), np.diff(paths.starts))
    found = np.ones(len(asked), np.bool_)
    for kind in _kinds(packets, paths.first, forward):
        codes = factorise(kind)[0]
        there = np.flatnonzero(np.isin(place, onward.expected[asked]) & (place >= 0))
        shown = np.unique(pair_keys(place[there], codes[owner[there]]))
        mine = pair_keys(onward.expected[asked], codes[asked])
        found &= np.isin(mine, shown) | (kind[asked] == 0)
    return found


def _kinds(packets: Any, rows: Codes, forward: NDArray[np.bool_]) -> list[Keys]:
    # A number of each kind that filters tell apart, in the order of KINDS, 0 for none. Those of a
    # flow's both ways are one.
    p = {name: packets[name][rows].astype(np.int64).view(np.uint64)
         for name in ("ip_version", "proto", "sport", "dport")}  # fmt: skip
    protocol = mixed(mixed(np.full(len(rows), 31, np.uint64), p["ip_version"]), p["proto"])
    port = np.where(forward, packets["dport"][rows], packets["sport"][rows])
    high, low = (
        np.where(forward, packets[f"dst_{half}"][rows], packets[f"src_{half}"][rows])
        for half in ("hi", "lo")
    )
    later = packets["frag_offset"][rows] > 0
    none = np.uint64(0)
    return [
        protocol,
        np.where(port >= 0, mixed(protocol, port.astype(np.uint64)), none),
        mixed(mixed(protocol, high), low),
        np.where(later, mixed(protocol, np.full(len(rows), 7, np.uint64)), none),
    ]
