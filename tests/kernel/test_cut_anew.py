"""Datagrams that a kernel puts together and cuts anew; oracles are its counters and the receiver.

client c0 ── r0 br0 router r1 ── s0 server: what the client's link cuts, the bridge puts together
for connection tracking (br_netfilter), and r1's smaller link cuts to other sizes. The router loses
some fragments as they come in, and some as they leave.
"""

import os
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from follower import Follower
from told import hops, joined, rows

from tests.kernel.routed import Routed, routed, run
from tests.kernel.wire import tcpdumps
from tracer.core.enums import Outcome
from tracer.core.journeys import JourneySet
from tracer.sources.live.syscalls import network_namespace

pytestmark = pytest.mark.kernel
PORT, FIRST_PORT, SENT, SIZE = 9999, 20_000, 120, 3000
MARK = b"\0\0\0\0the-recording-ends"
DEVICES = ("c0", "r0", "br0", "r1", "s0")
FAMILIES = {4: (socket.AF_INET, "10.7.2.2"), 6: (socket.AF_INET6, "fd07:2::2")}
BRIDGE = """
ip -n {0} addr flush dev r0 && ip -n {0} link add br0 type bridge
ip -n {0} link set r0 master br0 && ip -n {0} link set br0 up
ip -n {0} addr add 10.7.1.1/24 dev br0 && ip -n {0} addr add fd07:1::1/64 dev br0 nodad
ip netns exec {0} sysctl -qw net.bridge.bridge-nf-call-iptables=1
ip netns exec {0} sysctl -qw net.bridge.bridge-nf-call-ip6tables=1
ip netns exec {0} ip6tables -t nat -A POSTROUTING -o r1 -j MASQUERADE --random-fully
ip -n {0} link set r1 mtu 1400
"""
LOSS = """
table netdev loss {
  counter before {}
  counter behind {}
  chain i { type filter hook ingress device r0 priority 0;
    meta length > 100 numgen inc mod 23 == 7 counter name before drop
  }
  chain e { type filter hook egress device r1 priority 0;
    meta length > 100 numgen inc mod 29 == 11 counter name behind drop
  }
}"""


@dataclass(frozen=True)
class Recorded:
    """The folder, which numbers arrived, by IP version, and what the router's kernel counted."""

    folder: Path
    arrived: dict[int, set[int]]
    counted: Counter[str]


@pytest.fixture(scope="module")
def recorded(
    require_kernel: Callable[[bool, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Recorded:
    require_kernel(os.geteuid() == 0, "network namespaces need root")
    there = Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists()
    require_kernel(there, "this kernel has no br_netfilter")
    require_kernel(shutil.which("nstat") is not None, "nstat is not installed")
    folder = tmp_path_factory.mktemp("anew")
    with routed("anew") as net:
        build(net, folder)
        spaces = (net.client, net.router, net.router, net.router, net.server)
        places = [(space, device, "") for space, device in zip(spaces, DEVICES, strict=True)]
        with tcpdumps(folder, places, MARK):
            arrived = {version: send(net, version) for version in FAMILIES}
            mark(net)
        text = run(f"ip netns exec {net.router} nstat -asz")
    words = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return Recorded(folder, arrived, Counter({word[0]: int(word[1]) for word in words}))


def build(net: Routed, folder: Path) -> None:
    for line in BRIDGE.format(net.router).split("\n"):
        if line:
            run(line)
    for space, device in ((net.client, "c0"), (net.router, "r1"), (net.server, "s0")):
        run(f"ip netns exec {space} ethtool -K {device} tx off tso off gso off gro off")
    run(f"ip -n {net.client} link set c0 mtu 1444")
    net.ping()
    run(f"ip netns exec {net.client} ping -c1 {FAMILIES[6][1]}")
    rules = folder / "loss.nft"
    rules.write_text(LOSS)
    run(f"ip netns exec {net.router} nft -f {rules}")
    rules.unlink()


def send(net: Routed, version: int, count: int = SENT) -> set[int]:
    """Send numbered datagrams, each from a port of its own; return the numbers that arrived."""
    family, server = FAMILIES[version]
    with network_namespace(f"/run/netns/{net.server}"):
        sink = socket.socket(family, socket.SOCK_DGRAM)
        sink.bind((server, PORT))
        sink.setblocking(False)
    arrived = set()
    with sink:
        for number in range(1, count + 1):
            with network_namespace(f"/run/netns/{net.client}"):
                sender = socket.socket(family, socket.SOCK_DGRAM)
            with sender:
                sender.bind(("", FIRST_PORT + number))
                payload = number.to_bytes(4, "big") + os.urandom(SIZE - 4)
                sender.sendto(payload, (server, PORT))
            time.sleep(0.003)  # the pace of the sender, not a wait for anything
            arrived |= waiting(sink)
        sink.settimeout(0.3)
        return arrived | waiting(sink)


def waiting(sink: socket.socket) -> set[int]:
    """Return the numbers of the datagrams that came."""
    found = set()
    while True:
        try:
            found.add(int.from_bytes(sink.recv(SIZE)[:4], "big"))
        except (BlockingIOError, TimeoutError):
            return found


def mark(net: Routed) -> None:
    run(f"ip netns exec {net.router} nft flush ruleset netdev")
    with network_namespace(f"/run/netns/{net.client}"):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        sender.sendto(MARK, (FAMILIES[4][1], PORT))


@pytest.fixture(scope="module")
def found(recorded: Recorded) -> JourneySet:
    return joined([recorded.folder])


@pytest.fixture(scope="module")
def journeys(recorded: Recorded, found: JourneySet) -> dict[tuple[int, int], list[int]]:
    """Version and number → journeys, by what tshark reads in the client's fragments."""
    of_frame = {}
    for version, ident in ((4, "ip.id"), (6, "ipv6.fraghdr.ident")):
        read = fragments(recorded.folder / "c0.pcap", ident)
        number = {key: int(port) - FIRST_PORT for _, key, port in read if port}
        for frame, key, _ in read:
            if 0 < number.get(key, 0) <= SENT:
                of_frame["c0", int(frame)] = version, number[key]
    out: dict[tuple[int, int], list[int]] = {}
    for journey in range(len(found.journeys)):
        said = {of_frame[frame] for frame in hops(found, journey) if frame in of_frame}
        assert len(said) <= 1, f"one journey of {said}"
        for one in said:
            out.setdefault(one, []).append(journey)
    return out


def fragments(file: Path, ident: str) -> list[list[str]]:
    """Frame number, id and source port of the packets that have an id, as tshark reads them."""
    command = ["tshark", "-n", "-r", str(file), "-Y", f"{ident} && !icmp", "-T", "fields"]
    command += ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    for field in ("frame.number", ident, "udp.srcport"):
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def devices(found: JourneySet, journey: int) -> Counter[str]:
    return Counter(device for device, _ in hops(found, journey))


def test_what_arrived_is_one_journey_in_all_its_shapes(
    recorded: Recorded, found: JourneySet, journeys: dict[tuple[int, int], list[int]]
) -> None:
    shapes = set()
    for version, numbers in recorded.arrived.items():
        assert len(numbers) > SENT // 2
        for number in numbers:
            (journey,) = journeys[version, number]
            assert found.journeys["outcome"][journey] == Outcome.DELIVERED
            seen = devices(found, journey)
            assert (seen["c0"], seen["r0"], seen["br0"]) == (3, 3, 1)
            assert seen["r1"] == seen["s0"] == 3
            lengths = found.observations.packets["ip_len"][rows(found, journey)]
            shapes.add((version, int(lengths[0]), int(lengths[seen["c0"] + seen["r0"] + 1])))
    assert (4, 1444, 1396) in shapes  # cut to other sizes


def test_the_kernel_counts_as_many(recorded: Recorded, found: JourneySet) -> None:
    packets, counted = found.observations.packets, recorded.counted
    whole = [
        packets["ip_version"][row]
        for journey in range(len(found.journeys))
        for row in rows(found, journey)
        if packets["ip_len"][row] > SIZE
    ]
    assert whole.count(4) == counted["IpReasmOKs"]  # those of IPv6 are not counted in a bridge
    cut = sum(counted[f"Ip{v}Frag{end}"] for v in ("", "6") for end in ("OKs", "Fails"))
    assert len(whole) == cut  # it failed where a fragment was lost on leaving


def test_what_is_lost_is_said_to_be_lost_where_it_was(
    recorded: Recorded, found: JourneySet, journeys: dict[tuple[int, int], list[int]]
) -> None:
    where = Counter()
    for (version, number), of in journeys.items():
        if number in recorded.arrived[version]:
            continue
        outcomes = {Outcome(found.journeys["outcome"][journey]) for journey in of}
        if outcomes - {Outcome.VANISHED}:  # after the last of a capture, or told by an error
            where["else"] += 1
            continue
        seen = sum((devices(found, journey) for journey in of), Counter())
        ends = found.journeys["outcome_point"][of].tolist()
        points = {found.observations.points[end].name for end in ends}
        assert points == {"br0" if seen["br0"] else "r0"}
        where[points.pop()] += 1
    lost = sum(SENT - len(numbers) for numbers in recorded.arrived.values())
    assert where["br0"] > 5
    assert where["r0"] > 5
    assert where["else"] < 5
    assert sum(where.values()) == lost


def test_followed_live_it_is_one_journey(
    require_kernel: Callable[[bool, str], None], tmp_path: Path
) -> None:
    # Hooks show the whole, devices show pieces; bytes are not read there.
    require_kernel(os.geteuid() == 0, "network namespaces need root")
    with routed("anewlive") as net:
        run(f"ip -n {net.client} link set c0 mtu 1444 && ip -n {net.router} link set r1 mtu 1400")
        net.ping()
        with Follower(tmp_path, "anew", "--proto", "udp", "--port", str(PORT)) as follower:
            numbers = send(net, 4, 7)
            follower.wait(lambda j: j["kind"] == "udp", "the datagrams", len(numbers))
    assert len(numbers) == 7
    seen = [j for j in follower.journeys if j["proto"] == "udp"]
    assert [j["outcome"] for j in seen] == ["delivered"] * 7
    for journey in seen:
        devices = Counter(hop["device"] or hop["hook"] for hop in journey["hops"])
        assert {devices[name] for name in ("c0", "r0", "r1", "s0")} == {3}
        assert devices["postrouting"] == 1
