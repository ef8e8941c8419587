"""Packets rebuilt from columns: headers as far as they were decoded, no payload.

For packets whose bytes are gone (tcpdump text, recordings) or must not be shown (redaction).
Lengths are those of the wire. Of several tunnels only the outermost has columns, so only it is
rebuilt, and of that what VXLAN, Geneve, GRE and IP in IP look like; of others the inner packet is.
Options and extension headers have no columns.
"""

import struct
from dataclasses import dataclass

from tracer.core.address import V4_PREFIX
from tracer.core.enums import Encap
from tracer.report.pcapng.transport import Part, ipv4, ipv6, transport
from tracer.report.pcapng.values import Values

ETHERNET, COOKED = 1, 113  # LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL
_ARP, _VLAN, _MPLS, _BRIDGED = 0x0806, 0x8100, 0x8847, 0x6558
_ETHERTYPES = {4: 0x0800, 6: 0x86DD}
_UDP, _GRE, _FRAGMENT = 17, 47, 44
_ERSPAN = 0x88BE  # type I: no header of its own (draft-foschiano-erspan)
_UDP_TUNNELS = (Encap.VXLAN, Encap.GENEVE, Encap.VXLAN_GPE)
_IP_TUNNELS = {Encap.IPIP: 4, Encap.SIT: 41, Encap.IP6TNL: 41}
_TUNNELS = {*_UDP_TUNNELS, *_IP_TUNNELS, Encap.GRE, Encap.NVGRE, Encap.ERSPAN}


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A packet as it can be rebuilt; `unknown` names the fields that are 0 as nobody knows them."""

    linktype: int
    data: bytes
    wire_len: int
    unknown: tuple[str, ...]


def rebuilt(values: Values, direction: int) -> Rebuilt | None:
    """Return the packet's headers, None where too little of it is known.

    Without both MACs the link is a cooked one, which has room for one; `direction` is
    `core.point.Direction`.
    """
    inner = _network(values)
    if inner is None:
        return None
    (data, length), ethertype = inner
    if values.get("encap", 0) in _TUNNELS:
        data, length = _tunnel(values, (data, length), ethertype)
        linktype, ethertype = ETHERNET, _ethertype_of(values, "outer_src")
        names = ("outer_dst_mac", "outer_src_mac", "outer_vlan", "", "")
    else:
        names = ("dst_mac", "src_mac", "vlan", "vlan_inner", "mpls_label")
        linktype = ETHERNET
    if names[0] in values and names[1] in values:
        link = _ethernet(values, names, ethertype)
    else:
        linktype, link = COOKED, _cooked(values, names, ethertype, direction)
    data = link + data
    wire_len = max(values.get("wire_len", len(link) + length), len(data))
    return Rebuilt(linktype, data, wire_len, tuple(values.unknown))


def _network(values: Values) -> tuple[Part, int] | None:
    # The packet from its network header on, and its EtherType.
    if "arp_op" in values:
        return _arp(values), _ARP
    if not {"src", "dst", "proto"} <= values.keys():
        return None
    version = 6 if values["src"] >> 32 != V4_PREFIX >> 32 else 4
    return (_ipv4(values) if version == 4 else _ipv6(values)), _ETHERTYPES[version]


def _arp(values: Values) -> Part:
    parts = [struct.pack(">HHBBH", 1, 0x0800, 6, 4, values["arp_op"])]
    for end in ("sender", "target"):
        # A request's target MAC is not known to its sender either.
        mac = values.need(f"arp_{end}_mac", told=end == "sender")
        address = values.need(f"arp_{end}_ip") & 0xFFFF_FFFF
        parts.append(mac.to_bytes(6, "big") + address.to_bytes(4, "big"))
    data = b"".join(parts)
    return data, len(data)


def _ipv4(values: Values) -> Part:
    offset = values.get("frag_offset", 0)
    room = values["ip_len"] - 20 if "ip_len" in values else None
    data, length = (b"", room or 0) if offset else transport(values, room)
    flags = values.get("df", 0) << 14 | values.get("more_fragments", 0) << 13
    header = ipv4(
        (values["src"], values["dst"]), values["proto"] & 0xFF, values.need("ttl"), 20 + length,
        identification=values.need("ip_id") & 0xFFFF, fragment=flags | offset >> 3,
        tos=values.get("tos", 0),
    )  # fmt: skip
    return header + data, 20 + length


def _ipv6(values: Values) -> Part:
    offset, more = values.get("frag_offset", 0), values.get("more_fragments", 0)
    proto, between = values["proto"] & 0xFF, b""
    if offset or more:
        field = offset | more
        between = struct.pack(">BBHI", proto, 0, field, values.need("ip_id"))
        proto = _FRAGMENT
    room = values["ip_len"] - 40 - len(between) if "ip_len" in values else None
    data, length = (b"", room or 0) if offset else transport(values, room)
    length += len(between)
    header = ipv6(
        (values["src"], values["dst"]), proto, values.need("ttl"), length,
        tos=values.get("tos", 0), flow_label=values.get("flow_label", 0),
    )  # fmt: skip
    return header + between + data, 40 + length


def _tunnel(values: Values, inner: Part, ethertype: int) -> Part:
    # From the outer network header on. What a tunnel carries is a frame where MACs are known.
    encap = Encap(values["encap"])
    data, length = inner
    if encap in _UDP_TUNNELS or (encap not in _IP_TUNNELS and "dst_mac" in values):
        frame = _ethernet(values, ("dst_mac", "src_mac", "vlan", "vlan_inner", ""), ethertype)
        data, length, ethertype = frame + data, length + len(frame), _BRIDGED
    header = b"" if encap in _IP_TUNNELS else _tunnel_header(values, encap, ethertype)
    data, length = header + data, length + len(header)
    proto = _IP_TUNNELS.get(encap, _GRE)
    if encap in _UDP_TUNNELS:
        proto, length = _UDP, length + 8
        ports = values.need("outer_sport"), values.need("outer_dport")
        data = struct.pack(">HHHH", *ports, min(length, 0xFFFF), 0) + data
    ends = values.need("outer_src"), values.need("outer_dst")
    ttl, number = values.need("outer_ttl"), values.get("outer_ip_id", 0)
    if _ethertype_of(values, "outer_src") == _ETHERTYPES[6]:
        return ipv6(ends, proto, ttl, length) + data, 40 + length
    return ipv4(ends, proto, ttl, 20 + length, identification=number) + data, 20 + length


def _tunnel_header(values: Values, encap: Encap, ethertype: int) -> bytes:
    vni = values.get("vni")
    if encap == Encap.ERSPAN and ethertype == _BRIDGED:
        ethertype = _ERSPAN
    if encap == Encap.VXLAN:  # RFC 7348, 5
        return struct.pack(">II", 1 << 27, (vni or 0) << 8)
    if encap == Encap.VXLAN_GPE:  # next protocol 3 is Ethernet
        return struct.pack(">II", 0x0C << 24 | 3, (vni or 0) << 8)
    if encap == Encap.GENEVE:  # RFC 8926, 3.4
        return struct.pack(">HHI", 0, ethertype, (vni or 0) << 8)
    if vni is None:  # RFC 2784
        return struct.pack(">HH", 0, ethertype)
    key = vni << 8 if encap == Encap.NVGRE else vni  # RFC 7637, 3.2; RFC 2890
    return struct.pack(">HHI", 0x2000, ethertype, key)


def _ethertype_of(values: Values, address: str) -> int:
    is_v4 = values.get(address, V4_PREFIX) >> 32 == V4_PREFIX >> 32
    return _ETHERTYPES[4 if is_v4 else 6]


def _ethernet(values: Values, names: tuple[str, ...], ethertype: int) -> bytes:
    destination, source, *tags, label = names
    macs = (values.need(name).to_bytes(6, "big") for name in (destination, source))
    return b"".join(macs) + _tags(values, tags, label, ethertype)


def _cooked(values: Values, names: tuple[str, ...], ethertype: int, direction: int) -> bytes:
    # LINKTYPE_LINUX_SLL: 4 is outgoing, 0 to this host.
    _, source, *tags, label = names
    mac = values.get(source)
    own = b"" if mac is None else mac.to_bytes(6, "big")
    start = struct.pack(">HHH", 4 if direction == 1 else 0, 1, len(own)) + own.ljust(8, b"\0")
    return start + _tags(values, tags, label, ethertype)


def _tags(values: Values, tags: list[str], label: str, ethertype: int) -> bytes:
    present = [values[name] for name in tags if name in values]
    parts = [struct.pack(">HH", _VLAN, tag) for tag in present]
    if label in values:
        return b"".join(parts) + struct.pack(">HI", _MPLS, values[label] << 12 | 1 << 8 | 64)
    return b"".join(parts) + struct.pack(">H", ethertype)
