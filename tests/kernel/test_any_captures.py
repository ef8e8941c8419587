"""Captures on `any` of a cluster, in both cooked formats; the oracle is a capture of each device.

All are of the same packets, at the same time.
"""

import os
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from told import joined, rows

from tests.kernel.cluster import DEVICES, NODES, PODS, PORTS, SERVED, SERVICE, Cluster, cluster
from tests.kernel.wire import Dump, until_marked
from tracer.core.enums import Outcome
from tracer.core.journeys import JourneySet
from tracer.sources.live.syscalls import network_namespace

pytestmark = pytest.mark.kernel
ASKED = 23
MARK = b"\0\0\0\0the-recording-ends"
KINDS = {"any": "-y LINUX_SLL2", "cooked": "-y LINUX_SLL", "devices": "-p"}
#: What a hop shows of a packet beside its host; those before TTL tell packets apart.
COLUMNS = ("proto", "ip_id", "payload_digest", "tcp_seq", "tcp_ack", "tcp_flags", "icmp_type",
           "icmp_seq", "ttl", "src_lo", "dst_lo", "sport", "dport", "icmp_id")  # fmt: skip
Hop = tuple[object, ...]


@dataclass(frozen=True)
class Recorded:
    """The folder of each kind of capture, and how many datagrams the node dropped."""

    folders: dict[str, Path]
    dropped: int


@pytest.fixture(scope="module")
def recorded(
    require_kernel: Callable[[bool, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Recorded:
    require_kernel(os.geteuid() == 0, "network namespaces need root")
    folder = tmp_path_factory.mktemp("any")
    with cluster() as net, served(net):
        lost = f"FORWARD -p udp -d {PODS['pod3']} -m statistic --mode nth --every 7 --packet 3"
        net.run("node1", f"iptables -A {lost} -j DROP")
        with recording(net, folder):
            ask(net)
            counted = net.run("node1", "iptables -nvxL FORWARD")
            net.run("node1", "iptables -F FORWARD")
            mark(net)
    (dropped,) = re.findall(r"(?m)^ *(\d+) +\d+ +DROP", counted)
    return Recorded({kind: folder / kind for kind in KINDS}, int(dropped))


@contextmanager
def served(net: Cluster) -> Iterator[None]:
    """Answer datagrams and streams in every pod and on node2 during the block."""
    opened: list[socket.socket] = []
    for name in (*PODS, "node2"):
        with network_namespace(f"/run/netns/{net.space(name)}"):
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            datagrams.bind(("0.0.0.0", SERVED))
            stream = socket.create_server(("0.0.0.0", SERVED))
        opened += [datagrams, stream]
        for work, end in ((echo, datagrams), (echo_stream, stream)):
            threading.Thread(target=work, args=(end,), daemon=True).start()
    try:
        yield
    finally:
        for end in opened:
            end.close()


def echo(end: socket.socket) -> None:
    while True:
        try:
            data, who = end.recvfrom(2048)
            end.sendto(b"re" + data, who)
        except OSError:
            return


def echo_stream(end: socket.socket) -> None:
    try:
        connection, _ = end.accept()
        with connection:
            while data := connection.recv(65536):
                connection.sendall(b"re" + data)
    except OSError:
        return


@contextmanager
def recording(net: Cluster, folder: Path, kinds: Mapping[str, str] = KINDS) -> Iterator[None]:
    """Capture each device, or all of each namespace, with some options each, until the mark."""
    for kind in kinds:
        (folder / kind).mkdir()
    points = [
        f'[[point]]\nfile = "{name}-{device}.pcap"\nhost = "{name}"\ndevice = "{device}"\n'
        for name, devices in DEVICES.items()
        for device in devices
    ]
    (folder / "devices" / "points.toml").write_text("".join(points))
    dumps = (
        Dump(
            net.space(name), device, folder / kind / f"{name}-{device}.pcap",
            f"-B 16384 -s 2048 {options}",
        )
        for kind, options in kinds.items()
        for name, devices in DEVICES.items()
        for device in (devices if kind == "devices" else ("any",))
    )  # fmt: skip
    with until_marked(dumps, MARK):
        yield


def ask(net: Cluster, lossy: Collection[int] = (PORTS["pod3"],)) -> None:
    """Ask each service and a host outside, with a port of its own each time; then ping.

    Of the `lossy` ports some questions get no answer.
    """
    outside = (NODES["node2"], SERVED)
    services = [(SERVICE, port) for port in PORTS.values()]
    for number in range(ASKED):
        for target in (*services, outside):
            with network_namespace(f"/run/netns/{net.space('pod1')}"):
                end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with end:
                end.settimeout(0.3)
                end.sendto(f"<{target[1]} number {number}>".encode(), target)
                try:
                    end.recv(2048)
                except TimeoutError:
                    assert target[1] in lossy
    for target in services:
        with network_namespace(f"/run/netns/{net.space('pod1')}"):
            end = socket.socket()
        with end:
            end.connect(target)
            for number in range(3):
                end.sendall(f"<{target[1]} part {number}>".encode() + bytes(700))
                end.recv(4096)
    for target in (PODS["pod2"], PODS["pod3"], outside[0]):
        net.run("pod1", f"ping -q -c 5 -i 0.02 {target}")


def mark(net: Cluster) -> None:
    """Have every device show the mark."""
    with network_namespace(f"/run/netns/{net.space('pod1')}"):
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with end:
        end.settimeout(5)
        for port in PORTS.values():
            end.sendto(MARK + bytes([port % 256]), (SERVICE, port))
            end.recv(2048)  # closed before, it would be answered by an error


def journeys(found: JourneySet) -> Counter[frozenset[tuple[Hop, int]]]:
    """Each journey of ICMP, TCP and UDP as where its packet was seen, and how often as that.

    Not those of marks: a capture ends as soon as it has one, and others may be on their way.
    """
    marks = [len(before + MARK) + 1 for before in (b"", b"re")]
    points = found.observations.points
    told: Counter[frozenset[tuple[Hop, int]]] = Counter()
    for journey in range(len(found.journeys)):
        packets = found.observations.packets[rows(found, journey)]
        if not np.isin(packets["proto"], (1, 6, 17)).all():
            continue
        if packets["proto"][0] == socket.IPPROTO_UDP and packets["payload_len"][0] in marks:
            continue
        seen = Counter(
            (points[p["point"]].host, *(int(p[name]) for name in COLUMNS)) for p in packets
        )
        told[frozenset(seen.items())] += 1
    return told


@pytest.fixture(scope="module")
def found(recorded: Recorded) -> dict[str, JourneySet]:
    return {kind: joined([folder]) for kind, folder in recorded.folders.items()}


@pytest.mark.parametrize("kind", ["any", "cooked"])
def test_journeys_are_those_of_single_devices(found: dict[str, JourneySet], kind: str) -> None:
    wanted = journeys(found["devices"])
    assert len(wanted) > 8 * ASKED
    assert journeys(found[kind]) == wanted


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_datagram_is_one_journey(found: dict[str, JourneySet], kind: str) -> None:
    # By their bytes, which no other datagram has.
    packets = found[kind].observations.packets
    udp = packets["proto"] == socket.IPPROTO_UDP
    of_row = np.full(len(packets), -1)
    of_row[found[kind].hops["row"]] = found[kind].hops["journey"]
    whose: dict[int, set[int]] = {}
    for digest, journey in zip(packets["payload_digest"][udp], of_row[udp], strict=True):
        whose.setdefault(int(digest), set()).add(int(journey))
    assert len(whose) > 8 * ASKED - 20
    assert Counter(len(each) for each in whose.values())[1] >= len(whose) - 2  # the marks are equal


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_vanished_is_what_the_node_dropped(
    recorded: Recorded, found: dict[str, JourneySet], kind: str
) -> None:
    table = found[kind].journeys
    vanished = np.flatnonzero(
        (table["outcome"] == Outcome.VANISHED) & (table["proto"] == socket.IPPROTO_UDP)
    )
    assert len(vanished) == recorded.dropped > 2
    points = found[kind].observations.points
    at = {points[table["outcome_point"][journey]].host for journey in vanished}
    assert at == {"node1"}


def test_without_names_a_hop_has_a_direction_and_no_device(found: dict[str, JourneySet]) -> None:
    points = found["cooked"].observations.points
    assert {point.device for point in points} == {None}
    assert all(point.direction.label and point.several for point in points)
    assert not found["cooked"].journeys["duplicates"].any()
