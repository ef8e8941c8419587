"""Equal packets that queue go on in the order in which they came."""

import numpy as np
import pytest
from made import batch_of
from scenarios.places import EXTERNAL, FIXED

from tracer.core.enums import Event, Outcome
from tracer.core.journeys import JourneySet
from tracer.core.point import Point
from tracer.core.segments import segment_events
from tracer.correlate.join import join

COUNT, SPACING_NS, QUEUED_NS = 40, 2_000, 90_000
COMMON = {"ip_version": 4, "ethertype": 0x800, "ttl": 64, "src": FIXED, "dst": EXTERNAL}


def resets(lost: tuple[int, ...]) -> tuple[JourneySet, list[list[int]]]:
    """Return journeys of equal resets, and of each the rows that it has in truth.

    They leave in a burst, the second point passes them on only when all are there, and those that
    are lost are so behind it. Before them numbered segments take 3 µs from point to point.
    """
    rows: list[dict[str, object]] = []
    truth: list[list[int]] = [[] for _ in range(COUNT)]
    tcp = {**COMMON, "proto": 6, "sport": 5201, "dport": 40_000, "tcp_ack": 0}
    for number in range(50):
        for point in range(3):
            at = number * 1_000_000 + point * 3_000
            rows.append({**tcp, "point": point, "time_ns": at, "ip_id": number + 1, "ip_len": 140,
                         "tcp_seq": 100 * number, "tcp_flags": 0x10, "payload_len": 100,
                         "payload_digest": number + 1})  # fmt: skip
    for number in range(COUNT):
        for point in range(2 if number in lost else 3):
            at = 60_000_000 + number * SPACING_NS + (0, 3_000, 3_000 + QUEUED_NS)[point]
            truth[number].append(len(rows))
            rows.append({**tcp, "point": point, "time_ns": at, "ip_id": 0, "tcp_seq": 7_000,
                         "ip_len": 40, "tcp_flags": 0x04, "payload_len": 0})  # fmt: skip
    points = tuple(Point("h", None, name) for name in ("a", "b", "c"))
    return join(batch_of(rows, points)), truth


def test_equal_packets_leave_a_queue_in_order() -> None:
    found, truth = resets(())
    hops = found.hops
    journey = np.full(len(found.observations), -1)
    journey[hops["row"]] = hops["journey"]
    for rows in truth:
        assert len(set(journey[rows].tolist())) == 1
    assert not (segment_events(found)["event"] == Event.OVERTAKEN).any()
    assert found.journeys["ambiguous"][journey[truth[0]]].all()


@pytest.mark.parametrize("lost", [(0,), (17, 18), (39,), (2, 11, 30)])
def test_where_some_are_lost_none_overtakes_another(lost: tuple[int, ...]) -> None:
    found, _ = resets(lost)
    events = segment_events(found)
    assert not (events["event"] == Event.OVERTAKEN).any()
    assert (events["event"] == Event.LOST).sum() == len(lost)
    assert (found.journeys["outcome"] == Outcome.VANISHED).sum() == len(lost)
    assert len(found.journeys) == 50 + COUNT
