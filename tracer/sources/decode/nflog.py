"""NFLOG (linux/netfilter/nfnetlink_log.h): what a rule logs, as `tcpdump -i nflog:GROUP` writes it.

A header (address family, version, group), then attributes. Their lengths and types are in the byte
order of the host that captured, their values big-endian. The packet is one of them.
"""

from typing import Any

from tracer.core.jit import inner_plain
from tracer.core.point import Direction
from tracer.sources.decode import cursor as at
from tracer.sources.decode.load import Bytes, be16, be32, be48, u8

#: Names of hooks; the cursor numbers them so, IP and bridges as their kernel does.
HOOKS = (
    *("prerouting", "input", "forward", "output", "postrouting"),
    *("ingress", "egress", "brouting"),
)
_INPUT, _FORWARD, _OUTPUT, _POSTROUTING, _INGRESS, _EGRESS, _BROUTING = range(1, 8)

#: Values of `cursor.late`: its time is when it was read; the same of a packet that is forwarded.
LATE, LATE_FORWARDED = 1, 2

_INWARD, _OUTWARD = int(Direction.INGRESS), int(Direction.EGRESS)
# Families of linux/netfilter.h (NFPROTO), and attributes (NFULA).
_IPV4, _ARP, _NETDEV, _BRIDGE, _IPV6 = 2, 3, 5, 7, 10
_HEADER, _STAMP, _IN, _OUT, _PORT_IN, _PORT_OUT, _ADDRESS, _PAYLOAD = 1, 3, 4, 5, 6, 7, 8, 9
_LINK_HEADER, _VLAN, _WHOLE_LINK_HEADER = 16, 20, 21
_LEAST = 20  # bytes of what is logged, IPv4's header
_LAST_SECOND = 1 << 32  # the year 2106, as in other captures


@inner_plain
def nflog(data: Bytes, row: Any, cursor: Any) -> None:
    """Read a message up to its packet.

    The packet's time is the kernel's, if it stamped it; `cursor.late` says where it did not.
    """
    start = cursor.position
    cursor.late = LATE
    if not at.has(row, cursor, start + 4):
        return
    family = u8(data, start)
    place = start + 4
    while at.has(row, cursor, place + 4):
        # Types are small: the byte that is not 0 is the low one. The highest bit is a flag.
        if u8(data, place + 3) & 0x7F == 0:
            kind, length = u8(data, place + 2), u8(data, place) | u8(data, place + 1) << 8
        else:
            kind, length = u8(data, place + 3), be16(data, place)
        if length < 4:
            at.stop(row, at.MALFORMED)
            return
        if kind == _PAYLOAD:
            _enter(data, row, cursor, family, place + 4, place + length)
            return
        if not at.has(row, cursor, place + length):
            return
        _where(data, row, cursor, family, kind, place + 4, length - 4)
        _link_header(data, row, cursor, family, kind, place + 4, length - 4)
        place += (length + 3) // 4 * 4


@inner_plain
def _where(
    data: Bytes, row: Any, cursor: Any, family: int, kind: int, start: int, length: int
) -> None:
    # The device is the one that the packet came by or goes to; of a bridge, its port.
    if kind == _HEADER and length >= 3:
        cursor.kind = be16(data, start)
        cursor.hook = _hook(family, u8(data, start + 2))
        if cursor.hook >= 0:
            cursor.direction = _OUTWARD if _is_outward(cursor.hook) else _INWARD
    elif kind == _STAMP and length >= 16:
        seconds = be32(data, start) << 32 | be32(data, start + 4)
        if 0 < seconds < _LAST_SECOND:
            row.time_ns = seconds * 1_000_000_000 + be32(data, start + 12) * 1000
            cursor.late = 0
    elif kind == _IN and cursor.direction == _OUTWARD:
        cursor.late = LATE_FORWARDED
    elif length >= 4 and (
        (kind in (_OUT, _PORT_OUT) and cursor.direction == _OUTWARD)
        or (kind in (_IN, _PORT_IN) and cursor.direction == _INWARD)
    ):
        cursor.ifindex = be32(data, start)


@inner_plain
def _hook(family: int, number: int) -> int:
    if family == _NETDEV:
        return _INGRESS + number if number <= 1 else -1
    if family == _ARP:
        return (_INPUT, _OUTPUT, _FORWARD)[number] if number <= 2 else -1
    if family == _BRIDGE and number == 5:
        return _BROUTING
    return number if number <= 5 else -1


@inner_plain
def _is_outward(hook: int) -> bool:
    return _FORWARD <= hook <= _POSTROUTING or hook == _EGRESS


@inner_plain
def _link_header(
    data: Bytes, row: Any, cursor: Any, family: int, kind: int, start: int, length: int
) -> None:
    # A routed packet on its way out still has the header that it came with.
    if cursor.direction == _OUTWARD and family not in (_BRIDGE, _NETDEV):
        return
    if kind in (_LINK_HEADER, _WHOLE_LINK_HEADER) and length >= 14:
        row.dst_mac = be48(data, start)
        row.src_mac = be48(data, start + 6)
        cursor.tags = 0
    elif kind == _ADDRESS and length >= 10 and be16(data, start) == 6:
        row.src_mac = be48(data, start + 4)
    elif kind == _VLAN and length >= 16:
        # Attributes again: protocol, and the tag, which is the second one.
        row.vlan = be16(data, start + 12) & 0xFFF


@inner_plain
def _enter(data: Bytes, row: Any, cursor: Any, family: int, start: int, end: int) -> None:
    header = 0
    if family == _NETDEV and cursor.hook == _EGRESS and row.dst_mac != at.NULL_MAC:
        cursor.layer = at.ETHERNET  # the frame itself, where the device has link headers
        header = 14
    elif family == _IPV4:
        cursor.layer = at.IPV4
    elif family == _IPV6:
        cursor.layer = at.IPV6
    else:
        cursor.layer = at.ETHERTYPE
    cursor.position = start
    cursor.captured_end = min(cursor.captured_end, end)
    cursor.wire_end = max(end, _ip_end(data, start + header, cursor.captured_end))
    if cursor.layer in (at.IPV4, at.IPV6):
        row.ethertype = 0x0800 if family == _IPV4 else 0x86DD


@inner_plain
def _ip_end(data: Bytes, start: int, captured_end: int) -> int:
    # The kernel copies no more than tcpdump asks for (`-s`), and does not say how much there was.
    version = u8(data, start) >> 4 if start + 6 <= captured_end else 0
    if version == 4:
        return start + be16(data, start + 2)
    if version == 6:
        return start + 40 + be16(data, start + 4)
    return start + _LEAST
