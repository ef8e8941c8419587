"""A batch's packets, as joins found them, before hops and journeys are made of them."""

from dataclasses import dataclass

from tracer.core.batch import ObservationBatch
from tracer.correlate.clocks.alignment import Clocks
from tracer.correlate.hashing import Codes
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.nat.streams import Groups, Streams
from tracer.correlate.order.links import LinkOrder
from tracer.correlate.packets.identity import Identity


@dataclass(frozen=True, slots=True)
class Packets:
    """All that is known of a batch's rows once it is known which of them are one packet.

    `layout`: (rows, those of a packet side by side and in order; where each packet's begin, and
    how many rows there are).
    """

    batch: ObservationBatch
    identity: Identity
    streams: Streams
    found: Assembly
    layout: Groups
    clocks: Clocks
    links: LinkOrder

    @property
    def first(self) -> Codes:
        """First row of each packet."""
        rows, starts = self.layout
        return rows[starts[:-1]]

    @property
    def last(self) -> Codes:
        """Last row of each packet."""
        rows, starts = self.layout
        return rows[starts[1:] - 1]
