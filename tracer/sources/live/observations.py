"""Raw events of an engine → an observation batch, by columns.

What becomes an observation: a packet at a device (received, sent), at a NAT hook, in the OVS
datapath, and where the kernel dropped it. A routing decision is no place: it is written onto the
observation it was made for.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.point import Direction, Point
from tracer.core.schema import PACKET_DTYPE, SECTION_DTYPES, StructuredArray, null_record
from tracer.sources.live import columns
from tracer.sources.live.drop_reasons import drop_reason_name
from tracer.sources.live.event_layout import EVENT_DTYPE, EVENT_SIZE, Aux, Flag, Hook, NatHook
from tracer.sources.live.reader import together
from tracer.sources.live.reuse import Reuse
from tracer.sources.live.untranslated import BEFORE

EventArray = NDArray[Any]

#: Hooks of which each event is an observation; an INGRESS hook sees what enters a device.
INGRESS = (Hook.RECEIVE, Hook.OVS_RECEIVE, Hook.UPPER_RECEIVE)
EGRESS = (Hook.XMIT, Hook.QUEUE, Hook.OVS_SEND)
HOOK_NAMES = {
    Hook.OVS_RECEIVE: "ovs-receive",
    Hook.OVS_PROCESS: "ovs-process",
    Hook.OVS_UPCALL: "ovs-upcall",
    Hook.OVS_SEND: "ovs-send",
    Hook.KFREE: "drop",
}
_IS_SEEN = np.ones(256, np.bool_)
_IS_SEEN[[Hook.CONSUME, Hook.ROUTE, Hook.OVS_PROCESS]] = False
#: A route is looked up for a packet within this long of its being seen (ns), where the CPU is not
#: given to others meanwhile; less than `session.HOLD_NS`.
ROUTE_WINDOW_NS = 4_000_000


class Namer(Protocol):
    """Names of namespaces on this host (`session.NetnsNames`)."""

    def netns(self, inum: int, time_ns: int) -> str | None:
        """Return how a namespace was called at a time (UTC), None for the host's own."""

    def turns(self, inums: Sequence[int], first_ns: int, last_ns: int) -> list[int]:
        """Return when numbers of namespaces went to others between two times, in order."""


_TUNNEL = (
    "outer_src_hi", "outer_src_lo", "outer_dst_hi", "outer_dst_lo",
    "outer_sport", "outer_dport", "outer_ttl", "outer_ip_id", "encap", "tunnels",
)  # fmt: skip
_QUOTED = (
    "inner_src_hi", "inner_src_lo", "inner_dst_hi", "inner_dst_lo", "inner_proto", "inner_ttl",
)  # fmt: skip
_PORTS = (6, 17, 132)
_ICMP = (1, 58)
#: Of IPv6, where the quote ends in one: what follows it is not known.
_EXTENSIONS = (0, 43, 44, 51, 60)


def to_batch(
    events: EventArray,
    epoch_ns: NDArray[np.int64],
    names: Namer,
    *,
    host: str | None = None,
    engine: str = "live",
    first_frame: int = 1,
    reason_name: Callable[[int], str] = drop_reason_name,
    reuse: Reuse | None = None,
    routes: EventArray | None = None,
) -> ObservationBatch:
    """Return the observations among `events`, in order of time.

    `epoch_ns` has shape (events,): the same instants as `events["time_ns"]`, UTC. `reason_name`
    names the kernel's reasons (without prefix) for freeing a packet; not each one means a drop.
    `reuse`: what former batches say of buffers; none where there were none. `routes`: routing
    decisions just before and after `events`, which are not among them.
    """
    events = plain_events(events)
    around = events if routes is None else together([events, plain_events(routes)])
    order = np.argsort(epoch_ns, kind="stable")
    place = np.flatnonzero(_is_observation(events, reason_name, around)[order])
    kept = order[place]
    packets = np.repeat(null_record(PACKET_DTYPE), len(kept))
    packets["time_ns"], packets["capture"] = epoch_ns[kept], 0
    packets["frame"] = first_frame + place
    columns.fill_packets(events, kept, packets)
    points = _points(events, kept, packets, names, host)
    sections = {name: np.empty(0, dtype) for name, dtype in SECTION_DTYPES.items()}
    sections["kernel"] = np.repeat(null_record(SECTION_DTYPES["kernel"]), len(kept))
    columns.fill_kernel(events, kept, sections["kernel"])
    (reuse or Reuse()).tell_apart(events, order, kept, sections["kernel"]["skb_use"])
    further = np.arange(len(events), len(around))
    columns.note_routes(
        around, np.concatenate([order, further]), kept, sections["kernel"], ROUTE_WINDOW_NS
    )
    aux = events["aux"][kept]
    for name, fill, rows in (
        ("tunnel", _tunnel, np.flatnonzero(events["flags"][kept] & int(Flag.TUNNEL))),
        ("arp", _arp, np.flatnonzero(aux == Aux.ARP)),
        ("quoted", _quoted, np.flatnonzero(aux == Aux.QUOTED)),
    ):
        if len(rows):
            sections[name] = fill(rows, events[kept[rows]])
    reasons = sections["kernel"]["drop_reason"]
    numbers = np.unique(reasons[reasons >= 0]).tolist()
    labels = {"drop_reason": {number: reason_name(number) for number in numbers}}
    return ObservationBatch(packets, sections, points, (f"live:{engine}",), labels)


def routes_between(events: EventArray, first_ns: int, last_ns: int) -> EventArray:
    """Return the routing decisions among events from one time to another (CLOCK_MONOTONIC)."""
    times = events["time_ns"].astype(np.int64)
    found: EventArray = events[
        (events["hook"] == Hook.ROUTE) & (times >= first_ns) & (times <= last_ns)
    ]
    return found


def _is_observation(
    events: EventArray, name: Callable[[int], str], around: EventArray
) -> NDArray[np.bool_]:
    hook = events["hook"]
    observed: NDArray[np.bool_] = _IS_SEEN[hook]
    freed = np.flatnonzero(hook == Hook.KFREE)
    if len(freed):
        ended = events.take(freed)
        observed[freed] = _is_drop(ended, name, _had_no_route(around, ended))
    return observed


def _had_no_route(events: EventArray, freed: EventArray) -> NDArray[np.bool_]:
    # Whether all lookups for a buffer failed since it came in, before it was freed; those for an
    # ICMP error about it, which the host itself sends, are others, and so are those of routers
    # before, and for the packet that carried it.
    asked = events[(events["hook"] == Hook.ROUTE) & (events["aux"] == Aux.ROUTE)]
    asked = asked[asked["route_iif"] != 1]
    failed = asked["skb"][asked["route_error"] < -1]
    refused: NDArray[np.bool_] = np.isin(freed["skb"], failed) & (freed["skb"] != 0)
    came = events[np.isin(events["hook"], INGRESS) & np.isin(events["skb"], freed["skb"][refused])]
    for place in np.flatnonzero(refused).tolist():
        skb, until_ns = freed["skb"][place], freed["time_ns"][place]
        before = came["time_ns"][(came["skb"] == skb) & (came["time_ns"] <= until_ns)]
        since_ns = before.max() if len(before) else max(int(until_ns) - ROUTE_WINDOW_NS, 0)
        mine = (asked["skb"] == skb) & (asked["netns"] == freed["netns"][place])
        mine &= (asked["time_ns"] >= since_ns) & (asked["time_ns"] <= until_ns)
        refused[place] = mine.any() and not (asked["route_error"][mine] == 0).any()
    return refused


def _is_drop(
    events: EventArray, name: Callable[[int], str], had_no_route: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    numbers, codes = np.unique(events["drop_reason"], return_inverse=True)
    words = [name(number) for number in numbers.tolist()]

    def says(*some: str) -> NDArray[np.bool_]:
        return np.array([word in some for word in words], np.bool_)[codes]

    cloned = _has(events, Flag.CLONED)
    has_device = _has(events, Flag.DEV) & ~_has(events, Flag.CAME_BY)
    used = says("SKB_NOT_DROPPED_YET", "SKB_CONSUMED")
    # icmp_rcv() frees what raw sockets have had a clone of as NO_SOCKET, when no ping socket
    # wanted it: an echo reply that `ping` received ends this way.
    used |= says("NO_SOCKET") & np.isin(events["proto"], _ICMP) & cloned
    # What a socket had been given and nobody had read when it was closed.
    used |= says("QUEUE_PURGE") & ~has_device
    # What a socket keeps of an ICMP error until it is asked for is a clone, with its device.
    used |= says("QUEUE_PURGE") & (events["aux"] == Aux.QUOTED) & cloned
    # Without a reason, a shared buffer's end says nothing: some other holder may go on. But not
    # where there was no route for it.
    used |= says("NOT_SPECIFIED") & cloned & ~had_no_route
    # A fragment that waited for the others has no device any more; it ends with the datagram that
    # it was put into.
    used |= says("NOT_SPECIFIED") & _has(events, Flag.FRAGMENT) & ~has_device
    dropped: NDArray[np.bool_] = _has(events, Flag.REASON) & ~used
    return dropped


def _has(events: EventArray, flag: Flag) -> NDArray[np.bool_]:
    present: NDArray[np.bool_] = (events["flags"] & int(flag)) != 0
    return present


def plain_events(events: EventArray) -> EventArray:
    """Return events without the bytes behind each, whose length would be another type each."""
    if events.dtype.itemsize == EVENT_SIZE:
        return events
    raw = np.ascontiguousarray(events).view(np.uint8).reshape(-1, events.dtype.itemsize)
    plain: EventArray = np.ascontiguousarray(raw[:, :EVENT_SIZE]).reshape(-1).view(EVENT_DTYPE)
    return plain


def _points(
    events: EventArray,
    kept: NDArray[np.int64],
    packets: StructuredArray,
    names: Namer,
    host: str | None,
) -> tuple[Point, ...]:
    # Writes the point of each packet, too. Names hold between the times at which numbers of
    # namespaces went to others.
    times, codes = packets["time_ns"], packets["point"]
    inums = [inum for inum in np.unique(events["netns"][kept]).tolist() if inum]
    turns = (
        names.turns(inums, int(times[0]), int(times[-1])) if len(kept) else names.turns((), 0, 0)
    )
    places: dict[Point, int] = {}
    for start, end in pairwise((0, *np.searchsorted(times, turns).tolist(), len(kept))):
        examples = columns.point_codes(events, kept[start:end], codes[start:end])
        found = (_point(events[i], int(times[start]), names, host) for i in examples)
        numbers = np.array([places.setdefault(p, len(places)) for p in found], np.int64)
        codes[start:end] = numbers[codes[start:end]]
    return tuple(places)


def _point(event: Any, time_ns: int, names: Namer, host: str | None) -> Point:
    hook, netns = Hook(int(event["hook"])), int(event["netns"])
    ifindex = 0 if hook == Hook.NAT else int(event["ifindex"])
    direction = Direction.UNKNOWN
    if hook in INGRESS:
        direction = Direction.INGRESS
    elif hook in EGRESS:
        direction = Direction.EGRESS
    named = HOOK_NAMES.get(hook)
    if hook == Hook.NAT and event["nat_hook"]:
        named = _nat_hook_name(int(event["nat_hook"]))
    return Point(
        host=host,
        netns=names.netns(netns, time_ns) if netns else None,
        device=device_name(event) if ifindex else None,
        direction=direction,
        hook=named,
    )


def device_name(event: Any) -> str:
    """Return the name that the device of an event had then; the event has `Flag.DEV`."""
    words = np.array([event["dev_name_head"], event["dev_name_tail"]], np.uint64)
    name = words.tobytes().split(b"\0")[0]
    return name.decode("utf-8", "surrogateescape") or f"if{event['ifindex']}"


def _nat_hook_name(number: int) -> str:
    name = NatHook(number & BEFORE - 1).name.lower()
    return f"{name}-before-nat" if number & BEFORE else name


def _section(name: str, rows: NDArray[np.int64]) -> StructuredArray:
    section = np.repeat(null_record(SECTION_DTYPES[name]), len(rows))
    section["row"] = rows
    return section


def _tunnel(rows: NDArray[np.int64], found: EventArray) -> StructuredArray:
    section = _section("tunnel", rows)
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


def _arp(rows: NDArray[np.int64], found: EventArray) -> StructuredArray:
    section = _section("arp", rows)
    for field in ("arp_sender_mac", "arp_target_mac", "arp_op"):
        section[field] = found[field]
    for half in ("hi", "lo"):
        section[f"arp_sender_ip_{half}"] = found[f"src_{half}"]
        section[f"arp_target_ip_{half}"] = found[f"dst_{half}"]
    return section


def _quoted(rows: NDArray[np.int64], found: EventArray) -> StructuredArray:
    section = _section("quoted", rows)
    for field in _QUOTED:
        section[field] = found[field]
    told = found["flags"] & int(Flag.INNER_L4) > 0
    ports = told & np.isin(found["inner_proto"], _PORTS)
    icmp = told & np.isin(found["inner_proto"], _ICMP)
    for field, source, where in (
        ("inner_sport", "inner_sport", ports),
        ("inner_dport", "inner_dport", ports),
        ("inner_tcp_seq", "inner_tcp_seq", told & (found["inner_proto"] == 6)),
        ("inner_icmp_id", "inner_sport", icmp),
        ("inner_icmp_seq", "inner_dport", icmp),
        ("inner_ip_id", "inner_ip_id", found["flags"] & int(Flag.INNER_IP_ID) > 0),
    ):
        np.copyto(section[field], found[source], where=where, casting="unsafe")
    cut = (found["ip_version"] == 6) & np.isin(found["inner_proto"], _EXTENSIONS)
    section["inner_proto"][cut] = -1
    return section
