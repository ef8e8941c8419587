"""What the next capture cannot tell, for it had not begun or was over, the one beyond it may."""

from collections import Counter

import numpy as np
import pytest
from scenarios.clocks import EPOCH
from scenarios.elements import Link
from scenarios.places import EXTERNAL, FIXED, line
from scenarios.scenario import Scenario
from scenarios.traffic import MILLI, datagrams
from scenarios.world import World

from tests.correlate.outcomes.endings import ended, lost
from tracer.core.enums import Event, Outcome
from tracer.core.segments import segment_events
from tracer.correlate.join import join

EDGES = [{"start_ns": EPOCH + 150 * MILLI}, {"stop_ns": EPOCH + 250 * MILLI}]


def cut_short(seed: int, edge: dict[str, int], points: tuple[int, ...] = (1,)) -> Scenario:
    """Return datagrams over four points, some of which are lost; `points` have an `edge`."""
    world = World(seed)
    chain = line(world, 4, per_host=2)
    next(e for e in chain.elements[3:] if isinstance(e, Link)).loss = 0.1
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 400, gap_ns=MILLI, flows=5))
    for point in points:
        for name, value in edge.items():
            setattr(world.captures[point], name, value)
    return world.finish("cut_short")


@pytest.mark.parametrize("edge", EDGES)
def test_what_the_capture_beyond_does_not_show_is_lost(edge: dict[str, int]) -> None:
    scenario = cut_short(3, edge)
    found = join(scenario.batch)
    vanished, open_ = ended(found, Outcome.VANISHED), ended(found, Outcome.UNFINISHED)
    assert lost(scenario, found, vanished).all()
    assert (found.journeys["outcome_point"][vanished] == 0).sum() > 10
    # Of the last ones no capture can tell.
    last_ns = found.journeys["last_ns"][ended(found, Outcome.DELIVERED)].max()
    assert (found.journeys["last_ns"][open_] > last_ns - MILLI).all()
    assert len(vanished) + len(open_) == lost(scenario, found, np.arange(400)).sum() > 50
    events = segment_events(found)
    events = events[events["event"] == Event.LOST]
    # Where others went at that time: past the capture that was not running.
    ways = Counter(zip(events["from_point"].tolist(), events["to_point"].tolist(), strict=True))
    assert ways.keys() <= {(0, 1), (0, 2), (1, 2)}
    assert ways[0, 2] > 10
    assert ways[0, 1] < 2  # just when it begins or ends


@pytest.mark.parametrize("edge", EDGES)
def test_where_the_one_beyond_did_not_run_either_nothing_is_known(edge: dict[str, int]) -> None:
    found = join(cut_short(3, edge, (1, 2, 3)).batch)
    open_ = ended(found, Outcome.UNFINISHED)
    assert len(open_) > 100
    first = found.hops["row"][found.journeys["first_hop"][open_]]
    at_ns = found.observations.packets["time_ns"][first] - EPOCH
    early = at_ns < 150 * MILLI if "start_ns" in edge else at_ns > 249 * MILLI
    assert (early | (at_ns > 395 * MILLI)).all()
    gone = found.journeys["last_ns"][ended(found, Outcome.VANISHED)] - EPOCH
    assert ((gone > 149 * MILLI) if "start_ns" in edge else (gone < 251 * MILLI)).all()
