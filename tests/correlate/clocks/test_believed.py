"""Clocks that differ by about as much as the quickest packets take: stamps hardly contradict it."""

import numpy as np
from scenarios.clocks import SECOND, Clock
from scenarios.elements import Chain, Link, Router
from scenarios.places import EXTERNAL, FIXED
from scenarios.scenario import Scenario
from scenarios.traffic import MILLI, datagrams, exchange
from scenarios.world import World

from tracer.correlate.clocks.believed import believed_to
from tracer.correlate.clocks.samples import Samples
from tracer.correlate.join import join


def three_hosts(offset_ns: int, seed: int) -> Scenario:
    """Return traffic from a over b to c, a millisecond away, whose clock is that much behind."""
    world = World(seed)
    world.clocks.update(b=Clock(2 * SECOND), c=Clock(-offset_ns, 5.0))
    chain = Chain(
        world.point("a0", "a", "ra"), Router(), world.point("a1", "a", "ra"),
        Link(570_000, 60_000), world.point("b0", "b", "rb"), Router(),
        world.point("b1", "b", "rb"), Link(380_000, 60_000), Router(), world.point("c0", "c", "rc"),
    )  # fmt: skip
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, 200, flows=20, gap_ns=2 * MILLI))
    return world.finish("three")


def test_a_clock_between_two_is_as_uncertain_as_these_are_to_each_other() -> None:
    scenario = three_hosts(900_000, 3)
    clocks = {clock.clock: clock for clock in join(scenario.batch).clocks}
    assert clocks["a"].evidence == clocks["c"].evidence == "stamps"
    said = clocks["b"].uncertainty_ns
    assert said is not None
    assert abs(clocks["b"].offset_ns + 2 * SECOND) < said < 5 * MILLI


def test_what_the_stamps_between_two_others_contradict_is_not_believed() -> None:
    clocks = {clock.clock: clock for clock in join(three_hosts(1_010_000, 3).batch).clocks}
    off = clocks["c"].offset_ns - clocks["a"].offset_ns
    said = clocks["c"].uncertainty_ns or clocks["a"].uncertainty_ns
    assert said is not None
    assert abs(off - 1_010_000) < said < MILLI


def test_stamps_that_some_packets_have_late_are_no_other_clock() -> None:
    world = World(4)
    chain = Chain(
        world.point("a0", "a", "ra"), Router(), world.point("a1", "a", "ra"),
        Link(12_000, 2_000), world.point("b0", "b", "rb"),
    )  # fmt: skip
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, 400, flows=20, gap_ns=2 * MILLI))
    batch = world.finish("late").batch
    out = np.flatnonzero(batch.packets["point"] == [p.device for p in batch.points].index("a1"))
    late = np.random.default_rng(4).choice(out, len(out) // 5, replace=False)
    batch.packets["time_ns"][late] += 25_000
    assert {clock.evidence for clock in join(batch).clocks} == {"stamps"}


def test_least_delays_bound_how_far_believed_clocks_are_apart() -> None:
    # Scales 0, 1 and 2 are one group: 0 and 1 are compared both ways, 2 with 1 both ways, and
    # 3, of another group, with 0.
    scale = np.array([0, 0, 1, 1, 2, 2, 3, 0])
    time = np.array([100, 900, 130, 700, 140, 680, 0, 0])
    left, right = np.array([0, 1, 2, 3, 0]), np.array([2, 3, 4, 5, 6])
    sign = np.array([1, -1, 1, -1, 1], np.int8)
    samples = Samples(left, right, sign)
    member = np.array([0, 0, 0, 3])
    assert believed_to(samples, scale, time, member).tolist() == [0, 200, 220, 0]
    one_way = samples.where(np.array([True, False, True, True, True]))
    assert believed_to(one_way, scale, time, member).tolist() == [0, np.inf, np.inf, 0]
