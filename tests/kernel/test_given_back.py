"""What a filter redirects to an ifb device where it comes in, as CNI's shaper does: live, on both
engines; tcpdump at each device, and sockets, judge.

a a0 ── b0 b, where all that comes in by b0 goes through ifb7 and is given back
"""

import os
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from follower import Follower, Journey, stop_together, together

from tests.kernel.routed import run
from tests.kernel.wire import tcpdumps
from tracer.sources.live.syscalls import network_namespace

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
A, B = f"gvb{os.getpid()}-a", f"gvb{os.getpid()}-b"
FOUR, SIX = "10.81.0.2", "fd81::2"
PORT, LONELY, MARK_PORT = 5681, 5682, 5683
MARK = b"the mark that ends the dumps"
SENT = 5
WAY_IN = [(A, "a0", "egress"), (B, "b0", "ingress"), (B, "ifb7", "egress")]
WAY_OUT = [(B, "b0", "egress"), (A, "a0", "ingress")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("given")
    try:
        _build()
        followers = together(
            Follower(folder, name, "--engine", name, "--host", "10.81.0.1", "--host", "fd81::1")
            for name in ENGINES
        )
        try:
            places = [(A, "a0", ""), (B, "b0", "-Q in"), (B, "ifb7", "")]
            with tcpdumps(folder, places, MARK):
                _traffic()
            for follower in followers:
                follower.wait(lambda j: j["hops"][0]["dport"] == MARK_PORT, "the mark")
        finally:
            stop_together(followers)
        yield folder
    finally:
        for name in (A, B):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _build() -> None:
    for name in (A, B):
        run(f"ip netns add {name} && ip -n {name} link set lo up")
    run(f"ip -n {A} link add a0 type veth peer name b0 netns {B}")
    for name, device, last in ((A, "a0", 1), (B, "b0", 2)):
        run(f"ip -n {name} addr add 10.81.0.{last}/24 dev {device}")
        run(f"ip -n {name} addr add fd81::{last}/64 dev {device} nodad")
        run(f"ip -n {name} link set {device} up")
    run(f"ip -n {B} link add ifb7 type ifb && ip -n {B} link set ifb7 up")
    run(f"tc -n {B} qdisc add dev b0 ingress")
    action = "action mirred egress redirect dev ifb7"
    run(f"tc -n {B} filter add dev b0 parent ffff: protocol all u32 match u32 0 0 {action}")


def _traffic() -> None:
    for target in (FOUR, SIX):
        run(f"ip netns exec {A} ping -c{SENT} -i0.05 -W5 {target}")
    with network_namespace(f"/run/netns/{B}"):
        listening = socket.create_server((FOUR, PORT))
        answering, lonely, last = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(3))
    with network_namespace(f"/run/netns/{A}"):
        calling, sending = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
    with listening, answering, lonely, last, calling, sending:
        for end, port in ((answering, PORT), (lonely, LONELY), (last, MARK_PORT)):
            end.bind((FOUR, port))
            end.settimeout(5)
        for number in range(SENT):
            sending.sendto(bytes([number]), (FOUR, PORT))
            data, asking = answering.recvfrom(9)
            answering.sendto(data, asking)
            assert sending.recv(9) == data
            sending.sendto(bytes([number]), (FOUR, LONELY))
            assert lonely.recv(9) == data
        calling.connect((FOUR, PORT))
        taken, _ = listening.accept()
        with taken:
            calling.sendall(b"asked")
            taken.sendall(taken.recv(9))
            assert calling.recv(9) == b"asked"
        sending.sendto(MARK, (FOUR, MARK_PORT))
        assert last.recv(99) == MARK


@pytest.fixture(params=ENGINES)
def journeys(request: pytest.FixtureRequest, folder: Path) -> list[Journey]:
    found = Follower(folder, request.param).journeys
    return [j for j in found if {hop["netns"] for hop in j["hops"]} <= {A, B}]


def _way(journey: Journey) -> list[tuple[str, str, str]]:
    return [(hop["netns"], hop["device"], hop["direction"]) for hop in journey["hops"]]


def test_what_is_given_back_passes_each_device_once(journeys: list[Journey]) -> None:
    kinds = Counter()
    for journey in journeys:
        first = journey["hops"][0]
        if first["src"] not in ("10.81.0.1", "fd81::1") or first["dst"] not in (FOUR, SIX):
            continue
        assert _way(journey) == WAY_IN
        assert [hop["parent"] for hop in journey["hops"]] == [None, 1, 2]
        assert journey["outcome"] in ("delivered", "unfinished"), journey
        kinds[journey["kind"]] += 1
    assert kinds["echo-request"] == 2 * SENT


def test_answers_are_those_of_what_was_given_back(journeys: list[Journey]) -> None:
    by_number = {j["journey"]: j for j in journeys}
    requests = [j for j in journeys if j["kind"] == "echo-request"]
    assert len(requests) == 2 * SENT
    for request in requests:
        assert request["outcome"] == "delivered"
        assert _way(by_number[request["reply"]]) == WAY_OUT


@pytest.mark.parametrize("device", ["a0", "b0", "ifb7"])
def test_tcpdump_sees_the_same(journeys: list[Journey], folder: Path, device: str) -> None:
    lines = run(f"tcpdump -r {folder / device}.pcap -n 'ip and dst {FOUR}'").splitlines()
    seen = [
        hop
        for j in journeys
        for hop in j["hops"]
        if (hop["device"], hop["dst"]) == (device, FOUR) and hop["hook"] is None
    ]
    assert len(seen) == len(lines) > 4 * SENT
