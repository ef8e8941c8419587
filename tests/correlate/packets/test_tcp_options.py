"""TCP options on the way: what a router may rewrite does not part a packet's observations."""

from pathlib import Path

from scapy.all import IP, TCP, Ether, wrpcap

import tracer

SYN = TCP(sport=40000, dport=443, seq=77, flags="S")
OPTIONS = [("SAckOK", b""), ("Timestamp", (11, 0)), ("NOP", None), ("WScale", 7)]


def seen(ttl: int, time: float, segment: TCP) -> Ether:
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    frame = frame / IP(src="10.0.0.1", dst="192.0.2.1", ttl=ttl, id=7) / segment
    frame.time = time
    return frame


def test_a_syn_whose_mss_was_clamped_is_one_packet(tmp_path: Path) -> None:
    for name, ttl, at, mss in (("inside", 64, 1000.0, 1460), ("outside", 63, 1000.0001, 1380)):
        segment = SYN.copy()
        segment.options = [("MSS", mss), *OPTIONS]
        wrpcap(str(tmp_path / f"{name}.pcap"), [seen(ttl, at, segment)])
    found = tracer.read(tmp_path)
    assert found.journeys["hops"].tolist() == [2]


def test_equal_acknowledgements_are_told_apart_by_their_blocks(tmp_path: Path) -> None:
    for name, ttl, late in (("inside", 64, 0.0), ("outside", 63, 0.00005)):
        frames = []
        for number in range(4):  # closer to each other than the two captures are
            ack = TCP(sport=40000, dport=443, seq=77, ack=1000, flags="A")
            ack.options = [("NOP", None), ("NOP", None), ("SAck", (2448, 3896 + 1448 * number))]
            frame = seen(ttl, 1000.0 + late + number * 0.00001, ack)
            frame[IP].id = 0
            frames.append(frame)
        wrpcap(str(tmp_path / f"{name}.pcap"), frames, nano=True)
    found = tracer.read(tmp_path)
    hops = found.hops
    assert len(found.journeys) == 4
    assert hops.groupby("journey")["tcp_sack"].nunique().tolist() == [1] * 4
    assert not found.journeys["ambiguous"].any()
