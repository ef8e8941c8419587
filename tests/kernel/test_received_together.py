"""Packets that come in together, as network cards bring them, before any is routed."""

import os
import socket
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


def _kept(folder: Path, name: str) -> str:
    return str(folder / f"{name}.parquet")
