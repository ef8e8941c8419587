"""The steps from rows to packets whose rows are in order; `join` takes them one after the other.

Each takes what those before it found; what it changes in place it says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.conntrack import ConntrackEntry
from tracer.correlate.beside import beside
from tracer.correlate.clocks.alignment import Clocks, align
from tracer.correlate.clocks.hop_order import order_across
from tracer.correlate.clocks.known import KnownClocks
from tracer.correlate.clocks.resolution import early_ns
from tracer.correlate.conntrack.entry_zones import in_utc
from tracer.correlate.conntrack.proofs import Proofs, proofs_of
from tracer.correlate.flows.errors_quoted import (
    parted_errors,
    streams_quoted,
    translations_quoted,
)
from tracer.correlate.hashing import Codes, factorise, grouped
from tracer.correlate.joining.assembly import assemble
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.joining.open_ends import join_open_ends
from tracer.correlate.joining.piece_order import ends_of, order_pieces
from tracer.correlate.joining.pieces import merge_pieces
from tracer.correlate.joining.segment_ends import settle_segment_ends
from tracer.correlate.joining.segments import merge_segments
from tracer.correlate.joining.waits import merge_waits
from tracer.correlate.nat.classes import classify
from tracer.correlate.nat.doubt import doubts
from tracer.correlate.nat.fragments import by_first_fragments
from tracer.correlate.nat.guesses import unresolved
from tracer.correlate.nat.other_votes import by_bytes, by_first_bytes
from tracer.correlate.nat.streams import Groups, Streams, places_of, streams_of
from tracer.correlate.nat.tuples import MOST_RELATED, related_parts
from tracer.correlate.nat.votes import Voting
from tracer.correlate.order.agreed_times import agreed_times
from tracer.correlate.order.links import (
    LinkOrder,
    link_order,
    longest_gap,
    settle,
    surest_gaps,
    usual_gap,
)
from tracer.correlate.order.loopback import after_output
from tracer.correlate.order.pairs import SAMPLE, votes_of_pairs, votes_of_stations
from tracer.correlate.packets import groups
from tracer.correlate.packets.buffers import are_apart, lifetimes, unambiguous, united
from tracer.correlate.packets.duplicates import copies, one_by_one, without
from tracer.correlate.packets.echoed import groups_of
from tracer.correlate.packets.identity import Identity, identify
from tracer.correlate.packets.levels import levels, parted
from tracer.correlate.packets.silences import bridged

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Seen:
    """What is known of a batch's rows before any are joined.

    `alike`: rows of one fingerprint, which may be one packet; `by_time`: these in order of time,
    apart where there was silence. `lifetime`: of the kernel's buffer (no element: no kernel told).
    """

    batch: ObservationBatch
    identity: Identity
    alike: Groups
    by_time: Groups
    clocks: Clocks
    streams: Streams
    proofs: Proofs
    lifetime: Codes

    @property
    def falling(self) -> Codes:
        """By what rows of one packet rise as it travels: its TTL does not."""
        return 256 - self.identity.ttl

    def in_order(self, rows: Groups) -> Groups:
        """Return groups in order of travel as TTL and then time have it."""
        again = (rows[0].copy(), rows[1])
        groups.sort_groups(*again, self.falling, self.clocks.joining_ns, self.identity.point)
        return again

    def doubts(self, rows: Groups) -> Mask:
        """Return which groups are not one packet beyond doubt (`in_doubt`)."""
        return doubts(self.identity, rows, self.clocks.joining_ns, self.clocks.slack_ns)


def seen_in(
    batch: ObservationBatch,
    conntrack: Sequence[ConntrackEntry],
    gap_ns: int,
    clocks: KnownClocks | None,
) -> Seen:
    """Return what there is to know of rows before they are joined: identity, clocks, streams."""
    packets = batch.packets
    identity = identify(batch)
    early = early_ns(identity.capture, identity.stamp)
    if len(early):
        identity.stamp += early
    no_era = np.empty(0, np.int64)
    timeless = beside(lambda: streams_of(packets, identity, no_era), len(batch))
    alike = groups_of(packets, identity)
    scales = align(batch, identity, alike, clocks)
    scales.early_ns = early
    by_time = groups.bursts(*alike, scales.joining_ns, identity.point, gap_ns)
    by_time = bridged(packets, identity, alike[1], by_time, scales.joining_ns)
    proofs = proofs_of(in_utc(conntrack, identity.flow, batch), batch, scales)
    eras = proofs.eras(identity.flow, scales.time_ns)
    streams = streams_of(packets, identity, eras) if len(eras) else timeless()
    # Where a kernel was watched its buffers have the first word, and the last.
    lifetime = lifetimes(batch) if len(batch.sections["kernel"]) else np.empty(0, np.int64)
    return Seen(batch, identity, alike, by_time, scales, streams, proofs, lifetime)


@dataclass(frozen=True, slots=True)
class Copies:
    """Which rows are there twice: `copy_of` is the row that each is a copy of (-1: of none).

    `apart`: the stream of each row, where those that are no copies have one of their own
    (`one_by_one`) and errors that quote several tuples several.
    """

    copy_of: Codes
    apart: Codes


def copies_set_aside(seen: Seen) -> Copies:
    """Return which rows are copies, and take these out of `seen`: of its groups, and of counts."""
    batch, identity, streams = seen.batch, seen.identity, seen.streams
    alike = streams_quoted(batch, streams.stream)
    several = np.array([point.several for point in batch.points], np.bool_)
    several = several if several.any() else several[:0]
    time, points = seen.clocks.joining_ns, len(batch.points)
    copy_of, single = copies(batch.packets, *seen.by_time, alike, time, points, several)
    if len(seen.lifetime):
        copy_of[are_apart(seen.lifetime, copy_of)] = -1
    copied = copy_of >= 0
    if copied.any():
        seen.by_time = without(*seen.by_time, copied)
        streams.count = np.bincount(streams.stream[~copied], minlength=len(streams.first))
    if len(identity.several) or single.any():
        alike = one_by_one(batch.packets, alike, identity.several, single)
    return Copies(copy_of, alike)


@dataclass(frozen=True, slots=True)
class Order:
    """Rows in order of travel, and what is not one packet for certain.

    `by_ttl`: groups by TTL and time, `doubt` of each; `pieces`: the same in parts that are hardly
    several packets, `unsure` of each, and `cut` where nothing but their number parted them.
    """

    by_ttl: Groups
    doubt: Mask
    links: LinkOrder
    usual_ns: int
    pieces: Groups
    unsure: Mask
    cut: Mask


def put_in_order(seen: Seen) -> Order:
    """Return rows in the order in which links follow each other, as sure groups tell it.

    Parts the groups of `seen` where packets alike were sent with different TTLs.
    """
    by_ttl = seen.in_order(seen.by_time)
    doubt = seen.doubts(by_ttl)
    level = levels(seen.identity, seen.alike, by_ttl, doubt)
    if level.any():
        seen.alike, seen.by_time = parted(seen.alike, level), parted(seen.by_time, level)
        by_ttl = seen.in_order(seen.by_time)
        doubt = seen.doubts(by_ttl)
    links = _links(seen, by_ttl, doubt)
    pieces, cut = _pieces(seen, groups.chosen(*seen.by_time, doubt), links)
    unsure = seen.doubts(pieces) | cut
    return Order(by_ttl, doubt, links, usual_gap(links), pieces, unsure, cut)


def _links(seen: Seen, by_ttl: Groups, doubt: Mask) -> LinkOrder:
    # Packets alike of several flows are doubtful where these are translated. Those of one flow
    # may be one packet beyond doubt all the same, as far as it keeps its addresses and ports.
    if not doubt.any():
        return link_order(seen.identity, *by_ttl, doubt, seen.clocks.joining_ns)
    time = seen.clocks.joining_ns
    of_flow, _ = factorise(seen.identity.flow)
    flows = seen.in_order(parted(groups.chosen(*by_ttl, doubt), of_flow))
    both = np.concatenate([doubt, seen.doubts(flows)])
    return link_order(seen.identity, *groups.together(by_ttl, flows), both, time)


def _pieces(seen: Seen, rows: Groups, links: LinkOrder) -> tuple[Groups, Mask]:
    # What may be one packet of groups that are several, sorted by falling TTL and time; and which
    # of those were cut where nothing says so.
    identity, packets, time = seen.identity, seen.batch.packets, seen.clocks.joining_ns
    pieces = groups.bursts(*rows, time, identity.point, usual_gap(links))
    pieces = groups.finer(*pieces, time, links.link, surest_gaps(links), MOST_RELATED)
    most = len(time) if len(identity.several) else MOST_RELATED
    *parts, rough = groups.chunks(packets, *pieces, time, most)
    pieces = related_parts(packets, identity.flow, *seen.in_order((parts[0], parts[1])), True)
    return pieces, rough[pieces[0][pieces[1][:-1]]]


def translated(seen: Seen, copied: Copies, order: Order, gap_ns: int) -> Codes:
    """Return the class of each row's flow, one on all sides of NAT; `seen.streams` has it, too.

    There, errors that quote several flows are one, and later fragments have no ports.
    """
    batch, identity, streams = seen.batch, seen.identity, seen.streams
    packets, time = batch.packets, seen.clocks.joining_ns
    near = seen.clocks.slack_ns, order.usual_ns
    bytes_of = packets, identity, copied.copy_of, time
    voting: tuple[Voting, ...] = ((order.by_ttl, order.doubt), (order.pieces, order.unsure))
    voting += by_bytes(*bytes_of, *near)
    voting += by_first_bytes(*bytes_of, seen.clocks.slack_ns, gap_ns)
    pairs = seen.proofs.pairs()
    quoted = translations_quoted(batch, order.by_ttl, order.doubt)
    classify(batch, identity, streams, voting, seen.by_time, pairs, quoted, time, order.usual_ns,
             order.links.usual, seen.lifetime)  # fmt: skip
    of_class = streams.flow_class
    if len(batch.sections["quoted"]):
        of_class = parted_errors(batch, identity, streams)
    if identity.fragmented:
        of_class = by_first_fragments(packets, identity, of_class, order.by_ttl, time)
    return of_class


def packets_of(seen: Seen, copied: Copies, order: Order, of_class: Codes, gap_ns: int) -> Assembly:
    """Return which rows are one packet. Sorts `order.by_ttl` by class first."""
    packets, identity, streams = seen.batch.packets, seen.identity, seen.streams
    by_ttl, lifetime = order.by_ttl, seen.lifetime
    time, slack_ns = seen.clocks.joining_ns, seen.clocks.slack_ns
    groups.sort_groups(*by_ttl, of_class * 512 + seen.falling, time, identity.point)
    agreed = agreed_times(packets, order.links, by_ttl, of_class, lifetime, time)
    links = agreed.links
    limits = (longest_gap(links, gap_ns), slack_ns)
    parted = replace(streams, flow_class=of_class)
    found = assemble(
        packets, identity, by_ttl, parted, copied.copy_of, lifetime, time, links, limits,
        copied.apart,
    )  # fmt: skip
    join_open_ends(packets, identity, streams, of_class, by_ttl, found, time, links, lifetime)
    merge_waits(packets, identity, streams, lifetime, found, seen.alike, time, links, limits[0])
    pieces = order.pieces
    if order.cut.any():  # where packets were cut in two, others seem to go on
        pieces = groups.chosen(*pieces, ~order.cut)
    classes, usual = int(of_class.max(initial=-1)) + 1, order.links.usual
    places = places_of(identity, streams, of_class[streams.first], classes)
    _doubt(found, unresolved(packets, *pieces, of_class, streams.stream, time, usual, places))
    if agreed.is_open:  # one more may be each of these
        several = np.bincount(agreed.left_open(found.journey, time), minlength=len(packets))
        _doubt(found, 2 * several)
    if len(seen.clocks.choices):
        _doubt(found, seen.clocks.choices)
    merge_segments(packets, streams, found, time, gap_ns)
    if identity.fragmented:
        merge_pieces(packets, identity, of_class, lifetime, found, time, gap_ns)
    if len(lifetime):
        _unite(lifetime, found, time)
    if len(identity.several):  # seen again there it is seen at the next device
        found.copy_of[identity.several] = -1
    return found


def _doubt(found: Assembly, choices: Codes) -> None:
    # How many packets each row may be, where several.
    found.ambiguous |= choices > 0
    np.maximum(found.candidates, choices, out=found.candidates, casting="unsafe")


def _unite(lifetime: Codes, found: Assembly, time: Codes) -> None:
    found.journey, found.journeys = united(found.journey, lifetime)
    sure = unambiguous(found.journey, found.journeys, lifetime, time)
    found.ambiguous[sure], found.repeated[sure], found.candidates[sure] = False, False, 1


def laid_out(seen: Seen, order: Order, found: Assembly) -> Groups:
    """Return rows with those of a packet side by side, in its order; settles how packets ended.

    Numbers `found.journey` anew, by when each began.
    """
    layout = _in_order(seen, order, found)
    if found.recut.any():
        order_pieces(seen.batch.packets, seen.identity, found, layout)
    found.ends = ends_of(seen.batch.packets, seen.identity, found, layout)
    settle_segment_ends(seen.batch.packets, seen.identity.place, found, layout)
    return layout


def _in_order(seen: Seen, order: Order, found: Assembly) -> Groups:
    batch, identity, clocks, links = seen.batch, seen.identity, seen.clocks, order.links
    time = clocks.time_ns
    first_ns = np.full(found.journeys, np.iinfo(np.int64).max)
    used = found.journey >= 0
    np.minimum.at(first_ns, found.journey[used], time[used])
    rank = np.empty(found.journeys, np.int64)
    rank[np.argsort(first_ns, kind="stable")] = np.arange(found.journeys)
    found.journey[used] = rank[found.journey[used]]
    # Those of one packet are about in order already, so that little is left to do.
    near = order.by_ttl[0]
    used[near] = False
    near = np.concatenate([near, np.flatnonzero(used)])
    rows, first_hop = grouped(found.journey[near], found.journeys)
    rows = near[rows]
    groups.sort_groups(rows, first_hop, seen.falling, time, identity.point)
    carried = batch.sections["tunnel"]["row"]
    tunnelled = np.zeros(len(batch) if len(carried) else 0, np.bool_)
    tunnelled[carried] = True
    coarse = len(clocks.early_ns) > 0
    most = len(first_hop) if coarse else SAMPLE
    votes = votes_of_pairs(links.link, (rows, first_hop), identity.ttl, time, most)
    order_of_links = (votes.keys, votes.votes) if coarse else (links.keys, links.votes)
    settle(
        identity.ttl, rows, first_hop, time, links.link, identity.netns, *order_of_links,
        votes_of_stations(identity, links.first, votes), tunnelled,
        (batch.packets["capture"], batch.packets["frame"], identity.clock, identity.several),
        clocks.early_ns,
    )  # fmt: skip
    order_across(batch, identity, clocks, links.link, rows, first_hop, found.copy_of)
    if len(batch.sections["kernel"]):
        after_output(batch, identity, rows, first_hop)
    return rows, first_hop
