"""The result of correlation put together: hops, journeys, flows and how each journey ended."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Kind
from tracer.core.journeys import JOURNEY_DTYPE, JourneySet
from tracer.core.protocols import ARP, ETHERTYPE_ARP
from tracer.core.schema import StructuredArray
from tracer.correlate.beside import beside
from tracer.correlate.flows import exchange
from tracer.correlate.flows.errors_quoted import LATE_NS, is_redirect, quotes
from tracer.correlate.flows.flows import Flows
from tracer.correlate.flows.retransmissions import retransmissions
from tracer.correlate.hashing import Codes
from tracer.correlate.hops.changes import causes
from tracer.correlate.hops.table import hop_table
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.joining.packets import Packets
from tracer.correlate.order.ways import KnownWays, Ways, names_of
from tracer.correlate.outcomes.endings import endings
from tracer.correlate.outcomes.paths import Paths
from tracer.correlate.outcomes.watched import (
    Watch,
    are_drops,
)

NONE = -1
#: Which journeys are over, and which are still to be given out, `Ways`.
Judge = Callable[[JourneySet], tuple[NDArray[np.bool_], NDArray[np.bool_]]]


def journey_set(
    packets: Packets,
    flows: Callable[[], Flows],
    watch: Watch,
    ways: KnownWays | None = None,
    judged: Judge | None = None,
) -> JourneySet:
    """Return the journeys of a batch, of its packets as they were joined.

    `flows` waits for their flows; `watch`: until when was watched; `ways` is what is known of ways.
    `judged`: of the journeys as far as they are known before their outcomes.
    """
    batch, identity, clocks = packets.batch, packets.identity, packets.clocks
    rows, _ = packets.layout
    hops, before = hop_table(
        batch, identity, packets.streams, packets.found, packets.layout, packets.links, clocks
    )
    journeys = _journeys(packets)
    of = flows()  # what needs none comes before
    alike = _alike(packets.found.onward, packets), _alike(packets.found.back, packets)
    further = _exchanges(packets, of, journeys)
    journeys["ambiguous"] |= (alike[0] > 0) | (alike[1] > 0)
    translated = _translated(journeys, of)[hops["journey"]]
    cause = beside(lambda: causes(batch, identity, rows, before, translated), len(batch))
    paths = _paths(packets, of, hops, journeys, further, alike[0] > 0)
    so_far = JourneySet(batch, hops, journeys, clocks=clocks.estimates)
    known_ways = Ways(
        ways or KnownWays(), names_of(packets.links), identity, clocks.time_ns,
        judged and judged(so_far),
    )  # fmt: skip
    reasons, unseen = endings(
        packets, paths, known_ways, watch, of.forward, journeys, further, alike
    )
    hops["cause"] = cause()
    return JourneySet(
        batch,
        hops,
        journeys,
        of.table,
        clocks.estimates,
        reasons=reasons,
        unseen=unseen,
        gone=packets.found.gone,
    )


def _exchanges(packets: Packets, of: Flows, journeys: StructuredArray) -> Codes:
    # Which journeys belong together, in place; returns what `quotes` says beyond that.
    time, journey = packets.clocks.time_ns, packets.found.journey
    journeys["flow"] = of.flow
    journeys["reply"], journeys["request"] = _replies(packets, journeys, of)
    journeys["quotes"], further = quotes(
        packets.batch, packets.identity, journey, time, packets.found.journeys
    )
    return further


def _paths(
    packets: Packets, of: Flows, hops: StructuredArray, journeys: StructuredArray, further: Codes,
    alike: NDArray[np.bool_],
) -> Paths:  # fmt: skip
    found = packets.found
    return Paths(
        *packets.layout, hops["parent"].astype(np.int64), journeys["kind"], journeys["reply"],
        of.flow, _is_refused(packets, journeys, further), found.ends, alike,
        _in_part(found),
    )  # fmt: skip


def _in_part(found: Assembly) -> NDArray[np.bool_]:
    lost = found.lost_bytes if len(found.lost_bytes) else np.zeros(found.journeys, np.int64)
    return lost > 0


def _journeys(packets: Packets) -> StructuredArray:
    # What needs no flows.
    batch, found = packets.batch, packets.found
    rows, starts = packets.layout
    p, time = batch.packets, packets.clocks.shown_ns
    journeys = np.zeros(found.journeys, JOURNEY_DTYPE)
    first, last = packets.first, packets.last
    journeys["first_hop"], journeys["n_hops"] = starts[:-1], np.diff(starts)
    journeys["kind"] = exchange.kinds(batch, first)
    journeys["proto"] = np.where(p["ethertype"][first] == ETHERTYPE_ARP, ARP, p["proto"][first])
    journeys["first_ns"], journeys["last_ns"] = time[first], time[last]
    journeys["outcome_point"] = p["point"][rows[found.ends]]
    journeys["reason"] = NONE
    journeys["ambiguous"] = _count(found.ambiguous, rows, found) > 0
    journeys["duplicates"] = _count(found.copy_of >= 0, rows, found)
    journeys["retransmission_of"] = retransmissions(
        p, first, packets.streams.flow_class[first], time[first]
    )
    return journeys


def _alike(choices: Codes, packets: Packets) -> Codes:
    # Of each journey how many packets alike it may be, as its rows say.
    rows, starts = packets.layout
    if not len(choices):
        return np.zeros(len(starts) - 1, np.int64)
    found: Codes = np.maximum.reduceat(choices[rows], starts[:-1]) if len(rows) else rows
    return found


def _count(which: NDArray[np.bool_], rows: Codes, found: Assembly) -> Codes:
    marked = rows[which[rows]]
    return np.bincount(found.journey[marked], minlength=found.journeys)


def _replies(packets: Packets, journeys: StructuredArray, of: Flows) -> tuple[Codes, Codes]:
    batch, place, time = packets.batch, packets.identity.place, packets.clocks.time_ns
    rows, starts = packets.layout
    first, last = packets.first, packets.last
    # A rule of OUTPUT answers with a reset, and frees the packet after that: of such a SYN nothing
    # but its end was seen, and it was there before.
    ended = (journeys["kind"] == Kind.TCP_SYN) & are_drops(batch)[first]
    asked = np.where(ended, time[first] - LATE_NS, time[first])
    # Copies may come to the last place later, when the packet was answered already.
    there = place[rows] == np.repeat(place[last], np.diff(starts))
    came_ns = np.where(there, time[rows], np.iinfo(np.int64).max)
    came_ns = np.minimum.reduceat(came_ns, starts[:-1]) if len(rows) else time[last]
    at = (asked, came_ns, place[first], place[last])
    return exchange.replies(batch.packets, journeys["kind"], first, of.flow, of.forward, at)


def _translated(journeys: StructuredArray, of: Flows) -> NDArray[np.bool_]:
    # Which journeys are translated as their flow is in its original direction. An error is as what
    # answers the packet that it quotes; where that was not seen, most go back to who asked.
    forward = of.forward.copy()
    errors = np.flatnonzero(journeys["kind"] == Kind.ICMP_ERROR)
    quoted = journeys["quotes"][errors]
    forward[errors] = (quoted >= 0) & ~of.forward[quoted]
    return forward


def _is_refused(packets: Packets, journeys: StructuredArray, further: Codes) -> NDArray[np.bool_]:
    # Whether an error quotes a packet to say that it went no further.
    p, first = packets.batch.packets, packets.first
    quoted = np.zeros(len(journeys), np.bool_)
    own = np.flatnonzero(journeys["quotes"] >= 0)
    own = own[~is_redirect(p, first[own])]
    quoted[journeys["quotes"][own]] = True
    quoted[further[~is_redirect(p, first[further[:, 0]]), 1]] = True
    return quoted
