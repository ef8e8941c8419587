"""What routers and hosts refuse, live, on both engines: reset, no listener behind two NATs, no
neighbour, no route; and what they put together or ask for themselves on the way.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py); SNAT on r1, DNAT on r0.
"""

import subprocess
from collections.abc import Iterator
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
#: Ports and ICMP ids, one for each thing that is done.
RESET, PUBLISHED, CLOSED, LONELY, WHOLE, LAST = 6681, 8080, 5599, 7771, 32_101, 32_102
CLIENT, ROUTER = "10.7.1.2", "10.7.1.1"
GONE = "10.7.2.99"
_TCP = "import socket; socket.socket().connect_ex(('{}', {}))"
_UDP = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x' * 40, ('{}', {}))"


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("ref") as built:
        router = f"ip netns exec {built.router}"
        run(
            f"{router} iptables -A FORWARD -p tcp --dport {RESET} -j REJECT --reject-with tcp-reset"
        )
        target = f"-j DNAT --to-destination 10.7.2.2:{CLOSED}"
        run(f"{router} iptables -t nat -A PREROUTING -p tcp --dport {PUBLISHED} {target}")
        run(f"{router} ip -6 route add unreachable fd07:9::/64")
        built.ping()  # neighbours are known from here on
        yield built


@pytest.fixture(scope="module")
def folder(net: Routed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything is done once, before the eyes of both engines."""
    folder = tmp_path_factory.mktemp("refused")
    hosts = ["--host", "10.7.0.0/16", "--host", "fd07::/16"]
    followers = together(Follower(folder, name, "--engine", name, *hosts) for name in ENGINES)
    try:
        for code, target, port in (
            (_TCP, "10.7.2.2", RESET), (_TCP, ROUTER, PUBLISHED), (_UDP, GONE, LONELY),
        ):  # fmt: skip
            run(f'ip netns exec {net.client} python3 -c "{code.format(target, port)}"')
        net.ping(options=f"-c1 -s 4000 -e {WHOLE}")
        for _ in range(3):  # what neighbours say of themselves may come in between
            for name in (net.client, net.router):
                run(f"ip netns exec {name} ip -6 neigh flush all")
            net.ping("fd07:2::2", "-c1 -w10")  # asks for neighbours on both links
        command = f"ip netns exec {net.client} ping -c1 -W0.2 fd07:9::1"
        assert subprocess.run(command.split(), check=False, capture_output=True).returncode == 1
        for follower in followers:  # the kernel asks for the neighbour for three seconds
            follower.wait(lambda j: j["hops"][0]["dport"] == LONELY, "the datagram to nobody")
        net.ping(options=f"-c1 -e {LAST}")
        wait_for_ping(followers, LAST)
    finally:
        stop_together(followers)
    return folder


@pytest.fixture(params=ENGINES)
def journeys(request: pytest.FixtureRequest, net: Routed, folder: Path) -> list[Journey]:
    return own(folder, request.param, net.names)


def to_port(journeys: list[Journey], port: int) -> Journey:
    (journey,) = (
        j for j in journeys
        if j["hops"][0]["dport"] == port and j["kind"] in ("tcp-syn", "udp")
    )  # fmt: skip
    return journey


def by_number(journeys: list[Journey], number: int) -> Journey:
    (journey,) = (j for j in journeys if j["journey"] == number)
    return journey


def test_a_reset_by_a_rule_does_not_hide_that_it_dropped(
    journeys: list[Journey], net: Routed
) -> None:
    syn = to_port(journeys, RESET)
    assert (syn["outcome"], syn["reason"]) == ("dropped", "NETFILTER_DROP")
    assert syn["outcome_at"].split("/")[-2:] == [net.router, "r0"]
    assert by_number(journeys, syn["reply"])["kind"] == "tcp-rst"


def test_a_refusal_from_behind_two_nats_is_the_answer(journeys: list[Journey], net: Routed) -> None:
    syn = to_port(journeys, PUBLISHED)
    assert syn["outcome"] == "delivered"
    assert syn["outcome_at"].split("/")[-2:] == [net.server, "s0"]
    reset = by_number(journeys, syn["reply"])
    assert reset["kind"] == "tcp-rst"
    assert [h["netns"] for h in reset["hops"]][0::len(reset["hops"]) - 1] == [
        net.server, net.client,
    ]  # fmt: skip
    causes = {c["cause"] for hop in reset["hops"] for c in hop["changes"]} - {None}
    assert causes <= {"un-snat", "un-dnat", "forwarded", "bridged"}
    assert {"un-snat", "un-dnat"} <= causes


def test_what_waits_for_a_neighbour_in_vain_is_dropped_by_name(
    journeys: list[Journey], net: Routed
) -> None:
    sent = to_port(journeys, LONELY)
    assert (sent["outcome"], sent["reason"]) == (
        "dropped", f"NEIGH_FAILED; host unreachable, said {ROUTER.replace('10.7.1', '10.7.2')}",
    )  # fmt: skip
    assert sent["outcome_at"].split("/")[-2:] == [net.router, "r1"]
    assert sent["last_ns"] - sent["first_ns"] > 1_000_000_000
    assert [j for j in journeys if j["quotes"] == sent["journey"]]
    asked = [j for j in journeys if j["hops"][0]["arp_target_ip"] == GONE]
    assert asked
    assert all(j["reply"] is None for j in asked)


def test_fragments_end_with_the_datagram_they_are_put_into(journeys: list[Journey]) -> None:
    whole = next(j for j in journeys if pinged(j, WHOLE))
    assert whole["reply"] is not None
    ids = {hop["ip_id"] for hop in whole["hops"]}
    pieces = [j for j in journeys if j["hops"][0]["ip_id"] in ids]
    assert "dropped" not in {j["outcome"] for j in pieces}


def test_an_icmpv6_error_is_about_the_packet_it_quotes(journeys: list[Journey]) -> None:
    (ping,) = (j for j in journeys if j["hops"][0]["dst"] == "fd07:9::1")
    assert "said fd07:1::1" in ping["reason"]
    (error,) = (j for j in journeys if j["quotes"] == ping["journey"])
    assert (error["kind"], error["proto"]) == ("icmp-error", "icmpv6")


def test_neighbours_of_two_links_are_not_one_packet(journeys: list[Journey]) -> None:
    links = {"c0": 1, "r0": 1, "r1": 2, "s0": 2}
    found = [j for j in journeys if j["hops"][0]["icmp_type"] in (135, 136)]
    assert {links[h["device"]] for j in found for h in j["hops"]} == {1, 2}
    for journey in found:
        assert len({links[h["device"]] for h in journey["hops"]}) == 1
        assert len({(h["src"], h["dst"]) for h in journey["hops"]}) == 1
