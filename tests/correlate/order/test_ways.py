"""What one window says of ways holds in others: outcomes are those of all packets at once."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from scenarios.catalogue import make
from scenarios.elements import Link
from scenarios.places import EXTERNAL, FIXED, line
from scenarios.traffic import datagrams
from scenarios.windows import records, split
from scenarios.world import World

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Outcome
from tracer.correlate.join import join
from tracer.correlate.order.ways import KnownWays, Tally, places_of
from tracer.correlate.windows.ordered import Horizon
from tracer.correlate.windows.stream import join_windows

SHORT = Horizon(quiet_ns=30_000_000, answer_ns=60_000_000, context_ns=50_000_000)
HALF = 1500  # packets, one a millisecond
BROKEN = 3  # of a chain's elements, from which on the first link is broken


def broken(*, at_first: bool) -> tuple[ObservationBatch, int]:
    """Return what four points see of a way that loses all of one half, and how many that are.

    Packets the other way pass all the time, so that every capture shows that it runs.
    """
    world = World(7)
    chain = line(world, 4, per_host=2)
    back = datagrams(world, EXTERNAL, FIXED, 2 * HALF, flows=4, dport=53)
    world.run(chain, back, direction=1)
    wire = next(element for element in chain.elements[BROKEN:] if isinstance(element, Link))
    for half in (0, 1):
        wire.loss = float(half == (0 if at_first else 1))
        start_ns = half * HALF * 1_000_000
        world.run(chain, datagrams(world, FIXED, EXTERNAL, HALF, flows=4, start_ns=start_ns))
    return world.finish("broken").batch, len(world.lost)


def begun_late() -> ObservationBatch:
    """Return what four points see of packets both ways, the last of them after a third of them."""
    world = World(7)
    chain = line(world, 4, per_host=2)
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 2 * HALF, flows=4))
    back = datagrams(world, EXTERNAL, FIXED, 2 * HALF, flows=4, dport=53)
    world.run(chain, back, direction=1)
    batch = world.finish("late").batch
    p = batch.packets
    begin_ns = np.quantile(p["time_ns"], 0.35)
    return batch.take(np.flatnonzero((p["point"] < 3) | (p["time_ns"] > begin_ns)))


def outcomes(said: dict[int, tuple[object, ...]]) -> Counter[object]:
    """Count the outcomes of `records`."""
    return Counter(record[8] for record in said.values())


def in_windows(
    batch: ObservationBatch, ways: KnownWays, parts: int = 6
) -> dict[int, tuple[object, ...]]:
    """Return the records of the batch joined in windows."""
    found = list(join_windows(split(batch, 100), rows=600, horizon=SHORT, ways=ways))
    assert len(found) >= parts
    return {number: said for part in found for number, said in records(part).items()}


def test_what_broke_before_a_window_began_has_vanished_in_it() -> None:
    batch, lost = broken(at_first=False)
    ways = KnownWays()
    found = in_windows(batch, ways)
    assert lost == HALF
    assert found == records(join(batch))
    # After the last packet that it shows the next capture may have been over.
    assert outcomes(found)[Outcome.VANISHED] > 0.99 * lost
    assert ways.judged_early() == 0


@pytest.mark.parametrize("made", [lambda: broken(at_first=True)[0], begun_late])
def test_what_was_judged_before_its_way_was_seen_is_counted_and_mended_by_reading_again(
    made: Callable[[], ObservationBatch],
) -> None:
    batch = made()
    whole = records(join(batch))
    ways = KnownWays()
    early = in_windows(batch, ways)
    wrong = sum(early[number] != said for number, said in whole.items())
    assert wrong > HALF // 2
    assert 0.9 * wrong < ways.judged_early() <= wrong
    ways.is_complete = True
    assert in_windows(batch, ways) == whole


def test_what_later_windows_join_otherwise_shows_no_way() -> None:
    # Equal packets behind a NAT that time tells apart while few of them were seen.
    batch = make("udp_equal_id0", 1, 1.0).batch
    found = in_windows(batch, ways := KnownWays(), parts=1)
    assert ways.judged_early() == 0
    assert found == records(join(batch))
    assert not outcomes(found)[Outcome.VANISHED]


def test_pairs_are_counted_on_in_order_of_appearance() -> None:
    tally = Tally()
    a, b = (np.array(values, np.uint64) for values in ([5, 5, 7], [1, 2, 1]))
    tally.add(a, b, np.array([2, 1, 4]))
    tally.add(b[:1], a[:1], np.array([3]))
    tally.add(a[1:], b[1:], np.array([1, 1]))
    pairs = list(zip(tally.first.tolist(), tally.second.tolist(), strict=True))
    assert pairs == [(5, 1), (5, 2), (7, 1), (1, 5)]
    assert tally.count.tolist() == [2, 2, 5, 3]
    one, other, count = tally.codes(np.array([7, 5], np.uint64), np.array([1], np.uint64))
    assert (one.tolist(), other.tolist(), count.tolist()) == ([1, 0], [0, 0], [2, 5])
    assert tally.of(np.array([7, 9, 5], np.uint64), 1).tolist() == [5, 0, 2]


def test_names_that_are_not_there_have_no_place() -> None:
    names = np.array([9, 4], np.uint64)
    assert places_of(names, np.array([4, 5, 9], np.uint64)).tolist() == [1, -1, 0]
    assert places_of(names[:0], names).tolist() == [-1, -1]
