"""Outcomes where the kernel itself was watched: what it decided, and that nothing more came."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.batch import ObservationBatch
from tracer.core.enums import Kind, Outcome
from tracer.core.mixing import mixed
from tracer.core.point import Direction
from tracer.core.schema import StructuredArray
from tracer.correlate.flows.questions import want_answers
from tracer.correlate.flows.refusals import FILTERED
from tracer.correlate.hashing import Codes, Keys, factorise
from tracer.correlate.order.kept_flows import KeptFlows
from tracer.correlate.outcomes.paths import Paths, hops_of
from tracer.correlate.packets.buffers import buffers
from tracer.correlate.packets.identity import Identity, answering
from tracer.correlate.packets.places import hashes_of_names

Mask = NDArray[np.bool_]
#: How long a packet on its way out waits for the address of the next hop: three questions a second
#: apart (`mcast_solicit`, `retrans_time_ms` of neigh(7)), and a margin.
NEIGHBOUR_NS = 3_500_000_000
_LEAVING = ("output", "postrouting")
_SENDING = ("output-before-nat", "postrouting-before-nat")
_LOOPBACK, _LOCAL_TABLE = 1, 255  # LOOPBACK_IFINDEX, RT_TABLE_LOCAL
#: What captures say of a packet that is not seen any more.
_OPEN = (Outcome.UNFINISHED, Outcome.LOST_BY_TRACER, Outcome.VANISHED, Outcome.NOT_OBSERVABLE)


@dataclass(frozen=True, slots=True)
class Watch:
    """Until when was watched (UTC ns; None: until the last packet), and what silence is enough."""

    end_ns: int | None
    settle_ns: int


def are_watched(batch: ObservationBatch) -> Mask:
    """Return which observations are of a watched kernel, which names buffers, shape (rows,)."""
    kernel = batch.sections["kernel"]
    found = np.zeros(len(batch), np.bool_)
    found[kernel["row"][kernel["skb"] != 0]] = True
    return found


def kept_here(batch: ObservationBatch) -> Mask:
    """Return at which observations the kernel decided to keep the packet itself, shape (rows,).

    The route of a local address leads to the loopback device (`ip_route_input_slow`, RTN_LOCAL),
    that of a broadcast to the device that the packet came by, without a gateway. Where a tunnel
    ends, what it carries goes on.
    """
    kernel = batch.sections["kernel"]
    back = (kernel["route_oif"] == kernel["ifindex"]) & (kernel["ifindex"] > 0)
    back &= kernel["route_gateway_lo"] == np.uint64(NULL_U64)
    here = (kernel["route_error"] == 0) & (back | (kernel["route_oif"] == _LOOPBACK))
    here &= _is_entering(batch, kernel)
    found = np.zeros(len(batch), np.bool_)
    found[kernel["row"][here]] = True
    found[batch.rows_with("tunnel")] = False
    return found


def are_looped(batch: ObservationBatch) -> Mask:
    """Return at which observations a packet comes in by the loopback device, shape (rows,).

    It has its route since it was sent: to an address of this host, for nothing else leads there.
    Where a tunnel ends, what it carries goes on.
    """
    kernel = batch.sections["kernel"]
    found = np.zeros(len(batch), np.bool_)
    found[kernel["row"][(kernel["ifindex"] == _LOOPBACK) & _is_entering(batch, kernel)]] = True
    found[batch.rows_with("tunnel")] = False
    return found


def are_drops(batch: ObservationBatch) -> Mask:
    """Return at which observations the kernel freed the packet with a reason, shape (rows,)."""
    kernel = batch.sections["kernel"]
    found = np.zeros(len(batch), np.bool_)
    found[kernel["row"][kernel["drop_reason"] > 0]] = True
    return found


def is_leaving(batch: ObservationBatch) -> Mask:
    """Return at which observations a packet is on its way out of its namespace, shape (rows,).

    Such a place is no end, for a device follows: a hook on the way out, and where it came in if the
    kernel found a route that leads out by another device.
    """
    hooks = np.array([*(point.hook in _LEAVING for point in batch.points), False])
    found: Mask = hooks[batch.packets["point"]]
    kernel = batch.sections["kernel"]
    onward = (kernel["route_error"] == 0) & (kernel["route_table"] != _LOCAL_TABLE)
    onward &= (kernel["route_oif"] > _LOOPBACK) & (kernel["route_oif"] != kernel["ifindex"])
    found[kernel["row"][onward & _is_entering(batch, kernel)]] = True
    return found


def _is_entering(batch: ObservationBatch, kernel: StructuredArray) -> Mask:
    # Before the kernel decides where packets go: where they come in, and where NAT has been then.
    before = (p.direction == Direction.INGRESS or p.hook == "prerouting" for p in batch.points)
    entering = np.array([*before, False])
    found: Mask = entering[batch.packets["point"][kernel["row"]]]
    return found


def settle_outcomes(
    batch: ObservationBatch, identity: Identity, paths: Paths, time: Codes, watch: Watch,
    flows: KeptFlows, journeys: StructuredArray,
) -> None:  # fmt: skip
    """Correct outcome and place in place for the journeys that end where a kernel was watched.

    Watching does not stop with a packet: one that is neither answered nor kept has vanished once
    it was silent long enough, whatever others did. `flows`: as `settle_kept` has them.
    """
    kernel = batch.sections["kernel"]
    if not len(kernel):
        return
    watched = are_watched(batch)
    outcome, last = journeys["outcome"], paths.last
    open_end = np.isin(outcome, (Outcome.UNFINISHED, Outcome.LOST_BY_TRACER, Outcome.VANISHED))
    leaving = is_leaving(batch)[last]
    open_end |= leaving & (outcome == Outcome.DELIVERED) & (paths.reply < 0)
    open_end &= watched[last]
    outcome[open_end] = Outcome.UNFINISHED
    if watch.end_ns is not None:
        patience_ns = np.where(leaving, max(watch.settle_ns, NEIGHBOUR_NS), watch.settle_ns)
        over = open_end & ~paths.alike & (time[last] + patience_ns <= watch.end_ns)
        wanted = want_answers(batch.packets, paths.kind, paths.first) & (paths.reply < 0)
        outcome[over & (wanted | (np.diff(paths.starts) > 1))] = Outcome.VANISHED
    outcome[open_end & are_looped(batch)[last]] = Outcome.DELIVERED
    settle_kept(batch, identity, paths, flows, journeys)


def settle_kept(
    batch: ObservationBatch, identity: Identity, paths: Paths, flows: KeptFlows,
    journeys: StructuredArray,
) -> None:  # fmt: skip
    """Correct outcome and place in place for the journeys that the kernel decided to keep.

    `flows`: of which packets were kept; learns these, and those that a host itself answers.
    """
    if not len(batch.sections["kernel"]):
        return
    outcome, last = journeys["outcome"], paths.last
    # A flooded frame goes on past where it was kept, so the place is not always the last hop.
    kept = np.flatnonzero(kept_here(batch)[paths.hops])
    kept = kept[~_comes_on(batch, paths, kept)]
    rows = paths.hops[kept]
    flows.add(_names(batch, identity.flow[rows], rows))
    flows.add(_names(batch, _destinations(batch, rows), rows)[_are_local(batch)[rows]])
    unrouted = np.flatnonzero(np.isin(outcome, _OPEN) & _may_be_unrouted(batch)[last])
    if len(unrouted):
        rows = _sent_here(batch, paths)
        flows.add(_names(batch, answering(batch.packets, rows), rows))
        rows = last[unrouted]
        is_kept = flows.has(_names(batch, identity.flow[rows], rows))
        # Of packets that come in together for one address, only the first may be routed.
        is_kept |= flows.has(_names(batch, _destinations(batch, rows), rows))
        outcome[unrouted[is_kept]] = Outcome.DELIVERED
    journey = paths.owner(kept)
    outcome[journey] = Outcome.DELIVERED
    journeys["outcome_point"][journey] = batch.packets["point"][paths.hops[kept]]


def _comes_on(batch: ObservationBatch, paths: Paths, kept: Codes) -> Mask:
    # Which buffers come in somewhere else later: ipvlan in mode l3s has the route of the device
    # that it gives a packet to looked up before.
    kernel = batch.sections["kernel"]
    name = np.zeros(len(batch), np.uint64)
    name[kernel["row"]] = buffers(kernel)
    owner, at = hops_of(paths, np.unique(paths.owner(kept)))
    rows = paths.hops[at]
    inward = np.array([*(p.direction == Direction.INGRESS for p in batch.points), False])
    came = inward[batch.packets["point"][rows]] & (name[rows] != 0)
    codes, _ = factorise(mixed(name[rows], owner))
    latest = np.full(int(codes.max(initial=-1)) + 1, -1, np.int64)
    np.maximum.at(latest, codes[came], at[came])
    found: Mask = latest[codes[np.searchsorted(at, kept)]] > kept
    return found


def _sent_here(batch: ObservationBatch, paths: Paths) -> Codes:
    # First hops of what hosts themselves send, but for what they say in the name of others.
    points = batch.points
    begins = [p.direction == Direction.EGRESS or p.hook in _SENDING for p in points]
    first = paths.first[~np.isin(paths.kind, (Kind.TCP_RST, Kind.ICMP_ERROR))]
    watched = are_watched(batch)
    watched[batch.rows_with("tunnel")] = False
    mine = watched[first] & np.array([*begins, False])[batch.packets["point"][first]]
    found: Codes = first[mine]
    return found


def _are_local(batch: ObservationBatch) -> Mask:
    # Where the route is that of an address of the host itself, shape (rows,).
    kernel = batch.sections["kernel"]
    found = np.zeros(len(batch), np.bool_)
    found[kernel["row"][kernel["route_oif"] == _LOOPBACK]] = True
    return found


def _destinations(batch: ObservationBatch, rows: Codes) -> Keys:
    # In the place of a flow, for `_names`.
    packets = batch.packets[rows]
    return mixed(mixed(np.full(len(rows), 11, np.uint64), packets["dst_hi"]), packets["dst_lo"])


def _names(batch: ObservationBatch, flow: Keys, rows: Codes) -> Keys:
    # Of flows at the hosts, or namespaces, where rows were seen.
    spaces = hashes_of_names([(p.host or "", p.netns or "") for p in batch.points])
    return mixed(flow, spaces[batch.packets["point"][rows]])


def _may_be_unrouted(batch: ObservationBatch) -> Mask:
    # Where a packet came in, and has no route since its socket is known, shape (rows,).
    kernel = batch.sections["kernel"]
    found = np.zeros(len(batch), np.bool_)
    unrouted = (kernel["route_oif"] < 0) & (kernel["route_table"] < 0) & (kernel["skb"] != 0)
    found[kernel["row"][unrouted & _is_entering(batch, kernel)]] = True
    found[batch.rows_with("tunnel")] = False
    return found


def kernel_drops(
    batch: ObservationBatch, journey: Codes, journeys: StructuredArray
) -> tuple[Codes, Codes]:
    """Set outcome and place where the kernel freed a packet with a reason, and it did not arrive.

    One that was answered, or kept elsewhere, was dropped in one of its copies only (a flooded
    frame), or refused by the socket's host; but for one that had no copy and that netfilter dropped
    (REJECT of TCP answers for who was asked). `journey`: of each row. Returns (journeys, rows):
    where each was dropped.
    """
    kernel = batch.sections["kernel"]
    freed = kernel[kernel["drop_reason"] > 0]
    freed = freed[journey[freed["row"]] >= 0]
    if not len(freed):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    kept = kernel[kept_here(batch)[kernel["row"]]]
    there = set(zip(journey[kept["row"]].tolist(), buffers(kept).tolist(), strict=True))
    arrived = {number for number, _ in there}
    silent = (journeys["reply"][journey[freed["row"]]] < 0) | _is_filtered(batch, journey, freed)
    lost = [
        number not in arrived or (number, buffer) in there
        for number, buffer in zip(
            journey[freed["row"]].tolist(), buffers(freed).tolist(), strict=True
        )
    ]
    rows: Codes = freed["row"][silent & np.array(lost, np.bool_)]
    journeys["outcome"][journey[rows]] = Outcome.DROPPED
    journeys["outcome_point"][journey[rows]] = batch.packets["point"][rows]
    return journey[rows], rows


def _is_filtered(batch: ObservationBatch, journey: Codes, freed: StructuredArray) -> Mask:
    # Which freed buffers netfilter dropped, all there were of their packets.
    codes = [c for c, name in batch.labels.get("drop_reason", {}).items() if name == FILTERED]
    filtered: Mask = np.isin(freed["drop_reason"], codes)
    if not filtered.any():
        return filtered
    kernel = batch.sections["kernel"]
    numbers = journey[kernel["row"]]
    mine = np.isin(numbers, journey[freed["row"][filtered]]) & (kernel["skb"] != 0)
    pairs = np.unique(np.stack([numbers[mine].astype(np.uint64), buffers(kernel[mine])]), axis=1)
    copies = np.bincount(pairs[0].astype(np.int64), minlength=int(journey.max()) + 1)
    filtered &= copies[journey[freed["row"]]] == 1
    return filtered
