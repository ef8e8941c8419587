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


def test_packets_closer_than_delays_vary_go_on_in_order() -> None:
    # Two equal acknowledgements at a time, 18 µs apart, over a hop that takes from 10 to 60 µs.
    rng = np.random.default_rng(5)
    rows: list[dict[str, object]] = []
    tcp = {**COMMON, "proto": 6, "sport": 5201, "dport": 40_000, "tcp_ack": 0, "tcp_flags": 0x10}
    for number in range(250):
        own = number < 50  # these have numbers, and tell how long the way takes
        alike = {"ip_id": own * (number + 1), "tcp_seq": number, "ip_len": 40, "payload_len": 0}
        late = 0
        for each in range(1 if own else 2):
            sent = number * 1_000_000 + each * 18_000
            late = max(sent + int(rng.integers(10_000, 60_000)), late + 500)
            for point, at in enumerate((sent, late)):
                rows.append({**tcp, **alike, "point": point, "time_ns": at})
    found = join(batch_of(rows, [Point("h", None, name) for name in ("a", "b")]))
    journey = np.full(len(rows), -1)
    journey[found.hops["row"]] = found.hops["journey"]
    assert len(found.journeys) == 50 + 400
    assert (journey[::2] == journey[1::2]).all()
