"""Tunnels: what was read so far becomes the outer packet, what follows is the row's packet.

The `tunnel` record keeps the outermost one; tunnels inside it are passed on the way in and counted.
"""

from typing import Any

import numpy as np

from tracer.core.enums import Encap
from tracer.core.jit import inner_plain
from tracer.sources.decode import cursor as at
from tracer.sources.decode.digest import payload
from tracer.sources.decode.load import Bytes, be16, be32, u8

# Not plain numbers, for which numba would compile `enter` again and again.
GRE = np.int64(Encap.GRE)
NVGRE = np.int64(Encap.NVGRE)
IPIP = np.int64(Encap.IPIP)
SIT = np.int64(Encap.SIT)
IP6TNL = np.int64(Encap.IP6TNL)
MPLS = np.int64(Encap.MPLS)
ETHERIP = np.int64(Encap.ETHERIP)
ETHERNET = np.int64(Encap.ETHERNET)
ERSPAN = np.int64(Encap.ERSPAN)
NO_VNI = np.int64(-1)

MAX_TUNNELS = 100  # fits the int8 column; deeper is noise

_NULL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_CHECKSUM, _ROUTING, _KEY, _SEQUENCE, _ACKNOWLEDGE = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
_ETHERNET, _ERSPAN, _ERSPAN_3, _PPP = 0x6558, 0x88BE, 0x22EB, 0x880B


@inner_plain
def enter(row: Any, cursor: Any, tunnel: Any, encap: Any, vni: Any) -> None:
    """Keep the outermost header in `tunnel` (`vni` -1: none) and forget it in the row."""
    if cursor.tunnels == 0:
        tunnel.outer_src_hi = row.src_hi
        tunnel.outer_src_lo = row.src_lo
        tunnel.outer_dst_hi = row.dst_hi
        tunnel.outer_dst_lo = row.dst_lo
        tunnel.outer_src_mac = row.src_mac
        tunnel.outer_dst_mac = row.dst_mac
        tunnel.outer_ip_id = row.ip_id
        tunnel.vni = vni
        tunnel.outer_sport = row.sport
        tunnel.outer_dport = row.dport
        tunnel.outer_ttl = row.ttl
        tunnel.outer_vlan = row.vlan
        tunnel.encap = encap
    cursor.tunnels = min(cursor.tunnels + 1, MAX_TUNNELS)
    tunnel.tunnels = cursor.tunnels
    _copy(row, cursor)
    _forget(row)


@inner_plain
def come_out(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Make the carrying packet the row's again, where the last tunnel holds neither IP nor ARP.

    So, too, where the capture ends before the inner TTL. Call when all layers were read; `decode`
    keeps saying why there was nothing more to read. A NAT gives ports of tunnels to packets that
    are none: bytes behind UDP are the row's payload, as they are where its ports are others.
    """
    if cursor.tunnels > 0 and row.ttl < 0 and cursor.arp == 0:
        _copy(cursor, row)
        cursor.tunnels -= 1
        tunnel.tunnels = cursor.tunnels
    if cursor.datagram > 0 and cursor.tunnels == cursor.datagram_tunnels:
        cursor.position = cursor.datagram
        cursor.captured_end = cursor.datagram_captured_end
        cursor.wire_end = cursor.datagram_wire_end
        row.payload_digest = 0
        payload(data, row, cursor)


@inner_plain
def _copy(source: Any, target: Any) -> None:
    # cursor.REPLACED, in its order.
    target.src_hi = source.src_hi
    target.src_lo = source.src_lo
    target.dst_hi = source.dst_hi
    target.dst_lo = source.dst_lo
    target.src_mac = source.src_mac
    target.dst_mac = source.dst_mac
    target.ip_id = source.ip_id
    target.ip_len = source.ip_len
    target.frag_offset = source.frag_offset
    target.flow_label = source.flow_label
    target.sport = source.sport
    target.dport = source.dport
    target.ethertype = source.ethertype
    target.vlan = source.vlan
    target.vlan_inner = source.vlan_inner
    target.ttl = source.ttl
    target.tos = source.tos
    target.proto = source.proto
    target.ip_version = source.ip_version
    target.df = source.df
    target.more_fragments = source.more_fragments


@inner_plain
def _forget(row: Any) -> None:
    row.src_hi = _NULL
    row.src_lo = _NULL
    row.dst_hi = _NULL
    row.dst_lo = _NULL
    row.ip_id = -1
    row.ip_len = -1
    row.frag_offset = -1
    row.flow_label = -1
    row.sport = -1
    row.dport = -1
    row.ttl = -1
    row.tos = -1
    row.proto = -1
    row.ip_version = -1
    row.df = -1
    row.more_fragments = -1


@inner_plain
def ip_in_ip(row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter IPv4 (protocol 4) or IPv6 (41) carried in either (RFC 2003, 4213, 2473)."""
    inner = cursor.kind
    encap = IP6TNL
    if row.ip_version == 4:
        encap = IPIP if inner == 4 else SIT
    enter(row, cursor, tunnel, encap, NO_VNI)
    cursor.kind = 0x0800 if inner == 4 else 0x86DD
    cursor.layer = at.ETHERTYPE


@inner_plain
def enter_version(data: Bytes, row: Any, cursor: Any, tunnel: Any, encap: Any, vni: Any) -> None:
    """Enter the IP packet at the cursor, if the nibble there says that it is one."""
    if not at.has(row, cursor, cursor.position + 1):
        return
    version = u8(data, cursor.position) >> 4
    if version == 4 or version == 6:
        enter(row, cursor, tunnel, encap, vni)
        cursor.kind = 0x0800 if version == 4 else 0x86DD
        cursor.layer = at.ETHERTYPE


@inner_plain
def carried(row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter what an IP header carries without a header of UDP: MPLS, EtherIP, Ethernet."""
    proto = cursor.kind
    if proto == 137:
        enter(row, cursor, tunnel, MPLS, NO_VNI)
        cursor.layer = at.MPLS
    elif proto == 143:
        enter(row, cursor, tunnel, ETHERNET, NO_VNI)
        at.enter_frame(row, cursor)
    elif at.has(row, cursor, cursor.position + 2):
        cursor.position += 2  # EtherIP's version and reserved bits
        enter(row, cursor, tunnel, ETHERIP, NO_VNI)
        at.enter_frame(row, cursor)


@inner_plain
def gre(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter GRE (RFC 2784, 2890), NVGRE (RFC 7637), ERSPAN or PPTP's GRE (RFC 2637)."""
    start = cursor.position
    if not at.has(row, cursor, start + 4):
        return
    flags = be16(data, start)
    kind = be16(data, start + 2)
    if flags & _ROUTING or flags & 7 > 1:
        at.stop(row, at.UNKNOWN_PROTOCOL)
        return
    header, key_at = _gre_length(flags)
    if not at.has(row, cursor, start + header):
        return
    cursor.position = start + header
    key = be32(data, start + key_at) if flags & _KEY and flags & 7 == 0 else NO_VNI
    if kind == _ETHERNET and flags & (_CHECKSUM | _SEQUENCE) == 0 and _is_vsid(key):
        enter(row, cursor, tunnel, NVGRE, key >> 8)
    else:
        mirrors = kind in (_ERSPAN, _ERSPAN_3)
        enter(row, cursor, tunnel, ERSPAN if mirrors else GRE, key)
    cursor.kind = kind
    cursor.layer = at.PPP if kind == _PPP else at.ETHERTYPE
    if kind in (_ERSPAN, _ERSPAN_3):
        _erspan(data, row, cursor, flags)


@inner_plain
def _gre_length(flags: int) -> tuple[int, int]:
    # Length of the header, and where the key stands in it.
    key_at = 8 if flags & _CHECKSUM else 4
    length = key_at
    if flags & _KEY:
        length += 4
    if flags & _SEQUENCE:
        length += 4
    if flags & 7 == 1 and flags & _ACKNOWLEDGE:
        length += 4
    return length, key_at


@inner_plain
def _is_vsid(key: Any) -> bool:
    # NVGRE and Ethernet over GRE with a key look alike. Virtual subnet ids start at 0x1000
    # (RFC 7637, 3.2) and stand in the upper 24 bits; keys as OVS and Linux set them are smaller.
    return bool(key >> 8 >= 0x1000)


@inner_plain
def _erspan(data: Bytes, row: Any, cursor: Any, flags: int) -> None:
    # draft-foschiano-erspan: type I has no header and no sequence number, II 8 bytes, III 12 and 8
    # more when its last bit is set.
    header = 0
    if cursor.kind == _ERSPAN_3:
        header = 12
    elif flags & _SEQUENCE:
        header = 8
    cursor.layer = at.DONE
    if not at.has(row, cursor, cursor.position + header):
        return
    if header == 12:
        if be16(data, cursor.position + 10) >> 10 & 0x1F:  # frame type: 0 is Ethernet
            at.stop(row, at.UNKNOWN_PROTOCOL)
            return
        if u8(data, cursor.position + 11) & 1:
            header = 20
    cursor.position += header
    at.enter_frame(row, cursor)
