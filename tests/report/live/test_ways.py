"""Ways counted from journeys: every packet once, at the points it crossed."""

from dataclasses import replace

import numpy as np
from made import batch_of, floating_ip, floating_ip_rows, journey_set_of, web

from tracer.core.enums import Kind, Outcome
from tracer.core.journeys import FLOW_DTYPE, JourneySet
from tracer.core.point import Direction
from tracer.report.live.histogram import quantile
from tracer.report.live.ways import Ways, is_backward

SECOND = 1_000_000_000


def stopped(at: int, outcome: Outcome) -> JourneySet:
    """Return a request of the floating IP that was last seen at its hop `at`, from 1."""
    rows = floating_ip_rows()[:at]
    journey = {"rows": list(range(at)), "kind": Kind.ECHO_REQUEST, "flow": -1,
               "direction": [1, 0, 1, 0, 1, 1][:at], "outcome": outcome,
               "outcome_point": at - 1}  # fmt: skip
    return journey_set_of(batch_of(rows), [journey])


def test_a_request_and_its_reply_are_two_ways_over_the_same_points() -> None:
    ways = Ways()
    for _ in range(23):
        ways.add(floating_ip())
    out, back = sorted(ways.ways, key=lambda way: way.is_backward)
    assert (out.packets, back.packets) == (23, 23)
    assert out.points == back.points[::-1]
    assert [point.device for point in out.points][:2] == ["ens3", "qr-1f6b0aa3-3d"]
    assert [point.direction for point in out.points][:2] == [Direction.EGRESS, Direction.INGRESS]


def test_times_are_those_since_the_hop_before() -> None:
    ways = Ways()
    ways.add(floating_ip())
    out = next(way for way in ways.ways if not way.is_backward)
    assert quantile(out.times[0], 0.5) is None
    for hop, microseconds in enumerate((12, 31, 1, 14, 3), 1):
        found = quantile(out.times[hop], 0.5)
        assert found is not None
        assert abs(found / (microseconds * 1000) - 1) < 0.05


def test_a_loss_counts_where_the_packet_was_seen_last() -> None:
    ways = Ways()
    ways.add(stopped(3, Outcome.VANISHED))
    ways.add(stopped(3, Outcome.DROPPED))
    ways.add(stopped(3, Outcome.LOST_BY_TRACER))
    (way,) = ways.ways
    assert way.lost.tolist() == [0, 0, 2]
    assert way.missed.tolist() == [0, 0, 1]


def test_every_journey_of_any_kind_is_counted_once() -> None:
    ways, total = Ways(), 0
    for part in (web(), floating_ip(), web(), stopped(1, Outcome.UNFINISHED)):
        ways.add(part)
        total += len(part.journeys)
    assert sum(way.packets for way in ways.ways) + ways.other_packets == total
    assert ways.other_packets == 0


def test_ways_there_is_no_room_for_are_counted_together() -> None:
    ways = Ways(most=1)
    for at in (6, 3, 2):
        ways.add(stopped(at, Outcome.VANISHED))
    ways.add(stopped(6, Outcome.VANISHED))
    assert [way.packets for way in ways.ways] == [2]
    assert ways.other_packets == 2


def test_a_rate_is_of_the_last_seconds() -> None:
    ways = Ways()
    ways.tick(100 * SECOND)
    for second in range(101, 111):
        for _ in range(7):
            ways.add(floating_ip())
        ways.tick(second * SECOND)
    assert {way.rate for way in ways.ways} == {7.0}
    ways.tick(113 * SECOND)
    assert all(0 < way.rate < 7 for way in ways.ways)
    for second in range(114, 120):
        ways.tick(second * SECOND)
    assert {way.rate for way in ways.ways} == {0.0}


def test_what_came_at_once_after_a_wait_is_not_a_high_rate() -> None:
    ways = Ways()
    ways.tick(100 * SECOND)
    for _ in range(5):
        ways.add(floating_ip())
    ways.tick(100 * SECOND + SECOND // 2)
    assert {way.rate for way in ways.ways} == {5.0}


def test_a_restart_forgets_all() -> None:
    ways = Ways()
    ways.add(floating_ip())
    ways.restart()
    assert ways.ways == []


def test_the_direction_of_a_flow_tells_what_comes_back() -> None:
    flow = np.zeros(1, FLOW_DTYPE)
    part = floating_ip()
    first = part.observations.packets[0]
    for name in ("src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport"):
        flow[name] = flow[f"nat_{name}"] = first[name]
    part.journeys["kind"], part.journeys["request"] = Kind.UDP, -1
    part = replace(part, flows=flow)
    assert is_backward(part).tolist() == [False, True]
