"""Link types (tcpdump.org/linktypes.html): where the first header stands and what it is."""

from typing import Any

from tracer.core.jit import inner_plain
from tracer.core.point import Direction
from tracer.sources.decode import cursor as at
from tracer.sources.decode.load import Bytes, be16, be32, be48, u8
from tracer.sources.decode.nflog import nflog

NULL, ETHERNET, PPP, LOOP = 0, 1, 9, 108
PPP_HDLC, PPPOE, CISCO_HDLC = 50, 51, 104
PPP_WITH_DIR, MPLS, ENC = 204, 219, 109
RAW, RAW_BSD, RAW_OPENBSD, IPV4, IPV6 = 101, 12, 14, 228, 229
LINUX_SLL, LINUX_SLL2, NFLOG = 113, 276, 239
KNOWN = frozenset(
    (
        NULL,
        ETHERNET,
        PPP,
        PPP_HDLC,
        PPPOE,
        CISCO_HDLC,
        LOOP,
        RAW,
        RAW_BSD,
        RAW_OPENBSD,
        IPV4,
        IPV6,
        LINUX_SLL,
        LINUX_SLL2,
        NFLOG,
        PPP_WITH_DIR,
        MPLS,
        ENC,
    )
)

_INGRESS, _EGRESS = int(Direction.INGRESS), int(Direction.EGRESS)
_OUTGOING = 4  # PACKET_OUTGOING of <linux/if_packet.h>
_ARPHRD_NETLINK, _ARPHRD_IPGRE = 824, 778
_AF_INET = 2
_AF_INET6 = (10, 24, 28, 30)  # Linux, NetBSD, FreeBSD, Darwin


@inner_plain
def link(data: Bytes, row: Any, cursor: Any, linktype: int) -> None:
    """Point the cursor at the packet's first layer."""
    if linktype == ETHERNET:
        cursor.layer = at.ETHERNET
    elif linktype == LINUX_SLL:
        _sll(data, row, cursor)
    elif linktype == LINUX_SLL2:
        _sll2(data, row, cursor)
    elif linktype == RAW or linktype in (IPV4, IPV6) or linktype in (RAW_BSD, RAW_OPENBSD):
        cursor.layer = at.IP
    elif linktype in (NULL, LOOP):
        _null(data, row, cursor)
    elif linktype == PPPOE:
        cursor.kind = 0x8864
        cursor.layer = at.ETHERTYPE
    elif linktype in (PPP, PPP_HDLC, CISCO_HDLC):
        _serial(data, row, cursor)
    elif linktype == NFLOG:
        nflog(data, row, cursor)
    elif linktype == MPLS:
        cursor.layer = at.MPLS
    elif linktype == PPP_WITH_DIR:
        _directed(data, row, cursor)
    elif linktype == ENC and at.has(row, cursor, cursor.position + 12):
        # OpenBSD's IPsec: family, SPI and flags; then the packet in the clear.
        cursor.position += 12
        cursor.layer = at.IP
    else:
        at.stop(row, at.UNKNOWN_PROTOCOL)


@inner_plain
def _serial(data: Bytes, row: Any, cursor: Any) -> None:
    # PPP, or Cisco's HDLC: address, control 0 and an EtherType.
    start = cursor.position
    cursor.layer = at.PPP
    if start < cursor.captured_end and u8(data, start) & 0x7F == 0x0F:
        cursor.layer = at.DONE
        if at.has(row, cursor, start + 4):
            cursor.kind = be16(data, start + 2)
            cursor.position = start + 4
            cursor.layer = at.ETHERTYPE


@inner_plain
def _directed(data: Bytes, row: Any, cursor: Any) -> None:
    # A byte before the frame: 0 received, else sent.
    start = cursor.position
    if at.has(row, cursor, start + 1):
        cursor.direction = _INGRESS if u8(data, start) == 0 else _EGRESS
        cursor.position = start + 1
        _serial(data, row, cursor)


@inner_plain
def _sll(data: Bytes, row: Any, cursor: Any) -> None:
    # Packet type, ARPHRD type, address length, address in 8 bytes, protocol: 16 bytes.
    start = cursor.position
    captured = cursor.captured_end - start
    if captured >= 2:
        cursor.direction = _EGRESS if be16(data, start) == _OUTGOING else _INGRESS
    if captured >= 12 and be16(data, start + 4) == 6:
        row.src_mac = be48(data, start + 6)
    if at.has(row, cursor, start + 16):
        _cooked(row, cursor, 16, be16(data, start + 2), be16(data, start + 14))


@inner_plain
def _sll2(data: Bytes, row: Any, cursor: Any) -> None:
    # Protocol, two reserved bytes, interface index, ARPHRD type, packet type, address length,
    # address in 8 bytes: 20 bytes.
    start = cursor.position
    captured = cursor.captured_end - start
    if captured >= 8:
        cursor.ifindex = be32(data, start + 4)
    if captured >= 11:
        cursor.direction = _EGRESS if u8(data, start + 10) == _OUTGOING else _INGRESS
    if captured >= 18 and u8(data, start + 11) == 6:
        row.src_mac = be48(data, start + 12)
    if at.has(row, cursor, start + 20):
        _cooked(row, cursor, 20, be16(data, start + 8), be16(data, start))


@inner_plain
def _cooked(row: Any, cursor: Any, header: int, hardware: int, protocol: int) -> None:
    cursor.position += header
    if hardware == _ARPHRD_NETLINK or protocol < 0x600:
        at.stop(row, at.NOT_IP)
        return
    cursor.kind = protocol
    cursor.layer = at.ETHERTYPE


@inner_plain
def _null(data: Bytes, row: Any, cursor: Any) -> None:
    # An address family in the byte order of the host that captured (LOOP: big-endian).
    if not at.has(row, cursor, cursor.position + 4):
        return
    start = cursor.position
    family = be32(data, start)
    if family > 0xFFFF:
        family = u8(data, start) | u8(data, start + 1) << 8
    cursor.position = start + 4
    if family == _AF_INET:
        cursor.layer = at.IPV4
    elif family in _AF_INET6:
        cursor.layer = at.IPV6
    else:
        at.stop(row, at.NOT_IP)
