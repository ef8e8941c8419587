"""Hops of one TTL whose clocks differ are in the order that all packets of their way show."""

import numpy as np
import pytest
from scenarios.clocks import EPOCH, Clock
from scenarios.elements import Chain, Link, Router
from scenarios.places import EXTERNAL, FIXED
from scenarios.scenario import Scenario
from scenarios.traffic import MILLI, datagrams, exchange
from scenarios.world import World

from tracer.core.enums import Outcome
from tracer.core.journeys import JourneySet
from tracer.correlate.join import join

MICRO = 1_000
PACKETS = 300


def bridged(world: World, hop_ns: int) -> Chain:
    """Return a way by three hosts, each a bridge of two devices, without a router."""
    points = [world.point(f"{host}{n}", host) for host in "abc" for n in (0, 1)]
    near = [part for point in points for part in (point, Link(hop_ns, hop_ns // 5))]
    return Chain(*near[:-1])


def set_often(seed: int) -> list[tuple[int, int]]:
    """Return six steps of up to 0.9 ms, in the time that packets take."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.uniform(0.05, 0.95, 6)) * PACKETS * 2 * MILLI
    return [(EPOCH + int(ns), int(rng.uniform(-900, 900) * MICRO)) for ns in at]


def out_of_order(scenario: Scenario, found: JourneySet) -> int:
    """Return how many hops come before one where the packet had been before."""
    hops = found.hops
    place = scenario.truth.place[hops["row"]]
    same = hops["journey"][1:] == hops["journey"][:-1]
    return int((same & (place[1:] < place[:-1])).sum())


@pytest.mark.parametrize("hop_us", [1, 5, 40])
@pytest.mark.parametrize("ahead_us", [(15, -15), (-15, 15), (10, 20)])
def test_clocks_that_nearly_agree_leave_the_order_to_what_goes_both_ways(
    hop_us: int, ahead_us: tuple[int, int]
) -> None:
    world = World(5)
    world.clocks.update(zip("bc", (Clock(us * MICRO, 1.0) for us in ahead_us), strict=True))
    chain = bridged(world, hop_us * MICRO)
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, PACKETS, flows=20, gap_ns=2 * MILLI))
    scenario = world.finish("near")
    found = join(scenario.batch)
    assert len(found.journeys) == 2 * PACKETS
    assert out_of_order(scenario, found) == 0
    assert (found.journeys["outcome"] == Outcome.DELIVERED).all()


@pytest.mark.parametrize("seed", range(4))
def test_clocks_that_are_set_again_and_again_leave_it_to_that_too(seed: int) -> None:
    world = World(seed)
    steps = {host: tuple(set_often(10 * seed + n)) for n, host in enumerate("abc")}
    world.clocks.update({host: Clock(0, 20.0 * n, steps[host]) for n, host in enumerate("abc")})
    chain = bridged(world, 30 * MICRO)
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, PACKETS, flows=20, gap_ns=2 * MILLI))
    scenario = world.finish("set")
    found = join(scenario.batch)
    assert len(found.journeys) == 2 * PACKETS
    assert out_of_order(scenario, found) <= 2  # on their way while a clock was set
    assert (found.journeys["outcome"] == Outcome.DELIVERED).all()


def test_what_goes_one_way_changes_clocks_no_more_often_than_it_must() -> None:
    """The router of one host and that of the next, a link between them, and no answers."""
    world = World(6)
    world.clocks["b"] = Clock(-9 * MICRO)
    chain = Chain(
        world.point("a0", "a"), Router(), world.point("a1", "a"), Link(4_000, 4_000),
        world.point("b0", "b"), Router(), Link(20_000, 1_000), world.point("b1", "b"),
    )  # fmt: skip
    world.run(chain, datagrams(world, FIXED, EXTERNAL, PACKETS, flows=20, gap_ns=2 * MILLI))
    scenario = world.finish("one way")
    found = join(scenario.batch)
    assert out_of_order(scenario, found) == 0
    assert (found.journeys["outcome"] == Outcome.DELIVERED).all()


def test_where_nothing_tells_the_order_it_is_one_for_all_packets() -> None:
    """Else those in the rarer order would end where others go on."""
    world = World(7)
    world.clocks["b"] = Clock(-500 * MICRO)
    chain = Chain(
        world.point("in", "r"), Router(), Link(900 * MICRO, 0), world.point("a0", "a"),
        Link(300 * MICRO, 300 * MICRO), world.point("b0", "b"),
    )  # fmt: skip
    world.run(chain, datagrams(world, FIXED, EXTERNAL, PACKETS, flows=20, gap_ns=2 * MILLI))
    found = join(world.finish("open").batch)
    last = found.hops["row"][found.journeys["first_hop"] + found.journeys["n_hops"] - 1]
    assert len(np.unique(found.observations.packets["point"][last])) == 1
    assert (found.journeys["outcome"] == Outcome.DELIVERED).all()


@pytest.mark.parametrize("seed", range(6))
def test_clocks_that_are_set_again_and_again_are_as_uncertain_as_they_are_wrong(seed: int) -> None:
    """Each host of four is set six times: more often than steps are told apart."""
    world = World(seed)
    for n, host in enumerate("abcd"):
        world.clocks[host] = Clock(0, 0.0, tuple(set_often(10 * seed + n)))
    points = [world.point(f"{host}{n}", host) for host in "abcd" for n in (0, 1)]
    parts = [part for point in points for part in (point, Router(), Link(40_000, 8_000))]
    chain = Chain(*parts[:-2])
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, PACKETS, flows=20, gap_ns=2 * MILLI))
    scenario = world.finish("set")
    found = join(scenario.batch)
    hops, points_of = found.hops, scenario.batch.packets["point"]
    hosts = np.array([point.host for point in scenario.batch.points])[points_of[hops["row"]]]
    off = hops["time_ns"] - scenario.truth.true_ns[hops["row"]]
    after = (scenario.truth.true_ns[hops["row"]] - EPOCH) // (20 * MILLI)
    said = {clock.clock: clock.uncertainty_ns or 0 for clock in found.clocks}
    for moment in np.unique(after):
        now = {h: np.median(off[(after == moment) & (hosts == h)]) for h in "abcd"}
        for one in "abcd":
            for other in "abcd":
                assert abs(now[one] - now[other]) <= said[one] + said[other] + 10 * MICRO
