"""What a host's own rules refuse with an answer, live, on both engines: sockets and tcpdump judge.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py). iptables (IPv4) and nft (IPv6)
refuse in OUTPUT what the client sends to nowhere, or to a port behind a DNAT, and in INPUT what
comes to a port of the server and of the client itself: TCP with a reset, all else with an ICMP
error.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from follower import Follower, Journey, own, stop_together, together, wait_for
from routed import Routed, routed

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
HOSTS = ("10.7.0.0/16", "fd07::/16")
NOWHERE, SERVICE = ("10.7.97.1", "fd07:97::1"), ("10.7.96.1", "fd07:96::1")
SERVER, CLIENT = ("10.7.2.2", "fd07:2::2"), ("10.7.1.2", "fd07:1::2")
REFUSED, BEHIND = 7099, 7098
RULES_V4 = """*nat
-A OUTPUT -d 10.7.96.1 -p tcp -j DNAT --to-destination 10.7.2.2:7098
-A OUTPUT -d 10.7.96.1 -p udp -j DNAT --to-destination 10.7.2.2:7098
COMMIT
*filter
-A OUTPUT -d 10.7.97.1 -p tcp -j REJECT --reject-with tcp-reset
-A OUTPUT -d 10.7.97.1 -j REJECT
-A OUTPUT -p tcp --dport 7098 -j REJECT --reject-with tcp-reset
-A OUTPUT -p udp --dport 7098 -j REJECT
-A INPUT -p tcp --dport 7099 -j REJECT --reject-with tcp-reset
-A INPUT -p udp --dport 7099 -j REJECT
COMMIT
"""
RULES_V6 = """table ip6 own {
  chain nat {
    type nat hook output priority -100
    ip6 daddr fd07:96::1 tcp dport 7098 dnat to fd07:2::2
    ip6 daddr fd07:96::1 udp dport 7098 dnat to fd07:2::2
  }
  chain out {
    type filter hook output priority 0
    ip6 daddr fd07:97::1 meta l4proto tcp reject with tcp reset
    ip6 daddr fd07:97::1 reject
    tcp dport 7098 reject with tcp reset
    udp dport 7098 reject
  }
  chain in {
    type filter hook input priority 0
    tcp dport 7099 reject with tcp reset
    udp dport 7099 reject
  }
}
"""
ASK = """
import socket, sys
kind, target, port = sys.argv[1:]
family = socket.AF_INET6 if ":" in target else socket.AF_INET
with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as one:
    one.settimeout(5)
    one.bind(("", 0))
    print(one.getsockname()[1], end=" ")
    try:
        one.connect((target, int(port)))
        one.send(b"question")
        one.recv(9)
    except OSError as error:
        print(type(error).__name__)
"""


@dataclass(frozen=True)
class Refused:
    """What was sent from a port (or by a ping's id) to where, and what its socket was told."""

    proto: str
    number: int
    dst: str
    told: str


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("ref") as built:
        for name in (built.client, built.server):
            inside = ["ip", "netns", "exec", name]
            subprocess.run([*inside, "iptables-restore"], input=RULES_V4, text=True, check=True)
            subprocess.run([*inside, "nft", "-f-"], input=RULES_V6, text=True, check=True)
        built.ping()  # neighbours are known from here on
        built.ping("fd07:2::2", "-c1 -w10")
        yield built


def refused(net: Routed) -> Iterator[Refused]:
    inside = ["ip", "netns", "exec", net.client]
    for family in (0, 1):
        for targets, port in ((NOWHERE, 80), (SERVICE, BEHIND), (SERVER, REFUSED),
                              (CLIENT, REFUSED)):  # fmt: skip
            for proto in ("tcp", "udp"):
                words = [*inside, sys.executable, "-c", ASK, proto, targets[family], str(port)]
                said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
                number, told = said.split()
                yield Refused(proto, int(number), targets[family], told)
        number = 33_000 + family
        words = [*inside, "ping", "-c1", "-W0.2", "-e", str(number), NOWHERE[family]]
        said = subprocess.run(words, check=False, capture_output=True, text=True).stderr
        assert "not permitted" in said
        yield Refused(("icmp", "icmpv6")[family], number, NOWHERE[family], "PermissionError")


@contextmanager
def sniffing(net: Routed, folder: Path) -> Iterator[Path]:
    """tcpdump on the client's loopback device; gives what it prints."""
    out, errors = folder / "lo.txt", folder / "lo.err"
    words = f"ip netns exec {net.client} tcpdump -i lo -n -l --immediate-mode -S".split()
    with out.open("w") as to, errors.open("w") as said:
        process = subprocess.Popen(words, stdout=to, stderr=said)
    try:
        wait_for(lambda: "listening on" in errors.read_text(), "tcpdump")
        yield out
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def recorded(
    net: Routed, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Refused], str]:
    """Everything is sent once before both engines; what was sent, and what tcpdump saw on lo."""
    folder = tmp_path_factory.mktemp("ref")
    hosts = [word for host in HOSTS for word in ("--host", host)]
    followers = together(Follower(folder, name, "--engine", name, *hosts) for name in ENGINES)
    try:
        with sniffing(net, folder) as out:
            sent = [*refused(net)]
            net.ping("fd07:1::2", "-c1 -e 33002")
            wait_for(lambda: "id 33002" in out.read_text(), "the last packet on lo")
        for follower in followers:
            follower.wait(lambda j: j["kind"] == "echo-reply", "the last packet")
    finally:
        stop_together(followers)
    return folder, sent, out.read_text()


@pytest.fixture(params=ENGINES)
def journeys(
    request: pytest.FixtureRequest, net: Routed, recorded: tuple[Path, list[Refused], str]
) -> list[Journey]:
    return own(recorded[0], request.param, net.names)


def of(journeys: list[Journey], packet: Refused) -> Journey:
    (found,) = (
        journey
        for journey in journeys
        for hop in journey["hops"][:1]
        if (journey["proto"], hop["dst"]) == (packet.proto, packet.dst)
        and packet.number in (hop["sport"], hop["icmp_id"])
        and journey["kind"] in ("tcp-syn", "udp", "echo-request")
    )
    return found


def test_what_is_refused_is_dropped_and_its_answer_is_known(
    net: Routed, journeys: list[Journey], recorded: tuple[Path, list[Refused], str]
) -> None:
    by_number = {j["journey"]: j for j in journeys}
    assert len(recorded[1]) == 18
    for packet in recorded[1]:
        journey = of(journeys, packet)
        outcome = journey["outcome"], journey["reason"].split(";")[0]
        assert outcome == ("dropped", "NETFILTER_DROP"), packet
        if packet.proto == "tcp":
            assert packet.told == "ConnectionRefusedError"  # so the reset has arrived
            answer = by_number[journey["reply"]]
            assert answer["request"] == journey["journey"]
            assert answer["kind"] == "tcp-rst"
            assert answer["flow"] == journey["flow"]
            seen = journey["hops"][0]
            assert answer["hops"][-1]["tcp_ack"] == seen["tcp_seq"] + 1 & 0xFFFFFFFF
            ends = answer["hops"][-1]
            assert (ends["src"], ends["dport"]) == (packet.dst, packet.number)
        else:
            (answer,) = (j for j in journeys if j["quotes"] == journey["journey"])
            assert answer["kind"] == "icmp-error"
            assert "port unreachable, said" in journey["reason"]
        assert answer["outcome"] == "delivered", packet
        last = answer["hops"][-1]
        device = "c0" if packet.dst in SERVER else "lo"
        assert (last["netns"], last["device"]) == (net.client, device)


def test_they_are_those_that_tcpdump_sees(
    net: Routed, journeys: list[Journey], recorded: tuple[Path, list[Refused], str]
) -> None:
    """Each goes out and comes in by lo; libpcap shows what comes in there."""
    resets = re.findall(r"Flags \[R\.\], seq 0, ack (\d+)", recorded[2])
    errors = len(re.findall(r"ICMP.* unreachable", recorded[2]))
    assert (len(resets), errors) == (6, 8)
    hops = [(j, hop) for j in journeys for hop in j["hops"] if hop["device"] == "lo"]
    seen = [(hop["tcp_ack"], hop["direction"]) for j, hop in hops if j["kind"] == "tcp-rst"]
    assert sorted(seen) == sorted(
        (int(number), direction) for number in resets for direction in ("egress", "ingress")
    )
    assert sum(j["kind"] == "icmp-error" for j, _ in hops) == 2 * errors
