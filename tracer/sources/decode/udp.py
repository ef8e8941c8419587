"""UDP (RFC 768), and the tunnels that are known by their UDP port."""

from typing import Any

from tracer.core.enums import Encap
from tracer.sources.decode import cursor as at
from tracer.sources.decode.digest import payload
from tracer.sources.decode.jit import inner
from tracer.sources.decode.load import Bytes, be16, be32, u8
from tracer.sources.decode.tunnel import enter

VXLAN = int(Encap.VXLAN)
VXLAN_GPE = int(Encap.VXLAN_GPE)
GENEVE = int(Encap.GENEVE)


@inner
def ports(data: Bytes, row: Any, cursor: Any) -> None:
    """Fill both ports, the first four bytes of TCP, UDP and SCTP."""
    start = cursor.position
    if start + 2 <= cursor.captured_end:
        row.sport = be16(data, start)
    if start + 4 <= cursor.captured_end:
        row.dport = be16(data, start + 2)


@inner
def udp(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Read a UDP or UDP-Lite header (RFC 3828) and go on into a tunnel, if it is one."""
    ports(data, row, cursor)
    if not at.has(row, cursor, 8):
        return
    cursor.position += 8
    # The destination port alone: as a source port these are ordinary ephemeral ports.
    if row.dport == 4789 or row.dport == 8472:
        vxlan(data, row, cursor, tunnel)
    elif row.dport == 6081:
        geneve(data, row, cursor, tunnel)
    elif row.dport == 4790:
        vxlan_gpe(data, row, cursor, tunnel)
    if cursor.layer == at.DONE:
        payload(data, row, cursor)


@inner
def vxlan(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter VXLAN (RFC 7348), which says by flag I that its VNI is valid."""
    start = cursor.position
    if at.has(row, cursor, 8) and u8(data, start) & 0x08:
        cursor.position = start + 8
        enter(row, cursor, tunnel, VXLAN, be32(data, start + 4) >> 8)
        at.enter_frame(row, cursor)


@inner
def vxlan_gpe(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe): flag P says that the inner type is given."""
    start = cursor.position
    if not at.has(row, cursor, 8) or not u8(data, start) & 0x08:
        return
    kind = u8(data, start + 3) if u8(data, start) & 0x04 else 3
    if kind < 1 or kind > 3:
        at.stop(row, at.UNKNOWN_PROTOCOL)
        return
    cursor.position = start + 8
    enter(row, cursor, tunnel, VXLAN_GPE, be32(data, start + 4) >> 8)
    if kind == 3:
        at.enter_frame(row, cursor)
    else:
        cursor.kind = 0x0800 if kind == 1 else 0x86DD
        cursor.layer = at.ETHERTYPE


@inner
def geneve(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Enter Geneve (RFC 8926), past its options."""
    start = cursor.position
    if not at.has(row, cursor, 8) or u8(data, start) >> 6 != 0:
        return
    header = 8 + (u8(data, start) & 0x3F) * 4
    if not at.has(row, cursor, header):
        return
    cursor.position = start + header
    cursor.kind = be16(data, start + 2)
    enter(row, cursor, tunnel, GENEVE, be32(data, start + 4) >> 8)
    cursor.layer = at.ETHERTYPE
