"""IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200), fragments of both."""

from typing import Any

import numpy as np

from tracer.core.address import V4_PREFIX
from tracer.core.jit import inner_plain
from tracer.sources.decode import cursor as at
from tracer.sources.decode.digest import payload
from tracer.sources.decode.load import Bytes, be16, be32, be64, u8

# Extension headers by protocol number (IANA): hop-by-hop, routing, fragment, authentication,
# destination options. (Mobility, host identity and shim6 are protocols of their own.)
_EXTENSION = np.isin(np.arange(256), (0, 43, 44, 51, 60))
_MAX_PAYLOAD = 0xFFFF


@inner_plain
def ip(data: Bytes, row: Any, cursor: Any) -> None:
    """Choose IPv4 or IPv6 by the version in the first nibble."""
    if not at.has(row, cursor, cursor.position + 1):
        return
    version = u8(data, cursor.position) >> 4
    if version == 4:
        cursor.layer = at.IPV4
    elif version == 6:
        cursor.layer = at.IPV6
    else:
        at.stop(row, at.MALFORMED)


@inner_plain
def ipv4(data: Bytes, row: Any, cursor: Any) -> None:
    """Read an IPv4 header."""
    start = cursor.position
    if not at.has(row, cursor, start + 1):
        return
    first = u8(data, start)
    if first >> 4 != 4 or first & 0xF < 5:
        at.stop(row, at.MALFORMED)
        return
    row.ip_version = 4
    _ipv4_fields(data, row, start, cursor.captured_end - start)
    if not at.has(row, cursor, start + 20):
        return
    header = (first & 0xF) * 4
    if not _limit(row, cursor, be16(data, start + 2), header) or not at.has(
        row, cursor, start + header
    ):
        return
    cursor.position = start + header
    _after_ip(data, row, cursor, u8(data, start + 9))


@inner_plain
def _ipv4_fields(data: Bytes, row: Any, start: int, captured: int) -> None:
    if captured >= 2:
        row.tos = u8(data, start + 1)
    if captured >= 4:
        row.ip_len = be16(data, start + 2)
    if captured >= 6:
        row.ip_id = be16(data, start + 4)
    if captured >= 8:
        fragment = be16(data, start + 6)
        row.df = fragment >> 14 & 1
        row.more_fragments = fragment >> 13 & 1
        row.frag_offset = (fragment & 0x1FFF) * 8
    if captured >= 9:
        row.ttl = u8(data, start + 8)
    if captured >= 10:
        row.proto = u8(data, start + 9)
    if captured >= 16:
        row.src_hi = np.uint64(0)
        row.src_lo = np.uint64(V4_PREFIX | be32(data, start + 12))
    if captured >= 20:
        row.dst_hi = np.uint64(0)
        row.dst_lo = np.uint64(V4_PREFIX | be32(data, start + 16))


@inner_plain
def _limit(row: Any, cursor: Any, length: int, header: int) -> bool:
    # End the packet where its IP length says, so that Ethernet padding is not payload. A length of
    # 0 is what the sender's kernel shows of segments that the device will cut (TSO). What a first
    # fragment carries ends in a later one: no more of it is captured than the fragment holds.
    if length == 0:
        row.ip_len = cursor.wire_end - cursor.position
        return True
    if length < header:
        at.stop(row, at.MALFORMED)
        return False
    end = cursor.position + length
    if end > cursor.wire_end and cursor.continued == 0:
        at.stop(row, at.MALFORMED)
        end = cursor.wire_end
    cursor.wire_end = end
    cursor.continued = 0
    cursor.captured_end = min(cursor.captured_end, end)
    return True


@inner_plain
def _after_ip(data: Bytes, row: Any, cursor: Any, proto: int) -> None:
    # Only a packet's first fragment has the transport header.
    if row.frag_offset > 0:
        payload(data, row, cursor)
        return
    cursor.continued = np.int64(row.more_fragments == 1)
    cursor.kind = proto
    cursor.layer = at.TRANSPORT


@inner_plain
def ipv6(data: Bytes, row: Any, cursor: Any) -> None:
    """Read an IPv6 header and what extension headers follow."""
    start = cursor.position
    if not at.has(row, cursor, start + 1):
        return
    if u8(data, start) >> 4 != 6:
        at.stop(row, at.MALFORMED)
        return
    row.ip_version = 6
    _ipv6_fields(data, row, start, cursor.captured_end - start)
    if not at.has(row, cursor, start + 40):
        return
    length = be16(data, start + 4)
    if length != 0 or not _is_jumbo(data, cursor, start):
        length += 40
    if not _limit(row, cursor, length, 40):
        return
    cursor.position = start + 40
    _extensions(data, row, cursor, u8(data, start + 6))


@inner_plain
def _is_jumbo(data: Bytes, cursor: Any, start: int) -> bool:
    # RFC 2675: length 0 and a hop-by-hop option that tells it; Linux leaves the option away (BIG
    # TCP), which only the length on the wire then shows.
    if cursor.wire_end - start - 40 > _MAX_PAYLOAD:
        return True
    is_told = u8(data, start + 6) == 0 and start + 44 <= cursor.captured_end
    return is_told and be16(data, start + 42) == 0xC204


@inner_plain
def _ipv6_fields(data: Bytes, row: Any, start: int, captured: int) -> None:
    if captured >= 4:
        word = be32(data, start)
        row.tos = word >> 20 & 0xFF
        row.flow_label = word & 0xFFFFF
    if captured >= 6:
        row.ip_len = be16(data, start + 4) + 40
    if captured >= 7 and not _EXTENSION[u8(data, start + 6)]:
        row.proto = u8(data, start + 6)
    if captured >= 8:
        row.ttl = u8(data, start + 7)
    if captured >= 24:
        row.src_hi = be64(data, start + 8)
        row.src_lo = be64(data, start + 16)
    if captured >= 40:
        row.dst_hi = be64(data, start + 24)
        row.dst_lo = be64(data, start + 32)


@inner_plain
def _extensions(data: Bytes, row: Any, cursor: Any, proto: int) -> None:
    # RFC 8200, section 4; the protocol is known only where the chain ends.
    while _EXTENSION[proto]:
        start = cursor.position
        # What a header that was cut says is next, is believed as far as tshark does: of routing at
        # once, of a fragment's never, for it may not be the first one.
        told = 1 if proto == 43 else 8 if proto == 44 else 2
        if start + told <= cursor.captured_end and not _EXTENSION[u8(data, start)]:
            row.proto = u8(data, start)
        if not at.has(row, cursor, start + 8):
            return
        length = 8
        if proto == 44:
            _fragment(data, row, start)
        elif proto == 51:  # authentication header counts in 4 bytes (RFC 4302)
            length = (u8(data, start + 1) + 2) * 4
        else:
            length = (u8(data, start + 1) + 1) * 8
        if not at.has(row, cursor, start + length):
            return
        cursor.position = start + length
        fragmented = proto == 44 and row.frag_offset > 0
        proto = u8(data, start)
        if fragmented:
            break
    if not _EXTENSION[proto]:
        row.proto = proto
    _after_ip(data, row, cursor, proto)


@inner_plain
def _fragment(data: Bytes, row: Any, start: int) -> None:
    word = be16(data, start + 2)
    row.frag_offset = word & 0xFFF8
    row.more_fragments = word & 1
    row.ip_id = be32(data, start + 4)
