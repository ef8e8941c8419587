"""How journeys end, live, on both engines: arrived, dropped by name and place, vanished, answered
by an error; and what else a packet may be: IPv6, ARP, one among many.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py); SNAT on r1.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from follower import (
    Follower,
    Journey,
    own,
    pinged,
    stop_together,
    together,
    wait_for_ping,
)
from routed import Routed, routed, run

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
#: ICMP ids, one for each thing that is done.
(FORWARD_DROP, NO_ROUTE, TTL, DOWN, NOT_KEPT, UNANSWERED, SIX, NOISE, CLONED, BLACKHOLE) = range(
    31_001, 31_011
)
SENT = 23


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("end") as built:
        built.ping()  # neighbours are known from here on
        built.ping("fd07:2::2", "-c1 -w10")  # addresses and routes take their time
        yield built


@pytest.fixture(scope="module")
def folder(net: Routed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything is done once, before the eyes of both engines."""
    folder = tmp_path_factory.mktemp("ends")
    hosts = ["--host", "10.7.0.0/16", "--host", "fd07::/16"]
    followers = together(Follower(folder, name, "--engine", name, *hosts) for name in ENGINES)
    try:
        for act in (_others, _errors, _silence, _drops):  # r1 loses its IPv6 routes at the end
            act(net)
        net.ping(options=f"-c1 -e {NOISE}")
        wait_for_ping(followers, NOISE)
    finally:
        stop_together(followers)
    return folder


def in_router(net: Routed, command: str) -> None:
    run(f"ip netns exec {net.router} {command}")


@contextmanager
def changed(net: Routed, add: str, delete: str) -> Iterator[None]:
    in_router(net, add)
    try:
        yield
    finally:
        in_router(net, delete)


def _drops(net: Routed) -> None:
    rule = "FORWARD -p icmp -d 10.7.2.2 -j DROP"
    with changed(net, f"iptables -I {rule}", f"iptables -D {rule}"):
        net.ping_in_vain(f"-e {FORWARD_DROP}")
    with changed(net, "ip route add blackhole 10.7.9.0/24", "ip route del blackhole 10.7.9.0/24"):
        in_vain(net, f"-e {BLACKHOLE}", "10.7.9.9")
    with changed(net, "ip link set r1 down", "ip link set r1 up"):
        net.ping_in_vain(f"-e {DOWN}")
    net.ping(options="-c1 -w10")  # r1 has its routes and neighbours again
    rule = "INPUT -p icmp -j DROP"
    server = f"ip netns exec {net.server} iptables"
    run(f"{server} -I {rule}")
    net.ping_in_vain(f"-e {NOT_KEPT}")
    run(f"{server} -D {rule}")


def in_vain(net: Routed, options: str, target: str) -> None:
    command = f"ip netns exec {net.client} ping -c1 -W0.2 {options} {target}"
    assert subprocess.run(command.split(), check=False, capture_output=True).returncode == 1


def _errors(net: Routed) -> None:
    net.ping_in_vain(f"-t1 -e {TTL}")
    in_vain(net, f"-e {NO_ROUTE}", "10.7.8.1")


def _silence(net: Routed) -> None:
    server = f"ip netns exec {net.server}"
    run(f"{server} sysctl -qw net.ipv4.icmp_echo_ignore_all=1")
    net.ping_in_vain(f"-e {UNANSWERED}")
    run(f"{server} sysctl -qw net.ipv4.icmp_echo_ignore_all=0")


def _others(net: Routed) -> None:
    net.ping("fd07:2::2", f"-c3 -e {SIX}")
    sniffer = f"exec ip netns exec {net.router} tcpdump -i any -n -U -w /dev/null"
    with subprocess.Popen(sniffer, shell=True, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert b"listening on" in b"".join(iter_until(process.stderr.readline, b"listening on"))
        net.ping(options=f"-c3 -e {CLONED}")
        process.terminate()
        process.communicate()
    run(f"ip -n {net.client} neigh flush dev c0")
    net.ping()


def iter_until(read: Callable[[], bytes], wanted: bytes) -> Iterator[bytes]:
    while line := read():
        yield line
        if wanted in line:
            return


@pytest.fixture(params=ENGINES)
def journeys(request: pytest.FixtureRequest, net: Routed, folder: Path) -> list[Journey]:
    return own(folder, request.param, net.names)


def of(journeys: list[Journey], number: int) -> list[Journey]:
    return [journey for journey in journeys if pinged(journey, number)]


def only(journeys: list[Journey], number: int) -> Journey:
    (journey,) = of(journeys, number)
    return journey


def ended(journey: Journey, net: Routed, device: str, reason: str) -> bool:
    place = journey["outcome_at"].split("/")[-2:]
    assert (journey["outcome"], place) == ("dropped", [net.router, device]), journey
    return reason in (journey["reason"] or "")


def test_a_rule_drops_by_name_and_place(journeys: list[Journey], net: Routed) -> None:
    assert ended(only(journeys, FORWARD_DROP), net, "r0", "NETFILTER_DROP")


def test_a_packet_that_came_and_was_dropped_there_did_not_arrive(
    journeys: list[Journey], net: Routed
) -> None:
    journey = only(journeys, NOT_KEPT)
    assert (journey["outcome"], journey["reason"]) == ("dropped", "NETFILTER_DROP")
    assert journey["outcome_at"].split("/")[-2:] == [net.server, "s0"]


def test_a_blackhole_drops(journeys: list[Journey], net: Routed) -> None:
    assert ended(only(journeys, BLACKHOLE), net, "r0", "route: blackhole")


def test_without_route_the_router_says_so_and_the_error_is_in_the_exchange(
    journeys: list[Journey], net: Routed
) -> None:
    journey = only(journeys, NO_ROUTE)
    assert journey["outcome"] in ("dropped", "answered-elsewhere")
    assert "unreachable, said 10.7.1.1" in journey["reason"]
    (error,) = (j for j in journeys if j["quotes"] == journey["journey"])
    assert (error["kind"], error["outcome"]) == ("icmp-error", "delivered")


def test_a_ttl_that_ends_is_told_by_an_error_that_quotes_it(
    journeys: list[Journey], net: Routed
) -> None:
    journey = only(journeys, TTL)
    assert "TTL exceeded in transit, said 10.7.1.1" in journey["reason"]
    (error,) = (j for j in journeys if j["quotes"] == journey["journey"])
    assert [h["device"] for h in error["hops"] if not h["hook"]] == ["r0", "c0"]


def test_an_interface_that_is_down_ends_the_journey(journeys: list[Journey], net: Routed) -> None:
    journey = only(journeys, DOWN)
    assert journey["outcome"] in ("dropped", "answered-elsewhere", "vanished")
    assert journey["outcome_at"].split("/")[-2:] == [net.router, "r0"]


def test_what_arrives_and_is_not_answered_arrived(journeys: list[Journey], net: Routed) -> None:
    journey = only(journeys, UNANSWERED)
    assert journey["outcome"] in ("delivered", "dropped")
    assert journey["outcome_at"].split("/")[-2:] == [net.server, "s0"]
    assert journey["reason"]


def test_ipv6_goes_all_the_way_with_its_hop_limit(journeys: list[Journey], net: Routed) -> None:
    found = of(journeys, SIX)
    assert len(found) == 3
    for journey in found:
        assert journey["outcome"] == "delivered"
        assert journey["proto"] == "icmpv6"
        assert [(h["device"], h["ttl"]) for h in journey["hops"]] == [
            ("c0", 64), ("r0", 64), ("r1", 63), ("s0", 63),
        ]  # fmt: skip


def test_sniffers_clones_are_no_hops(journeys: list[Journey], net: Routed) -> None:
    found = of(journeys, CLONED)
    assert len(found) == 3
    for journey in found:
        devices = [h["device"] for h in journey["hops"] if not h["hook"]]
        assert devices == ["c0", "r0", "r1", "s0"]
        assert (journey["outcome"], journey["duplicates"]) == ("delivered", 0)


def test_arp_is_an_exchange(journeys: list[Journey], net: Routed) -> None:
    asking = [
        j for j in journeys
        if j["kind"] == "arp-request" and j["hops"][0]["arp_target_ip"] == "10.7.1.1"
    ]  # fmt: skip
    assert asking
    assert {j["outcome"] for j in asking} == {"delivered"}
    replies = {j["journey"]: j for j in journeys if j["kind"] == "arp-reply"}
    assert all(j["reply"] in replies for j in asking)


def until_the_last_ping(journeys: list[Journey]) -> list[Journey]:
    """What began before it: neighbours may be asked again while the followers end."""
    last_ns = only(journeys, NOISE)["first_ns"]
    return [journey for journey in journeys if journey["first_ns"] <= last_ns]


def test_both_engines_say_the_same(net: Routed, folder: Path) -> None:
    core, bcc = (
        sorted(
            (j["kind"], j["outcome"], j["outcome_at"], j["reason"] or "", len(j["hops"]))
            for j in until_the_last_ping(own(folder, name, net.names))
        )
        for name in ENGINES
    )
    assert core == bcc


@pytest.mark.parametrize("engine", ENGINES)
def test_every_packet_sent_is_one_exchange_among_others(
    net: Routed, tmp_path: Path, engine: str
) -> None:
    server = ["ip", "netns", "exec", net.server, "iperf3", "-s", "-1"]
    client = f"ip netns exec {net.client} iperf3 -c 10.7.2.2 -t 3 -b 200M"
    other = f"ip netns exec {net.client} ping -q -i0.002 -c 400 10.7.2.2"
    number = 32_000 + ENGINES.index(engine)
    with (
        Follower(tmp_path, engine, "--engine", engine, "--icmp-id", str(number)) as follower,
        subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as listening,
    ):
        noise = [
            subprocess.Popen(c.split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for c in (other, client)
        ]
        net.ping(options=f"-c{SENT} -e {number}")
        follower.wait(lambda j: pinged(j, number) and j["reply"] is not None, "pings", SENT)
        for process in noise:
            process.wait()
        listening.terminate()
    found = of(follower.journeys, number)
    assert [j["hops"][0]["icmp_seq"] for j in found] == list(range(1, SENT + 1))
    assert {j["outcome"] for j in found} == {"delivered"}
    assert len(follower.journeys) == 2 * SENT
    assert follower.summary["exchanges"] == SENT
