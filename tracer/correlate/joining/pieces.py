"""Datagrams that are put together or cut anew on their way: one journey, n → m.

Who tracks connections puts fragments together, as a host does that receives them, and cuts the
datagram again as its next link asks. What bytes a piece has of which datagram tells which of them
are one: pieces whose bytes overlap, cut one way here and another way there.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain, jit, jit_plain
from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, Keys, factorise, find, grouped, roots, union
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.joining.overlaps import MOST_NEAR, is_nearest, may_overlap, overlaps
from tracer.correlate.packets.fragments import IPV6, datagrams
from tracer.correlate.packets.identity import Identity
from tracer.correlate.packets.spans import spans

SHORTEST_HEADER = 20  # of IPv4


def merge_pieces(
    packets: Any, identity: Identity, flow_class: Codes, lifetime: Codes, found: Assembly,
    time: Codes, gap_ns: int,
) -> None:  # fmt: skip
    """Give pieces of a datagram that is cut in several ways one journey, in place.

    A piece joins those whose bytes overlap its own and are
    not the same, of the same addresses, protocol and IP id, near in time, and seen at none of the
    same links. Across NAT, and where IPv6 ids change, first pieces with the same bytes say which
    datagrams are one, and so do kernel buffers: `lifetime` of each row, -1 for none (no element:
    no kernel was watched).
    """
    found.recut = np.zeros(len(packets), np.bool_)
    rows, starts = grouped(found.journey, found.journeys)
    firsts = rows[starts[:-1]]
    chosen = _chosen(packets, firsts)
    if len(identity.mirrored):
        chosen = chosen[~identity.mirrored[firsts[chosen]]]
    if len(chosen) < 2:
        return
    ends = _layout(rows, starts, chosen)
    heads = firsts[chosen]
    begin_end = spans(packets, heads)
    seen = time[heads], np.maximum.reduceat(time[ends[0]], ends[1][:-1])
    of_row = np.repeat(np.arange(len(chosen)), np.diff(ends[1]))
    where = mixed(identity.link[ends[0]], identity.ttl[ends[0]])
    if len(identity.several):  # its devices may show a datagram in several ways
        shape = mixed(mixed(where, begin_end[0][of_row]), begin_end[1][of_row])
        where = np.where(identity.several[ends[0]], shape, where)
    parts = (*begin_end, *seen, packets["more_fragments"][heads] == 1)
    buffer = lifetime[ends[0]] if len(lifetime) else lifetime
    datagram = _datagrams(packets, heads, flow_class, ends, buffer, parts, gap_ns)
    order = np.lexsort((seen[0], datagram))
    parent, rivals = overlaps(order, datagram, parts, where, ends[1], gap_ns)
    root = roots(parent)
    merged = np.bincount(root, minlength=len(chosen))[root] > 1
    if not merged.any():
        return
    found.recut[ends[0][merged[of_row]]] = True
    doubtful = ends[0][rivals[of_row] > 1]
    found.ambiguous[doubtful] = True
    np.maximum.at(found.candidates, doubtful, rivals[of_row][rivals[of_row] > 1])
    _relabel(found, chosen, root)


def _chosen(packets: Any, firsts: Codes) -> Codes:
    # Journeys of fragments, and of packets of which fragments have the bytes.
    later = packets["frag_offset"][firsts] > 0
    cut = later | (packets["more_fragments"][firsts] == 1)
    fragments = np.flatnonzero(cut)
    whole = np.flatnonzero(~cut & (packets["ip_version"][firsts] > 0))
    # The whole is as long as what has its first bytes, or its last ones.
    begin, end = spans(packets, firsts[fragments])
    outer = (begin == 0) | (packets["more_fragments"][firsts[fragments]] != 1)
    least = end[outer].min() if outer.any() else 0
    whole = whole[packets["ip_len"][firsts[whole]] >= least + SHORTEST_HEADER]
    numbered = packets["ip_version"][firsts[whole]] != IPV6
    same = np.isin(datagrams(packets, firsts[whole]), datagrams(packets, firsts[fragments]))
    same &= numbered
    openings = firsts[fragments[~later[fragments]]]
    witnesses = zip(_openings(packets, firsts[whole]), _openings(packets, openings), strict=True)
    for (known, keys), (opens, others) in witnesses:
        same |= known & np.isin(keys, others[opens])
    found: Codes = np.concatenate([fragments, whole[same]])
    return found


def _openings(packets: Any, rows: Codes) -> list[tuple[NDArray[np.bool_], Keys]]:
    # What a datagram's first piece and the whole have in common, wherever they are cut, as a key
    # and whether it is known: the first bytes, of which the digest is; where a capture has too few
    # of these, the end that NAT leaves alone. IPv6 gives each cutting an id of its own.
    version, ids = packets["ip_version"][rows], packets["ip_id"][rows]
    base = mixed(np.full(len(rows), 37, np.uint64), version)
    base = mixed(mixed(base, packets["proto"][rows]), np.where(version == IPV6, -1, ids))
    digest = packets["payload_digest"][rows]
    found = [(digest != 0, mixed(base, digest))]
    for end, port in (("src", "sport"), ("dst", "dport")):
        key = mixed(mixed(base, packets[f"{end}_hi"][rows]), packets[f"{end}_lo"][rows])
        known = (version != IPV6) & (ids > 0) & (packets[port][rows] >= 0)
        found.append((known, mixed(key, packets[port][rows])))
    return found


@jit
def _layout(rows: Codes, starts: Codes, chosen: Codes) -> tuple[Codes, Codes]:
    # As `grouped`, of the chosen journeys alone.
    begins = np.zeros(len(chosen) + 1, np.int64)
    for i in range(len(chosen)):
        begins[i + 1] = begins[i] + starts[chosen[i] + 1] - starts[chosen[i]]
    out = np.empty(begins[-1], np.int64)
    for i in range(len(chosen)):
        for k in range(begins[i + 1] - begins[i]):
            out[begins[i] + k] = rows[starts[chosen[i]] + k]
    return out, begins


def _datagrams(
    packets: Any, heads: Codes, flow_class: Codes, ends: tuple[Codes, Codes], buffer: Codes,
    parts: Any, gap_ns: int,
) -> Codes:  # fmt: skip
    # A code for each journey: equal where they may be of one datagram by addresses, protocol and
    # id, or where first pieces or buffers say that two of these are one. IPv6 wholes have no id.
    rows, begins = ends
    of_row = np.repeat(np.arange(len(heads)), np.diff(begins))
    keys = datagrams(packets, rows)
    own = (packets["ip_version"][rows] == IPV6) & (packets["ip_id"][rows] < 0)
    keys[own] = mixed(keys, of_row)[own]
    codes, _ = factorise(keys)
    parent = np.arange(int(codes.max()) + 1)
    first = codes[begins[:-1]]
    union(parent, codes, first[of_row])
    by_buffer = np.argsort(buffer, kind="stable")
    by_buffer = by_buffer[buffer[by_buffer] >= 0]
    shared = np.flatnonzero(np.diff(buffer[by_buffer]) == 0)
    union(parent, codes[by_buffer[shared]], codes[by_buffer[shared + 1]])
    for known, witness in _openings(packets, heads):
        opening = np.flatnonzero((parts[0] == 0) & known)
        alike = np.full(len(heads), -1, np.int64)
        alike[opening] = factorise(witness[opening])[0]
        order = opening[np.lexsort((parts[2][opening], alike[opening]))]
        _alike(packets, order, alike, heads, flow_class[heads], first, parts, parent, gap_ns)
    found: Codes = roots(parent)[first]
    return found


@jit_plain
def _alike(
    p: Any, order: Codes, alike: Codes, heads: Codes, classes: Codes, code: Codes, parts: Any,
    parent: Codes, gap_ns: int,
) -> None:  # fmt: skip
    _, _, first, _, _ = parts
    for i in range(len(order)):
        j = i + 1
        while j < len(order) and j - i <= MOST_NEAR and alike[order[j]] == alike[order[i]]:
            a, b = order[i], order[j]
            if first[b] - first[a] > gap_ns:
                break
            if (
                code[a] != code[b]
                and may_overlap(parts, a, b)
                and _may_be_one(p[heads[a]], p[heads[b]])
                and (classes[a] == classes[b] or _share_end(p[heads[a]], p[heads[b]]))
                and is_nearest(parts, order, alike, i, j, gap_ns)
                and is_nearest(parts, order, alike, j, i, gap_ns)
            ):
                c, d = find(parent, code[a]), find(parent, code[b])
                parent[max(c, d)] = min(c, d)
            j += 1


@inner_plain
def _may_be_one(a: Any, b: Any) -> bool:
    # Their first bytes are equal, as far as both are known.
    unknown = a.payload_digest == 0 or b.payload_digest == 0
    return bool(unknown or a.payload_digest == b.payload_digest)


@inner_plain
def _share_end(a: Any, b: Any) -> bool:
    # Translation leaves one end alone, or else the flows' other packets show that they are one.
    return bool(
        (a.src_hi == b.src_hi and a.src_lo == b.src_lo)
        or (a.dst_hi == b.dst_hi and a.dst_lo == b.dst_lo)
    )


def _relabel(found: Assembly, chosen: Codes, root: Codes) -> None:
    of = np.arange(found.journeys)
    of[chosen] = chosen[root]
    found.merge(of)
