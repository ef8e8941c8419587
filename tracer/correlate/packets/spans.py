"""Which bytes of its datagram a packet has."""

from typing import Any

import numpy as np

from tracer.core.jit import inner_plain, jit
from tracer.core.protocols import ICMP, ICMPV6, UDP
from tracer.correlate.hashing import Codes
from tracer.correlate.packets.fragments import IPV6

HEADER = 8  # bytes of the header of each of them (RFC 792, 768, 4443), and of IPv6's for fragments


@inner_plain
def is_piece(r: Any) -> bool:
    """Return whether a packet is a fragment (a record of PACKET_DTYPE)."""
    return bool(r.more_fragments == 1 or r.frag_offset > 0)


@inner_plain
def span(r: Any) -> tuple[Any, Any]:
    """Return which bytes of its datagram a packet has: the first, and the one after the last."""
    begin = max(np.int64(r.frag_offset), np.int64(0))
    if r.payload_len >= 0 and begin > 0:
        return begin, begin + r.payload_len
    if r.payload_len >= 0 and (r.proto == UDP or r.proto == ICMP or r.proto == ICMPV6):
        return begin, np.int64(r.payload_len) + HEADER
    size = np.int64(r.ip_len) - (40 if r.ip_version == IPV6 else 20)
    return begin, begin + (size - HEADER if is_piece(r) and r.ip_version == IPV6 else size)


@jit
def spans(p: Any, rows: Codes) -> tuple[Codes, Codes]:
    """Return `span` of the packets at some rows, as columns."""
    begin, end = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    for i in range(len(rows)):
        begin[i], end[i] = span(p[rows[i]])
    return begin, end
