"""Which way a journey goes along its flow: as the request, or back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Kind
from tracer.core.journeys import JourneySet
from tracer.core.protocols import ADVERTISEMENT
from tracer.core.rows import Rows

REQUEST, REPLY = 0, 1


def ways_of(journey_set: JourneySet) -> NDArray[np.int8]:
    """Return REQUEST, REPLY or -1 (in no flow, or neither, as an ICMP error) of each journey.

    A request comes from one of the flow's sources (before or after NAT) and goes to one of its
    destinations; a reply is the reverse. The first hop tells, else the last one.
    """
    journeys = journey_set.journeys
    way = np.full(len(journeys), -1, np.int8)
    known = (journeys["flow"] >= 0) & (journeys["flow"] < len(journey_set.flows))
    at = np.flatnonzero(known & (journeys["n_hops"] > 0))
    flows = journey_set.flows[journeys["flow"][at]]
    first = journeys["first_hop"][at].astype(np.int64)
    packets, there, back = _ways_at(journey_set, first, flows)
    # Between two translations a flow has addresses that are neither of its ends.
    between = np.flatnonzero(~there & ~back)
    last = (first + journeys["n_hops"][at] - 1)[between]
    _, there[between], back[between] = _ways_at(journey_set, last, flows[between])
    replies = np.isin(journeys["kind"][at], (Kind.ECHO_REPLY, Kind.ARP_REPLY))
    # Of who was asked for by a solicitation, the flow shows the group that it went to.
    back |= (packets["icmp_type"] == ADVERTISEMENT) & (packets["ip_version"] == 6) & ~there
    way[at] = np.select([there & ~(back & replies), back], [REQUEST, REPLY], -1)
    return way


def _ways_at(
    journey_set: JourneySet, hops: Rows, flows: Any
) -> tuple[Any, NDArray[np.bool_], NDArray[np.bool_]]:
    # The packets of hops, and whether each goes the one way of its flow, and the other.
    packets = journey_set.observations.packets[journey_set.hops["row"][hops]]
    there = _is_end(packets, "src", flows, "src") & _is_end(packets, "dst", flows, "dst")
    back = _is_end(packets, "src", flows, "dst") & _is_end(packets, "dst", flows, "src")
    return packets, there, back


def _is_end(packets: Any, mine: str, flows: Any, end: str) -> NDArray[np.bool_]:
    # Before NAT or after it, with its port.
    return _equals(packets, mine, flows, end) | _equals(packets, mine, flows, f"nat_{end}")


def _equals(packets: Any, mine: str, flows: Any, end: str) -> NDArray[np.bool_]:
    port, flow_port = (f"{name[:-3]}{name[-3]}port" for name in (mine, end))
    equal: NDArray[np.bool_] = packets[f"{mine}_hi"] == flows[f"{end}_hi"]
    equal &= packets[f"{mine}_lo"] == flows[f"{end}_lo"]
    equal &= packets[port] == flows[flow_port]
    return equal
