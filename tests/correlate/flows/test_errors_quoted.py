"""Errors about packets that nothing could follow through a NAT tell of both their halves."""

from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

import tracer

START_S, COUNT = 1_700_000_000, 24
CLIENT, ROUTER, SERVER = "10.1.0.2", "10.2.0.1", "10.3.0.2"
LAN = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
WAN = Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04")


def back(link: Ether) -> Ether:
    return Ether(src=link.dst, dst=link.src)


def datagram(source: str, port: int, ttl: int) -> Packet:
    # Nothing but the port tells one from another, and NAT rewrites that.
    ip = IP(src=source, dst=SERVER, id=0, flags="DF", ttl=ttl)
    return ip / UDP(sport=port, dport=5005) / Raw(b"constant-payload")


def translated(number: int) -> int:
    """The port that packet `number`, sent from 40000 + number, leaves the router with."""
    return 2_000 + number * 7_919 % 20_011


def write(folder: Path, answered: range) -> None:
    """What a router with `masquerade fully-random` shows on both sides, in bursts of eight."""
    lan, wan = [], []

    def seen(frames: list[Packet], packet: Packet, at_us: float) -> None:
        packet.time = START_S + at_us / 1e6
        frames.append(packet)

    for n in range(COUNT):
        at_us = n // 8 * 10_000 + n % 8
        seen(lan, LAN / datagram(CLIENT, 40_000 + n, 64), at_us)
        seen(wan, WAN / datagram(ROUTER, translated(n), 63), at_us + 30)
        if n not in answered:
            continue
        number = 100 + n  # the error's own IP id
        error = ICMP(type=3, code=3) / datagram(ROUTER, translated(n), 62)
        seen(wan, back(WAN) / IP(src=SERVER, dst=ROUTER, id=number, ttl=64) / error, at_us + 300)
        error = ICMP(type=3, code=3) / datagram(CLIENT, 40_000 + n, 62)
        seen(lan, back(LAN) / IP(src=SERVER, dst=CLIENT, id=number, ttl=63) / error, at_us + 330)
    folder.mkdir()
    for name, frames in (("r1-eth0", lan), ("r1-eth1", wan)):
        wrpcap(str(folder / f"{name}.pcap"), sorted(frames, key=lambda frame: frame.time))


def test_a_packet_that_an_error_quotes_inside_the_nat_has_not_vanished(tmp_path: Path) -> None:
    answered = range(0, COUNT, 2)
    write(tmp_path / "captures", answered)
    read = tracer.read(tmp_path / "captures")
    hops, journeys = read.hops, read.journeys.set_index("journey")
    sent = hops[(hops["src"] == CLIENT) & (hops["proto"] == "udp")]
    assert set(sent["sport"]) == {40_000 + n for n in range(COUNT)}
    for port, number in zip(sent["sport"], sent["journey"], strict=True):
        said = journeys.loc[number]
        was_answered = port - 40_000 in answered
        assert (said["reason"] == f"port unreachable, said {SERVER}") == was_answered, port
        assert (said["outcome"] in ("answered-elsewhere", "delivered")) == was_answered, port
    errors = journeys[journeys["kind"] == "icmp-error"]
    assert len(errors) == len(answered)
    assert errors["quotes"].notna().all()


UNDERLAY, LEFT, RIGHT = "192.0.2.1", "192.0.2.10", "198.51.100.10"


def carried(number: int, size: int) -> tuple[Packet, Packet]:
    """A packet of a tenant, and the one that carries it."""
    inner = IP(src="10.0.0.5", dst="10.0.0.6", id=100 + number, flags="DF") / UDP(
        sport=7000, dport=7001
    )
    inner /= Raw(number.to_bytes(2, "big") * (size // 2))
    outer = IP(src=LEFT, dst=RIGHT, id=9_000 + number, flags="DF")
    outer /= UDP(sport=50_000, dport=4789) / VXLAN(vni=77, flags="Instance") / LAN / inner
    return inner, outer


@pytest.mark.parametrize("shown", [28, 548])
def test_the_underlay_quotes_what_a_tunnel_carries(shown: int, tmp_path: Path) -> None:
    inside: list[Packet] = []
    left: list[Packet] = []
    right: list[Packet] = []
    for number in range(20):
        inner, outer = carried(number, 1400 if number % 4 == 3 else 300)
        at_s = START_S + number / 100
        frames = [(inside, LAN / inner, 0), (left, WAN / outer, 20)]
        if number % 4 < 3:
            frames.append((right, WAN / outer, 90))
        else:
            error = ICMP(type=3, code=4, nexthopmtu=1400) / Raw(bytes(outer)[:shown])
            said = IP(src=UNDERLAY, dst=LEFT, id=number + 1, ttl=64) / error
            frames.append((left, back(WAN) / said, 70))
        for seen, packet, at_us in frames:
            packet.time = at_s + at_us / 1e6
            seen.append(packet)
    for name, seen in (("vm-tap0", inside), ("node-eth0", left), ("peer-eth0", right)):
        wrpcap(str(tmp_path / f"{name}.pcap"), seen, nano=True)
    journeys = tracer.read(tmp_path).journeys
    large = journeys[journeys["outcome"] == "answered-elsewhere"]
    assert len(large) == 5
    assert set(large["reason"]) == {f"fragmentation needed, said {UNDERLAY}"}
    errors = journeys[journeys["kind"] == "icmp-error"]
    assert sorted(errors["quotes"]) == sorted(large["journey"])
