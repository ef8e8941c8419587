"""A router with one device, on a switch: what it loses is told by counters of its rules.

client c0 ── wc switch ws ── s0 server; the router's only device g0 at wg.
"""

import json
import os
import socket
import subprocess
import threading
import time
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
HOSTS = {"client": ("c0", "wc"), "router": ("g0", "wg"), "server": ("s0", "ws")}
UDP_PORT, TCP_PORT, SERVER = 9999, 9998, "10.7.2.2"
MARK = b"\0\0\0\0the-recording-ends"
LOSS = """
table inet loss {
  counter datagrams {}
  counter segments {}
  chain c { type filter hook forward priority 0;
    udp dport 9999 numgen random mod 100 < 15 counter name datagrams drop
    tcp dport 9998 tcp flags & (syn | fin) == 0 numgen random mod 100 < 6 counter name segments drop
  }
}"""


@contextmanager
def one_armed() -> Iterator[dict[str, str]]:
    """Build the topology; yields its namespaces by name."""
    spaces = {name: f"arm{os.getpid()}-{name}" for name in (*HOSTS, "switch")}
    switch = spaces["switch"]
    try:
        for space in spaces.values():
            run(f"ip netns add {space} && ip -n {space} link set lo up")
            run(f"ip netns exec {space} sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
        run(f"ip -n {switch} link add br0 type bridge && ip -n {switch} link set br0 up")
        for name, (device, port) in HOSTS.items():
            space = spaces[name]
            run(f"ip -n {space} link add {device} type veth peer name {port} netns {switch}")
            run(f"ip -n {switch} link set {port} master br0 up")
            run(f"ip -n {space} link set {device} up")
            run(f"ip netns exec {space} ethtool -K {device} tx off tso off gso off gro off")
        for number, name in enumerate(("client", "server"), 1):
            device = HOSTS[name][0]
            run(f"ip -n {spaces['router']} addr add 10.7.{number}.1/24 dev g0")
            run(f"ip -n {spaces[name]} addr add 10.7.{number}.2/24 dev {device}")
            run(f"ip -n {spaces[name]} route add default via 10.7.{number}.1")
        run(f"ip netns exec {spaces['router']} sysctl -qw net.ipv4.ip_forward=1")
        for kind in ("all", "g0"):
            run(
                f"ip netns exec {spaces['router']} sysctl -qw net.ipv4.conf.{kind}.send_redirects=0"
            )
        yield spaces
    finally:
        for space in spaces.values():
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)


def send(spaces: dict[str, str]) -> None:
    """Send datagrams and a TCP transfer, then the mark once the router loses nothing any more."""
    with network_namespace(f"/run/netns/{spaces['server']}"):
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sink.bind((SERVER, UDP_PORT))
        server = socket.create_server((SERVER, TCP_PORT))
    with network_namespace(f"/run/netns/{spaces['client']}"):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client = socket.socket()
    with sink, server, sender, client:
        for number in range(1, 312):
            sender.sendto(number.to_bytes(4, "big") + b"a datagram", (SERVER, UDP_PORT))
            time.sleep(0.001)  # the pace of the sender, not a wait for anything
        taken = threading.Thread(target=take_all, args=(server,))
        taken.start()
        client.connect((SERVER, TCP_PORT))
        client.sendall(os.urandom(400_000))
        client.shutdown(socket.SHUT_WR)
        taken.join()
        run(f"ip netns exec {spaces['router']} nft flush chain inet loss c")
        sender.sendto(MARK, (SERVER, UDP_PORT))


@pytest.fixture(scope="module")
def recorded(
    require_kernel: Callable[[bool, str], None], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, int]]:
    """The folder, and what the router counted."""
    require_kernel(os.geteuid() == 0, "network namespaces need root")
    folder = tmp_path_factory.mktemp("armed")
    with one_armed() as spaces:
        (folder / "loss.nft").write_text(LOSS)
        run(f"ip netns exec {spaces['router']} nft -f {folder / 'loss.nft'}")
        (folder / "loss.nft").unlink()
        places = [(spaces[name], device, name) for name, (device, _) in HOSTS.items()]
        places += [(spaces["switch"], port, "switch") for _, port in HOSTS.values()]
        dumps = (
            Dump(s, d, folder / f"{host}-{d}.pcap", "-p -B 16384 -s 2048") for s, d, host in places
        )
        with until_marked(dumps, MARK):
            send(spaces)
        said = json.loads(run(f"ip netns exec {spaces['router']} nft -j list counters"))["nftables"]
    counters = [each["counter"] for each in said if "counter" in each]
    return folder, {each["name"]: each["packets"] for each in counters}


def data(folder: Path, name: str) -> int:
    """How many frames with the client's bytes tshark finds in a capture."""
    wanted = f"tcp.dstport == {TCP_PORT} && tcp.len > 0"
    return len(run(f"tshark -n -r {folder / name}.pcap -Y '{wanted}'").splitlines())


@pytest.mark.parametrize(
    ("files", "at"),
    [
        ("client-c0 switch-wc switch-wg router-g0 switch-ws server-s0", "g0"),
        ("client-c0 router-g0", "g0"),
        ("router-g0", "g0"),
        ("client-c0 switch-wg server-s0", "wg"),
    ],
)
def test_loss_is_where_and_as_often_as_the_router_counted(
    recorded: tuple[Path, dict[str, int]], tmp_path: Path, files: str, at: str
) -> None:
    folder, dropped = recorded
    for name in files.split():
        os.symlink(folder / f"{name}.pcap", tmp_path / f"{name}.pcap")
    found = tracer.read(tmp_path)
    proto = found.flows.set_index("flow")["proto"].to_dict()
    segments = found.segments.assign(proto=found.segments["flow"].map(proto))
    lossy = segments[segments["lost"] > 0]
    ends = {
        point.rpartition("-")[2] for side in ("from_point", "to_point") for point in lossy[side]
    }
    assert ends == {at}
    totals = lossy.groupby("proto", observed=True)[["lost", "resent"]].sum()
    assert totals.loc["udp", "lost"] == dropped["datagrams"] > 20
    assert totals.loc["tcp", "lost"] == dropped["segments"] > 2
    # Acknowledgements are not sent again; several short segments may be sent again as one.
    bytes_lost = data(folder, "client-c0") - data(folder, "server-s0")
    assert 0 < totals.loc["tcp", "resent"] <= bytes_lost <= dropped["segments"]
    vanished = found.journeys[found.journeys["outcome"] == "vanished"]
    assert len(vanished) == dropped["datagrams"] + dropped["segments"]
