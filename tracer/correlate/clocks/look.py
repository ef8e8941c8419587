"""A look at the first packets of captures, for how far their clocks are off each other."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch, concat
from tracer.core.mixing import mixed
from tracer.correlate.clocks.alignment import align
from tracer.correlate.clocks.known import KnownClocks
from tracer.correlate.packets.echoed import groups_of
from tracer.correlate.packets.identity import identify

ENOUGH = 30  # packets that have to say of a clock how far it is off
MOST_ROWS = 500_000  # are compared; of more, those of some packets
_LASTING = ("ip_id", "tcp_seq", "tcp_ack", "icmp_seq", "payload_len")  # forwarding and NAT


def look(captures: Sequence[Iterable[ObservationBatch]], rows: int) -> tuple[KnownClocks, bool]:
    """Return what `rows` packets, the first of each capture, say of clocks, and whether of all."""
    every = 1 + rows // MOST_ROWS
    parts = [part for batches in captures for part in _first(batches, rows // len(captures), every)]
    batch = concat(parts)
    known = KnownClocks()
    if not len(batch):
        return known, False
    identity = identify(batch)
    found = align(batch, identity, groups_of(batch.packets, identity))
    sure = [estimate for estimate in found.estimates if estimate.samples >= ENOUGH]
    names = {estimate.clock for estimate in sure}
    known.learn(
        found.reference, sure, {name: ns for name, ns in found.added_ns.items() if name in names},
        found.bound,
    )  # fmt: skip
    return known, not len(found.apart) and len(known.added_ns) == len(found.added_ns)


def _first(
    batches: Iterable[ObservationBatch], rows: int, every: int
) -> Iterable[ObservationBatch]:
    for batch in batches:
        yield batch if every == 1 else batch.take(np.flatnonzero(_is_chosen(batch, every)))
        rows -= len(batch)
        if rows <= 0:
            return


def _is_chosen(batch: ObservationBatch, every: int) -> NDArray[np.bool_]:
    # The same packets in all captures; all of ARP, which has no numbers.
    hashes = np.full(len(batch), 17, np.uint64)
    for name in _LASTING:
        hashes = mixed(hashes, batch.packets[name])
    chosen: NDArray[np.bool_] = hashes % np.uint64(every) == 0
    chosen[batch.rows_with("arp")] = True
    return chosen
