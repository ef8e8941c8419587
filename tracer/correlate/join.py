"""Observations to journeys: the correlator's front door."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tracer.core.batch import ObservationBatch
from tracer.core.conntrack import ConntrackEntry
from tracer.core.journeys import JourneySet
from tracer.correlate import steps
from tracer.correlate.beside import beside
from tracer.correlate.clocks.alignment import Clocks
from tracer.correlate.clocks.known import KnownClocks
from tracer.correlate.flows.flows import Flows, flows_of
from tracer.correlate.flows.known import SeenFlows
from tracer.correlate.hashing import Codes
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.joining.piece_order import last_named
from tracer.correlate.known import Joined, Known
from tracer.correlate.nat.opposites import Opposites, opposites_of
from tracer.correlate.nat.streams import Streams
from tracer.correlate.order.links import LinkOrder
from tracer.correlate.order.ways import links_of, names_of
from tracer.correlate.outcomes.watched import Watch
from tracer.correlate.packets.identity import Identity
from tracer.correlate.packets.old_links import without_old_links
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
    batch, gap_ns = without_old_links(batch), options.gap_ns
    seen = steps.seen_in(batch, conntrack, gap_ns, clocks)
    opposites = beside(lambda: opposites_of(batch, seen.identity, seen.streams), len(batch))
    copied = steps.copies_set_aside(seen)
    order = steps.put_in_order(seen)
    of_class = steps.translated(seen, copied, order, gap_ns)
    found = steps.packets_of(seen, copied, order, of_class, gap_ns)
    layout = steps.laid_out(seen, order, found)
    watch = Watch(options.end_ns or batch.watched_ns, options.settle_ns)
    parts = (seen.identity, seen.streams, found, layout, seen.clocks, order.links, watch)
    return parts, opposites
