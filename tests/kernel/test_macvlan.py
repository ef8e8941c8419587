"""What comes in for macvlan devices, live, on both engines, in three modes; tcpdump there judges.

far 10.82.K.1 ─fK────lK─ low ═ uK, in up: 10.82.K.2; in mode bridge vK, in beside: 10.82.K.3, too
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
FAR, LOW, UP, BESIDE = SPACES = tuple(
    f"mvl{os.getpid()}-{name}" for name in ("far", "low", "up", "beside")
)
MODES = ("bridge", "private", "vepa")
PORT, MARK_PORT = 5691, 5692
MARK = b"the mark that ends the dumps"
SENT = 3


def address(mode: str, last: int, family: int = 4) -> str:
    number = MODES.index(mode) + 1
    return f"10.82.{number}.{last}" if family == 4 else f"fd82:{number}::{last}"


def device(letter: str, mode: str) -> str:
    return f"{letter}{MODES.index(mode)}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("macvlan")
    try:
        for name in SPACES:
            run(f"ip netns add {name} && ip -n {name} link set lo up")
        for mode in MODES:
            _build(mode)
        hosts = [word for net in ("10.82.0.0/16", "fd82::/16") for word in ("--host", net)]
        followers = together(Follower(folder, name, "--engine", name, *hosts) for name in ENGINES)
        try:
            ends = [(UP, device("u", mode), "") for mode in MODES]
            places = [*ends, (BESIDE, device("v", "bridge"), ""), *_lower()]
            with tcpdumps(folder, places, MARK):
                for mode in MODES:
                    _traffic(mode)
                _mark()
            for follower in followers:
                follower.wait(lambda j: j["hops"][0]["dport"] == MARK_PORT, "the marks", len(MODES))
        finally:
            stop_together(followers)
        yield folder
    finally:
        for name in SPACES:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _lower() -> list[tuple[str, str, str]]:
    return [(LOW, device("l", mode), "") for mode in MODES]


def _build(mode: str) -> None:
    far, low = device("f", mode), device("l", mode)
    run(f"ip -n {FAR} link add {far} type veth peer name {low} netns {LOW}")
    run(f"ip -n {LOW} link set {low} up")
    _give(FAR, far, mode, 1)
    for space, letter, last in ((UP, "u", 2), (BESIDE, "v", 3)):
        name = device(letter, mode)
        run(f"ip -n {LOW} link add {name} link {low} type macvlan mode {mode}")
        run(f"ip -n {LOW} link set {name} netns {space}")
        _give(space, name, mode, last)


def _give(space: str, name: str, mode: str, last: int) -> None:
    run(f"ip -n {space} addr add {address(mode, last)}/24 dev {name}")
    run(f"ip -n {space} addr add {address(mode, last, 6)}/64 dev {name} nodad")
    run(f"ip -n {space} link set {name} up")


def _traffic(mode: str) -> None:
    for family in (4, 6):
        _ping(FAR, address(mode, 2, family))
        _ping(UP, address(mode, 1, family))
        if mode == "bridge":
            _ping(UP, address(mode, 3, family))
        _ask(mode, family)


def _ping(space: str, target: str) -> None:
    run(f"ip netns exec {space} ping -c{SENT} -i0.05 -W5 {target}")


def _ask(mode: str, version: int) -> None:
    # Far asks up, by datagrams and over TCP.
    family, target = socket.AF_INET, (address(mode, 2, version), PORT)
    if version == 6:
        family = socket.AF_INET6
    with network_namespace(f"/run/netns/{UP}"):
        listening = socket.create_server(target, family=family)
        answering = socket.socket(family, socket.SOCK_DGRAM)
    with network_namespace(f"/run/netns/{FAR}"):
        calling, sending = socket.socket(family), socket.socket(family, socket.SOCK_DGRAM)
    with listening, answering, calling, sending:
        answering.bind(target)
        for end in (answering, sending, calling):
            end.settimeout(5)
        for number in range(SENT):
            sending.sendto(bytes([number]), target)
            data, asking = answering.recvfrom(9)
            answering.sendto(data, asking)
            assert sending.recv(9) == data
        calling.connect(target)
        taken, _ = listening.accept()
        with taken:
            for _ in range(SENT):
                calling.sendall(b"asked")
                taken.sendall(taken.recv(9))
                assert calling.recv(9) == b"asked"


def _mark() -> None:
    # At the devices of each mode, and of the one beside.
    for mode in MODES:
        for last, space in ((2, UP), (3, BESIDE)) if mode == "bridge" else ((2, UP),):
            with network_namespace(f"/run/netns/{space}"):
                taker = socket.socket(type=socket.SOCK_DGRAM)
            with network_namespace(f"/run/netns/{FAR}"):
                sender = socket.socket(type=socket.SOCK_DGRAM)
            with taker, sender:
                taker.bind((address(mode, last), MARK_PORT))
                taker.settimeout(5)
                sender.sendto(MARK, (address(mode, last), MARK_PORT))
                assert taker.recv(99) == MARK


@pytest.fixture(params=ENGINES)
def journeys(request: pytest.FixtureRequest, folder: Path) -> list[Journey]:
    """Of pings, datagrams and TCP."""
    found = Follower(folder, request.param).journeys
    return [
        j
        for j in found
        if {hop["netns"] for hop in j["hops"]} <= set(SPACES)
        and (j["proto"] in ("udp", "tcp") or (j["kind"] or "").startswith("echo-"))
    ]


def _way(journey: Journey) -> list[tuple[str, str, str]]:
    return [(hop["netns"], hop["device"], hop["direction"]) for hop in journey["hops"]]


def _in(mode: str) -> list[tuple[str, str, str]]:
    return [
        (FAR, device("f", mode), "egress"),
        (LOW, device("l", mode), "ingress"),
        (UP, device("u", mode), "ingress"),
    ]


def _out(mode: str) -> list[tuple[str, str, str]]:
    return [
        (UP, device("u", mode), "egress"),
        (LOW, device("l", mode), "egress"),
        (FAR, device("f", mode), "ingress"),
    ]


def _across(mode: str, *letters: str) -> list[tuple[str, str, str]]:
    spaces = {"u": UP, "v": BESIDE}
    first, last = ((spaces[letter], device(letter, mode)) for letter in letters)
    return [(*first, "egress"), (LOW, device("l", mode), "ingress"), (*last, "ingress")]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("mode", MODES)
def test_packets_are_delivered_in_the_receivers_namespace(
    journeys: list[Journey], mode: str, family: int
) -> None:
    ways = {
        tuple(address(mode, last, family) for last in (source, target)): way
        for source, target, way in (
            (1, 2, _in(mode)),
            (2, 1, _out(mode)),
            (2, 3, _across(mode, "u", "v")),
            (3, 2, _across(mode, "v", "u")),
        )
    }
    seen: Counter[str] = Counter()
    for journey in journeys:
        first = journey["hops"][0]
        way = ways.get((first["src"], first["dst"]))
        if way is None or first["dport"] == MARK_PORT:
            continue
        assert _way(journey) == way
        assert journey["outcome"] == "delivered", journey
        assert {hop["join"]["evidence"] for hop in journey["hops"][1:]} == {"skb"}
        seen[journey["kind"] or journey["proto"]] += 1
    pings = (3 if mode == "bridge" else 2) * SENT
    assert seen["echo-request"] == seen["echo-reply"] == pings
    assert seen["udp"] == 2 * SENT
    assert seen["tcp-data"] >= 2 * SENT


@pytest.mark.parametrize("name", [*(device("u", mode) for mode in MODES), device("v", "bridge")])
def test_tcpdump_sees_the_same_there(journeys: list[Journey], folder: Path, name: str) -> None:
    pings = "icmp or (icmp6 and (ip6[40] = 128 or ip6[40] = 129))"
    lines = run(f"tcpdump -r {folder / name}.pcap -n 'udp or tcp or {pings}'").splitlines()
    seen = [hop for j in journeys for hop in j["hops"] if hop["device"] == name]
    assert len(seen) == len(lines) > 4 * SENT
