"""TCP that is one packet in a host and many on the wire: lost segments, told by counters of rules.

client c0 ── r0 router r1 ── m0 middle m1 ── s0 server; the router translates, and cuts what goes
out by r1 into segments; the middle loses some of them.
"""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from campus_traffic import take_all

import tracer
from tests.kernel.routed import run
from tests.kernel.wire import Dump, until_marked
from tracer.sources.live.syscalls import network_namespace

pytestmark = pytest.mark.kernel
LINKS = (("client", "c0", "router", "r0"), ("router", "r1", "middle", "m0"),
         ("middle", "m1", "server", "s0"))  # fmt: skip
PORT, MARK = 9997, b"\0\0\0\0the-recording-ends"
SERVER = "10.6.3.2"
NAT = """
table ip translate {
  chain c { type nat hook postrouting priority 100; oifname "r1" masquerade fully-random; }
}"""
LOSS = """
table ip loss {
  counter segments {}
  chain c { type filter hook forward priority 0;
    tcp dport 9997 meta length > 100 numgen inc mod 37 == 30 counter name segments drop
  }
}"""


@contextmanager
def chain() -> Iterator[dict[str, str]]:
    """Build the topology; yields its namespaces by name."""
    spaces = {n: f"off{os.getpid()}-{n}" for n in ("client", "router", "middle", "server")}
    try:
        for space in spaces.values():
            run(f"ip netns add {space} && ip -n {space} link set lo up")
        for number, (left, a, right, b) in enumerate(LINKS, 1):
            a_space, b_space = spaces[left], spaces[right]
            run(f"ip link add {a} netns {a_space} type veth peer name {b} netns {b_space}")
            for space, device, last in ((a_space, a, 1), (b_space, b, 2)):
                run(f"ip -n {space} addr add 10.6.{number}.{last}/24 dev {device}")
                run(f"ip -n {space} link set {device} up")
        for name in ("router", "middle"):
            run(f"ip netns exec {spaces[name]} sysctl -qw net.ipv4.ip_forward=1")
        for name, by in (("client", 1), ("router", 2)):
            run(f"ip -n {spaces[name]} route add default via 10.6.{by}.2")
        for name, by in (("middle", 2), ("server", 3)):
            run(f"ip -n {spaces[name]} route add default via 10.6.{by}.1")
        run(f"ip netns exec {spaces['router']} ethtool -K r1 tso off gso off")
        yield spaces
    finally:
        for space in spaces.values():
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)


def transfer(spaces: dict[str, str]) -> None:
    """Send two megabytes, of which TCP sends again what is lost; then the mark."""
    with network_namespace(f"/run/netns/{spaces['server']}"):
        server = socket.create_server((SERVER, PORT))
    with network_namespace(f"/run/netns/{spaces['client']}"):
        client, sender = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, client, sender:
        taken = threading.Thread(target=take_all, args=(server,))
        taken.start()
        client.connect((SERVER, PORT))
        client.sendall(os.urandom(2_000_000))
        client.shutdown(socket.SHUT_WR)
        taken.join()
        sender.sendto(MARK, (SERVER, PORT))


@pytest.fixture(scope="module")
def recorded(
    require_kernel: Callable[[bool, str], None], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int]:
    """The folder, and how many segments the middle counted that it lost."""
    require_kernel(os.geteuid() == 0, "network namespaces need root")
    folder = tmp_path_factory.mktemp("offloaded")
    with chain() as spaces:
        for name, rules in (("router", NAT), ("middle", LOSS)):
            (folder / "rules").write_text(rules)
            run(f"ip netns exec {spaces[name]} nft -f {folder / 'rules'}")
        (folder / "rules").unlink()
        places = [(each[k], each[k + 1]) for each in LINKS for k in (0, 2)]
        dumps = (
            Dump(spaces[host], device, folder / f"{host}-{device}.pcap", "-p -B 32768 -s 192")
            for host, device in places
        )
        with until_marked(dumps, MARK):
            transfer(spaces)
        said = json.loads(run(f"ip netns exec {spaces['middle']} nft -j list counters"))["nftables"]
    [counted] = [each["counter"]["packets"] for each in said if "counter" in each]
    return folder, counted


def test_the_client_shows_one_packet_where_the_wire_shows_many(
    recorded: tuple[Path, int],
) -> None:
    folder, _ = recorded
    wanted = f"tcp.dstport == {PORT} && tcp.len > 0"
    seen = {
        name: len(run(f"tshark -n -r {folder / name}.pcap -Y '{wanted}'").splitlines())
        for name in ("client-c0", "router-r1")
    }
    assert seen["router-r1"] > 2 * seen["client-c0"] > 0


@pytest.mark.parametrize(
    ("files", "before", "after"),
    [
        ("client-c0 router-r0 router-r1 middle-m0 middle-m1 server-s0", "m0", "m1"),
        ("client-c0 middle-m0 server-s0", "m0", "s0"),
        ("router-r1 server-s0", "r1", "s0"),
    ],
)
def test_lost_segments_are_where_and_as_many_as_the_middle_counted(
    recorded: tuple[Path, int], tmp_path: Path, files: str, before: str, after: str
) -> None:
    folder, dropped = recorded
    for name in files.split():
        os.symlink(folder / f"{name}.pcap", tmp_path / f"{name}.pcap")
    found = tracer.read(tmp_path)
    proto = found.flows.set_index("flow")["proto"]
    segments = found.segments[found.segments["flow"].map(proto) == "tcp"]
    lossy = segments[segments["lost"] > 0]
    assert set(lossy["from_point"].str.rpartition("-")[2]) == {before}
    assert set(lossy["to_point"].str.rpartition("-")[2]) == {after}
    assert lossy["lost"].sum() == dropped > 20
    assert segments["missed"].sum() == 0
    assert 0 < lossy["resent"].sum() <= dropped


def test_captures_at_both_ends_show_which_packets_lost_segments(
    recorded: tuple[Path, int], tmp_path: Path
) -> None:
    folder, dropped = recorded
    for name in ("client-c0", "server-s0"):
        os.symlink(folder / f"{name}.pcap", tmp_path / f"{name}.pcap")
    found = tracer.read(tmp_path)
    lost = found.journeys[found.journeys["outcome"] == "vanished"]
    assert 0 < len(lost) <= dropped
    # Either the whole packet, or so many bytes of it.
    said = lost["reason"].dropna().str.extract(r"^(\d+) of its bytes")[0].dropna().astype(int)
    assert len(said) > 0
    assert (said > 0).all()
