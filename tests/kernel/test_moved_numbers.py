"""A connection behind SYNPROXY, whose sequence numbers the router moves: live, on both engines;
tcpdump at both ends judges.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py)
"""

import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from follower import Follower, Journey, own, stop_together, together, wait_for_ping
from routed import Routed, routed, run
from wire import tcpdumps

from tracer.sources.live.syscalls import network_namespace

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
SERVER, PORT, LAST, SENT = "10.7.2.2", 7401, 33_621, 5
MARK = b"the bytes that end it"
RULES = f"""table ip f {{
  chain first {{ type filter hook prerouting priority -300
    iifname "r0" tcp dport {PORT} tcp flags syn notrack
  }}
  chain on {{ type filter hook forward priority 0
    tcp dport {PORT} ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
    ct state invalid drop
  }}
}}
"""


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("mov") as built:
        inside = f"ip netns exec {built.router}"
        subprocess.run([*inside.split(), "nft", "-f", "-"], input=RULES, text=True, check=True)
        run(f"{inside} sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0")
        built.ping()
        yield built


@pytest.fixture(scope="module")
def folder(net: Routed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moved")
    followers = together(
        Follower(folder, name, "--engine", name, "--host", "10.7.1.2") for name in ENGINES
    )
    try:
        with tcpdumps(folder, [(net.client, "c0", ""), (net.server, "s0", "")], MARK):
            _talk(net)
        net.ping(options=f"-c1 -e {LAST}")
        wait_for_ping(followers, LAST)
    finally:
        stop_together(followers)
    return folder


def _talk(net: Routed) -> None:
    with network_namespace(f"/run/netns/{net.server}"):
        listening = socket.create_server((SERVER, PORT))
    with network_namespace(f"/run/netns/{net.client}"):
        calling = socket.create_connection((SERVER, PORT), 5)
    answering, _ = listening.accept()
    with listening, calling, answering:
        for data in (*(bytes([number]) for number in range(SENT)), MARK):
            calling.sendall(data)
            assert answering.recv(99) == data
            answering.sendall(data)
            assert calling.recv(99) == data


@pytest.fixture(params=ENGINES)
def sent(request: pytest.FixtureRequest, net: Routed, folder: Path) -> list[Journey]:
    journeys = own(folder, str(request.param), net.names)
    return [j for j in journeys if j["proto"] == "tcp" and j["hops"][0]["payload_len"]]


def test_a_packet_with_other_numbers_is_the_same_packet(sent: list[Journey]) -> None:
    assert len(sent) == 2 * (SENT + 1)
    for journey in sent:
        way = [hop["device"] for hop in journey["hops"] if hop["hook"] is None]
        assert way in (["c0", "r0", "r1", "s0"], ["s0", "r1", "r0", "c0"])
        moved = {
            change["field"]: (change["from"], change["to"])
            for hop in journey["hops"]
            for change in hop["changes"]
            if change["field"] in ("tcp_seq", "tcp_ack")
        }
        assert moved.keys() == ({"tcp_ack"} if way[0] == "c0" else {"tcp_seq"})
        assert journey["outcome"] == "delivered"


@pytest.mark.parametrize("device", ["c0", "s0"])
def test_tcpdump_sees_these_numbers(sent: list[Journey], folder: Path, device: str) -> None:
    text = run(f"tcpdump -r {folder / device}.pcap -n -S 'tcp port {PORT}'")
    dumped = re.findall(r"seq (\d+):\d+, ack (\d+)", text)
    seen = [
        (str(hop["tcp_seq"]), str(hop["tcp_ack"]))
        for journey in sent
        for hop in journey["hops"]
        if hop["device"] == device
    ]
    assert sorted(seen) == sorted(dumped)
