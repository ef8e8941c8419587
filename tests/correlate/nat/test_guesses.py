"""Translations of packets that look alike are guessed by time: how long others take there."""

import numpy as np
import pytest
from scenarios.catalogue.nat import hairpin_equal
from scenarios.elements import Chain, Link
from scenarios.traffic import MILLI, pings
from scenarios.world import World

from tracer.core.address import encode_ip
from tracer.core.schema import PACKET_DTYPE, null_record
from tracer.correlate.join import JoinOptions, join
from tracer.correlate.nat.guesses import guesses

DELAY_NS = 200_000
APART_NS = 40_000
#: Link, source, echo id and time of the rows: two hosts before the NAT, then behind it.
ROWS = (
    (0, "10.0.0.1", 5, 0),
    (0, "10.0.0.2", 5, APART_NS),
    (1, "192.0.2.1", 7, DELAY_NS + 1_000),
    (1, "192.0.2.1", 8, DELAY_NS + APART_NS - 2_000),
)


@pytest.mark.parametrize(("others", "found"), [(5, {(0, 2), (1, 3)}), (2, set())])
def test_other_packets_say_how_long_it_takes(others: int, found: set[tuple[int, int]]) -> None:
    rows = []
    for link, source, ident, _ in ROWS:
        row = null_record(PACKET_DTYPE)
        row["ip_version"], row["proto"], row["ttl"], row["icmp_type"] = 4, 1, 64 - link, 8
        row["src_hi"], row["src_lo"] = encode_ip(source)
        row["dst_hi"], row["dst_lo"] = encode_ip("198.51.100.1")
        row["icmp_id"], row["icmp_seq"], row["point"] = ident, 1, link
        rows.append(row)
    order, time = np.arange(4), np.array([row[3] for row in ROWS])
    link = np.array([row[0] for row in ROWS])
    links = (link, np.array([1], np.uint64), np.array([others]), np.array([DELAY_NS]))
    left, right = guesses(np.concatenate(rows), order, np.array([0, 4]), order, order, time, links)
    assert set(zip(left.tolist(), right.tolist(), strict=True)) == found


#: TTL, source and time of rows at links of their own: what a host sends, and then another one; what
#: one of both is beyond a router that translates.
AT_ONCE = (
    (64, "10.0.0.1", 0),
    (64, "10.0.0.2", 2_000_000),
    (63, "192.0.2.1", 60_000_000),
)


@pytest.mark.parametrize(("seen", "found"), [(3, set()), (2, {(0, 1)})])
def test_what_a_router_took_is_not_what_another_host_sends(
    seen: int, found: set[tuple[int, int]]
) -> None:
    # Alone, a firewall may lie between them that translates and leaves the TTL as it is.
    rows = np.repeat(null_record(PACKET_DTYPE), seen)
    for at, (ttl, source, _) in enumerate(AT_ONCE[:seen]):
        row = rows[at : at + 1]
        row["ip_version"], row["proto"], row["ttl"], row["icmp_type"] = 4, 1, ttl, 8
        row["src_hi"], row["src_lo"] = encode_ip(source)
        row["dst_hi"], row["dst_lo"] = encode_ip("203.0.113.7" if ttl == 64 else "10.9.0.1")
        row["src_mac"], row["dst_mac"] = 2 * at + 2, 2 * at + 3
        row["icmp_id"], row["icmp_seq"], row["point"] = 1 + (ttl < 64), 1, at
    order, time = np.arange(seen), np.array([row[2] for row in AT_ONCE[:seen]])
    nothing = np.empty(0, np.int64)
    links = (order, nothing.astype(np.uint64), nothing, nothing)
    left, right = guesses(rows, order, np.array([0, seen]), order, order, time, links)
    assert set(zip(left.tolist(), right.tolist(), strict=True)) == found


def test_what_nothing_relates_to_its_packet_beyond_a_nat_is_not_joined_with_others() -> None:
    # Each packet's own other side has other addresses and ports, those of other hosts do not.
    scenario = hairpin_equal(seed=1, scale=0.5)
    found = join(scenario.batch, (), JoinOptions())
    packets = np.full(len(scenario.batch), -1)
    packets[found.hops["row"]] = found.hops["journey"]
    for journey in range(len(found.journeys)):
        assert len(np.unique(scenario.truth.packet[packets == journey])) == 1


def test_pings_alike_that_nothing_routed_are_not_one_that_several_nats_translated() -> None:
    # To one host of a segment, and from a third host to the first, two milliseconds later.
    world = World(3)
    near, far = world.point("p0"), world.point("p1")
    one, other, third = (world.point(f"h{host}") for host in range(3))
    for way, ends, start in (
        (Chain(one, Link(), near, Link(), far, Link(), other), ("10.0.0.1", "10.0.0.2"), 0),
        (Chain(third, Link(), far, Link(), near, Link(), one), ("10.0.0.3", "10.0.0.1"), 2 * MILLI),
    ):
        sent = pings(world, *ends, 2, gap_ns=1000 * MILLI, constant=True, ids="zero", spread=0.0,
                     start_ns=start)  # fmt: skip
        world.run(way, sent)
    found = join(world.finish("segment").batch)
    assert found.journeys["n_hops"].tolist() == [4] * 4
