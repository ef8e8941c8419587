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
           (np.arange(6), alike, np.empty(0, np.bool_)), nothing)  # fmt: skip
    assert hops.tolist() == [0, 1, 2, 3, 4, 5]


def test_with_equal_stamps_a_file_knows_the_order() -> None:
    alike, nothing = np.zeros(3, np.int64), np.empty(0, np.int64)
    hops = np.array([2, 0, 1])
    settle(alike + 60, hops, np.array([0, 3]), alike, np.arange(3), alike - 1,
           nothing.astype(np.uint64), nothing, (alike, alike, nothing.astype(np.uint64), nothing),
           np.empty(0, np.bool_),
           (alike, np.array([4, 5, 6]), np.empty(0, np.bool_)), nothing)  # fmt: skip
    assert hops.tolist() == [0, 1, 2]


@pytest.mark.parametrize("stations", [1, 3])
def test_a_received_frame_has_one_stamp_for_all_that_is_stacked(stations: int) -> None:
    """A bridge is captured by the stamp of the port that received, and before the one that sends.

    So questions do not say whether the port or the bridge is first; but answers do.
    """
    points = [Point("host", None, name) for name in ("br0", "p1", "p2")]
    way = [1, 0, 2]
    rows: list[dict[str, Any]] = []
    for number in range(6):
        station = number % stations
        macs = f"02:00:00:00:00:1{station}", "02:00:00:00:00:02"
        ends = f"10.0.0.1{station}", "10.0.0.2"
        for answer in (0, 1):
            sort = {"ip_version": 4, "proto": 1, "icmp_type": 0 if answer else 8, "icmp_code": 0}
            sort |= {"icmp_id": 7, "icmp_seq": number, "ip_id": 100 + 2 * number + answer}
            at = START_NS + 10_000_000 * number + 100_000 * answer
            for hop, point in enumerate(way[:: -1 if answer else 1]):
                rows.append(
                    sort
                    | {"point": point, "time_ns": at + 4_000 * (hop == 2), "ttl": 64, "ip_len": 84}
                    | {"src": ends[answer], "dst": ends[1 - answer], "ethertype": 0x0800}
                    | {"src_mac": macs[answer], "dst_mac": macs[1 - answer]}
                )
    batch = batch_of(sorted(rows, key=lambda row: row["point"]), points)

    found = join(batch)

    assert len(found.journeys) == 12
    shown = batch.packets["point"][found.hops["row"]].reshape(12, 3)
    echo = batch.packets["icmp_type"][found.hops["row"]].reshape(12, 3)[:, 0]
    assert (shown[echo == 8] == way).all()
    assert (shown[echo == 0] == way[::-1]).all()
