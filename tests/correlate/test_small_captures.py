"""Captures of a few packets, made by hand: what each of them shows is known."""

from typing import Any

import numpy as np
import pytest
from made import START_NS, batch_of

from tracer.core.enums import Evidence, Outcome
from tracer.core.journeys import JourneySet
from tracer.core.point import Point
from tracer.correlate.join import join
from tracer.correlate.nat import other_votes

MICRO, MILLI, SECOND = 1_000, 1_000_000, 1_000_000_000
MACS = [f"02:00:00:00:00:{number:02x}" for number in range(16)]
BROADCAST = "ff:ff:ff:ff:ff:ff"
Row = dict[str, Any]


def udp(point: int, at_ns: int, **values: Any) -> Row:
    """A datagram as one point shows it, with a payload of its own unless `payload_digest` says."""
    row = {
        "point": point, "time_ns": START_NS + at_ns, "ip_version": 4, "proto": 17, "ttl": 64,
        "src": "10.0.0.9", "dst": "10.1.0.5", "sport": 40000, "dport": 53, "ip_id": 0,
        "ip_len": 68, "payload_len": 40, "ethertype": 0x0800, "frag_offset": 0, "cap_len": 82,
        "wire_len": 82, "src_mac": MACS[1], "dst_mac": MACS[2],
    }  # fmt: skip
    return row | values


def joined(rows: list[Row], points: tuple[Point, ...]) -> JourneySet:
    """Journeys of rows, each capture's in its own order."""
    return join(batch_of(sorted(rows, key=lambda row: (row["point"], row["time_ns"])), points))


def numbers(found: JourneySet, field: str) -> list[list[int]]:
    """A field of the packets of each journey's hops."""
    values = found.observations.packets[field][found.hops["row"]]
    return [values[found.hops["journey"] == j].tolist() for j in range(len(found.journeys))]


def points_of(count: int, host: str | None = "h") -> tuple[Point, ...]:
    return tuple(Point(host, None, f"port{number}") for number in range(count))


def test_a_firewall_that_leaves_the_ttl_as_it_is() -> None:
    # One question and one answer of each flow, addresses translated or not.
    rows = []
    for number in range(6):
        inside = {"sport": 40000 + number, "ip_id": 300 + number, "payload_digest": 1000 + number}
        outside = inside | ({"src": "203.0.113.5"} if number % 2 else {})
        at = number * 200 * MILLI
        rows.append(udp(0, at, **inside))
        rows.append(udp(1, at + 30 * MICRO, **outside, src_mac=MACS[3], dst_mac=MACS[4]))
    found = joined(rows, points_of(2))
    assert len(found.journeys) == 6
    assert all(len(set(ids)) == 1 and len(ids) == 2 for ids in numbers(found, "ip_id"))


def test_two_tenants_with_one_address_send_equal_bytes_at_once() -> None:
    names = (("tap", None), ("qr", "qrouter-{}"), ("rfp", "qrouter-{}"))
    points = [
        Point("c", space.format(t) if space else None, f"{device}-{t}")
        for t in "ab"
        for device, space in names
    ]
    rng = np.random.default_rng(3)
    rows = []
    for number in range(20):
        for tenant in range(2):
            at = number * 200 * MILLI + int(rng.integers(0, 500)) * MICRO
            inside = {"src_mac": MACS[1 + tenant], "dst_mac": MACS[3 + tenant]}
            outside = {"src_mac": MACS[5 + tenant], "dst_mac": MACS[7 + tenant], "ttl": 63}
            outside |= {"src": f"203.0.113.{tenant}", "sport": 50001 + 1000 * tenant}
            for step, values in enumerate((inside, inside, outside)):
                point, late = 3 * tenant + step, step * 10 * MICRO
                rows.append(udp(point, at + late, payload_digest=7, **values))
    found = joined(rows, tuple(points))
    assert len(found.journeys) == 40
    assert all(
        sorted({p // 3 for p in journey}) in ([0], [1]) for journey in numbers(found, "point")
    )


def test_a_flood_is_delivered_at_all_ports_of_the_bridge() -> None:
    rng = np.random.default_rng(4)
    rows = []
    for number in range(30):
        own = number % 4
        others = rng.permutation([port for port in range(4) if port != own]).tolist()
        for step, port in enumerate([own, *others]):
            at = number * 10 * MILLI + step * 3 * MICRO
            values = {"src": f"10.0.0.{own}", "dst": "10.0.0.255", "sport": 5353, "dport": 5353}
            values |= {"src_mac": MACS[own], "dst_mac": BROADCAST, "ip_id": number + 1}
            rows.append(udp(port, at, payload_digest=100 + number, **values))
    found = joined(rows, points_of(4))
    assert len(found.journeys) == 30
    assert (found.journeys["outcome"] == Outcome.DELIVERED).all()


def test_a_hop_comes_from_the_packet_not_from_its_later_copy() -> None:
    # The wire doubles every third packet; the copy comes 300 µs later, after the next hop.
    rows = []
    for number in range(30):
        at, own = number * 10 * MILLI, {"ip_id": number + 1, "payload_digest": 50 + number}
        for late in (0, 300 * MICRO) if number % 3 == 0 else (0,):
            for step in range(3):
                if step or not late:
                    rows.append(udp(step, at + late + step * 50 * MICRO, ttl=64 - step, **own))
    found = joined(rows, points_of(3))
    assert len(found.journeys) == 30
    at = found.observations.packets["point"][found.hops["row"]]
    first = found.journeys["first_hop"][found.hops["journey"]]
    parent = found.hops["parent"] > 0
    before = first[parent] + found.hops["parent"][parent] - 1
    onward = at[parent] != at[before]
    assert (found.hops["delta_ns"][parent][onward] == 50 * MICRO).all()


def test_clocks_that_nothing_compares_make_no_join_sure() -> None:
    # Two clients with equal bytes and no ids, a host on either side of NAT, one clock 0.4 s ahead:
    # by the stamps, each packet of the second is followed by one of the first.
    rows = []
    for number in range(12):
        for client in range(2):
            at = number * SECOND + client * 398 * MILLI
            rows.append(udp(0, at, src=f"10.0.0.{client}", sport=40001 + client, payload_digest=7))
            ahead = at + 400 * MILLI
            outside = {"src": "203.0.113.5", "sport": 50001 + client, "ttl": 63}
            rows.append(udp(1, ahead, payload_digest=7, **outside))
    found = joined(rows, (Point("a", None, "eth0"), Point("b", None, "eth0")))
    steps = found.hops[found.hops["parent"] > 0]
    assert len(steps)
    assert np.isnan(steps["confidence"]).all()
    assert (steps["evidence"] == Evidence.SEQUENCE).all()


def test_the_last_capture_was_interrupted() -> None:
    # Nobody watched beyond it, but what it missed meanwhile was answered, for the most part.
    rows = []
    for number in range(60):
        at = number * 10 * MILLI
        question = {"sport": 40000 + number, "ip_id": 300 + number, "payload_digest": 1000 + number}
        rows.append(udp(0, at, **question))
        paused = 20 <= number < 40
        if not paused:
            rows.append(udp(1, at + 20 * MICRO, ttl=63, **question))
        if number in (25, 31, 57):  # not answered; the last one was seen to arrive
            continue
        answer = {"src": "10.1.0.5", "dst": "10.0.0.9", "sport": 53, "dport": 40000 + number}
        answer |= {"ip_id": 900 + number, "payload_digest": 2000 + number}
        if not paused:
            rows.append(udp(1, at + 100 * MICRO, **answer, src_mac=MACS[4], dst_mac=MACS[3]))
        rows.append(udp(0, at + 130 * MICRO, ttl=63, **answer, src_mac=MACS[2], dst_mac=MACS[1]))
    found = joined(rows, points_of(2))
    outcome = found.journeys["outcome"]
    unanswered = [numbers(found, "ip_id").index([300 + number]) for number in (25, 31)]
    assert (outcome[unanswered] == Outcome.LOST_BY_TRACER).all()
    assert (np.delete(outcome, unanswered) != Outcome.LOST_BY_TRACER).all()


@pytest.mark.parametrize("given", ["random", "zero", "kept"])
@pytest.mark.parametrize("back", [True, False])
def test_a_firewall_gives_new_ip_ids(given: str, back: bool) -> None:
    # Two captures on either side; one way, or both.
    rng = np.random.default_rng(6)
    rows, count = [], 0
    for number in range(12):
        at = number * 20 * MILLI
        asked = {"sport": 40000 + number, "payload_digest": 100 + number}
        answer = {"src": "10.1.0.5", "dst": "10.0.0.9", "sport": 53, "dport": 40000 + number}
        answer |= {"payload_digest": 200 + number, "src_mac": MACS[4], "dst_mac": MACS[3]}
        for values, order, changes in ((asked, range(4), True), (answer, range(3, -1, -1), back)):
            before = int(rng.integers(1, 65536))
            after = {"random": int(rng.integers(1, 65536)), "zero": 0, "kept": before}[given]
            for step, point in enumerate(order):
                ip_id = after if step >= 2 and changes else before
                late = (step + 10 * count) * 20 * MICRO
                rows.append(udp(point, at + late, ttl=64 - step // 2, ip_id=ip_id, **values))
            count = 1 - count
    found = joined(rows, points_of(4))
    assert len(found.journeys) == 24
    assert all(len(set(d)) == 1 and len(d) == 4 for d in numbers(found, "payload_digest"))


def test_ids_that_last_tell_equal_datagrams_apart() -> None:
    # Equal bytes, one datagram after the other; each capture misses some.
    rng = np.random.default_rng(7)
    rows = []
    for number in range(200):
        for point in range(3):
            if rng.random() < 0.9:
                at = number * 40 * MICRO + point * 50 * MICRO
                rows.append(udp(point, at, ttl=64 - point, ip_id=500 + number, payload_digest=9))
    found = joined(rows, points_of(3))
    assert all(len(set(ids)) == 1 for ids in numbers(found, "ip_id"))
    assert len(found.journeys) == len({row["ip_id"] for row in rows})


def test_rows_of_unknown_points_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    # Compiled code would write beyond an array that is too short, and end the process later.
    checked = other_votes._find_longest.py_func
    monkeypatch.setattr(other_votes, "_find_longest", checked)
    found = joined([udp(-1, at * MICRO, ip_id=7, ttl=64 - at) for at in range(3)], ())
    assert sorted(found.hops["row"].tolist()) == [0, 1, 2]
