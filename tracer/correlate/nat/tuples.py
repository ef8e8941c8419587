"""Address translation: which tuples can be one flow's, and which conntrack says are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64, encode_ip
from tracer.core.batch import ObservationBatch
from tracer.core.conntrack import Tuple
from tracer.core.jit import inner, inner_plain, jit
from tracer.core.protocols import ICMP, ICMPV6
from tracer.correlate.hashing import Codes, Keys, filled
from tracer.correlate.packets.flow_hash import tuple_hash

MOST_RELATED = 64
LINK_LOCAL, LINK_LOCAL_BITS = np.uint64(0xFE80 >> 6), np.uint64(54)  # fe80::/10, RFC 4291
#: More routers than any way has: hosts begin at 64, 128 or 255.
MOST_ROUTERS = 40
LOWEST_CHOSEN = 1024  # ports and echo ids below are well-known ones


@inner_plain
def stays(p: Any, a: int) -> bool:
    """Return whether row `a` has an IPv6 source that is never routed, and so never translated."""
    return bool(p[a].ip_version == 6 and p[a].src_hi >> LINK_LOCAL_BITS == LINK_LOCAL)


@inner_plain
def began_apart(p: Any, a: int, b: int) -> bool:
    """Return whether two rows differ by more in TTL than a way has routers, as of two senders.

    Something may set the TTL, too; what keeps an IP id may say so.
    """
    x, y = p[a], p[b]
    if x.ttl < 0 or y.ttl < 0 or (x.ip_id > 0 and x.ip_id == y.ip_id):
        return False
    return bool(abs(x.ttl - y.ttl) > MOST_ROUTERS)


@inner_plain
def is_translation(p: Any, a: int, b: int) -> bool:
    """Return whether one NAT can turn the tuple of row `a` into that of row `b`.

    One side keeps address and port; an echo's id may change with either side.
    """
    x, y = p[a], p[b]
    if x.proto != y.proto or x.ip_version != y.ip_version or x.icmp_type != y.icmp_type:
        return False
    if stays(p, a) or stays(p, b):
        return False
    src = x.src_hi == y.src_hi and x.src_lo == y.src_lo and x.sport == y.sport
    dst = x.dst_hi == y.dst_hi and x.dst_lo == y.dst_lo and x.dport == y.dport
    return bool(src or dst)


@inner_plain
def is_same_tuple(p: Any, a: int, b: int) -> bool:
    """Return whether rows `a` and `b` have equal addresses, ports and echo ids."""
    x, y = p[a], p[b]
    src = x.src_hi == y.src_hi and x.src_lo == y.src_lo and x.sport == y.sport
    dst = x.dst_hi == y.dst_hi and x.dst_lo == y.dst_lo and x.dport == y.dport
    return bool(src and dst and x.proto == y.proto and x.icmp_id == y.icmp_id)


@inner_plain
def keeps_numbers(p: Any, a: int, b: int) -> bool:
    """Return whether rows `a` and `b` have equal ports, or equal echo ids.

    NAT keeps them if it can. Well-known numbers are equal by themselves, so those of two packets
    with other addresses on both sides count only where one was chosen at random.
    """
    x, y = p[a], p[b]
    if x.proto != y.proto or x.ip_version != y.ip_version or x.icmp_type != y.icmp_type:
        return False
    return bool(x.sport == y.sport and x.dport == y.dport and x.icmp_id == y.icmp_id)


@inner_plain
def may_translate(p: Any, a: int, b: int) -> bool:
    """Return `is_translation`, or whether several NATs may have been passed from `a` to `b`."""
    if is_translation(p, a, b):
        return True
    x = p[a]
    chosen = x.icmp_id >= LOWEST_CHOSEN or (
        x.sport != x.dport and max(x.sport, x.dport) >= LOWEST_CHOSEN
    )
    return (chosen and keeps_numbers(p, a, b)) or _keeps_chosen_port(p, a, b)


@inner_plain
def _keeps_chosen_port(p: Any, a: int, b: int) -> bool:
    # Both addresses and one port are rewritten; the other one, the larger, was chosen at random.
    x, y = p[a], p[b]
    if x.proto != y.proto or x.ip_version != y.ip_version or x.icmp_type != y.icmp_type:
        return False
    if stays(p, a) or stays(p, b):
        return False
    largest = max(x.sport, x.dport)
    if largest < LOWEST_CHOSEN or largest != max(y.sport, y.dport) or x.sport == x.dport:
        return False
    return bool(x.sport == y.sport if x.sport == largest else x.dport == y.dport)


@inner_plain
def are_echoes(p: Any, a: int, b: int) -> bool:
    """Return whether rows `a` and `b` may be one echo, for several NATs may rewrite all it has.

    They have one fingerprint, so one number: that is little, but all there is between captures of
    which several NATs lie.
    """
    x, y = p[a], p[b]
    return bool(
        x.icmp_seq >= 0 and x.icmp_type == y.icmp_type and not stays(p, a) and not stays(p, b)
    )


@jit
def are_translations(p: Any, left: Codes, right: Codes) -> NDArray[np.bool_]:
    """Return `is_translation` for each pair of rows."""
    out = np.empty(len(left), np.bool_)
    for i in range(len(left)):
        out[i] = is_translation(p, left[i], right[i])
    return out


@jit
def related_parts(
    p: Any, flow: Keys, order: Codes, starts: Codes, by_number: bool
) -> tuple[Codes, Codes]:
    """Return (order, starts) of groups split where no translation leads from row to row.

    Rows of one part have one tuple, or tuples that NAT can turn into each other in steps; the order
    inside a part is kept. Groups of more than MOST_RELATED rows stay whole. `by_number`: echoes of
    one number stay together, too (`are_echoes`).
    """
    rows = np.empty(len(order), np.int64)
    begins = np.empty(len(order) + 1, np.int64)
    parts = count = 0
    for group in range(len(starts) - 1):
        start, stop = starts[group], starts[group + 1]
        part = filled(stop - start, -1)
        for i in range(stop - start):
            if part[i] >= 0:
                continue
            begins[parts] = count
            parts += 1
            part[i] = i
            if stop - start <= MOST_RELATED:
                _spread(p, flow, order[start:stop], part, i, by_number)
            else:
                for j in range(len(part)):
                    part[j] = i
            for j in range(stop - start):
                if part[j] == i:
                    rows[count] = order[start + j]
                    count += 1
    begins[parts] = count
    return rows[:count].copy(), begins[: parts + 1].copy()


@inner
def _spread(p: Any, flow: Keys, rows: Codes, part: Codes, seed: int, by_number: bool) -> None:
    # All rows that can be reached from one, breadth first.
    queue = np.empty(len(rows), np.int64)
    queue[0], head, tail = seed, 0, 1
    while head < tail:
        i = queue[head]
        head += 1
        for j in range(len(rows)):
            if part[j] >= 0:
                continue
            a, b = rows[i], rows[j]
            related = flow[a] == flow[b] or may_translate(p, a, b)
            if related or (by_number and are_echoes(p, a, b)):
                part[j] = seed
                queue[tail] = j
                tail += 1


def unordered(a: Keys, b: Keys) -> Keys:
    """Return one key for each pair of tuple hashes, whichever comes first."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    with np.errstate(over="ignore"):
        keys: Keys = low * np.uint64(0xD6E8FEB86659FD93) ^ high
    return keys


@jit
def hashes_of(values: Any, ports: Any) -> Keys:
    """Return tuple hashes from uint64 (n, 4) src and dst halves and int64 (n, 4) numbers.

    The numbers are protocol, source port, destination port and echo id, -1 where absent.
    """
    out = np.empty(len(values), np.uint64)
    for i in range(len(values)):
        v, n = values[i], ports[i]
        out[i] = tuple_hash(
            v[0], v[1], v[2], v[3], np.int16(n[0]), np.int32(n[1]), np.int32(n[2]), n[3]
        )
    return out


def of_tuples(tuples: Sequence[Tuple]) -> Keys:
    """Return the tuple hash of each way of a conntrack entry."""
    values = [encode_ip(t.src) + encode_ip(t.dst) for t in tuples]
    numbers = [(t.proto, t.sport, t.dport, t.icmp_id) for t in tuples]
    ports = [[-1 if number is None else number for number in row] for row in numbers]
    hashes: Keys = hashes_of(np.array(values, np.uint64), np.array(ports, np.int64))
    return hashes


# The kernel's ports hold an echo's id: original source "port", reply destination "port".
def shown(batch: ObservationBatch) -> tuple[Keys, Keys]:
    """Return tuple hashes (before, after) of the entries the kernel showed with packets."""
    kernel = batch.sections["kernel"]
    kernel = kernel[kernel["ct_original_src_lo"] != NULL_U64]
    proto = batch.packets["proto"][kernel["row"]].astype(np.int64)
    hashes = {}
    for name, turned in (("original", False), ("reply", True)):
        for back in (False, True):
            ends = ("src", "dst") if turned == back else ("dst", "src")
            hashes[name, back] = _kernel_hashes(kernel, proto, name, ends)
    before = np.concatenate([hashes["original", False], hashes["reply", True]])
    after = np.concatenate([hashes["reply", False], hashes["original", True]])
    return before, after


def _kernel_hashes(kernel: Any, proto: Codes, name: str, ends: tuple[str, str]) -> Keys:
    halves = [kernel[f"ct_{name}_{end}_{half}"] for end in ends for half in ("hi", "lo")]
    port = {"src": kernel[f"ct_{name}_sport"], "dst": kernel[f"ct_{name}_dport"]}
    echo = (proto == ICMP) | (proto == ICMPV6)
    ident = np.where(echo, port["src" if name == "original" else "dst"], -1)
    ports = [np.where(echo, -1, port[end]) for end in ends]
    hashes: Keys = hashes_of(
        np.column_stack(halves), np.column_stack([proto, *ports, ident]).astype(np.int64)
    )
    return hashes
