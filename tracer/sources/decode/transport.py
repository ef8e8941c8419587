"""TCP (RFC 9293), SCTP, and which reader an IP protocol has."""

from typing import Any

from tracer.core.jit import inner_plain
from tracer.sources.decode import cursor as at
from tracer.sources.decode.digest import NO_SACK, payload, sack_digest
from tracer.sources.decode.load import Bytes, be16, be32, u8
from tracer.sources.decode.tunnel import carried, ip_in_ip
from tracer.sources.decode.udp import ports, udp

NO_NEXT_HEADER = 59
NOT_HELD = 254  # RFC 4727: experiments; ours stands for options that a recording did not keep


@inner_plain
def transport(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Go on by IP protocol."""
    proto = cursor.kind
    if proto == 6:
        tcp(data, row, cursor)
    elif proto == 17 or proto == 136:
        udp(data, row, cursor, tunnel)
    elif proto == 1 or proto == 58:
        cursor.layer = at.ICMP
    elif proto == 132 or proto == 33:
        sctp(data, row, cursor)
    elif proto == 4 or proto == 41:
        ip_in_ip(row, cursor, tunnel)
    elif proto == 47:
        cursor.layer = at.GRE
    elif proto == 137 or proto == 143 or proto == 97:
        carried(row, cursor, tunnel)
    elif proto == 51:
        _authentication(data, row, cursor)
    else:
        if proto != NO_NEXT_HEADER:
            at.stop(row, at.UNKNOWN_PROTOCOL)
        payload(data, row, cursor)


@inner_plain
def _authentication(data: Bytes, row: Any, cursor: Any) -> None:
    # RFC 4302 over IPv4; `proto` stays what the IP header says.
    if at.has(row, cursor, cursor.position + 12):
        cursor.kind = u8(data, cursor.position)
        cursor.layer = at.TRANSPORT
        cursor.position += (u8(data, cursor.position + 1) + 2) * 4


@inner_plain
def sctp(data: Bytes, row: Any, cursor: Any) -> None:
    """Read the 12 bytes SCTP (RFC 9260) and DCCP (RFC 4340) begin with; the rest is payload."""
    ports(data, row, cursor)
    if at.has(row, cursor, cursor.position + 12):
        cursor.position += 12
        payload(data, row, cursor)


@inner_plain
def tcp(data: Bytes, row: Any, cursor: Any) -> None:
    """Read a TCP header, its time stamps and its SACK blocks."""
    start = cursor.position
    captured = cursor.captured_end - start
    ports(data, row, cursor)
    if captured >= 8:
        row.tcp_seq = be32(data, start + 4)
    if captured >= 12:
        row.tcp_ack = be32(data, start + 8)
    if captured >= 14:
        row.tcp_flags = be16(data, start + 12) & 0xFFF
    if captured >= 16:
        row.tcp_window = be16(data, start + 14)
    if not at.has(row, cursor, start + 20):
        return
    header = (u8(data, start + 12) >> 4) * 4
    if header < 20 or (start + header > cursor.wire_end and cursor.continued == 0):
        if header < 20:  # whatever this is, what follows the sequence number is not TCP's
            row.tcp_ack = -1
            row.tcp_flags = -1
            row.tcp_window = -1
        row.tcp_sack = NO_SACK
        at.stop(row, at.MALFORMED)
        return
    end = min(start + header, cursor.captured_end)
    if end == start + header:
        row.tcp_sack = NO_SACK
    _options(data, row, start + 20, end)
    at.has(row, cursor, start + header)
    cursor.position = start + header
    payload(data, row, cursor)


@inner_plain
def _options(data: Bytes, row: Any, position: int, end: int) -> None:
    # RFC 9293, 3.1: kind, length, value; end of list and no-operation are one byte. SACK blocks
    # are not known (`tcp_sack` stays null) where options were cut.
    whole = row.tcp_sack != 0
    while position < end:
        kind = u8(data, position)
        if kind == 0:
            return
        if kind == 1:
            position += 1
            continue
        if position + 2 > end:
            return
        length = u8(data, position + 1)
        if length < 2 or position + length > end:
            return
        if kind == 8 and length == 10:
            row.tcp_tsval = be32(data, position + 2)
            row.tcp_tsecr = be32(data, position + 6)
        elif kind == 5 and whole:
            row.tcp_sack = sack_digest(data, position + 2, length - 2, row.tcp_ack)
        elif kind == NOT_HELD:
            row.tcp_sack = 0
        position += length
