"""A packet that a point shows twice: each time is a hop, and the later one copies the former."""

import pytest
from made import batch_of
from scenarios.catalogue import make

from tracer.core.enums import Outcome
from tracer.core.point import Point
from tracer.correlate.join import join

MICRO, MILLI = 1_000, 1_000_000


def test_duplicates_are_hops_that_come_from_what_they_copy() -> None:
    batch = make("span_duplicates", 3, 0.3).batch
    found = join(batch)
    duplicates = found.journeys["duplicates"].sum()
    assert duplicates > 0
    assert found.journeys["n_hops"].sum() == len(batch.packets)
    places = [(point.host, point.netns, point.device) for point in batch.points]
    at = [places[point] for point in batch.packets["point"][found.hops["row"]]]
    copies = 0
    for journey in found.journeys:
        first, count = journey["first_hop"], journey["n_hops"]
        above = found.hops["parent"][first : first + count]
        copies += sum(
            at[first + n] == at[first + parent - 1] for n, parent in enumerate(above) if parent
        )
    assert copies == duplicates


@pytest.mark.parametrize("doubles", [False, True])
def test_a_point_that_doubles_no_others_shows_equal_packets_not_copies(doubles: bool) -> None:
    # Of two equal datagrams without a number, 40 µs apart, the network lost the second; or the
    # first point shows each packet twice. Packets with a number tell which.
    rows: list[dict[str, object]] = []
    for number in range(100):
        equal = number % 4 == 1
        seen = [(0, 0), (1, 300)] + [(0, 40)] * (equal or doubles)
        for point, at_us in seen:
            rows.append(
                {"point": point, "ttl": 64 - point, "time_ns": number * MILLI + at_us * MICRO,
                 "ip_version": 4, "ethertype": 0x800, "proto": 17, "src": "10.0.1.2",
                 "dst": "10.0.2.2", "sport": 9, "dport": 9, "payload_len": 20, "ip_len": 48,
                 "ip_id": 0 if equal else number, "payload_digest": 1 if equal else number + 2,
                 "src_mac": f"02:00:00:00:00:{point}1", "dst_mac": f"02:00:00:00:00:{point}2"}
            )  # fmt: skip
    found = join(batch_of(rows, (Point("a", None, "out"), Point("b", None, "in"))))
    vanished = (found.journeys["outcome"] == Outcome.VANISHED).sum()
    assert (vanished, found.journeys["duplicates"].sum()) == ((0, 100) if doubles else (25, 0))
