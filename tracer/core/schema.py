"""The columns of an observation, once: name, group, dtype, null and meaning.

Bulk data is numpy structured arrays. PACKET_DTYPE: what every packet may have, a row each. What few
packets have (a tunnel, ARP, a quoted packet, kernel facts) is kept in sections: structured arrays
with a `row` field that says which packet a record belongs to, ascending, at most one a packet.

Nulls: signed integers hold -1, MACs and both halves of addresses hold all ones (`core.address`),
digests (`payload_digest`, `tcp_sack`, `skb`) hold 0. Times are int64 nanoseconds since the UTC
epoch.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64

StructuredArray = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `kind` (int, ip, mac, digest, bool, enum) says how its stored numbers read."""

    name: str
    dtype: str
    kind: str
    group: str
    doc: str


def _columns(group: str, *rows: tuple[str, str, str, str]) -> tuple[Column, ...]:
    return tuple(Column(name, dtype, kind, group, doc) for name, dtype, kind, doc in rows)


# Order inside the record: widest first, so that numpy's packed layout stays aligned.
PACKET_COLUMNS = _columns(
    "packet",
    ("time_ns", "i8", "int", "time stamp, nanoseconds since the UTC epoch, as the clock gave it"),
    ("src", "ip", "ip", "source address of the innermost IP header"),
    ("dst", "ip", "ip", "destination address of the innermost IP header"),
    ("src_mac", "u8", "mac", "source MAC of the Ethernet header before the innermost IP header"),
    ("dst_mac", "u8", "mac", "destination MAC of that Ethernet header"),
    (
        "ip_id",
        "i8",
        "int",
        "IPv4 identification; of an IPv6 fragment the fragment header's (32 bit)",
    ),
    ("tcp_seq", "i8", "int", "TCP sequence number, as on the wire"),
    ("tcp_ack", "i8", "int", "TCP acknowledgement number, as on the wire"),
    ("tcp_tsval", "i8", "int", "TCP timestamp value (RFC 7323)"),
    ("tcp_tsecr", "i8", "int", "TCP timestamp echo reply (RFC 7323)"),
    (
        "tcp_sack",
        "u8",
        "digest",
        "64-bit hash of how far TCP SACK blocks (RFC 2018) are from the acknowledgement, "
        "1 where there are none, if captured",
    ),
    ("payload_digest", "u8", "digest", "64-bit hash of the first 128 bytes after L4, if captured"),
    ("point", "i4", "int", "index into the batch's points"),
    ("capture", "i4", "int", "index into the batch's captures (files or engines)"),
    ("frame", "i4", "int", "1-based packet number in that file, as Wireshark counts"),
    ("cap_len", "i4", "int", "bytes captured"),
    ("wire_len", "i4", "int", "bytes on the wire"),
    ("ip_len", "i4", "int", "IP total length in bytes (IPv6: payload length + 40)"),
    ("frag_offset", "i4", "int", "fragment offset in bytes"),
    ("flow_label", "i4", "int", "IPv6 flow label"),
    ("sport", "i4", "int", "TCP/UDP source port"),
    ("dport", "i4", "int", "TCP/UDP destination port"),
    ("icmp_id", "i4", "int", "ICMP/ICMPv6 echo identifier"),
    ("icmp_seq", "i4", "int", "ICMP/ICMPv6 echo sequence number"),
    ("payload_len", "i4", "int", "bytes after the L4 header by the IP length, captured or not"),
    ("gso_size", "i4", "int", "segment size of a GSO super-packet, where the kernel says so"),
    ("vlan", "i2", "int", "outermost 802.1Q VLAN id"),
    ("vlan_inner", "i2", "int", "VLAN id of the next tag inside it (QinQ)"),
    ("ttl", "i2", "int", "IPv4 TTL or IPv6 hop limit"),
    ("tos", "i2", "int", "IPv4 TOS or IPv6 traffic class"),
    ("proto", "i2", "int", "IP protocol number after IPv6 extension headers"),
    ("icmp_type", "i2", "int", "ICMP or ICMPv6 type"),
    ("icmp_code", "i2", "int", "ICMP or ICMPv6 code"),
    ("tcp_flags", "i2", "int", "TCP flags, 12 bits (RFC 9293: reserved, CWR … FIN)"),
    ("tcp_window", "i4", "int", "TCP window field, not scaled"),
    ("ethertype", "i4", "int", "EtherType after VLAN tags and MPLS labels, of the innermost frame"),
    ("mpls_label", "i4", "int", "outermost MPLS label"),
    ("ip_version", "i1", "int", "4 or 6"),
    ("df", "i1", "bool", "IPv4 don't-fragment flag"),
    ("more_fragments", "i1", "bool", "more-fragments flag"),
    ("decode", "i1", "enum", "how far decoding went (`Decode`)"),
)

TUNNEL_COLUMNS = _columns(
    "tunnel",
    ("outer_src", "ip", "ip", "source address of the outermost tunnel header"),
    ("outer_dst", "ip", "ip", "destination address of the outermost tunnel header"),
    ("outer_src_mac", "u8", "mac", "source MAC of the outermost frame"),
    ("outer_dst_mac", "u8", "mac", "destination MAC of the outermost frame"),
    ("outer_ip_id", "i8", "int", "IPv4 identification of the outermost tunnel header"),
    ("vni", "i8", "int", "VXLAN/Geneve VNI, NVGRE VSID or GRE key of the outermost tunnel"),
    ("outer_sport", "i4", "int", "UDP source port of the outermost tunnel header"),
    ("outer_dport", "i4", "int", "UDP destination port of the outermost tunnel header"),
    ("outer_ttl", "i2", "int", "TTL or hop limit of the outermost tunnel header"),
    ("outer_vlan", "i2", "int", "802.1Q VLAN id of the outermost frame"),
    ("encap", "i1", "enum", "outermost tunnel (`Encap`)"),
    ("tunnels", "i1", "int", "how many tunnel headers were passed on the way in"),
)

ARP_COLUMNS = _columns(
    "arp",
    ("arp_sender_mac", "u8", "mac", "ARP sender hardware address"),
    ("arp_target_mac", "u8", "mac", "ARP target hardware address"),
    ("arp_sender_ip", "ip", "ip", "ARP sender protocol address"),
    ("arp_target_ip", "ip", "ip", "ARP target protocol address"),
    ("arp_op", "i4", "int", "ARP operation: 1 request, 2 reply"),
)

QUOTED_COLUMNS = _columns(
    "quoted",
    ("inner_src", "ip", "ip", "source address of the packet an ICMP error quotes"),
    ("inner_dst", "ip", "ip", "destination address of the quoted packet"),
    (
        "inner_payload_digest",
        "u8",
        "digest",
        "64-bit hash of the first 128 bytes after the quoted L4 header, if captured",
    ),
    ("inner_ip_id", "i8", "int", "IPv4 identification of the quoted packet"),
    ("inner_tcp_seq", "i8", "int", "TCP sequence number of the quoted packet"),
    ("inner_sport", "i4", "int", "source port of the quoted packet"),
    ("inner_dport", "i4", "int", "destination port of the quoted packet"),
    ("inner_icmp_id", "i4", "int", "echo identifier of the quoted packet"),
    ("inner_icmp_seq", "i4", "int", "echo sequence number of the quoted packet"),
    ("inner_proto", "i2", "int", "IP protocol of the quoted packet"),
    ("inner_ttl", "i2", "int", "TTL of the quoted packet"),
)

KERNEL_COLUMNS = _columns(
    "kernel",
    ("skb", "u8", "digest", "address of the sk_buff, which the kernel uses again"),
    ("drop_location", "u8", "digest", "code address that freed the packet (kfree_skb)"),
    ("ct_original_src", "ip", "ip", "conntrack original tuple: source address"),
    ("ct_original_dst", "ip", "ip", "conntrack original tuple: destination address"),
    ("ct_reply_src", "ip", "ip", "conntrack reply tuple: source address"),
    ("ct_reply_dst", "ip", "ip", "conntrack reply tuple: destination address"),
    ("mark", "i8", "int", "skb mark"),
    ("ct_status", "i8", "int", "nf_conn status bits (enum ip_conntrack_status)"),
    ("route_table", "i8", "int", "routing table that answered fib_table_lookup"),
    ("route_gateway", "ip", "ip", "next hop of the routing decision"),
    ("skb_use", "i8", "int", "how often that sk_buff had been freed before: tells its uses apart"),
    ("ct_original_sport", "i4", "int", "original tuple: source port or ICMP id"),
    ("ct_original_dport", "i4", "int", "original tuple: destination port"),
    ("ct_reply_sport", "i4", "int", "reply tuple: source port"),
    ("ct_reply_dport", "i4", "int", "reply tuple: destination port or ICMP id"),
    ("route_error", "i4", "int", "0, or the negative errno of a routing decision that failed"),
    ("ifindex", "i4", "int", "ifindex of the device, unique within its netns only"),
    ("route_oif", "i4", "int", "output ifindex of the routing decision"),
    ("drop_reason", "i4", "int", "skb_drop_reason of kfree_skb, named by the kernel's BTF"),
    ("cpu", "i4", "int", "CPU that saw it"),
    ("ct_zone", "i4", "int", "conntrack zone"),
)

SECTIONS: dict[str, tuple[Column, ...]] = {
    "tunnel": TUNNEL_COLUMNS,
    "arp": ARP_COLUMNS,
    "quoted": QUOTED_COLUMNS,
    "kernel": KERNEL_COLUMNS,
}
COLUMNS: tuple[Column, ...] = PACKET_COLUMNS + sum(SECTIONS.values(), ())
BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}


def _fields(columns: tuple[Column, ...]) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    for column in columns:
        if column.kind == "ip":
            fields += [(f"{column.name}_hi", "<u8"), (f"{column.name}_lo", "<u8")]
        else:
            fields.append((column.name, f"<{column.dtype}"))
    return fields


PACKET_DTYPE = np.dtype(_fields(PACKET_COLUMNS))
SECTION_DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype([("row", "<i8"), *_fields(columns)]) for name, columns in SECTIONS.items()
}


def null_of(column: Column) -> int:
    """Return the stored number that means null in a column (for `ip`, in both halves)."""
    if column.kind in ("ip", "mac"):
        return NULL_U64
    return 0 if column.kind == "digest" else -1


def null_record(dtype: np.dtype[Any]) -> StructuredArray:
    """Return a structured array of one record with every field null, `decode` and `row` 0.

    Decoders copy it over each row before they fill in what they see.
    """
    record = np.zeros(1, dtype)
    for name in dtype.names or ():
        base = name.removesuffix("_hi").removesuffix("_lo")
        column = BY_NAME.get(name) or BY_NAME.get(base)
        if column is not None:
            record[name] = null_of(column)
    if "decode" in (dtype.names or ()):
        record["decode"] = 0
    return record
