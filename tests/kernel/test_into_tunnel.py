"""A router that translates into a VXLAN whose device claims an MTU that its underlay does not have,
live, on both engines: the router needs room for more headers and copies packets into other buffers,
and what is too large is refused late. The server is a router, too, with a route that refuses.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py), and vx0 ── vx0 over r1 ── s0.
A packet socket is open at each device, as DHCP clients and tcpdump have them.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from follower import (
    Follower,
    Journey,
    own,
    stop_together,
    together,
    wait_for_ping,
)
from routed import Routed, routed, run

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
LAST, HEADERS = 32_313, 48  # of IPv6 and UDP
SERVER, BLACK = {4: "10.7.5.2", 6: "fd07:5::2"}, {4: "10.9.9.9", 6: "fd07:9::9"}
LARGE = 1480  # bytes of IPv6: with VXLAN's headers more than r1 takes
SILENT, SIZES, WHOLE = 4545, 4646, 4747
SEND = """
import socket, sys
silent, sizes, whole, large, *hosts = sys.argv[1:]
for host in hosts:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.sendto(b"x" * 20, (host, int(silent)))
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
    s.sendto(b"x" * 2000, (hosts[0], int(whole)))
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
    s.setsockopt(socket.IPPROTO_IPV6, 23, 3)  # IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE
    s.connect((hosts[0], int(sizes)))
    for _ in range(5):
        try:
            s.send(b"x" * int(large))
            s.settimeout(0.2)
            s.recv(1)
        except OSError:
            pass
"""


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("vx") as built:
        for name, own_, other in ((built.router, 1, 2), (built.server, 2, 1)):
            ends = f"local 10.7.2.{own_} remote 10.7.2.{other}"
            run(f"ip -n {name} link add vx0 type vxlan id 7 {ends} dstport 4789")
            run(f"ip -n {name} addr add 10.7.5.{own_}/24 dev vx0")
            run(f"ip -n {name} addr add fd07:5::{own_}/64 dev vx0 nodad")
            run(f"ip -n {name} link set vx0 up")
        for address in BLACK.values():
            family = "-6" if ":" in address else "-4"
            via = SERVER[6] if ":" in address else SERVER[4]
            run(f"ip -n {built.router} {family} route add {address} via {via}")
            run(f"ip -n {built.server} {family} route add blackhole {address}")
        run(f"ip netns exec {built.server} sysctl -qw net.ipv4.ip_forward=1")
        run(f"ip netns exec {built.server} sysctl -qw net.ipv6.conf.all.forwarding=1")
        for tables in ("iptables", "ip6tables"):
            run(f"ip netns exec {built.router} {tables} -t nat -A POSTROUTING -o vx0 -j MASQUERADE")
            drop = f"-A INPUT -p udp --dport {SILENT} -j DROP"
            run(f"ip netns exec {built.server} {tables} {drop}")
        for address in ("10.7.5.2", "fd07:5::2"):
            built.ping(address, "-c1 -w10")  # addresses and neighbours take their time
        yield built


@contextlib.contextmanager
def listening(net: Routed) -> Iterator[None]:
    """A packet socket in each namespace of the way, which shares all buffers."""
    code = "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3));"
    code += " print(flush=True); input()"
    with contextlib.ExitStack() as stack:
        for name in (net.router, net.server):
            command = ["ip", "netns", "exec", name, sys.executable, "-c", code]
            pipe = subprocess.PIPE
            process = stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe))
            stack.callback(process.terminate)
            assert process.stdout is not None
            process.stdout.readline()
        yield


@pytest.fixture(scope="module")
def folder(net: Routed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything is sent once, before the eyes of both engines."""
    folder = tmp_path_factory.mktemp("tunnel")
    hosts = ("--host", "fd07:1::2", "--host", "10.7.1.2")
    with listening(net):
        followers = together(Follower(folder, name, "--engine", name, *hosts) for name in ENGINES)
        try:
            numbers = map(str, (SILENT, SIZES, WHOLE, LARGE - HEADERS))
            to = (SERVER[6], SERVER[4], BLACK[6], BLACK[4])
            client = ["ip", "netns", "exec", net.client, sys.executable, "-c", SEND]
            subprocess.run([*client, *numbers, *to], check=True)
            net.ping(options=f"-c1 -e {LAST}")
            wait_for_ping(followers, LAST)
        finally:
            stop_together(followers)
    return folder


@pytest.fixture(params=ENGINES)
def journeys(request: pytest.FixtureRequest, net: Routed, folder: Path) -> list[Journey]:
    return own(folder, str(request.param), net.names)


def sent(journeys: list[Journey], port: int, address: str | None = None) -> list[Journey]:
    return [
        j
        for j in journeys
        if j["hops"][0]["dport"] == port and address in (None, j["hops"][0]["dst"])
    ]


def way(journey: Journey) -> list[tuple[str, str]]:
    return [(h["netns"].split("-")[-1], h["device"] or h["hook"]) for h in journey["hops"]]


WAY = [("client", "c0"), ("router", "r0"), ("router", "postrouting"), ("router", "vx0"),
       ("router", "r1"), ("server", "s0"), ("server", "vx0"), ("server", "vx0")]  # fmt: skip


@pytest.mark.parametrize("version", [4, 6])
def test_a_translated_packet_goes_on_in_another_buffer(
    version: int, journeys: list[Journey]
) -> None:
    (journey,) = sent(journeys, SILENT, SERVER[version])
    assert way(journey) == WAY
    assert (journey["outcome"], journey["reason"]) == ("dropped", "NETFILTER_DROP")
    before, after = journey["hops"][2:4]
    assert (before["src"], after["src"]) == (SERVER[version][:-1] + "1",) * 2
    if version == 6:  # this is what the test is about: IPv4 has room enough
        assert after["join"]["evidence"] != "skb"


@pytest.mark.parametrize("version", [4, 6])
def test_a_route_that_refuses_behind_others_that_did_not(
    version: int, journeys: list[Journey], net: Routed
) -> None:
    (journey,) = sent(journeys, SILENT, BLACK[version])
    assert (journey["outcome"], way(journey)[:-1]) == ("dropped", WAY[:-1])
    assert journey["outcome_at"].split("/")[-2:] == [net.server, "vx0"]
    assert "route: blackhole" in journey["reason"]


def test_what_the_tunnel_cannot_take_is_too_big(journeys: list[Journey], net: Routed) -> None:
    found = sent(journeys, SIZES)
    assert len(found) == 5
    arrived = [j for j in found if ("server", "s0") in way(j)]
    refused = [j for j in found if j not in arrived]
    assert refused  # once the router has learnt what the underlay takes
    for journey in refused:
        assert journey["outcome"] == "dropped"
        assert journey["outcome_at"].split("/")[-2:] == [net.router, "vx0"]
        assert journey["reason"].startswith("PKT_TOO_BIG")


def test_what_leaves_by_the_underlay_comes_from_the_tunnel(journeys: list[Journey]) -> None:
    seen = 0
    for journey in journeys:
        hops = {(hop["netns"], hop["device"], hop["direction"]): hop for hop in journey["hops"]}
        for (netns, device, direction), hop in hops.items():
            if device == "r1" and direction == "egress" and hop["encap"] == "vxlan":
                seen += 1
                assert hop["parent"] == hops[netns, "vx0", "egress"]["n"]
    assert seen > 3
