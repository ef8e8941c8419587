"""Clocks that packets compare one way only, and what equal packets between them are joined by."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scenarios.catalogue import make
from scenarios.clocks import Clock
from scenarios.elements import Chain, Link, Router
from scenarios.places import EXTERNAL
from scenarios.scenario import Scenario
from scenarios.scoring import SURE, claims
from scenarios.traffic import datagrams
from scenarios.windows import split
from scenarios.world import World

from tracer.core.journeys import JourneySet
from tracer.correlate.clocks.known import KnownClocks
from tracer.correlate.clocks.one_sided import Sides, sides_of
from tracer.correlate.clocks.samples import Samples
from tracer.correlate.join import JoinOptions, join
from tracer.correlate.windows.stream import join_windows

MILLI, FAR_NS = 1_000_000, 400_000_000
ONE_WAY = ("clock_one_way_50", "clock_one_way_150", "clock_one_way_300", "clock_one_way_behind",
           "clock_one_way_detour")  # fmt: skip


def sides(
    count: int, ways: Sequence[tuple[int, int, int]], known: Sequence[tuple[int, int]] = (),
    member: Sequence[int] | None = None,
) -> Sides:  # fmt: skip
    """Return what is open of clocks of which each way (from, to, milliseconds) has ten packets."""
    scale, time, sign = [], [], []
    for start, end, took_ms in ways:
        for number in range(10):
            low, high = sorted((start, end))
            scale += [low, high]
            at = number * 50 * MILLI, number * 50 * MILLI + took_ms * MILLI + number
            time += at if low == start else at[::-1]
            sign.append(1 if low == start else -1)
    rows = np.arange(len(scale))
    samples = Samples(rows[::2], rows[1::2], np.array(sign, np.int8))
    of = np.array(scale), np.array(time, np.int64)
    nothing = (np.empty(0, np.int64), np.zeros(1, np.int64)), np.zeros(len(scale), np.int64)
    same = np.zeros(count, np.int64) if member is None else np.array(member)
    return sides_of(samples, *of, same, 0, FAR_NS, known, nothing)


def test_one_way_leaves_open_how_long_packets_took() -> None:
    found = sides(2, [(0, 1, 150)])
    assert found.is_open.tolist() == [False, True]
    assert found.samples.tolist() == [10, 10]
    assert found.near[0] != found.near[1]
    assert found.far_ns == FAR_NS


def test_both_ways_leave_nothing_open() -> None:
    found = sides(2, [(0, 1, 150), (1, 0, 2)])
    assert not found.is_open.any()
    assert len(set(found.side.tolist())) == 1
    assert not found.far_ns


def test_a_circle_bounds_all_that_are_on_it() -> None:
    assert not sides(3, [(0, 1, 150), (1, 2, 20), (2, 0, 30)]).is_open.any()
    assert sides(3, [(0, 1, 150), (1, 2, 20), (0, 2, 30)]).is_open.tolist() == [False, True, True]


def test_what_was_known_before_stays_known() -> None:
    found = sides(2, [(0, 1, 150)], known=[(0, 1)])
    assert not found.far_ns
    assert not found.is_open.any()


def test_about_no_time_is_no_accident_unless_stamps_were_moved() -> None:
    near = [(0, 1, 0)]
    assert sides(2, near).is_open.any()
    assert not sides(2, near).far_ns
    assert sides(2, near, member=[0, 1]).far_ns


def test_clocks_that_nothing_compares_are_not_open() -> None:
    found = sides(4, [(0, 1, 5), (1, 0, 5), (2, 3, 5)])
    assert found.is_open.sum() == 1
    assert not found.is_open[:2].any()
    assert found.near[0] == found.near[1]


def joined(name: str) -> tuple[Scenario, JourneySet]:
    scenario = make(name, 3, 0.5)
    return scenario, join(scenario.batch, scenario.conntrack, JoinOptions())


@pytest.mark.parametrize("name", ONE_WAY)
def test_equal_packets_are_joined_and_called_ambiguous(name: str) -> None:
    scenario, found = joined(name)
    confidence, right, later = claims(scenario.truth, found)
    told = scenario.truth.distinguishable[found.hops["row"][later]]
    assert len(right) > 250
    assert right.all()
    assert (confidence[told] >= SURE).all()
    ambiguous = found.journeys["ambiguous"][found.hops["journey"][later]] == 1
    assert not ambiguous[told].any()
    assert ambiguous[~told].mean() > 0.95
    assert (confidence[ambiguous] < SURE).all()
    assert (found.hops["candidates"][later][ambiguous] > 1).all()


@pytest.mark.parametrize("name", ONE_WAY)
def test_the_clock_is_said_to_be_bounded_from_one_side(name: str) -> None:
    _, found = joined(name)
    said = {clock.clock: clock for clock in found.clocks}
    assert said["router"].evidence == "stamps"
    assert said["server"].evidence == "one-way"
    assert said["server"].uncertainty_ns is None
    assert said["server"].samples == 50
    assert bool(said["server"].offset_ns) == (name == "clock_one_way_behind")


def test_hop_times_are_those_of_the_stamps() -> None:
    scenario, found = joined("clock_one_way_150")
    stamps = scenario.batch.packets["time_ns"][found.hops["row"]]
    assert (found.hops["time_ns"] == stamps).all()


def test_windows_know_what_packets_both_ways_said_before() -> None:
    scenario = make("clock_one_way_150", 3, 0.5)
    clocks = KnownClocks(bound={("router", "server")})
    parts = list(join_windows(split(scenario.batch, 100), clocks=clocks))
    assert all(clock.evidence == "stamps" for part in parts for clock in part.clocks)


def test_windows_say_of_a_clock_that_it_is_bounded_from_one_side() -> None:
    scenario = make("clock_one_way_150", 3, 0.5)
    clocks = KnownClocks()
    parts = list(join_windows(split(scenario.batch, 100), clocks=clocks))
    assert {clock.evidence for clock in parts[-1].clocks} == {"stamps", "one-way"}
    assert not clocks.bound


@pytest.mark.parametrize("known_by", ["time", "IP id", "bytes", "conntrack"])
def test_what_is_known_by_more_than_time_stays_sure(known_by: str) -> None:
    """Heartbeats of four hosts, a quarter of a second from one to the next."""
    world = World(5, loose_ns=401 * MILLI)
    world.clocks["server"] = Clock(150 * MILLI)
    nat = world.nat(snat="203.0.113.7", ports="random")
    server = world.point("eth0", "server")

    def send(src: str, start_ms: int, **options: Any) -> None:
        chain = Chain(world.point(src, "router"), Router(nat), Link(), Router(), server)
        world.run(chain, datagrams(world, src, EXTERNAL, 40, gap_ns=1000 * MILLI,
                                   start_ns=start_ms * MILLI, **options))  # fmt: skip

    send("10.1.0.1", 0, size=200)
    alike = {"size": 20, "constant": known_by != "bytes", "sport": 9999}
    for host in range(4):
        ids = "counter" if known_by == "IP id" else "zero"
        send(f"10.1.1.{host}", 250 * host, ids=ids, **alike)
    scenario = world.finish("beats", conntrack=known_by == "conntrack")
    found = join(scenario.batch, scenario.conntrack, JoinOptions())
    confidence, right, _ = claims(scenario.truth, found)
    assert len(right) == 200
    assert right.all()
    ambiguous = found.journeys["ambiguous"].sum()
    assert ambiguous > 150 if known_by == "time" else ambiguous == 0
    assert (confidence >= SURE).sum() == 200 - ambiguous
