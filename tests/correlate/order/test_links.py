"""Order of hops where stamps are too coarse to tell it."""

import numpy as np
from scenarios.catalogue import make
from scenarios.scoring import score

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
           nothing, tunnelled, (np.arange(6), alike, np.empty(0, np.bool_)), nothing)  # fmt: skip
    assert hops.tolist() == [0, 1, 2, 3, 4, 5]


def test_with_equal_stamps_a_file_knows_the_order() -> None:
    alike, nothing = np.zeros(3, np.int64), np.empty(0, np.int64)
    hops = np.array([2, 0, 1])
    settle(alike + 60, hops, np.array([0, 3]), alike, np.arange(3), alike - 1,
           nothing.astype(np.uint64), nothing, np.empty(0, np.bool_),
           (alike, np.array([4, 5, 6]), np.empty(0, np.bool_)), nothing)  # fmt: skip
    assert hops.tolist() == [0, 1, 2]
