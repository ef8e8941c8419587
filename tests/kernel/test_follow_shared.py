"""Packets whose buffers others hold as well, live: without a route they are dropped all the same,
and an ICMP error that a socket keeps has arrived.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py).
"""

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
BLACKHOLE, UNREACHABLE, WATCHED, LAST, COUNT = "10.7.9.9", "10.7.8.8", 4545, 32_211, 3
# Prints what the socket was told; a timeout has no number.
CONNECT = """
import errno, socket
with socket.socket() as s:
    s.settimeout(0.3)
    try:
        s.connect(("{to}", 80))
    except OSError as error:
        print(errno.errorcode.get(error.errno or 0, "none"))
"""
# A packet socket that reads everything makes every buffer shared.
SNIFF = """
import socket, subprocess, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)):
    subprocess.run(sys.argv[1:], check=True)
"""
SEND = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    for _ in range({count}):
        s.sendto(b"x" * 20, ("{to}", {port}))
"""


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("shared") as built:
        built.ping()
        yield built


def python(netns: str, text: str, *words: str) -> list[str]:
    return ["ip", "netns", "exec", netns, sys.executable, "-c", text, *words]


def told(words: list[str]) -> str:
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="module")
def folder(net: Routed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything is done once, before the eyes of both engines."""
    folder = tmp_path_factory.mktemp("shared")
    followers = together(
        Follower(folder, name, "--engine", name, "--host", "10.7.0.0/16") for name in ENGINES
    )
    router = f"ip -n {net.router} route"
    run(f"{router} add blackhole 10.7.9.0/24")
    run(f"{router} add unreachable 10.7.8.0/24")
    try:
        sending = python(net.client, SEND.format(to=BLACKHOLE, port=WATCHED, count=COUNT))
        told(python(net.router, SNIFF, *sending))
        assert told(python(net.client, CONNECT.format(to=BLACKHOLE))).split() == ["none"]
        said = told(python(net.client, CONNECT.format(to=UNREACHABLE)))
        assert said.split() == ["EHOSTUNREACH"]
        net.ping(options=f"-c1 -e {LAST}")
        wait_for_ping(followers, LAST)
    finally:
        stop_together(followers)
    return folder


@pytest.fixture(params=ENGINES)
def journeys(request: pytest.FixtureRequest, net: Routed, folder: Path) -> list[Journey]:
    return own(folder, request.param, net.names)


def to(journeys: list[Journey], address: str, kind: str) -> list[Journey]:
    return [j for j in journeys if j["hops"][0]["dst"] == address and j["kind"] == kind]


@pytest.mark.parametrize(("kind", "least"), [("udp", COUNT), ("tcp-syn", 1)])
def test_what_has_no_route_is_dropped_though_its_buffer_is_shared(
    kind: str, least: int, journeys: list[Journey], net: Routed
) -> None:
    found = to(journeys, BLACKHOLE, kind)
    assert len(found) >= least
    for journey in found:
        assert journey["outcome"] == "dropped"
        assert journey["outcome_at"].split("/")[-2:] == [net.router, "r0"]
        assert journey["reason"].endswith("route: blackhole")


def test_an_error_that_a_socket_was_told_of_has_arrived(
    journeys: list[Journey], net: Routed
) -> None:
    syn = to(journeys, UNREACHABLE, "tcp-syn")[0]
    (error,) = (j for j in journeys if j["quotes"] == syn["journey"])
    assert (error["outcome"], error["reason"]) == ("delivered", None)
    assert error["outcome_at"].split("/")[-2:] == [net.client, "c0"]
    assert syn["outcome"] == "dropped"
    assert "host unreachable, said 10.7.1.1" in syn["reason"]
