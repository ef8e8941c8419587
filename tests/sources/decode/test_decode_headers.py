"""Headers one by one, against what scapy was told to put into them."""

import struct

import numpy as np
import pytest
from decoding import decoded, value
from scapy.all import (
    ARP,
    GRE,
    ICMP,
    IP,
    TCP,
    UDP,
    Dot1AD,
    Dot1Q,
    Ether,
    IPv6,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    Packet,
    Raw,
    fragment,
)  # fmt: skip
from scapy.contrib.mpls import MPLS
from scapy.layers.ipsec import AH
from scapy.layers.vxlan import VXLAN

from tracer.core.enums import Decode, Encap

A, B = "fa:16:3e:00:00:0a", "fa:16:3e:00:00:0b"
C, D = "fa:16:3e:00:00:0c", "fa:16:3e:00:00:0d"
FRAME = Ether(src=A, dst=B)
OUTER = FRAME / IP(src="192.0.2.1", dst="192.0.2.2", ttl=60, id=77)
INNER = IP(src="10.0.0.1", dst="10.0.0.2", ttl=9, id=5) / UDP(sport=61001, dport=61002)
INNER_FRAME = Ether(src=C, dst=D) / INNER


def columns(packet: Packet | bytes, *names: str, linktype: int = 1) -> tuple[object, ...]:
    ours = decoded([bytes(packet)], linktype)
    return tuple(value(ours, 0, name) for name in names)


@pytest.mark.parametrize("outer", [0x8100, 0x88A8, 0x9100])
def test_first_two_of_many_tags(outer: int) -> None:
    tags = Dot1Q(vlan=20, type=outer) / Dot1Q(vlan=30) / Dot1Q(vlan=40)
    frame = Ether(src=A, dst=B, type=outer) / tags / INNER
    assert columns(frame, "vlan", "vlan_inner", "ttl", "ethertype") == (20, 30, 9, 0x0800)


def test_two_service_tags() -> None:
    """tshark shows the pair as svid and cvid, which the parity test does not read."""
    frame = FRAME / Dot1AD(vlan=5) / Dot1AD(vlan=6) / INNER
    assert columns(frame, "vlan", "vlan_inner", "dport") == (5, 6, 61002)


def test_mpls_pseudowire_with_and_without_control_word() -> None:
    for word in (b"", b"\0\0\0\7"):
        frame = FRAME / MPLS(label=100, s=0) / MPLS(label=200, s=1) / Raw(word + bytes(INNER_FRAME))
        assert columns(frame, "mpls_label", "src_mac", "ttl") == (100, C, 9)


def test_vlan_and_macs_are_of_the_innermost_frame() -> None:
    packet = FRAME / Dot1Q(vlan=7) / OUTER[IP] / UDP(dport=4789, sport=61001) / VXLAN(vni=9)
    got = columns(packet / INNER_FRAME, "vlan", "outer_vlan", "src_mac", "outer_src_mac", "vni")
    assert got == (None, 7, C, A, 9)


PORTS_OF_TUNNELS = (1701, 2123, 2152, 3386, 3544, 4341, 4754, 4789, 4790, 5072, 5247, 6081, 6635,
                    8472, 37008)  # fmt: skip


@pytest.mark.parametrize("port", PORTS_OF_TUNNELS)
@pytest.mark.parametrize(
    "payload", [b"#tracer:00000042", b"", b"x" * 200, bytes(64)], ids=["short", "none", "long", "0"]
)
def test_a_port_that_is_a_tunnels_by_chance_changes_no_payload(port: int, payload: bytes) -> None:
    names = ("payload_len", "payload_digest", "encap")
    plain = columns(OUTER / UDP(sport=61001, dport=9999) / Raw(payload), *names)
    for sport, dport in ((port, 9999), (61001, port)):
        assert columns(OUTER / UDP(sport=sport, dport=dport) / Raw(payload), *names) == plain


@pytest.mark.parametrize(
    ("tunnel", "encap", "vni"),
    [
        (UDP(sport=61001, dport=4789) / VXLAN(vni=9) / INNER_FRAME, Encap.VXLAN, 9),
        (UDP(sport=61001, dport=8472) / VXLAN(vni=9) / INNER_FRAME, Encap.VXLAN, 9),
        (
            UDP(sport=61001, dport=4790) / Raw(b"\x0c\0\0\1\0\0\x07\0") / INNER,
            Encap.VXLAN_GPE,
            7,
        ),
        (
            UDP(sport=61001, dport=6081)
            / Raw(b"\2\0\x65\x58\0\0\x09\0" + b"o" * 8 + bytes(INNER_FRAME)),
            Encap.GENEVE,
            9,
        ),
        (GRE() / INNER, Encap.GRE, None),
        (GRE(key_present=1, key=0xFFFF_FFFE) / INNER, Encap.GRE, 0xFFFF_FFFE),
        (GRE(proto=0x6558, key_present=1, key=77) / INNER_FRAME, Encap.GRE, 77),
        (GRE(proto=0x6558, key_present=1, key=0x5000_01) / INNER_FRAME, Encap.NVGRE, 0x5000),
        (GRE(proto=0x88BE) / INNER_FRAME, Encap.ERSPAN, None),
        (GRE(proto=0x88BE, seqnum_present=1) / Raw(b"e" * 8) / INNER_FRAME, Encap.ERSPAN, None),
        (GRE(proto=0x22EB, seqnum_present=1) / Raw(b"e" * 10 + b"\0\1" + b"s" * 8) / INNER_FRAME,
         Encap.ERSPAN, None),
        (INNER, Encap.IPIP, None),
        (IPv6(hlim=9) / UDP(dport=61002), Encap.SIT, None),
    ],
)  # fmt: skip
def test_tunnels(tunnel: Packet, encap: Encap, vni: int | None) -> None:
    got = columns(
        OUTER / tunnel, "encap", "vni", "ttl", "dport", "outer_ttl", "outer_src", "outer_ip_id"
    )
    assert got == (encap, vni, 9, 61002, 60, "192.0.2.1", 77)


def test_ipv4_over_ipv6_is_ip6tnl() -> None:
    packet = FRAME / IPv6(src="2001:db8::1", hlim=60) / INNER
    got = columns(packet, "encap", "src", "outer_src", "outer_ttl", "ip_version", "ethertype")
    assert got == (Encap.IP6TNL, "10.0.0.1", "2001:db8::1", 60, 4, 0x0800)


def test_tunnel_in_tunnel_keeps_the_outermost() -> None:
    packet = OUTER / UDP(dport=4789) / VXLAN(vni=1) / OUTER / GRE() / IP(ttl=50) / INNER
    assert columns(packet, "encap", "vni", "tunnels", "ttl") == (Encap.VXLAN, 1, 3, 9)


@pytest.mark.parametrize("other", [53, 4000, 61000])
def test_the_lower_port_tells_the_tunnel_unless_it_is_a_service(other: int) -> None:
    for ends in ({"sport": 4789, "dport": other}, {"sport": other, "dport": 4789}):
        packet = OUTER / UDP(**ends) / VXLAN(vni=9) / INNER_FRAME
        expected = (Encap.VXLAN, 9) if other > 1024 else (None, 60)
        assert columns(packet, "encap", "ttl") == expected


def test_a_tunnel_without_ip_inside_leaves_the_carrying_packet() -> None:
    lldp = Ether(src=C, dst=D, type=0x88CC) / Raw(b"lldp")
    packet = OUTER / UDP(sport=61001, dport=4789) / VXLAN(vni=9) / lldp
    assert columns(packet, "encap", "dport", "ttl", "src_mac") == (None, 4789, 60, A)
    nested = OUTER / GRE() / IP(src="10.9.9.9", ttl=33) / GRE(proto=0x6558) / lldp
    assert columns(nested, "encap", "tunnels", "src", "ttl") == (Encap.GRE, 1, "10.9.9.9", 33)


def test_a_fragment_that_is_a_tunnels_first_shows_the_packet_inside() -> None:
    inner = INNER / Raw(bytes(range(256)) * 8)
    whole = OUTER / UDP(sport=50000, dport=4789) / VXLAN(vni=9) / (Ether(src=C, dst=D) / inner)
    first = FRAME / fragment(whole[IP], 1480)[0]
    names = ("src", "sport", "ip_id", "ip_len", "payload_len", "payload_digest", "vni", "decode")
    assert columns(first, *names) == columns(whole, *names)
    assert columns(first, "payload_len", "decode") == (2048, Decode.COMPLETE)


def test_arp_inside_vxlan_is_the_main_packet() -> None:
    inner = Ether(src=C, dst=D) / ARP(op=2, psrc="10.0.0.1", pdst="10.0.0.2", hwsrc=C, hwdst=D)
    got = columns(
        OUTER / UDP(dport=4789) / VXLAN(vni=9) / inner,
        *("ethertype", "src", "proto", "arp_op", "arp_sender_ip", "arp_target_mac", "outer_dst"),
    )
    assert got == (0x0806, None, None, 2, "10.0.0.1", D, "192.0.2.2")


@pytest.mark.parametrize(
    ("quoted", "expected"),
    [
        (UDP(sport=61001, dport=53), (61001, 53, None, None, None)),
        (TCP(sport=61001, dport=80, seq=0xFFFF_FFF0), (61001, 80, 0xFFFF_FFF0, None, None)),
        (ICMP(id=22344, seq=3), (None, None, None, 22344, 3)),
    ],
)
def test_quoted_packet(quoted: Packet, expected: tuple[int | None, ...]) -> None:
    quote = IP(src="10.0.0.1", dst="10.0.0.2", ttl=1, id=55) / quoted
    packet = OUTER / ICMP(type=11, code=0) / Raw(bytes(quote)[:28])
    names = ("inner_sport", "inner_dport", "inner_tcp_seq", "inner_icmp_id", "inner_icmp_seq")
    assert columns(packet, *names) == expected
    whole = ("inner_src", "inner_dst", "inner_ttl", "inner_ip_id", "icmp_type", "icmp_id")
    assert columns(packet, *whole) == ("10.0.0.1", "10.0.0.2", 1, 55, 11, None)


def test_fragments() -> None:
    middle = FRAME / IP(id=9, flags="MF", frag=185, proto=17) / Raw(b"x" * 64)
    names = ("frag_offset", "more_fragments", "ip_id", "proto", "sport", "payload_len", "decode")
    assert columns(middle, *names) == (1480, 1, 9, 17, None, 64, 0)
    sixth = FRAME / IPv6() / IPv6ExtHdrFragment(id=0xFFFF_0001, offset=185, m=0, nh=6) / Raw(b"y")
    assert columns(sixth, *names) == (1480, 0, 0xFFFF_0001, 6, None, 1, 0)


def test_extension_headers_and_what_follows() -> None:
    packet = (
        FRAME
        / IPv6(fl=0xABCDE, tc=0x2C)
        / IPv6ExtHdrHopByHop()
        / AH(nh=6, payloadlen=4, icv=b"i" * 12)
    )
    packet = packet / TCP(sport=61001, dport=80, flags="SA")
    names = ("proto", "dport", "tcp_flags", "flow_label", "tos", "df", "ip_id")
    assert columns(packet, *names) == (6, 80, 0x12, 0xABCDE, 0x2C, None, None)


def test_tcp_time_stamps_behind_other_options() -> None:
    options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (0xFFFF_FFFE, 7)), ("WScale", 7)]
    packet = FRAME / IP() / TCP(options=options, window=512)
    assert columns(packet, "tcp_tsval", "tcp_tsecr", "tcp_window") == (0xFFFF_FFFE, 7, 512)


def test_length_zero_is_a_segment_the_device_will_cut() -> None:
    packet = FRAME / IP(len=0) / TCP() / Raw(b"z" * 3000)
    assert columns(packet, "ip_len", "payload_len", "decode") == (3040, 3000, 0)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (FRAME / IP(len=500) / UDP(), Decode.MALFORMED),
        (FRAME / IP(ihl=4) / UDP(), Decode.MALFORMED),
        (FRAME / IP() / TCP(dataofs=15), Decode.MALFORMED),
        (FRAME / IP() / TCP(dataofs=2), Decode.MALFORMED),
        (FRAME / IP(len=24, proto=17) / Raw(b"four"), Decode.MALFORMED),
        (Ether(type=0x0800) / IPv6(), Decode.MALFORMED),
        (FRAME / IP(proto=89) / Raw(b"ospf"), Decode.UNKNOWN_PROTOCOL),
        (FRAME / ARP(hwlen=8), Decode.UNKNOWN_PROTOCOL),
        (Ether(type=0x88CC) / Raw(b"lldp"), Decode.NOT_IP),
        (bytes(FRAME / IP() / TCP())[:40], Decode.MALFORMED),
        (FRAME / IPv6(nh=59), Decode.COMPLETE),
    ],
)
def test_how_far_decoding_went_is_said(packet: Packet | bytes, reason: Decode) -> None:
    ours = decoded([bytes(packet)])
    assert ours.packets["decode"].tolist() == [reason]
    assert ours.undecoded == ({reason.label: 1} if reason else {})


def test_unknown_link_type_is_a_row_all_the_same() -> None:
    ours = decoded([b"\1" * 60, b"\2" * 20], linktype=147)
    assert ours.undecoded == {"unknown-protocol": 2}
    assert ours.packets["cap_len"].tolist() == [60, 20]
    assert value(ours, 0, "src") is None


@pytest.mark.parametrize(("kind", "direction"), [(0, 0), (1, 0), (2, 0), (3, 0), (4, 1)])
def test_cooked_captures_say_the_direction(kind: int, direction: int) -> None:
    mac = bytes.fromhex("fa163e00000a") + b"\0\0"
    first = struct.pack(">HHH", kind, 1, 6) + mac + struct.pack(">H", 0x0800) + bytes(INNER)
    second = struct.pack(">HHIHBB", 0x0800, 0, 33, 1, kind, 6) + mac + bytes(INNER)
    for packet, linktype, ifindex in ((first, 113, -1), (second, 276, 33)):
        ours = decoded([packet], linktype)
        assert (ours.direction.tolist(), ours.interface.tolist()) == ([direction], [0])
        assert ours.origins.tolist() == [(0, ifindex, direction, -1, 0)]
        assert (value(ours, 0, "src_mac"), value(ours, 0, "dport")) == (A, 61002)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("family", [10, 24, 28, 30])
def test_loopback_families(order: str, family: int) -> None:
    packet = struct.pack(order + "I", family) + bytes(IPv6(hlim=3) / UDP())
    assert columns(packet, "ttl", linktype=0) == (3,)


def test_arp_reads_what_is_there() -> None:
    packet = bytes(FRAME / ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.2", hwsrc=A))
    got = columns(packet[:40], "arp_op", "arp_sender_ip", "arp_target_mac", "arp_target_ip")
    assert got == (1, "10.0.0.1", "00:00:00:00:00:00", None)


def test_empty_input() -> None:
    ours = decoded([])
    assert (len(ours.packets), ours.undecoded) == (0, {})
    assert {name: len(section) for name, section in ours.sections.items()} == dict.fromkeys(
        ("tunnel", "arp", "quoted", "kernel"), 0
    )
    assert decoded([b""]).packets["decode"].tolist() == [Decode.MALFORMED]
    assert np.all(decoded([b""], wire=[60]).packets["decode"] == Decode.TRUNCATED)
