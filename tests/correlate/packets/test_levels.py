"""Packets alike that were sent with different TTLs: which are told apart, and which are one."""

from typing import Any

import numpy as np
from made import batch_of
from scenarios.catalogue import make

from tracer.core.journeys import JourneySet
from tracer.core.point import Point
from tracer.correlate.join import join

A, B, C, D = (f"02:00:00:00:00:0{n}" for n in range(1, 5))
WAN = (B, C)
POINTS = (Point("gw", None, "lan"), Point("gw", None, "wan"))
UDP = {
    "ip_version": 6, "ethertype": 0x86DD, "proto": 17, "src": "fd00::1", "dst": "fd00::2",
    "sport": 40_000, "dport": 33_434, "payload_len": 32, "payload_digest": 7, "ip_len": 80,
}  # fmt: skip


def seen(rows: list[tuple[int, int, int, tuple[str, str]]], **other: Any) -> JourneySet:
    """Join datagrams alike: point, microseconds, TTL and MACs of each row."""
    return join(
        batch_of(
            [
                UDP | {"point": point, "time_ns": us * 1000, "ttl": ttl} | other
                | {"src_mac": macs[0], "dst_mac": macs[1]} for point, us, ttl, macs in rows
            ],
            POINTS,
        )
    )  # fmt: skip


def sizes(found: JourneySet) -> list[int]:
    """How many hops the journeys have."""
    return sorted(found.journeys["n_hops"].tolist())


def test_one_pair_of_macs_at_ttls_one_apart_is_of_several_packets() -> None:
    probes = [(0, 0, 1, (A, B)), (0, 10, 2, (A, B)), (0, 20, 3, (A, B))]
    assert sizes(seen(probes)) == [1, 1, 1]
    assert sizes(seen(probes[::-1])) == [1, 1, 1]


def test_what_goes_round_in_a_loop_is_one_packet() -> None:
    loop = [(1, 10 * n, 64 - n, WAN if n % 2 == 0 else WAN[::-1]) for n in range(6)]
    assert sizes(seen(loop)) == [6]


def test_where_macs_are_not_known_nothing_is_told_by_them() -> None:
    found = join(
        batch_of(
            [UDP | {"point": n, "time_ns": 10_000 * n, "ttl": 64 - n} for n in range(2)], POINTS
        )
    )
    assert sizes(found) == [2]


def test_probes_go_on_as_far_as_their_ttl_says() -> None:
    for name in ("ipv6_probes", "ipv6_probes_nat"):
        scenario = make(name, seed=3, scale=0.5)
        found = join(scenario.batch)
        packet = scenario.truth.packet[found.hops["row"]]
        first = np.repeat(packet[found.journeys["first_hop"]], found.journeys["n_hops"])
        assert (packet == first).all()
        assert len(found.journeys) == len(np.unique(packet))
