"""Which way a packet crossed a device, where the capture did not say."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.batch import ObservationBatch
from tracer.core.point import Direction
from tracer.correlate.hashing import Codes
from tracer.correlate.identity import Identity


def directions(
    batch: ObservationBatch, identity: Identity, rows: Codes, before: Codes
) -> NDArray[np.int8]:
    """Return `core.point.Direction` of each hop; `before` is the row it came from, -1 for none.

    As the capture says, else by the device's own MAC, else by routing: the namespace that took one
    off the TTL was entered by the former hop and left by the latter.
    """
    packets: Any = batch.packets
    points = packets["point"][rows]
    told = np.array([int(point.direction) for point in batch.points] + [-1], np.int8)
    macs = [NULL_U64 if point.mac is None else point.mac for point in batch.points]
    own = np.array([*macs, NULL_U64], np.uint64)[points]
    out: NDArray[np.int8] = told[points]
    unknown = (out == Direction.UNKNOWN) & (own != NULL_U64)
    out[unknown & (packets["src_mac"][rows] == own)] = Direction.EGRESS
    out[unknown & (packets["dst_mac"][rows] == own)] = Direction.INGRESS
    _routed(packets, identity, rows, before, out)
    return out


def _routed(
    packets: Any, identity: Identity, rows: Codes, before: Codes, out: NDArray[np.int8]
) -> None:
    later = np.flatnonzero(before >= 0)
    here, there = rows[later], before[later]
    inside = (identity.netns[here] == identity.netns[there]) & (identity.netns[here] >= 0)
    routed = later[inside & (packets["ttl"][there] > packets["ttl"][here])]
    _set(out, routed, Direction.EGRESS)
    hop_of = np.full(len(packets), -1, np.int64)
    hop_of[rows] = np.arange(len(rows))
    _set(out, hop_of[before[routed]], Direction.INGRESS)


def _set(out: NDArray[np.int8], hops: Codes, direction: Direction) -> None:
    out[hops[out[hops] == Direction.UNKNOWN]] = direction
