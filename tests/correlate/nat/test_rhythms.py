"""Flows that only their rhythm tells apart."""

import numpy as np
import pytest
from scenarios.catalogue import make
from scenarios.elements import Chain, Link
from scenarios.places import EXTERNAL, FIXED
from scenarios.scoring import claims, score
from scenarios.traffic import MILLI, datagrams
from scenarios.world import World

from tracer.correlate.join import join


@pytest.mark.parametrize("name", ["udp_equal_hosts", "udp_equal_hosts_far"])
def test_each_host_has_its_own_translation(name: str) -> None:
    for seed in (21, 22):
        scenario = make(name, seed, 0.5)
        found = join(scenario.batch)
        assert score(scenario, found).passed
        _, right, _ = claims(scenario.truth, found)
        assert right.mean() > 0.998


def test_two_tenants_of_one_tuple_stay_two() -> None:
    world = World(5)
    for tenant in "ab":
        near, far = (
            world.point(f"{tenant}{end}", "host", f"{tenant}{end}") for end in ("near", "far")
        )
        chain = Chain(near, Link(30 * MILLI, MILLI), far)
        sent = datagrams(world, FIXED, EXTERNAL, 80, sport=5353, dport=9999, size=16, constant=True,
                         ids="zero", gap_ns=200 * MILLI)  # fmt: skip
        world.run(chain, sent)
    scenario = world.finish("tenants")
    _, right, later = claims(scenario.truth, join(scenario.batch))
    assert len(later) == 160
    assert right.all()
    assert len(np.unique(scenario.truth.packet)) == 160
