"""Packets, what tcpdump prints of them, and what a reader of that has to find."""

import subprocess
from pathlib import Path
from typing import Any

from scapy.all import (
    DNS,
    DNSQR,
    GRE,
    ICMP,
    IP,
    TCP,
    UDP,
    VXLAN,
    Dot1Q,
    Ether,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    IPv6,
    Packet,
    wrpcap,
)

from tracer.core.address import decode_ip, decode_mac
from tracer.core.batch import ObservationBatch

A, B = "192.168.3.69", "100.121.0.75"
A6, B6 = "2001:db8::1", "2001:db8::2"
MAC_A, MAC_B = "fa:16:3e:a4:58:8d", "fa:16:3e:ff:d5:8b"
ALL = "ff:ff:ff:ff:ff:ff"
START = 1_700_000_000_123_456_000
STEP = 250_000_000


def ether() -> Packet:
    return Ether(src=MAC_A, dst=MAC_B)


def tcp(there: bool, flags: str, seq: int, ack: int, data: bytes = b"", ip_id: int = 0) -> Packet:
    source, target, sport, dport = (A, B, 40000, 443) if there else (B, A, 443, 40000)
    options = [("NOP", None), ("NOP", None), ("Timestamp", (seq % 1000, ack % 1000))]
    segment = TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, options=options)
    return ether() / IP(src=source, dst=target, ttl=63, id=ip_id, flags="DF") / segment / data


OUTER = ether() / IP(src="10.0.0.1", dst="10.0.0.2")
ISN_A, ISN_B = 4_294_967_290, 3_000_000_000  # A's numbers wrap in its first data segment
PACKETS = [
    ether() / IP(src=A, dst=B, id=34720, flags="DF") / ICMP(id=22344, seq=16434) / ("x" * 56),
    ether() / IP(src=B, dst=A, ttl=61, id=57245) / ICMP(type=0, id=22344, seq=16434) / ("x" * 56),
    tcp(True, "S", ISN_A, 0),
    tcp(False, "SA", ISN_B, ISN_A + 1),
    tcp(True, "A", ISN_A + 1, ISN_B + 1),
    tcp(True, "PA", ISN_A + 1, ISN_B + 1, b"0123456789", ip_id=5),
    tcp(False, "A", ISN_B + 1, (ISN_A + 11) % 2**32, b"z" * 100, ip_id=6),
    tcp(True, "FA", (ISN_A + 11) % 2**32, ISN_B + 101),
    tcp(False, "RA", ISN_B + 101, (ISN_A + 12) % 2**32),
    ether() / IP(src=A, dst=B, ttl=64, id=8, tos=0xB9) / UDP(sport=5000, dport=5001) / ("d" * 32),
    ether() / IP(src=A, dst="8.8.8.8", id=9) / UDP(sport=5000) / DNS(qd=DNSQR(qname="a.b")),
    ether() / Dot1Q(vlan=20) / IP(src=A, dst=B, ttl=62, id=5027) / ICMP(id=36215, seq=17208),
    ether() / Dot1Q(vlan=20) / Dot1Q(vlan=30) / IP(src=A, dst=B, id=1) / UDP(sport=1, dport=2),
    ether() / IPv6(src="fe80::1", dst=B6, fl=5) / ICMPv6EchoRequest(id=7, seq=3),
    ether() / IPv6(src=B6, dst="fe80::1", hlim=9) / ICMPv6EchoReply(id=7, seq=3, data="ab"),
    ether() / IPv6(src="fe80::1", dst="ff02::1:ff00:2", hlim=255) / ICMPv6ND_NS(tgt="fe80::2"),
    ether() / IPv6(src=A6, dst=B6) / TCP(sport=10, dport=20, seq=7, flags="S"),
    ether() / IPv6(src=A6, dst=B6) / UDP(sport=10, dport=20) / "aaaa",
    ether() / IP(src=A, dst=B, id=55, proto=89) / ("x" * 20),
    ether() / IP(src=A, dst=B, id=55, frag=126, proto=17) / ("x" * 504),
    OUTER
    / UDP(sport=45000, dport=4789)
    / VXLAN(vni=100, flags=8)
    / Ether(src=MAC_B, dst=MAC_A)
    / IP(src=A, dst=B, ttl=60, id=34721)
    / ICMP(id=5, seq=6),
    OUTER / GRE() / IP(src=A, dst=B, ttl=59, id=2) / ICMP(),
    OUTER / IP(src=A, dst=B, id=3) / UDP(sport=1, dport=2),
    OUTER
    / IPv6(src=A6, dst=B6, hlim=12)
    / UDP(sport=1, dport=2)
    / "x",
]  # fmt: skip
OPTION_SETS = ["-nn", "-n -v", "-nne", "-env", "-nnvv", "-nev -S", "-n -q", "-nnve -x", "-nn -XX",
               "-n -A -e", "-nv --number", "-ne -K"]  # fmt: skip


def printed(options: str, pcap: Path) -> str:
    command = ["tcpdump", *options.split(), "-r", str(pcap)]
    result = subprocess.run(command, capture_output=True, check=True, env={"TZ": "UTC"})
    return (result.stderr + result.stdout).decode("utf-8", "replace")


def save(path: Path, packets: list[Packet]) -> Path:
    for number, packet in enumerate(packets):
        packet.time = (START + number * STEP) / 1e9
    wrpcap(str(path), packets)
    return path


def last(packet: Packet, kinds: tuple[Any, ...]) -> Packet | None:
    found = [layer for kind in kinds for layer in _all(packet, kind)]
    return max(found, key=lambda layer: -len(layer)) if found else None


def _all(packet: Packet, kind: Any) -> list[Packet]:
    found, number = [], 1
    while layer := packet.getlayer(kind, number):
        found.append(layer)
        number += 1
    return found


def expected(packet: Packet, options: str) -> dict[str, Any]:
    """What the options make tcpdump print of a packet, by scapy's reading of the bytes."""
    packet = Ether(bytes(packet))
    letters = "".join(word for word in options.split() if not word.startswith("--"))
    network = last(packet, (IP, IPv6))
    link = last(packet, (Ether,))
    assert network is not None
    assert link is not None
    wanted: dict[str, Any] = {"src": network.src, "dst": network.dst}
    if "v" in letters:
        wanted |= _header(network)
    if "e" in letters:
        tags = [tag.vlan for tag in _all(packet, Dot1Q)]
        wanted |= {"src_mac": link.src, "dst_mac": link.dst, "wire_len": len(packet)}
        wanted |= dict(zip(("vlan", "vlan_inner"), tags, strict=False))
    return wanted | _transport(network, letters)


def _header(network: Packet) -> dict[str, Any]:
    if isinstance(network, IPv6):
        return {"ttl": network.hlim, "ip_len": network.plen + 40, "flow_label": network.fl}
    return {
        "ttl": network.ttl, "ip_id": network.id, "ip_len": network.len, "tos": network.tos,
        "df": int(bool(network.flags.DF)), "frag_offset": network.frag * 8,
    }  # fmt: skip


def _transport(network: Packet, letters: str) -> dict[str, Any]:
    if isinstance(network, IP) and network.frag:
        return {"proto": 17, "sport": None}
    if segment := network.getlayer(TCP):
        wanted = {"proto": 6, "sport": segment.sport, "dport": segment.dport}
        wanted["payload_len"] = len(segment.payload)
        return wanted if "q" in letters else wanted | _numbers(segment, letters)
    if datagram := network.getlayer(UDP):
        length = len(datagram.payload)
        return {
            "proto": 17,
            "sport": datagram.sport,
            "dport": datagram.dport,
            "payload_len": length,
        }
    echo = network.getlayer(ICMP) or network.getlayer(ICMPv6EchoRequest)
    echo = echo or network.getlayer(ICMPv6EchoReply)
    if echo is not None:
        return {"icmp_type": echo.type, "icmp_code": echo.code, "icmp_id": echo.id,
                "icmp_seq": echo.seq, "payload_len": len(echo) - 8}  # fmt: skip
    return {"icmp_type": 135} if network.getlayer(ICMPv6ND_NS) else {}


def _numbers(segment: Packet, letters: str) -> dict[str, Any]:
    wanted = {"tcp_flags": int(segment.flags), "tcp_window": segment.window}
    stamps = dict(segment.options).get("Timestamp")
    if stamps:
        wanted |= {"tcp_tsval": stamps[0], "tcp_tsecr": stamps[1]}
    if segment.flags.A:
        wanted["tcp_ack"] = segment.ack
    if len(segment.payload) or int(segment.flags) & 7 or letters.count("v") > 1:
        wanted["tcp_seq"] = segment.seq
    return wanted


def seen(batch: ObservationBatch, row: int, names: Any) -> dict[str, Any]:
    record = batch.packets[row]
    values: dict[str, Any] = {}
    for name in names:
        if name in ("src", "dst"):
            values[name] = decode_ip(int(record[f"{name}_hi"]), int(record[f"{name}_lo"]))
        elif name.endswith("_mac"):
            values[name] = decode_mac(int(record[name]))
        else:
            values[name] = None if record[name] == -1 else int(record[name])
    return values
