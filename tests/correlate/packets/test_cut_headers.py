"""Captures that cut TCP headers: what they do not show tells no hop of a packet from others."""

from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw
from scapy.utils import PcapWriter

import tracer

OUTER = Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:00:0b") / IP(src="192.0.2.10", id=7)
TO_OUTER_PAYLOAD = 14 + 20 + 8 + 8  # Ethernet, IPv4, UDP, VXLAN
COUNT = 24


def conversation() -> list[tuple[float, Packet]]:
    """Segments and bare acknowledgements, the last a FIN, with when each was sent."""
    out = []
    for number in range(COUNT):
        flags = "FA" if number == COUNT - 1 else "PA" if number % 3 else "A"
        tcp = TCP(sport=40000, dport=80, seq=1000 + 700 * number, ack=77, flags=flags)
        tcp.options = [("NOP", None), ("NOP", None), ("Timestamp", (900 + number, 5))]
        ip = IP(src="10.0.0.1", dst="10.0.1.1", id=100 + number, flags="DF")
        size = 700 if number % 3 else 0
        out.append((1_700_000_000 + number / 100, ip / tcp / Raw(bytes([number]) * size)))
    return out


def write(path: Path, snaplen: int, late: float, carried: bool) -> None:
    with PcapWriter(str(path), linktype=1, nano=True) as file:
        file.write_header(None)
        for sent, packet in conversation():
            frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet
            if carried:
                udp = UDP(sport=50000, dport=4789) / VXLAN(vni=7, flags="Instance")
                frame = OUTER / udp / frame
            data = bytes(frame)
            file.write_packet(
                data[:snaplen], sec=int(sent), usec=int((sent % 1 + late) * 1e9),
                caplen=min(snaplen, len(data)), wirelen=len(data),
            )  # fmt: skip


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("cut", [46, 47, 48, 50, 53, 54, 60, 66])  # bytes of Ethernet, IPv4, TCP
def test_packets_cut_in_the_middle_of_tcp_are_joined(
    cut: int, carried: bool, tmp_path: Path
) -> None:
    snaplen = cut + (TO_OUTER_PAYLOAD if carried else 0)
    for number, host in enumerate(("a", "b", "c")):
        is_cut = host == "b"
        write(
            tmp_path / f"{host}-eth0.pcap", snaplen if is_cut else 65_535, number * 2e-5,
            carried and is_cut,
        )  # fmt: skip
    found = tracer.read(tmp_path)
    assert found.journeys["hops"].tolist() == [3] * COUNT
    assert not found.journeys["ambiguous"].any()
