"""Order of hops where stamps are too coarse to tell it."""

from typing import Any

import numpy as np
import pytest
from made import START_NS, batch_of
from scenarios.catalogue import make
from scenarios.scoring import score

from tracer.core.point import Point
from tracer.correlate.join import join
from tracer.correlate.order.links import settle


def test_equal_stamps_are_put_in_the_usual_order() -> None:
    scenario = make("clock_microseconds", 3, 0.4)
    times = scenario.batch.packets["time_ns"]
    assert len(set(times.tolist())) < 0.75 * len(times)
    found = score(scenario, join(scenario.batch))
    assert found.order_right == 1
    assert found.losses_wrong == 0


def test_with_equal_stamps_a_packet_stays_in_its_tunnel() -> None:
    # Rows: before the tunnel, at its near end, outside of both ends, at its far end, beyond.
    tunnelled = np.array([False, False, True, True, False, False])
    alike = np.zeros(6, np.int64)
    nothing = np.empty(0, np.int64)
    hops = np.array([0, 2, 1, 3, 4, 5])
    ends = np.array([0, 6])
    settle(alike + 60, hops, ends, alike, np.arange(6), alike - 1, nothing.astype(np.uint64),
           nothing, (alike, alike, nothing.astype(np.uint64), nothing), tunnelled,
           (np.arange(6), alike, alike, np.empty(0, np.bool_)), nothing)  # fmt: skip
    assert hops.tolist() == [0, 1, 2, 3, 4, 5]


def test_with_equal_stamps_a_file_knows_the_order() -> None:
    alike, nothing = np.zeros(3, np.int64), np.empty(0, np.int64)
    hops = np.array([2, 0, 1])
    settle(alike + 60, hops, np.array([0, 3]), alike, np.arange(3), alike - 1,
           nothing.astype(np.uint64), nothing, (alike, alike, nothing.astype(np.uint64), nothing),
           np.empty(0, np.bool_),
           (alike, np.array([4, 5, 6]), alike, np.empty(0, np.bool_)), nothing)  # fmt: skip
    assert hops.tolist() == [0, 1, 2]


#: When a port, its bridge, a second port and the card behind it show a frame, microseconds: one
#: that the first port received, and one that the card did; then frames of which the bridge has a
#: stamp of its own.
STACKED = ((0, 0, 4, 6), (6, 2, 2, 0))
APART = ((0, 3, 1, 2), (2, 3, 1, 0))


@pytest.mark.parametrize(("stations", "apart"), [(1, 0), (3, 0), (1, 20)])
def test_a_received_frame_has_one_stamp_for_all_that_is_stacked(stations: int, apart: int) -> None:
    """Questions do not show whether the port or the bridge is first, but answers do."""
    points = [Point("host", None, name) for name in ("p1", "br0", "p2", "card")]
    rows: list[dict[str, Any]] = []
    for number in range(6 + apart):
        station = number % stations
        macs = f"02:00:00:00:00:1{station}", "02:00:00:00:00:02"
        ends = f"10.0.0.1{station}", "10.0.0.2"
        for answer, stamps in enumerate(STACKED if number < 6 else APART):
            sort = {"ip_version": 4, "proto": 1, "icmp_type": 0 if answer else 8, "icmp_code": 0}
            sort |= {"icmp_id": 7, "icmp_seq": number, "ip_id": 100 + 2 * number + answer}
            sort |= {"src": ends[answer], "dst": ends[1 - answer], "ethertype": 0x0800, "ttl": 64}
            sort |= {"src_mac": macs[answer], "dst_mac": macs[1 - answer], "ip_len": 84}
            at = START_NS + 10_000_000 * number + 100_000 * answer
            rows += [
                sort | {"point": point, "time_ns": at + 1_000 * stamp}
                for point, stamp in enumerate(stamps)
            ]
    points.sort(key=lambda point: point.name)
    way = [points.index(Point("host", None, name)) for name in ("p1", "br0", "p2", "card")]
    for row in rows:
        row["point"] = way[row["point"]]
    batch = batch_of(sorted(rows, key=lambda row: row["point"]), points)

    found = join(batch)

    assert len(found.journeys) == 12 + 2 * apart
    shown = batch.packets["point"][found.hops["row"]].reshape(-1, 4)[:12]
    echo = batch.packets["icmp_type"][found.hops["row"]].reshape(-1, 4)[:12, 0]
    assert shown[echo == 8].tolist() == [way] * 6
    assert shown[echo == 0].tolist() == [way[::-1]] * 6
