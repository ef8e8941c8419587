"""Services of a node that clients reach as they are, and by another port that the node's rules
redirect, as it does itself: live, on both engines; what the sockets received judges.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py); the router has 10.99.9.9 on lo
"""

import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from follower import Follower, Journey, own, stop_together, together, wait_for_ping
from routed import Routed, routed, run

from tracer.sources.live.syscalls import network_namespace

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
NODE, SERVICE, REDIRECTED = "10.99.9.9", 8080, 81
SILENT, LAST, SENT = 9099, 33_417, 5
#: Of the router, at none of which packets from the client come in.
ELSEWHERE = (NODE, "10.7.2.1", "fd07:2::1")
SERVER = {socket.AF_INET: "10.7.2.2", socket.AF_INET6: "fd07:2::2"}


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("svc") as built:
        run(f"ip -n {built.router} addr add {NODE}/32 dev lo")
        rule = f"-p tcp -d {NODE} --dport {REDIRECTED} -j REDIRECT --to-port {SERVICE}"
        for chain in ("PREROUTING", "OUTPUT"):
            run(f"ip netns exec {built.router} iptables -t nat -A {chain} {rule}")
        built.ping(NODE)
        yield built


@pytest.fixture(scope="module")
def folder(net: Routed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("services")
    asked = (*ELSEWHERE, *SERVER.values())
    hosts = [word for address in asked for word in ("--host", address)]
    with network_namespace(f"/run/netns/{net.router}"):
        listening = socket.create_server(("", SERVICE))
    early = _connected(net.client, SERVICE, listening)
    followers = together(Follower(folder, name, "--engine", name, *hosts) for name in ENGINES)
    try:
        with listening:
            for space in (net.client, net.router):
                _exchange(*_connected(space, REDIRECTED, listening))
            _exchange(*early)
            _exchange(*_connected(net.client, SERVICE, listening))
        for address in ELSEWHERE:
            _tell(net, address)
        net.ping(NODE, f"-c1 -e {LAST}")
        wait_for_ping(followers, LAST)
    finally:
        stop_together(followers)
    return folder


def _connected(
    space: str, port: int, listening: socket.socket
) -> tuple[socket.socket, socket.socket]:
    with network_namespace(f"/run/netns/{space}"):
        calling = socket.create_connection((NODE, port))
    return calling, listening.accept()[0]


def _exchange(calling: socket.socket, answering: socket.socket) -> None:
    with calling, answering:
        for number in range(SENT):
            calling.sendall(bytes([number]))
            assert answering.recv(9) == bytes([number])
            answering.sendall(bytes([number]))
            assert calling.recv(9) == bytes([number])


def _tell(net: Routed, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with network_namespace(f"/run/netns/{net.router}"):
        taking = socket.socket(family, socket.SOCK_DGRAM)
    with network_namespace(f"/run/netns/{net.client}"):
        telling = socket.socket(family, socket.SOCK_DGRAM)
    with taking, telling:
        taking.bind((address, SILENT))
        taking.settimeout(5)
        for number in range(SENT):
            telling.sendto(bytes([number]), (address, SILENT))
            assert taking.recv(9) == bytes([number])
        # Others come the same way, and go on.
        telling.sendto(b"on", (SERVER[family], SILENT))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_socket_received_and_did_not_answer_has_arrived(
    net: Routed, folder: Path, engine: str
) -> None:
    """Whichever device of the host has the address."""
    found = [j for j in own(folder, engine, net.names) if j["hops"][0]["dport"] == SILENT]
    ends = Counter(
        (j["hops"][0]["dst"], j["outcome"], j["outcome_at"].split("/")[-1]) for j in found
    )
    arrived = {(address, "delivered", "r0"): SENT for address in ELSEWHERE}
    assert {end: n for end, n in ends.items() if end[0] in ELSEWHERE} == arrived


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_socket_received_has_arrived(net: Routed, folder: Path, engine: str) -> None:
    """All but the first packet of a connection find their socket without a route.

    One connection was there before anybody followed.
    """
    found = [j for j in own(folder, engine, net.names) if j["proto"] == "tcp"]
    outcomes = Counter((_port(j), j["outcome"]) for j in found)
    assert {outcome for _, outcome in outcomes} == {"delivered"}, outcomes
    assert {j["reason"] for j in found} == {None}
    for port, connections in ((SERVICE, 2), (REDIRECTED, 2)):
        data = [j for j in found if _port(j) == port and j["hops"][0]["payload_len"]]
        assert len(data) == 2 * SENT * connections


def _port(journey: Journey) -> int:
    # Of the node, as the client names it.
    first, last = journey["hops"][0], journey["hops"][-1]
    return int(min(first["sport"], first["dport"], last["sport"], last["dport"]))
