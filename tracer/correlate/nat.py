"""Flows that are one flow: the same tuple at several points, and its translations.

A stream is a directional tuple on one link (point, MACs, VLAN, VNI), so that equal tuples of two
tenants are two streams. Packets that clearly are one packet at several points vote that their
streams belong together; streams whose votes and addresses allow it become one class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64, encode_ip
from tracer.core.conntrack import ConntrackEntry, Tuple
from tracer.core.jit import jit
from tracer.correlate.hashing import Codes, Keys, factorise, find, pair_keys, roots
from tracer.correlate.identity import Identity, tuple_hash

MOST_ROWS_OF_ONE_PACKET = 64
NULL = np.uint64(NULL_U64)


@dataclass(slots=True)
class Streams:
    """`stream` and `flow_class` of each row (-1 unusable), `first` row and `count` of each stream.

    `proven` holds sorted keys of tuple-hash pairs that conntrack says are one flow.
    """

    stream: Codes
    flow_class: Codes
    first: Codes
    count: Codes
    proven: Keys


@jit
def is_translation(p: Any, a: int, b: int) -> bool:
    """Return whether one NAT can turn the tuple of row `a` into that of row `b`.

    One side keeps address and port; an echo's id may change with either side.
    """
    x, y = p[a], p[b]
    if x.proto != y.proto or x.ip_version != y.ip_version or x.icmp_type != y.icmp_type:
        return False
    src = x.src_hi == y.src_hi and x.src_lo == y.src_lo and x.sport == y.sport
    dst = x.dst_hi == y.dst_hi and x.dst_lo == y.dst_lo and x.dport == y.dport
    return bool(src or dst)


@jit
def is_adjacent(p: Any, a: int, b: int) -> bool:
    """Return whether MACs allow rows `a` and `b` to be one packet: same TTL means bridged."""
    x, y = p[a], p[b]
    if x.ttl != y.ttl or x.src_mac == NULL or y.src_mac == NULL:
        return True
    return bool(x.src_mac == y.src_mac or x.dst_mac == y.dst_mac)


@jit
def is_one_packet(p: Any, rows: Codes, place: Codes, time: Codes, slack_ns: int) -> bool:
    """Return whether rows of equal fingerprint, by falling TTL, are one packet beyond doubt.

    No place shows it twice at one TTL; MACs and times agree with the TTLs.
    """
    if len(rows) > MOST_ROWS_OF_ONE_PACKET:
        return False
    for i in range(len(rows)):
        a = rows[i]
        for j in range(i + 1, len(rows)):
            b = rows[j]
            if place[a] == place[b] and p[a].ttl == p[b].ttl:
                return False
            if p[a].ttl > p[b].ttl and time[a] > time[b] + slack_ns:
                return False
        if i and not is_adjacent(p, rows[i - 1], a):
            return False
    return True


@jit
def _votes(
    p: Any,
    order: Codes,
    starts: Codes,
    flow: Keys,
    place: Codes,
    stream: Codes,
    time: Codes,
    slack_ns: int,
) -> tuple[Codes, Codes]:
    first = np.empty(len(order), np.int64)
    second = np.empty(len(order), np.int64)
    count = 0
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        if len(rows) < 2 or not is_one_packet(p, rows, place, time, slack_ns):
            continue
        allowed = True
        for i in range(1, len(rows)):
            a, b = rows[i - 1], rows[i]
            if flow[a] != flow[b] and not is_translation(p, a, b) and len(rows) > 2:
                allowed = False
        for i in range(1, len(rows) if allowed else 0):
            first[count] = stream[rows[i - 1]]
            second[count] = stream[rows[i]]
            count += 1
    return first[:count].copy(), second[:count].copy()


@jit
def _union(
    parent: Codes, left: Codes, right: Codes, votes: Codes, allowed: NDArray[np.bool_], size: Codes
) -> None:
    for i in range(len(left)):
        a, b = left[i], right[i]
        if allowed[i] and votes[i] * 4 >= min(size[a], size[b]):
            parent[find(parent, a)] = find(parent, b)


@jit
def _are_translations(p: Any, left: Codes, right: Codes) -> NDArray[np.bool_]:
    out = np.empty(len(left), np.bool_)
    for i in range(len(left)):
        out[i] = is_translation(p, left[i], right[i])
    return out


def _counted(first: Codes, second: Codes) -> tuple[Codes, Codes, Codes]:
    codes, where = factorise(pair_keys(np.minimum(first, second), np.maximum(first, second)))
    counts = np.bincount(codes, minlength=len(where)).astype(np.int64)
    return first[where], second[where], counts


def _sizes(groups: Codes, count: Codes) -> Codes:
    # A class is about as large as its busiest stream: each packet is one row in each.
    size = np.zeros(len(groups), np.int64)
    np.maximum.at(size, groups, count)
    return size


def streams(
    packets: Any,
    identity: Identity,
    order: Codes,
    starts: Codes,
    conntrack: Sequence[ConntrackEntry],
    time: Codes,
    slack_ns: int,
) -> Streams:
    """Return streams and the classes they form; groups are sorted by falling TTL, then time."""
    key = identity.flow ^ (identity.link * np.uint64(0x9E3779B97F4A7C15))
    stream, first_row = factorise(key)
    count = np.bincount(stream, minlength=len(first_row)).astype(np.int64)
    left, right, votes = _counted(
        *_votes(packets, order, starts, identity.flow, identity.place, stream, time, slack_ns)
    )
    same = identity.flow[first_row[left]] == identity.flow[first_row[right]]
    parent = np.arange(len(first_row))
    _union(parent, left, right, votes, same, count)
    proven = proven_pairs(conntrack, packets, identity)
    _join_translations(packets, identity, parent, (left, right, votes), (first_row, count), proven)
    flow_class = roots(parent)[stream]
    flow_class[~identity.usable] = -1
    return Streams(stream, flow_class, first_row, count, proven)


def _join_translations(
    packets: Any,
    identity: Identity,
    parent: Codes,
    edges: tuple[Codes, Codes, Codes],
    stream_rows: tuple[Codes, Codes],
    proven: Keys,
) -> None:
    left, right, votes = edges
    first_row, count = stream_rows
    segment = roots(parent)
    size = _sizes(segment, count)
    across = segment[left] != segment[right]
    left, right, votes = left[across], right[across], votes[across]
    a, b = identity.flow[first_row[left]], identity.flow[first_row[right]]
    exact = np.isin(_pair(a, b), proven)
    allowed = exact | _are_translations(packets, first_row[left], first_row[right]) | (votes >= 3)
    ends = segment[left], segment[right]
    codes, where = factorise(pair_keys(np.minimum(*ends), np.maximum(*ends)))
    total = np.bincount(codes, weights=votes, minlength=len(where)).astype(np.int64)
    total[codes[exact]] = np.iinfo(np.int32).max
    _union(parent, ends[0][where], ends[1][where], total, allowed[where] | exact[where], size)


def _pair(a: Keys, b: Keys) -> Keys:
    low, high = np.minimum(a, b), np.maximum(a, b)
    with np.errstate(over="ignore"):
        keys: Keys = low * np.uint64(0xD6E8FEB86659FD93) ^ high
    return keys


def is_proven(a: Keys, b: Keys, proven: Keys) -> NDArray[np.bool_]:
    """Return which pairs of tuple hashes conntrack says are one flow."""
    return np.isin(_pair(a, b), proven)


@jit
def _tuple_hashes(values: NDArray[np.uint64], ports: NDArray[np.int64]) -> Keys:
    out = np.empty(len(values), np.uint64)
    for i in range(len(values)):
        v, n = values[i], ports[i]
        out[i] = tuple_hash(
            v[0], v[1], v[2], v[3], np.int16(n[0]), np.int32(n[1]), np.int32(n[2]), n[3]
        )
    return out


def _hash_tuples(tuples: Sequence[Tuple]) -> Keys:
    values = np.array([encode_ip(t.src) + encode_ip(t.dst) for t in tuples], np.uint64).reshape(
        -1, 4
    )
    ports = np.array(
        [
            [t.proto, *(-1 if n is None else n for n in (t.sport, t.dport, t.icmp_id))]
            for t in tuples
        ],
        np.int64,
    ).reshape(-1, 4)
    return _tuple_hashes(values, ports)


def proven_pairs(conntrack: Sequence[ConntrackEntry], packets: Any, identity: Identity) -> Keys:
    """Return sorted keys of the tuple pairs that entries translate into each other, both ways."""
    forward = [(entry.original, entry.reply.reversed()) for entry in conntrack]
    pairs = forward + [(b.reversed(), a.reversed()) for a, b in forward]
    if not pairs:
        return np.empty(0, np.uint64)
    a, b = _hash_tuples([x for x, _ in pairs]), _hash_tuples([y for _, y in pairs])
    return np.unique(_pair(a, b)[a != b])
