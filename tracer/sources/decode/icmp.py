"""ICMP (RFC 792) and ICMPv6 (RFC 4443), and the packet that an error quotes."""

from typing import Any

import numpy as np

from tracer.core.address import V4_PREFIX
from tracer.core.jit import inner_plain
from tracer.sources.decode import cursor as at
from tracer.sources.decode.digest import DIGEST_BYTES, digest, payload
from tracer.sources.decode.load import Bytes, be16, be32, be64, u8

HEADER = 8


@inner_plain
def icmp(data: Bytes, row: Any, cursor: Any, quoted: Any) -> None:
    """Read an ICMP or ICMPv6 header; `cursor.kind` says which."""
    start = cursor.position
    captured = cursor.captured_end - start
    if captured >= 1:
        row.icmp_type = u8(data, start)
    if captured >= 2:
        row.icmp_code = u8(data, start + 1)
    if row.icmp_type >= 0 and _is_query(cursor.kind, row.icmp_type):
        if captured >= 6:
            row.icmp_id = be16(data, start + 4)
        if captured >= 8:
            row.icmp_seq = be16(data, start + 6)
    elif _is_extended_echo(cursor.kind, row.icmp_type) and captured >= 6:
        row.icmp_id = be16(data, start + 4)
    if not at.has(row, cursor, start + 4):
        return
    if cursor.wire_end - start < HEADER:
        cursor.position = cursor.wire_end
        payload(data, row, cursor)
        return
    cursor.position = start + HEADER
    if _is_error(cursor.kind, row.icmp_type):
        # NAT rewrites the headers an error quotes: a digest of it all would part one packet's hops.
        row.payload_len = cursor.wire_end - cursor.position
        quote(data, row, cursor, quoted)
    else:
        at.has(row, cursor, cursor.position)
        payload(data, row, cursor)


@inner_plain
def _is_query(proto: int, kind: int) -> bool:
    # Echo; for ICMP also time stamp, information and address mask, which have the same two fields.
    if proto == 58:
        return kind == 128 or kind == 129
    return (kind == 0 or kind == 8) or 13 <= kind <= 18


@inner_plain
def _is_extended_echo(proto: int, kind: int) -> bool:
    # RFC 8335; their sequence number has but 8 bits.
    if proto == 58:
        return kind == 160 or kind == 161
    return kind == 42 or kind == 43


@inner_plain
def _is_error(proto: int, kind: int) -> bool:
    if proto == 58:
        return 1 <= kind <= 4
    return kind == 3 or kind == 4 or kind == 5 or kind == 11 or kind == 12


@inner_plain
def quote(data: Bytes, row: Any, cursor: Any, quoted: Any) -> None:
    """Fill the `quoted` record from the packet at the cursor, as far as it was captured."""
    if not at.has(row, cursor, cursor.position + 1):
        return
    start = cursor.position
    version = u8(data, start) >> 4
    if version == 4:
        _quoted_ipv4(data, row, cursor, quoted)
    elif version == 6:
        _quoted_ipv6(data, row, cursor, quoted)
    else:
        at.stop(row, at.MALFORMED)


@inner_plain
def _quoted_ipv4(data: Bytes, row: Any, cursor: Any, quoted: Any) -> None:
    if not at.has(row, cursor, cursor.position + 20):
        return
    cursor.quoted = 1
    start = cursor.position
    quoted.inner_ip_id = be16(data, start + 4)
    quoted.inner_ttl = u8(data, start + 8)
    quoted.inner_proto = u8(data, start + 9)
    quoted.inner_src_hi = np.uint64(0)
    quoted.inner_src_lo = np.uint64(V4_PREFIX | be32(data, start + 12))
    quoted.inner_dst_hi = np.uint64(0)
    quoted.inner_dst_lo = np.uint64(V4_PREFIX | be32(data, start + 16))
    cursor.position = start + (u8(data, start) & 0xF) * 4
    if be16(data, start + 6) & 0x1FFF == 0:
        _quoted_transport(data, cursor, quoted)
    _quoted_payload(data, cursor, start + be16(data, start + 2), quoted)


@inner_plain
def _quoted_ipv6(data: Bytes, row: Any, cursor: Any, quoted: Any) -> None:
    if not at.has(row, cursor, cursor.position + 40):
        return
    cursor.quoted = 1
    start = cursor.position
    quoted.inner_ttl = u8(data, start + 7)
    quoted.inner_src_hi = be64(data, start + 8)
    quoted.inner_src_lo = be64(data, start + 16)
    quoted.inner_dst_hi = be64(data, start + 24)
    quoted.inner_dst_lo = be64(data, start + 32)
    proto = u8(data, start + 6)
    end = start + 40 + be16(data, start + 4)
    cursor.position = start + 40
    while proto == 0 or proto == 43 or proto == 44 or proto == 51 or proto == 60:
        start = cursor.position
        if start + 8 > cursor.captured_end:
            return
        length = 8
        if proto == 51:  # authentication header counts in 4 bytes (RFC 4302)
            length = (u8(data, start + 1) + 2) * 4
        elif proto != 44:
            length = (u8(data, start + 1) + 1) * 8
        cursor.position += length
        if proto == 44:
            quoted.inner_ip_id = be32(data, start + 4)
            if be16(data, start + 2) & 0xFFF8:
                quoted.inner_proto = u8(data, start)
                _quoted_payload(data, cursor, end, quoted)
                return
        proto = u8(data, start)
    quoted.inner_proto = proto
    _quoted_transport(data, cursor, quoted)
    _quoted_payload(data, cursor, end, quoted)


@inner_plain
def _quoted_transport(data: Bytes, cursor: Any, quoted: Any) -> None:
    # Errors may quote no more than eight bytes of it (RFC 792), which hold all that is wanted.
    start = cursor.position
    captured = cursor.captured_end - start
    proto = quoted.inner_proto
    if (proto == 6 or proto == 17 or proto == 132 or proto == 136) and captured >= 4:
        quoted.inner_sport = be16(data, start)
        quoted.inner_dport = be16(data, start + 2)
        if proto == 6 and captured >= 8:
            quoted.inner_tcp_seq = be32(data, start + 4)
    elif (proto == 1 or proto == 58) and captured >= 8 and _is_query(proto, u8(data, start)):
        quoted.inner_icmp_id = be16(data, start + 4)
        quoted.inner_icmp_seq = be16(data, start + 6)
    if proto == 17 or proto == 136 or proto == 1 or proto == 58:
        cursor.position = start + 8
    elif proto == 132:
        cursor.position = start + 12
    elif proto == 6:
        offset = u8(data, start + 12) >> 4 if captured >= 13 else 5
        cursor.position = start + 4 * max(offset, 5)


@inner_plain
def _quoted_payload(data: Bytes, cursor: Any, end: int, quoted: Any) -> None:
    # What no NAT rewrites. A quote may end before the packet's payload does, or inside its headers.
    length = min(cursor.wire_end, end) - cursor.position
    length = max(min(length, DIGEST_BYTES), 0)
    if cursor.position + length <= cursor.captured_end or cursor.captured_end == cursor.wire_end:
        quoted.inner_payload_digest = digest(data, cursor.position, length)
