"""Which hop each hop came from: a line, except for copies, segments and floods."""

from typing import Any

import numpy as np

from tracer.core.jit import inner, jit
from tracer.correlate.hashing import Codes

MULTICAST = np.uint64(1 << 40)
UNKNOWN_MAC = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


@jit
def parents(p: Any, hops: Codes, starts: Codes, place: Codes, host: Codes, copy_of: Codes) -> Codes:
    """Return for each hop the 1-based place in its journey of its parent hop, 0 for the first.

    A copy points to what it copies, a segment to the latest hop elsewhere whose bytes overlap its
    own, a flooded frame to where it came to its host; any other hop to the one before.
    """
    out = np.zeros(len(hops), np.int64)
    for journey in range(len(starts) - 1):
        start, stop = starts[journey], starts[journey + 1]
        for i in range(start + 1, stop):
            out[i] = i - start
            row = hops[i]
            if copy_of[row] >= 0:
                out[i] = _where(hops, start, i, copy_of[row]) + 1 - start
            elif p[row].dst_mac != UNKNOWN_MAC and p[row].dst_mac & MULTICAST and stop - start > 2:
                out[i] = _came_by(p, hops, start, i, host) + 1 - start
            elif p[row].tcp_seq >= 0:
                out[i] = _overlapping(p, hops, start, i, place) + 1 - start
    return out


@inner
def _where(hops: Codes, start: int, i: int, row: int) -> int:
    for j in range(start, i):
        if hops[j] == row:
            return j
    return i - 1


@inner
def _came_by(p: Any, hops: Codes, start: int, i: int, host: Codes) -> int:
    for j in range(start, i):
        if host[hops[j]] == host[hops[i]] and p[hops[j]].ttl == p[hops[i]].ttl:
            return j
    return i - 1


@inner
def _overlapping(p: Any, hops: Codes, start: int, i: int, place: Codes) -> int:
    row = p[hops[i]]
    before = p[hops[i - 1]]
    if before.tcp_seq == row.tcp_seq and before.payload_len == row.payload_len:
        return i - 1
    for back in range(1, i - start + 1):
        other = p[hops[i - back]]
        if place[hops[i - back]] == place[hops[i]] and other.ttl == row.ttl:
            continue
        ahead = (row.tcp_seq - other.tcp_seq) & 0xFFFFFFFF
        behind = (other.tcp_seq - row.tcp_seq) & 0xFFFFFFFF
        if ahead < max(other.payload_len, 1) or behind < max(row.payload_len, 1):
            return i - back
    return i - 1
