"""Observations to journeys: the correlator's front door."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.core.conntrack import ConntrackEntry
from tracer.core.journeys import JourneySet
from tracer.correlate import steps
from tracer.correlate.beside import beside
from tracer.correlate.clocks.known import KnownClocks
from tracer.correlate.flows.flows import Flows, flows_of
from tracer.correlate.flows.known import SeenFlows
from tracer.correlate.joining.packets import Packets
from tracer.correlate.joining.piece_order import last_named
from tracer.correlate.known import Joined, Known
from tracer.correlate.nat.opposites import Opposites, opposites_of
from tracer.correlate.order.ways import links_of, names_of
from tracer.correlate.outcomes.watched import Watch
from tracer.correlate.packets.old_links import without_old_links
from tracer.correlate.renumbered.numbering import renumbered
from tracer.correlate.result import Judge, journey_set

Assembled = tuple[Packets, Callable[[], Opposites]]


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
    packets, opposites = _in_one_numbering(batch, conntrack, options)
    found = journey_set(packets, flows_beside(packets, opposites), _watch(batch, options))
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
    packets, opposites = _in_one_numbering(batch, conntrack, options, known.clocks)
    streams, clocks, links = packets.streams, packets.clocks, packets.links
    known.clocks.learn(clocks.reference, clocks.estimates, clocks.added_ns, clocks.bound)
    seen = SeenFlows(known.flows, batch, streams.stream, len(streams.first))
    of = flows_beside(packets, opposites, seen)
    found = journey_set(packets, of, _watch(batch, options), known.ways, judged)
    last = packets.layout[0][packets.found.ends]
    ends = names_of(links)[links_of(packets.identity, links, last)]
    return Joined(replace(found, observations=batch), of().forward, seen, ends)


def _watch(batch: ObservationBatch, options: JoinOptions) -> Watch:
    return Watch(options.end_ns or batch.watched_ns, options.settle_ns)


def _in_one_numbering(
    batch: ObservationBatch,
    conntrack: Sequence[ConntrackEntry],
    options: JoinOptions,
    clocks: KnownClocks | None = None,
) -> Assembled:
    # As `assembled`; where something on the way renumbers TCP, of the same batch in one numbering.
    # Only then packets are joined a second time.
    packets, opposites = assembled(batch, conntrack, options, clocks)
    again = renumbered(packets)
    if again is None:
        return packets, opposites
    packets, opposites = assembled(again.batch, conntrack, options, clocks)
    packets.identity.numbering = again.numbering
    return packets, opposites


def flows_beside(
    packets: Packets, opposites: Callable[[], Opposites], seen: SeenFlows | None = None
) -> Callable[[], Flows]:
    """Begin to look for the flows of `assembled` packets, and return what waits for them."""
    p = packets.batch.packets
    named = last_named(p, packets.identity, packets.layout)
    lengths = np.diff(packets.layout[1])
    return beside(
        lambda: flows_of(p, packets.streams, opposites(), packets.first, named, lengths, seen),
        len(p),
    )


def assembled(
    batch: ObservationBatch,
    conntrack: Sequence[ConntrackEntry],
    options: JoinOptions,
    clocks: KnownClocks | None = None,
) -> Assembled:
    """Return which rows are one packet, in which order: what `journey_set` takes.

    And what waits for the pairs of streams that flows are found by. It is apart from it for `warm`,
    where two processes compile one each.
    """
    gap_ns = options.gap_ns
    seen = steps.seen_in(without_old_links(batch), conntrack, gap_ns, clocks)
    opposites = beside(lambda: opposites_of(seen.batch, seen.identity, seen.streams), len(batch))
    copied = steps.copies_set_aside(seen)
    order = steps.put_in_order(seen)
    of_class = steps.translated(seen, copied, order, gap_ns)
    found = steps.packets_of(seen, copied, order, of_class, gap_ns)
    layout = steps.laid_out(seen, order, found)
    packets = Packets(batch, seen.identity, seen.streams, found, layout, seen.clocks, order.links)
    return packets, opposites
