"""Observations to journeys: the correlator's front door."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.conntrack import ConntrackEntry
from tracer.core.journeys import JourneySet
from tracer.correlate.beside import beside
from tracer.correlate.clocks.alignment import Clocks, align
from tracer.correlate.clocks.known import KnownClocks
from tracer.correlate.clocks.resolution import early_ns
from tracer.correlate.conntrack.entry_zones import in_utc
from tracer.correlate.conntrack.proofs import proofs_of
from tracer.correlate.flows.errors_quoted import (
    parted_errors,
    streams_quoted,
    translations_quoted,
)
from tracer.correlate.flows.flows import Flows, flows_of
from tracer.correlate.flows.known import SeenFlows
from tracer.correlate.hashing import Codes, grouped
from tracer.correlate.joining.assembly import assemble
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.joining.open_ends import join_open_ends
from tracer.correlate.joining.piece_order import ends_of, last_named, order_pieces
from tracer.correlate.joining.pieces import merge_pieces
from tracer.correlate.joining.segment_ends import settle_segment_ends
from tracer.correlate.joining.segments import merge_segments
from tracer.correlate.joining.waits import merge_waits
from tracer.correlate.known import Joined, Known
from tracer.correlate.nat.classes import classify
from tracer.correlate.nat.doubt import doubts
from tracer.correlate.nat.guesses import unresolved
from tracer.correlate.nat.opposites import Opposites, opposites_of
from tracer.correlate.nat.other_votes import by_bytes, by_first_bytes
from tracer.correlate.nat.streams import Groups, Streams, streams_of
from tracer.correlate.nat.tuples import MOST_RELATED, related_parts
from tracer.correlate.nat.votes import Voting
from tracer.correlate.order.links import (
    LinkOrder,
    link_order,
    longest_gap,
    settle,
    surest_gaps,
    usual_gap,
)
from tracer.correlate.order.loopback import after_output
from tracer.correlate.order.pairs import votes_of_pairs
from tracer.correlate.order.ways import links_of, names_of
from tracer.correlate.outcomes.watched import Watch
from tracer.correlate.packets import groups
from tracer.correlate.packets.buffers import are_apart, lifetimes, unambiguous, united
from tracer.correlate.packets.duplicates import copies, one_by_one, without
from tracer.correlate.packets.echoed import groups_of
from tracer.correlate.packets.identity import Identity, identify
from tracer.correlate.packets.old_links import without_old_links
from tracer.correlate.packets.silences import bridged
from tracer.correlate.renumbered.numbering import renumbered
from tracer.correlate.result import Judge, journey_set

Parts = tuple[Identity, Streams, Assembly, tuple[Codes, Codes], Clocks, LinkOrder, Watch]
Assembled = tuple[Parts, Callable[[], Opposites]]


@dataclass(frozen=True, slots=True)
class JoinOptions:
    """`gap_ns`: a packet is not silent for longer between two hops (nanoseconds).

    `end_ns`: until when was watched (UTC), where that is later than the last packet; a packet that
    was silent for `settle_ns` by then comes no more.
    """

    gap_ns: int = 500_000_000
    end_ns: int | None = None
    settle_ns: int = 500_000_000


def join(
    batch: ObservationBatch,
    conntrack: Sequence[ConntrackEntry] = (),
    options: JoinOptions = JoinOptions(),
) -> JourneySet:
    """Return the journeys of all IP and ARP observations; `conntrack` entries prove translations.

    Each such row is in exactly one hop; a packet seen at one point only is a journey of one hop.
    """
    compared, parts, opposites = _in_one_numbering(batch, conntrack, options)
    found = journey_set(compared, *parts, flows_beside(compared, parts, opposites))
    return replace(found, observations=batch)


def join_knowing(
    batch: ObservationBatch,
    conntrack: Sequence[ConntrackEntry],
    options: JoinOptions,
    known: Known,
    judged: Judge,
) -> Joined:
    """Return `join` with what is known from former windows; ways and clocks are learned.

    Of ways, what journeys show that are `judged` to be over.
    """
    compared, parts, opposites = _in_one_numbering(batch, conntrack, options, known.clocks)
    identity, streams, assembly, (rows, _), scales, links, _ = parts
    known.clocks.learn(scales.reference, scales.estimates, scales.added_ns, scales.bound)
    seen = SeenFlows(known.flows, batch, streams.stream, len(streams.first))
    of = flows_beside(compared, parts, opposites, seen)
    found = journey_set(compared, *parts, of, known.ways, judged)
    ends = names_of(links)[links_of(identity, links, rows[assembly.ends])]
    return Joined(replace(found, observations=batch), of().forward, seen, ends)


def _in_one_numbering(
    batch: ObservationBatch,
    conntrack: Sequence[ConntrackEntry],
    options: JoinOptions,
    clocks: KnownClocks | None = None,
) -> tuple[ObservationBatch, Parts, Callable[[], Opposites]]:
    # As `assembled`, and what that was made of: the batch, or the same where TCP that something on
    # the way renumbers is in one numbering. Only then packets are joined a second time.
    parts, opposites = assembled(batch, conntrack, options, clocks)
    identity, streams, assembly, layout, scales, *_ = parts
    again = renumbered(batch, identity, streams, assembly.journey, layout, scales.time_ns)
    if again is None:
        return batch, parts, opposites
    parts, opposites = assembled(again.batch, conntrack, options, clocks)
    parts[0].numbering = again.numbering
    return again.batch, parts, opposites


def flows_beside(
    batch: ObservationBatch, parts: Parts, opposites: Callable[[], Opposites],
    seen: SeenFlows | None = None,
) -> Callable[[], Flows]:  # fmt: skip
    """Begin to look for the flows of `assembled` packets, and return what waits for them."""
    identity, streams, _, (rows, starts), *_ = parts
    first, named = rows[starts[:-1]], last_named(batch.packets, identity, (rows, starts))
    return beside(
        lambda: flows_of(batch.packets, streams, opposites(), first, named, seen), len(batch)
    )


def assembled(
    batch: ObservationBatch,
    conntrack: Sequence[ConntrackEntry],
    options: JoinOptions,
    clocks: KnownClocks | None = None,
) -> Assembled:
    """Return which rows are one packet, in which order: what `journey_set` takes beside the batch.

    And what waits for the pairs of streams that flows are found by. It is apart from it for `warm`,
    where two processes compile one each.
    """
    batch = without_old_links(batch)
    packets = batch.packets
    identity = identify(batch)
    early = early_ns(identity.capture, identity.stamp)
    if len(early):
        identity.stamp += early
    no_era = np.empty(0, np.int64)
    timeless = beside(lambda: streams_of(packets, identity, no_era), len(batch))
    grouped_rows = groups_of(packets, identity)
    scales = align(batch, identity, grouped_rows, clocks)
    scales.early_ns = early
    time, slack_ns = scales.joining_ns, scales.slack_ns
    by_time = groups.bursts(*grouped_rows, time, identity.point, options.gap_ns)
    by_time = bridged(packets, identity, grouped_rows[1], by_time, time)
    proofs = proofs_of(in_utc(conntrack, identity.flow, batch), batch, scales)
    eras = proofs.eras(identity.flow, scales.time_ns)
    streams = streams_of(packets, identity, eras) if len(eras) else timeless()
    opposites = beside(lambda: opposites_of(batch, identity, streams), len(batch))
    alike = streams_quoted(batch, streams.stream)
    # Where a kernel was watched its buffers have the first word, and the last.
    lifetime = lifetimes(batch) if len(batch.sections["kernel"]) else np.empty(0, np.int64)
    copy_of, single = _copies_of(batch, by_time, alike, lifetime, time)
    copied = copy_of >= 0
    if copied.any():
        by_time = without(*by_time, copied)
        streams.count = np.bincount(streams.stream[~copied], minlength=len(streams.first))
    falling = 256 - identity.ttl
    by_ttl = _sorted(by_time, falling, time, identity)
    doubt = doubts(identity, by_ttl, time, slack_ns)
    links = link_order(identity, *by_ttl, doubt, time)
    usual_ns = usual_gap(links)
    pieces, cut = _pieces(packets, identity, groups.chosen(*by_time, doubt), time, links)
    unsure = doubts(identity, pieces, time, slack_ns) | cut
    voting: tuple[Voting, ...] = ((by_ttl, doubt), (pieces, unsure))
    voting += by_bytes(packets, identity, copy_of, time, slack_ns, usual_ns)
    voting += by_first_bytes(packets, identity, copy_of, time, slack_ns, options.gap_ns)
    pairs = proofs.pairs()
    quoted = translations_quoted(batch, by_ttl, doubt)
    classify(batch, identity, streams, voting, by_time, pairs, quoted, time, usual_ns, links.usual,
             lifetime)  # fmt: skip
    of_class = streams.flow_class
    if len(batch.sections["quoted"]):
        of_class = parted_errors(batch, identity, streams)
    groups.sort_groups(*by_ttl, of_class * 512 + falling, time, identity.point)
    limits = (longest_gap(links, options.gap_ns), slack_ns)
    parted = replace(streams, flow_class=of_class)
    if len(identity.several) or single.any():
        alike = one_by_one(packets, alike, identity.several, single)
    found = assemble(
        packets, identity, by_ttl, parted, copy_of, lifetime, time, links, limits, alike
    )
    join_open_ends(packets, identity, streams, of_class, by_ttl, found, time, links, lifetime)
    merge_waits(packets, identity, streams, lifetime, found, grouped_rows, time, links, limits[0])
    if cut.any():  # where packets were cut in two, others seem to go on
        pieces = groups.chosen(*pieces, ~cut)
    _doubt(found, unresolved(packets, *pieces, of_class, streams.stream, time, links.usual))
    if len(scales.choices):
        _doubt(found, scales.choices)
    merge_segments(packets, streams, found, time, options.gap_ns)
    if identity.fragmented:
        merge_pieces(packets, identity, of_class, lifetime, found, time, options.gap_ns)
    if len(lifetime):
        _unite(lifetime, found, time)
    if len(identity.several):  # seen again there it is seen at the next device
        found.copy_of[identity.several] = -1
    layout = _in_order(batch, identity, found, links, scales, falling, by_ttl[0])
    if found.recut.any():
        order_pieces(packets, identity, found, layout)
    found.ends = ends_of(packets, identity, found, layout)
    settle_segment_ends(packets, identity.place, found, layout)
    watch = Watch(options.end_ns or batch.watched_ns, options.settle_ns)
    return (identity, streams, found, layout, scales, links, watch), opposites


def _copies_of(
    batch: ObservationBatch, by_time: Groups, alike: Codes, lifetime: Codes, time: Codes
) -> tuple[Codes, NDArray[np.bool_]]:
    several = np.array([point.several for point in batch.points], np.bool_)
    several = several if several.any() else several[:0]
    found = copies(batch.packets, *by_time, alike, time, len(batch.points), several)
    if len(lifetime):
        found[0][are_apart(lifetime, found[0])] = -1
    return found


def _pieces(
    packets: Any, identity: Identity, rows: Groups, time: Codes, links: LinkOrder
) -> tuple[Groups, NDArray[np.bool_]]:
    # What may be one packet of groups that are several, sorted by falling TTL and time; and which
    # of those were cut where nothing says so.
    pieces = groups.bursts(*rows, time, identity.point, usual_gap(links))
    pieces = groups.finer(*pieces, time, links.link, surest_gaps(links), MOST_RELATED)
    most = len(time) if len(identity.several) else MOST_RELATED
    *parts, rough = groups.chunks(packets, *pieces, time, most)
    pieces = _sorted((parts[0], parts[1]), 256 - identity.ttl, time, identity)
    pieces = related_parts(packets, identity.flow, *pieces, True)
    return pieces, rough[pieces[0][pieces[1][:-1]]]


def _doubt(found: Assembly, choices: Codes) -> None:
    # How many packets each row may be, where several.
    found.ambiguous |= choices > 0
    np.maximum(found.candidates, choices, out=found.candidates, casting="unsafe")


def _unite(lifetime: Codes, found: Assembly, time: Codes) -> None:
    found.journey, found.journeys = united(found.journey, lifetime)
    sure = unambiguous(found.journey, found.journeys, lifetime, time)
    found.ambiguous[sure], found.repeated[sure], found.candidates[sure] = False, False, 1


def _sorted(rows: Groups, major: Codes, time: Codes, identity: Identity) -> Groups:
    again = (rows[0].copy(), rows[1])
    groups.sort_groups(*again, major, time, identity.point)
    return again


def _in_order(
    batch: ObservationBatch, identity: Identity, found: Assembly, links: Any, scales: Clocks,
    falling: Codes, order: Codes,
) -> tuple[Codes, Codes]:  # fmt: skip
    # `order`: rows that are about in order already, of one packet, so that little is left to do.
    time = scales.time_ns
    first_ns = np.full(found.journeys, np.iinfo(np.int64).max)
    used = found.journey >= 0
    np.minimum.at(first_ns, found.journey[used], time[used])
    rank = np.empty(found.journeys, np.int64)
    rank[np.argsort(first_ns, kind="stable")] = np.arange(found.journeys)
    found.journey[used] = rank[found.journey[used]]
    used[order] = False
    order = np.concatenate([order, np.flatnonzero(used)])
    rows, first_hop = grouped(found.journey[order], found.journeys)
    rows = order[rows]
    groups.sort_groups(rows, first_hop, falling, time, identity.point)
    carried = batch.sections["tunnel"]["row"]
    tunnelled = np.zeros(len(batch) if len(carried) else 0, np.bool_)
    tunnelled[carried] = True
    order_of_links = links.keys, links.votes
    if len(scales.early_ns):
        order_of_links = votes_of_pairs(links.link, rows, first_hop, identity.ttl, time)
    settle(
        identity.ttl, rows, first_hop, time, links.link, identity.netns, *order_of_links,
        tunnelled, (batch.packets["capture"], batch.packets["frame"], identity.several),
        scales.early_ns,
    )  # fmt: skip
    if len(batch.sections["kernel"]):
        after_output(batch, identity, rows, first_hop)
    return rows, first_hop
