"""Ethernet II, 802.3 with SNAP, VLAN tags, PPPoE and PPP, MPLS: everything before an IP header."""

from typing import Any

from tracer.core.jit import inner_plain
from tracer.sources.decode import cursor as at
from tracer.sources.decode.load import Bytes, be16, be32, be48, u8

_SNAP = 0xAAAA03  # LLC to the SNAP SAP, unnumbered information (RFC 1042)
_LLC_IP = 0x060603  # the same to the SAP of IPv4


@inner_plain
def ethernet(data: Bytes, row: Any, cursor: Any) -> None:
    """Read an Ethernet header (IEEE 802.3)."""
    start = cursor.position
    if start + 6 <= cursor.captured_end:
        row.dst_mac = be48(data, start)
    if start + 12 <= cursor.captured_end:
        row.src_mac = be48(data, start + 6)
    if not at.has(row, cursor, start + 14):
        return
    cursor.kind = be16(data, start + 12)
    cursor.position = start + 14
    cursor.layer = at.ETHERTYPE
    if cursor.kind < 0x600:
        _length_field(data, row, cursor)


@inner_plain
def _length_field(data: Bytes, row: Any, cursor: Any) -> None:
    # 802.3: the field is a length, an LLC header follows.
    cursor.layer = at.DONE
    cursor.wire_end = min(cursor.wire_end, cursor.position + cursor.kind)
    cursor.captured_end = min(cursor.captured_end, cursor.wire_end)
    llc(data, row, cursor)


@inner_plain
def llc(data: Bytes, row: Any, cursor: Any) -> None:
    """Read an LLC header (IEEE 802.2) and what it says of IP: SNAP or a SAP of its own."""
    start = cursor.position
    if not at.has(row, cursor, start + 4):
        return
    word = be32(data, start)
    cursor.kind = 0x0800
    cursor.position = start + 3
    cursor.layer = at.ETHERTYPE
    if word >> 8 == _LLC_IP:
        return
    cursor.layer = at.DONE
    if word >> 8 != _SNAP:
        at.stop(row, at.NOT_IP)
    elif at.has(row, cursor, start + 8):
        oui = (word & 0xFF) << 16 | be16(data, start + 4)
        cursor.kind = be16(data, start + 6)
        cursor.position = start + 8
        if oui == 0 or oui == 0x0000F8:  # an EtherType (RFC 1042), bridged or not (802.1H)
            cursor.layer = at.ETHERTYPE
        else:
            at.stop(row, at.NOT_IP)


@inner_plain
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
        pppoe(data, row, cursor)
    elif kind == 0x6558 or kind == 0x6400:
        at.enter_frame(row, cursor)
    else:
        _seldom(data, row, cursor)


@inner_plain
def _seldom(data: Bytes, row: Any, cursor: Any) -> None:
    kind = cursor.kind
    if kind == 0x8926 or kind == 0x892F or kind == 0xF1C1:
        # VN-Tag (802.1BR's forerunner), HSR (IEC 62439-3) and R-Tag (802.1CB): 4 bytes, a type.
        _pass_tag(data, row, cursor, cursor.position + 6)
    elif kind == 0x893F:  # E-Tag (802.1BR)
        _pass_tag(data, row, cursor, cursor.position + 8)
    elif kind == 0x88E7:  # I-Tag (802.1Q, 9.7), the customer's MACs in it; the row's are outside
        _pass_tag(data, row, cursor, cursor.position + 18)
    elif kind == 0x88E5:
        _macsec(data, row, cursor)
    elif kind == 0x894F:
        _nsh(data, row, cursor)
    elif kind == 0x8870:  # LLC in frames too long for a length (draft-ietf-isis-ext-eth)
        llc(data, row, cursor)
    elif kind == 0x883E:  # WCCP over GRE: IPv4, behind a redirect header or not
        cursor.layer = at.IPV4
        if at.has(row, cursor, cursor.position + 1) and u8(data, cursor.position) >> 4 != 4:
            cursor.position += 4
    else:
        at.stop(row, at.NOT_IP)


@inner_plain
def _pass_tag(data: Bytes, row: Any, cursor: Any, end: int) -> None:
    # A tag whose last two bytes are the type of what follows.
    if at.has(row, cursor, end):
        cursor.kind = be16(data, end - 2)
        cursor.position = end
        cursor.layer = at.ETHERTYPE


@inner_plain
def _macsec(data: Bytes, row: Any, cursor: Any) -> None:
    # 802.1AE: TCI and AN, short length, packet number, perhaps SCI; the check value ends the frame.
    start = cursor.position
    if not at.has(row, cursor, start + 8):
        return
    tci = u8(data, start)
    if tci & 0x0C or cursor.captured_end - start < 23:
        at.stop(row, at.UNKNOWN_PROTOCOL)  # encrypted or changed, or too short to be either
        return
    cursor.wire_end -= 16
    cursor.captured_end = min(cursor.captured_end, cursor.wire_end)
    _pass_tag(data, row, cursor, start + (16 if tci & 0x20 else 8))


@inner_plain
def _nsh(data: Bytes, row: Any, cursor: Any) -> None:
    # RFC 8300, 2.2: the length counts in 4 bytes; the fourth byte is the next protocol.
    start = cursor.position
    if not at.has(row, cursor, start + 4):
        return
    length = (be16(data, start) & 0x3F) * 4
    if length < 8 or not at.has(row, cursor, start + length):
        at.stop(row, at.MALFORMED)
        return
    cursor.position = start + length
    at.enter_next(row, cursor, u8(data, start + 3))


@inner_plain
def _vlan(data: Bytes, row: Any, cursor: Any) -> None:
    # IEEE 802.1Q: 3 bits priority, 1 bit DEI, 12 bits id, then the type of what follows.
    start = cursor.position
    if start + 2 <= cursor.captured_end:
        vlan = be16(data, start) & 0xFFF
        if cursor.tags == 0:
            row.vlan = vlan
        elif cursor.tags == 1:
            row.vlan_inner = vlan
    if not at.has(row, cursor, start + 4):
        return
    cursor.tags += 1
    is_provider = cursor.kind == 0x88A8
    cursor.kind = be16(data, start + 2)
    cursor.position = start + 4
    cursor.layer = at.ETHERTYPE
    if cursor.kind < 0x600 and not is_provider:  # behind a provider's tag stands a type alone
        _length_field(data, row, cursor)


@inner_plain
def pppoe(data: Bytes, row: Any, cursor: Any) -> None:
    """Read a PPPoE header (RFC 2516): version and type, code 0 (data), session id, length."""
    start = cursor.position
    if not at.has(row, cursor, start + 6):
        return
    if be16(data, start) != 0x1100:
        at.stop(row, at.NOT_IP)
        return
    cursor.position = start + 6
    cursor.wire_end = min(cursor.wire_end, start + 6 + be16(data, start + 4))
    cursor.captured_end = min(cursor.captured_end, cursor.wire_end)
    cursor.layer = at.PPP


@inner_plain
def ppp(data: Bytes, row: Any, cursor: Any) -> None:
    """Read a PPP protocol number, with or without address and control (RFC 1661, 1662)."""
    if not at.has(row, cursor, cursor.position + 2):
        return
    # Only PPPoE has no address and control; `kind` is its EtherType then.
    if cursor.kind != 0x8864 and be16(data, cursor.position) == 0xFF03:
        cursor.position += 2
        if not at.has(row, cursor, cursor.position + 2):
            return
    kind = u8(data, cursor.position)
    cursor.position += 1
    if kind & 1 == 0:
        kind = kind << 8 | u8(data, cursor.position)
        cursor.position += 1
    if kind == 0x21 or kind == 0x0800:
        cursor.layer = at.IPV4
    elif kind == 0x57 or kind == 0x86DD:
        cursor.layer = at.IPV6
    elif kind == 0x281 or kind == 0x283:
        cursor.layer = at.MPLS
    else:
        at.stop(row, at.NOT_IP)


@inner_plain
def mpls(data: Bytes, row: Any, cursor: Any) -> None:
    """Read an MPLS label stack (RFC 3032); what follows is told by its first nibble (RFC 4928)."""
    bottom = 0
    while bottom == 0:
        if not at.has(row, cursor, cursor.position + 4):
            return
        entry = be32(data, cursor.position)
        if row.mpls_label < 0:
            row.mpls_label = entry >> 12
        bottom = entry & 0x100
        cursor.position += 4
    if not at.has(row, cursor, cursor.position + 1):
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


@inner_plain
def _pseudowire(data: Bytes, row: Any, cursor: Any, nibble: int) -> None:
    # RFC 4448: an Ethernet frame, with a control word (RFC 4385) or without. The word's flags and
    # length are 0 for Ethernet, and hardly any frame is sent to a MAC that begins with 00:00.
    if not at.has(row, cursor, cursor.position + 4):
        return
    if nibble == 1:
        at.stop(row, at.NOT_IP)  # associated channel (RFC 5586)
        return
    if be16(data, cursor.position) == 0:
        cursor.position += 4
    at.enter_frame(row, cursor)
