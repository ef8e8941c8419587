"""Raw events of an engine → an observation batch, by columns.

What becomes an observation: a packet at a device (received, sent), at a NAT hook, in the OVS
datapath, and where the kernel dropped it. A routing decision is no place: it is written onto the
observation it was made for.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Decode
from tracer.core.point import Direction, Point
from tracer.core.schema import PACKET_DTYPE, SECTION_DTYPES, StructuredArray, null_record
from tracer.sources.live.drop_reasons import drop_reason_name
from tracer.sources.live.event_layout import Aux, Flag, Hook, NatHook

EventArray = NDArray[Any]

#: Hooks of which each event is an observation; an INGRESS hook sees what enters a device.
INGRESS = (Hook.RECEIVE, Hook.OVS_RECEIVE, Hook.VLAN_RECEIVE)
EGRESS = (Hook.XMIT, Hook.QUEUE, Hook.OVS_SEND)
HOOK_NAMES = {
    Hook.OVS_RECEIVE: "ovs-receive",
    Hook.OVS_PROCESS: "ovs-process",
    Hook.OVS_UPCALL: "ovs-upcall",
    Hook.OVS_SEND: "ovs-send",
    Hook.KFREE: "drop",
}
#: A route is looked up for a packet within this long of its being seen (ns).
ROUTE_WINDOW_NS = 1_000_000


class Namer(Protocol):
    """Names of namespaces and devices on this host (`namespaces.Names`)."""

    def netns(self, inum: int) -> str | None:
        """Return how a namespace is called, None for the host's own."""

    def device(self, inum: int, ifindex: int) -> str | None:
        """Return the name of a device in a namespace, None when it is not known."""


#: column ← (event field, flag that says the field is filled)
_COPIED: dict[str, tuple[str, Flag | None]] = {
    "src_mac": ("src_mac", Flag.ETH),
    "dst_mac": ("dst_mac", Flag.ETH),
    "vlan": ("vlan", Flag.VLAN),
    "vlan_inner": ("vlan_inner", Flag.VLAN_INNER),
    "ttl": ("ttl", Flag.IP),
    "tos": ("tos", Flag.IP),
    "proto": ("proto", Flag.IP),
    "ip_len": ("ip_len", Flag.IP),
    "ip_version": ("ip_version", Flag.IP),
    "ip_id": ("ip_id", Flag.IP_ID),
    "payload_len": ("payload_len", Flag.L4),
    "icmp_id": ("icmp_id", Flag.ECHO),
    "icmp_seq": ("icmp_seq", Flag.ECHO),
    "tcp_seq": ("tcp_seq", Flag.TCP),
    "tcp_ack": ("tcp_ack", Flag.TCP),
    "tcp_flags": ("tcp_flags", Flag.TCP),
    "tcp_window": ("tcp_window", Flag.TCP),
    "tcp_tsval": ("tcp_tsval", Flag.TCP_TS),
    "tcp_tsecr": ("tcp_tsecr", Flag.TCP_TS),
    "wire_len": ("wire_len", None),
    "ethertype": ("ethertype", None),
}
_TUNNEL = (
    "outer_src_hi", "outer_src_lo", "outer_dst_hi", "outer_dst_lo",
    "outer_sport", "outer_dport", "outer_ttl", "outer_ip_id", "encap", "tunnels",
)  # fmt: skip
_CONNTRACK = tuple(
    f"ct_{side}_{part}"
    for side in ("original", "reply")
    for part in ("src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport")
)
_QUOTED = (
    "inner_src_hi", "inner_src_lo", "inner_dst_hi", "inner_dst_lo", "inner_ip_id",
    "inner_proto", "inner_ttl",
)  # fmt: skip
_PORTS = (6, 17, 132)
_ICMP = (1, 58)


def to_batch(
    events: EventArray,
    epoch_ns: NDArray[np.int64],
    names: Namer,
    *,
    host: str | None = None,
    engine: str = "live",
    first_frame: int = 1,
    reason_name: Callable[[int], str] = drop_reason_name,
) -> ObservationBatch:
    """Return the observations among `events`, in order of time.

    `epoch_ns` has shape (events,): the same instants as `events["time_ns"]`, UTC. `reason_name`
    names the kernel's reasons (without prefix) for freeing a packet; not each one means a drop.
    """
    order = np.argsort(epoch_ns, kind="stable")
    events, epoch_ns = events[order], epoch_ns[order]
    kept = _is_observation(events, reason_name)
    seen = events[kept]
    packets = np.repeat(null_record(PACKET_DTYPE), len(seen))
    packets["time_ns"] = epoch_ns[kept]
    packets["frame"] = first_frame + np.flatnonzero(kept)
    packets["capture"] = 0
    _fill_packets(packets, seen)
    codes, points = _points(seen, names, host)
    packets["point"] = codes
    sections = {name: np.empty(0, dtype) for name, dtype in SECTION_DTYPES.items()}
    sections["kernel"] = _kernel(seen)
    _note_routes(sections["kernel"], packets, events, epoch_ns, kept)
    sections["tunnel"] = _tunnel(seen)
    sections["arp"] = _arp(seen)
    sections["quoted"] = _quoted(seen)
    reasons = np.unique(sections["kernel"]["drop_reason"]).tolist()
    labels = {"drop_reason": {number: reason_name(number) for number in reasons if number >= 0}}
    return ObservationBatch(packets, sections, points, (f"live:{engine}",), labels)


def _is_observation(events: EventArray, name: Callable[[int], str]) -> NDArray[np.bool_]:
    hook = events["hook"]
    kept = ~np.isin(hook, (Hook.CONSUME, Hook.ROUTE, Hook.OVS_PROCESS))
    freed = hook == Hook.KFREE
    kept[freed] = _is_drop(events[freed], name)
    observed: NDArray[np.bool_] = kept
    return observed


def _is_drop(events: EventArray, name: Callable[[int], str]) -> NDArray[np.bool_]:
    numbers, codes = np.unique(events["drop_reason"], return_inverse=True)
    words = np.array([name(number) for number in numbers.tolist()] or [""])[codes]
    cloned = _has(events, Flag.CLONED)
    used = np.isin(words, ("SKB_NOT_DROPPED_YET", "SKB_CONSUMED"))
    # icmp_rcv() frees what raw sockets have had a clone of as NO_SOCKET, when no ping socket
    # wanted it: an echo reply that `ping` received ends this way.
    used |= (words == "NO_SOCKET") & np.isin(events["proto"], _ICMP) & cloned
    # Without a reason, a shared buffer's end says nothing: some other holder may go on.
    used |= (words == "NOT_SPECIFIED") & cloned
    dropped: NDArray[np.bool_] = _has(events, Flag.REASON) & ~used
    return dropped


def _has(events: EventArray, flag: Flag) -> NDArray[np.bool_]:
    present: NDArray[np.bool_] = (events["flags"] & int(flag)) != 0
    return present


def _fill_packets(packets: StructuredArray, events: EventArray) -> None:
    for column, (field, flag) in _COPIED.items():
        if flag is None:
            packets[column] = events[field]
        else:
            np.copyto(packets[column], events[field], where=_has(events, flag), casting="unsafe")
    is_ip = _has(events, Flag.IP)
    for half in ("src_hi", "src_lo", "dst_hi", "dst_lo"):
        np.copyto(packets[half], events[half], where=is_ip)
    ports = _has(events, Flag.L4) & np.isin(events["proto"], _PORTS)
    icmp = _has(events, Flag.L4) & np.isin(events["proto"], _ICMP)
    for column, where in (
        ("sport", ports),
        ("dport", ports),
        ("icmp_type", icmp),
        ("icmp_code", icmp),
    ):
        np.copyto(packets[column], events[column], where=where, casting="unsafe")
    _fill_fragments(packets, events, is_ip)
    np.copyto(
        packets["gso_size"], events["gso_size"], where=events["gso_size"] > 0, casting="unsafe"
    )
    v6 = is_ip & (events["ip_version"] == 6)
    np.copyto(packets["flow_label"], events["flow_label"], where=v6, casting="unsafe")
    packets["decode"][_has(events, Flag.TRUNCATED)] = Decode.TRUNCATED


def _fill_fragments(packets: StructuredArray, events: EventArray, is_ip: NDArray[np.bool_]) -> None:
    # RFC 791 3.1: three flag bits, then the offset in units of 8 bytes.
    v4 = is_ip & (events["ip_version"] == 4)
    fragment = v4 | (_has(events, Flag.IP_ID) & (events["ip_version"] == 6))
    frag = events["frag"].astype(np.int64)
    np.copyto(packets["df"], (frag >> 14 & 1).astype(np.int8), where=v4)
    np.copyto(packets["more_fragments"], (frag >> 13 & 1).astype(np.int8), where=fragment)
    np.copyto(packets["frag_offset"], ((frag & 0x1FFF) * 8).astype(np.int32), where=fragment)


def _points(
    events: EventArray, names: Namer, host: str | None
) -> tuple[NDArray[np.int32], tuple[Point, ...]]:
    is_nat = events["hook"] == Hook.NAT
    nat_hook = np.where(is_nat & (events["aux"] == Aux.NAT), events["nat_hook"], 0)
    ifindex = np.where(is_nat, 0, events["ifindex"])
    keys = np.stack([events["netns"], ifindex, events["hook"], nat_hook], axis=1).astype(np.int64)
    unique, codes = np.unique(keys, axis=0, return_inverse=True)
    points = tuple(_point(key.tolist(), names, host) for key in unique)
    return codes.reshape(-1).astype(np.int32), points


def _point(key: list[int], names: Namer, host: str | None) -> Point:
    netns, ifindex, hook, nat_hook = key
    direction = Direction.UNKNOWN
    if hook in INGRESS:
        direction = Direction.INGRESS
    elif hook in EGRESS:
        direction = Direction.EGRESS
    named = HOOK_NAMES.get(Hook(hook))
    if hook == Hook.NAT and nat_hook:
        named = NatHook(nat_hook).name.lower()
    device = names.device(netns, ifindex) if ifindex else None
    return Point(
        host=host,
        netns=names.netns(netns) if netns else None,
        device=device or (f"if{ifindex}" if ifindex else None),
        direction=direction,
        hook=named,
    )


def _section(name: str, rows: NDArray[np.int64]) -> StructuredArray:
    section = np.repeat(null_record(SECTION_DTYPES[name]), len(rows))
    section["row"] = rows
    return section


def _kernel(events: EventArray) -> StructuredArray:
    section = _section("kernel", np.arange(len(events)))
    section["skb"] = events["skb"]
    section["cpu"] = events["cpu"]
    section["mark"] = events["mark"]
    device = _has(events, Flag.DEV)
    np.copyto(section["ifindex"], events["ifindex"], where=device, casting="unsafe")
    tracked = _has(events, Flag.CT)
    for field in (*_CONNTRACK, "ct_status", "ct_zone"):
        np.copyto(section[field], events[field], where=tracked, casting="unsafe")
    dropped = (events["hook"] == Hook.KFREE) & _has(events, Flag.REASON)
    np.copyto(section["drop_reason"], events["drop_reason"], where=dropped, casting="unsafe")
    np.copyto(section["drop_location"], events["location"], where=dropped)
    return section


def _note_routes(
    kernel: StructuredArray,
    packets: StructuredArray,
    events: EventArray,
    epoch_ns: NDArray[np.int64],
    kept: NDArray[np.bool_],
) -> None:
    """Write each routing decision onto the last observation of the same buffer before it."""
    routes = np.flatnonzero((events["hook"] == Hook.ROUTE) & (events["aux"] == Aux.ROUTE))
    if not len(routes) or not kept.any():
        return
    place = np.cumsum(kept) - 1  # observation at or before each event
    skb = events["skb"]
    # Events of one buffer lie next to each other when sorted by (skb, time).
    order = np.lexsort((np.arange(len(events)), skb))
    where = np.empty(len(events), np.int64)
    where[order] = np.arange(len(events))
    last = np.where(kept[order], np.arange(len(events)), -1)
    last = np.maximum.accumulate(last)[where[routes]]
    previous = order[np.maximum(last, 0)]
    near = epoch_ns[routes] - epoch_ns[previous] <= ROUTE_WINDOW_NS
    good = (last >= 0) & (skb[previous] == skb[routes]) & (skb[routes] != 0) & near
    rows, found = place[previous[good]], events[routes[good]]
    kernel["route_table"][rows] = found["route_table"]
    kernel["route_error"][rows] = found["route_error"]
    kernel["route_oif"][rows] = np.where(found["route_oif"] > 0, found["route_oif"], -1)
    via = (found["route_gateway_hi"] != 0) | (found["route_gateway_lo"] != 0)
    kernel["route_gateway_hi"][rows[via]] = found["route_gateway_hi"][via]
    kernel["route_gateway_lo"][rows[via]] = found["route_gateway_lo"][via]


def _tunnel(events: EventArray) -> StructuredArray:
    rows = np.flatnonzero(_has(events, Flag.TUNNEL))
    section, found = _section("tunnel", rows), events[rows]
    for field in _TUNNEL:
        section[field] = found[field]
    has_vni = _has(found, Flag.GRE_KEY) | np.isin(found["encap"], (1, 2))
    np.copyto(section["vni"], found["vni"], where=has_vni, casting="unsafe")
    for field, flag in (
        ("outer_src_mac", Flag.OUTER_ETH),
        ("outer_dst_mac", Flag.OUTER_ETH),
        ("outer_vlan", Flag.OUTER_VLAN),
    ):
        np.copyto(section[field], found[field], where=_has(found, flag), casting="unsafe")
    return section


def _arp(events: EventArray) -> StructuredArray:
    rows = np.flatnonzero(events["aux"] == Aux.ARP)
    section, found = _section("arp", rows), events[rows]
    for field in ("arp_sender_mac", "arp_target_mac", "arp_op"):
        section[field] = found[field]
    for half in ("hi", "lo"):
        section[f"arp_sender_ip_{half}"] = found[f"src_{half}"]
        section[f"arp_target_ip_{half}"] = found[f"dst_{half}"]
    return section


def _quoted(events: EventArray) -> StructuredArray:
    rows = np.flatnonzero(events["aux"] == Aux.QUOTED)
    section, found = _section("quoted", rows), events[rows]
    for field in _QUOTED:
        section[field] = found[field]
    ports, icmp = np.isin(found["inner_proto"], _PORTS), np.isin(found["inner_proto"], _ICMP)
    for field, where in (
        ("inner_sport", ports),
        ("inner_dport", ports),
        ("inner_tcp_seq", found["inner_proto"] == 6),
        ("inner_icmp_id", icmp),
        ("inner_icmp_seq", icmp),
    ):
        np.copyto(section[field], found[field], where=where, casting="unsafe")
    return section
