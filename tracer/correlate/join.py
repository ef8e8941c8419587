"""Observations to journeys: the correlator's front door."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.conntrack import ConntrackEntry
from tracer.core.enums import Evidence
from tracer.core.journeys import HOP_DTYPE, JOURNEY_DTYPE, NO_TIME, JourneySet
from tracer.core.schema import StructuredArray
from tracer.correlate import exchange, flows, groups, nat, order, outcome
from tracer.correlate.assembly import Assembly, assemble
from tracer.correlate.branches import parents
from tracer.correlate.changes import causes
from tracer.correlate.clocks import Clocks, align
from tracer.correlate.duplicates import copies, without
from tracer.correlate.hashing import Codes, grouped
from tracer.correlate.identity import ETHERTYPE_ARP, Identity, identify
from tracer.correlate.segments import merge_segments
from tracer.correlate.streams import Groups, Streams, classify, in_doubt, is_proven, streams_of


@dataclass(frozen=True, slots=True)
class JoinOptions:
    """`gap_ns`: a packet is not silent for longer between two hops (nanoseconds)."""

    gap_ns: int = 500_000_000


def join(
    batch: ObservationBatch,
    conntrack: Sequence[ConntrackEntry] = (),
    options: JoinOptions = JoinOptions(),
) -> JourneySet:
    """Return the journeys of all IP and ARP observations; `conntrack` entries prove translations.

    Each such row is in exactly one hop; a packet seen at one point only is a journey of one hop.
    """
    packets = batch.packets
    identity = identify(batch)
    grouped_rows = groups.packet_groups(identity.packet, identity.usable)
    scales = align(batch, identity, grouped_rows)
    time, slack_ns = scales.time_ns, scales.slack_ns
    by_time = groups.bursts(*grouped_rows, time, identity.point, options.gap_ns)
    streams = streams_of(packets, identity)
    copy_of = copies(packets, *by_time, streams.stream, time)
    by_time = without(*by_time, copy_of >= 0)
    falling = 256 - packets["ttl"].astype(np.int64)
    by_ttl = _sorted(by_time, falling, time, identity)
    links = order.link_order(packets, identity, *by_ttl, time, slack_ns)
    doubt = in_doubt(packets, *by_ttl, identity.place, time, slack_ns)
    pieces = groups.bursts(
        *groups.chosen(*by_time, doubt), time, identity.point, order.usual_gap(links)
    )
    voting = (by_ttl, _sorted(pieces, falling, time, identity))
    proven = nat.translations(conntrack, batch)
    classify(packets, identity, streams, voting, by_time, proven, time, slack_ns)
    groups.sort_groups(*by_ttl, streams.flow_class * 512 + falling, time, identity.point)
    limits = (options.gap_ns, slack_ns)
    found = assemble(packets, by_ttl, streams, copy_of, time, links, limits)
    merge_segments(packets, streams.stream, streams.flow_class, found, time, options.gap_ns)
    layout = _in_order(packets, identity, found, links, time, falling)
    return _journey_set(batch, identity, streams, found, layout, scales)


def _sorted(rows: Groups, major: Codes, time: Codes, identity: Identity) -> Groups:
    again = (rows[0].copy(), rows[1])
    groups.sort_groups(*again, major, time, identity.point)
    return again


def _in_order(
    packets: Any, identity: Identity, found: Assembly, links: Any, time: Codes, falling: Codes
) -> tuple[Codes, Codes]:
    first_ns = np.full(found.journeys, np.iinfo(np.int64).max)
    used = found.journey >= 0
    np.minimum.at(first_ns, found.journey[used], time[used])
    rank = np.empty(found.journeys, np.int64)
    rank[np.argsort(first_ns, kind="stable")] = np.arange(found.journeys)
    found.journey[used] = rank[found.journey[used]]
    rows, first_hop = grouped(found.journey, found.journeys)
    groups.sort_groups(rows, first_hop, falling, time, identity.point)
    order.settle(
        packets, rows, first_hop, time, links.link, identity.netns, links.keys, links.votes
    )
    return rows, first_hop


def _journey_set(
    batch: ObservationBatch,
    identity: Identity,
    streams: Streams,
    found: Assembly,
    layout: tuple[Codes, Codes],
    scales: Clocks,
) -> JourneySet:
    rows, first_hop = layout
    time = scales.time_ns
    hops = _hops(batch, identity, streams, found, layout, time)
    journeys = np.zeros(found.journeys, JOURNEY_DTYPE)
    first, last = rows[first_hop[:-1]], rows[first_hop[1:] - 1]
    of = flows.flows_of(batch, identity, streams, first, last)
    before = np.where(hops["parent"] > 0, _parent_rows(hops, first_hop), -1)
    hops["cause"] = causes(batch, rows, before, of.forward[hops["journey"]])
    _fill(batch, identity, streams, found, layout, journeys, of, time)
    return JourneySet(batch, hops, journeys, of.table, scales.estimates)


def _hops(
    batch: ObservationBatch,
    identity: Identity,
    streams: Streams,
    found: Assembly,
    layout: tuple[Codes, Codes],
    time: Codes,
) -> StructuredArray:
    rows, first_hop = layout
    hops = np.zeros(len(rows), HOP_DTYPE)
    counts = np.diff(first_hop)
    n = np.arange(len(rows)) - np.repeat(first_hop[:-1], counts) + 1
    later = n > 1
    hops["journey"], hops["n"], hops["row"] = found.journey[rows], n, rows
    hops["time_ns"] = time[rows]
    hops["parent"] = parents(
        batch.packets, rows, first_hop, identity.place, identity.host, found.copy_of
    )
    before = _parent_rows(hops, first_hop)
    delta = time[rows] - time[before]
    hops["delta_ns"] = np.where(later & (delta >= 0), delta, NO_TIME)
    hops["candidates"] = np.where(later, found.candidates[rows], -1)
    hops["confidence"] = np.where(later, np.where(found.ambiguous[rows], 0.5, 0.999), np.nan)
    hops["direction"] = _directions(batch)[batch.packets["point"][rows]]
    a, b = identity.flow[rows], identity.flow[before]
    proven = later & (a != b) & is_proven(a, b, streams.proven)
    hops["evidence"] = np.where(
        later,
        np.where(
            proven,
            Evidence.CONNTRACK,
            np.where(found.repeated[rows], Evidence.SEQUENCE, Evidence.FINGERPRINT),
        ),
        Evidence.NONE,
    )
    return hops


def _parent_rows(hops: StructuredArray, first_hop: Codes) -> Codes:
    # A first hop gives itself.
    at = first_hop[hops["journey"]] + np.maximum(hops["parent"], 1) - 1
    rows: Codes = hops["row"][at]
    return rows


def _directions(batch: ObservationBatch) -> NDArray[np.int8]:
    return np.array([int(point.direction) for point in batch.points] + [-1], np.int8)


def _fill(
    batch: ObservationBatch,
    identity: Identity,
    streams: Streams,
    found: Assembly,
    layout: tuple[Codes, Codes],
    journeys: StructuredArray,
    of: flows.Flows,
    time: Codes,
) -> None:
    rows, first_hop = layout
    packets = batch.packets
    first, last = rows[first_hop[:-1]], rows[first_hop[1:] - 1]
    journeys["flow"] = of.flow
    journeys["first_hop"], journeys["n_hops"] = first_hop[:-1], np.diff(first_hop)
    journeys["kind"] = exchange.kinds(batch, first)
    journeys["proto"] = np.where(
        packets["ethertype"][first] == ETHERTYPE_ARP, flows.ARP, packets["proto"][first]
    )
    journeys["first_ns"], journeys["last_ns"] = time[first], time[last]
    for name in ("outcome_point", "reason", "retransmission_of", "quotes"):
        journeys[name] = -1
    journeys["reply"], journeys["request"] = exchange.replies(
        packets, journeys["kind"], first, of.flow, of.forward, time[first]
    )
    journeys["outcome_point"] = packets["point"][last]
    for row_flag, name in ((found.ambiguous, "ambiguous"), (found.copy_of >= 0, "duplicates")):
        total = np.bincount(found.journey[rows], weights=row_flag[rows], minlength=found.journeys)
        journeys[name] = total > 0 if name == "ambiguous" else total
    paths = outcome.Paths(
        first, last, np.diff(first_hop), journeys["kind"], journeys["reply"], time[last]
    )
    end_ns = int(time.max(initial=0))
    journeys["outcome"] = outcome.outcomes(packets, identity, streams.stream, rows, paths, end_ns)
