"""Packets that end where they were sent to, though others go on from there: router R forwards
between A and B, and some packets are for R itself.

    A a0 ── r0 R r1 ── b0 B
"""

from typing import Any

import pytest
from made import batch_of

from tracer.core.enums import Outcome
from tracer.core.journeys import JourneySet
from tracer.core.point import Direction, Point
from tracer.correlate.join import join

POINTS = tuple(Point("h", device[0].upper(), device) for device in ("a0", "r0", "r1", "b0"))
A0, R0, R1, B0 = (f"02:00:00:00:00:0{n}" for n in range(1, 5))
BROADCAST = "ff:ff:ff:ff:ff:ff"
A, NEAR, FAR, B = "10.0.1.2", "10.0.1.1", "10.0.2.1", "10.0.2.2"
WAY = ((A0, R0), (A0, R0), (R1, B0), (R1, B0))  # source and destination MAC at each point
MILLI = 1_000_000
START_NS = 1_715_333_344_000_000_000
Row = dict[str, Any]


class Trace:
    """Rows of packets, each later than the one before."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.count = 0

    def ping(
        self, src: str, dst: str, points: tuple[int, ...], *, reply: bool = False, seq: int = 0,
        ttl: int = 64, **other: Any,
    ) -> None:  # fmt: skip
        """Add an echo request or reply seen at the points, in this order."""
        self.count += 1
        for n, point in enumerate(points):
            turned = points[0] > points[-1] or (len(points) == 1 and src in (NEAR, FAR))
            macs = WAY[point][::-1] if turned else WAY[point]
            routed = {A: point > 1, B: point < 2}.get(src, False)
            self.rows.append({
                "point": point, "time_ns": START_NS + self.count * 10 * MILLI + n * 20_000,
                "ethertype": 0x0800, "ip_version": 4, "src": src, "dst": dst,
                "ttl": ttl - routed, "proto": 1, "icmp_type": 0 if reply else 8, "icmp_code": 0,
                "icmp_id": 7, "icmp_seq": seq or self.count, "ip_id": self.count,
                "payload_len": 56, "src_mac": macs[0], "dst_mac": macs[1], **other,
            })  # fmt: skip

    def answered(self, count: int = 5) -> None:
        """Add pings of A that B answers."""
        for seq in range(1, count + 1):
            self.ping(A, B, (0, 1, 2, 3), seq=seq)
            self.ping(B, A, (3, 2, 1, 0), reply=True, seq=seq)

    def arp(self, op: int, sender: str, mac: str, target: str, points: tuple[int, ...]) -> None:
        """Add an ARP packet seen at the points."""
        self.count += 1
        for n, point in enumerate(points):
            self.rows.append({
                "point": point, "time_ns": START_NS + self.count * 10 * MILLI + n * 20_000,
                "ethertype": 0x0806, "src_mac": mac, "dst_mac": BROADCAST, "arp_op": op,
                "arp_sender_mac": mac, "arp_sender_ip": sender, "arp_target_ip": target,
            })  # fmt: skip

    def joined(self) -> JourneySet:
        """Return the journeys."""
        return join(batch_of(self.rows, POINTS))


def ends(found: JourneySet, dst: str) -> set[tuple[str, str]]:
    """Return outcomes and devices where packets to an address ended that were not answered."""
    table = found.journeys
    first = found.hops["row"][table["first_hop"]]
    low = batch_of([{"dst": dst}], ()).packets["dst_lo"][0]
    to = (found.observations.packets["dst_lo"][first] == low) & (table["reply"] < 0)
    devices = [found.observations.points[p].device or "" for p in table["outcome_point"][to]]
    return set(zip([Outcome(o).name for o in table["outcome"][to]], devices, strict=True))


def asked(dst: str) -> Trace:
    """Return forwarded pings, unanswered ones to an address, and forwarded ones again."""
    trace = Trace()
    trace.answered()
    for _ in range(3):
        trace.ping(A, dst, (0, 1))
    trace.answered()
    return trace


def test_without_a_sign_whose_address_it_is_a_packet_vanished() -> None:
    assert ends(asked(NEAR).joined(), NEAR) == {("VANISHED", "r0")}


def test_a_packet_for_an_address_that_the_router_sends_from_was_delivered() -> None:
    trace = asked(NEAR)
    trace.ping(NEAR, A, (1, 0), reply=True, seq=900)  # to a ping that was not captured
    assert ends(trace.joined(), NEAR) == {("DELIVERED", "r0")}


def test_so_is_one_for_an_address_of_another_device_of_the_router() -> None:
    trace = asked(FAR)
    trace.arp(1, FAR, R1, B, (2, 3))
    assert ends(trace.joined(), FAR) == {("DELIVERED", "r0")}


@pytest.mark.parametrize("host", [None, "h"])
def test_a_namespace_nobody_names_owns_nothing(host: str | None) -> None:
    trace = asked(FAR)
    trace.arp(1, FAR, R1, B, (2, 3))
    points = tuple(Point(host, host and point.netns, point.device) for point in POINTS)
    found = join(batch_of(trace.rows, points))
    assert ends(found, FAR) == {("DELIVERED" if host else "VANISHED", "r0")}


def test_an_address_that_it_answers_for_may_be_another_ones() -> None:
    trace = asked(FAR)
    trace.arp(2, FAR, R1, B, (2, 3))  # proxy ARP
    trace.arp(1, FAR, R1, FAR, (2, 3))  # gratuitous ARP
    assert ends(trace.joined(), FAR) == {("VANISHED", "r0")}


def test_an_address_that_it_translates_to_is_not_its_own_alone() -> None:
    trace = asked(FAR)
    trace.arp(1, FAR, R1, B, (2, 3))
    trace.ping(FAR, B, (2, 3), ttl=63)  # of a host behind it
    assert ends(trace.joined(), FAR) == {("VANISHED", "r0")}


def test_nor_is_one_whose_packets_went_on() -> None:
    trace = asked(FAR)
    trace.arp(1, FAR, R1, B, (2, 3))
    trace.ping(A, FAR, (0, 1, 2))
    assert ("VANISHED", "r0") in ends(trace.joined(), FAR)


def test_a_packet_with_another_mac_is_not_for_the_router() -> None:
    trace = asked(NEAR)
    trace.ping(NEAR, A, (1, 0), reply=True, seq=900)
    for row in trace.rows:
        if row.get("dst") == NEAR:
            row["dst_mac"] = "02:00:00:00:00:77"
    assert ends(trace.joined(), NEAR) != {("DELIVERED", "r0")}


def arp_ends(found: JourneySet) -> list[str]:
    arp = found.observations.packets["ethertype"][found.hops["row"]] == 0x0806
    return [Outcome(o).name for o in found.journeys["outcome"][arp[found.journeys["first_hop"]]]]


def test_no_router_passes_arp_on() -> None:
    trace = asked(B)
    trace.arp(1, A, A0, NEAR, (0, 1))
    trace.arp(2, NEAR, R0, A, (1, 0))
    trace.arp(1, A, A0, "10.0.1.77", (0, 1))  # nobody has it
    trace.arp(1, NEAR, R0, A, (1, 0))
    trace.arp(2, A, A0, NEAR, (0, 1))
    trace.answered()
    assert arp_ends(trace.joined()) == ["DELIVERED"] * 5


def test_who_leaves_by_a_device_without_macs_is_not_expected_where_it_came_from() -> None:
    # b0 is a TUN device of the router: what goes there is seen no further.
    trace = Trace()
    for seq in range(1, 6):
        trace.ping(A, B, (0, 1, 3), seq=seq)
        trace.ping(B, A, (3, 1, 0), reply=True, seq=seq, ttl=65)
    for _ in range(3):
        trace.ping(A, "10.0.2.9", (0, 1, 3))
    trace.ping(A, B, (0, 1, 3), seq=9)
    trace.ping(B, A, (3, 1, 0), reply=True, seq=9, ttl=65)
    trace.ping(A, "10.0.1.9", (0, 2))  # captured elsewhere
    for row in trace.rows:
        if row["point"] == 3:
            del row["src_mac"], row["dst_mac"]
    assert ends(trace.joined(), "10.0.2.9") == {("UNFINISHED", "b0")}


def on_any(trace: Trace, named: bool) -> JourneySet:
    """Return the journeys of the same packets as captures on `any` show them.

    They say in which direction packets go, no target's MAC, and the device where it is `named`.
    """
    points = tuple(
        Point("h", p.netns, p.device if named else None, way, capture="any", several=not named)
        for p in POINTS
        for way in (Direction.INGRESS, Direction.EGRESS)
    )
    own = (A0, R0, R1, B0)
    rows = [
        {name: value for name, value in row.items() if name != "dst_mac"}
        | {"point": 2 * row["point"] + (row["src_mac"] == own[row["point"]])}
        for row in trace.rows
    ]
    batch = batch_of(rows, points)
    batch.packets["capture"] = 0
    return join(batch)


@pytest.mark.parametrize("named", [True, False])
def test_without_a_targets_mac_what_came_in_was_for_the_router(named: bool) -> None:
    device = "r0" if named else ""
    assert ends(on_any(asked(NEAR), named), NEAR) == {("VANISHED", device)}
    trace = asked(NEAR)
    trace.ping(NEAR, A, (1, 0), reply=True, seq=900)
    assert ends(on_any(trace, named), NEAR) == {("DELIVERED", device)}
    assert ends(on_any(asked(B), named), B) == {("VANISHED", device)}
