"""What takes packets and passes them on by one device, one TTL or none less, is on their way."""

from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

import tracer

CLIENT, BALANCER, SERVER = (f"02:00:00:00:00:0{number}" for number in (1, 2, 3))
START_S, COUNT, LOST = 1_700_000_000, 30, 13


def request(number: int) -> Packet:
    udp = UDP(sport=40000, dport=80)
    return IP(src="10.0.0.1", dst="10.0.0.80", id=100 + number) / udp / Raw(bytes([number]) * 100)


def answer(number: int) -> Packet:
    udp = UDP(sport=80, dport=40000)
    return IP(src="10.0.0.80", dst="10.0.0.1", id=900 + number) / udp / Raw(bytes([number]) * 40)


def write(folder: Path, clock_off_s: float) -> None:
    """The server answers the client itself; the balancer's stamps are off by so much."""
    client: list[Packet] = []
    balancer: list[Packet] = []
    server: list[Packet] = []

    def see(seen: list[Packet], macs: tuple[str, str], packet: Packet, at_s: float) -> None:
        frame = Ether(src=macs[0], dst=macs[1]) / packet
        frame.time = at_s
        seen.append(frame)

    for number in range(COUNT):
        at_s = START_S + number / 50
        see(client, (CLIENT, BALANCER), request(number), at_s)
        see(balancer, (CLIENT, BALANCER), request(number), at_s + 60e-6 + clock_off_s)
        see(balancer, (BALANCER, SERVER), request(number), at_s + 72e-6 + clock_off_s)
        if number == LOST:
            continue
        see(server, (BALANCER, SERVER), request(number), at_s + 130e-6)
        see(server, (SERVER, CLIENT), answer(number), at_s + 180e-6)
        see(client, (SERVER, CLIENT), answer(number), at_s + 240e-6)
    for name, seen in (("client", client), ("balancer", balancer), ("server", server)):
        wrpcap(str(folder / f"{name}-eth0.pcap"), seen, nano=True)


@pytest.mark.parametrize("clock_off_s", [0.0, 0.004])
def test_a_balancer_that_servers_do_not_answer_by(clock_off_s: float, tmp_path: Path) -> None:
    write(tmp_path, clock_off_s)
    found = tracer.read(tmp_path)
    journeys = found.journeys
    assert len(journeys) == 2 * COUNT - 1
    asked = found.hops[found.hops["dport"] == 80]["journey"].unique()
    requests = journeys[journeys["journey"].isin(asked)]
    assert requests["hops"].tolist() == [4 if n != LOST else 3 for n in range(COUNT)]
    vanished = journeys[journeys["outcome"] != "delivered"]
    assert vanished["outcome"].tolist() == ["vanished"]
    assert (found.hops["delta"].dropna().dt.total_seconds() >= 0).all()
