"""What captures say they dropped, against what is missing there."""

from dataclasses import replace

import numpy as np
from scenarios.elements import Link
from scenarios.places import EXTERNAL, FIXED, dvr, line
from scenarios.scenario import Scenario
from scenarios.traffic import MILLI, datagrams, exchange, pings
from scenarios.world import World

from tests.correlate.outcomes.endings import ended, lost, said
from tracer.core.batch import Gap
from tracer.core.enums import Outcome
from tracer.core.point import Point
from tracer.correlate.join import join
from tracer.correlate.outcomes.gaps import PERHAPS, merged


def with_losses(
    seed: int, loss: float, during: tuple[int, int] = (100, 160), share: float = 0.5
) -> tuple[Scenario, Gap]:
    """Return datagrams one way of which a capture drops some for a while, and what it says of it.

    `during` is in ms, since the first of 400 ms.
    """
    world = World(seed)
    chain = line(world, 4, per_host=2)
    wire = next(e for e in chain.elements[3:] if isinstance(e, Link))
    wire.loss = loss
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 400, gap_ns=MILLI, flows=5))
    scenario = world.finish("dropped")
    batch = scenario.batch
    p = batch.packets
    at = int(p["time_ns"].min())
    first, last = (at + ms * MILLI for ms in during)
    there = (p["point"] >= 2) & (p["time_ns"] >= first) & (p["time_ns"] < last)
    dropped = there & (np.random.default_rng(seed).random(len(p)) < share)
    kept = np.flatnonzero(~(there & np.isin(scenario.truth.packet, scenario.truth.packet[dropped])))
    count = len(np.unique(scenario.truth.packet[there & (p["point"] == 2)])) - int(
        (there & (p["point"] == 2))[kept].sum()
    )
    gap = Gap(batch.points[2], first, last, count)
    cut = replace(batch.take(kept), gaps=(gap,))
    truth = replace(scenario.truth, packet=scenario.truth.packet[kept])
    return replace(scenario, batch=cut, truth=truth), gap


def test_what_a_capture_dropped_is_not_lost_by_the_network() -> None:
    scenario, gap = with_losses(7, 0.0)
    found = join(scenario.batch)
    missed = ended(found, Outcome.LOST_BY_TRACER)
    assert len(missed) == gap.packets > 10
    assert not len(ended(found, Outcome.VANISHED))
    reasons = {found.reasons[n] for n in found.journeys["reason"][missed]}
    assert reasons == {f"the next capture dropped {gap.packets} packets at that time"}


def test_what_a_capture_dropped_at_its_end_is_not_lost_by_the_network() -> None:
    scenario, gap = with_losses(7, 0.0, (300, 500), 1)
    found = join(scenario.batch)
    assert len(ended(found, Outcome.LOST_BY_TRACER)) == gap.packets > 90
    assert not len(ended(found, Outcome.VANISHED))
    assert not len(ended(found, Outcome.UNFINISHED))


def test_more_missing_at_the_end_than_was_dropped_is_unfinished_and_says_so() -> None:
    scenario, gap = with_losses(7, 0.0, (300, 500), 1)
    less = replace(gap, packets=gap.packets - 1)
    found = join(replace(scenario.batch, gaps=(less,)))
    unfinished = ended(found, Outcome.UNFINISHED)
    assert len(unfinished) == gap.packets
    assert said(found, unfinished) == {PERHAPS.format(less.packets)}
    assert not len(ended(found, Outcome.LOST_BY_TRACER))


def test_more_missing_than_was_dropped_stays_vanished_and_says_so() -> None:
    scenario, gap = with_losses(8, 0.2)
    found = join(scenario.batch)
    vanished = ended(found, Outcome.VANISHED)
    texts = [found.reasons[n] if n >= 0 else "" for n in found.journeys["reason"][vanished]]
    assert sum(f"or lost by the next capture, which dropped {gap.packets}" in t for t in texts)
    assert not len(ended(found, Outcome.LOST_BY_TRACER))
    outside = [not text for text in texts]
    assert sum(outside) > 20
    assert lost(scenario, found, vanished[outside]).all()


def lossy_capture(loss: float, missed: float) -> Scenario:
    """Return pings and TCP over eight points, the sixth of which counts what its capture lost."""
    world = World(12)
    chain = dvr(world, None, Link(150_000, 20_000, loss=loss))
    exchange(world, chain, pings(world, FIXED, EXTERNAL, 300))
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, 600, flows=40))
    world.captures[6].missed = missed
    scenario = world.finish("lossy capture")
    p = scenario.batch.packets
    passed = sum(len(frames) for point, _, frames in world.seen if point == 6)
    times = p["time_ns"][p["point"] == 6]
    gap = Gap(
        scenario.batch.points[6], int(times.min()), int(times.max()), int(passed - len(times))
    )
    return replace(scenario, batch=replace(scenario.batch, gaps=(gap,)))


def test_drops_that_others_saw_arrive_explain_no_loss() -> None:
    # The capture dropped as many as the wire lost, or more; but all those were seen beyond it.
    scenario = lossy_capture(loss=0.05, missed=0.1)
    (gap,) = scenario.batch.gaps
    found = join(scenario.batch)
    vanished = ended(found, Outcome.VANISHED)
    assert (scenario.truth.lost_after >= 0).sum() == len(vanished)
    assert 20 < len(vanished) < gap.packets
    real = lost(scenario, found, vanished)
    assert real.all()
    assert not len(ended(found, Outcome.LOST_BY_TRACER))
    # What was seen beyond it, and what was not: neither more nor less than the truth has.
    assert len(found.unseen) == gap.packets + (scenario.truth.lost_after == 5).sum()
    reasons = {found.reasons[n] for n in found.journeys["reason"][vanished[real]] if n >= 0}
    assert any(f"which dropped {gap.packets} packets" in text for text in reasons)


def test_gaps_close_to_each_other_are_judged_together() -> None:
    here = Point("host", None, "eth0")
    gaps = [Gap(here, at, at + MILLI, 1) for at in (50 * MILLI, 0, 3 * MILLI)]
    other = Gap(Point("host", None, "eth1"), 0, MILLI, 5)
    assert merged([*gaps, other]) == [
        Gap(here, 0, 4 * MILLI, 2), Gap(here, 50 * MILLI, 51 * MILLI, 1), other,
    ]  # fmt: skip
    assert merged(merged(gaps)) == merged(gaps)
