"""Packets that come in together, as network cards bring them, before any is routed: each for
itself, and as GRO puts them into one; and those that are larger than their length field tells."""

import os
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from follower import Follower, stop_together, together
from routed import Routed, routed, run

import tracer
from tracer.sources.live import syscalls

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")

PACKETS, BURST, PORT = 601, 50, 7788  # each of another flow
SO_RCVBUFFORCE = 33  # not in Python's module
CPU = max(os.sched_getaffinity(0))
TARGETS = {4: ("10.7.1.1", "10.7.2.2"), 6: ("fd07:1::1", "fd07:2::2")}

# Bursts during which nobody else has this CPU: what is to receive them finds them all at once.
FLOOD = f"""
import os, socket, sys, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
senders = [socket.socket(family, socket.SOCK_DGRAM) for _ in range({PACKETS})]
os.sched_setaffinity(0, {{{CPU}}})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
for number, sender in enumerate(senders):
    sender.sendto(number.to_bytes(8, "big"), (sys.argv[1 + number % 2], {PORT}))
    if number % {BURST} == 0:
        time.sleep(0.02)
"""
BYTES = 3_000_000
READER = f"""
import socket
with socket.create_server(("::", {PORT}), family=socket.AF_INET6, dualstack_ipv6=True) as server:
    print("ready", flush=True)
    while True:
        taken, _ = server.accept()
        with taken:
            while taken.recv(1 << 16):
                pass
"""


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("list") as net:
        for name, device in ((net.client, "c0"), (net.router, "r0")):
            # Only what cannot take segments whole receives by GRO, and its list, from a veth.
            run(f"ip netns exec {name} ethtool -K {device} gro on tso off")
            threaded = f"/sys/class/net/{device}/threaded"
            run(f"ip netns exec {name} sh -c 'echo 1 > {threaded}'")
            for number in Path("/proc").glob("[0-9]*"):
                if (number / "comm").read_text().startswith(f"napi/{device}-"):
                    os.sched_setaffinity(int(number.name), {CPU})
        net.ping()
        run(f"ip netns exec {net.client} ping -c50 -i0.2 -w10 -W1 {TARGETS[6][1]} | grep -m1 ttl")
        yield net


@contextmanager
def sink(netns: str, address: str) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with syscalls.network_namespace(f"/run/netns/{netns}"):
        found = socket.socket(family, socket.SOCK_DGRAM)
    with found:
        found.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        found.bind((address, PORT))
        found.setblocking(False)
        yield found


def received(by: socket.socket) -> int:
    count = 0
    try:
        while by.recv(64):
            count += 1
    except BlockingIOError:
        return count
    return count


@pytest.mark.parametrize("version", [4, 6])
def test_each_has_its_route_and_arrives(net: Routed, version: int, tmp_path: Path) -> None:
    targets = TARGETS[version]
    filters = ("--proto", "udp", "--dport", str(PORT))
    with ExitStack() as stack:
        sinks = [
            stack.enter_context(sink(name, address))
            for name, address in zip((net.router, net.server), targets, strict=True)
        ]
        followers = together(
            Follower(tmp_path, name, "--engine", name, *filters, "--write", _kept(tmp_path, name))
            for name in ENGINES
        )
        try:
            run(f"ip netns exec {net.client} python3 -c '{FLOOD}' {' '.join(targets)}")
            for each in followers:
                each.wait(lambda journey: True, "all of them", PACKETS)
        finally:
            stop_together(followers)
        assert [received(each) for each in sinks] == [PACKETS // 2 + 1, PACKETS // 2]
    for name, each in zip(ENGINES, followers, strict=True):
        outcomes = Counter(journey["outcome"] for journey in each.journeys)
        assert outcomes == {"delivered": PACKETS}, name
        seen = tracer.read(_kept(tmp_path, name)).observations
        came = seen[(seen["device"] == "r0") & (seen["direction"] == "ingress")]
        assert len(came) == PACKETS, name
        # A route is known for a packet where the CPU does not do something else for long before.
        assert came["route_table"].count() > 0.9 * PACKETS, name


def _sends(client: str, address: str, followers: list[Follower], under_way: int = 0) -> None:
    """One connection that carries BYTES to a server that reads them all."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with syscalls.network_namespace(f"/run/netns/{client}"):
        calling = socket.socket(family)
    with calling:
        if under_way:
            calling.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, under_way)
        calling.connect((address, PORT))
        calling.sendall(bytes(BYTES))
        calling.shutdown(socket.SHUT_WR)
        assert calling.recv(1) == b""
    for each in followers:
        each.wait(lambda journey: journey["kind"] == "tcp-fin", "the end")


@contextmanager
def reader(netns: str) -> Iterator[None]:
    """A server in a namespace that reads each connection to its end, and closes it then."""
    server = subprocess.Popen(
        ["ip", "netns", "exec", netns, "python3", "-c", READER], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        yield
    finally:
        server.terminate()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


def followed(folder: Path, *filters: str) -> list[Follower]:
    return together(Follower(folder, name, "--engine", name, *filters) for name in ENGINES)


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_freed_with_the_packet_that_it_was_put_into_is_no_drop(
    net: Routed, version: int, tmp_path: Path
) -> None:
    run(f"ip netns exec {net.router} ethtool -K r1 tso off")  # makes new buffers of it there
    with reader(net.server):
        followers = followed(tmp_path, "--proto", "tcp", "--dport", str(PORT))
        try:
            # No more than a veth has room for: what it has none for it drops without a reason.
            _sends(net.client, TARGETS[version][1], followers, 1 << 17)
        finally:
            stop_together(followers)
    for each in followers:
        journeys = each.journeys
        assert max(hop["len"] or 0 for j in journeys for hop in j["hops"]) > 20 * 1500
        assert not [j["reason"] for j in journeys if "NOT_SPECIFIED" in (j["reason"] or "")]


def test_packets_larger_than_their_length_field_tells_are_data(net: Routed, tmp_path: Path) -> None:
    run(f"ip netns exec {net.router} ethtool -K r1 tso on")
    for name, device in ((net.router, "r1"), (net.server, "s0")):
        run(f"ip -n {name} link set {device} gso_max_size 180000 gro_max_size 180000")
    with reader(net.server):
        followers = followed(tmp_path, "--proto", "tcp", "--dport", str(PORT))
        try:
            _sends(net.router, TARGETS[6][1], followers)
        finally:
            stop_together(followers)
    for each in followers:
        large = [j for j in each.journeys if any((h["len"] or 0) > 1 << 16 for h in j["hops"])]
        assert large
        assert {j["kind"] for j in large} <= {"tcp-data", "tcp-fin"}
        assert sum(j["hops"][0]["payload_len"] for j in each.journeys) >= BYTES


def _kept(folder: Path, name: str) -> str:
    return str(folder / f"{name}.parquet")
