"""Packets of flows that came around a capture are not expected there on their way back."""

import numpy as np
from scenarios.elements import Chain, Link, Router
from scenarios.places import EXTERNAL
from scenarios.scenario import Scenario
from scenarios.traffic import MILLI, datagrams, exchange
from scenarios.world import World

from tests.correlate.outcomes.endings import ended, lost, said
from tracer.core.enums import Outcome
from tracer.correlate.join import join
from tracer.correlate.outcomes.blind import AROUND

ASKING = "192.168.3.69"


def two_tenants(seed: int, captured: int) -> Scenario:
    """Two hosts with one address, each behind a NAT to the same one, ask a server.

    Of the hosts so many are captured. Some packets are lost between host and server, either way.
    """
    world = World(seed)
    server = world.point("eth0", "server")
    for i in range(2):
        nat = world.nat(snat="203.0.113.5", ports="random", host=f"gate{i}")
        host = world.point("eth0", f"laptop{i}")
        world.captures[host.point].off = i >= captured
        chain = Chain(host, Link(20_000, 5_000), Router(nat), Link(50_000, loss=0.1), server)
        asked = datagrams(world, ASKING, EXTERNAL, 600, gap_ns=MILLI, flows=40, dport=53)
        exchange(world, chain, asked)
    return world.finish("two tenants")


def test_answers_to_a_host_that_is_not_captured_have_not_vanished() -> None:
    scenario = two_tenants(3, captured=1)
    found = join(scenario.batch)
    vanished, hidden = (ended(found, o) for o in (Outcome.VANISHED, Outcome.NOT_OBSERVABLE))
    assert 90 < len(vanished) < 150
    assert lost(scenario, found, vanished).all()
    assert said(found, hidden) == {AROUND}
    assert len(hidden) > 500


def test_what_is_lost_on_the_way_to_captured_hosts_has_vanished() -> None:
    scenario = two_tenants(4, captured=2)
    found = join(scenario.batch)
    assert not len(ended(found, Outcome.NOT_OBSERVABLE))
    vanished, over = (ended(found, o) for o in (Outcome.VANISHED, Outcome.UNFINISHED))
    assert lost(scenario, found, vanished).all()
    assert len(over) < 3  # at the end of what was captured
    assert len(vanished) + len(over) == np.count_nonzero(scenario.truth.lost_after >= 0) > 200
