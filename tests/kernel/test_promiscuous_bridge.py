"""A cluster whose bridges are captured as tcpdump does by default: it makes them promiscuous.

A node then routes a second copy of what its bridge passes on where a service translates it. Oracles
are the payloads, a number each, and the counters of the rules that drop.
"""

import os
import re
import socket
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from test_any_captures import ASKED, ask, mark, recording, served
from told import joined

from tests.kernel.cluster import NODES, PODS, PORTS, SERVED, SERVICE, cluster
from tracer.core.address import encode_ip
from tracer.core.enums import Outcome
from tracer.core.journeys import JourneySet

pytestmark = pytest.mark.kernel
ENDS = {PORTS["pod2"]: "pod2", PORTS["pod3"]: "pod3", SERVED: "node2"}


@dataclass(frozen=True)
class Recorded:
    """The journeys, and how many datagrams to pod3 node1 dropped; of those to pod2 both copies."""

    found: JourneySet
    dropped: int


@pytest.fixture(scope="module")
def recorded(
    require_kernel: Callable[[bool, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Recorded:
    require_kernel(os.geteuid() == 0, "network namespaces need root")
    folder: Path = tmp_path_factory.mktemp("promiscuous")
    with cluster() as net, served(net):
        dropping = "-j DROP -m statistic --mode"
        net.run(
            "node1",
            f"iptables -A FORWARD -p udp -d {PODS['pod3']} {dropping} nth --every 7 --packet 3",
        )
        net.run(
            "node1",
            f"iptables -A FORWARD -p udp -d {PODS['pod2']} {dropping} random --probability 0.5",
        )
        with recording(net, folder, {"devices": ""}):
            ask(net, lossy=(PORTS["pod2"], PORTS["pod3"]))
            counted = net.run("node1", "iptables -nvxL FORWARD")
            net.run("node1", "iptables -F FORWARD")
            mark(net)
    (dropped,) = re.findall(rf"(?m)^ *(\d+) .*DROP.* {PODS['pod3']} ", counted)
    return Recorded(joined([folder / "devices"]), int(dropped))


def asked(found: JourneySet) -> dict[int, tuple[int, set[int], set[str | None]]]:
    """By the digest of each datagram that pod1 sent: its port, journeys, and hosts it was seen at.

    The marks are alike and left out.
    """
    packets, points = found.observations.packets, found.observations.points
    of_row = np.full(len(packets), -1)
    of_row[found.hops["row"]] = found.hops["journey"]
    hosts = np.array([point.host for point in points])[packets["point"]]
    udp = np.flatnonzero((packets["proto"] == socket.IPPROTO_UDP) & (of_row >= 0))
    to = [encode_ip(address)[1] for address in (SERVICE, NODES["node2"])]
    sent = udp[(hosts[udp] == "pod1") & np.isin(packets["dst_lo"][udp], to)]
    sent = sent[np.isin(packets["dport"][sent], list(ENDS))]
    rows: dict[int, list[int]] = defaultdict(list)
    for row in udp:
        rows[int(packets["payload_digest"][row])].append(int(row))
    out = {}
    for row in sent:
        mine = rows[int(packets["payload_digest"][row])]
        journeys = {int(of_row[other]) for other in mine}
        port = int(packets["dport"][row])
        out[int(packets["payload_digest"][row])] = (port, journeys, set(hosts[mine].tolist()))
    return {digest: told for digest, told in out.items() if len(told[1]) < ASKED}


def test_each_datagram_is_one_journey_though_some_arrive_twice(recorded: Recorded) -> None:
    told = asked(recorded.found)
    assert len(told) >= 3 * ASKED
    assert [told for told in told.values() if len(told[1]) > 1] == []
    table = recorded.found.journeys
    packets = recorded.found.observations.packets
    twice = 0
    for _, (journey,), _ in (each for each in told.values()):
        first, count = int(table["first_hop"][journey]), int(table["n_hops"][journey])
        ttls = packets["ttl"][recorded.found.hops["row"][first : first + count]]
        hosts = packets["point"][recorded.found.hops["row"][first : first + count]]
        points = recorded.found.observations.points
        twice += len({int(t) for t, h in zip(ttls, hosts, strict=True) if points[h].host == "pod2"})
    assert twice > ASKED // 2, "the bridge has to have sent some twice"


def test_what_vanished_did_not_arrive(recorded: Recorded) -> None:
    lost: dict[int, int] = defaultdict(int)
    for port, (journey,), hosts in asked(recorded.found).values():
        vanished = recorded.found.journeys["outcome"][journey] == Outcome.VANISHED
        assert vanished == (ENDS[port] not in hosts), (port, journey)
        lost[port] += vanished
    assert lost[PORTS["pod3"]] == recorded.dropped > 2
    assert lost[PORTS["pod2"]] > 1, "both copies of some have to have been dropped"
