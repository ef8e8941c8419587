"""What hosts send to themselves over lo, live, on both engines; counters of the kernel and what
sockets received judge.

Two namespaces, in which 127.0.0.1 is two hosts: a busy one, and one with an idle connection.
"""

import os
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from follower import Follower, Journey, stop_together, together, wait_for

from tests.kernel.routed import run
from tracer.sources.live.syscalls import network_namespace

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
LOCAL, PORT, LAST = "127.0.0.1", 5580, 5581
SENT = 200
PROBES = 3  # each way


@pytest.fixture(scope="module")
def spaces() -> Iterator[tuple[str, str]]:
    names = (f"lop{os.getpid()}-busy", f"lop{os.getpid()}-idle")
    try:
        for name in names:
            run(f"ip netns add {name} && ip -n {name} link set lo up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.fixture(scope="module")
def folder(spaces: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loopback")
    busy, idle = spaces
    with network_namespace(f"/run/netns/{idle}"):
        listening, asking = socket.socket(), socket.socket()
    with listening, asking:
        listening.bind((LOCAL, 0))
        listening.listen()
        asking.connect(listening.getsockname())
        taking, _ = listening.accept()
        followers = together(
            Follower(folder, name, "--engine", name, "--host", LOCAL) for name in ENGINES
        )
        try:
            with taking:
                for end in (asking, taking):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                _datagrams(busy, PORT, SENT)
                wait_for(lambda: probes(idle) >= 2 * PROBES, "keepalive probes")
                for end in (asking, taking):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
                (folder / "probes").write_text(str(probes(idle)))
                _datagrams(busy, LAST, 1)
                for follower in followers:
                    follower.wait(lambda j: j["hops"][0]["dport"] == LAST, "the last datagram")
                stop_together(followers)
        finally:
            stop_together(followers)
    return folder


def _datagrams(space: str, port: int, count: int) -> None:
    with network_namespace(f"/run/netns/{space}"):
        taker, sender = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
    with taker, sender:
        taker.bind((LOCAL, port))
        taker.settimeout(5)
        for number in range(count):
            data = bytes([number % 256]) * (number + 1)
            sender.sendto(data, (LOCAL, port))
            assert taker.recv(999) == data


def probes(space: str) -> int:
    """The keepalive probes that a namespace's kernel counts."""
    text = run(f"ip netns exec {space} cat /proc/net/netstat").splitlines()
    names, values = (line.split() for line in text if line.startswith("TcpExt:"))
    return int(values[names.index("TCPKeepAlive")])


@pytest.fixture(params=ENGINES)
def journeys(request: pytest.FixtureRequest, folder: Path) -> list[Journey]:
    return Follower(folder, request.param).journeys


def test_each_datagram_that_was_received_is_delivered(
    journeys: list[Journey], spaces: tuple[str, str]
) -> None:
    found = [
        j for j in journeys if (j["hops"][0]["netns"], j["hops"][0]["dport"]) == (spaces[0], PORT)
    ]
    assert Counter(j["outcome"] for j in found) == {"delivered": SENT}


def test_what_answers_a_probe_is_delivered_though_probes_are_dropped(
    journeys: list[Journey], spaces: tuple[str, str], folder: Path
) -> None:
    sent = int((folder / "probes").read_text())
    found = [j for j in journeys if (j["proto"], j["hops"][0]["netns"]) == ("tcp", spaces[1])]
    assert Counter(j["outcome"] for j in found) == {"dropped": sent, "delivered": sent}
    ends = {(j["reason"], j["outcome_at"]) for j in found if j["outcome"] == "dropped"}
    host = os.uname().nodename
    # TCP takes the device away from a packet before it looks at it.
    assert ends == {("TCP_OLD_SEQUENCE", f"{host}/{spaces[1]}/lo")}
