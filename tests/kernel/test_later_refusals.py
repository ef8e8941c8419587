"""What rules refuse of a connection that stands, live, on both engines.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py). Once a connection stands, a rule of
the client's OUTPUT or of the router's FORWARD refuses its data with a reset; the socket that is
reset judges.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from follower import Follower, Journey, own, stop_together, together, wait_for_ping

from tests.kernel.routed import Routed, routed, run
from tracer.sources.live.syscalls import network_namespace

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
SERVER = ("10.7.2.2", "fd07:2::2")
#: Ports of connections that the client's own rule refuses data of, and those of the router.
PORTS = {"OUTPUT": 7301, "FORWARD": 7302}


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("ltr") as built:
        built.ping()  # neighbours are known from here on
        built.ping("fd07:2::2", "-c1 -w10")
        yield built


def reset(net: Routed, family: int, chain: str) -> int:
    """Connect, let a rule refuse what is sent then, and return the port that was told so."""
    port, kind = PORTS[chain], (socket.AF_INET, socket.AF_INET6)[family]
    space = net.client if chain == "OUTPUT" else net.router
    command = f"ip netns exec {space} {('iptables', 'ip6tables')[family]}"
    rule = f"{chain} -p tcp --dport {port} -j REJECT --reject-with tcp-reset"
    with ExitStack() as stack:
        with network_namespace(f"/run/netns/{net.server}"):
            served = socket.create_server((SERVER[family], port), family=kind)
            listening = stack.enter_context(served)
        with network_namespace(f"/run/netns/{net.client}"):
            calling = stack.enter_context(socket.socket(kind))
        calling.settimeout(5)
        calling.connect((SERVER[family], port))
        stack.enter_context(listening.accept()[0])
        run(f"{command} -A {rule}")
        stack.callback(run, f"{command} -D {rule}")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            calling.send(b"refused") and calling.recv(9)
        return int(calling.getsockname()[1])


@pytest.fixture(scope="module")
def recorded(
    net: Routed, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[tuple[int, str], int]]:
    """Everything is done once before both engines; the ports that were reset."""
    folder = tmp_path_factory.mktemp("ltr")
    hosts = ("--host", "10.7.0.0/16", "--host", "fd07::/16")
    followers = together(Follower(folder, name, "--engine", name, *hosts) for name in ENGINES)
    try:
        ports = {(family, chain): reset(net, family, chain) for family in (0, 1) for chain in PORTS}
        net.ping(options="-c1 -e 35009")
        wait_for_ping(followers, 35_009)
    finally:
        stop_together(followers)
    return folder, ports


@pytest.fixture(params=ENGINES)
def journeys(
    request: pytest.FixtureRequest, net: Routed, recorded: tuple[Path, dict[tuple[int, str], int]]
) -> list[Journey]:
    return own(recorded[0], request.param, net.names)


def test_the_reset_answers_the_data_that_a_rule_refused(
    net: Routed, journeys: list[Journey], recorded: tuple[Path, dict[tuple[int, str], int]]
) -> None:
    by_number = {j["journey"]: j for j in journeys}
    for (family, chain), port in recorded[1].items():
        (refused,) = (
            j for j in journeys if j["kind"] == "tcp-data" and j["hops"][0]["sport"] == port
        )
        assert (refused["outcome"], refused["reason"]) == ("dropped", "NETFILTER_DROP")
        answer = by_number[refused["reply"]]
        assert (answer["kind"], answer["request"]) == ("tcp-rst", refused["journey"])
        first, last = answer["hops"][0], answer["hops"][-1]
        assert first["netns"] == (net.client if chain == "OUTPUT" else net.router)
        assert (last["netns"], last["src"], last["dport"]) == (net.client, SERVER[family], port)
        assert last["tcp_seq"] == refused["hops"][0]["tcp_ack"]
