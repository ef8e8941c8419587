"""Ethernet II, 802.3 with SNAP, VLAN tags, PPPoE and PPP, MPLS: everything before an IP header."""

from typing import Any

from tracer.sources.decode import cursor as at
from tracer.sources.decode.jit import inner
from tracer.sources.decode.load import Bytes, be16, be32, be48, u8

_SNAP = 0xAAAA03000000  # LLC to the SNAP SAP, OUI 0: an EtherType follows (RFC 1042)


@inner
def ethernet(data: Bytes, row: Any, cursor: Any) -> None:
    """Read an Ethernet header (IEEE 802.3)."""
    start = cursor.position
    if start + 6 <= cursor.captured_end:
        row.dst_mac = be48(data, start)
    if start + 12 <= cursor.captured_end:
        row.src_mac = be48(data, start + 6)
    if not at.has(row, cursor, 14):
        return
    cursor.kind = be16(data, start + 12)
    cursor.position = start + 14
    cursor.layer = at.ETHERTYPE
    if cursor.kind < 0x600:
        _length_field(data, row, cursor)


@inner
def _length_field(data: Bytes, row: Any, cursor: Any) -> None:
    # 802.3: the field is a length, an LLC header follows.
    cursor.layer = at.DONE
    cursor.wire_end = min(cursor.wire_end, cursor.position + cursor.kind)
    cursor.captured_end = min(cursor.captured_end, cursor.wire_end)
    if not at.has(row, cursor, 8):
        return
    if be32(data, cursor.position) << 16 | be16(data, cursor.position + 4) != _SNAP:
        at.stop(row, at.NOT_IP)
        return
    cursor.kind = be16(data, cursor.position + 6)
    cursor.position += 8
    cursor.layer = at.ETHERTYPE


@inner
def ethertype(data: Bytes, row: Any, cursor: Any) -> None:
    """Go on by EtherType: past a VLAN tag, or to what the type names."""
    kind = cursor.kind
    row.ethertype = kind
    if kind == 0x0800:
        cursor.layer = at.IPV4
    elif kind == 0x86DD:
        cursor.layer = at.IPV6
    elif kind == 0x8100 or kind == 0x88A8 or kind == 0x9100:
        _vlan(data, row, cursor)
    elif kind == 0x0806:
        cursor.layer = at.ARP
    elif kind == 0x8847 or kind == 0x8848:
        cursor.layer = at.MPLS
    elif kind == 0x8864:
        _pppoe(data, row, cursor)
    elif kind == 0x880B:
        cursor.layer = at.PPP
    elif kind == 0x6558:
        at.enter_frame(row, cursor)
    else:
        at.stop(row, at.NOT_IP)


@inner
def _vlan(data: Bytes, row: Any, cursor: Any) -> None:
    # IEEE 802.1Q: 3 bits priority, 1 bit DEI, 12 bits id, then the type of what follows.
    start = cursor.position
    if start + 2 <= cursor.captured_end:
        vlan = be16(data, start) & 0xFFF
        if cursor.tags == 0:
            row.vlan = vlan
        elif cursor.tags == 1:
            row.vlan_inner = vlan
    if not at.has(row, cursor, 4):
        return
    cursor.tags += 1
    cursor.kind = be16(data, start + 2)
    cursor.position = start + 4
    cursor.layer = at.ETHERTYPE
    if cursor.kind < 0x600:
        _length_field(data, row, cursor)


@inner
def _pppoe(data: Bytes, row: Any, cursor: Any) -> None:
    # RFC 2516: version and type, code 0 (session data), session id, length.
    start = cursor.position
    if not at.has(row, cursor, 6):
        return
    if be16(data, start) != 0x1100:
        at.stop(row, at.NOT_IP)
        return
    cursor.position = start + 6
    cursor.wire_end = min(cursor.wire_end, start + 6 + be16(data, start + 4))
    cursor.captured_end = min(cursor.captured_end, cursor.wire_end)
    cursor.layer = at.PPP


@inner
def ppp(data: Bytes, row: Any, cursor: Any) -> None:
    """Read a PPP protocol number, with or without address and control (RFC 1661, 1662)."""
    if not at.has(row, cursor, 2):
        return
    if be16(data, cursor.position) == 0xFF03:
        cursor.position += 2
        if not at.has(row, cursor, 2):
            return
    kind = u8(data, cursor.position)
    cursor.position += 1
    if kind & 1 == 0:
        kind = kind << 8 | u8(data, cursor.position)
        cursor.position += 1
    if kind == 0x21:
        cursor.layer = at.IPV4
    elif kind == 0x57:
        cursor.layer = at.IPV6
    elif kind == 0x281 or kind == 0x283:
        cursor.layer = at.MPLS
    else:
        at.stop(row, at.NOT_IP)


@inner
def mpls(data: Bytes, row: Any, cursor: Any) -> None:
    """Read an MPLS label stack (RFC 3032); what follows is told by its first nibble (RFC 4928)."""
    bottom = 0
    while bottom == 0:
        if not at.has(row, cursor, 4):
            return
        entry = be32(data, cursor.position)
        if row.mpls_label < 0:
            row.mpls_label = entry >> 12
        bottom = entry & 0x100
        cursor.position += 4
    if not at.has(row, cursor, 1):
        return
    nibble = u8(data, cursor.position) >> 4
    if nibble == 4:
        row.ethertype = 0x0800
        cursor.layer = at.IPV4
    elif nibble == 6:
        row.ethertype = 0x86DD
        cursor.layer = at.IPV6
    else:
        _pseudowire(data, row, cursor, nibble)


@inner
def _pseudowire(data: Bytes, row: Any, cursor: Any, nibble: int) -> None:
    # RFC 4448: an Ethernet frame, with a control word (RFC 4385) or without. The word's flags and
    # length are 0 for Ethernet, and hardly any frame is sent to a MAC that begins with 00:00.
    if not at.has(row, cursor, 4):
        return
    if nibble == 1:
        at.stop(row, at.NOT_IP)  # associated channel (RFC 5586)
        return
    if be16(data, cursor.position) == 0:
        cursor.position += 4
    at.enter_frame(row, cursor)
