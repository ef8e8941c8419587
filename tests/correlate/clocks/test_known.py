"""Clocks that are off are known before a window is read, and after packets told of them last."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scenarios.catalogue import make
from scenarios.places import EXTERNAL, FIXED, line
from scenarios.traffic import answer, datagrams
from scenarios.windows import members, split
from scenarios.world import World

from tracer.core.batch import ObservationBatch
from tracer.core.journeys import NO_TIME, ClockEstimate, JourneySet
from tracer.correlate.clocks.known import KnownClocks, shifts
from tracer.correlate.clocks.look import look
from tracer.correlate.join import join
from tracer.correlate.windows.ordered import Horizon
from tracer.correlate.windows.stream import join_windows

SECOND = 1_000_000_000


def horizon(rows: int) -> Horizon:
    """Return one that holds less than clocks are apart."""
    return Horizon(700_000_000, rows // 8, 10 * SECOND, rows // 20, 5 * SECOND, rows // 20)


@pytest.mark.parametrize(
    "name",
    ["clock_offsets", "clock_drift", "clock_step", "hosts_unknown", "nat_ends_only", "chance_0",
     "chance_1"],
)  # fmt: skip
def test_clocks_may_be_further_apart_than_a_window_is_long(name: str) -> None:
    scenario = make(name, 5, 2.0)
    batch, rows = scenario.batch, len(scenario.batch)
    pieces = split(batch, 400)
    clocks, tells_all = look(pieces, rows // 4)
    assert tells_all
    parts = list(join_windows(pieces, rows=rows // 8, horizon=horizon(rows), clocks=clocks))
    assert len(parts) > 4
    found = [hops for part in parts for hops in members(part)]
    assert sorted(found) == sorted(members(join(batch)))
    for part in parts:
        delays = part.hops["delta_ns"]
        assert np.all(delays[delays != NO_TIME] >= 0)


def off(offset_ns: int, answered: int) -> ObservationBatch:
    """Return datagrams at four points of two hosts, the first of them answered."""
    world = World(11)
    chain = line(world, 4, per_host=2)
    for number, count in enumerate((answered, 1200)):
        start_ns = number * answered * 1_000_000
        sent = datagrams(world, FIXED, EXTERNAL, count, flows=4, start_ns=start_ns)
        arrived = world.run(chain, sent)
        if number == 0:
            world.run(chain, answer(world, arrived), direction=1)
    batch = world.finish("off").batch
    packets = batch.packets
    packets["time_ns"][packets["point"] > 1] += offset_ns
    return batch


def estimates(parts: Sequence[JourneySet]) -> list[ClockEstimate]:
    """Return what each part says of the clock that is off."""
    return [next(clock for clock in part.clocks if clock.offset_ns) for part in parts]


def test_what_both_ways_said_of_a_clock_holds_while_packets_go_one_way_only() -> None:
    batch = off(2 * SECOND, 300)
    rows, pieces = len(batch), split(batch, 200)
    clocks, _ = look(pieces, rows // 4)
    parts = list(join_windows(pieces, rows=rows // 8, horizon=horizon(rows), clocks=clocks))
    assert len(parts) > 4
    found = estimates(parts)
    for estimate in found:
        assert abs(estimate.offset_ns + 2 * SECOND) <= (estimate.uncertainty_ns or 0)
        assert estimate.evidence == "both-ways"
    assert found[-1] == found[-2]


def test_offsets_are_told_of_the_clock_they_are_of_whatever_captures_are_called() -> None:
    batch = off(2 * SECOND, 300)
    names = {0: "zeta", 1: "zeta", 2: "alpha", 3: "alpha"}
    batch.points = tuple(
        replace(point, host=names[number], clock=None) for number, point in enumerate(batch.points)
    )
    told = {clock.clock: clock.offset_ns for clock in join(batch).clocks}
    reference, other = sorted(told, key=lambda name: abs(told[name]))
    assert told[reference] == 0
    assert abs(told[other] - (-2 if other == "alpha" else 2) * SECOND) < 1_000_000


def test_a_look_says_when_it_was_too_short() -> None:
    batch = off(2 * SECOND, 300)
    packets = batch.packets
    # The second host's captures begin when half of its packets are over.
    theirs = packets["point"] > 1
    middle = np.median(packets["time_ns"][theirs])
    late = batch.take(np.flatnonzero(~theirs | (packets["time_ns"] > middle)))
    _, tells_all = look(split(late, 100), 400)
    assert not tells_all
    known, tells_all = look(split(late, 100), len(late))
    assert tells_all
    assert [round(ns / SECOND) for ns in known.added_ns.values()] in ([-2], [2])


def test_a_look_at_some_packets_of_many_sees_the_same_ones_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tracer.correlate.clocks.look.MOST_ROWS", 800)
    batch = off(2 * SECOND, 600)
    known, tells_all = look(split(batch, 100), len(batch))
    assert tells_all
    (added,) = known.added_ns.values()
    assert abs(abs(added) - 2 * SECOND) < 1_000_000


def test_nothing_to_look_at_says_nothing() -> None:
    assert look([[]], 100) == (KnownClocks(), False)


def test_shifts_are_by_point_with_none_for_no_point() -> None:
    batch = off(0, 10)
    host = str(batch.points[2].host)
    found = shifts({host: 5}, batch.points)
    assert found.tolist() == [5 if point.host == host else 0 for point in batch.points] + [0]
