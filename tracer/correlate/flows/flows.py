"""Flows: both directions of a five-tuple with its translations, and which way each journey went."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain, jit
from tracer.core.journeys import FLOW_DTYPE
from tracer.core.protocols import ARP, ETHERTYPE_ARP, SOLICITATION
from tracer.core.schema import StructuredArray
from tracer.correlate.flows.known import SeenFlows
from tracer.correlate.hashing import Codes, factorise
from tracer.correlate.nat.opposites import Opposites, Pairs
from tracer.correlate.nat.streams import Streams
from tracer.correlate.packets.fragments import nearest_of_datagram

#: What a flow is named by, each with what it is in an answer.
_OTHER = {
    "src_hi": "dst_hi", "src_lo": "dst_lo", "dst_hi": "src_hi", "dst_lo": "src_lo",
    "sport": "dport", "dport": "sport", "icmp_id": "icmp_id",
}  # fmt: skip
SYN, ACK = 0x02, 0x10
FRAGMENT_NS = 30_000_000_000  # Linux keeps fragments that long (ipfrag_time)
ANSWER_NS = 10_000_000_000  # an answer comes that soon, and clocks are not further apart


@dataclass(slots=True)
class Flows:
    """`flow` (index into `table`) of each journey, `forward` whether it went the original way."""

    flow: Codes
    forward: NDArray[np.bool_]
    table: StructuredArray


@inner_plain
def _find(parent: Codes, parity: Codes, item: int) -> tuple[int, int]:
    flips = 0
    while parent[item] != item:
        flips ^= parity[item]
        item = parent[item]
    return item, flips


@jit
def _oppose(classes: int, left: Codes, right: Codes) -> tuple[Codes, Codes]:
    # Union-find whose edges say "the other direction of the same flow".
    parent = np.arange(classes)
    parity = np.zeros(classes, np.int64)
    for i in range(len(left)):
        a, flips_a = _find(parent, parity, left[i])
        b, flips_b = _find(parent, parity, right[i])
        if a != b:
            parent[max(a, b)] = min(a, b)
            parity[max(a, b)] = flips_a ^ flips_b ^ 1
    root = np.empty(classes, np.int64)
    flip = np.empty(classes, np.int64)
    for c in range(classes):
        root[c], flip[c] = _find(parent, parity, c)
    return root, flip


def _opposite_classes(packets: Any, streams: Streams, opposites: Opposites) -> Pairs:
    classes = streams.flow_class[opposites.rows]
    left, right = opposites.linked
    paired = np.zeros(int(streams.flow_class.max(initial=-1)) + 1, np.bool_)
    paired[classes[left]] = True
    more_left, more_right = opposites.placed
    loose = ~paired[classes[more_left]]
    left = classes[np.concatenate([left, more_left[loose]])]
    right = classes[np.concatenate([right, more_right[loose]])]
    paired[left] = paired[right] = True
    far_left, far_right = _elsewhere(packets, streams, classes, opposites, paired)
    return np.concatenate([left, far_left]), np.concatenate([right, far_right])


def _elsewhere(
    packets: Any, streams: Streams, classes: Codes, opposites: Opposites, paired: NDArray[np.bool_]
) -> Pairs:
    # Pairs of classes that no point sees both of, for answers come back another way. Two tenants
    # may have one tuple, so each tuple has to be of one class alone.
    own, turned = opposites.tuples
    only = np.full(opposites.count, -1, np.int64)
    only[own] = classes
    only[own[only[own] != classes]] = -1
    one, other = only[own], only[turned]
    open_ = (one >= 0) & (other >= 0) & (one != other)
    open_[open_] = ~(paired[one[open_]] | paired[other[open_]])
    if not open_.any():
        return classes[:0], classes[:0]
    one, other = one[open_], other[open_]
    # A tuple that is used again at another time is another flow.
    first = np.full(len(paired), np.iinfo(np.int64).max)
    last = np.full(len(paired), np.iinfo(np.int64).min)
    of_row = streams.flow_class
    rows = np.flatnonzero((of_row >= 0) & np.isin(of_row, one))
    np.minimum.at(first, of_row[rows], packets["time_ns"][rows])
    np.maximum.at(last, of_row[rows], packets["time_ns"][rows])
    near = np.maximum(first[one], first[other]) - np.minimum(last[one], last[other]) < ANSWER_NS
    return one[near], other[near]


def flows_of(
    packets: Any,
    streams: Streams,
    opposites: Opposites,
    firsts: Codes,
    lasts: Codes,
    lengths: Codes,
    seen: SeenFlows | None = None,
) -> Flows:
    """Return the flows of journeys given by their first and last rows, in order of first time.

    `lengths`: how many hops each has, of which the longest tells the translations of its flow.
    Flows that were `seen` before keep their original way.
    """
    if not len(firsts):
        return Flows(np.empty(0, np.int64), np.empty(0, np.bool_), np.empty(0, FLOW_DTYPE))
    classes = int(streams.flow_class.max(initial=-1)) + 1
    root, flip = _oppose(classes, *_opposite_classes(packets, streams, opposites))
    of_journey = streams.flow_class[firsts]
    root, flip = root[of_journey], flip[of_journey]
    later, heads = _fragments(packets, streams, firsts)
    root[later], flip[later] = root[heads], flip[heads]
    flow, opening = factorise(root.astype(np.uint64))
    # The packet that opens a flow says which direction is the original one: a request or a SYN if
    # there is one, else the first seen.
    asks = _asks(packets, firsts)
    asking = np.flatnonzero(asks)
    opening = opening.copy()
    opening[flow[asking][::-1]] = asking[::-1]
    forward = flip == flip[opening][flow]
    if seen is not None:
        forward ^= _turned(seen.find(firsts), flow, forward)[flow]
    table = _table(packets, flow, firsts, opening)
    told = _translated(packets, flow, forward, firsts, lasts, lengths, opening)
    for here, there in _OTHER.items():
        for prefix, rows, back in (("", firsts, lasts), ("nat_", lasts, firsts)):
            asked, answer = packets[here][rows[told]], packets[there][back[told]]
            table[prefix + here] = np.where(forward[told], asked, answer)
    return Flows(flow, forward, table)


def _turned(
    known: tuple[Codes, NDArray[np.bool_]], flow: Codes, forward: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    # Which flows are known to go the other way: the first journey that is known says so.
    number, way = known
    told = np.flatnonzero(number >= 0)[::-1]
    turned = np.zeros(int(flow.max()) + 1, np.bool_)
    turned[flow[told]] = way[told] != forward[told]
    return turned


def _fragments(packets: Any, streams: Streams, firsts: Codes) -> tuple[Codes, Codes]:
    # Later fragments have no ports: each with the first one of its datagram.
    offset, more = packets["frag_offset"][firsts], packets["more_fragments"][firsts]
    later, heads = np.flatnonzero(offset > 0), np.flatnonzero((offset == 0) & (more == 1))
    if len(streams.mirrored):
        later, heads = (each[~streams.mirrored[firsts[each]]] for each in (later, heads))
    if not len(later) or not len(heads):
        return later[:0], heads[:0]
    time = packets["time_ns"][firsts]
    found = nearest_of_datagram(packets, firsts, time, later, heads)
    kept = (found >= 0) & (np.abs(time[found] - time[later]) <= FRAGMENT_NS)
    return later[kept], found[kept]


def _asks(packets: Any, rows: Codes) -> NDArray[np.bool_]:
    kind, flags = packets["icmp_type"][rows], packets["tcp_flags"][rows]
    echo = (kind == 8) | (kind == 128)
    echo |= (kind == SOLICITATION) & (packets["ip_version"][rows] == 6)
    asks: NDArray[np.bool_] = echo | ((flags >= 0) & (flags & (SYN | ACK) == SYN))
    return asks


def _table(packets: Any, flow: Codes, firsts: Codes, opening: Codes) -> StructuredArray:
    table = np.zeros(len(opening), FLOW_DTYPE)
    first = packets[firsts[opening]]
    for name in ("proto", "ip_version"):
        table[name] = first[name]
    table["proto"][first["ethertype"] == ETHERTYPE_ARP] = ARP
    table["journeys"] = np.bincount(flow, minlength=len(opening))
    return table


def _translated(
    packets: Any, flow: Codes, forward: NDArray[np.bool_], firsts: Codes, lasts: Codes,
    lengths: Codes, opening: Codes,
) -> Codes:  # fmt: skip
    # Of each flow the journey that tells how it looks before and after NAT. The one that opens it
    # may be lost, or missed by a capture, where it is not translated yet: the longest that is, of
    # those that go its way or else of the answers, which show both turned round.
    moved = np.zeros(len(flow), np.bool_)
    for name in _OTHER:
        moved |= packets[name][firsts] != packets[name][lasts]
    moved &= (packets["frag_offset"][firsts] <= 0) & (packets["frag_offset"][lasts] <= 0)
    order = np.lexsort((-np.arange(len(flow)), lengths, forward))
    told: Codes = opening.copy()
    order = order[moved[order]]
    told[flow[order]] = order  # of several the last stays
    return told
