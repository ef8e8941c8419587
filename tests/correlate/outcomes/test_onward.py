"""What was on its way when the next capture stopped may have come there."""

import numpy as np
from scenarios.clocks import EPOCH
from scenarios.elements import Chain, Link, Router
from scenarios.places import EXTERNAL, FIXED
from scenarios.traffic import MILLI, datagrams
from scenarios.world import World

from tests.correlate.outcomes.endings import ended, lost
from tracer.core.enums import Outcome
from tracer.correlate.join import join


def test_packets_on_their_way_when_a_capture_stopped_have_not_vanished() -> None:
    """The way takes 60 ms. Of those before, what was lost has vanished."""
    world = World(9)
    near, far = world.point("a0", "a"), world.point("b0", "b")
    world.captures[far.point].stop_ns = EPOCH + 400 * MILLI
    chain = Chain(near, Router(), Link(60 * MILLI, MILLI // 10, loss=0.05), far)
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 2_000, flows=20, gap_ns=MILLI // 4))
    scenario = world.finish("stopped")

    found = join(scenario.batch)

    vanished, over = (ended(found, o) for o in (Outcome.VANISHED, Outcome.UNFINISHED))
    sent = scenario.truth.true_ns[found.hops["row"][found.journeys["first_hop"]]] - EPOCH
    assert lost(scenario, found, vanished).all()
    assert len(vanished) > 40
    early = sent[over] < 62 * MILLI  # before the first packet came there
    assert (early | (sent[over] > 330 * MILLI)).all()
    assert len(over) >= np.count_nonzero(sent > 340 * MILLI)
