"""Fragments that went no further because others of their datagram did not come so far."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.enums import LOST, Kind, Outcome
from tracer.core.mixing import mixed
from tracer.core.protocols import UDP
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys
from tracer.correlate.outcomes.onward import Onward
from tracer.correlate.outcomes.paths import Paths
from tracer.correlate.packets.fragments import nearest_of_datagram
from tracer.correlate.packets.identity import Identity
from tracer.correlate.packets.spans import spans

REASSEMBLY_NS = 1_000_000_000  # between fragments of one datagram; ids come again after longer
INCOMPLETE = "not all fragments of its datagram came here, so that nobody can put it together"
REASSEMBLED = "its datagram was answered: it arrived, and the next capture missed it"
PUT_TOGETHER = (
    "what its datagram carries came out of it: it arrived, and the next capture missed it"
)

_ENDS = ("src_hi", "src_lo", "dst_hi", "dst_lo", "ip_id")


@dataclass(slots=True)
class Pieces:
    """Rows of fragments and the `datagram` (a code) of each; which of its bytes each has.

    `carried`: rows whose packet is the one inside, as the first fragment of a tunnel's datagram is
    read as far as it reaches. It has the bytes before those that the others are seen to have.
    """

    rows: Codes
    datagram: Codes
    begin: Codes
    end: Codes
    closing: NDArray[np.bool_]
    carried: NDArray[np.bool_]


def pieces_of(batch: ObservationBatch, identity: Identity, time: Codes) -> Pieces:
    """Return all fragments but copies from mirror ports; `time` by row."""
    packets = batch.packets
    own = np.flatnonzero((packets["frag_offset"] > 0) | (packets["more_fragments"] == 1))
    if len(identity.mirrored):
        own = own[~identity.mirrored[own]]
    keys, protos = _ends(packets[own], ""), packets["proto"][own].astype(np.int64)
    later = packets["frag_offset"][own] > 0
    rows, outer, outer_protos = _first_of_tunnels(batch, keys[later], protos[later])
    carried = np.repeat([False, True], [len(own), len(rows)])
    rows = np.concatenate([own, rows])
    keys = mixed(np.concatenate([keys, outer]), np.concatenate([protos, outer_protos]))
    order = np.lexsort((time[rows], keys))
    rows, keys, carried = rows[order], keys[order], carried[order]
    new = np.diff(keys, prepend=keys[:1]) != 0
    new |= np.diff(time[rows], prepend=time[rows[:1]]) > REASSEMBLY_NS
    datagram = np.cumsum(new)
    begin, end = spans(packets, rows)
    begin[carried] = 0
    reach = np.full(len(np.unique(datagram)), np.iinfo(np.int64).max)
    np.minimum.at(reach, datagram[begin > 0], begin[begin > 0])
    end[carried] = reach[datagram[carried]]
    kept = ~carried | (end < np.iinfo(np.int64).max)  # else the id was another one's long before
    closing = (packets["more_fragments"][rows] != 1) & ~carried
    return Pieces(rows[kept], datagram[kept], begin[kept], end[kept], closing[kept], carried[kept])


def _ends(records: Any, prefix: str) -> Keys:
    keys = np.full(len(records), 31, np.uint64)
    for name in _ENDS:
        keys = mixed(keys, records[prefix + name])
    return keys


def _first_of_tunnels(
    batch: ObservationBatch, keys: Keys, protos: Codes
) -> tuple[Codes, Keys, Codes]:
    # Rows in tunnels whose outer packet is the first fragment of those with `keys`; their own keys,
    # and the protocols of these.
    tunnel = batch.sections["tunnel"]
    if len(tunnel) and len(keys):
        outer = _ends(tunnel, "outer_")
        order = np.lexsort((protos == UDP, keys))  # of other protocols no tunnel has ports
        at = np.minimum(np.searchsorted(keys[order], outer), len(keys) - 1)
        proto = np.where(tunnel["outer_sport"] >= 0, UDP, protos[order[at]])
        chosen = np.isin(mixed(outer, proto), mixed(keys, protos))
        return tunnel["row"][chosen].astype(np.int64), outer[chosen], proto[chosen]
    return np.empty(0, np.int64), np.empty(0, np.uint64), np.empty(0, np.int64)


def put_together(
    batch: ObservationBatch,
    identity: Identity,
    paths: Paths,
    pieces: Pieces,
    journeys: StructuredArray,
) -> tuple[Codes, Codes]:
    """Return journeys of fragments that vanished though their datagram was put together.

    Those whose first one was answered, and those whose first one came out of its tunnel: that takes
    all of them.
    """
    packets, times = batch.packets, journeys["first_ns"]
    lost = (journeys["outcome"] == Outcome.VANISHED) & (journeys["kind"] == Kind.FRAGMENT)
    lost = np.flatnonzero(lost)
    if len(identity.mirrored):
        lost = lost[~identity.mirrored[paths.first[lost]]]
    firsts = np.flatnonzero(packets["more_fragments"][paths.first] > 0)
    if len(identity.mirrored):
        firsts = firsts[~identity.mirrored[paths.first[firsts]]]
    firsts = firsts[packets["frag_offset"][paths.first[firsts]] <= 0]
    whole = nearest_of_datagram(packets, paths.first, times, lost, firsts)
    arrived = (whole >= 0) & (np.abs(times[whole] - times[lost]) < REASSEMBLY_NS)
    arrived &= journeys["reply"][whole] >= 0
    of = _journeys(paths, len(packets))
    inside = np.zeros(len(packets), np.bool_)
    inside[batch.sections["tunnel"]["row"]] = True
    opened = pieces.carried & (of[pieces.rows] >= 0)
    opened &= ~inside[paths.hops[paths.starts[1:] - 1]][of[pieces.rows]]
    out = np.isin(pieces.datagram, pieces.datagram[opened])
    left = lost[~arrived]
    return lost[arrived], left[np.isin(paths.last[left], pieces.rows[out])]


def incomplete(
    batch: ObservationBatch, identity: Identity, paths: Paths, onward: Onward, pieces: Pieces,
    journeys: StructuredArray,
) -> Codes:  # fmt: skip
    """Return which journeys end where fragments of their datagram are missing.

    Not where others of these went on, for there nobody had to put them together, nor at places that
    show only first ones. Those that arrived are among them if others of their datagram are known to
    be lost.
    """
    of = _journeys(paths, len(batch))
    used = of[pieces.rows] >= 0
    rows, datagram = pieces.rows[used], pieces.datagram[used]
    begin, end, closing = pieces.begin[used], pieces.end[used], pieces.closing[used]
    here, first = factorise(pair_keys(datagram, identity.place[rows]))
    _, once = factorise(pair_keys(here, begin))
    size = np.bincount(here[once], (end - begin)[once], minlength=len(first))
    total = np.full(len(first), np.iinfo(np.int64).max)
    total[here[closing]] = end[closing]
    went_on = np.ones(len(first), np.bool_)
    went_on[here[np.isin(identity.place[rows], identity.place[rows[begin > 0]])]] = False
    went_on[here[identity.place[paths.last[of[rows]]] != identity.place[rows]]] = True
    went_on |= _passed_unseen(
        paths, onward, rows, datagram, (datagram[first], identity.place[rows[first]])
    )
    ends = (size < total)[here] & ~went_on[here] & (paths.last[of[rows]] == rows)
    outcome, answered = journeys["outcome"][of[rows]], (journeys["reply"] >= 0)[of[rows]]
    partly = np.isin(datagram, datagram[np.isin(outcome, LOST) & ~ends])
    partly &= ~np.isin(datagram, datagram[answered & (begin == 0)])
    told = (outcome == Outcome.VANISHED) | ((outcome == Outcome.DELIVERED) & partly)
    found: Codes = np.unique(of[rows[ends & told]])
    return found


def _passed_unseen(
    paths: Paths, onward: Onward, rows: Codes, datagram: Codes, where: tuple[Codes, Codes]
) -> NDArray[np.bool_]:
    # Of datagrams, each at a place (`where`), whether a piece went past it unseen.
    order = np.argsort(rows, kind="stable")
    passed = paths.hops[onward.passed]
    at = order[np.minimum(np.searchsorted(rows[order], passed), len(rows) - 1)]
    mine = rows[at] == passed
    there = pair_keys(datagram[at[mine]], onward.passed_place[mine])
    found: NDArray[np.bool_] = np.isin(pair_keys(*where), there)
    return found


def _journeys(paths: Paths, rows: int) -> Codes:
    # The journey of each row, -1 for those in none.
    of = np.full(rows, -1, np.int64)
    of[paths.hops] = np.repeat(np.arange(len(paths.starts) - 1), np.diff(paths.starts))
    return of
