"""Rebuilt headers against tshark: each field reads as the column it was made from."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import batch_of, journey_set_of

from tracer.core.enums import Encap
from tracer.report.pcapng.headers import COOKED, ETHERNET, Rebuilt, rebuilt
from tracer.report.pcapng.values import values_of
from tracer.report.pcapng.writer import PcapngWriter

MACS = {"src_mac": "02:00:00:00:00:01", "dst_mac": "02:00:00:00:00:02"}
V4 = {"src": "192.168.3.69", "dst": "100.121.0.75", "ip_version": 4, "ttl": 63, "ip_id": 34720,
      "df": 1, "tos": 16}  # fmt: skip
V6 = {"src": "2001:db8::1", "dst": "2001:db8::2", "ip_version": 6, "ttl": 61, "flow_label": 77}
ECHO = {"proto": 1, "icmp_type": 8, "icmp_code": 0, "icmp_id": 22344, "icmp_seq": 16434}
TCP = {"proto": 6, "sport": 40000, "dport": 443, "tcp_seq": 7, "tcp_ack": 9, "tcp_flags": 0x12,
       "tcp_window": 501, "payload_len": 0}  # fmt: skip
UDP = {"proto": 17, "sport": 5353, "dport": 53, "payload_len": 30}
VXLAN = {"encap": 1, "vni": 4242, "outer_src": "10.1.0.1", "outer_dst": "10.1.0.2",
         "outer_sport": 50000, "outer_dport": 4789, "outer_ttl": 64, "outer_ip_id": 5,
         "outer_src_mac": "02:00:00:00:00:0a", "outer_dst_mac": "02:00:00:00:00:0b"}  # fmt: skip


def made(values: dict[str, Any]) -> Rebuilt | None:
    (found,) = values_of(batch_of([values]), np.array([0]))
    return rebuilt(found, 1)


def shown(values: dict[str, Any], tmp_path: Path, *names: str) -> list[str]:
    """Fields of the rebuilt packet, as tshark reads them."""
    batch = batch_of([{"time_ns": 1_700_000_000_000_000_001, "point": 0, **values}])
    file = tmp_path / "made.pcapng"
    with file.open("wb") as out:
        PcapngWriter(out).write(journey_set_of(batch, [{"rows": [0]}]))
    words = [word for name in names for word in ("-e", name)]
    command = ["tshark", "-n", "-o", "ip.check_checksum:TRUE", "-r", str(file), "-T", "fields"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n").split("\t")


def test_echo_with_tags(tmp_path: Path) -> None:
    packet = {**MACS, **V4, **ECHO, "ip_len": 84, "vlan": 20, "vlan_inner": 30, "wire_len": 106}
    fields = ("frame.time_epoch", "eth.src", "eth.dst", "vlan.id", "ip.src", "ip.dst", "ip.ttl",
              "ip.id", "ip.flags.df", "ip.dsfield", "ip.len", "ip.checksum.status", "icmp.type",
              "icmp.ident", "icmp.seq", "frame.len")  # fmt: skip
    assert shown(packet, tmp_path, *fields) == [
        "1700000000.000000001", MACS["src_mac"], MACS["dst_mac"], "20,30", V4["src"], V4["dst"],
        "63", "0x87a0", "1", "0x10", "84", "1", "8", "22344", "16434", "106",
    ]  # fmt: skip


def test_tcp_with_options_keeps_its_lengths(tmp_path: Path) -> None:
    packet = {**MACS, **V4, **TCP, "tcp_tsval": 11, "tcp_tsecr": 12, "ip_len": 60}
    fields = ("tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.len",
              "tcp.hdr_len", "tcp.options.timestamp.tsval", "tcp.window_size_value")  # fmt: skip
    assert shown(packet, tmp_path, *fields) == [
        "40000", "443", "7", "9", "0x0012", "0", "40", "11", "501",
    ]  # fmt: skip


def test_udp_over_ipv6(tmp_path: Path) -> None:
    packet = {**MACS, **V6, **UDP, "ip_len": 78}
    fields = ("ipv6.src", "ipv6.hlim", "ipv6.flow", "ipv6.plen", "udp.srcport", "udp.length",
              "frame.len", "frame.cap_len")  # fmt: skip
    assert shown(packet, tmp_path, *fields) == [
        "2001:db8::1", "61", "0x00004d", "38", "5353", "38", "92", "62",
    ]  # fmt: skip


def test_a_copy_from_a_mirror_port(tmp_path: Path) -> None:
    outer = {name: value for name, value in VXLAN.items() if name not in ("vni", "outer_sport")}
    packet = {**MACS, **V4, **UDP, **outer, "encap": Encap.ERSPAN, "outer_dport": -1, "ip_len": 58}
    fields = ("gre.proto", "eth.src", "ip.dst", "ip.ttl", "udp.srcport")
    assert shown(packet, tmp_path, *fields) == [
        "0x88be", f"{VXLAN['outer_src_mac']},{MACS['src_mac']}", f"10.1.0.2,{V4['dst']}",
        "64,63", "5353",
    ]  # fmt: skip


@pytest.mark.parametrize("version", [4, 6])
def test_fragments(version: int, tmp_path: Path) -> None:
    ip = V4 if version == 4 else {**V6, "ip_id": 99}
    packet = {**MACS, **ip, "proto": 17, "frag_offset": 1480, "more_fragments": 1, "ip_len": 1000}
    if version == 4:
        assert shown(packet, tmp_path, "ip.frag_offset", "ip.flags.mf", "ip.proto") == [
            "185", "1", "17",
        ]  # fmt: skip
    else:
        names = ("ipv6.fraghdr.offset", "ipv6.fraghdr.more", "ipv6.fraghdr.ident")
        assert shown(packet, tmp_path, *names) == ["185", "1", "0x00000063"]


def test_arp(tmp_path: Path) -> None:
    packet = {**MACS, "arp_op": 1, "arp_sender_ip": "10.0.0.1", "arp_target_ip": "10.0.0.2",
              "arp_sender_mac": MACS["src_mac"]}  # fmt: skip
    names = ("arp.opcode", "arp.src.proto_ipv4", "arp.dst.proto_ipv4", "arp.src.hw_mac")
    assert shown(packet, tmp_path, *names) == ["1", "10.0.0.1", "10.0.0.2", MACS["src_mac"]]


def test_an_icmp_error_and_what_it_quotes(tmp_path: Path) -> None:
    packet = {**MACS, **V4, "proto": 1, "icmp_type": 11, "icmp_code": 0, "ip_len": 56,
              "inner_src": "10.0.0.9", "inner_dst": "8.8.8.8", "inner_proto": 17,
              "inner_sport": 5, "inner_dport": 53, "inner_ttl": 1}  # fmt: skip
    names = ("icmp.type", "ip.src", "ip.dst", "udp.dstport", "ip.ttl")
    assert shown(packet, tmp_path, *names) == [
        "11", "192.168.3.69,10.0.0.9", "100.121.0.75,8.8.8.8", "53", "63,1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("encap", "shown_as", "extra"),
    [(1, "vxlan.vni", {}), (2, "geneve.vni", {"outer_dport": 6081}), (3, "gre.key", {})],
)
def test_tunnels(encap: int, shown_as: str, extra: dict[str, int], tmp_path: Path) -> None:
    packet = {**MACS, **V4, **ECHO, "ip_len": 84, **VXLAN, "encap": encap, **extra}
    names = ("ip.src", "ip.ttl", "eth.src", shown_as, "icmp.ident")
    source, ttl, macs, vni, ident = shown(packet, tmp_path, *names)
    assert (source, ttl) == ("10.1.0.1,192.168.3.69", "64,63")
    assert macs == "02:00:00:00:00:0a,02:00:00:00:00:01"
    assert int(vni, 0) == 4242
    assert ident.startswith("22344")


@pytest.mark.parametrize("encap", [5, 6])
def test_ip_in_ip(encap: int, tmp_path: Path) -> None:
    inner = {**V4, **ECHO, "ip_len": 84} if encap == 5 else {**V6, **UDP, "ip_len": 78}
    packet = {**inner, **VXLAN, "encap": encap}
    names = ("eth.src", "ip.src", "ipv6.src")
    assert shown(packet, tmp_path, *names) == [
        "02:00:00:00:00:0a",
        "10.1.0.1,192.168.3.69" if encap == 5 else "10.1.0.1",
        "" if encap == 5 else "2001:db8::1",
    ]


def test_without_macs_the_link_is_cooked(tmp_path: Path) -> None:
    packet = {**V4, **ECHO, "ip_len": 84, "src_mac": MACS["src_mac"]}
    names = ("sll.src.eth", "sll.pkttype", "ip.src")
    assert shown(packet, tmp_path, *names) == [MACS["src_mac"], "0", V4["src"]]
    one, other = made({**V4, **ECHO}), made({**MACS, **V4, **ECHO})
    assert one is not None
    assert other is not None
    assert (one.linktype, other.linktype) == (COOKED, ETHERNET)


def test_what_nobody_knows_is_said() -> None:
    packet = made({**MACS, "src": "10.0.0.1", "dst": "10.0.0.2", "proto": 6, "sport": 5})
    assert packet is not None
    assert set(packet.unknown) == {"ttl", "ip_id", "dport", "tcp_seq", "tcp_flags"}
    whole = made({**MACS, **V4, **ECHO, "ip_len": 84})
    assert whole is not None
    assert whole.unknown == ()


def test_too_little_is_not_made_up() -> None:
    assert made({**MACS, "src": "10.0.0.1", "proto": 1}) is None
    assert made({**MACS}) is None
    assert made({"src": "10.0.0.1", "dst": "10.0.0.2"}) is None
