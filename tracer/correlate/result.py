"""The result of correlation put together: hops, journeys, flows."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Kind, Outcome
from tracer.core.journeys import JOURNEY_DTYPE, JourneySet
from tracer.core.protocols import ARP, ETHERTYPE_ARP
from tracer.core.schema import StructuredArray
from tracer.correlate.beside import beside
from tracer.correlate.clocks.alignment import Clocks
from tracer.correlate.flows import exchange
from tracer.correlate.flows.errors_quoted import LATE_NS, is_redirect, quotes
from tracer.correlate.flows.flows import Flows
from tracer.correlate.flows.refusals import note_refusals
from tracer.correlate.flows.retransmissions import retransmissions
from tracer.correlate.hashing import Codes
from tracer.correlate.hops.changes import causes
from tracer.correlate.hops.table import hop_table
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.nat.streams import Streams
from tracer.correlate.order.links import LinkOrder
from tracer.correlate.order.ways import KnownWays, Ways, links_of, names_of
from tracer.correlate.outcomes import outcome
from tracer.correlate.outcomes.answered import answered_at
from tracer.correlate.outcomes.asymmetry import other_ways
from tracer.correlate.outcomes.missed import settle_missed
from tracer.correlate.outcomes.own_addresses import addressed_here
from tracer.correlate.outcomes.partly import partly
from tracer.correlate.outcomes.paths import Paths
from tracer.correlate.outcomes.reasons import give_reasons
from tracer.correlate.outcomes.watched import (
    Watch,
    are_drops,
    kernel_drops,
    settle_kept,
    settle_outcomes,
)
from tracer.correlate.packets.identity import Identity

NONE = -1
#: Which journeys are over, and which are still to be given out, `Ways`.
Judge = Callable[[JourneySet], tuple[NDArray[np.bool_], NDArray[np.bool_]]]


def journey_set(
    batch: ObservationBatch,
    identity: Identity,
    streams: Streams,
    found: Assembly,
    layout: tuple[Codes, Codes],
    clocks: Clocks,
    links: LinkOrder,
    watch: Watch,
    flows: Callable[[], Flows],
    ways: KnownWays | None = None,
    judged: Judge | None = None,
) -> JourneySet:
    """Return the journeys of a batch; `layout`: hop rows in order, first hop of each journey.

    `flows` waits for their flows; `ways` is what is known of ways. `judged`: of the journeys as far
    as they are known before their outcomes.
    """
    rows, starts = layout
    first = rows[starts[:-1]]
    hops, before = hop_table(batch, identity, streams, found, layout, links, clocks)
    journeys = _journeys(batch, streams, found, layout, clocks.shown_ns)
    link = links_of(identity, links)
    of = flows()  # what needs none comes before
    journeys["flow"] = of.flow
    alike = _alike(found.onward, layout), _alike(found.back, layout)
    journeys["ambiguous"] |= (alike[0] > 0) | (alike[1] > 0)
    journeys["outcome_point"] = batch.packets["point"][rows[found.ends]]
    journeys["reply"], journeys["request"] = _replies(
        batch, identity, journeys, layout, clocks.time_ns, of
    )
    journeys["quotes"], further = quotes(
        batch, identity, found.journey, clocks.time_ns, found.journeys
    )
    translated = _translated(journeys, of)[hops["journey"]]
    cause = beside(lambda: causes(batch, identity, rows, before, translated), len(batch))
    paths = Paths(
        rows, starts, hops["parent"].astype(np.int64), journeys["kind"], journeys["reply"],
        of.flow, _is_refused(batch.packets, first, journeys, further), found.ends, alike[0] > 0,
        _in_part(found),
    )  # fmt: skip
    so_far = JourneySet(batch, hops, journeys, clocks=clocks.estimates)
    known_ways = Ways(
        ways or KnownWays(), names_of(links), identity, clocks.time_ns, judged and judged(so_far)
    )
    answered = answered_at(batch.packets, identity, paths, found.copy_of)
    journeys["outcome"], onward, edge = outcome.outcomes(
        batch.packets, identity, link, paths, clocks.time_ns, known_ways
    )
    _settle_carried(found, journeys)
    kept = known_ways.known.kept
    # What was kept was not missed. `settle_outcomes` opens more of them again, and asks again.
    settle_kept(batch, identity, paths, kept, journeys)
    _settle_arrived(batch, identity, streams, links.link, paths, journeys, edge)
    missed = settle_missed(
        batch, identity, paths, onward, of.forward, clocks.time_ns, journeys, edge
    )
    settle_outcomes(batch, identity, paths, clocks.time_ns, watch, kept, journeys)
    dropped = kernel_drops(batch, found.journey, journeys)
    note_refusals(batch, identity, journeys, first, dropped, clocks.time_ns)
    flooded = np.flatnonzero((answered >= 0) & (journeys["outcome"] == Outcome.DELIVERED))
    journeys["outcome_point"][flooded] = batch.packets["point"][rows[answered[flooded]]]
    came_back = other_ways(batch, identity, paths, journeys)
    said = [*came_back, *partly(found, journeys)]
    reasons = give_reasons(batch, journeys, first, dropped, missed, edge, said, further, alike)
    hops["cause"] = cause()
    return JourneySet(
        batch, hops, journeys, of.table, clocks.estimates, reasons=reasons, unseen=missed.unseen
    )


def _in_part(found: Assembly) -> NDArray[np.bool_]:
    lost = found.lost_bytes if len(found.lost_bytes) else np.zeros(found.journeys, np.int64)
    return lost > 0


def _settle_carried(found: Assembly, journeys: StructuredArray) -> None:
    # What went on in a packet of another journey ended as that did; in place.
    carried = np.flatnonzero(found.within >= 0)
    journeys["outcome"][carried] = journeys["outcome"][found.within[carried]]


def _settle_arrived(
    batch: ObservationBatch, identity: Identity, streams: Streams, link: Codes,
    paths: Paths, journeys: StructuredArray, edge: Codes,
) -> None:  # fmt: skip
    # Those that others went past, for they themselves were to end there; in place.
    outcomes = journeys["outcome"]
    open_ = np.isin(outcomes, (Outcome.VANISHED, Outcome.LOST_BY_TRACER))
    open_[edge] = True
    which = np.flatnonzero(open_ & (journeys["n_hops"] > 1))
    arrived = addressed_here(batch, identity, streams, link, paths, which)
    outcomes[which[arrived]] = Outcome.DELIVERED


def _journeys(
    batch: ObservationBatch,
    streams: Streams,
    found: Assembly,
    layout: tuple[Codes, Codes],
    time: Codes,
) -> StructuredArray:
    # What needs no flows.
    rows, starts = layout
    packets = batch.packets
    journeys = np.zeros(found.journeys, JOURNEY_DTYPE)
    first, last = rows[starts[:-1]], rows[starts[1:] - 1]
    journeys["first_hop"], journeys["n_hops"] = starts[:-1], np.diff(starts)
    journeys["kind"] = exchange.kinds(batch, first)
    journeys["proto"] = np.where(
        packets["ethertype"][first] == ETHERTYPE_ARP, ARP, packets["proto"][first]
    )
    journeys["first_ns"], journeys["last_ns"] = time[first], time[last]
    journeys["reason"] = NONE
    journeys["ambiguous"] = _count(found.ambiguous, rows, found) > 0
    journeys["duplicates"] = _count(found.copy_of >= 0, rows, found)
    journeys["retransmission_of"] = retransmissions(
        packets, first, streams.flow_class[first], time[first]
    )
    return journeys


def _alike(choices: Codes, layout: tuple[Codes, Codes]) -> Codes:
    # Of each journey how many packets alike it may be, as its rows say.
    rows, starts = layout
    if not len(choices):
        return np.zeros(len(starts) - 1, np.int64)
    found: Codes = np.maximum.reduceat(choices[rows], starts[:-1]) if len(rows) else rows
    return found


def _count(which: NDArray[np.bool_], rows: Codes, found: Assembly) -> Codes:
    marked = rows[which[rows]]
    return np.bincount(found.journey[marked], minlength=found.journeys)


def _replies(
    batch: ObservationBatch, identity: Identity, journeys: StructuredArray,
    layout: tuple[Codes, Codes], time: Codes, of: Flows,
) -> tuple[Codes, Codes]:  # fmt: skip
    rows, starts = layout
    first, last = rows[starts[:-1]], rows[starts[1:] - 1]
    # A rule of OUTPUT answers with a reset, and frees the packet after that: of such a SYN nothing
    # but its end was seen, and it was there before.
    ended = (journeys["kind"] == Kind.TCP_SYN) & are_drops(batch)[first]
    asked = np.where(ended, time[first] - LATE_NS, time[first])
    # Copies may come to the last place later, when the packet was answered already.
    there = identity.place[rows] == np.repeat(identity.place[last], np.diff(starts))
    came_ns = np.where(there, time[rows], np.iinfo(np.int64).max)
    came_ns = np.minimum.reduceat(came_ns, starts[:-1]) if len(rows) else time[last]
    at = (asked, came_ns, identity.place[first], identity.place[last])
    return exchange.replies(batch.packets, journeys["kind"], first, of.flow, of.forward, at)


def _translated(journeys: StructuredArray, of: Flows) -> NDArray[np.bool_]:
    # Which journeys are translated as their flow is in its original direction. An error is as what
    # answers the packet that it quotes; where that was not seen, most go back to who asked.
    forward = of.forward.copy()
    errors = np.flatnonzero(journeys["kind"] == Kind.ICMP_ERROR)
    quoted = journeys["quotes"][errors]
    forward[errors] = (quoted >= 0) & ~of.forward[quoted]
    return forward


def _is_refused(
    packets: Any, first: Codes, journeys: StructuredArray, further: Codes
) -> NDArray[np.bool_]:
    # Whether an error quotes a packet to say that it went no further.
    quoted = np.zeros(len(journeys), np.bool_)
    own = np.flatnonzero(journeys["quotes"] >= 0)
    own = own[~is_redirect(packets, first[own])]
    quoted[journeys["quotes"][own]] = True
    quoted[further[~is_redirect(packets, first[further[:, 0]]), 1]] = True
    return quoted
