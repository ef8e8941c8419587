"""UDP (RFC 768), and which tunnel is known by which port."""

from typing import Any

from tracer.core.jit import inner_plain
from tracer.sources.decode import cursor as at
from tracer.sources.decode import udp_tunnels as tunnels
from tracer.sources.decode.digest import payload
from tracer.sources.decode.load import Bytes, be16

_SYSTEM_PORTS = 1024  # below: services (RFC 6335)


@inner_plain
def ports(data: Bytes, row: Any, cursor: Any) -> None:
    """Fill both ports, the first four bytes of TCP, UDP, DCCP and SCTP."""
    start = cursor.position
    if start + 2 <= cursor.captured_end:
        row.sport = be16(data, start)
    if start + 4 <= cursor.captured_end:
        row.dport = be16(data, start + 2)


@inner_plain
def udp(data: Bytes, row: Any, cursor: Any, tunnel: Any) -> None:
    """Read a UDP or UDP-Lite header (RFC 3828) and go on into a tunnel, if it is one."""
    ports(data, row, cursor)
    if not at.has(row, cursor, cursor.position + 8):
        return
    start = cursor.position
    cursor.position = start + 8
    port = _tunnel_port(row.sport, row.dport)
    if port != 0 and _limit(data, row, cursor, start):
        cursor.datagram = cursor.position
        cursor.datagram_tunnels = cursor.tunnels
        cursor.datagram_captured_end = cursor.captured_end
        cursor.datagram_wire_end = cursor.wire_end
        _enter(data, row, cursor, tunnel, port)
    if cursor.layer == at.DONE:
        payload(data, row, cursor)


@inner_plain
def _limit(data: Bytes, row: Any, cursor: Any, start: int) -> bool:
    # End the packet where its UDP length says; of UDP-Lite the field is another.
    length = be16(data, start + 4)
    if row.proto == 136:
        return True
    if length < 8:
        at.stop(row, at.MALFORMED)
        return False
    cursor.wire_end = min(cursor.wire_end, start + length)
    cursor.captured_end = min(cursor.captured_end, cursor.wire_end)
    return True


@inner_plain
def _tunnel_port(sport: int, dport: int) -> Any:
    # As Wireshark: the lower of the two tells, if it has a meaning at all; and no client of a
    # service below 1024 is a tunnel, whatever port it happens to come from.
    low, high = sport, dport
    if low > high:
        low, high = high, low
    if _is_tunnel(low):
        return low
    return high if low >= _SYSTEM_PORTS and _is_tunnel(high) else 0


@inner_plain
def _is_tunnel(port: int) -> bool:
    if port < 4789:
        return (
            port == 2152 or port == 1701 or port == 3544 or port == 4341
            or port == 2123 or port == 3386 or port == 4754
        )  # fmt: skip
    return (
        port == 4789 or port == 6081 or port == 8472 or port == 4790
        or port == 6635 or port == 37008 or port == 5247 or port == 5072
    )  # fmt: skip


@inner_plain
def _enter(data: Bytes, row: Any, cursor: Any, tunnel: Any, port: int) -> None:
    if port == 4789 or port == 8472:  # Linux took 8472 before there was 4789
        tunnels.vxlan(data, row, cursor, tunnel, port == 8472)
    elif port == 6081:
        tunnels.geneve(data, row, cursor, tunnel)
    elif port == 4790:
        tunnels.vxlan_gpe(data, row, cursor, tunnel)
    elif port == 2152 or port == 2123 or port == 3386:  # user and control plane, version 0
        tunnels.gtp(data, row, cursor, tunnel)
    elif port == 3544:
        tunnels.teredo(data, row, cursor, tunnel)
    elif port == 1701:
        tunnels.l2tp(data, row, cursor, tunnel)
    elif port == 6635:  # MPLS in UDP (RFC 7510)
        cursor.kind = 137
        cursor.layer = at.TRANSPORT
    elif port == 4754:  # GRE in UDP (RFC 8086)
        cursor.layer = at.GRE
    elif port == 4341:
        tunnels.lisp(data, row, cursor, tunnel)
    elif port == 37008:
        tunnels.tzsp(data, row, cursor, tunnel)
    elif port == 5247:
        tunnels.capwap(data, row, cursor, tunnel)
    else:
        tunnels.ayiya(data, row, cursor, tunnel)
