"""Datagrams that are sent back as they came: an echo's answer has the bytes of what it answers.

A packet's source does not become its destination on the way. Rows of equal fingerprint of which
that holds are two packets, one each way; those that share an end with either go the same way.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain, jit
from tracer.core.mixing import mix
from tracer.correlate.hashing import Codes, Keys, factorise, filled
from tracer.correlate.packets.groups import packet_groups
from tracer.correlate.packets.identity import Identity

Groups = tuple[Codes, Codes]
_BITS = np.uint64(63)


def groups_of(packets: Any, identity: Identity) -> Groups:
    """Return (order, starts) of the usable rows by fingerprint, each way a group of its own."""
    return each_way(packets, identity.flow, *packet_groups(identity.packet, identity.usable))


def each_way(packets: Any, flow: Keys, order: Codes, starts: Codes) -> Groups:
    """Return (order, starts) of groups split where some rows are what answers others."""
    turned = _turned(packets, flow, order, starts)
    if not turned.any():
        return order, starts
    rows, of, ends = _ends_of(packets, order, starts, turned)
    codes, firsts = factorise(ends)
    second, both = _second_way(packets, rows, codes.reshape(2, -1), len(firsts))
    second &= np.isin(of, of[both])
    return _split(order, starts, turned, second)


@inner_plain
def _end(hi: Any, lo: Any, port: Any, group: int) -> Any:
    return mix(mix(mix(np.uint64(group), hi), lo), np.uint64(port))


@jit
def _turned(p: Any, flow: Keys, order: Codes, starts: Codes) -> NDArray[np.bool_]:
    # Groups in which some end may be, by a few bits of its hash, one row's source and another's
    # destination. The numbers of TCP tell both ways apart. Of equal ports an end does not say which
    # it is: a NAT that sends back to where a packet came from may give it the address that it had
    # gone to.
    out = np.zeros(len(starts) - 1, np.bool_)
    for group in range(len(out)):
        start, stop = starts[group], starts[group + 1]
        tuples = False
        for i in range(start + 1, stop):
            if flow[order[i]] != flow[order[start]]:
                tuples = True
                break
        if not tuples or p[order[start]].sport < 0 or p[order[start]].tcp_seq >= 0:
            continue
        sent = taken = np.uint64(0)
        last, equal = flow[order[start]] + np.uint64(1), False
        for i in range(start, stop):
            if flow[order[i]] == last:
                continue
            last, r = flow[order[i]], p[order[i]]
            sent |= np.uint64(1) << (_end(r.src_hi, r.src_lo, r.sport, 0) & _BITS)
            taken |= np.uint64(1) << (_end(r.dst_hi, r.dst_lo, r.dport, 0) & _BITS)
            equal = equal or r.sport == r.dport
        out[group] = sent & taken != 0 and not equal
    return out


@jit
def _ends_of(
    p: Any, order: Codes, starts: Codes, which: NDArray[np.bool_]
) -> tuple[Codes, Codes, Keys]:
    # The rows of some groups, which group each is of, and hashes of their sources, then of their
    # destinations.
    count: Any = np.int64(0)
    for group in range(len(which)):
        if which[group]:
            count += starts[group + 1] - starts[group]
    rows, of = np.empty(count, np.int64), np.empty(count, np.int64)
    ends = np.empty(2 * count, np.uint64)
    at = 0
    for group in range(len(which)):
        for i in range(starts[group], starts[group + 1] if which[group] else starts[group]):
            r = p[order[i]]
            rows[at], of[at] = order[i], group
            ends[at] = _end(r.src_hi, r.src_lo, r.sport, group + 1)
            ends[count + at] = _end(r.dst_hi, r.dst_lo, r.dport, group + 1)
            at += 1
    return rows, of, ends


@inner_plain
def _root(parent: Codes, other: NDArray[np.bool_], end: int) -> tuple[int, bool]:
    # The end that stands for all on its side or the opposite one, and whether it is the opposite.
    opposite = False
    while parent[end] != end:
        opposite = opposite != other[end]
        end = parent[end]
    return end, opposite


@jit
def _second_way(
    p: Any, rows: Codes, ends: Codes, count: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    # Whether each row goes the second way, and whether rows related to it are known to go both. The
    # ends of a row are on two sides: where that cannot be of all rows that are related, none does.
    # The ways of rows that share no end are those in which the lower port, a service's, is the
    # destination, and the other one.
    parent, size = np.arange(count), filled(count, 1)
    other, odd = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    for i in range(len(rows)):
        (a, turned), (b, also) = _root(parent, other, ends[0, i]), _root(parent, other, ends[1, i])
        if a != b:
            a, b = (b, a) if size[a] > size[b] else (a, b)
            parent[a], other[a] = b, turned == also
            odd[b] = odd[a] or odd[b]
            size[b] += size[a]
        else:
            odd[a] = odd[a] or turned == also
    seen = np.zeros((2, count), np.bool_)  # rows whose source is on the side of each root, or not
    way = np.zeros(count, np.bool_)  # whether the first of them goes the second way
    out, both = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
    for i in range(len(rows)):
        root, opposite = _root(parent, other, ends[0, i])
        if not seen[0, root] and not seen[1, root]:
            way[root] = (p[rows[i]].sport < p[rows[i]].dport) != opposite
        seen[int(opposite), root] = True
    for i in range(len(rows)):
        root, opposite = _root(parent, other, ends[0, i])
        out[i] = not odd[root] and way[root] != opposite
        both[i] = not odd[root] and seen[0, root] and seen[1, root]
    return out, both


@jit
def _split(
    order: Codes, starts: Codes, which: NDArray[np.bool_], second: NDArray[np.bool_]
) -> tuple[Codes, Codes]:
    # `second` is of the rows of some groups, one group after the other.
    rows, begins = order.copy(), np.empty(2 * len(starts), np.int64)
    groups = at = 0
    for group in range(len(which)):
        start, stop = starts[group], starts[group + 1]
        begins[groups] = start
        groups += 1
        if not which[group]:
            continue
        count = start
        for turn in (False, True):
            if turn and start < count < stop:
                begins[groups] = count
                groups += 1
            for i in range(start, stop):
                if second[at + i - start] == turn:
                    rows[count] = order[i]
                    count += 1
        at += stop - start
    begins[groups] = len(order)
    return rows, begins[: groups + 1].copy()
