"""The order in which a flow's points were crossed, and what changed between them.

TTL falls by one per routing namespace in travel direction. Points with the same TTL are on one
link-layer segment: the device that owns the source MAC is first, the owner of the destination MAC
last; a device in the namespace the packet came from is before one in the namespace it enters next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from tracer.core.address import NULL_U64
from tracer.core.batch import ObservationBatch
from tracer.core.enums import Cause
from tracer.correlate.flow_paths.sightings import Rows, Sighting


@dataclass(frozen=True, eq=False)
class Passage:
    """One direction of a flow in one capture; None where the capture does not say."""

    sighting: Sighting
    direction: str
    rows: Rows
    ttl: int | None
    src_mac: int | None
    dst_mac: int | None
    scope: tuple[str | None, str] | None  # host and netns, None where the namespace is not known

    @property
    def start_ns(self) -> float:
        """When the capture began to see the flow, the last resort of ordering."""
        return float(self.sighting.time_ns[0]) if self.sighting.has_sequence else 0.0


def passage(batch: ObservationBatch, sighting: Sighting, direction: str) -> Passage:
    """Return a direction of a flow in a capture with the values most of its packets have."""
    rows = sighting.requests if direction == "request" else sighting.replies
    packets = batch.packets[rows]
    point = batch.points[sighting.point]
    return Passage(
        sighting, direction, rows,
        _usual(packets["ttl"], -1), _usual(packets["src_mac"], NULL_U64),
        _usual(packets["dst_mac"], NULL_U64),
        (point.host, point.netns) if point.netns else None,
    )  # fmt: skip


def _usual(values: Any, null: int) -> int | None:
    known = values[values != null]
    if not len(known):
        return None
    found, counts = np.unique(known, return_counts=True)
    return int(found[np.argmax(counts)])


def own_macs(batch: ObservationBatch) -> dict[int, int]:
    """Return the MAC each point's device owns: what its point says, or the one MAC in all frames.

    A device on the way of others (a tap, a bridge) has none; nor has one whose frames always have
    the same two ends.
    """
    macs: dict[int, int] = {}
    for code, point in enumerate(batch.points):
        if point.mac is not None:
            macs[code] = point.mac
            continue
        here = batch.packets["point"] == code
        ends = np.stack([batch.packets["src_mac"][here], batch.packets["dst_mac"][here]], axis=1)
        pairs = {
            frozenset((int(a), int(b)))
            for a, b in np.unique(ends, axis=0)
            if a != NULL_U64 and not int(b) >> 40 & 1
        }
        common = reduce(frozenset.intersection, pairs) if len(pairs) > 1 else frozenset()
        if len(common) == 1:
            macs[code] = next(iter(common))
    return macs


def order_passages(passages: Sequence[Passage], macs: dict[int, int]) -> tuple[list[Passage], bool]:
    """Return the passages in travel order, and whether evidence decided every place.

    A passage without a TTL goes by time of capture, at the end, and is not decided.
    """
    levels: dict[int | None, list[Passage]] = {}
    for each in passages:
        levels.setdefault(each.ttl, []).append(each)
    known = sorted((ttl for ttl in levels if ttl is not None), reverse=True)
    ordered: list[Passage] = []
    is_decided = None not in levels or len(passages) == 1
    for place, ttl in enumerate(known):
        before = {p.scope for p in levels[known[place - 1]]} if place else set()
        after = {p.scope for p in levels[known[place + 1]]} if place + 1 < len(known) else set()
        part, sure = _segment(levels[ttl], before - {None}, after - {None}, macs)
        ordered += part
        is_decided = is_decided and sure
    return ordered + sorted(levels.get(None, []), key=lambda p: p.start_ns), is_decided


def _segment(
    passages: list[Passage], before: set[Any], after: set[Any], macs: dict[int, int]
) -> tuple[list[Passage], bool]:
    def rank(each: Passage) -> int:
        own = macs.get(each.sighting.point)
        left = each.scope in before
        enters = each.scope in after
        by_scope = (-2 if left else 0) + (2 if enters else 0)
        by_mac = 0 if own is None else (-1 if own == each.src_mac else own == each.dst_mac)
        return by_scope + int(by_mac)

    ranks = [rank(each) for each in passages]
    ordered = sorted(passages, key=lambda p: (rank(p), p.start_ns))
    return ordered, len(set(ranks)) == len(ranks)


def cause_between(before: Passage, after: Passage) -> Cause:
    """Return why the later passage differs: a translation by its addresses, else routing by TTL."""
    one, other = before.sighting.key, after.sighting.key
    is_reply = after.direction == "reply"
    if (one.client, one.client_port) != (other.client, other.client_port):
        return Cause.UN_SNAT if is_reply else Cause.SNAT
    if (one.server, one.server_port) != (other.server, other.server_port):
        return Cause.UN_DNAT if is_reply else Cause.DNAT
    if before.ttl is None or after.ttl is None:
        return Cause.NONE
    return Cause.FORWARDED if after.ttl < before.ttl else Cause.BRIDGED
