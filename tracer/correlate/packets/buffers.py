"""Kernel buffers: rows that are one packet because they are one sk_buff within one lifetime.

The strongest evidence there is, and it crosses NAT. The address alone is none: the kernel uses it
again within microseconds, so a lifetime also wants the same packet by what nothing on the way
rewrites, and no silence.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.batch import ObservationBatch
from tracer.core.jit import inner_plain, jit, jit_plain
from tracer.core.mixing import mixed
from tracer.core.point import Direction
from tracer.core.protocols import ETHERTYPE_ARP
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes, factorise, filled
from tracer.correlate.packets.one_link import have_same_ends, is_for_group, is_of_one_link

#: One packet does not stay in one host longer between two hops (a queue's worst, nanoseconds).
SILENCE_NS = 200_000_000
#: One that waits for the next hop's address is given up after as many questions as the kernel asks
#: (ARP and neighbour discovery: three, a second apart; more where it is told to).
GIVEN_UP_NS = 10_000_000_000
_NULL_MAC = np.uint64(NULL_U64)
_SEQ_ADJUST = 1 << 6  # IPS_SEQ_ADJUST of enum ip_conntrack_status
Mask = NDArray[np.bool_]


def buffers(kernel: StructuredArray) -> NDArray[np.uint64]:
    """Return what names the use of a buffer that each kernel record is of, 0 without a buffer.

    One address in two uses, between which the kernel freed it, has two names (64-bit hashes).
    """
    # Mixed before: addresses of neighbours differ in the bits that count uses.
    address = mixed(kernel["skb"], np.zeros(1, np.uint64))
    names = mixed(address, kernel["skb_use"]) | np.uint64(1)
    return np.where(kernel["skb"] != 0, names, np.uint64(0))


def lifetimes(batch: ObservationBatch) -> Codes:
    """Return the buffer lifetime each row belongs to, counted from 0, -1 without a buffer."""
    kernel = batch.sections["kernel"]
    kernel = kernel[kernel["skb"] != 0]
    found = np.full(len(batch), -1, np.int64)
    if len(kernel):
        rows = kernel["row"]
        is_freed = np.zeros(len(batch), np.bool_)
        is_freed[rows] = kernel["drop_reason"] > 0
        adjusted = np.zeros(len(batch), np.bool_)
        adjusted[rows] = (kernel["ct_status"] > 0) & (kernel["ct_status"] & _SEQ_ADJUST > 0)
        point = batch.packets["point"][rows].astype(np.int64)
        buffer, _ = factorise(mixed(buffers(kernel), _hosts(batch, point)))
        order = np.argsort(batch.packets["time_ns"][rows], kind="stable")
        _walk(batch.packets, rows, order, buffer, is_freed, adjusted, found)
    return found


@jit
def _walk(
    p: Any, rows: Codes, order: Codes, buffer: Codes, is_freed: Mask, adjusted: Mask, found: Codes
) -> None:  # fmt: skip
    # In order of time: the last row of each buffer, and where its lifetime began.
    last = filled(len(rows), -1)
    began = filled(len(rows), -1)
    count = 0
    for i in order:
        before, row = last[buffer[i]], rows[i]
        if (
            before < 0
            or is_freed[rows[before]]
            or not _goes_on(p[rows[before]], p[row], p[rows[began[buffer[i]]]], is_freed[row])
            or not (
                _has_same_numbers(p[rows[before]], p[row])
                or (adjusted[row] and _may_be_adjusted(p[rows[before]], p[row]))
            )
        ):
            began[buffer[i]] = i
            found[row] = count
            count += 1
        else:
            found[row] = found[rows[before]]
        last[buffer[i]] = i


@inner_plain
def _goes_on(before: Any, now: Any, start: Any, is_freed: bool) -> bool:
    # IP id (IPv4) and TCP's numbers survive forwarding and NAT; a TTL never rises, and no packet
    # comes back to where it started as it was (a device may be asked to send it twice). A reset has
    # neither id nor sequence number, but acknowledges what it answers.
    silence = now.time_ns - before.time_ns
    if silence > SILENCE_NS and not (
        is_freed and silence <= GIVEN_UP_NS and _is_same_tuple(before, now)
    ):
        return False
    if now.ttl > before.ttl >= 0:
        return False
    back = now.point == start.point and now.ttl == start.ttl and now.vlan == start.vlan
    if back and before.point != start.point:
        return False
    if before.ip_version != now.ip_version or before.proto != now.proto:
        return False
    if before.ip_id != now.ip_id:
        return False
    if before.icmp_type != now.icmp_type or before.icmp_seq != now.icmp_seq:
        return False
    return bool(before.ethertype == now.ethertype) and not _is_another(before, now)


@inner_plain
def _has_same_numbers(before: Any, now: Any) -> bool:
    return bool(before.tcp_seq == now.tcp_seq and before.tcp_ack == now.tcp_ack)


@inner_plain
def _may_be_adjusted(before: Any, now: Any) -> bool:
    # The kernel moves the numbers of a connection that it made longer or shorter, or answered first
    # (NAT of FTP and SIP, SYNPROXY); conntrack says of which. Without an id, a packet on its way is
    # known by the router that it has passed: who answers in its buffer sends a fresh TTL.
    if now.tcp_seq < 0 or before.tcp_flags != now.tcp_flags:
        return False
    return bool(now.ip_id > 0 or (now.ttl == before.ttl - 1 and _is_same_tuple(before, now)))


@inner_plain
def _is_another(before: Any, now: Any) -> bool:
    # Where nothing numbers packets: an answer goes the other way, and nobody rewrites an ARP frame,
    # or what stays on its link.
    if is_of_one_link(now):
        return not have_same_ends(before, now)
    if now.ethertype == ETHERTYPE_ARP:
        return _differ(before.src_mac, now.src_mac) or _differ(before.dst_mac, now.dst_mac)
    if now.src_hi != before.dst_hi or now.src_lo != before.dst_lo:
        return False
    turned = now.dst_hi == before.src_hi and now.dst_lo == before.src_lo
    return bool(turned and (now.src_hi != now.dst_hi or now.src_lo != now.dst_lo))


@inner_plain
def _is_same_tuple(a: Any, b: Any) -> bool:
    ports = a.sport == b.sport and a.dport == b.dport and a.icmp_id == b.icmp_id
    return bool(ports and have_same_ends(a, b))


@inner_plain
def _differ(a: Any, b: Any) -> bool:
    # Two MACs that are both known.
    return bool(a != b and a != _NULL_MAC and b != _NULL_MAC)


def are_apart(lifetime: Codes, other: Codes) -> NDArray[np.bool_]:
    """Return which rows are in another buffer than the row `other` (-1: none) names for each."""
    theirs = np.where(other >= 0, lifetime[other], -1)
    apart: NDArray[np.bool_] = (lifetime >= 0) & (theirs >= 0) & (lifetime != theirs)
    return apart


def note_branches(batch: ObservationBatch, rows: Codes, starts: Codes, parent: Codes) -> None:
    """Correct `parent` (hops,) in place where buffers say which hop a hop came from.

    A flooded frame is cloned: each branch goes on in a buffer of its own, from the hop where they
    part. `rows` and `starts`: the hops of each journey.
    """
    kernel = batch.sections["kernel"]
    if len(kernel):
        skb = np.zeros(len(batch), np.uint64)
        skb[kernel["row"]] = buffers(kernel)
        spaces: dict[tuple[str | None, str | None], int] = {}
        leaving = [
            spaces.setdefault((p.host, p.netns), len(spaces))
            if p.direction == Direction.EGRESS and p.hook is None
            else -1
            for p in batch.points
        ]
        ports = np.array([*leaving, -1], np.int64)[batch.packets["point"]]
        ports[batch.sections["tunnel"]["row"]] = -1  # a tunnel's packet leaves by the link below
        _branch(batch.packets, rows, starts, skb, ports, parent)


@jit_plain
def _branch(p: Any, rows: Codes, starts: Codes, skb: Any, ports: Codes, parent: Codes) -> None:
    for journey in range(len(starts) - 1):
        start, stop = starts[journey], starts[journey + 1]
        for i in range(start + 2, stop):
            row, before = rows[i], rows[i - 1]
            if skb[row] == 0 or skb[before] == 0:
                continue
            if skb[row] == skb[before]:  # one branch alone, of what else might have been flooded
                parent[i] = i - start if is_for_group(p[row].dst_mac) else parent[i]
                continue
            j = i - 1
            while j >= start and skb[rows[j]] != skb[row]:
                j -= 1
            if j >= start:
                parent[i] = j - start + 1
            elif _are_ports(p, ports, row, before):
                parent[i] = parent[i - 1]


@inner_plain
def _are_ports(p: Any, ports: Codes, row: int, before: int) -> bool:
    # Two devices of one namespace by which one frame leaves, one after the other.
    a, b = p[row], p[before]
    if ports[row] < 0 or ports[row] != ports[before] or a.point == b.point:
        return False
    return bool(a.ttl == b.ttl and a.src_mac == b.src_mac and a.dst_mac == b.dst_mac)


def united(journey: Codes, lifetime: Codes) -> tuple[Codes, int]:
    """Return the journey of each row after joining those that share a lifetime, and how many.

    Journeys are counted from 0, -1 is none.
    """
    used = np.flatnonzero((lifetime >= 0) & (journey >= 0))
    count = int(journey.max(initial=-1)) + 1
    if not len(used):
        return journey, count
    label = np.arange(count)
    of_row, of_life = journey[used], lifetime[used]
    while True:  # labels fall until all rows of a lifetime, and of a journey, have the same
        least = np.full(int(of_life.max()) + 1, count)
        np.minimum.at(least, of_life, label[of_row])
        lowered = label.copy()
        np.minimum.at(lowered, of_row, least[of_life])
        lowered = lowered[lowered]
        if np.array_equal(lowered, label):
            break
        label = lowered
    kept, number = np.unique(label, return_inverse=True)
    return np.where(journey >= 0, number[journey], journey), len(kept)


def unambiguous(journey: Codes, journeys: int, lifetime: Codes, time: Codes) -> Any:
    """Return which rows a buffer joins beyond doubt, shape (rows,).

    All but the first of each lifetime; that one, too, where its whole journey is one lifetime.
    """
    used = np.flatnonzero((lifetime >= 0) & (journey >= 0))
    used = used[np.argsort(time[used], kind="stable")]
    _, first = np.unique(lifetime[used], return_index=True)
    sure = np.zeros(len(journey), np.bool_)
    sure[used] = True
    sure[used[first]] = False
    begun = np.bincount(journey[(journey >= 0) & ~sure], minlength=journeys)
    sure[used[first]] = begun[journey[used[first]]] == 1
    return sure


def _hosts(batch: ObservationBatch, point: NDArray[Any]) -> Codes:
    names: dict[str | None, int] = {}
    codes = [names.setdefault(p.host, len(names)) for p in batch.points]
    hosts: Codes = np.array([*codes, -1], np.int64)[point]
    return hosts
