"""Transport and ICMP headers rebuilt from columns, with how long they were with their payload."""

import struct

from tracer.report.pcapng.values import Values

Part = tuple[bytes, int]  # bytes rebuilt, bytes there were of it on the wire
_ICMP, _TCP, _UDP, _ICMPV6 = 1, 6, 17, 58
_ERRORS = {_ICMP: (3, 4, 5, 11, 12), _ICMPV6: (1, 2, 3, 4)}
_TIMESTAMPS = b"\x01\x01\x08\x0a"
_NOT_HELD = 254  # RFC 4727; `sources.decode` takes it for options it does not know


def transport(values: Values, room: int | None) -> Part:
    """Return the header behind the IP header; `room` bytes the packet had for it and its payload.

    Checksums are 0: they cannot be right without the payload.
    """
    proto, payload = values["proto"], values.get("payload_len")
    if proto == _TCP:
        header = _tcp(values, None if room is None or payload is None else room - payload)
    elif proto == _UDP:
        length = room if payload is None else payload + 8
        ports = values.need("sport"), values.need("dport")
        header = struct.pack(">HHHH", *ports, min(length or 8, 0xFFFF), 0)
    elif proto in _ERRORS:
        header = _icmp(values)
    else:
        header = b""
    return header, (len(header) + (payload or 0)) if room is None else max(room, len(header))


def _tcp(values: Values, size: int | None) -> bytes:
    options = b""
    if "tcp_tsval" in values:
        stamps = struct.pack(">II", values["tcp_tsval"], values.need("tcp_tsecr"))
        options = _TIMESTAMPS + stamps
    # Of options that no column holds there is the length, in one of a kind for experiments.
    missing = 0 if size is None else (size - 20) // 4 * 4 - len(options)
    if 0 < missing <= 40 - len(options):
        options += bytes((_NOT_HELD, missing)).ljust(missing, b"\0")
    offset = (20 + len(options)) // 4 << 12
    fields = (
        values.need("sport"), values.need("dport"), values.need("tcp_seq"),
        values.need("tcp_ack", told=values.get("tcp_flags", 0) & 0x10 > 0),
        offset | values.need("tcp_flags"), values.need("tcp_window", told=False), 0, 0,
    )  # fmt: skip
    return struct.pack(">HHIIHHHH", *fields) + options


def _icmp(values: Values) -> bytes:
    kind, code = values.need("icmp_type"), values.need("icmp_code")
    start = struct.pack(">BBH", kind, code, 0)
    if "icmp_id" in values:
        return start + struct.pack(">HH", values["icmp_id"], values.need("icmp_seq"))
    if kind in _ERRORS[values["proto"]] and "inner_src" in values and "inner_dst" in values:
        return start + bytes(4) + quoted(values)
    return start + bytes(4)


def quoted(values: Values) -> bytes:
    """Return the start of the packet an ICMP error quotes: its IP header and eight bytes."""
    proto = values.need("inner_proto")
    ends = values.get("inner_sport", 0), values.get("inner_dport", 0)
    if proto in (_ICMP, _ICMPV6):
        echo = 8 if proto == _ICMP else 128
        ids = values.get("inner_icmp_id", 0), values.get("inner_icmp_seq", 0)
        rest = struct.pack(">BBHHH", echo, 0, 0, *ids)
    elif proto == _TCP:
        rest = struct.pack(">HHI", *ends, values.get("inner_tcp_seq", 0))
    else:
        rest = struct.pack(">HHHH", *ends, 8, 0)
    ttl = values.need("inner_ttl")
    if values["proto"] == _ICMP:
        return ipv4(
            (values["inner_src"], values["inner_dst"]), proto, ttl, 28,
            identification=values.get("inner_ip_id", 0),
        ) + rest  # fmt: skip
    return ipv6((values["inner_src"], values["inner_dst"]), proto, ttl, 8) + rest


def ipv4(
    ends: tuple[int, int],
    proto: int,
    ttl: int,
    length: int,
    *,
    identification: int = 0,
    fragment: int = 0,
    tos: int = 0,
) -> bytes:
    """Return an IPv4 header with its checksum; `fragment` is the field of flags and offset."""
    fields = (0x45, tos, min(length, 0xFFFF), identification, fragment, ttl, proto)
    addresses = [(address & 0xFFFF_FFFF).to_bytes(4, "big") for address in ends]
    start = struct.pack(">BBHHHBB", *fields)
    total = sum(struct.unpack(">9H", start + b"".join(addresses)))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return start + struct.pack(">H", checksum) + b"".join(addresses)


def ipv6(
    ends: tuple[int, int],
    proto: int,
    ttl: int,
    length: int,
    *,
    tos: int = 0,
    flow_label: int = 0,
) -> bytes:
    """Return an IPv6 header; `length` is that of what follows it."""
    first = 6 << 28 | tos << 20 | flow_label
    start = struct.pack(">IHBB", first, min(length, 0xFFFF), proto, ttl)
    return start + b"".join(address.to_bytes(16, "big") for address in ends)
