"""What MPLS labels are put before, live, on both engines; tcpdump judges.

A kernel without MPLS carries such frames all the same, and takes none: a packet socket sends them.

client c0 ── r0 router (tests/kernel/routed.py)
"""

import re
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from follower import Follower, own, stop_together, together, wait_for_ping
from routed import Routed, routed, run
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw
from wire import tcpdumps

from tracer.sources.live.syscalls import network_namespace
from tracer.sources.read import read

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
SOURCE = {4: "10.7.1.2", 6: "fd07:1::2"}
LAST, MARK = 33_519, b"the last frame of them all"
#: By port: the labels, the VLAN, the version of IP.
SENT = {
    7301: ((100,), None, 4),
    7302: ((200,), None, 6),
    7303: ((300, 301, 302), None, 4),
    7304: ((400, 401), 40, 6),
    7305: (tuple(range(500, 508)), None, 4),
}


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("mpl") as built:
        built.ping()
        yield built


@pytest.fixture(scope="module")
def folder(net: Routed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    hosts = ("--host", SOURCE[4], "--host", SOURCE[6])
    followers = together(
        Follower(folder, name, "--engine", name, "--write", str(folder / f"{name}.parquet"), *hosts)
        for name in ENGINES
    )
    places = [(net.client, "c0", ""), (net.router, "r0", "")]
    try:
        with (
            network_namespace(f"/run/netns/{net.client}"),
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out,
        ):
            out.bind(("c0", 0))
            mac = run(f"ip netns exec {net.router} cat /sys/class/net/r0/address").strip()
            with tcpdumps(folder, places, MARK):
                for port, how in SENT.items():
                    out.send(bytes(_frame(mac, port, *how)))
                out.send(bytes(_frame(mac, 7300, (99,), None, 4)))
        net.ping("10.7.1.1", f"-c1 -e {LAST}")
        wait_for_ping(followers, LAST)
    finally:
        stop_together(followers)
    return folder


def _frame(mac: str, port: int, labels: tuple[int, ...], vlan: int | None, version: int) -> Packet:
    frame = Ether(dst=mac)
    if vlan is not None:
        frame /= Dot1Q(vlan=vlan, type=0x8847)
    frame.type = 0x8100 if vlan is not None else 0x8847
    for label in labels:
        frame /= MPLS(label=label, s=int(label == labels[-1]), ttl=64)
    ends = {4: IP(src=SOURCE[4], dst="10.7.2.2", id=port),
            6: IPv6(src=SOURCE[6], dst="fd07:2::2")}  # fmt: skip
    return frame / ends[version] / UDP(sport=4000, dport=port) / Raw(MARK if port == 7300 else b"x")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("port", SENT)
def test_a_labelled_packet_is_one_journey(
    folder: Path, net: Routed, engine: str, port: int
) -> None:
    found = own(folder, engine, net.names)
    (journey,) = [j for j in found if j["hops"][0]["dport"] == port]
    way = [(hop["netns"], hop["device"], hop["direction"]) for hop in journey["hops"]]
    assert way[:2] == [(net.client, "c0", "egress"), (net.router, "r0", "ingress")]
    assert {hop["src"] for hop in journey["hops"]} == {SOURCE[SENT[port][2]]}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("device", ["c0", "r0"])
def test_tcpdump_sees_the_same_labels(folder: Path, net: Routed, engine: str, device: str) -> None:
    text = run(f"tcpdump -r {folder / device}.pcap -n -t -e")
    dumped = Counter(
        (int(label), vlan and int(vlan), int(port))
        for vlan, label, port in re.findall(
            r"(?:vlan (\d+),.*)?MPLS \(label (\d+).*\.(\d+): UDP", text
        )
    )
    batch = read([str(folder / f"{engine}.parquet")]).batch
    here = [p.device == device and p.hook is None and p.netns in net.names for p in batch.points]
    packets = batch.packets[np.array(here)[batch.packets["point"]]]
    packets = packets[packets["mpls_label"] >= 0]
    seen = Counter(
        (int(p["mpls_label"]), str(p["vlan"]) if p["vlan"] >= 0 else "", int(p["dport"]))
        for p in packets
    )
    assert {(label, vlan and int(vlan), port) for label, vlan, port in seen} == set(dumped)
    assert seen.total() == dumped.total() == len(SENT) + 1
