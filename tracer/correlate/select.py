"""A filter applied to journeys: on either side of NAT, whole exchanges kept."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import encode_network
from tracer.core.batch import ObservationBatch
from tracer.core.exchanges import exchange_roots
from tracer.core.filter import FlowFilter
from tracer.core.journeys import JourneySet
from tracer.core.protocols import ARP, ICMP, ICMPV6

Mask = NDArray[np.bool_]
ENDS = ("src", "dst")


def select(journey_set: JourneySet, chosen: FlowFilter) -> NDArray[np.int64]:
    """Return the indices of the journeys of all exchanges with a hop that meets the filter.

    All conditions have to hold at one hop; a hop behind NAT counts as one before it, and an ICMP
    error as the packet it quotes. Kept are the flows with a matching hop, in both directions, and
    the exchanges that hold one of their journeys. Raises ValueError for an address that is none.
    """
    count = len(journey_set.journeys)
    if chosen.is_empty:
        return np.arange(count)
    rows = matches(journey_set.observations, chosen)
    met = np.zeros(count, np.bool_)
    hops = journey_set.hops
    met[hops["journey"][rows[hops["row"]]]] = True
    flow = journey_set.journeys["flow"]
    of_flow = np.zeros(len(journey_set.flows) + 1, np.bool_)
    of_flow[flow[met]] = True
    of_flow[-1] = False  # -1: in no flow
    met |= of_flow[flow]
    roots = exchange_roots(journey_set)
    wanted = np.zeros(count, np.bool_)
    wanted[roots[met]] = True
    return np.flatnonzero(wanted[roots])


def matches(batch: ObservationBatch, chosen: FlowFilter) -> Mask:
    """Return which observations meet every condition, shape (rows,)."""
    found = _meets(batch.packets, chosen, "")
    arp = batch.sections["arp"]
    found[arp["row"]] = _arp_meets(arp, chosen)
    quoted = batch.sections["quoted"]
    found[quoted["row"]] |= _meets(quoted, chosen, "inner_")
    return found


def _meets(records: Any, chosen: FlowFilter, prefix: str) -> Mask:
    found = np.ones(len(records), np.bool_)
    if chosen.icmp_id is not None:
        found &= records[f"{prefix}icmp_id"] == chosen.icmp_id
    if chosen.proto is not None:
        found &= _of_protocol(records, chosen.proto, prefix)
    if chosen.host:
        found &= _in_any(records, f"{prefix}src", chosen.host) | _in_any(
            records, f"{prefix}dst", chosen.host
        )
    for end, networks in zip(ENDS, (chosen.src, chosen.dst), strict=True):
        if networks:
            found &= _in_any(records, f"{prefix}{end}", networks)
    sport, dport = records[f"{prefix}sport"], records[f"{prefix}dport"]
    if chosen.port:
        found &= np.isin(sport, chosen.port) | np.isin(dport, chosen.port)
    if chosen.sport:
        found &= np.isin(sport, chosen.sport)
    if chosen.dport:
        found &= np.isin(dport, chosen.dport)
    return found


def _of_protocol(records: Any, proto: int, prefix: str) -> Mask:
    # Asked for ICMP, one means ICMPv6 of IPv6 as well.
    wanted = [proto, ICMPV6] if proto == ICMP else [proto]
    if proto == ARP:
        return np.zeros(len(records), np.bool_)
    found: Mask = np.isin(records[f"{prefix}proto"], wanted)
    return found


def _arp_meets(arp: Any, chosen: FlowFilter) -> Mask:
    found = np.ones(len(arp), np.bool_)
    transport = (chosen.icmp_id is not None, chosen.port, chosen.sport, chosen.dport)
    if any(transport) or chosen.proto not in (None, ARP):
        return ~found
    sender, target = "arp_sender_ip", "arp_target_ip"
    if chosen.host:
        found &= _in_any(arp, sender, chosen.host) | _in_any(arp, target, chosen.host)
    for name, networks in ((sender, chosen.src), (target, chosen.dst)):
        if networks:
            found &= _in_any(arp, name, networks)
    return found


def _in_any(records: Any, name: str, networks: Iterable[str]) -> Mask:
    hi, lo = records[f"{name}_hi"], records[f"{name}_lo"]
    found = np.zeros(len(records), np.bool_)
    is_v4 = (hi == 0) & (lo >> np.uint64(32) == 0xFFFF)  # stored as mapped into IPv6
    for text in networks:
        (net_hi, net_lo), (mask_hi, mask_lo) = encode_network(text)
        inside = (hi & np.uint64(mask_hi)) == np.uint64(net_hi & mask_hi)
        inside &= (lo & np.uint64(mask_lo)) == np.uint64(net_lo & mask_lo)
        found |= inside & (is_v4 == (net_hi == 0 and net_lo >> 32 == 0xFFFF))
    return found
