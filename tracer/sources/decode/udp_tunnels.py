"""Tunnels over UDP: each function reads its header, enters, and names what is inside."""

from typing import Any

import numpy as np

from tracer.core.enums import Encap
from tracer.core.jit import inner_plain
from tracer.sources.decode import cursor as at
from tracer.sources.decode.load import Bytes, be16, be32, u8
from tracer.sources.decode.tunnel import NO_VNI, enter, enter_version

# Not plain numbers, for which numba would compile `enter` again and again.
VXLAN = np.int64(Encap.VXLAN)
VXLAN_GPE = np.int64(Encap.VXLAN_GPE)
GENEVE = np.int64(Encap.GENEVE)
GTP = np.int64(Encap.GTP)
TEREDO = np.int64(Encap.TEREDO)
L2TP = np.int64(Encap.L2TP)
LISP = np.int64(Encap.LISP)
TZSP = np.int64(Encap.TZSP)
CAPWAP = np.int64(Encap.CAPWAP)
AYIYA = np.int64(Encap.AYIYA)

_T_PDU = 255


@inner_plain
def vxlan(data: Bytes, row: Any, cursor: Any, tunnel: Any, is_picky: bool) -> None:
    """Enter VXLAN (RFC 7348); at a port that is not its own only if flag I says so."""
    start = cursor.position
    if not at.has(row, cursor, start + 8) or (is_picky and u8(data, start) & 0x08 == 0):
        return
    cursor.position = start + 8
    enter(row, cursor, tunnel, VXLAN, be32(data, start + 4) >> 8)
    at.enter_frame(row, cursor)


@inner_plain
def vxlan_gpe(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe): flag P says that the inner type is given."""
    start = cursor.position
    if not at.has(row, cursor, start + 8):
        return
    kind = u8(data, start + 3)
    if kind < 1 or kind > 5:
        at.stop(row, at.UNKNOWN_PROTOCOL)
        return
    cursor.position = start + 8
    enter(row, cursor, tunnel, VXLAN_GPE, be32(data, start + 4) >> 8)
    at.enter_next(row, cursor, kind)


@inner_plain
def geneve(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter Geneve (RFC 8926), past its options."""
    start = cursor.position
    if not at.has(row, cursor, start + 8) or u8(data, start) >> 6 != 0:
        return
    header = 8 + (u8(data, start) & 0x3F) * 4
    if not at.has(row, cursor, start + header):
        return
    cursor.position = start + header
    cursor.kind = be16(data, start + 2)
    enter(row, cursor, tunnel, GENEVE, be32(data, start + 4) >> 8)
    cursor.layer = at.ETHERTYPE


@inner_plain
def gtp(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter a user packet of GTPv1-U (3GPP TS 29.281, 5) or GTPv0 (TS 09.60); `vni` is the TEID."""
    start = cursor.position
    if not at.has(row, cursor, start + 8) or u8(data, start + 1) != _T_PDU:
        return
    flags = u8(data, start)
    end = start + 8
    vni: Any = be32(data, start + 4)
    if flags >> 5 == 0:
        end = start + 20
    elif flags >> 4 != 3:
        return
    elif flags & 7:
        end = start + 12
    if not at.has(row, cursor, end):
        return
    if flags >> 5 == 0:
        vni = NO_VNI
    elif flags & 4:
        end = _gtp_extensions(data, row, cursor, end)
    if end > 0 and at.has(row, cursor, end):
        cursor.position = end
        enter_version(data, row, cursor, tunnel, GTP, vni)


@inner_plain
def _gtp_extensions(data: Bytes, row: Any, cursor: Any, end: int) -> Any:
    # Extension headers count in 4 bytes; the last byte of each names the next (TS 29.281, 5.2).
    kind = u8(data, end - 1)
    while kind != 0:
        if not at.has(row, cursor, end + 1):
            return -1
        length = u8(data, end) * 4
        if length == 0 or not at.has(row, cursor, end + length):
            return -1
        end += length
        kind = u8(data, end - 1)
    return end


@inner_plain
def teredo(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter Teredo (RFC 4380, 5.1.1), past authentication and origin indication."""
    start = cursor.position
    if not at.has(row, cursor, start + 4):
        return
    if be16(data, start) == 1:
        start += 13 + u8(data, start + 2) + u8(data, start + 3)
        if not at.has(row, cursor, start + 2):
            return
    if be16(data, start) == 0:
        start += 8
    if at.has(row, cursor, start + 1) and u8(data, start) >> 4 == 6:
        cursor.position = start
        enter_version(data, row, cursor, tunnel, TEREDO, NO_VNI)


@inner_plain
def l2tp(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter a data message of L2TP version 2 (RFC 2661, 3.1): PPP; `vni` is the session's id.

    What a version 3 session carries is agreed in its control messages, not told in the packet.
    """
    start = cursor.position
    if not at.has(row, cursor, start + 2):
        return
    flags = be16(data, start)
    if flags & 0x8000 or flags & 0xF != 2:
        return
    session = start + (6 if flags & 0x4000 else 4)
    end = session + (6 if flags & 0x0800 else 2)
    if flags & 0x0200:
        if not at.has(row, cursor, end + 2):
            return
        end += 2 + be16(data, end)
    if at.has(row, cursor, end):
        cursor.position = end
        enter(row, cursor, tunnel, L2TP, be16(data, session))
        cursor.layer = at.PPP


@inner_plain
def lisp(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter a LISP data packet (RFC 9300, 5)."""
    if at.has(row, cursor, cursor.position + 9):
        cursor.position += 8
        enter_version(data, row, cursor, tunnel, LISP, NO_VNI)


@inner_plain
def tzsp(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter TZSP, as wireless bridges and routers mirror frames: only Ethernet is read."""
    start = cursor.position
    if not at.has(row, cursor, start + 5) or be16(data, start + 2) != 1:
        return
    end = start + 4
    while u8(data, end) != 1:  # tagged fields: 0 is padding, 1 the end
        end += 1 if u8(data, end) == 0 else 2 + u8(data, end + 1)
        if not at.has(row, cursor, end + 2):
            return
    cursor.position = end + 1
    enter(row, cursor, tunnel, TZSP, NO_VNI)
    at.enter_frame(row, cursor)


@inner_plain
def capwap(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter CAPWAP data (RFC 5415, 4.3) that holds whole 802.3 frames; 802.11 is not read."""
    start = cursor.position
    if not at.has(row, cursor, start + 8):
        return
    word = be32(data, start)
    # Preamble 0 (plain), native frame format bit clear, no fragment.
    if word >> 24 & 0xF or word & 0x100 or word & 0x80:
        return
    end = start + (word >> 19 & 0x1F) * 4
    if end >= start + 8 and at.has(row, cursor, end):
        cursor.position = end
        enter(row, cursor, tunnel, CAPWAP, NO_VNI)
        at.enter_frame(row, cursor)


@inner_plain
def ayiya(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter AYIYA (draft-massar-v6ops-ayiya), as tunnel brokers used it."""
    start = cursor.position
    if not at.has(row, cursor, start + 8):
        return
    end = start + 8 + (1 << (u8(data, start) >> 4)) + (u8(data, start + 1) >> 4) * 4
    proto = u8(data, start + 3)
    if (proto == 41 or proto == 4) and at.has(row, cursor, end + 1):
        cursor.position = end
        enter_version(data, row, cursor, tunnel, AYIYA, NO_VNI)
