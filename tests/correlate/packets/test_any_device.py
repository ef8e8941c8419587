"""Captures on `any`: a file shows a packet once for each device, in Linux SLL without names."""

from typing import Any

import numpy as np
from made import batch_of

from tracer.core.enums import Outcome
from tracer.core.journeys import JourneySet
from tracer.core.point import Direction, Point
from tracer.correlate.join import join

POD, CLIENT, BRIDGE, NODE = (f"02:00:00:00:00:0{n}" for n in (1, 2, 3, 4))
NAMES = ("pod", "node", "server")
IN, OUT = Direction.INGRESS, Direction.EGRESS
POINTS = tuple(
    Point(name, direction=way, capture=f"{name}-any", several=True)
    for name in NAMES
    for way in (IN, OUT)
)
SERVICE, BACKEND, NODE_IP, POD_IP = "10.96.0.10", "10.0.0.9", "10.0.0.1", "10.244.1.11"
#: Host, direction, sender's MAC, microseconds, TTL, source, destination, source port.
Step = tuple[str, Direction, str, int, int, str, str, int]


def steps(port: int) -> list[Step]:
    """From a pod to a service elsewhere: its node translates on the bridge and in routing."""
    asked, chosen = (POD_IP, SERVICE, port), (POD_IP, BACKEND, port)
    masked = (NODE_IP, BACKEND, port ^ 0x5555)
    return [
        ("pod", OUT, POD, 0, 64, *asked),
        ("node", IN, POD, 5, 64, *asked),  # the bridge's port
        ("node", IN, POD, 5, 64, *chosen),  # the bridge
        ("node", OUT, NODE, 30, 63, *masked),
        ("node", OUT, NODE, 33, 63, *masked),  # a bond and its port
        ("server", IN, NODE, 60, 63, *masked),
    ]


def joined(packets: list[list[Step]], ip_id: bool = True) -> JourneySet:
    """The journeys of packets a millisecond apart, each given by its steps."""
    rows: list[dict[str, Any]] = []
    for number, way in enumerate(packets):
        for host, direction, mac, micros, ttl, src, dst, port in way:
            rows.append(
                {
                    "point": 2 * NAMES.index(host) + (direction == OUT),
                    "time_ns": 10**15 + number * 1_000_000 + micros * 1_000,
                    "src": src, "dst": dst, "src_mac": mac, "ttl": ttl, "ip_version": 4,
                    "ip_id": 1000 + number if ip_id else 0, "ip_len": 60, "proto": 17,
                    "sport": port, "dport": 53, "payload_len": 32, "cap_len": 76, "wire_len": 76,
                    "payload_digest": 77 + number, "frag_offset": 0, "more_fragments": 0,
                }
            )  # fmt: skip
    batch = batch_of(rows, POINTS)
    return join(batch.take(np.argsort(batch.packets["time_ns"], kind="stable")))


def rows_of(found: JourneySet, journey: int) -> list[int]:
    """The rows of a journey's hops, in order."""
    first, count = (int(found.journeys[name][journey]) for name in ("first_hop", "n_hops"))
    return found.hops["row"][first : first + count].tolist()


def test_each_packet_is_one_journey_with_a_hop_for_each_device() -> None:
    packets = [steps(20_000 + n) for n in range(20)]
    found = joined(packets)
    assert found.journeys["n_hops"].tolist() == [6] * 20
    assert found.journeys["duplicates"].tolist() == [0] * 20
    assert set(found.journeys["outcome"].tolist()) == {Outcome.DELIVERED}
    p = found.observations.packets[rows_of(found, 7)]
    assert len(set(p["payload_digest"].tolist())) == 1
    assert p["time_ns"].tolist() == sorted(p["time_ns"].tolist())
    assert found.hops["parent"][:6].tolist() == [0, 1, 2, 3, 4, 5]
    assert found.journeys["ambiguous"].tolist() == [0] * 20


def test_what_came_in_and_did_not_go_out_has_vanished_there() -> None:
    packets = [steps(20_000 + n) for n in range(20)]
    packets[9] = packets[9][:3]
    found = joined(packets)
    assert np.flatnonzero(found.journeys["outcome"] == Outcome.VANISHED).tolist() == [9]
    assert found.journeys["n_hops"][9] == 3
    point = found.observations.points[found.journeys["outcome_point"][9]]
    assert (point.host, point.device, point.direction) == ("node", None, IN)


def test_equal_packets_without_numbers_stay_apart() -> None:
    packets = [steps(20_000 + n) for n in range(20)]
    again = [steps(20_000) for _ in range(20)]
    found = joined(packets + again, ip_id=False)
    p = found.observations.packets
    assert len(found.journeys) == 40
    for journey in range(40):
        times = p["time_ns"][rows_of(found, journey)]
        assert times.max() - times.min() == 60_000


def hairpin(port: int) -> list[Step]:
    """From a pod to a service that is itself: the bridge sends it back, its TTL as it was."""
    asked, masked = (POD_IP, SERVICE, port), ("10.244.1.1", POD_IP, port ^ 0x5555)
    return [
        ("pod", OUT, POD, 0, 64, *asked),
        ("node", IN, POD, 5, 64, *asked),
        ("node", OUT, POD, 30, 64, *masked),
        ("pod", IN, POD, 40, 64, *masked),
    ]


def test_a_packet_comes_back_to_who_sent_it() -> None:
    found = joined([hairpin(20_000 + n) for n in range(5)])
    assert found.journeys["n_hops"].tolist() == [4] * 5


def test_a_shaper_between_bridge_and_port_holds_packets() -> None:
    packets = [steps(20_000 + n) for n in range(20)]
    for number, way in enumerate(packets):
        late = 1_000 * (number % 9) * 3  # up to 24 ms, while others pass
        packets[number] = [(*s[:3], s[3] + late * (i > 3), *s[4:]) for i, s in enumerate(way)]
    found = joined(packets)
    assert sorted(found.journeys["n_hops"].tolist()) == [6] * 20
    assert set(found.journeys["outcome"].tolist()) == {Outcome.DELIVERED}


def test_equal_packets_at_a_bridge_and_its_port_are_told_by_their_stamps() -> None:
    # Of one tuple, most packets are seen at one device of the node; two equal ones at two.
    tuple_ = (POD_IP, BACKEND, 20_000)
    once = [("pod", OUT, POD, 0, 64, *tuple_), ("node", IN, POD, 5, 64, *tuple_),
            ("server", IN, NODE, 60, 63, *tuple_)]  # fmt: skip
    at_both = [*once[:2], *once[1:]]
    again = [(*s[:3], s[3] + 6, *s[4:]) for s in at_both]
    found = joined([once] * 9 + [at_both + again], ip_id=False)
    assert sorted(found.journeys["n_hops"].tolist()) == [3] * 9 + [4] * 2
