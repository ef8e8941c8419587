"""Tunnels: what was read so far becomes the outer packet, what follows is the row's packet.

The `tunnel` record keeps the outermost one; tunnels inside it are passed on the way in and counted.
"""

from typing import Any

import numpy as np

from tracer.core.enums import Encap
from tracer.sources.decode import cursor as at
from tracer.sources.decode.jit import inner
from tracer.sources.decode.load import Bytes, be16, be32, u8

GRE = int(Encap.GRE)
NVGRE = int(Encap.NVGRE)
IPIP = int(Encap.IPIP)
SIT = int(Encap.SIT)
IP6TNL = int(Encap.IP6TNL)

MAX_TUNNELS = 100  # fits the int8 column; deeper is noise

_NULL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_CHECKSUM, _ROUTING, _KEY, _SEQUENCE, _ACKNOWLEDGE = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
_ETHERNET, _ERSPAN, _ERSPAN_3 = 0x6558, 0x88BE, 0x22EB


@inner
def enter(row: Any, cursor: Any, tunnel: Any, encap: int, vni: int) -> None:
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
    _forget(row)


@inner
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


@inner
def ip_in_ip(row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter IPv4 (protocol 4) or IPv6 (41) carried in either (RFC 2003, 4213, 2473)."""
    inner = cursor.kind
    encap = IP6TNL
    if row.ip_version == 4:
        encap = IPIP if inner == 4 else SIT
    enter(row, cursor, tunnel, encap, -1)
    cursor.kind = 0x0800 if inner == 4 else 0x86DD
    cursor.layer = at.ETHERTYPE


@inner
def gre(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter GRE (RFC 2784, 2890), NVGRE (RFC 7637), ERSPAN or PPTP's GRE (RFC 2637)."""
    start = cursor.position
    if not at.has(row, cursor, 4):
        return
    flags = be16(data, start)
    kind = be16(data, start + 2)
    if flags & _ROUTING or flags & 7 > 1:
        at.stop(row, at.UNKNOWN_PROTOCOL)
        return
    header, key_at = _gre_length(flags)
    if not at.has(row, cursor, header):
        return
    cursor.position = start + header
    key = be32(data, start + key_at) if flags & _KEY and flags & 7 == 0 else -1
    if kind == _ETHERNET and flags & (_CHECKSUM | _SEQUENCE) == 0 and _is_vsid(key):
        enter(row, cursor, tunnel, NVGRE, key >> 8)
    else:
        enter(row, cursor, tunnel, GRE, key)
    cursor.kind = kind
    cursor.layer = at.ETHERTYPE
    if kind in (_ERSPAN, _ERSPAN_3):
        _erspan(data, row, cursor, flags)


@inner
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


@inner
def _is_vsid(key: int) -> bool:
    # NVGRE and Ethernet over GRE with a key look alike. Virtual subnet ids start at 0x1000
    # (RFC 7637, 3.2) and stand in the upper 24 bits; keys as OVS and Linux set them are smaller.
    return key >> 8 >= 0x1000


@inner
def _erspan(data: Bytes, row: Any, cursor: Any, flags: int) -> None:
    # draft-foschiano-erspan: type I has no header and no sequence number, II 8 bytes, III 12 and 8
    # more when its last bit is set.
    header = 0
    if cursor.kind == _ERSPAN_3:
        header = 12
    elif flags & _SEQUENCE:
        header = 8
    cursor.layer = at.DONE
    if not at.has(row, cursor, header):
        return
    if header == 12 and u8(data, cursor.position + 11) & 1:
        header = 20
    cursor.position += header
    at.enter_frame(row, cursor)
