"""Frames that a bridge floods, live on both engines and from captures: who answered says where they
got to, and what a sender hears of itself is a branch.

The neighbour table of who asked, and sockets, judge.

h1 e1 ── p1 ┐
h2 e2 ── p2 ├ br0 (in a namespace of its own)
h3 e3 ── p3 │
h4 e4 ── p4 │
h5 e5 ── p5 ┘
"""

import json
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from follower import Follower, Journey, stop_together, together, tracer, wait_for

from tests.kernel.routed import run
from tests.kernel.wire import tcpdumps
from tracer.sources.live.syscalls import network_namespace

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
HOSTS = (1, 2, 3, 4, 5)
BRIDGE = 9  # the last part of the addresses that the bridge itself has
ASKED = (2, 3, 4, BRIDGE)  # nothing is sent to host 5 alone
PORT, MARK_PORT, ENDS_PORT = 5578, 5579, 5577
GROUP_OF_ONE = "239.78.2.2"
GROUP, GROUP_SIX, BROADCAST = "239.78.1.1", "ff05::78", "10.78.0.255"
SENT = 3
MARK = b"the mark that ends it"


@dataclass(frozen=True)
class Flooded:
    tag: str

    def host(self, number: int) -> str:
        return f"{self.tag}-h{number}" if number in HOSTS else f"{self.tag}-br"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.host(number) for number in (*HOSTS, BRIDGE))

    def device(self, number: int) -> str:
        return f"e{number}" if number in HOSTS else "br0"

    def places(self) -> list[tuple[str, str, str]]:
        ports = [(self.host(BRIDGE), f"p{n}", "") for n in HOSTS]
        hosts = [(self.host(n), self.device(n), "") for n in HOSTS]
        return [*hosts, *ports, (self.host(BRIDGE), "br0", "-p")]  # it takes what is for it alone


@pytest.fixture(scope="module")
def net() -> Iterator[Flooded]:
    built = Flooded(f"flo{os.getpid()}")
    try:
        for name in built.names:
            run(f"ip netns add {name} && ip -n {name} link set lo up")
        bridge = built.host(BRIDGE)
        run(f"ip -n {bridge} link add br0 type bridge mcast_snooping 0")
        run(f"ip -n {bridge} link set br0 up")
        _address(built, BRIDGE)
        for n in HOSTS:
            peer = f"peer name e{n} netns {built.host(n)}"
            run(f"ip -n {bridge} link add p{n} type veth {peer}")
            run(f"ip -n {bridge} link set p{n} master br0 up")
            run(f"ip -n {built.host(n)} link set e{n} up")
            _address(built, n)
        for n in ASKED:
            _ping(built, n)
        yield built
    finally:
        for name in built.names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _address(net: Flooded, number: int) -> None:
    end = f"ip -n {net.host(number)} addr add"
    run(f"{end} 10.78.0.{number}/24 brd + dev {net.device(number)}")
    run(f"{end} fd78::{number}/64 dev {net.device(number)} nodad")


def _ping(net: Flooded, number: int) -> None:
    for target in (f"10.78.0.{number}", f"fd78::{number}"):
        run(f"ip netns exec {net.host(1)} ping -c1 -w10 {target}")


@pytest.fixture(scope="module")
def folder(net: Flooded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything is done once, before the eyes of both engines and of tcpdump."""
    folder = tmp_path_factory.mktemp("flooded")
    hosts = ["--host", "10.78.0.0/16", "--host", "fd78::/16"]
    followers = together(Follower(folder, name, "--engine", name, *hosts) for name in ENGINES)
    dumps = folder / "dumps"
    dumps.mkdir()
    try:
        with tcpdumps(dumps, net.places(), MARK):
            (folder / "answers.json").write_text(json.dumps(_asked(net)))
            (folder / "heard.json").write_text(json.dumps(_groups(net)))
            _group_of_one(net)
            _send(net, socket.AF_INET, BROADCAST, MARK_PORT, [MARK])
        for follower in followers:
            follower.wait(lambda j: j["hops"][0]["dport"] == MARK_PORT, "the mark")
    finally:
        stop_together(followers)
    places = [
        f'[[point]]\nfile = "{device}.pcap"\nhost = "here"\nnetns = "{space}"\ndevice = "{device}"'
        for space, device, _ in net.places()
    ]
    (dumps / "points.toml").write_text("\n".join(places))
    run(f"{' '.join(tracer('offline', str(dumps)))} --format jsonl -o {folder / 'offline.jsonl'}")
    return folder


def _asked(net: Flooded) -> dict[str, str]:
    # The device of who answered for each address: h1 knows its MAC from the answer.
    macs = {
        json.loads(run(f"ip -n {net.host(n)} -j link show {net.device(n)}"))[0]["address"]: n
        for n in ASKED
    }
    found = {}
    for n in ASKED:
        run(f"ip -n {net.host(1)} neigh flush all")
        _ping(net, n)
        for entry in json.loads(run(f"ip -n {net.host(1)} -j neigh show")):
            if entry["dst"] in (f"10.78.0.{n}", f"fd78::{n}"):
                found[entry["dst"]] = net.device(macs[entry["lladdr"]])
    assert len(found) == 2 * len(ASKED)
    return found


def _groups(net: Flooded) -> dict[str, int]:
    # How often h1 heard what it sent to groups that it is in, and to all.
    with network_namespace(f"/run/netns/{net.host(1)}"):
        four = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        index = socket.if_nametoindex("e1")
    member = socket.inet_aton(GROUP) + socket.inet_aton("10.78.0.1")
    member_six = socket.inet_pton(socket.AF_INET6, GROUP_SIX) + struct.pack("I", index)
    with four, six:
        four.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        four.bind(("", PORT))
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member_six)
        six.bind(("::", PORT))
        heard = {}
        for end, target in ((four, GROUP), (four, BROADCAST), (six, GROUP_SIX)):
            data = [f"{target} {n}{'.' * n}".encode() for n in range(SENT)]
            _send(net, end.family, target, PORT, data)
            end.settimeout(5)
            heard[target] = sum(end.recv(99) in data for _ in data)
    return heard


def _group_of_one(net: Flooded) -> None:
    # The bridge is told that one host is in a group, and floods its packets no more.
    bridge = net.host(BRIDGE)
    snooping = "mcast_snooping 1 mcast_query_response_interval 10"
    run(f"ip -n {bridge} link set br0 type bridge {snooping}")
    run(f"ip -n {bridge} link set br0 type bridge mcast_querier 1")
    run(f"ip netns exec {bridge} bridge mdb add dev br0 port p5 grp {GROUP_OF_ONE} permanent")
    with network_namespace(f"/run/netns/{net.host(4)}"):
        other = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))

    def is_for_one() -> bool:
        _send(net, socket.AF_INET, GROUP_OF_ONE, PORT, [b"to one"])
        _send(net, socket.AF_INET, BROADCAST, ENDS_PORT, [b"to all"])
        seen = [other.recv(999)]
        while b"to all" not in seen[-1]:
            seen.append(other.recv(999))
        return not any(b"to one" in frame for frame in seen)

    with other:
        other.settimeout(5)
        wait_for(is_for_one, "the bridge to know of the group")


def _send(net: Flooded, family: int, target: str, port: int, data: list[bytes]) -> None:
    with network_namespace(f"/run/netns/{net.host(1)}"):
        end = socket.socket(family, socket.SOCK_DGRAM)
        index = socket.if_nametoindex("e1")
    with end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if family == socket.AF_INET6:
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            end.bind(("fd78::1", 0))
        else:
            own = socket.inet_aton("10.78.0.1")
            end.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
            end.bind(("10.78.0.1", 0))
        for each in data:
            end.sendto(each, (target, port))


def journeys_of(folder: Path, name: str) -> list[Journey]:
    lines = (folder / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def asked_for(journey: Journey) -> str | None:
    """The address whose MAC h1 asks all stations for."""
    first = journey["hops"][0]
    if journey["kind"] == "arp-request":
        is_mine = first["arp_sender_ip"] == "10.78.0.1" and first["dst_mac"] == "ff:ff:ff:ff:ff:ff"
        return str(first["arp_target_ip"]) if is_mine else None
    if (
        first["icmp_type"] != 135
        or first["src"] != "fd78::1"
        or not first["dst_mac"].startswith("33:33:ff")
    ):
        return None
    return f"fd78::{int(first['dst'].rsplit(':', 1)[1], 16) & 0xFFFF:x}"


@pytest.mark.parametrize("name", [*ENGINES, "offline"])
def test_it_got_to_who_answered(folder: Path, name: str) -> None:
    journeys = journeys_of(folder, name)
    answers = json.loads((folder / "answers.json").read_text())
    numbered = {j["journey"]: j for j in journeys}
    asked = [(asked_for(j), j) for j in journeys if asked_for(j)]
    assert {address for address, _ in asked} == set(answers)
    for address, journey in asked:
        place = journey["outcome_at"].rsplit("/", 1)[-1]
        assert (journey["outcome"], place) == ("delivered", answers[address]), journey
        reply = numbered[journey["reply"]]
        assert reply["hops"][0]["device"] == answers[address]
        assert reply["hops"][0]["dst_mac"] == journey["hops"][0]["src_mac"]


@pytest.mark.parametrize("target", [GROUP, BROADCAST, GROUP_SIX])
@pytest.mark.parametrize("name", ENGINES)
def test_what_a_sender_hears_of_itself_is_a_branch(folder: Path, name: str, target: str) -> None:
    heard = json.loads((folder / "heard.json").read_text())[target]
    found = [
        j
        for j in journeys_of(folder, name)
        if (j["hops"][0]["dst"], j["hops"][0]["dport"]) == (target, PORT)
    ]
    assert heard == len(found) == SENT
    for journey in found:
        first, hops = (
            journey["hops"][0],
            {(h["device"], h["direction"]): h for h in journey["hops"]},
        )
        assert (first["device"], first["direction"]) == ("e1", "egress")
        assert hops["e1", "ingress"]["parent"] == hops["p1", "ingress"]["parent"] == 1
        assert all(h["delta_ns"] is None or h["delta_ns"] >= 0 for h in journey["hops"])
        assert len(journey["hops"]) == 2 + 1 + 4 + 4 + 1  # of h1, p1, other ports, hosts, br0


@pytest.mark.parametrize("name", ENGINES)
def test_what_is_not_flooded_is_a_line(folder: Path, name: str) -> None:
    found = [j for j in journeys_of(folder, name) if j["hops"][0]["dst"] == GROUP_OF_ONE]
    last = found[-1]["hops"]
    assert [h["device"] for h in last] == ["e1", "p1", "p5", "e5"]
    assert [h["parent"] for h in last] == [None, 1, 2, 3]
    assert found[-1]["outcome_at"].endswith("/e5")
