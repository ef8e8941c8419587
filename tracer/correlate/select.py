"""Which journeys a FILTER keeps: it may match on either side of NAT, and keeps both directions."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import encode_network
from tracer.core.batch import ObservationBatch
from tracer.core.exchanges import exchange_roots
from tracer.core.filter import PROTOCOLS, FlowFilter
from tracer.core.journeys import JourneySet

_Mask = NDArray[np.bool_]
_ETHERTYPE_ARP = 0x0806
# What an address of the filter is compared with: the packet's own, and those that ARP speaks of.
_SOURCES, _DESTINATIONS = ("src", "arp_sender_ip"), ("dst", "arp_target_ip")


def select(journey_set: JourneySet, conditions: FlowFilter) -> NDArray[np.int64]:
    """Return the indices of the journeys kept, ascending, shape (n,).

    A hop matches when all conditions hold there. Kept are the flows with a matching hop, in both
    directions, and the exchanges that hold one of their journeys.
    """
    journeys, hops = journey_set.journeys, journey_set.hops
    matching = matches(journey_set.observations, conditions)[hops["row"]]
    kept = np.zeros(len(journeys), bool)
    kept[hops["journey"][matching]] = True
    flow = journeys["flow"]
    of_flow = np.zeros(len(journey_set.flows) + 1, bool)
    of_flow[flow[kept]] = True
    of_flow[-1] = False  # -1: in no flow
    kept |= of_flow[flow]
    roots = exchange_roots(journey_set)
    of_exchange = np.zeros(len(journeys), bool)
    of_exchange[roots[kept]] = True
    return np.flatnonzero(of_exchange[roots])


def matches(batch: ObservationBatch, conditions: FlowFilter) -> _Mask:
    """Return which observations all conditions hold at, shape (rows,)."""
    packets = batch.packets
    found = np.ones(len(batch), bool)
    if conditions.icmp_id is not None:
        found &= packets["icmp_id"] == conditions.icmp_id
    if conditions.proto is not None:
        is_arp = conditions.proto == PROTOCOLS["arp"]
        found &= (
            packets["ethertype"] == _ETHERTYPE_ARP
            if is_arp
            else packets["proto"] == conditions.proto
        )
    for nets, names in (
        (conditions.host, _SOURCES + _DESTINATIONS),
        (conditions.src, _SOURCES),
        (conditions.dst, _DESTINATIONS),
    ):
        if nets:
            found &= _any(_in_network(batch, name, net) for name in names for net in nets)
    for ports, sides in (
        (conditions.port, ("sport", "dport")),
        (conditions.sport, ("sport",)),
        (conditions.dport, ("dport",)),
    ):
        if ports:
            found &= _any(np.isin(packets[side], ports) for side in sides)
    return found


def _any(masks: Iterable[_Mask]) -> _Mask:
    total: Any = False
    for mask in masks:
        total = total | mask
    result: _Mask = total
    return result


def _in_network(batch: ObservationBatch, name: str, net: str) -> _Mask:
    (hi, lo), (mask_hi, mask_lo) = (
        (np.uint64(high), np.uint64(low)) for high, low in encode_network(net)
    )
    high, low = batch.column(f"{name}_hi"), batch.column(f"{name}_lo")
    inside: _Mask = ((high & mask_hi) == hi) & ((low & mask_lo) == lo)
    null = (high == ~np.uint64(0)) & (low == ~np.uint64(0))
    result: _Mask = inside & ~null
    return result
