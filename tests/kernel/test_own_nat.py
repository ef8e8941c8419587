"""NAT of what a host itself sends, live, on both engines: conntrack and the sockets judge.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py). In the client, iptables (IPv4) and
nft (IPv6) send what is for the service to the server (DNAT), what is for the proxy to the client
itself (REDIRECT), and what comes from its second address by its first one (MASQUERADE).
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from follower import Follower, Journey, own, stop_together, together, tracer
from routed import Routed, routed, run

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
#: One engine is asked for the addresses before NAT, the other for those after it.
HOSTS = {
    "core": ("10.7.96.0/24", "fd07:96::/64", "10.7.5.5", "fd07:5::5"),
    "bcc": ("10.7.2.2", "fd07:2::2", "127.0.0.1", "::1"),
}
KEPT = {"core": "core.parquet", "bcc": "bcc.pcapng"}
SERVER, LOOPBACK = ("10.7.2.2", "fd07:2::2"), ("127.0.0.1", "::1")
SERVICE, PROXY = ("10.7.96.1", "fd07:96::1"), ("10.7.96.2", "fd07:96::2")
SECOND = ("10.7.5.5", "fd07:5::5")
RULES_V4 = """
-A OUTPUT -d 10.7.96.1 -p tcp --dport 80 -j DNAT --to-destination 10.7.2.2:8080
-A OUTPUT -d 10.7.96.1 -p udp --dport 53 -j DNAT --to-destination 10.7.2.2:5353
-A OUTPUT -d 10.7.96.1 -p icmp -j DNAT --to-destination 10.7.2.2
-A OUTPUT -d 10.7.96.2 -p tcp --dport 80 -j REDIRECT --to-ports 8080
-A OUTPUT -d 10.7.96.2 -p udp --dport 53 -j REDIRECT --to-ports 5353
-A OUTPUT -d 10.7.96.2 -p icmp -j REDIRECT
-A POSTROUTING -s 10.7.5.5 -o c0 -j MASQUERADE
"""
RULES_V6 = """
table ip6 own {
  chain out {
    type nat hook output priority -100
    ip6 daddr fd07:96::1 tcp dport 80 dnat to [fd07:2::2]:8080
    ip6 daddr fd07:96::1 udp dport 53 dnat to [fd07:2::2]:5353
    ip6 daddr fd07:96::1 meta l4proto icmpv6 dnat to fd07:2::2
    ip6 daddr fd07:96::2 tcp dport 80 redirect to :8080
    ip6 daddr fd07:96::2 udp dport 53 redirect to :5353
    ip6 daddr fd07:96::2 meta l4proto icmpv6 redirect
  }
  chain post {
    type nat hook postrouting priority 100
    ip6 saddr fd07:5::5 oifname c0 masquerade
  }
}
"""
LISTEN = """
import socket, sys, threading
def serve(one):
    while True:
        data, whose = one.recvfrom(99)
        one.sendto(b"yes " + data, whose)
for address in sys.argv[1:]:
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    one.bind((address, 5353))
    threading.Thread(target=serve, args=(one,), daemon=True).start()
listening = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
print("up", flush=True)
while True:
    with listening.accept()[0] as one:
        one.sendall(b"yes " + one.recv(99))
"""
ASK = """
import socket, sys
kind, source, target, port = sys.argv[1:]
family = socket.AF_INET6 if ":" in target else socket.AF_INET
with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as one:
    one.settimeout(5)
    if source:
        one.bind((source, 0))
    one.connect((target, int(port)))
    one.sendall(b"question")
    assert one.recv(99) == b"yes question"
    print(one.getsockname()[0], one.getsockname()[1])
"""


@dataclass(frozen=True)
class Asked:
    """Who was asked for what, from where, as the socket (or ping) says: before any NAT."""

    case: str
    family: int  # 0: IPv4, 1: IPv6
    proto: str
    src: str | None
    sport: int  # of a ping its id
    dst: str
    dport: int | None


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("own") as built, ExitStack() as stack:
        inside = f"ip netns exec {built.client}"
        run(f"ip -n {built.client} addr add 10.7.5.5/32 dev lo")
        run(f"ip -n {built.client} addr add fd07:5::5/128 dev lo nodad")
        rules = f"*nat{RULES_V4}COMMIT\n"
        subprocess.run([*inside.split(), "iptables-restore"], input=rules, text=True, check=True)
        subprocess.run([*inside.split(), "nft", "-f-"], input=RULES_V6, text=True, check=True)
        for name, addresses in ((built.server, SERVER), (built.client, LOOPBACK)):
            words = ["ip", "netns", "exec", name, sys.executable, "-c", LISTEN, *addresses]
            process = stack.enter_context(
                subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.terminate)
            assert process.stdout
            assert process.stdout.readline() == "up\n"
        built.ping()  # neighbours are known from here on
        built.ping("fd07:2::2", "-c1 -w10")
        yield built


def asked(net: Routed, case: str, family: int, number: int) -> Iterator[Asked]:
    """Ask once by each protocol; give what was asked."""
    target = {"service": SERVICE, "proxy": PROXY, "second": SERVER}[case][family]
    source = SECOND[family] if case == "second" else ""
    ports = {"tcp": 80, "udp": 53} if case != "second" else {"tcp": 8080, "udp": 5353}
    inside = ["ip", "netns", "exec", net.client]
    for proto, port in ports.items():
        words = [*inside, sys.executable, "-c", ASK, proto, source, target, str(port)]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
        yield Asked(case, family, proto, said[0], int(said[1]), target, port)
    options = f"-c1 -e {number}" + (f" -I {source}" if source else "")
    net.ping(target, options)
    yield Asked(case, family, ("icmp", "icmpv6")[family], source or None, number, target, None)


@pytest.fixture(scope="module")
def recorded(
    net: Routed, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Asked], str]:
    """Everything is asked once before both engines; what was asked, and conntrack's table."""
    folder = tmp_path_factory.mktemp("own")
    run(f"ip netns exec {net.client} conntrack -F 2>/dev/null")
    followers = together(
        Follower(
            folder, name, "--engine", name, "--write", str(folder / KEPT[name]),
            *(word for host in HOSTS[name] for word in ("--host", host)),
        )
        for name in ENGINES
    )  # fmt: skip
    done: list[Asked] = []
    try:
        for family in (0, 1):
            for case in ("service", "proxy", "second"):
                done += asked(net, case, family, 32_000 + len(done))
        table = "".join(
            run(f"ip netns exec {net.client} conntrack -L -f {family} 2>/dev/null")
            for family in ("ipv4", "ipv6")
        )
        for follower in followers:
            follower.wait(lambda j: is_first(j, done[-1]) and j["reply"] is not None, "the last")
    finally:
        stop_together(followers)
    return folder, done, table


def number_of(hop: dict[str, Any]) -> int | None:
    found: int | None = hop["icmp_id"] if hop["sport"] is None else hop["sport"]
    return found


def is_first(journey: Journey, ask: Asked) -> bool:
    """Whether a journey is the first packet of what was asked."""
    hop = journey["hops"][0]
    wanted = (ask.proto, ask.sport, ask.dst, ask.dport)
    return (journey["proto"], number_of(hop), hop["dst"], hop["dport"]) == wanted and journey[
        "kind"
    ] in ("tcp-syn", "udp", "echo-request")


def tuples(table: str, ask: Asked) -> list[tuple[str, str, int | None, int | None]]:
    """Both tuples of the entry, (src, dst, sport, dport) as the packets have them."""
    entry = r"src=(\S+) dst=(\S+) (?:sport=(\d+) dport=(\d+)|type=\d+ code=\d+ id=(\d+))"
    for line in table.splitlines():
        found = [
            (src, dst, int(sport or number), int(dport) if dport else None)
            for src, dst, sport, dport, number in re.findall(entry, line)
        ]
        if ask.proto in line.split() and found and found[0][1:] == (ask.dst, ask.sport, ask.dport):
            return found
    raise AssertionError(f"{ask} is not in {table}")


@pytest.fixture(params=ENGINES)
def journeys(
    request: pytest.FixtureRequest, net: Routed, recorded: tuple[Path, list[Asked], str]
) -> list[Journey]:
    return own(recorded[0], request.param, net.names)


def place(hop: dict[str, Any]) -> str:
    return str(hop["hook"] or hop["device"])


def of_flow(journeys: list[Journey], ask: Asked) -> list[Journey]:
    (first,) = (j for j in journeys if is_first(j, ask))
    return [j for j in journeys if j["flow"] == first["flow"]]


def ends(hop: dict[str, Any]) -> tuple[str, str, int | None, int | None]:
    return hop["src"], hop["dst"], number_of(hop), hop["dport"]


def test_the_first_hop_is_before_nat_and_the_next_says_what_it_did(
    net: Routed, journeys: list[Journey], recorded: tuple[Path, list[Asked], str]
) -> None:
    _, done, table = recorded
    assert len(done) == 18
    for ask in done:
        original, reply = tuples(table, ask)
        flow = of_flow(journeys, ask)
        hook = "postrouting" if ask.case == "second" else "output"
        cause = "snat" if ask.case == "second" else "dnat"
        sent = [j for j in flow if place(j["hops"][0]) == f"{hook}-before-nat"
                and ends(j["hops"][0]) == original]  # fmt: skip
        # SYN, ACK, question, ACK, FIN at least; every one of them is shown from its beginning.
        assert len(sent) >= (5 if ask.proto == "tcp" else 1), ask
        for journey in sent:
            before, after = journey["hops"][:2]
            assert ask.src in (None, before["src"])
            assert (before["netns"], after["netns"]) == (net.client, net.client)
            assert place(after) == hook
            back = (reply[1], reply[0], reply[3] or reply[2], reply[3] and reply[2])
            assert ends(after) == back, ask
            assert after["join"]["evidence"] == "skb"
            assert after["delta_ns"] > 0
            assert {(c["field"], c["cause"]) for c in after["changes"]} == {
                (field, cause)
                for field in ("src", "dst", "sport", "dport", "icmp_id")
                if before[field] != after[field]
            }
            assert journey["outcome"] == "delivered"
        device = {"proxy": "lo"}.get(ask.case, "s0")
        assert {place(j["hops"][-1]) for j in sent} == {device}


def test_what_is_asked_and_what_answers_are_one_flow(
    net: Routed, journeys: list[Journey], recorded: tuple[Path, list[Asked], str]
) -> None:
    _, done, table = recorded
    numbers = []
    for ask in done:
        original, _ = tuples(table, ask)
        flow = of_flow(journeys, ask)
        numbers += [flow[0]["flow"]]
        first = flow[0]
        (reply,) = (j for j in flow if j["journey"] == first["reply"])
        assert reply["request"] == first["journey"]
        answers = [j for j in flow if j["hops"][-1]["dst"] == original[0]]
        assert reply in answers
        for answer in answers:
            # Translated back where it comes in, or where the own host sends it.
            back = [hop for hop in answer["hops"] if hop["cause"] == (
                "un-snat" if ask.case == "second" else "un-dnat") and hop["netns"] == net.client
            ]  # fmt: skip
            hook = {"service": "input", "proxy": "postrouting", "second": "prerouting"}[ask.case]
            assert [place(hop) for hop in back] == [hook]
            last = answer["hops"][-1]
            assert (last["netns"], last["src"]) == (net.client, ask.dst)
        assert len(answers) >= (3 if ask.proto == "tcp" else 1)
        # Nothing else is in the flow, and nothing of it elsewhere.
        sent = [j for j in flow if ends(j["hops"][0]) == original]
        assert len(sent) + len(answers) == len(flow)
    assert len(set(numbers)) == len(done) == len({j["flow"] for j in journeys})


@cache
def read_again(file: Path, hosts: tuple[str, ...]) -> list[Journey]:
    filters = [word for host in hosts for word in ("--host", host)]
    words = tracer("offline", str(file), "--format", "jsonl", *filters)
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in said.splitlines()]


def shown(journeys: list[Journey]) -> list[dict[str, Any]]:
    """Journeys by time, but for where they were kept; others are named by when they began.

    Live, they are numbered as they end.
    """
    began, flows = {None: None}, dict[int, int]()
    for journey in sorted(journeys, key=lambda j: j["first_ns"]):
        began[journey["journey"]] = journey["first_ns"]
        flows.setdefault(journey["flow"], journey["first_ns"])
    kept = [
        {
            **journey,
            **{name: began[journey[name]] for name in ("journey", "reply", "request")},
            "flow": flows[journey["flow"]],
            "hops": [
                {k: v for k, v in hop.items() if k not in ("capture", "frame")}
                for hop in journey["hops"]
            ],
        }
        for journey in journeys
    ]
    return sorted(kept, key=lambda j: j["first_ns"])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_recording_read_again_shows_the_same(
    net: Routed, recorded: tuple[Path, list[Asked], str], engine: str
) -> None:
    again = read_again(recorded[0] / KEPT[engine], HOSTS[engine])
    live = Follower(recorded[0], engine).journeys
    assert shown(again) == shown(live)


def test_both_engines_show_the_same_whichever_side_was_asked_for(
    net: Routed, recorded: tuple[Path, list[Asked], str]
) -> None:
    core, bcc = (
        [[(hop["netns"], place(hop), *ends(hop)) for hop in j["hops"]]
         for j in shown(own(recorded[0], name, net.names))]
        for name in ENGINES
    )  # fmt: skip
    assert core == bcc


def test_tables_have_the_hop_before_too(recorded: tuple[Path, list[Asked], str]) -> None:
    rows = pq.read_table(recorded[0] / KEPT["core"]).to_pylist()
    assert len(rows) == sum(len(j["hops"]) for j in Follower(recorded[0], "core").journeys)


def test_wireshark_reads_the_packets_before_nat(
    recorded: tuple[Path, list[Asked], str],
) -> None:
    folder, done, _ = recorded
    fields = "ip.dst ipv6.dst tcp.srcport udp.srcport icmp.ident icmpv6.echo.identifier"
    words = ["tshark", "-r", str(folder / KEPT["bcc"]), "-o", "ip.check_checksum:TRUE", "-Tfields"]
    words += [word for field in [*fields.split(), "ip.checksum.status"] for word in ("-e", field)]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [line.split("\t") for line in lines]
    assert not [row for row in rows if row[6] == "0"]  # a sum of an IPv4 header that is wrong
    seen = {
        (v4 or v6, int(number, 0))
        for v4, v6, *numbers, _ in rows
        for number in filter(None, numbers)
    }
    assert {(ask.dst, ask.sport) for ask in done} <= seen
