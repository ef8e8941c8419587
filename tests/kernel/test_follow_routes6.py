"""Where IPv6 leads nowhere, live, on both engines: routes that refuse, no route at all, and
neighbours that do not answer.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py).
"""

import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
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

from tracer.core.observation import Observation
from tracer.core.values import observations_of
from tracer.sources.read import read

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
SERVER, GONE, LAST = "fd07:2::2", "fd07:2::99", 32_311
#: What leads nowhere, by the type of its route; the last has none.
REFUSED = {
    "blackhole": "fd07:9::9",
    "unreachable": "fd07:8::9",
    "prohibit": "fd07:7::9",
    "none": "fd07:6::9",
}
KINDS = ("tcp-syn", "udp", "echo-request")
#: What `ip route get` says of each, and what lookups in tables give: the last has none to ask.
SAID = {
    "Invalid argument": -errno.EINVAL,
    "No route to host": -errno.EHOSTUNREACH,
    "Permission denied": -errno.EACCES,
    "Network is unreachable": -errno.EAGAIN,
}
SEND = """
import socket, sys
for to in sys.argv[1:]:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.sendto(b"x" * 20, (to, 4545))
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
        s.settimeout(0.2)
        s.connect_ex((to, 80))
"""


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("six") as built:
        for kind, address in REFUSED.items():
            if kind != "none":
                run(f"ip -n {built.router} -6 route add {kind} {address[:-1]}/64")
        built.ping()
        built.ping(SERVER, "-c1 -w10")  # addresses and routes take their time
        yield built


@pytest.fixture(scope="module")
def folder(net: Routed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything is done once, before the eyes of both engines."""
    folder = tmp_path_factory.mktemp("routes6")
    hosts = ("--host", "fd07::/16", "--host", "10.7.2.2")
    followers = together(
        Follower(folder, name, "--engine", name, *hosts, "--write", str(folder / f"{name}.parquet"))
        for name in ENGINES
    )
    client = ["ip", "netns", "exec", net.client]
    try:
        subprocess.run([*client, sys.executable, "-c", SEND, *REFUSED.values(), GONE], check=True)
        for address in (*REFUSED.values(), GONE):
            ping = [*client, "ping", "-c1", "-W0.2", address]
            assert subprocess.run(ping, check=False, capture_output=True).returncode == 1
        net.ping(SERVER)
        for follower in followers:  # the kernel asks for the neighbour for three seconds
            follower.wait(lambda j: to([j], GONE, "echo-request") != [], "the ping to nobody")
        assert "FAILED" in run(f"ip -n {net.router} -6 neigh show {GONE}")
        net.ping(options=f"-c1 -e {LAST}")
        wait_for_ping(followers, LAST)
    finally:
        stop_together(followers)
    return folder


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def journeys(engine: str, net: Routed, folder: Path) -> list[Journey]:
    return own(folder, engine, net.names)


def asked(net: Routed, address: str) -> str:
    """What the router's own kernel answers when it is asked for the route."""
    words = f"ip -n {net.router} -6 route get {address} from fd07:1::2 iif r0"
    done = subprocess.run(words.split(), check=False, capture_output=True, text=True)
    return done.stderr.split("answers: ")[-1].strip()


def to(journeys: list[Journey], address: str, kind: str) -> list[Journey]:
    return [j for j in journeys if j["hops"][0]["dst"] == address and j["kind"] == kind]


@pytest.mark.parametrize("route", REFUSED)
@pytest.mark.parametrize("kind", KINDS)
def test_what_has_no_route_is_dropped_where_it_came_in(
    kind: str, route: str, journeys: list[Journey], net: Routed
) -> None:
    found = to(journeys, REFUSED[route], kind)
    assert found
    for journey in found:
        assert journey["outcome"] == "dropped"
        assert journey["outcome_at"].split("/")[-2:] == [net.router, "r0"]
        # A blackhole is silent; of the others, the router's ICMP error tells.
        told = "route: blackhole" if route == "blackhole" else ", said fd07:1::1"
        assert told in journey["reason"]


def entered(net: Routed, recording: Path, address: str) -> list[Observation]:
    """What came into the router for an address."""
    batch = read([str(recording)]).batch
    seen = observations_of(batch, np.arange(len(batch)))
    return [o for o in seen if (o.netns, o.device, o.dst) == (net.router, "r0", address)
            and o.direction == "ingress"]  # fmt: skip


@pytest.mark.parametrize("route", REFUSED)
def test_the_route_that_refused_is_the_one_that_the_kernel_finds(
    route: str, net: Routed, engine: str, folder: Path
) -> None:
    seen = entered(net, folder / f"{engine}.parquet", REFUSED[route])
    assert {o.route_error for o in seen} == {SAID[asked(net, REFUSED[route])]}


def test_what_has_a_route_was_not_refused(net: Routed, engine: str, folder: Path) -> None:
    seen = entered(net, folder / f"{engine}.parquet", SERVER)
    assert {(o.route_table, o.route_error) for o in seen} == {(254, 0)}


@pytest.mark.parametrize("kind", KINDS)
def test_what_waits_for_a_neighbour_in_vain_is_dropped_by_name(
    kind: str, journeys: list[Journey], net: Routed
) -> None:
    found = to(journeys, GONE, kind)
    assert found
    for journey in found:
        told = "NEIGH_FAILED; address unreachable, said fd07:1::1"
        assert (journey["outcome"], journey["reason"]) == ("dropped", told)
        assert journey["outcome_at"].split("/")[-2:] == [net.router, "r1"]
